//! MAC addresses: taps have one, and tuns do not.

use crate::case::{Case, suite};
use crate::expect::{
    create, errno, frame, mac, name, open, persistent, received, refused_with, report, tap, tun, up,
};
use crate::{Harness, InterfaceOf, Need, refused};
use tunctl_core::{Cause, CreateOptions, Interface, MacAddress, State, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let as_others = suite![Configuration: without_the_capability_no_mac_address_is_set];
    let mut cases = suite![Configuration:
        a_new_tap_has_a_mac_address_of_its_own,
        a_tun_has_no_mac_address_and_takes_none,
        a_tap_has_the_mac_address_that_it_is_given,
        a_mac_address_is_set_while_the_interface_is_up,
        a_mac_address_may_be_given_again_and_to_several,
        a_handle_gives_a_mac_address_as_well,
        no_interface_takes_the_address_of_a_group_or_of_nobody,
        a_mac_address_survives_the_last_device_of_a_persistent_interface,
        a_new_mac_address_leaves_everything_else,
        a_mac_address_stays_with_an_interface_that_is_renamed,
        a_moved_interface_keeps_its_mac_address,
        frames_to_any_mac_address_reach_the_device,
        what_is_gone_has_no_mac_address_to_set,
    ];
    cases.extend(as_others.into_iter().map(|case| case.needs(Need::OtherUsers)));
    cases
}

fn reported<H: Harness>(harness: &H, text: &str) -> Option<MacAddress> {
    report(harness, text).mac
}

fn found<H: Harness>(harness: &H, text: &str) -> InterfaceOf<H> {
    harness.backend().interface(&name(text)).unwrap()
}

fn a_new_tap_has_a_mac_address_of_its_own<H: Harness>(harness: &H) {
    let (first, second) = (tap(harness, "tap0"), tap(harness, "tap1"));
    let own = first.interface().mac().unwrap().expect("a tap has one");
    assert_eq!(reported(harness, "tap0"), Some(own));
    // No group's, which the system would not say of its own interface.
    assert_eq!(MacAddress::new(own.octets()), Ok(own));
    assert_ne!(second.interface().mac().unwrap(), Some(own));
}

fn a_tun_has_no_mac_address_and_takes_none<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    assert_eq!((device.interface().mac().unwrap(), reported(harness, "tun0")), (None, None));
    for up in [false, true] {
        harness.set_up(&name("tun0"), up);
        let error = refused_with(device.interface().set_mac(mac(1)), Cause::LayerMismatch, errno::EOPNOTSUPP);
        assert_eq!(error.interface(), Some(name("tun0")));
    }
    assert_eq!(reported(harness, "tun0"), None);
}

fn a_tap_has_the_mac_address_that_it_is_given<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    for octets in [[0x02, 0, 0, 0, 0, 1], [0x00, 0x1b, 0x21, 0xff, 0xff, 0xff], [0xfe, 0, 0, 0, 0, 0]] {
        let wanted = MacAddress::new(octets).unwrap();
        device.interface().set_mac(wanted).unwrap();
        assert_eq!(reported(harness, "tap0"), Some(wanted));
        assert_eq!(device.interface().mac().unwrap(), Some(wanted));
    }
}

fn a_mac_address_is_set_while_the_interface_is_up<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    device.interface().set_mac(mac(1)).unwrap();
    let after = report(harness, "tap0");
    assert_eq!((after.mac, after.state), (Some(mac(1)), State::Up));
    harness.set_up(&name("tap0"), false);
    assert_eq!(reported(harness, "tap0"), Some(mac(1)));
}

fn a_mac_address_may_be_given_again_and_to_several<H: Harness>(harness: &H) {
    let (first, second) = (tap(harness, "tap0"), tap(harness, "tap1"));
    for device in [&first, &first, &second] {
        device.interface().set_mac(mac(7)).unwrap();
    }
    assert_eq!([reported(harness, "tap0"), reported(harness, "tap1")], [Some(mac(7)); 2]);
}

fn a_handle_gives_a_mac_address_as_well<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    found(harness, "tap0").set_mac(mac(3)).unwrap();
    assert_eq!(device.interface().info().unwrap().mac, Some(mac(3)));
    assert_eq!(reported(harness, "tap0"), Some(mac(3)));
}

/// A program can have such an address from a kernel that reported it of something else.
fn no_interface_takes_the_address_of_a_group_or_of_nobody<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    let before = reported(harness, "tap0");
    for up in [false, true] {
        harness.set_up(&name("tap0"), up);
        for octets in [[0; 6], [1, 0, 0x5e, 0, 0, 1], [3, 0, 0, 0, 0, 0], [0xff; 6]] {
            let wrong = MacAddress::from_kernel(octets);
            refused_with(device.interface().set_mac(wrong), Cause::InvalidMac, errno::EADDRNOTAVAIL);
        }
    }
    assert_eq!(reported(harness, "tap0"), before);
    // Of a tun, that it has none is said first.
    let tun = tun(harness, "tun0");
    let zero = tun.interface().set_mac(MacAddress::from_kernel([0; 6]));
    refused_with(zero, Cause::LayerMismatch, errno::EOPNOTSUPP);
}

fn a_mac_address_survives_the_last_device_of_a_persistent_interface<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tap(), "tap0");
    found(harness, "tap0").set_mac(mac(2)).unwrap();
    for _ in 0..2 {
        let device = open(harness, CreateOptions::tap(), "tap0").unwrap();
        assert_eq!(device.interface().mac().unwrap(), Some(mac(2)));
        drop(device);
        assert_eq!(reported(harness, "tap0"), Some(mac(2)));
    }
}

fn a_new_mac_address_leaves_everything_else<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap().mtu(1400).address("10.77.0.1/24"), "tap0");
    let mut expected = report(harness, "tap0");
    let addresses = harness.reported_addresses(&name("tap0"));
    device.interface().set_mac(mac(4)).unwrap();
    expected.mac = Some(mac(4));
    assert_eq!(report(harness, "tap0"), expected);
    assert_eq!(harness.reported_addresses(&name("tap0")), addresses);
}

fn a_mac_address_stays_with_an_interface_that_is_renamed<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    device.interface().set_mac(mac(5)).unwrap();
    assert!(harness.rename(&name("tap0"), &name("lan")));
    assert_eq!(reported(harness, "lan"), Some(mac(5)));
    device.interface().set_mac(mac(6)).unwrap();
    assert_eq!(reported(harness, "lan"), Some(mac(6)));
}

fn a_moved_interface_keeps_its_mac_address<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    device.interface().set_mac(mac(5)).unwrap();
    harness.move_to_namespace(&name("tap0"));
    let elsewhere = harness.report_elsewhere(&name("tap0")).expect("it was moved there");
    assert_eq!(elsewhere.mac, Some(mac(5)));
    refused(device.interface().set_mac(mac(6)), Cause::Gone);
}

/// Whose frames it takes is for the program at the device to say.
fn frames_to_any_mac_address_reach_the_device<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    device.interface().set_mac(mac(8)).unwrap();
    for station in [mac(8), mac(9)] {
        let mut wanted = frame(0x88b5, &[7; 50]);
        wanted[..6].copy_from_slice(&station.octets());
        assert!(harness.inject(&name("tap0"), &wanted));
        assert_eq!(received(&device), wanted);
    }
}

fn what_is_gone_has_no_mac_address_to_set<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tap(), "tap0");
    let handle = found(harness, "tap0");
    harness.delete(&name("tap0"));
    for (interface, errno) in [(device.interface(), errno::EBADFD), (&handle, errno::ENODEV)] {
        refused_with(interface.set_mac(mac(1)), Cause::Gone, errno);
        refused(interface.mac(), Cause::Gone);
    }
}

fn without_the_capability_no_mac_address_is_set<H: Harness>(harness: &H) {
    let _device = tap(harness, "tap0");
    let before = reported(harness, "tap0");
    harness.as_caller(4001, 4001, false, &mut || {
        let found = found(harness, "tap0");
        refused_with(found.set_mac(mac(1)), Cause::MissingCapability, errno::EPERM);
    });
    assert_eq!(reported(harness, "tap0"), before);
}
