//! Interfaces and devices come and go.

use crate::case::{Case, suite};
use crate::expect::{create, errno, exists, name, named, open, persistent, refused_with, report, tap, tun};
use crate::{Harness, refused};
use tunctl_core::{Cause, CreateOptions, Interface, InterfaceIndex, Operation, State, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Lifetime:
        an_interface_goes_with_its_last_device,
        a_new_interface_is_down_has_no_address_and_is_nobodys,
        a_clone_keeps_the_interface_until_it_is_dropped,
        a_queue_keeps_the_interface_until_it_is_dropped,
        create_refuses_what_exists,
        an_exclusive_open_or_create_creates_and_never_opens,
        open_creates_nothing,
        open_or_create_creates_what_is_missing,
        open_or_create_opens_what_is_there,
        open_wants_a_whole_name_and_nothing_exclusive,
        a_second_device_at_a_single_queue_is_refused_as_busy,
        a_single_queue_is_free_once_its_device_is_dropped,
        the_other_layer_is_a_mismatch,
        other_queues_are_a_mismatch_and_the_layer_is_told_first,
        a_refused_open_leaves_the_interface_as_it_was,
        destroying_takes_the_interface_and_the_device,
        destroying_takes_the_interface_from_a_clone,
        destroying_takes_the_interface_from_another_queue,
        an_interface_is_deleted_without_a_device_of_it,
        an_index_is_not_used_again_at_once,
        a_handle_is_not_taken_for_the_successor_of_the_same_name,
    ]
}

fn an_interface_goes_with_its_last_device<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    assert!(exists(harness, "tun0"));
    drop(device);
    assert!(!exists(harness, "tun0"));
}

fn a_new_interface_is_down_has_no_address_and_is_nobodys<H: Harness>(harness: &H) {
    let _devices = [tun(harness, "tun0"), tap(harness, "tap0")];
    for text in ["tun0", "tap0"] {
        let fresh = report(harness, text);
        assert_eq!((fresh.state, fresh.mtu.get(), fresh.persistent), (State::Down, 1500, false));
        assert_eq!((fresh.owner, fresh.group), (None, None));
        assert_eq!(harness.reported_addresses(&name(text)), []);
    }
}

fn a_clone_keeps_the_interface_until_it_is_dropped<H: Harness>(harness: &H) {
    let first = tun(harness, "tun0");
    let second = first.try_clone().unwrap();
    let third = second.try_clone().unwrap();
    let index = report(harness, "tun0").index;
    drop(first);
    drop(third);
    assert_eq!(report(harness, "tun0").index, index);
    assert_eq!(second.name().unwrap(), name("tun0"));
    drop(second);
    assert!(!exists(harness, "tun0"));
}

fn a_queue_keeps_the_interface_until_it_is_dropped<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    let first = create(harness, several.clone(), "tun0");
    let second = open(harness, several, "tun0").unwrap();
    drop(first);
    assert!(exists(harness, "tun0"));
    assert_eq!(second.name().unwrap(), name("tun0"));
    drop(second);
    assert!(!exists(harness, "tun0"));
}

fn create_refuses_what_exists<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    let device = create(harness, several.clone(), "tun0");
    let before = report(harness, "tun0");
    // It does not join, though there is room for a queue.
    let second = harness.backend().create(&named(several, "tun0"));
    refused_with(second, Cause::Exists, errno::EBUSY);
    assert_eq!(report(harness, "tun0"), before);
    drop(device);
    assert!(!exists(harness, "tun0"));
}

fn an_exclusive_open_or_create_creates_and_never_opens<H: Harness>(harness: &H) {
    let options = named(CreateOptions::tun().exclusive(true), "once");
    let device = harness.backend().open_or_create(&options).unwrap();
    device.set_persist(true).unwrap();
    drop(device);
    refused_with(harness.backend().open_or_create(&options), Cause::Exists, errno::EBUSY);
    assert!(report(harness, "once").persistent);
}

fn open_creates_nothing<H: Harness>(harness: &H) {
    let error = refused(open(harness, CreateOptions::tun(), "none"), Cause::NotFound);
    assert_eq!((error.operation(), error.interface()), (Operation::Open, Some(name("none"))));
    assert!(!exists(harness, "none"));
}

fn open_or_create_creates_what_is_missing<H: Harness>(harness: &H) {
    let options = named(CreateOptions::tap(), "either");
    let device = harness.backend().open_or_create(&options).unwrap();
    assert_eq!(report(harness, "either").layer, device.layer());
    drop(device);
    assert!(!exists(harness, "either"));
}

fn open_or_create_opens_what_is_there<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "either");
    let index = report(harness, "either").index;
    let options = named(CreateOptions::tun(), "either");
    let device = harness.backend().open_or_create(&options).unwrap();
    assert_eq!(report(harness, "either").index, index);
    assert_eq!(device.interface().index(), index);
    let second = harness.backend().open_or_create(&options);
    let error = refused_with(second, Cause::Busy, errno::EBUSY);
    assert_eq!(error.operation(), Operation::OpenOrCreate);
}

fn open_wants_a_whole_name_and_nothing_exclusive<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "tun0");
    let named = named(CreateOptions::tun(), "tun0");
    refused(harness.backend().open(&CreateOptions::tun()), Cause::InvalidOptions);
    refused(harness.backend().open(&named.clone().exclusive(true)), Cause::InvalidOptions);
    refused(open(harness, CreateOptions::tun().exclusive(true), "none"), Cause::InvalidOptions);
    // It was free all the while.
    drop(harness.backend().open(&named).unwrap());
}

fn a_second_device_at_a_single_queue_is_refused_as_busy<H: Harness>(harness: &H) {
    let _first = tun(harness, "tun0");
    let before = report(harness, "tun0");
    let plain = CreateOptions::tun();
    for options in [plain.clone(), plain.clone().packet_information(true), plain.vnet_header(true)] {
        refused_with(open(harness, options, "tun0"), Cause::Busy, errno::EBUSY);
    }
    assert_eq!(report(harness, "tun0"), before);
}

fn a_single_queue_is_free_once_its_device_is_dropped<H: Harness>(harness: &H) {
    let first = tun(harness, "tun0");
    first.set_persist(true).unwrap();
    let clone = first.try_clone().unwrap();
    drop(first);
    refused_with(open(harness, CreateOptions::tun(), "tun0"), Cause::Busy, errno::EBUSY);
    drop(clone);
    let second = open(harness, CreateOptions::tun(), "tun0").unwrap();
    assert_eq!(second.interface().index(), report(harness, "tun0").index);
}

fn the_other_layer_is_a_mismatch<H: Harness>(harness: &H) {
    let _held = [tun(harness, "tun0"), tap(harness, "tap0")];
    persistent(harness, CreateOptions::tun(), "tun1");
    persistent(harness, CreateOptions::tap(), "tap1");
    let (to_tap, to_tun) = (CreateOptions::tap(), CreateOptions::tun());
    for (options, text) in [(&to_tap, "tun0"), (&to_tun, "tap0"), (&to_tap, "tun1"), (&to_tun, "tap1")] {
        let options = named(options.clone(), text);
        for outcome in [harness.backend().open(&options), harness.backend().open_or_create(&options)] {
            refused_with(outcome, Cause::LayerMismatch, errno::EINVAL);
        }
        assert_ne!(report(harness, text).layer, options.get_layer());
    }
}

fn other_queues_are_a_mismatch_and_the_layer_is_told_first<H: Harness>(harness: &H) {
    let (single, several) = (CreateOptions::tun(), CreateOptions::tun().multi_queue(true));
    let _held = [create(harness, single.clone(), "one"), create(harness, several.clone(), "many")];
    for (options, text) in [(several, "one"), (single, "many")] {
        refused_with(open(harness, options.clone(), text), Cause::QueueMismatch, errno::EINVAL);
        let either = harness.backend().open_or_create(&named(options, text));
        refused_with(either, Cause::QueueMismatch, errno::EINVAL);
    }
    let neither = CreateOptions::tap().multi_queue(true);
    refused_with(open(harness, neither, "one"), Cause::LayerMismatch, errno::EINVAL);
    refused_with(open(harness, CreateOptions::tap(), "many"), Cause::LayerMismatch, errno::EINVAL);
}

fn a_refused_open_leaves_the_interface_as_it_was<H: Harness>(harness: &H) {
    let _device = create(harness, CreateOptions::tun().packet_information(true), "tun0");
    let before = report(harness, "tun0");
    refused_with(open(harness, CreateOptions::tun(), "tun0"), Cause::Busy, errno::EBUSY);
    refused_with(open(harness, CreateOptions::tap(), "tun0"), Cause::LayerMismatch, errno::EINVAL);
    let several = CreateOptions::tun().multi_queue(true);
    refused_with(open(harness, several, "tun0"), Cause::QueueMismatch, errno::EINVAL);
    assert_eq!(report(harness, "tun0"), before);
}

fn destroying_takes_the_interface_and_the_device<H: Harness>(harness: &H) {
    tun(harness, "tun0").destroy().unwrap();
    tap(harness, "tap0").destroy().unwrap();
    assert!(!exists(harness, "tun0") && !exists(harness, "tap0"));
    drop(tun(harness, "tun0"));
}

fn destroying_takes_the_interface_from_a_clone<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let clone = device.try_clone().unwrap();
    device.destroy().unwrap();
    assert!(!exists(harness, "tun0"));
    refused_with(clone.name(), Cause::Gone, errno::EBADFD);
    clone.destroy().unwrap();
}

fn destroying_takes_the_interface_from_another_queue<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    let first = create(harness, several.clone(), "tun0");
    let second = open(harness, several, "tun0").unwrap();
    first.destroy().unwrap();
    assert!(!exists(harness, "tun0"));
    refused_with(second.try_recv(&mut [0; 100]), Cause::Gone, errno::EBADFD);
}

fn an_interface_is_deleted_without_a_device_of_it<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "idle");
    let held = tun(harness, "held");
    for text in ["idle", "held"] {
        let interface = harness.backend().interface(&name(text)).unwrap();
        interface.delete().unwrap();
        assert!(!exists(harness, text));
        refused(interface.delete(), Cause::Gone);
    }
    refused_with(held.name(), Cause::Gone, errno::EBADFD);
}

fn an_index_is_not_used_again_at_once<H: Harness>(harness: &H) {
    let mut before: Option<InterfaceIndex> = None;
    for _ in 0..3 {
        let _device = tun(harness, "tun0");
        let index = report(harness, "tun0").index;
        assert!(before < Some(index), "{index} after {before:?}");
        before = Some(index);
    }
}

fn a_handle_is_not_taken_for_the_successor_of_the_same_name<H: Harness>(harness: &H) {
    let first = tun(harness, "tun0");
    let stale = harness.backend().interface(&name("tun0")).unwrap();
    drop(first);
    let _second = tun(harness, "tun0");
    let before = report(harness, "tun0");
    refused(stale.info(), Cause::Gone);
    refused_with(stale.set_state(State::Up), Cause::Gone, errno::ENODEV);
    refused(stale.delete(), Cause::Gone);
    assert_eq!(report(harness, "tun0"), before);
}
