//! The system calls that each operation makes, as strace sees them.

use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use tunctl_core::{CreateOptions, Interrupter, TunBackend, TunDevice};
use tunctl_packet::udp_packet;
use tunctl_testing::{Call, Case, Strace, case, mark};

use super::support::{address, backend, quiet_tun, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(create_opens_the_node_once_attaches_once_and_starts_no_program)
            .entry("create", create_and_up)
            .needs_tool("strace"),
        case!(a_packet_that_is_there_costs_one_read).entry("receive", receive_many).needs_tool("strace"),
        case!(an_empty_queue_costs_read_poll_read).entry("wait", receive_late).needs_tool("strace"),
        case!(a_packet_costs_one_write).entry("send", send_many).needs_tool("strace"),
        case!(trying_in_vain_costs_one_read).entry("try", try_in_vain).needs_tool("strace"),
        case!(a_signal_during_a_wait_does_not_end_a_receive)
            .entry("signal", receive_in_vain)
            .needs_tool("strace"),
        case!(an_interrupt_is_one_write_and_another_none)
            .entry("interrupt", interrupt_twice)
            .needs_tool("strace"),
        case!(a_packet_that_is_there_costs_an_interruptible_receive_one_read)
            .entry("interruptible", receive_interruptibly)
            .needs_tool("strace"),
    ]
}

fn receive_in_vain() {
    let device = backend().create(&CreateOptions::tun().name("tun0")).unwrap();
    mark("wait");
    let error = device.recv_timeout(&mut [0; 100], Duration::from_millis(50)).unwrap_err();
    mark("done");
    assert!(error.is_timed_out(), "{error}");
}

/// What the kernel answers after a signal handler has run is made here without one.
fn a_signal_during_a_wait_does_not_end_a_receive() {
    let healthy = Strace::new("signal").run();
    let window = healthy.numbered_between("wait", "done");
    let (_, position) = window.iter().find(|(call, _)| call.name == "ppoll").unwrap();
    let trace = Strace::new("signal").fail("ppoll", "EINTR", *position).run();
    let waits = trace.between("wait", "done").iter().filter(|call| call.name == "ppoll").count();
    assert_eq!(waits, 2, "{trace:?}");
}

fn far() -> SocketAddr {
    "10.77.0.2:9".parse().unwrap()
}

fn create_and_up() {
    mark("create");
    let device = backend().create(&CreateOptions::tun().name("tun0")).unwrap();
    mark("up");
    device.up(address("10.77.0.1/24")).unwrap();
    mark("done");
}

/// Each of the calls that make a descriptor says close-on-exec, and none makes a process.
fn assert_tidy(calls: &[Call]) {
    for call in calls {
        let makes_a_descriptor = matches!(
            call.name.as_str(),
            "open"
                | "openat"
                | "openat2"
                | "creat"
                | "socket"
                | "socketpair"
                | "accept"
                | "accept4"
                | "dup"
                | "dup2"
                | "dup3"
                | "pipe"
                | "pipe2"
                | "eventfd"
                | "eventfd2"
                | "epoll_create"
                | "epoll_create1"
                | "timerfd_create"
                | "memfd_create"
                | "signalfd4"
                | "inotify_init1"
        );
        assert!(!makes_a_descriptor || call.arguments.contains("CLOEXEC"), "{call:?}");
        let makes_a_process =
            matches!(call.name.as_str(), "execve" | "execveat" | "fork" | "vfork" | "clone" | "clone3");
        assert!(!makes_a_process, "{call:?}");
        assert!(!(call.name == "fcntl" && call.arguments.contains("F_DUPFD,")), "{call:?}");
    }
}

fn create_opens_the_node_once_attaches_once_and_starts_no_program() {
    let trace = Strace::new("create").run();
    let create = trace.between("create", "up");
    let opens: Vec<_> = create
        .iter()
        .filter(|call| call.name.starts_with("open") && call.arguments.contains("\"/dev/net/tun\""))
        .collect();
    assert_eq!(opens.len(), 1, "{opens:#?}");
    for flag in ["O_RDWR", "O_NONBLOCK", "O_CLOEXEC"] {
        assert!(opens[0].arguments.contains(flag), "{opens:?}");
    }
    let attaches: Vec<_> =
        create.iter().filter(|call| call.name == "ioctl" && call.arguments.contains("TUNSETIFF")).collect();
    assert_eq!(attaches.len(), 1, "{attaches:#?}");
    assert!(attaches[0].succeeded());
    assert_tidy(create);
    assert_tidy(trace.between("up", "done"));
    // `up` is spoken to the kernel: it opens nothing.
    let up = trace.between("up", "done");
    assert!(up.iter().any(|call| call.name.starts_with("send")), "{up:#?}");
    assert!(!up.iter().any(|call| call.name.starts_with("open") || call.name == "socket"), "{up:#?}");
}

const MANY: usize = 50;

fn receive_many() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    for _ in 0..3 * MANY {
        socket.send_to(b"waiting", far()).unwrap();
    }
    let mut buffer = [0; 1500];
    mark("recv");
    for _ in 0..MANY {
        device.recv(&mut buffer).unwrap();
    }
    mark("try_recv");
    for _ in 0..MANY {
        device.try_recv(&mut buffer).unwrap();
    }
    mark("recv_vectored");
    let (head, tail) = buffer.split_at_mut(20);
    for _ in 0..MANY {
        device.recv_vectored(&mut [IoSliceMut::new(head), IoSliceMut::new(tail)]).unwrap();
    }
    mark("done");
}

fn assert_each(calls: &[Call], name: &str, count: usize) {
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!(names, vec![name; count], "{calls:#?}");
    for call in calls {
        assert!(call.arguments.contains("/dev/net/tun"), "{call:?}");
        assert!(call.succeeded(), "{call:?}");
    }
}

fn a_packet_that_is_there_costs_one_read() {
    let trace = Strace::new("receive").run();
    assert_each(trace.between("recv", "try_recv"), "read", MANY);
    assert_each(trace.between("try_recv", "recv_vectored"), "read", MANY);
    assert_each(trace.between("recv_vectored", "done"), "readv", MANY);
}

fn receive_late() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let sender = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        socket.send_to(b"late", far()).unwrap();
    });
    mark("recv");
    let length = device.recv(&mut [0; 100]).unwrap();
    mark("done");
    assert_eq!(length, 28 + 4);
    sender.join().unwrap();
}

fn an_empty_queue_costs_read_poll_read() {
    let trace = Strace::new("wait").run();
    let calls = trace.between("recv", "done");
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert!(matches!(names[..], ["read", "poll" | "ppoll", "read"]), "{calls:#?}");
    assert!(calls[0].result.contains("EAGAIN"), "{calls:#?}");
    assert!(calls[1].succeeded() && calls[2].succeeded(), "{calls:#?}");
}

fn send_many() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let packet = udp_packet(far(), socket.local_addr().unwrap(), b"sent").unwrap();
    mark("send");
    for _ in 0..MANY {
        device.send(&packet).unwrap();
    }
    mark("try_send");
    for _ in 0..MANY {
        device.try_send(&packet).unwrap();
    }
    mark("send_vectored");
    for _ in 0..MANY {
        device.send_vectored(&[IoSlice::new(&packet[..20]), IoSlice::new(&packet[20..])]).unwrap();
    }
    mark("done");
}

fn a_packet_costs_one_write() {
    let trace = Strace::new("send").run();
    assert_each(trace.between("send", "try_send"), "write", MANY);
    assert_each(trace.between("try_send", "send_vectored"), "write", MANY);
    assert_each(trace.between("send_vectored", "done"), "writev", MANY);
}

fn try_in_vain() {
    let device = tun("tun0");
    mark("try");
    assert!(device.try_recv(&mut [0; 100]).is_err());
    mark("done");
}

fn trying_in_vain_costs_one_read() {
    let trace = Strace::new("try").run();
    let calls = trace.between("try", "done");
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!(calls[0].name, "read");
    assert!(calls[0].result.contains("EAGAIN"), "{calls:#?}");
}

fn interrupt_twice() {
    let stop = Interrupter::new().unwrap();
    mark("interrupt");
    stop.interrupt();
    mark("again");
    stop.interrupt();
    mark("done");
}

/// So a signal handler may do it.
fn an_interrupt_is_one_write_and_another_none() {
    let trace = Strace::new("interrupt").run();
    let calls = trace.between("interrupt", "again");
    let names: Vec<_> = calls.iter().map(|call| call.name.as_str()).collect();
    assert!(matches!(names[..], ["write" | "sendto"]), "{calls:#?}");
    assert!(trace.between("again", "done").is_empty());
}

fn receive_interruptibly() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    for _ in 0..2 * MANY {
        socket.send_to(b"waiting", far()).unwrap();
    }
    let stop = Interrupter::new().unwrap();
    let mut buffer = [0; 1500];
    mark("interruptible");
    for _ in 0..MANY {
        device.recv_interruptible(&mut buffer, &stop).unwrap();
    }
    mark("timed");
    for _ in 0..MANY {
        device.recv_timeout(&mut buffer, Duration::from_secs(1)).unwrap();
    }
    mark("done");
}

fn a_packet_that_is_there_costs_an_interruptible_receive_one_read() {
    let trace = Strace::new("interruptible").run();
    assert_each(trace.between("interruptible", "timed"), "read", MANY);
    assert_each(trace.between("timed", "done"), "read", MANY);
}
