//! Addresses: what the kernel holds after each call, as iproute2 reports it.

use std::fs;

use serde_json::Value;
use tunctl_core::{Cause, Interface, InterfaceAddress, InvalidAddress, TunDevice};
use tunctl_linux::LinuxDevice;
use tunctl_testing::{Case, Snapshot, addresses, case, ip};

use super::support::{address, has_flag, refused, tap, tun, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(an_address_alone_takes_netmask_and_broadcast_of_its_class_on_both_layers),
        case!(an_explicit_prefix_decides_the_broadcast),
        case!(a_broadcast_may_be_chosen),
        case!(several_addresses_stand_side_by_side),
        case!(repeating_an_address_succeeds_and_changes_nothing),
        case!(the_same_address_with_another_prefix_is_another_in_ipv4_and_refused_in_ipv6),
        case!(ipv6_takes_a_prefix_of_64),
        case!(a_peer_makes_a_point_to_point_address_in_both_families),
        case!(an_address_can_be_removed),
        case!(an_address_with_another_peer_is_another_and_stays),
        case!(replacing_keeps_the_wanted_and_drops_the_rest),
        case!(replacing_ipv6_keeps_the_link_local_address),
        case!(addresses_that_the_kernel_would_take_badly_are_refused),
        case!(what_the_interface_lists_is_what_iproute2_lists),
        case!(ipv6_that_is_switched_off_is_said_so),
        case!(what_switches_ipv6_on_switches_on_no_other_interface),
    ]
}

/// One line an address: what matters of iproute2's report, without link-local ones.
fn held(name: &str) -> Vec<String> {
    let lines = addresses(name).into_iter().filter(|address| address["scope"] != "link").map(|address| {
        let text = |key: &str| address.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
        // With a peer, iproute2 gives the own address as `local` and the peer as `address`.
        match address.get("address") {
            Some(_) => format!("{} peer {}/{}", text("local"), text("address"), address["prefixlen"]),
            None => format!("{}/{} brd {}", text("local"), address["prefixlen"], text("broadcast")),
        }
    });
    lines.collect()
}

fn both() -> [LinuxDevice; 2] {
    [tun("tun0"), tap("tap0")]
}

fn an_address_alone_takes_netmask_and_broadcast_of_its_class_on_both_layers() {
    for device in both() {
        let name = device.name().unwrap().to_string();
        for (text, expected) in [
            ("10.1.1.1", "10.1.1.1/8 brd 10.255.255.255"),
            ("127.1.1.1", "127.1.1.1/8 brd 127.255.255.255"),
            ("172.16.0.1", "172.16.0.1/16 brd 172.16.255.255"),
            ("192.0.2.1", "192.0.2.1/24 brd 192.0.2.255"),
        ] {
            device.up(address(text)).unwrap();
            assert_eq!(held(&name), [expected]);
            assert!(has_flag(&name, "UP"));
            device.interface().replace_addresses(&[]).unwrap();
        }
    }
}

fn an_explicit_prefix_decides_the_broadcast() {
    for device in both() {
        let name = device.name().unwrap().to_string();
        for (text, expected) in [
            ("10.1.1.1/24", "10.1.1.1/24 brd 10.1.1.255"),
            ("10.1.1.1/30", "10.1.1.1/30 brd 10.1.1.3"),
            ("10.1.1.1/31", "10.1.1.1/31 brd none"),
            ("10.1.1.1/32", "10.1.1.1/32 brd none"),
            ("192.0.2.1/8", "192.0.2.1/8 brd 192.255.255.255"),
        ] {
            device.up(address(text)).unwrap();
            assert_eq!(held(&name), [expected]);
            device.interface().remove_address(address(text)).unwrap();
        }
    }
}

fn a_broadcast_may_be_chosen() {
    let device = tun("tun0");
    let chosen = address("10.1.1.1/24").with_broadcast(Some([10, 1, 1, 0].into()));
    device.up(chosen.unwrap()).unwrap();
    assert_eq!(held("tun0"), ["10.1.1.1/24 brd 10.1.1.0"]);
    let none = address("10.2.1.1/24").with_broadcast(None).unwrap();
    device.interface().replace_addresses(&[none]).unwrap();
    assert_eq!(held("tun0"), ["10.2.1.1/24 brd none"]);
}

fn several_addresses_stand_side_by_side() {
    let device = tun("tun0");
    for text in ["10.1.1.1/24", "10.2.2.2/16", "10.1.1.9/24", "fd77::1/64", "fd78::1/48"] {
        device.up(address(text)).unwrap();
    }
    assert_eq!(
        held("tun0"),
        [
            "10.1.1.1/24 brd 10.1.1.255",
            "10.2.2.2/16 brd 10.2.255.255",
            "10.1.1.9/24 brd 10.1.1.255",
            "fd78::1/48 brd none",
            "fd77::1/64 brd none",
        ]
    );
}

fn repeating_an_address_succeeds_and_changes_nothing() {
    let device = tun("tun0");
    let interface = device.interface();
    let peer = InterfaceAddress::point_to_point([10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
    for wanted in [address("10.1.1.1"), address("fd77::1"), peer] {
        assert!(interface.add_address(wanted).unwrap());
        let before = held("tun0");
        assert!(!interface.add_address(wanted).unwrap());
        device.up(wanted).unwrap();
        assert_eq!(held("tun0"), before);
    }
    assert_eq!(held("tun0").len(), 3);
}

fn the_same_address_with_another_prefix_is_another_in_ipv4_and_refused_in_ipv6() {
    let device = tun("tun0");
    let interface = device.interface();
    assert!(interface.add_address(address("10.1.1.1/24")).unwrap());
    assert!(interface.add_address(address("10.1.1.1/16")).unwrap());
    assert_eq!(held("tun0").len(), 2);
    assert!(interface.add_address(address("fd77::1/64")).unwrap());
    let error = refused(interface.add_address(address("fd77::1/48")));
    assert_eq!(error.cause(), Cause::AddressExists, "{error}");
    assert_eq!(held("tun0").last().unwrap(), "fd77::1/64 brd none");
}

fn ipv6_takes_a_prefix_of_64() {
    for device in both() {
        let name = device.name().unwrap().to_string();
        device.up(address("fd77::1")).unwrap();
        device.up(address("fd78::1/126")).unwrap();
        assert_eq!(held(&name), ["fd78::1/126 brd none", "fd77::1/64 brd none"]);
        assert!(has_flag(&name, "UP"));
        drop(device);
    }
}

fn a_peer_makes_a_point_to_point_address_in_both_families() {
    for device in both() {
        let name = device.name().unwrap().to_string();
        let v4 = InterfaceAddress::point_to_point([10, 0, 0, 1], [10, 9, 0, 2]).unwrap();
        let ends: [std::net::Ipv6Addr; 2] = ["fd77::1".parse().unwrap(), "fd99::2".parse().unwrap()];
        let v6 = InterfaceAddress::point_to_point(ends[0], ends[1]).unwrap();
        device.up(v4).unwrap();
        device.up(v6).unwrap();
        assert_eq!(held(&name), ["10.0.0.1 peer 10.9.0.2/32", "fd77::1 peer fd99::2/128"]);
        device.interface().remove_address(v4).unwrap();
        device.interface().remove_address(v6).unwrap();
        assert_eq!(held(&name), [""; 0]);
        device.up(v4.with_prefix_length(24).unwrap()).unwrap();
        assert_eq!(held(&name), ["10.0.0.1 peer 10.9.0.2/24"]);
    }
}

fn an_address_can_be_removed() {
    let device = tun("tun0");
    let interface = device.interface();
    for text in ["10.1.1.1/24", "10.2.2.2/24", "fd77::1/64"] {
        device.up(address(text)).unwrap();
    }
    interface.remove_address(address("10.1.1.1/24")).unwrap();
    assert_eq!(held("tun0"), ["10.2.2.2/24 brd 10.2.2.255", "fd77::1/64 brd none"]);
    for absent in ["10.1.1.1/24", "10.2.2.2/16", "fd77::1/48", "fd77::2/64"] {
        let error = refused(interface.remove_address(address(absent)));
        assert_eq!(error.cause(), Cause::AddressNotFound, "{absent}: {error}");
    }
    assert_eq!(held("tun0").len(), 2);
    interface.remove_address(address("fd77::1/64")).unwrap();
    assert_eq!(held("tun0"), ["10.2.2.2/24 brd 10.2.2.255"]);
}

fn an_address_with_another_peer_is_another_and_stays() {
    let device = tun("tun0");
    let interface = device.interface();
    let ends = |last| {
        let peer = InterfaceAddress::point_to_point([10, 2, 2, 2], [10, 2, 2, last]);
        peer.unwrap().with_prefix_length(24).unwrap()
    };
    for (there, absent) in
        [(address("10.2.2.2/24"), ends(3)), (ends(3), ends(4)), (ends(3), address("10.2.2.2/24"))]
    {
        interface.replace_addresses(&[there]).unwrap();
        let before = held("tun0");
        // The kernel itself would remove it: all of these are in one network.
        let error = refused(interface.remove_address(absent));
        assert_eq!(error.cause(), Cause::AddressNotFound, "{error}");
        assert_eq!(held("tun0"), before);
    }
}

fn replacing_keeps_the_wanted_and_drops_the_rest() {
    let device = tun("tun0");
    let interface = device.interface();
    // The first of a network takes the others with it when it goes, if the kernel is let.
    fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", "0").unwrap();
    fs::write("/proc/sys/net/ipv4/conf/tun0/promote_secondaries", "0").unwrap();
    for text in ["10.1.1.1/24", "10.1.1.2/24", "10.3.3.3/24"] {
        device.up(address(text)).unwrap();
    }
    let wanted = ["10.1.1.2/24", "10.4.4.4/24", "fd77::1/64"].map(address);
    interface.replace_addresses(&wanted).unwrap();
    let mut now = held("tun0");
    now.sort();
    assert_eq!(now, ["10.1.1.2/24 brd 10.1.1.255", "10.4.4.4/24 brd 10.4.4.255", "fd77::1/64 brd none"]);
    interface.replace_addresses(&[]).unwrap();
    assert_eq!(held("tun0"), [""; 0]);
}

fn replacing_ipv6_keeps_the_link_local_address() {
    let device = tun("tun0");
    device.up(address("fd77::1")).unwrap();
    let link_local = |name| {
        let all = addresses(name);
        all.iter().filter(|address| address["scope"] == "link").count()
    };
    assert_eq!(link_local("tun0"), 1);
    device.interface().replace_addresses(&[address("fd78::1")]).unwrap();
    assert_eq!(link_local("tun0"), 1);
    assert_eq!(held("tun0"), ["fd78::1/64 brd none"]);
}

fn addresses_that_the_kernel_would_take_badly_are_refused() {
    for text in
        ["0.1.2.3", "224.0.0.1", "239.1.1.1/8", "240.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"]
    {
        let outcome = text.parse::<InterfaceAddress>();
        assert!(matches!(outcome, Err(InvalidAddress::NotUnicast { .. })), "{text}");
    }
}

fn what_the_interface_lists_is_what_iproute2_lists() {
    let device = tun("tun0");
    ip("link set tun0 up");
    for words in [
        "10.1.1.1/24 broadcast 10.1.1.7",
        "10.2.2.2/24",
        "10.3.3.3 peer 10.3.3.4/30",
        "fd77::1/64",
        "fd78::1 peer fd78::2",
    ] {
        ip(&format!("address add {words} dev tun0"));
    }
    let ours: Vec<_> = device.interface().addresses().unwrap();
    let listed: Vec<_> = ours
        .iter()
        .filter(
            |address| !matches!(address.address(), std::net::IpAddr::V6(v6) if v6.is_unicast_link_local()),
        )
        .map(|address| match (address.peer(), address.broadcast()) {
            (Some(_), _) => address.to_string(),
            (None, Some(broadcast)) => format!("{address} brd {broadcast}"),
            (None, None) => format!("{address} brd none"),
        })
        .collect();
    assert_eq!(listed, held("tun0"));
    assert_eq!(ours.len(), addresses("tun0").len());
    assert_eq!(listed.len(), 5);
}

fn ipv6_that_is_switched_off_is_said_so() {
    without_ipv6();
    let device = tun("tun0");
    let before = Snapshot::take();
    let error = refused(device.up(address("fd77::1")));
    assert_eq!(error.cause(), Cause::NoIpv6, "{error}");
    assert!(error.raw_os_error().is_some(), "{error}");
    assert!(error.remedy().is_some(), "{error}");
    assert_eq!(Snapshot::take(), before);
    assert!(!has_flag("tun0", "UP"));
    device.up(address("10.1.1.1")).unwrap();
}

fn what_switches_ipv6_on_switches_on_no_other_interface() {
    let setting = |name: &str| format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    ip("tuntap add dev stranger mode tun");
    fs::write(setting("stranger"), "1").unwrap();
    fs::write(setting("default"), "1").unwrap();
    for text in ["tun0", "a.b"] {
        let device = tun(text);
        let error = refused(device.up(address("fd77::1")));
        // Do as it says: a key, in which a slash stands for a dot of the name, and a value.
        let said = error.remedy().unwrap();
        let (key, rest) = said.split_once("sysctl ").unwrap().1.split_once('=').unwrap();
        let swap = |byte: char| match byte {
            '.' => '/',
            '/' => '.',
            _ => byte,
        };
        let path: String = key.chars().map(swap).collect();
        fs::write(format!("/proc/sys/{path}"), &rest[..1]).unwrap();
        device.up(address("fd77::1")).unwrap_or_else(|error| panic!("after {said:?}: {error}"));
    }
    assert_eq!(fs::read_to_string(setting("stranger")).unwrap(), "1\n");
}
