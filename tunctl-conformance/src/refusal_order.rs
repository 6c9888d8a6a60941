//! Of several reasons to refuse, which one is reported.

use crate::case::{Case, suite};
use crate::expect::{create, errno, named, open, refused_with, uid};
use crate::permission::{as_user, mine};
use crate::{Harness, Need, refused};
use tunctl_core::{Cause, CreateOptions, InterfaceName, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let cases = suite![Permission:
        that_it_exists_is_told_before_who_may_create_it,
        a_mismatch_is_told_before_who_may_open_it,
        who_may_create_it_is_told_before_that_the_name_is_refused,
        who_may_open_it_is_told_before_that_it_is_busy,
        other_headers_are_told_before_who_may_open_it,
        another_layer_or_number_of_queues_is_told_before_other_headers,
    ];
    cases.into_iter().map(|case| case.needs(Need::OtherUsers)).collect()
}

fn several() -> CreateOptions {
    CreateOptions::tun().multi_queue(true)
}

fn that_it_exists_is_told_before_who_may_create_it<H: Harness>(harness: &H) {
    mine(harness);
    as_user(harness, 4003, 4003, || {
        let options = named(CreateOptions::tun(), "mine");
        refused_with(harness.backend().create(&options), Cause::Exists, errno::EBUSY);
        let exclusive = harness.backend().open_or_create(&options.exclusive(true));
        refused_with(exclusive, Cause::Exists, errno::EBUSY);
        let other = CreateOptions::tun().name(harness.other_interface());
        refused_with(harness.backend().create(&other), Cause::NotATun, errno::EBUSY);
    });
}

fn a_mismatch_is_told_before_who_may_open_it<H: Harness>(harness: &H) {
    mine(harness);
    as_user(harness, 4003, 4003, || {
        refused_with(open(harness, CreateOptions::tap(), "mine"), Cause::LayerMismatch, errno::EINVAL);
        let several = CreateOptions::tun().multi_queue(true);
        refused_with(open(harness, several, "mine"), Cause::QueueMismatch, errno::EINVAL);
    });
}

fn who_may_create_it_is_told_before_that_the_name_is_refused<H: Harness>(harness: &H) {
    let options = CreateOptions::tun().name(InterfaceName::from_kernel(b"a/b").unwrap());
    as_user(harness, 4001, 4001, || {
        let created = harness.backend().create(&options);
        refused_with(created, Cause::MissingCapability, errno::EPERM);
    });
    refused_with(harness.backend().create(&options), Cause::InvalidName, errno::EINVAL);
}

fn who_may_open_it_is_told_before_that_it_is_busy<H: Harness>(harness: &H) {
    mine(harness);
    let _held = open(harness, CreateOptions::tun(), "mine").unwrap();
    as_user(harness, 4003, 4003, || {
        refused_with(open(harness, CreateOptions::tun(), "mine"), Cause::NotOwner, errno::EPERM);
    });
    as_user(harness, 4001, 4001, || {
        refused_with(open(harness, CreateOptions::tun(), "mine"), Cause::Busy, errno::EBUSY);
    });
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
