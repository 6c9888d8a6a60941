//! Addresses of interfaces.

use crate::case::{Case, suite};
use crate::expect::{address, errno, name, refused_with, tap, tun};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, Interface, InterfaceAddress, Mtu, State, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Configuration:
        an_address_alone_takes_netmask_and_broadcast_of_its_class,
        an_ipv6_address_alone_takes_a_prefix_of_64,
        a_prefix_decides_the_broadcast,
        a_broadcast_may_be_chosen,
        a_peer_is_the_other_end,
        addresses_stand_side_by_side,
        addresses_are_added_while_down,
        addresses_are_told_as_the_system_reports_them,
        the_first_address_of_each_ipv4_network_stands_before_the_later_ones,
        ipv6_addresses_stand_by_their_scope_and_the_newest_first,
        an_address_may_be_on_two_interfaces,
        an_address_that_is_there_is_not_new,
        an_ipv4_address_with_another_prefix_is_another,
        an_ipv4_address_with_another_peer_far_off_is_another,
        an_ipv4_address_with_a_peer_in_its_network_exists,
        an_ipv6_address_exists_with_one_prefix_and_one_peer,
        an_address_is_removed,
        what_is_not_there_is_not_removed,
        an_address_with_another_peer_is_not_removed,
        the_first_address_of_a_network_takes_the_others_along,
        a_later_address_of_a_network_goes_alone,
        each_ipv6_address_of_a_network_goes_alone,
        an_interface_that_goes_down_keeps_ipv4_and_loses_ipv6,
        an_interface_that_was_down_keeps_ipv6_when_it_is_told_to_go_down,
        a_refused_address_leaves_those_of_ipv6_also_if_the_interface_was_down,
        an_mtu_too_small_for_ipv6_takes_its_addresses_away,
        an_ipv6_address_is_refused_while_the_mtu_is_too_small,
        an_mtu_that_grows_brings_no_address_back,
    ]
}

fn both<H: Harness>(harness: &H) -> [(&'static str, DeviceOf<H>); 2] {
    [("tun0", tun(harness, "tun0")), ("tap0", tap(harness, "tap0"))]
}

/// The reported addresses as text, sorted, each with its broadcast address if it has one.
fn held<H: Harness>(harness: &H, text: &str) -> Vec<String> {
    let told = |address: InterfaceAddress| match address.broadcast() {
        Some(broadcast) => format!("{address} to {broadcast}"),
        None => address.to_string(),
    };
    let mut held: Vec<_> = harness.reported_addresses(&name(text)).into_iter().map(told).collect();
    held.sort();
    held
}

/// Asserts that an interface has these addresses, in whatever order.
#[track_caller]
pub(crate) fn assert_held<H: Harness>(harness: &H, text: &str, expected: &[&str]) {
    let mut reported: Vec<_> =
        harness.reported_addresses(&name(text)).iter().map(ToString::to_string).collect();
    let mut expected = expected.to_vec();
    reported.sort();
    expected.sort_unstable();
    assert_eq!(reported, expected);
}

/// Gives an interface addresses, each of which is new.
#[track_caller]
pub(crate) fn add<D: TunDevice>(device: &D, all: &[&str]) {
    for text in all {
        assert!(device.interface().add_address(address(text)).unwrap(), "{text}");
    }
}

fn an_address_alone_takes_netmask_and_broadcast_of_its_class<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        for (alone, expected) in [
            ("10.1.1.1", "10.1.1.1/8 to 10.255.255.255"),
            ("127.1.1.1", "127.1.1.1/8 to 127.255.255.255"),
            ("172.16.0.1", "172.16.0.1/16 to 172.16.255.255"),
            ("192.0.2.1", "192.0.2.1/24 to 192.0.2.255"),
        ] {
            device.up(address(alone)).unwrap();
            assert_eq!(held(harness, text), [expected]);
            device.interface().remove_address(address(alone)).unwrap();
        }
    }
}

fn an_ipv6_address_alone_takes_a_prefix_of_64<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        device.up(address("fd77::1")).unwrap();
        assert_eq!(held(harness, text), ["fd77::1/64"]);
        drop(device);
    }
}

fn a_prefix_decides_the_broadcast<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        for (wanted, expected) in [
            ("10.1.1.1/24", "10.1.1.1/24 to 10.1.1.255"),
            ("10.1.1.1/30", "10.1.1.1/30 to 10.1.1.3"),
            ("10.1.1.1/31", "10.1.1.1/31"),
            ("10.1.1.1/32", "10.1.1.1/32"),
            ("192.0.2.1/8", "192.0.2.1/8 to 192.255.255.255"),
        ] {
            device.up(address(wanted)).unwrap();
            assert_eq!(held(harness, text), [expected]);
            device.interface().remove_address(address(wanted)).unwrap();
        }
    }
}

fn a_broadcast_may_be_chosen<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        let wanted = address("10.1.1.1/24");
        let chosen = wanted.with_broadcast(Some([10, 1, 1, 0].into())).unwrap();
        device.up(chosen).unwrap();
        assert_eq!(held(harness, text), ["10.1.1.1/24 to 10.1.1.0"]);
        // Of two that differ in nothing else, the first stays.
        assert!(!device.interface().add_address(wanted).unwrap());
        assert_eq!(held(harness, text), ["10.1.1.1/24 to 10.1.1.0"]);
        device.interface().remove_address(wanted).unwrap();
        device.up(wanted.with_broadcast(None).unwrap()).unwrap();
        assert_eq!(held(harness, text), ["10.1.1.1/24"]);
        drop(device);
    }
}

fn a_peer_is_the_other_end<H: Harness>(harness: &H) {
    let all = ["10.0.0.1 peer 10.9.0.2/32", "10.0.0.5 peer 10.8.0.2/24", "fd77::1 peer fd99::2/128"];
    for (text, device) in both(harness) {
        for wanted in all {
            device.up(address(wanted)).unwrap();
        }
        assert_eq!(held(harness, text), all);
        for wanted in all {
            device.interface().remove_address(address(wanted)).unwrap();
        }
        assert_eq!(held(harness, text), [""; 0]);
        drop(device);
    }
}

fn addresses_stand_side_by_side<H: Harness>(harness: &H) {
    let all = ["10.1.1.1/24", "10.1.1.9/24", "10.2.2.2/16", "192.0.2.1/32", "fd77::1/64", "fd78::1/48"];
    for (text, device) in both(harness) {
        for wanted in all {
            device.up(address(wanted)).unwrap();
        }
        assert_held(harness, text, &all);
        drop(device);
    }
}

fn addresses_are_added_while_down<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        add(&device, &["10.1.1.1/24", "fd77::1/64"]);
        assert_held(harness, text, &["10.1.1.1/24", "fd77::1/64"]);
        assert_eq!(harness.report(&name(text)).unwrap().state, State::Down);
        // To come up takes nothing away.
        device.interface().set_state(State::Up).unwrap();
        assert_held(harness, text, &["10.1.1.1/24", "fd77::1/64"]);
        drop(device);
    }
}

fn addresses_are_told_as_the_system_reports_them<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    assert_eq!(device.interface().addresses().unwrap(), []);
    add(&device, &["10.1.1.1/24", "10.0.0.1 peer 10.0.0.2/32", "fd77::1/64", "fd77::5 peer fd78::1/128"]);
    let told = device.interface().addresses().unwrap();
    let reported = harness.reported_addresses(&name("tun0"));
    assert_eq!(told.len(), 4);
    assert!(reported.iter().all(|address| told.contains(address)), "{told:?} {reported:?}");
    assert_eq!(reported.len(), 4);
}

fn the_first_address_of_each_ipv4_network_stands_before_the_later_ones<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "10.1.1.2/24", "10.2.2.1/24", "10.2.2.2/24", "10.3.3.1/24"]);
    let told = ["10.1.1.1/24", "10.2.2.1/24", "10.3.3.1/24", "10.1.1.2/24", "10.2.2.2/24"];
    assert_eq!(device.interface().addresses().unwrap(), told.map(address));
}

fn ipv6_addresses_stand_by_their_scope_and_the_newest_first<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["fd77::1/64", "fec0::1/64", "fe80::1/64", "feff::2/64", "2001:db8::2/64", "fe80::2/64"]);
    let told = ["2001:db8::2/64", "fd77::1/64", "feff::2/64", "fec0::1/64", "fe80::2/64", "fe80::1/64"];
    assert_eq!(device.interface().addresses().unwrap(), told.map(address));
}

fn an_address_may_be_on_two_interfaces<H: Harness>(harness: &H) {
    let devices = both(harness);
    for (_, device) in &devices {
        add(device, &["10.1.1.1/24", "fd77::1/64"]);
    }
    let [(_, first), (second, _)] = &devices;
    first.interface().remove_address(address("10.1.1.1/24")).unwrap();
    assert_held(harness, second, &["10.1.1.1/24", "fd77::1/64"]);
}

fn an_address_that_is_there_is_not_new<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    for wanted in ["10.1.1.1/24", "10.0.0.1 peer 10.0.0.2/32", "fd77::1/64", "fd77::5 peer fd78::1/128"] {
        add(&device, &[wanted]);
        let before = held(harness, "tun0");
        assert!(!device.interface().add_address(address(wanted)).unwrap());
        assert_eq!(held(harness, "tun0"), before);
    }
}

fn an_ipv4_address_with_another_prefix_is_another<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "10.1.1.1/16", "10.1.1.1/32"]);
    assert_held(harness, "tun0", &["10.1.1.1/24", "10.1.1.1/16", "10.1.1.1/32"]);
    device.interface().remove_address(address("10.1.1.1/16")).unwrap();
    assert_held(harness, "tun0", &["10.1.1.1/24", "10.1.1.1/32"]);
}

fn an_ipv4_address_with_another_peer_far_off_is_another<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let ends = ["10.0.0.1 peer 10.9.0.2/32", "10.0.0.1 peer 10.9.0.3/32", "10.0.0.1 peer 10.8.0.2/24"];
    add(&device, &ends);
    assert_held(harness, "tun0", &ends);
}

fn an_ipv4_address_with_a_peer_in_its_network_exists<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24"]);
    let ends = address("10.1.1.1 peer 10.1.1.2/24");
    refused_with(device.interface().add_address(ends), Cause::AddressExists, errno::EEXIST);
    assert_held(harness, "tun0", &["10.1.1.1/24"]);
}

fn an_ipv6_address_exists_with_one_prefix_and_one_peer<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["fd77::1/64"]);
    for other in ["fd77::1/48", "fd77::1/128", "fd77::1 peer fd99::2/128"] {
        let outcome = device.interface().add_address(address(other));
        refused_with(outcome, Cause::AddressExists, errno::EEXIST);
        assert_held(harness, "tun0", &["fd77::1/64"]);
    }
}

fn an_address_is_removed<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        add(&device, &["10.1.1.1/24", "10.2.2.2/24", "fd77::1/64", "fd78::1/64"]);
        for absent in ["10.1.1.1/24", "fd77::1/64"] {
            device.interface().remove_address(address(absent)).unwrap();
        }
        assert_held(harness, text, &["10.2.2.2/24", "fd78::1/64"]);
        drop(device);
    }
}

/// Asserts that an address is not there to be removed, and that nothing else is removed for it.
#[track_caller]
fn assert_absent<H: Harness>(harness: &H, device: &DeviceOf<H>, absent: &str) {
    let before = held(harness, "tun0");
    let outcome = device.interface().remove_address(address(absent));
    refused_with(outcome, Cause::AddressNotFound, errno::EADDRNOTAVAIL);
    assert_eq!(held(harness, "tun0"), before);
}

fn what_is_not_there_is_not_removed<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    assert_absent(harness, &device, "10.1.1.1/24");
    add(&device, &["10.1.1.1/24", "fd77::1/64"]);
    for absent in ["10.1.1.1/16", "10.1.1.2/24", "10.1.1.1/32", "fd77::1/48", "fd77::2/64", "fd78::1/64"] {
        assert_absent(harness, &device, absent);
    }
}

fn an_address_with_another_peer_is_not_removed<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    for (there, absent) in [
        ("10.2.2.2/24", "10.2.2.2 peer 10.2.2.3/24"),
        ("10.2.2.2 peer 10.2.2.3/24", "10.2.2.2 peer 10.2.2.4/24"),
        ("10.2.2.2 peer 10.2.2.3/24", "10.2.2.2/24"),
        ("fd77::1 peer fd99::2/128", "fd77::1/128"),
    ] {
        add(&device, &[there]);
        assert_absent(harness, &device, absent);
        device.interface().remove_address(address(there)).unwrap();
    }
}

fn the_first_address_of_a_network_takes_the_others_along<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        add(&device, &["10.1.1.1/24", "10.1.1.2/24", "10.1.1.3/24", "10.1.1.4/16", "10.2.2.1/24"]);
        device.interface().remove_address(address("10.1.1.1/24")).unwrap();
        assert_held(harness, text, &["10.1.1.4/16", "10.2.2.1/24"]);
        let outcome = device.interface().remove_address(address("10.1.1.2/24"));
        refused_with(outcome, Cause::AddressNotFound, errno::EADDRNOTAVAIL);
    }
}

fn a_later_address_of_a_network_goes_alone<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "10.1.1.2/24", "10.1.1.3/24"]);
    device.interface().remove_address(address("10.1.1.2/24")).unwrap();
    assert_held(harness, "tun0", &["10.1.1.1/24", "10.1.1.3/24"]);
}

fn each_ipv6_address_of_a_network_goes_alone<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["fd77::1/64", "fd77::2/64", "fd77::3/64"]);
    device.interface().remove_address(address("fd77::1/64")).unwrap();
    assert_held(harness, "tun0", &["fd77::2/64", "fd77::3/64"]);
}

fn an_interface_that_goes_down_keeps_ipv4_and_loses_ipv6<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        for wanted in ["10.1.1.1/24", "10.0.0.1 peer 10.0.0.2/32", "fd77::1/64", "fd78::1/64"] {
            device.up(address(wanted)).unwrap();
        }
        device.down().unwrap();
        let left = ["10.1.1.1/24", "10.0.0.1 peer 10.0.0.2/32"];
        assert_held(harness, text, &left);
        device.interface().set_state(State::Up).unwrap();
        assert_held(harness, text, &left);
        drop(device);
    }
}

fn an_interface_that_was_down_keeps_ipv6_when_it_is_told_to_go_down<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "fd77::1/64"]);
    device.down().unwrap();
    assert_held(harness, "tun0", &["10.1.1.1/24", "fd77::1/64"]);
}

fn a_refused_address_leaves_those_of_ipv6_also_if_the_interface_was_down<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "fd77::1/64"]);
    refused_with(device.up(address("fd77::1/48")), Cause::AddressExists, errno::EEXIST);
    // It was up for a moment, and Linux takes these away with "down".
    assert_held(harness, "tun0", &["10.1.1.1/24", "fd77::1/64"]);
}

fn an_mtu_too_small_for_ipv6_takes_its_addresses_away<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        for wanted in ["10.1.1.1/24", "fd77::1/64"] {
            device.up(address(wanted)).unwrap();
        }
        device.interface().set_mtu(Mtu::new(1280).unwrap()).unwrap();
        assert_held(harness, text, &["10.1.1.1/24", "fd77::1/64"]);
        device.interface().set_mtu(Mtu::new(1279).unwrap()).unwrap();
        assert_held(harness, text, &["10.1.1.1/24"]);
        drop(device);
    }
}

fn an_ipv6_address_is_refused_while_the_mtu_is_too_small<H: Harness>(harness: &H) {
    for (text, device) in both(harness) {
        device.interface().set_mtu(Mtu::new(1279).unwrap()).unwrap();
        let outcome = device.interface().add_address(address("fd77::1/64"));
        refused_with(outcome, Cause::InvalidAddress, errno::EINVAL);
        assert_held(harness, text, &[]);
        add(&device, &["10.1.1.1/24"]);
        device.interface().set_mtu(Mtu::new(1280).unwrap()).unwrap();
        add(&device, &["fd77::1/64"]);
        drop(device);
    }
}

fn an_mtu_that_grows_brings_no_address_back<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["fd77::1/64"]);
    for bytes in [1000, 1500] {
        device.interface().set_mtu(Mtu::new(bytes).unwrap()).unwrap();
        assert_held(harness, "tun0", &[]);
    }
    add(&device, &["fd77::1/64"]);
    assert_held(harness, "tun0", &["fd77::1/64"]);
}
