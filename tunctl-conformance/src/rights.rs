//! Who may do what: which refusal comes first, and whose rights count.

use crate::case::{Case, Need, suite};
use crate::expect::{address, create, errno, name, open, refused_with, report, uid};
use crate::{Harness, refused};
use tunctl_core::{Cause, CreateOptions, Interface, Result, State, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let cases = suite![Permission:
        other_headers_are_told_before_who_may_open_it,
        another_layer_or_number_of_queues_is_told_before_other_headers,
        a_device_opened_without_the_capability_configures_nothing_with_it,
        a_handle_found_without_the_capability_configures_nothing_with_it,
        a_namesake_elsewhere_keeps_nobody_from_destroying_by_closing,
    ];
    cases.into_iter().map(|case| case.needs(Need::OtherUsers)).collect()
}

fn several() -> CreateOptions {
    CreateOptions::tun().multi_queue(true)
}

/// Does something as the owner of `mine`, who has no privilege, and keeps what it made.
fn as_owner<H: Harness, T>(harness: &H, mut work: impl FnMut() -> Result<T>) -> T {
    let device = create(harness, CreateOptions::tun(), "mine");
    device.set_persist(true).unwrap();
    device.set_owner(uid(4001)).unwrap();
    drop(device);
    let mut made = None;
    harness.as_caller(4001, 4001, false, &mut || made = Some(work().unwrap()));
    made.expect("the work was done")
}

fn other_headers_are_told_before_who_may_open_it<H: Harness>(harness: &H) {
    let first = create(harness, several(), "mine");
    first.set_owner(uid(4001)).unwrap();
    harness.as_caller(4003, 4003, false, &mut || {
        refused(open(harness, several().vnet_header(true), "mine"), Cause::HeaderMismatch);
    });
}

fn another_layer_or_number_of_queues_is_told_before_other_headers<H: Harness>(harness: &H) {
    let _first = create(harness, several(), "mine");
    let other_layer = CreateOptions::tap().multi_queue(true).vnet_header(true);
    refused_with(open(harness, other_layer, "mine"), Cause::LayerMismatch, errno::EINVAL);
    let single = CreateOptions::tun().vnet_header(true);
    refused_with(open(harness, single, "mine"), Cause::QueueMismatch, errno::EINVAL);
}

fn a_device_opened_without_the_capability_configures_nothing_with_it<H: Harness>(harness: &H) {
    let device = as_owner(harness, || open(harness, CreateOptions::tun(), "mine"));
    refused_with(device.up(address("10.77.0.1/24")), Cause::MissingCapability, errno::EPERM);
    assert_eq!(report(harness, "mine").state, State::Down);
    // What the device itself sets takes no capability.
    device.set_persist(false).unwrap();
    drop(device);
    assert!(harness.report(&name("mine")).is_none());
}

fn a_handle_found_without_the_capability_configures_nothing_with_it<H: Harness>(harness: &H) {
    let found = as_owner(harness, || harness.backend().interface(&name("mine")));
    refused_with(found.set_mtu("1400".parse().unwrap()), Cause::MissingCapability, errno::EPERM);
    refused_with(found.delete(), Cause::MissingCapability, errno::EPERM);
    let mine = harness.backend().interface(&name("mine")).unwrap();
    mine.set_mtu("1400".parse().unwrap()).unwrap();
    assert_eq!(report(harness, "mine").mtu.get(), 1400);
    mine.delete().unwrap();
}

fn a_namesake_elsewhere_keeps_nobody_from_destroying_by_closing<H: Harness>(harness: &H) {
    let _moved = create(harness, CreateOptions::tun(), "mine");
    harness.move_to_namespace(&name("mine"));
    let mut here = Some(create(harness, CreateOptions::tun(), "mine"));
    harness.as_caller(4001, 4001, false, &mut || here.take().unwrap().destroy().unwrap());
    assert!(harness.report(&name("mine")).is_none());
    assert!(harness.report_elsewhere(&name("mine")).is_some());
}
