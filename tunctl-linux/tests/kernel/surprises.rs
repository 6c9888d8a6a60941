//! What the kernel does that nobody expects, and that once went wrong here.

use std::ffi::OsStr;
use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{self, Command};
use std::time::Duration;

use tunctl_core::{
    Cause, CreateOptions, Interface, InterfaceConfig, InterfaceName, State, TunBackend, TunDevice,
};
use tunctl_packet::udp_packet;
use tunctl_sys::linux::{InterfaceRequest, iff, tun as driver};
use tunctl_testing::{Case, OtherNamespace, addresses, case, ip, link};

use super::support::{address, backend, create, exists, open, refused, tun};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_stranger_of_another_driver_is_left_alone),
        case!(a_stranger_that_took_the_index_of_a_moved_interface_is_left_alone),
        case!(a_moved_interface_is_not_destroyed_under_another_queue),
        case!(a_queue_with_another_header_size_is_not_joined),
        case!(a_name_or_an_alias_that_is_not_utf_8_hides_nothing),
        case!(an_ipv6_address_of_a_tun_is_in_service_at_once),
    ]
}

/// A handle for an index that `ip link add … index` has given to a veth.
fn a_stranger_of_another_driver_is_left_alone() {
    let device = tun("mine");
    let found = backend().interface(&"mine".parse().unwrap()).unwrap();
    ip("link delete mine");
    ip(&format!("link add stranger index {} type veth peer name other", found.index()));
    ip("address add 10.1.1.1/24 dev stranger");
    let seen = || (link("stranger").unwrap(), addresses("stranger"));
    let before = seen();
    for interface in [&found, device.interface()] {
        for outcome in [
            interface.set_mtu("1400".parse().unwrap()),
            interface.set_state(State::Up),
            interface.set_state(State::Down),
            interface.set_mac("02:00:00:00:00:01".parse().unwrap()),
            interface.set_queue_length(7),
            interface.set_description(c"mine"),
            interface.rename(&"mine".parse().unwrap()),
            interface.add_address(address("10.1.1.2/24")).map(drop),
            interface.remove_address(address("10.1.1.1/24")),
            interface.replace_addresses(&[]),
            interface.apply(&InterfaceConfig::new().mtu(1400).up()),
            interface.delete(),
        ] {
            assert!(refused(outcome).is_gone());
            assert_eq!(seen(), before);
        }
    }
}

fn a_stranger_that_took_the_index_of_a_moved_interface_is_left_alone() {
    let device = tun("mine");
    let elsewhere = OtherNamespace::new();
    let stranger = elsewhere.run(|| tun("stranger"));
    let index = |name: &str| link(name).unwrap()["ifindex"].as_u64().unwrap();
    let ours = index("mine");
    let there = OtherNamespace::new();
    ip(&format!("link set mine netns {}", there.path()));
    elsewhere.run(|| ip(&format!("link set stranger netns {}", process::id())));
    assert_eq!(index("stranger"), ours, "an interface keeps its index where that is free");

    for outcome in [device.up(address("10.1.1.1/24")), device.down()] {
        assert!(refused(outcome).is_gone());
    }
    assert!(addresses("stranger").is_empty());
    device.destroy().unwrap();
    assert!(!there.run(|| exists("mine")));
    assert!(exists("stranger"));
    drop(stranger);
}

fn a_moved_interface_is_not_destroyed_under_another_queue() {
    let options = || CreateOptions::tun().multi_queue(true);
    let first = create(options(), "queues");
    let second = open(options(), "queues").unwrap();
    first.set_persist(true).unwrap();
    let there = OtherNamespace::new();
    ip(&format!("link set queues netns {}", there.path()));
    let failed = first.destroy().unwrap_err();
    assert_eq!(failed.error().cause(), Cause::Busy, "{failed}");
    assert_eq!(failed.error().holders()[0].pid, process::id());
    let first = failed.into_device().unwrap();
    let persists = || there.run(|| link("queues").unwrap()["linkinfo"]["info_data"]["persist"].as_bool());
    assert_eq!(persists(), Some(true), "as it was before");
    drop(second);
    first.destroy().unwrap();
    assert!(!there.run(|| exists("queues")));
}

fn a_queue_with_another_header_size_is_not_joined() {
    let options = || CreateOptions::tun().multi_queue(true).vnet_header(true);
    let first = create(options(), "queues");
    drop(open(options(), "queues").unwrap());
    driver::set_vnet_header_size(first.as_fd(), 12).unwrap();
    let error = refused(open(options(), "queues"));
    assert_eq!(error.cause(), Cause::HeaderMismatch, "{error}");
    assert!(error.to_string().contains("12 bytes"), "{error}");
    // Alone with it, an opener sets the usual size.
    first.set_persist(true).unwrap();
    drop(first);
    let second = open(options(), "queues").unwrap();
    assert_eq!(driver::vnet_header_size(second.as_fd()).unwrap(), 10);
}

fn a_name_or_an_alias_that_is_not_utf_8_hides_nothing() {
    let _plain = tun("plain");
    let node = File::options().read(true).write(true).open("/dev/net/tun").unwrap();
    let mut request = InterfaceRequest::new(b"x\xff\xfe", iff::TUN | iff::NO_PI).unwrap();
    driver::set_iff(node.as_fd(), &mut request).unwrap();
    let alias = OsStr::from_bytes(b"caf\xe9");
    let named = Command::new("ip").args(["link", "set", "dev", "plain", "alias"]).arg(alias).status();
    assert!(named.unwrap().success());

    let listed = backend().interfaces().unwrap();
    let names: Vec<_> = listed.iter().map(|interface| interface.name().unwrap()).collect();
    assert_eq!(names.iter().map(InterfaceName::as_bytes).collect::<Vec<_>>(), [&b"plain"[..], b"x\xff\xfe"]);
    let found = backend().interface(&names[1]).unwrap();
    found.up(address("10.2.2.2/24")).unwrap();
    found.delete().unwrap();
    assert_eq!(backend().interfaces().unwrap().len(), 1);
}

fn an_ipv6_address_of_a_tun_is_in_service_at_once() {
    for round in 0..20 {
        let device = tun("tun0");
        device.up(address("fd77::1/64")).unwrap();
        let socket =
            UdpSocket::bind("[fd77::1]:0").unwrap_or_else(|error| panic!("round {round}: bind: {error}"));
        let near = socket.local_addr().unwrap();
        device.send(&udp_packet("[fd77::2]:9".parse().unwrap(), near, b"first").unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let received = socket.recv(&mut [0; 9]);
        assert_eq!(received.unwrap_or_else(|error| panic!("round {round}: lost: {error}")), 5);
    }
}
