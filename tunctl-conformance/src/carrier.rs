//! The carrier: when it goes on and off, and what passes without it.

use std::time::Duration;

use crate::case::{Case, suite};
use crate::expect::{
    NO_QUEUES, address, assert_empty, create, errno, ipv4, name, not_applicable, open, persistent, received,
    refused, refused_with, report, tun, up,
};
use crate::{Harness, Need};
use tunctl_core::{
    Cause, CreateOptions, Interface, InterfaceConfig, Operation, State, TunBackend, TunDevice,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let as_others = suite![Permission: a_device_switches_the_carrier_without_the_capability];
    let mut cases = suite![Configuration:
        the_carrier_goes_on_with_the_first_device_and_off_with_the_last,
        a_switched_carrier_is_what_the_system_reports,
        another_program_switches_the_carrier,
        without_carrier_nothing_is_sent_and_all_is_dropped,
        packets_that_wait_stay_without_carrier,
        without_carrier_the_program_sends,
        an_interface_comes_up_without_carrier,
        a_carrier_needs_a_queue_in_service,
        a_further_queue_leaves_the_carrier_as_it_is,
        a_new_first_device_switches_the_carrier_on,
        a_configuration_switches_the_carrier_and_takes_it_back,
    ];
    cases.extend(as_others.into_iter().map(|case| case.needs(Need::OtherUsers)));
    cases
}

fn switches<H: Harness>(harness: &H) -> bool {
    let switches = harness.backend().capabilities().supports(Operation::SetCarrier);
    if !switches {
        not_applicable("its interfaces have no carrier to switch");
    }
    switches
}

#[track_caller]
fn assert_carrier<H: Harness>(harness: &H, text: &str, on: bool) {
    assert_eq!(report(harness, text).carrier, Some(on));
    let found = harness.backend().interface(&name(text)).unwrap();
    assert_eq!(found.info().unwrap().carrier, Some(on));
}

/// Waits until the system sends, or no longer sends, out of an interface: older kernels take a second.
/// Returns how many packets arrived meanwhile.
#[track_caller]
fn settle<H: Harness>(harness: &H, text: &str, sends: bool) -> usize {
    for arrived in 0..400 {
        if harness.inject(&name(text), &ipv4(20)) == sends {
            return arrived;
        }
        harness.pass_time(Duration::from_millis(5));
    }
    panic!("the system goes on, though the carrier has changed");
}

fn the_carrier_goes_on_with_the_first_device_and_off_with_the_last<H: Harness>(harness: &H) {
    if !switches(harness) {
        return;
    }
    for options in [CreateOptions::tun(), CreateOptions::tap(), CreateOptions::tun().multi_queue(true)] {
        persistent(harness, options.clone(), "idle");
        for up in [false, true] {
            harness.set_up(&name("idle"), up);
            assert_carrier(harness, "idle", false);
            let device = open(harness, options.clone(), "idle").unwrap();
            assert_carrier(harness, "idle", true);
            let clone = device.try_clone().unwrap();
            drop(device);
            assert_carrier(harness, "idle", true);
            drop(clone);
        }
        harness.delete(&name("idle"));
    }
}

fn a_switched_carrier_is_what_the_system_reports<H: Harness>(harness: &H) {
    if switches(harness) {
        let device = tun(harness, "tun0");
        let found = harness.backend().interface(&name("tun0")).unwrap();
        for interface in [device.interface(), &found] {
            for on in [false, false, true, true] {
                interface.set_carrier(on).unwrap();
                assert_carrier(harness, "tun0", on);
                // One that a device is attached to, whatever the carrier says.
                assert_eq!(device.interface().info().unwrap().queues, Some(1));
            }
        }
        harness.delete(&name("tun0"));
        refused(device.interface().set_carrier(false), Cause::Gone);
        refused(found.set_carrier(false), Cause::Gone);
    }
}

fn another_program_switches_the_carrier<H: Harness>(harness: &H) {
    if switches(harness) {
        let device = tun(harness, "tun0");
        for on in [false, true] {
            assert_eq!(harness.set_carrier(&name("tun0"), on), Some(true));
            assert_eq!(device.interface().info().unwrap().carrier, Some(on));
        }
    }
}

fn without_carrier_nothing_is_sent_and_all_is_dropped<H: Harness>(harness: &H) {
    if !switches(harness) {
        return;
    }
    let device = up(harness, CreateOptions::tun(), "tun0");
    device.interface().set_carrier(false).unwrap();
    let arrived = settle(harness, "tun0", false);
    (0..arrived).for_each(|_| drop(received(&device)));
    assert!(!harness.inject(&name("tun0"), &ipv4(20)));
    assert_empty(&device);
    assert_eq!(harness.dropped(&name("tun0")), 2);
    device.interface().set_carrier(true).unwrap();
    let lost = settle(harness, "tun0", true);
    assert_eq!(received(&device), ipv4(20));
    assert_eq!(harness.dropped(&name("tun0")), 2 + u64::try_from(lost).unwrap());
}

fn packets_that_wait_stay_without_carrier<H: Harness>(harness: &H) {
    if switches(harness) {
        let device = up(harness, CreateOptions::tun(), "tun0");
        assert!(harness.inject(&name("tun0"), &ipv4(40)));
        device.interface().set_carrier(false).unwrap();
        settle(harness, "tun0", false);
        assert_eq!(received(&device), ipv4(40));
    }
}

fn without_carrier_the_program_sends<H: Harness>(harness: &H) {
    if switches(harness) {
        let device = up(harness, CreateOptions::tun(), "tun0");
        let mut arrived = harness.observe(&name("tun0"));
        device.interface().set_carrier(false).unwrap();
        settle(harness, "tun0", false);
        assert!(harness.poll_state(&device).writable);
        device.try_send(&ipv4(40)).unwrap();
        assert_eq!(arrived.take(), Some(ipv4(40)));
    }
}

fn an_interface_comes_up_without_carrier<H: Harness>(harness: &H) {
    if switches(harness) {
        let device = tun(harness, "tun0");
        device.interface().set_carrier(false).unwrap();
        harness.set_up(&name("tun0"), true);
        assert_eq!(
            (report(harness, "tun0").state, report(harness, "tun0").carrier),
            (State::Up, Some(false))
        );
        assert!(!harness.inject(&name("tun0"), &ipv4(20)));
        assert_empty(&device);
    }
}

fn a_carrier_needs_a_queue_in_service<H: Harness>(harness: &H) {
    if !switches(harness) {
        return;
    }
    persistent(harness, CreateOptions::tun(), "idle");
    let idle = harness.backend().interface(&name("idle")).unwrap();
    let error = refused_with(idle.set_carrier(true), Cause::NoQueue, errno::EPERM);
    assert_eq!(error.operation(), Operation::SetCarrier);
    idle.set_carrier(false).unwrap();

    let queue = create(harness, CreateOptions::tun().multi_queue(true), "many");
    match harness.set_queue(&queue, false) {
        Some(detached) => detached.unwrap(),
        None => return not_applicable(NO_QUEUES),
    }
    // A queue that is out of service does not take the carrier along.
    assert_carrier(harness, "many", true);
    queue.interface().set_carrier(false).unwrap();
    refused_with(queue.interface().set_carrier(true), Cause::NoQueue, errno::EPERM);
    harness.set_queue(&queue, true).unwrap().unwrap();
    assert_carrier(harness, "many", false);
    queue.interface().set_carrier(true).unwrap();
    assert_carrier(harness, "many", true);
}

fn a_further_queue_leaves_the_carrier_as_it_is<H: Harness>(harness: &H) {
    if switches(harness) {
        let several = || CreateOptions::tun().multi_queue(true);
        let first = create(harness, several(), "many");
        first.interface().set_carrier(false).unwrap();
        let second = open(harness, several(), "many").unwrap();
        assert_carrier(harness, "many", false);
        drop(first);
        assert_carrier(harness, "many", false);
        second.interface().set_carrier(true).unwrap();
        assert_carrier(harness, "many", true);
    }
}

fn a_new_first_device_switches_the_carrier_on<H: Harness>(harness: &H) {
    if switches(harness) {
        let device = tun(harness, "tun0");
        device.set_persist(true).unwrap();
        device.interface().set_carrier(false).unwrap();
        drop(device);
        assert_carrier(harness, "tun0", false);
        let _device = open(harness, CreateOptions::tun(), "tun0").unwrap();
        assert_carrier(harness, "tun0", true);
    }
}

fn a_configuration_switches_the_carrier_and_takes_it_back<H: Harness>(harness: &H) {
    if switches(harness) {
        let device = create(harness, CreateOptions::tun().carrier(false).up(), "tun0");
        assert_carrier(harness, "tun0", false);
        let interface = device.interface();
        interface.add_address(address("10.77.0.1/24")).unwrap();
        interface.add_address(address("fd77::1/64")).unwrap();
        let config = InterfaceConfig::new().carrier(true).address("fd77::1/48");
        let error = refused(interface.apply(&config), Cause::AddressExists);
        assert_eq!(error.leftovers(), None, "{error}");
        assert_carrier(harness, "tun0", false);
        interface.apply(&InterfaceConfig::new().carrier(true)).unwrap();
        assert_carrier(harness, "tun0", true);
    }
}

fn a_device_switches_the_carrier_without_the_capability<H: Harness>(harness: &H) {
    if !switches(harness) {
        return;
    }
    let device = tun(harness, "tun0");
    harness.as_caller(4001, 4001, false, &mut || {
        device.interface().set_carrier(false).unwrap();
        let found = harness.backend().interface(&device.name().unwrap()).unwrap();
        found.set_carrier(false).unwrap();
        refused_with(found.set_carrier(true), Cause::MissingCapability, errno::EPERM);
    });
    assert_carrier(harness, "tun0", false);
    // What is lacking then is a queue in service, and not a capability.
    let queue = create(harness, CreateOptions::tun().multi_queue(true), "many");
    let Some(detached) = harness.set_queue(&queue, false) else { return not_applicable(NO_QUEUES) };
    detached.unwrap();
    queue.interface().set_carrier(false).unwrap();
    harness.as_caller(4001, 4001, false, &mut || {
        refused_with(queue.interface().set_carrier(true), Cause::NoQueue, errno::EPERM);
    });
}
