//! The index of a new interface, where a program chooses it.

use crate::Harness;
use crate::case::{Case, suite};
use crate::expect::{
    create, errno, exists, listed, name, named, not_applicable, refused, refused_with, report, tun,
};
use tunctl_core::{Cause, CreateOptions, Interface, InterfaceIndex, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Lifetime:
        a_chosen_index_is_that_of_the_new_interface,
        an_index_that_is_taken_is_refused_and_nothing_is_left,
        a_name_that_is_taken_is_said_before_the_index,
        an_interface_that_exists_keeps_its_index,
    ]
}

fn index(number: u32) -> InterfaceIndex {
    InterfaceIndex::new(number).expect("the suite's indices are indices")
}

/// Options with an index; `None` if the system lets nobody choose.
fn chosen<H: Harness>(harness: &H, number: u32) -> Option<CreateOptions> {
    let options = CreateOptions::tun().index(index(number));
    match harness.backend().create(&named(options.clone(), "try")) {
        Err(error) if error.cause() == Cause::Unsupported => {
            assert!(!exists(harness, "try"));
            not_applicable("indices are not chosen here");
            None
        }
        made => {
            made.unwrap().destroy().unwrap();
            Some(options)
        }
    }
}

fn a_chosen_index_is_that_of_the_new_interface<H: Harness>(harness: &H) {
    let Some(options) = chosen(harness, 4077) else { return };
    let device = create(harness, options.clone(), "tun0");
    assert_eq!(device.interface().index(), index(4077));
    assert_eq!(report(harness, "tun0").index, index(4077));
    // It is free again.
    drop(device);
    let device = harness.backend().open_or_create(&named(options, "tun1")).unwrap();
    assert_eq!((report(harness, "tun1").index, device.interface().index()), (index(4077), index(4077)));
}

fn an_index_that_is_taken_is_refused_and_nothing_is_left<H: Harness>(harness: &H) {
    let Some(options) = chosen(harness, 4077) else { return };
    let first = create(harness, options.clone(), "first");
    let other = tun(harness, "other");
    for options in [options, CreateOptions::tap().index(other.interface().index())] {
        let error =
            refused_with(harness.backend().create(&named(options, "late")), Cause::Busy, errno::EBUSY);
        assert_eq!(error.interface(), Some(name("late")));
        assert_eq!(listed(harness).len(), 2);
    }
    drop(first);
}

fn a_name_that_is_taken_is_said_before_the_index<H: Harness>(harness: &H) {
    let Some(options) = chosen(harness, 4077) else { return };
    let _first = create(harness, options.clone(), "tun0");
    refused_with(harness.backend().create(&named(options, "tun0")), Cause::Exists, errno::EBUSY);
}

fn an_interface_that_exists_keeps_its_index<H: Harness>(harness: &H) {
    let Some(options) = chosen(harness, 4077) else { return };
    let device = create(harness, options.clone(), "tun0");
    device.set_persist(true).unwrap();
    drop(device);
    drop(harness.backend().open(&named(options.clone(), "tun0")).unwrap());
    let other = options.index(index(4078));
    refused(harness.backend().open(&named(other.clone(), "tun0")), Cause::InvalidOptions);
    refused(harness.backend().open_or_create(&named(other, "tun0")), Cause::InvalidOptions);
    assert_eq!(report(harness, "tun0").index, index(4077));
}
