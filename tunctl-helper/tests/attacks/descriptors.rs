//! Descriptors with which the helper is started, or that it is sent.

use std::fs::{self, File};
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use rustix::net::{
    AddressFamily, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, listen, send, shutdown,
};
use tunctl_helper::protocol::{Refusal, Reply};
use tunctl_sys::linux::{InterfaceRequest, iff, io_uring, tun as driver};
use tunctl_testing::{Case, OPEN_NODE, ip, others};

use super::support::helper::Helper;
use super::support::request::{configured, tun};
use super::support::start::Start;
use super::support::steps::{own_steps, steps, stopped_after};
use super::support::{World, attacks, facts, signal_to};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        standard_descriptors_closed,
        a_full_table,
        descriptors_that_only_its_starter_knows,
        extra_descriptors_with_the_request,
        other_files_in_place_of_the_socket,
        other_sockets_in_place_of_the_socket,
        a_tun_descriptor_in_place_of_the_socket,
        a_peer_that_is_gone_at_the_start,
        a_peer_gone_at_each_step,
        a_peer_gone_at_each_step_with_sigpipe_blocked,
        a_peer_that_doesnt_read,
        a_peer_whose_queue_is_full,
    ]
}

fn good() -> Vec<u8> {
    configured("vpn0").to_bytes().to_vec()
}

/// The descriptors of a process.
fn files_of(pid: u32) -> Vec<(u32, String)> {
    let mut files: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, fs::read_link(&path).ok()?.to_string_lossy().into_owned()))
        })
        .collect();
    files.sort();
    files
}

fn standard_descriptors_closed(_: &World) {
    for closed in [&[1][..], &[2], &[1, 2], &[0], &[0, 1], &[0, 2], &[0, 1, 2]] {
        let start =
            closed.iter().fold(Start::new(), |start, number| start.step(&["close", &number.to_string()]));
        let answer = start.ask(good());
        if closed.contains(&0) {
            // Whatever it opens takes the number 0: that is no socket of anybody's.
            assert_eq!(
                (answer.status.code(), answer.datagrams.len()),
                (Some(2), 0),
                "{closed:?}: {answer:?}"
            );
            assert!(others().is_empty());
        } else {
            assert_eq!(answer.granted(), "vpn0", "{closed:?}");
        }
    }
    // While it waits, the standard streams are its own: nothing that it opens can be taken for one of them.
    let start = Start::new().step(&["close", "1"]).step(&["close", "2"]);
    let helper = start.run();
    helper.is_ready();
    let files = files_of(helper.pid());
    let names: Vec<_> = files[..3].iter().map(|(number, file)| (*number, file.as_str())).collect();
    assert!(names[0].1.starts_with("socket:"), "{files:?}");
    assert_eq!(names[1..], [(1, "/dev/null"), (2, "/dev/null")], "{files:?}");
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

fn a_full_table(_: &World) {
    for limit in ["32", "64", "1024"] {
        let helper = Start::new().step(&["full table", limit]).run();
        helper.is_ready();
        let files = files_of(helper.pid());
        assert!(files.len() < 12, "it has closed what it was started with: {files:?}");
        helper.send(&good());
        assert_eq!(helper.answer().granted(), "vpn0", "{limit}");
    }
}

/// Another program's file, which its starter left open, is neither used nor kept.
fn descriptors_that_only_its_starter_knows(_: &World) {
    fs::write("/run/secret", "secret").unwrap();
    let helper = Start::new().step(&["open", "/run/secret"]).step(&["open", OPEN_NODE]).run();
    helper.is_ready();
    let files = files_of(helper.pid());
    assert!(!files.iter().any(|(_, file)| file.contains("secret")), "{files:?}");
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

fn extra_descriptors_with_the_request(_: &World) {
    ip("tuntap add dev other0 mode tun user nobody");
    let other = facts("other0");
    let attached = attached("other0");
    let zero = File::open("/dev/zero").unwrap();
    for count in [1, 2, 100, 253] {
        let mut sent = vec![zero.as_fd(); count];
        sent[0] = attached.as_fd();
        let helper = Start::new().run();
        helper.send_with(&good(), &sent);
        let answer = helper.answer();
        match answer.reply() {
            Some(Reply::Granted(_)) => assert_eq!(answer.granted(), "vpn0"),
            Some(Reply::Refused(Refusal::Malformed)) => assert_eq!(others(), ["other0"]),
            other => panic!("{count}: {other:?}"),
        }
    }
    drop(attached);
    assert_eq!(facts("other0"), other);
    // It never has them: not even for a moment, as it doesn't ask for them.
    let steps = steps(&good());
    let received =
        steps.iter().position(|step| step.call.name.starts_with("recv")).expect("it receives a request");
    for step in &steps[received..] {
        let running = stopped_after_with(step, zero.as_fd());
        assert!(running.is_stopped(), "{step}");
        let files = files_of(running.pid());
        assert!(!files.iter().any(|(_, file)| file == "/dev/zero"), "{step}: {files:?}");
        running.go_on();
        drop(running.helper.answer());
    }
    ip("link delete other0");
}

/// As [`stopped_after`], where the request comes with a descriptor.
fn stopped_after_with(
    step: &super::support::steps::Step,
    descriptor: std::os::fd::BorrowedFd<'_>,
) -> super::support::trace::Running {
    let running = super::support::trace::Traced::new().inject(&step.inject("signal=SIGSTOP")).run();
    running.helper.send_with(&good(), &[descriptor]);
    running
}

/// A descriptor that is attached to an interface.
fn attached(name: &str) -> OwnedFd {
    let file = File::options().read(true).write(true).open(OPEN_NODE).unwrap();
    let mut request = InterfaceRequest::new(name.as_bytes(), iff::TUN | iff::NO_PI).unwrap();
    driver::set_iff(file.as_fd(), &mut request).unwrap();
    file.into()
}

/// Started with something else than a socket as its standard input, it says so, and does nothing.
fn is_not_spoken_to(what: &str, input: OwnedFd) {
    let (ours, _) = Helper::pair();
    let answer = Start::new().run_with(input, ours).answer();
    assert_eq!(answer.status.code(), Some(2), "{what}: {answer:?}");
    answer.is_not_spoken_to();
    assert!(answer.took.as_secs() < 5, "{what}: {answer:?}");
}

fn other_files_in_place_of_the_socket(_: &World) {
    let before = others();
    fs::write("/run/file", good()).unwrap();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    nix::unistd::write(&writer, &good()).unwrap();
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
    epoll.add(&reader, EpollEvent::new(EpollFlags::EPOLLIN, 0)).unwrap();
    is_not_spoken_to("an epoll set", epoll.0);
    is_not_spoken_to("a pipe to read", reader);
    is_not_spoken_to("a pipe to write", writer);
    match io_uring::ring(8) {
        Ok(ring) => is_not_spoken_to("a ring of io_uring", ring),
        Err(error) => println!("no ring: {error}"),
    }
    is_not_spoken_to("an event counter", EventFd::new().unwrap().into());
    for path in ["/run/file", "/run", "/dev/null", "/dev/zero", "/proc/self/ns/net", "/proc/self/mem"] {
        is_not_spoken_to(path, File::open(path).unwrap().into());
    }
    let terminal = nix::pty::openpty(None, None).unwrap();
    is_not_spoken_to("a terminal", terminal.slave);
    // Control: a pair of sockets.
    let (ours, theirs) = Helper::pair();
    assert_eq!(others(), before);
    let helper = Start::new().run_with(theirs, ours);
    helper.send(&good());
    assert_eq!(helper.answer().granted(), "vpn0");
}

fn other_sockets_in_place_of_the_socket(_: &World) {
    let (stream, far) = UnixStream::pair().unwrap();
    let (datagram, far_datagram) = UnixDatagram::pair().unwrap();
    std::io::Write::write_all(&mut &far, &good()).unwrap();
    far_datagram.send(&good()).unwrap();
    is_not_spoken_to("a stream", stream.into());
    is_not_spoken_to("datagrams", datagram.into());
    let anywhere = "0.0.0.0:0";
    is_not_spoken_to("UDP", UdpSocket::bind(anywhere).unwrap().into());
    is_not_spoken_to("TCP", TcpListener::bind(anywhere).unwrap().into());
    let new = |family, kind| rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
    is_not_spoken_to("netlink", new(AddressFamily::NETLINK, SocketType::RAW));
    let listener = new(AddressFamily::UNIX, SocketType::SEQPACKET);
    bind(&listener, &SocketAddrUnix::new("/run/socket").unwrap()).unwrap();
    listen(&listener, 1).unwrap();
    // The kernel tells neither from a pair until something is received: then it is an error.
    for (what, socket) in
        [("nothing", new(AddressFamily::UNIX, SocketType::SEQPACKET)), ("those who connect", listener)]
    {
        let (ours, _) = Helper::pair();
        let answer = Start::new().run_with(socket, ours).answer();
        assert!([Some(1), Some(2)].contains(&answer.status.code()), "{what}: {answer:?}");
    }
    assert!(others().is_empty());
    assert_eq!(Start::new().ask(good()).granted(), "vpn0");
}

fn a_tun_descriptor_in_place_of_the_socket(_: &World) {
    is_not_spoken_to("a TUN node", File::options().read(true).write(true).open(OPEN_NODE).unwrap().into());
    ip("tuntap add dev vpn0 mode tun user nobody");
    let descriptor = attached("vpn0");
    let before = facts("vpn0");
    is_not_spoken_to("a device", descriptor.try_clone().unwrap());
    assert_eq!(facts("vpn0"), before);
    drop(descriptor);
    ip("link delete vpn0");
    assert_eq!(Start::new().ask(good()).granted(), "vpn0");
}

fn a_peer_that_is_gone_at_the_start(world: &World) {
    let (ours, theirs) = Helper::pair();
    let helper = Start::new().run_with(theirs, ours);
    assert_eq!(helper.hang_up().code(), Some(1));
    world.is_as_before();
    // The request is still there to be read, and there is nobody to reply to.
    let (ours, theirs) = Helper::pair();
    send(&ours, &good(), SendFlags::NOSIGNAL).unwrap();
    drop(ours);
    let (unused, _) = Helper::pair();
    let status = Start::new().run_with(theirs, unused).hang_up();
    assert_eq!(status.code(), Some(1), "{status}");
    world.is_as_before();
}

/// Nobody is left who has the descriptor, so nothing is left.
fn a_peer_gone_at_each_step(world: &World) {
    let (mut failed, mut sent) = (0, 0);
    for step in own_steps(&good()) {
        let running = stopped_after(&step, &good());
        assert!(running.is_stopped(), "{step}");
        let (pid, log) = (running.pid(), running.log);
        let status = running.helper.hang_up_and(|| {
            signal_to(pid, Signal::SIGCONT);
        });
        drop(log);
        match status.code() {
            Some(1) => failed += 1,
            // It had sent its reply, which nobody has read.
            Some(0) => sent += 1,
            _ => panic!("{step}: {status}"),
        }
        world.is_as_before();
    }
    assert!(failed > 10 && sent > 0, "{failed} could not reply, {sent} had replied");
    // Control: the interface is there as long as the peer is.
    assert_eq!(Start::new().ask(good()).granted(), "vpn0");
}

fn a_peer_gone_at_each_step_with_sigpipe_blocked(world: &World) {
    let pipe = SigSet::from_iter([Signal::SIGPIPE]);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&pipe), None).unwrap();
    a_peer_gone_at_each_step(world);
}

fn a_peer_that_doesnt_read(world: &World) {
    let (ours, theirs) = Helper::pair();
    shutdown(&ours, Shutdown::Read).unwrap();
    let helper = Start::new().run_with(theirs, ours);
    helper.send(&good());
    let answer = helper.answer();
    assert_eq!((answer.status.code(), answer.datagrams.len()), (Some(1), 0), "{answer:?}");
    world.is_as_before();
    assert_eq!(Start::new().ask(tun("vpn0").to_bytes()).granted(), "vpn0");
}

/// Its end of the pair takes no more, so that a reply waits: until the time limit, and no longer.
fn a_peer_whose_queue_is_full(world: &World) {
    let (ours, theirs) = Helper::pair();
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    while send(&theirs, &[0; 4000], flags).is_ok() {}
    while send(&theirs, &[0], flags).is_ok() {}
    let helper = Start::new().run_with(theirs, ours);
    helper.send(&good());
    thread::sleep(Duration::from_secs(1));
    // It holds nothing up meanwhile.
    assert_eq!(Start::new().ask(tun("vpn1").to_bytes()).granted(), "vpn1");
    assert_eq!(others(), ["vpn0"]);
    let status = helper.end();
    assert_eq!(status.signal(), Some(Signal::SIGALRM as i32), "{status}");
    world.is_as_before();
    assert_eq!(Start::new().ask(good()).granted(), "vpn0");
}
