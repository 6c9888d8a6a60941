//! Replacing the addresses of an interface as a whole.

use crate::Harness;
use crate::addresses::{add, assert_held};
use crate::case::{Case, suite};
use crate::expect::{address, errno, refused_with, report, tap, tun};
use tunctl_core::{Cause, Interface, Mtu, State, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Configuration:
        replacing_adds_what_is_missing_and_removes_the_rest,
        replacing_with_nothing_removes_all,
        replacing_keeps_a_later_address_of_a_network,
        replacing_leaves_link_local_addresses_of_ipv6,
        replacing_puts_a_new_form_in_place_of_an_old_one,
        replacing_changes_no_state,
        a_failed_replacement_is_undone,
        a_failed_replacement_puts_back_an_old_form,
    ]
}

/// Makes these the addresses of a device's interface.
fn replace<D: TunDevice>(device: &D, wanted: &[&str]) -> tunctl_core::Result<()> {
    let wanted: Vec<_> = wanted.iter().map(|text| address(text)).collect();
    device.interface().replace_addresses(&wanted)
}

fn replacing_adds_what_is_missing_and_removes_the_rest<H: Harness>(harness: &H) {
    for (text, device) in [("tun0", tun(harness, "tun0")), ("tap0", tap(harness, "tap0"))] {
        add(&device, &["10.1.1.1/24", "10.2.2.2/24", "fd77::1/64", "fd78::1/64"]);
        for wanted in [
            &["10.2.2.2/24", "10.3.3.3/24", "fd78::1/64", "fd79::1/64"][..],
            &["10.0.0.1 peer 10.0.0.2/32"],
            &["10.0.0.1 peer 10.0.0.3/32", "192.0.2.1/32", "192.0.2.2/32"],
        ] {
            replace(&device, wanted).unwrap();
            assert_held(harness, text, wanted);
            // Once more: there is nothing left to do.
            replace(&device, wanted).unwrap();
            assert_held(harness, text, wanted);
        }
        drop(device);
    }
}

fn replacing_with_nothing_removes_all<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "10.1.1.2/24", "10.0.0.1 peer 10.0.0.2/32", "fd77::1/64"]);
    replace(&device, &[]).unwrap();
    assert_held(harness, "tun0", &[]);
    replace(&device, &[]).unwrap();
    assert_held(harness, "tun0", &[]);
}

fn replacing_keeps_a_later_address_of_a_network<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "10.1.1.2/24", "10.1.1.3/24"]);
    // When the first goes, the others go with it: they must come again.
    replace(&device, &["10.1.1.3/24", "10.1.1.4/24"]).unwrap();
    assert_held(harness, "tun0", &["10.1.1.3/24", "10.1.1.4/24"]);
}

fn replacing_leaves_link_local_addresses_of_ipv6<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["fe80::1/64", "fd77::1/64", "169.254.0.1/16"]);
    replace(&device, &["fd78::1/64"]).unwrap();
    assert_held(harness, "tun0", &["fd78::1/64", "fe80::1/64"]);
    replace(&device, &[]).unwrap();
    assert_held(harness, "tun0", &["fe80::1/64"]);
}

fn replacing_puts_a_new_form_in_place_of_an_old_one<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "fd77::1/64"]);
    for wanted in [
        &["10.1.1.1/16", "fd77::1/48"][..],
        &["10.1.1.1 peer 10.1.9.9/16", "fd77::1 peer fd99::2/128"],
        &["10.1.1.1/24", "fd77::1/64"],
    ] {
        replace(&device, wanted).unwrap();
        assert_held(harness, "tun0", wanted);
    }
}

fn replacing_changes_no_state<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    for state in [State::Up, State::Down] {
        device.interface().set_state(state).unwrap();
        replace(&device, &["10.1.1.1/24"]).unwrap();
        replace(&device, &["10.2.2.2/24"]).unwrap();
        assert_eq!(report(harness, "tun0").state, state);
    }
}

fn a_failed_replacement_is_undone<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.interface().set_mtu(Mtu::new(1000).unwrap()).unwrap();
    add(&device, &["10.1.1.1/24", "10.2.2.2/24"]);
    // IPv6 has no room there.
    let outcome = replace(&device, &["10.2.2.2/24", "10.3.3.3/24", "fd77::1/64", "10.4.4.4/24"]);
    refused_with(outcome, Cause::InvalidAddress, errno::EINVAL);
    assert_held(harness, "tun0", &["10.1.1.1/24", "10.2.2.2/24"]);
}

fn a_failed_replacement_puts_back_an_old_form<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    add(&device, &["10.1.1.1/24", "fd77::1/64"]);
    // The same address in two forms cannot be.
    let outcome = replace(&device, &["10.3.3.3/24", "fd77::1/48", "fd77::1/56"]);
    refused_with(outcome, Cause::AddressExists, errno::EEXIST);
    assert_held(harness, "tun0", &["10.1.1.1/24", "fd77::1/64"]);
}
