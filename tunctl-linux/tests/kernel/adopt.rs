//! Descriptors that another program opened become devices, and devices become descriptors.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tunctl_core::{Adopt, CreateFlags, CreateOptions, Interface, Layer, Queues, TunDevice};
use tunctl_packet::header::{Endian, HeaderKind, VnetFormat, VnetLength};
use tunctl_packet::udp_packet;
use tunctl_sys::linux::{iff, tun as driver};
use tunctl_testing::{
    Case, OtherNamespace, Snapshot, Strace, addresses, case, driver_report, exists, ip, is_close_on_exec,
    link, mark, open_files,
};

use super::support::{address, ask_kernel, backend, name, quiet_tun, tun, udp_payload};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(an_adopted_device_is_what_another_program_made_of_it),
        case!(an_adopted_device_configures_its_interface),
        case!(an_adopted_device_is_non_blocking_and_close_on_exec),
        case!(a_device_that_is_handed_over_stays_attached_and_takes_one_descriptor),
        case!(a_device_is_handed_over_while_another_thread_asks_its_interface),
        case!(a_detached_queue_stays_detached),
        case!(a_virtio_net_header_of_another_format_is_carried),
        case!(an_interface_in_another_namespace_is_configured_there),
        case!(an_interface_that_moved_is_found_where_it_is),
        case!(adopting_asks_and_changes_nothing).entry("adopt", adopt_between_marks).needs_tool("strace"),
        case!(a_failure_at_any_step_of_adopt_gives_the_descriptor_back_or_leaves_the_interface_unknown)
            .entry("adopt", adopt_between_marks)
            .needs_tool("strace"),
    ]
}

/// A descriptor as another program makes it: neither non-blocking nor by this library.
pub(crate) fn raw(name: &str, flags: u16) -> OwnedFd {
    ask_kernel(name.as_bytes(), flags).unwrap().0.into()
}

/// Each kind of device: its flags, and the headers in front of its packets.
pub(crate) fn kinds() -> Vec<(u16, HeaderKind)> {
    let format = VnetFormat::default();
    let headers = [
        (iff::NO_PI, HeaderKind::Bare),
        (0, HeaderKind::PacketInfo),
        (iff::NO_PI | iff::VNET_HDR, HeaderKind::Vnet(format)),
        (iff::VNET_HDR, HeaderKind::PacketInfoAndVnet(format)),
    ];
    let layers = [iff::TUN, iff::TAP, iff::TUN | iff::MULTI_QUEUE, iff::TAP | iff::MULTI_QUEUE];
    layers.iter().flat_map(|layer| headers.map(|(flags, kind)| (layer | flags, kind))).collect()
}

/// How many packets from the program the kernel has dropped, by iproute2.
pub(crate) fn dropped(name: &str) -> u64 {
    let link = tunctl_testing::ip_json(&format!("-s link show dev {name}")).remove(0);
    link["stats64"]["rx"]["dropped"].as_u64().unwrap()
}

fn an_adopted_device_is_what_another_program_made_of_it() {
    for (flags, headers) in kinds() {
        let fd = raw("vpn0", flags);
        ip("link set vpn0 mtu 1400");
        let device = backend().adopt(fd).unwrap();
        let layer = if flags & iff::TUN != 0 { Layer::Tun } else { Layer::Tap };
        assert_eq!((device.layer(), device.header_kind()), (layer, headers), "{flags:#x}");
        assert_eq!(device.flags(), CreateFlags::from_bits(flags).unwrap());
        assert_eq!(device.name().unwrap(), name("vpn0"));
        let reported = link("vpn0").unwrap();
        let info = device.interface().info().unwrap();
        assert_eq!(u64::from(info.index.get()), reported["ifindex"].as_u64().unwrap());
        assert_eq!((info.mtu.get(), info.flags), (1400, device.flags()));
        // With the right to ask, no packet was needed.
        assert_eq!(dropped("vpn0"), 0);
        drop(device);
        assert!(!exists("vpn0"));
    }
}

fn an_adopted_device_configures_its_interface() {
    super::support::without_ipv6();
    let device = backend().adopt(raw("tun0", iff::TUN | iff::NO_PI)).unwrap();
    device.up(address("10.77.0.1/24")).unwrap();
    assert_eq!(addresses("tun0")[0]["local"], "10.77.0.1");
    let socket = super::support::socket("10.77.0.1:0");
    socket.send_to(b"hello", "10.77.0.2:9").unwrap();
    let mut packet = [0; 1500];
    let length = device.recv(&mut packet).unwrap();
    assert_eq!(udp_payload(&packet[..length]), b"hello");
    let answer = udp_packet("10.77.0.2:9".parse().unwrap(), socket.local_addr().unwrap(), b"back").unwrap();
    device.send(&answer).unwrap();
    assert_eq!(socket.recv(&mut packet).unwrap(), 4);
    device.destroy().unwrap();
    assert!(!exists("tun0"));
}

fn an_adopted_device_is_non_blocking_and_close_on_exec() {
    let fd = raw("tun0", iff::TUN | iff::NO_PI);
    let other = fd.try_clone().unwrap();
    fcntl(&fd, FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    assert!(!is_close_on_exec(&fd));
    let device = backend().adopt(fd).unwrap();
    assert!(is_close_on_exec(&device));
    assert!(device.try_recv(&mut [0; 100]).unwrap_err().is_would_block());
    // The open file is one, whoever has a descriptor of it.
    let flags = OFlag::from_bits_retain(fcntl(&other, FcntlArg::F_GETFL).unwrap());
    assert!(flags.contains(OFlag::O_NONBLOCK));
}

fn a_device_that_is_handed_over_stays_attached_and_takes_one_descriptor() {
    let before = Snapshot::take();
    let device = tun("tun0");
    let (index, held) = (device.interface().index(), open_files());
    let fd = OwnedFd::from(device);
    // The device had a netlink socket beside it.
    assert_eq!((open_files().len(), held.len()), (before.file_count() + 1, before.file_count() + 2));
    assert_eq!(driver_report("tun0")["type"], "tun");
    let entry = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).unwrap();
    assert!(entry.contains("iff:\ttun0\n"), "{entry}");
    let device = backend().adopt(fd).unwrap();
    assert_eq!(device.interface().index(), index);
    assert_eq!(open_files().len(), held.len());
    drop(OwnedFd::from(device));
    assert_eq!(Snapshot::take(), before);
}

fn a_device_is_handed_over_while_another_thread_asks_its_interface() {
    let mut device = tun("tun0");
    for _ in 0..200 {
        let interface = device.interface().clone();
        let fd = thread::scope(|scope| {
            let asking = scope.spawn(|| interface.info().is_ok());
            let fd = OwnedFd::from(device);
            assert!(asking.join().unwrap());
            fd
        });
        device = backend().adopt(fd).unwrap();
    }
    let before = open_files().len();
    drop(device);
    assert_eq!(open_files().len(), before - 2);
    assert!(!exists("tun0"));
}

fn a_detached_queue_stays_detached() {
    let flags = iff::TUN | iff::NO_PI | iff::MULTI_QUEUE;
    let (one, two) = (raw("mq0", flags), raw("mq0", flags));
    driver::set_queue(two.as_fd(), false).unwrap();
    let (_one, two) = (backend().adopt(one).unwrap(), backend().adopt(two).unwrap());
    assert_eq!(driver_report("mq0")["numdisabled"], 1);
    two.attach_queue().unwrap();
    let report = driver_report("mq0");
    assert_eq!((&report["numqueues"], &report["numdisabled"]), (&2.into(), &0.into()));
}

fn a_virtio_net_header_of_another_format_is_carried() {
    super::support::without_ipv6();
    for length in VnetLength::ALL {
        let fd = raw("tun0", iff::TUN | iff::NO_PI | iff::VNET_HDR);
        driver::set_vnet_header_size(fd.as_fd(), i32::try_from(length.bytes()).unwrap()).unwrap();
        let device = backend().adopt(fd).unwrap();
        assert_eq!(device.header_kind(), HeaderKind::Vnet(VnetFormat::new(length, Endian::Native)));
        assert_eq!(device.longest_packet().unwrap(), 1500 + length.bytes());
        device.up(address("10.77.0.1/24")).unwrap();
        let socket = super::support::socket("10.77.0.1:0");
        socket.send_to(b"hello", "10.77.0.2:9").unwrap();
        let mut packet = [0; 1600];
        let received = device.recv(&mut packet).unwrap();
        let (_, packet) = device.header_kind().parse(&packet[..received]).unwrap();
        assert_eq!(udp_payload(packet), b"hello");
        // As many bytes as there are headers have no packet behind them.
        let error = super::support::refused(device.send(&vec![0; length.bytes()]));
        assert_eq!(error.cause(), tunctl_core::Cause::TooShort, "{error}");
    }
}

fn an_interface_in_another_namespace_is_configured_there() {
    let there = OtherNamespace::new();
    // The stranger has the same name and the same index.
    let stranger = tun("tun0");
    let before = Snapshot::take();
    let fd = there.run(|| raw("tun0", iff::TUN | iff::NO_PI));
    let (here, tasks) = (fs::read_link("/proc/thread-self/ns/net").unwrap(), tasks());
    let device = backend().adopt(fd).unwrap();
    assert_eq!(fs::read_link("/proc/thread-self/ns/net").unwrap(), here);
    assert_eq!(self::tasks(), tasks, "the thread that went there has ended");
    device.up(address("10.1.1.1/24")).unwrap();
    assert_eq!(there.run(|| addresses("tun0"))[0]["local"], "10.1.1.1");
    device.destroy().unwrap();
    assert!(!there.run(|| exists("tun0")));
    assert_eq!(Snapshot::take(), before);
    drop(stranger);
}

fn tasks() -> usize {
    // A thread that has been joined may still be leaving.
    thread::sleep(Duration::from_millis(50));
    fs::read_dir("/proc/self/task").unwrap().count()
}

fn an_interface_that_moved_is_found_where_it_is() {
    let there = OtherNamespace::new();
    let fd = raw("tun0", iff::TUN | iff::NO_PI);
    ip(&format!("link set dev tun0 netns {}", there.path()));
    let stranger = tun("tun0");
    let device = backend().adopt(fd).unwrap();
    device.interface().set_mtu("1300".parse().unwrap()).unwrap();
    assert_eq!(there.run(|| link("tun0")).unwrap()["mtu"], 1300);
    assert_eq!(link("tun0").unwrap()["mtu"], 1500);
    drop(stranger);
}

fn adopt_between_marks() {
    let (device, socket) = quiet_tun(CreateOptions::tun().vnet_header(true));
    socket.send_to(b"waits", "10.77.0.2:9").unwrap();
    let mut fd = OwnedFd::from(device);
    let before = open_files().len();
    mark("from");
    let outcome = backend().adopt(fd);
    mark("to");
    match outcome {
        Ok(device) => {
            match device.interface().info() {
                Ok(info) => println!("adopted {}", info.name),
                Err(error) => println!("{:?}: {error}", error.cause()),
            }
            let mut packet = [0; 1500];
            let length = device.try_recv(&mut packet).unwrap();
            assert_eq!(udp_payload(&packet[10..length]), b"waits");
            fd = device.into();
        }
        Err(failed) => {
            println!("{:?}: {failed}", failed.error().cause());
            fd = failed.into_fd();
            let mut packet = [0; 1500];
            let length = File::from(fd.try_clone().unwrap()).read(&mut packet).unwrap();
            assert_eq!(udp_payload(&packet[10..length]), b"waits");
        }
    }
    assert_eq!(open_files().len(), before, "{:?}", open_files());
    drop(fd);
    assert!(!exists("tun0"));
}

fn adopting_asks_and_changes_nothing() {
    let trace = Strace::new("adopt").run();
    assert_eq!(trace.printed, "adopted tun0\n");
    let requests: Vec<_> = trace.between("from", "to").iter().filter(|call| call.name == "ioctl").collect();
    assert!(!requests.is_empty());
    for request in requests {
        assert!(
            ["TUNGET", "TUNGETDEVNETNS", "0x54e3", "NS_GET_"]
                .iter()
                .any(|get| request.arguments.contains(get)),
            "{request:?}"
        );
    }
}

fn a_failure_at_any_step_of_adopt_gives_the_descriptor_back_or_leaves_the_interface_unknown() {
    let healthy = Strace::new("adopt").run();
    let mut failed = 0;
    for (call, position) in healthy.numbered_between("from", "to") {
        let errno = match call.name.as_str() {
            "ioctl" => "EPERM",
            "socket" | "openat" => "EMFILE",
            "fcntl" => "EINVAL",
            "bind" | "connect" | "sendto" | "recvfrom" | "fstat" | "newfstatat" | "statx" => "ENOBUFS",
            _ => continue,
        };
        let trace = Strace::new("adopt").fail(&call.name, errno, position).attempt();
        assert!(trace.failure.is_none(), "when {call:?}: {:?}", trace.failure);
        failed += usize::from(trace.printed != "adopted tun0\n");
        let kind = trace.printed.split(':').next().unwrap();
        assert!(
            ["adopted tun0\n", "Sandboxed", "TooManyOpenFiles", "UnknownInterface", "Other"].contains(&kind),
            "when {call:?}: {}",
            trace.printed
        );
    }
    assert!(failed > 4, "{failed}");
}
