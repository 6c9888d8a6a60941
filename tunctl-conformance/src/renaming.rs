//! Renaming by a handle.

use crate::case::{Case, suite};
use crate::expect::{create, errno, exists, name, persistent, refused_with, tun};
use crate::{Harness, InterfaceOf, Need, refused};
use tunctl_core::{Cause, CreateOptions, Interface, InterfaceName, Mtu, State, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let as_others = suite![Configuration: without_the_capability_nothing_is_renamed];
    let mut cases = suite![Configuration:
        an_interface_has_the_name_that_it_is_given,
        a_device_follows_the_name_that_a_handle_gives,
        a_name_that_another_has_is_refused,
        a_name_that_the_system_refuses_changes_nothing,
        without_ipv6_the_names_of_general_settings_are_taken,
        the_name_that_it_has_may_be_given_again,
        a_name_of_fifteen_bytes_is_kept_whole,
        an_interface_that_is_up_is_renamed_by_a_handle_as_the_system_permits,
        a_name_that_is_given_up_is_free,
        an_interface_without_devices_is_renamed_by_a_handle,
        renaming_keeps_everything_else,
        what_is_gone_has_no_name_to_change,
    ];
    cases.extend(as_others.into_iter().map(|case| case.needs(Need::OtherUsers)));
    cases.into_iter().map(|case| case.about("SIOCSIFNAME")).collect()
}

fn found<H: Harness>(harness: &H, text: &str) -> InterfaceOf<H> {
    harness.backend().interface(&name(text)).unwrap()
}

fn an_interface_has_the_name_that_it_is_given<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface();
    interface.rename(&name("vpn")).unwrap();
    assert!(exists(harness, "vpn") && !exists(harness, "tun0"));
    assert_eq!(interface.name().unwrap(), name("vpn"));
    assert_eq!(found(harness, "vpn").index(), interface.index());
}

fn a_device_follows_the_name_that_a_handle_gives<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    found(harness, "tun0").rename(&name("vpn")).unwrap();
    assert_eq!(device.name().unwrap(), name("vpn"));
}

fn a_name_that_another_has_is_refused<H: Harness>(harness: &H) {
    let (device, _other) = (tun(harness, "tun0"), tun(harness, "tun1"));
    let other_kind = harness.other_interface();
    for taken in [name("tun1"), other_kind] {
        let error = refused_with(device.interface().rename(&taken), Cause::Exists, errno::EEXIST);
        assert_eq!(error.interface(), Some(name("tun0")));
    }
    assert_eq!(device.name().unwrap(), name("tun0"));
}

fn a_name_that_the_system_refuses_changes_nothing<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    // What only a kernel could have named.
    for odd in [&b"a/b"[..], b"a b", b"a:b", b"..", b"a%", b"all", b"default"] {
        let odd = InterfaceName::from_kernel(odd).unwrap();
        refused_with(device.interface().rename(&odd), Cause::InvalidName, errno::EINVAL);
        assert!(exists(harness, "tun0") && harness.report(&odd).is_none());
    }
}

/// It is IPv6 that keeps settings under these names, and an MTU below 1280 leaves it no room.
fn without_ipv6_the_names_of_general_settings_are_taken<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.interface().set_mtu(Mtu::new(1279).unwrap()).unwrap();
    let odd = InterfaceName::from_kernel(b"default").unwrap();
    device.interface().rename(&odd).unwrap();
    assert!(harness.report(&odd).is_some() && !exists(harness, "tun0"));
}

fn the_name_that_it_has_may_be_given_again<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.interface().rename(&name("tun0")).unwrap();
    assert_eq!(device.name().unwrap(), name("tun0"));
}

fn a_name_of_fifteen_bytes_is_kept_whole<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.interface().rename(&name("fifteen-letters")).unwrap();
    assert!(exists(harness, "fifteen-letters"));
    device.interface().rename(&name("ä€")).unwrap();
    assert_eq!(device.name().unwrap(), name("ä€"));
}

fn an_interface_that_is_up_is_renamed_by_a_handle_as_the_system_permits<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.set_up(&name("tun0"), true);
    let renamed = device.interface().rename(&name("vpn"));
    if harness.profile().rename_while_up {
        renamed.unwrap();
        assert_eq!(device.interface().state().unwrap(), State::Up);
    } else {
        refused(renamed, Cause::Busy);
        assert_eq!(device.name().unwrap(), name("tun0"));
        // The name that it has is no change.
        device.interface().set_state(State::Down).unwrap();
        device.interface().rename(&name("vpn")).unwrap();
    }
}

fn a_name_that_is_given_up_is_free<H: Harness>(harness: &H) {
    let first = tun(harness, "tun0");
    first.interface().rename(&name("vpn")).unwrap();
    let second = create(harness, CreateOptions::tun(), "tun0");
    assert_ne!(first.interface().index(), second.interface().index());
    refused(second.interface().rename(&name("vpn")), Cause::Exists);
}

fn an_interface_without_devices_is_renamed_by_a_handle<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tap(), "tap0");
    let interface = found(harness, "tap0");
    interface.rename(&name("bridge")).unwrap();
    assert!(exists(harness, "bridge"));
    interface.delete().unwrap();
    assert!(!exists(harness, "bridge"));
}

fn renaming_keeps_everything_else<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.interface().add_address("10.77.0.1/24".parse().unwrap()).unwrap();
    let before = (harness.report(&name("tun0")).unwrap(), harness.reported_addresses(&name("tun0")));
    device.interface().rename(&name("vpn")).unwrap();
    let mut after = (harness.report(&name("vpn")).unwrap(), harness.reported_addresses(&name("vpn")));
    after.0.name = name("tun0");
    assert_eq!(after, before);
}

fn what_is_gone_has_no_name_to_change<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.delete(&name("tun0"));
    refused(device.interface().rename(&name("vpn")), Cause::Gone);
}

fn without_the_capability_nothing_is_renamed<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.as_caller(4001, 4001, false, &mut || {
        let found = harness.backend().interface(&name("tun0")).unwrap();
        refused_with(found.rename(&name("vpn")), Cause::MissingCapability, errno::EPERM);
    });
    assert_eq!(device.name().unwrap(), name("tun0"));
}
