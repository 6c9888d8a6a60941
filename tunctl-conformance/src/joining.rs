//! Which devices an interface takes beside those that it has.

use crate::case::{Case, suite};
use crate::expect::{create, errno, open, persistent, refused_with, report, tun};
use crate::queues::{assert_queues, join, several, switched};
use crate::{DeviceOf, Harness, refused};
use tunctl_core::{Cause, CreateFlags, CreateOptions, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Queues:
        a_single_queue_does_not_become_several,
        several_queues_do_not_become_a_single_one,
        a_detached_queue_keeps_the_interface_one_of_several_queues,
        queues_of_other_headers_are_refused,
        a_detached_queue_holds_on_to_its_headers,
        an_interface_without_devices_takes_other_headers,
        there_is_a_limit_to_queues,
        a_detached_queue_counts_towards_the_limit,
        a_queue_that_is_closed_makes_room_for_another,
    ]
}

fn a_single_queue_does_not_become_several<H: Harness>(harness: &H) {
    let _held = tun(harness, "held");
    persistent(harness, CreateOptions::tun(), "idle");
    for text in ["held", "idle"] {
        refused_with(open(harness, several(), text), Cause::QueueMismatch, errno::EINVAL);
        assert!(!report(harness, text).flags.contains(CreateFlags::MULTI_QUEUE));
    }
}

fn several_queues_do_not_become_a_single_one<H: Harness>(harness: &H) {
    let _held = create(harness, several(), "held");
    persistent(harness, several(), "idle");
    for text in ["held", "idle"] {
        refused_with(open(harness, CreateOptions::tun(), text), Cause::QueueMismatch, errno::EINVAL);
        assert!(report(harness, text).flags.contains(CreateFlags::MULTI_QUEUE));
    }
}

fn a_detached_queue_keeps_the_interface_one_of_several_queues<H: Harness>(harness: &H) {
    let device = create(harness, several(), "many");
    if switched(harness, &device, false) {
        refused_with(open(harness, CreateOptions::tun(), "many"), Cause::QueueMismatch, errno::EINVAL);
    }
}

/// Options of several queues with every choice of headers but the one that `kept` has.
fn with_other_headers(kept: &CreateOptions) -> Vec<CreateOptions> {
    let choices = [(false, false), (false, true), (true, false), (true, true)];
    let all = choices.map(|(pi, vnet)| several().packet_information(pi).vnet_header(vnet));
    all.into_iter().filter(|options| options != kept).collect()
}

fn queues_of_other_headers_are_refused<H: Harness>(harness: &H) {
    for kept in [several(), several().packet_information(true), several().vnet_header(true)] {
        let _first = create(harness, kept.clone(), "many");
        for other in with_other_headers(&kept) {
            let error = refused(open(harness, other, "many"), Cause::HeaderMismatch);
            assert_eq!(error.raw_os_error(), None, "no system call failed");
            assert_eq!(report(harness, "many").flags, kept.get_flags());
        }
        // A flag that is no header does not count.
        assert!(open(harness, kept.clone().one_queue(true), "many").is_ok());
        assert!(open(harness, kept, "many").is_ok());
    }
}

fn a_detached_queue_holds_on_to_its_headers<H: Harness>(harness: &H) {
    let device = create(harness, several(), "many");
    if switched(harness, &device, false) {
        refused(open(harness, several().vnet_header(true), "many"), Cause::HeaderMismatch);
        assert_eq!(report(harness, "many").flags, several().get_flags());
    }
}

fn an_interface_without_devices_takes_other_headers<H: Harness>(harness: &H) {
    persistent(harness, several(), "many");
    for other in with_other_headers(&several()) {
        let device = open(harness, other.clone(), "many").unwrap();
        assert_eq!(report(harness, "many").flags, other.get_flags());
        assert_eq!(device.flags(), other.get_flags());
    }
}

fn fill<H: Harness>(harness: &H) -> Vec<DeviceOf<H>> {
    let mut devices = vec![create(harness, several(), "many")];
    devices.extend((1..harness.profile().most_queues).map(|_| join(harness)));
    devices
}

fn there_is_a_limit_to_queues<H: Harness>(harness: &H) {
    let devices = fill(harness);
    refused_with(open(harness, several(), "many"), Cause::TooManyQueues, errno::E2BIG);
    assert_queues(harness, "many", devices.len().try_into().unwrap());
    // A clone is no queue of its own.
    assert!(devices[0].try_clone().is_ok());
}

fn a_detached_queue_counts_towards_the_limit<H: Harness>(harness: &H) {
    let devices = fill(harness);
    if !switched(harness, &devices[0], false) {
        return;
    }
    refused_with(open(harness, several(), "many"), Cause::TooManyQueues, errno::E2BIG);
    switched(harness, &devices[0], true);
    assert_queues(harness, "many", devices.len().try_into().unwrap());
}

fn a_queue_that_is_closed_makes_room_for_another<H: Harness>(harness: &H) {
    let mut devices = fill(harness);
    drop(devices.pop());
    devices.push(join(harness));
    refused_with(open(harness, several(), "many"), Cause::TooManyQueues, errno::E2BIG);
}
