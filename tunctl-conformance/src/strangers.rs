//! Which interface an operation acts on: never on another one that has the index by now. And what takes no
//! right, because it changes nothing.

use crate::case::{Case, suite};
use crate::expect::{address, create, errno, mac, name, not_applicable, refused_with, report, tap, tun};
use crate::{Harness, InterfaceOf, Need, refused};
use tunctl_core::{
    Cause, CreateOptions, Interface, InterfaceConfig, InterfaceIndex, Mtu, Operation, Result, State,
    TunBackend, TunDevice,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let as_others = suite![Permission:
        a_setter_of_what_is_so_already_takes_no_right,
        a_device_sets_the_mac_address_without_the_capability,
    ];
    let mut cases = suite![Lifetime:
        a_stranger_with_the_index_is_left_alone,
        a_stranger_with_the_index_is_not_taken_for_the_interface,
    ];
    cases.extend(as_others.into_iter().map(|case| case.needs(Need::OtherUsers)));
    cases
}

/// Every operation of an interface that takes values, with some that change it.
fn every_change<I: Interface>(interface: &I) -> Vec<(&'static str, Result<()>)> {
    vec![
        ("set_state up", interface.set_state(State::Up)),
        ("set_state down", interface.set_state(State::Down)),
        ("set_mtu", interface.set_mtu("1400".parse().unwrap())),
        ("set_mac", interface.set_mac(mac(1))),
        ("set_queue_length", interface.set_queue_length(7)),
        ("set_carrier", interface.set_carrier(false)),
        ("set_description", interface.set_description(c"mine")),
        ("rename", interface.rename(&name("mine"))),
        ("add_address", interface.add_address(address("10.77.0.1/24")).map(drop)),
        ("remove_address", interface.remove_address(address("10.78.0.1/24"))),
        ("replace_addresses", interface.replace_addresses(&[])),
        ("up", interface.up(address("10.77.0.1/24"))),
        ("down", interface.down()),
        ("apply", interface.apply(&InterfaceConfig::new().mtu(1400).mac(mac(1)).up())),
        ("delete", interface.delete()),
    ]
}

/// A stranger with the index of an interface that is gone, and everything that is reported of it.
fn stranger<H: Harness>(harness: &H, index: InterfaceIndex) -> bool {
    let stranger = name("stranger");
    if !harness.make_with_index(&stranger, index) {
        not_applicable("indices are not chosen here");
        return false;
    }
    assert_eq!(report(harness, "stranger").index, index);
    true
}

fn assert_left_alone<H: Harness>(harness: &H, interface: &InterfaceOf<H>) {
    harness.set_up(&name("stranger"), true);
    let before = (report(harness, "stranger"), harness.reported_addresses(&name("stranger")));
    let capabilities = harness.backend().capabilities();
    for (operation, outcome) in every_change(interface) {
        let Err(error) = outcome else { panic!("{operation} succeeded") };
        // What a system never does need not know the interface.
        if error.cause() != Cause::Unsupported || capabilities.supports(error.operation()) {
            assert_eq!(error.cause(), Cause::Gone, "{operation}");
        }
        let after = (report(harness, "stranger"), harness.reported_addresses(&name("stranger")));
        assert_eq!(after, before, "{operation}");
    }
    refused(interface.info(), Cause::Gone);
    refused(interface.addresses(), Cause::Gone);
    refused(interface.dropped(), Cause::Gone);
    if capabilities.supports(Operation::ReadStatistics) {
        refused(interface.statistics(), Cause::Gone);
    }
    if capabilities.supports(Operation::Describe) {
        refused(interface.description(), Cause::Gone);
    }
}

/// A tap has the index of a tun that is gone: any handle can tell.
fn a_stranger_with_the_index_is_left_alone<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let found = harness.backend().interface(&name("tun0")).unwrap();
    let index = found.index();
    harness.delete(&name("tun0"));
    if stranger(harness, index) {
        assert_left_alone(harness, &found);
        assert_left_alone(harness, device.interface());
        refused(device.up(address("10.77.0.1/24")), Cause::Gone);
        refused(device.down(), Cause::Gone);
        drop(device);
        assert!(harness.report(&name("stranger")).is_some());
    }
}

/// A tap has the index of another tap that is gone, or somewhere else: the handle of an open device can tell.
fn a_stranger_with_the_index_is_not_taken_for_the_interface<H: Harness>(harness: &H) {
    for moved in [false, true] {
        let device = tap(harness, "tap0");
        let clone = device.try_clone().unwrap();
        let index = device.interface().index();
        if moved {
            harness.move_to_namespace(&name("tap0"));
        } else {
            harness.delete(&name("tap0"));
        }
        if !stranger(harness, index) {
            return;
        }
        assert_left_alone(harness, device.interface());
        assert_left_alone(harness, clone.interface());
        drop(clone);
        device.destroy().unwrap();
        assert!(harness.report(&name("stranger")).is_some());
        harness.delete(&name("stranger"));
    }
}

fn a_setter_of_what_is_so_already_takes_no_right<H: Harness>(harness: &H) {
    let config = InterfaceConfig::new().mtu(1400).mac(mac(2)).address("10.77.0.1/24").up();
    let device = create(harness, CreateOptions::tap().config(config.clone()), "tap0");
    let before = (report(harness, "tap0"), harness.reported_addresses(&name("tap0")));
    harness.as_caller(4001, 4001, false, &mut || {
        let found = harness.backend().interface(&device.name().unwrap()).unwrap();
        for interface in [device.interface(), &found] {
            let info = interface.info().unwrap();
            interface.set_state(State::Up).unwrap();
            interface.set_mtu(Mtu::new(1400).unwrap()).unwrap();
            interface.set_mac(mac(2)).unwrap();
            assert!(!interface.add_address(address("10.77.0.1/24")).unwrap());
            interface.replace_addresses(&[address("10.77.0.1/24")]).unwrap();
            interface.up(address("10.77.0.1/24")).unwrap();
            interface.apply(&config).unwrap();
            for (operation, outcome) in [
                (Operation::Rename, interface.rename(&info.name)),
                (Operation::SetQueueLength, interface.set_queue_length(info.queue_length.unwrap_or(0))),
                (Operation::Describe, interface.set_description(c"")),
                (Operation::SetCarrier, interface.set_carrier(true)),
            ] {
                if harness.backend().capabilities().supports(operation) {
                    outcome.unwrap();
                } else {
                    refused(outcome, Cause::Unsupported);
                }
            }
        }
        device.up(address("10.77.0.1/24")).unwrap();
    });
    assert_eq!((report(harness, "tap0"), harness.reported_addresses(&name("tap0"))), before);
}

fn a_device_sets_the_mac_address_without_the_capability<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    harness.as_caller(4001, 4001, false, &mut || {
        device.interface().set_mac(mac(7)).unwrap();
        let found = harness.backend().interface(&device.name().unwrap()).unwrap();
        refused_with(found.set_mac(mac(8)), Cause::MissingCapability, errno::EPERM);
    });
    assert_eq!(report(harness, "tap0").mac, Some(mac(7)));
}
