//! A program without any right adopts a descriptor: what can then not be known is unknown, and not wrong.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use nix::libc::{AF_NETLINK, EAFNOSUPPORT};
use tunctl_core::{Adopt, Cause, CreateFlags, Error, Interface, InterfaceIndex, Layer, TunDevice};
use tunctl_linux::LinuxDevice;
use tunctl_packet::udp_packet;
use tunctl_sys::linux::{iff, seccomp};
use tunctl_testing::{
    Case, OtherNamespace, addresses, case, entry, exists, finish, ip, link, mark, open_files,
};

use super::adopt::{dropped, kinds, raw};
use super::support::{backend, name, refused, socket, tun, udp_payload, without_ipv6};

const NOBODY: u32 = 65534;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(without_any_right_the_interface_is_proven_by_what_it_counts)
            .entry("known", adopt_and_know)
            .needs_root(),
        case!(without_any_right_packets_are_received_and_sent).entry("echo", adopt_and_echo).needs_root(),
        case!(a_stranger_of_the_same_name_is_not_taken_for_the_interface)
            .entry("unknown", adopt_and_not_know)
            .needs_root(),
        case!(a_stranger_that_drops_packets_itself_is_not_taken_for_the_interface)
            .entry("unknown", adopt_and_not_know)
            .needs_root()
            .limit(Duration::from_secs(120)),
        case!(an_interface_that_drops_other_packets_meanwhile_is_found_all_the_same)
            .entry("found", adopt_often)
            .needs_root()
            .limit(Duration::from_secs(120)),
        case!(without_netlink_the_interface_is_unknown_and_packets_pass)
            .entry("sandboxed", adopt_without_netlink)
            .needs_root(),
        case!(without_netlink_every_kind_of_device_is_what_it_is)
            .entry("sandboxed", adopt_a_kind_without_netlink)
            .needs_root(),
        case!(a_namespace_that_may_not_be_entered_leaves_the_interface_unknown)
            .entry("kept out", adopt_without_entering)
            .needs_root()
            .needs_tool("setpriv"),
        case!(a_device_of_an_unknown_interface_is_destroyed_by_closing)
            .entry("destroy", adopt_and_destroy)
            .needs_root(),
    ]
}

/// Runs an entry as a user without any right, with a descriptor as its standard input.
fn as_nobody(wanted: &str, fd: &OwnedFd, flags: u16) -> String {
    let mut command = entry(wanted);
    command.uid(NOBODY).gid(NOBODY).stdin(Stdio::from(fd.try_clone().unwrap()));
    finish(command.env("FLAGS", flags.to_string()))
}

/// The descriptor that the entry was given.
fn given() -> OwnedFd {
    std::io::stdin().as_fd().try_clone_to_owned().unwrap()
}

fn flags() -> u16 {
    std::env::var("FLAGS").unwrap().parse().unwrap()
}

fn adopted() -> LinuxDevice {
    let before = open_files().len();
    let device = backend().adopt(given()).unwrap();
    assert!(open_files().len() <= before + 2, "a descriptor, and a socket");
    device
}

fn adopt_and_know() {
    assert_ne!(backend_creates(), None, "this is no program without rights");
    let device = adopted();
    let expected = CreateFlags::from_bits(flags()).unwrap();
    assert_eq!(device.flags(), expected);
    let info = device.interface().info().unwrap();
    println!("{} {}", info.index, device.header_kind().length());
    let error = refused(device.interface().set_mtu("1300".parse().unwrap()));
    assert_eq!(error.cause(), Cause::MissingCapability, "{error}");
}

/// Why no device can be created here.
fn backend_creates() -> Option<Cause> {
    use tunctl_core::{CreateOptions, TunBackend};
    backend().create(&CreateOptions::tun()).err().map(|error| error.cause())
}

fn without_any_right_the_interface_is_proven_by_what_it_counts() {
    for (flags, headers) in kinds() {
        for state in ["down", "up"] {
            let fd = raw("vpn0", flags);
            ip(&format!("link set vpn0 {state}"));
            let printed = as_nobody("known", &fd, flags);
            let index = &link("vpn0").unwrap()["ifindex"];
            assert_eq!(printed, format!("{index} {}\n", headers.length()), "{flags:#x}");
            assert_eq!(dropped("vpn0"), 5, "{flags:#x}");
            drop(fd);
            assert!(!exists("vpn0"));
        }
    }
}

fn adopt_and_echo() {
    let device = adopted();
    let mut packet = [0; 1500];
    let length = device.recv_timeout(&mut packet, Duration::from_secs(10)).unwrap();
    assert_eq!(udp_payload(&packet[..length]), b"hello");
    let back = udp_packet("10.77.0.2:9".parse().unwrap(), port(), b"back").unwrap();
    device.send(&back).unwrap();
    println!("{} {:?}", device.name().unwrap(), device.layer());
}

/// The address of the socket that waits for an answer.
fn port() -> std::net::SocketAddr {
    format!("10.77.0.1:{}", flags()).parse().unwrap()
}

/// Sends a packet to the entry, which sends one back.
fn echo_by(wanted: &str) -> String {
    without_ipv6();
    let fd = raw("tun0", iff::TUN | iff::NO_PI);
    ip("address add 10.77.0.1/24 dev tun0");
    ip("link set tun0 up");
    let socket = socket("10.77.0.1:0");
    socket.send_to(b"hello", "10.77.0.2:9").unwrap();
    let printed = as_nobody(wanted, &fd, socket.local_addr().unwrap().port());
    let mut answer = [0; 100];
    assert_eq!(socket.recv(&mut answer).unwrap(), 4);
    assert_eq!(&answer[..4], b"back");
    printed
}

fn without_any_right_packets_are_received_and_sent() {
    assert_eq!(echo_by("echo"), "tun0 Tun\n");
}

/// Every operation of an unknown interface says so.
fn assert_unknown(device: &LinuxDevice, word: &str) {
    let interface = device.interface();
    assert_eq!(interface.index(), InterfaceIndex::UNKNOWN);
    let mtu = "1300".parse().unwrap();
    let errors: [Error; 10] = [
        refused(interface.info()),
        refused(interface.addresses()),
        refused(interface.dropped()),
        refused(interface.set_mtu(mtu)),
        refused(interface.unchecked().set_mtu(mtu)),
        refused(device.up("10.9.9.9/24".parse().unwrap())),
        refused(device.down()),
        refused(interface.rename(&name("other"))),
        refused(interface.delete()),
        refused(device.longest_packet()),
    ];
    for error in errors {
        assert_eq!(error.cause(), Cause::UnknownInterface, "{error}");
        assert!(error.to_string().contains(word) && error.remedy().is_some(), "{error}");
    }
    refused(interface.holders());
    assert_eq!(device.name().unwrap(), name("tun0"));
}

fn adopt_and_not_know() {
    let device = adopted();
    assert_unknown(&device, "no interface of this network namespace could be shown to be it");
    assert_eq!((device.layer(), device.flags().bits()), (Layer::Tun, flags()));
    println!("{:?}", backend_interface(&device));
}

/// The way out, for a program that knows better: the interface of that name, in this namespace.
fn backend_interface(device: &LinuxDevice) -> u32 {
    use tunctl_core::TunBackend;
    backend().interface(&device.name().unwrap()).unwrap().index().get()
}

/// A descriptor of an interface that is elsewhere, and has a stranger here that is exactly like it.
fn with_a_stranger() -> (OtherNamespace, OwnedFd, LinuxDevice) {
    let there = OtherNamespace::new();
    let fd = there.run(|| raw("tun0", iff::TUN | iff::NO_PI));
    (there, fd, tun("tun0"))
}

fn a_stranger_of_the_same_name_is_not_taken_for_the_interface() {
    let (there, fd, stranger) = with_a_stranger();
    let before = link("tun0");
    let printed = as_nobody("unknown", &fd, iff::TUN | iff::NO_PI);
    assert_eq!(printed, format!("{}\n", stranger.interface().index()));
    assert_eq!((link("tun0"), dropped("tun0"), addresses("tun0").len()), (before, 0, 0));
    // The packets were refused where they came from: two, then it was clear; and one for the headers.
    assert_eq!(there.run(|| dropped("tun0")), 3);
}

fn a_stranger_that_drops_packets_itself_is_not_taken_for_the_interface() {
    let (_there, fd, stranger) = with_a_stranger();
    thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let dropping = &stranger;
        scope.spawn(move || {
            // No packet of a tun begins so.
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                refused(dropping.try_send(&[0; 20]));
            }
        });
        for _ in 0..20 {
            as_nobody("unknown", &fd, iff::TUN | iff::NO_PI);
        }
        drop(stop);
    });
    assert!(dropped("tun0") > 1000);
}

fn adopt_often() {
    let found = (0..50).filter(|_| adopted().interface().info().is_ok()).count();
    println!("{found}");
}

fn an_interface_that_drops_other_packets_meanwhile_is_found_all_the_same() {
    let fd = raw("tun0", iff::TUN | iff::NO_PI);
    let device = backend().adopt(fd.try_clone().unwrap()).unwrap();
    let printed = thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || {
            // Some, as a program with a fault sends.
            while stopped.recv_timeout(Duration::from_micros(300))
                == Err(std::sync::mpsc::RecvTimeoutError::Timeout)
            {
                refused(device.try_send(&[0; 20]));
            }
        });
        let printed = as_nobody("found", &fd, 0);
        drop(stop);
        printed
    });
    assert_eq!(printed, "50\n");
}

/// As Android's and systemd's filters do.
fn refuse_netlink() {
    seccomp::refuse_sockets(AF_NETLINK, EAFNOSUPPORT).unwrap();
}

fn adopt_without_netlink() {
    refuse_netlink();
    mark("sandboxed");
    let device = adopted();
    assert_unknown(&device, "a sandbox forbids AF_NETLINK sockets");
    let error = refused(device.interface().info());
    assert!(error.remedy().unwrap().contains("RestrictAddressFamilies="), "{error}");
    assert_eq!(error.raw_os_error(), Some(EAFNOSUPPORT));
    assert_eq!(device.flags(), CreateFlags::TUN | CreateFlags::NO_PI);
    let mut packet = [0; 1500];
    let length = device.recv_timeout(&mut packet, Duration::from_secs(10)).unwrap();
    assert_eq!(udp_payload(&packet[..length]), b"hello");
    device.send(&udp_packet("10.77.0.2:9".parse().unwrap(), port(), b"back").unwrap()).unwrap();
    let clone = device.try_clone().unwrap();
    assert_eq!(refused(clone.interface().info()).cause(), Cause::UnknownInterface);
    println!("{} {:?}", device.name().unwrap(), device.layer());
}

fn without_netlink_the_interface_is_unknown_and_packets_pass() {
    assert_eq!(echo_by("sandboxed"), "tun0 Tun\n");
    assert!(!exists("tun0"));
}

fn adopt_a_kind_without_netlink() {
    refuse_netlink();
    let device = adopted();
    assert_eq!(device.flags(), CreateFlags::from_bits(flags()).unwrap());
    println!("{}", device.header_kind().length());
}

fn without_netlink_every_kind_of_device_is_what_it_is() {
    for (flags, headers) in kinds() {
        for state in ["down", "up"] {
            let fd = raw("vpn0", flags);
            ip(&format!("link set vpn0 {state}"));
            let printed = as_nobody("sandboxed", &fd, flags);
            assert_eq!(printed, format!("{}\n", headers.length()), "{flags:#x}");
            // Only a bare packet of a tun gets as far as to be counted.
            let counted = u64::from(flags & !iff::MULTI_QUEUE == iff::TUN | iff::NO_PI);
            assert_eq!(dropped("vpn0"), counted, "{flags:#x}");
        }
    }
}

fn adopt_without_entering() {
    assert_unknown(&adopted(), "another network namespace, which this program may not enter");
}

fn a_namespace_that_may_not_be_entered_leaves_the_interface_unknown() {
    let (_there, fd, _stranger) = with_a_stranger();
    let program = entry("kept out");
    let mut limited = std::process::Command::new("setpriv");
    limited
        .args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"])
        .arg(std::env::current_exe().unwrap());
    limited.envs(program.get_envs().filter_map(|(key, value)| Some((key, value?))));
    finish(limited.stdin(Stdio::from(fd)));
}

fn adopt_and_destroy() {
    // Standard input is a descriptor of it, too, and keeps it alive.
    let error = refused(adopted().destroy());
    assert_eq!((error.cause(), error.holders().len()), (Cause::Busy, 1), "{error}");
    let last = given();
    nix::unistd::dup2_stdin(File::open("/dev/null").unwrap()).unwrap();
    let device = backend().adopt(last).unwrap();
    device.set_persist(true).unwrap();
    device.destroy().unwrap();
}

fn a_device_of_an_unknown_interface_is_destroyed_by_closing() {
    let (there, fd, _stranger) = with_a_stranger();
    let mut command = entry("destroy");
    finish(command.uid(NOBODY).gid(NOBODY).stdin(Stdio::from(fd)));
    // The command keeps what it gives, until it is dropped.
    drop(command);
    assert!(!there.run(|| exists("tun0")));
    assert!(exists("tun0"));
}
