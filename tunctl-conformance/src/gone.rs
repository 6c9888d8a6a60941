//! Interfaces that are deleted, or moved to another namespace, while devices are attached to them.

use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

use crate::case::{Case, suite};
use crate::expect::{
    address, bring_up, create, errno, exists, gid, ipv4, name, open, persistent, refused_with, report,
};
use crate::expect::{tap, tun, uid};
use crate::{Harness, InterfaceOf, refused};
use tunctl_core::{
    Cause, CreateOptions, Interface, Layer, Operation, Readiness, State, TunBackend, TunDevice,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Lifetime:
        a_deleted_interface_is_gone_for_its_device,
        a_deleted_interface_is_gone_for_reading_and_writing,
        a_deleted_interface_is_gone_for_what_only_a_device_sets,
        a_deleted_interface_is_gone_for_up_and_down,
        a_deleted_interface_is_gone_for_its_handle,
        a_deleted_interface_is_gone_for_every_queue_and_clone,
        a_deleted_interface_makes_its_device_ready,
        a_device_of_a_deleted_interface_still_tells_its_flags,
        destroying_what_is_gone_succeeds,
        the_packets_of_a_deleted_interface_are_lost,
        the_name_of_a_deleted_interface_is_free_while_its_device_is_open,
        a_device_is_not_attached_to_the_successor_of_its_interface,
        a_handle_follows_its_interface_through_close_and_rename,
        a_renamed_interface_works_on_for_its_device,
        a_moved_interface_keeps_its_device_and_goes_down,
        a_moved_interface_keeps_the_packets_in_its_queue,
        a_moved_interface_is_not_configured_from_where_it_left,
        a_moved_interface_is_changed_by_what_only_a_device_sets,
        a_moved_interface_is_not_taken_for_a_stranger_of_its_name,
        a_moved_interface_is_destroyed_where_it_is,
        a_moved_interface_goes_with_its_last_device,
        a_moved_interface_is_not_destroyed_under_another_queue,
        a_moved_interface_is_not_destroyed_under_a_clone,
    ]
}

fn a_deleted_interface_is_gone_for_its_device<H: Harness>(harness: &H) {
    for device in [tun(harness, "tun0"), tap(harness, "tap0")] {
        let called = device.name().unwrap();
        harness.delete(&called);
        let error = refused_with(device.name(), Cause::Gone, errno::EBADFD);
        assert_eq!((error.operation(), error.interface()), (Operation::Name, Some(called)));
        assert!(error.is_gone());
    }
}

fn a_deleted_interface_is_gone_for_reading_and_writing<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    bring_up(harness, &device, address("10.77.0.1/24"));
    harness.delete(&name("tun0"));
    let mut buffer = [0; 100];
    let packet = ipv4(28);
    let (head, tail) = packet.split_at(20);
    for outcome in [
        device.recv(&mut buffer),
        device.try_recv(&mut buffer),
        device.recv_vectored(&mut [IoSliceMut::new(&mut buffer)]),
        device.try_recv_vectored(&mut [IoSliceMut::new(&mut buffer)]),
        device.send(&packet),
        device.try_send(&packet),
        device.send_vectored(&[IoSlice::new(head), IoSlice::new(tail)]),
        device.try_send_vectored(&[IoSlice::new(head), IoSlice::new(tail)]),
    ] {
        refused_with(outcome, Cause::Gone, errno::EBADFD);
    }
}

fn a_deleted_interface_is_gone_for_what_only_a_device_sets<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.delete(&name("tun0"));
    for outcome in [
        device.set_persist(true),
        device.set_persist(false),
        device.set_owner(uid(0)),
        device.set_group(gid(0)),
    ] {
        refused_with(outcome, Cause::Gone, errno::EBADFD);
    }
    drop(device);
    assert!(!exists(harness, "tun0"));
}

fn a_deleted_interface_is_gone_for_up_and_down<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.delete(&name("tun0"));
    let error = refused_with(device.up(address("10.77.0.1/24")), Cause::Gone, errno::EBADFD);
    assert_eq!(error.operation(), Operation::Up);
    let error = refused_with(device.down(), Cause::Gone, errno::EBADFD);
    assert_eq!(error.operation(), Operation::Down);
}

/// Every operation of a handle must say that its interface is gone; a change, with this errno.
fn assert_gone<H: Harness>(interface: &InterfaceOf<H>, errno: i32) {
    refused(interface.info(), Cause::Gone);
    refused(interface.name(), Cause::Gone);
    refused(interface.mtu(), Cause::Gone);
    refused(interface.state(), Cause::Gone);
    refused(interface.addresses(), Cause::Gone);
    refused(interface.add_address(address("10.77.0.1/24")), Cause::Gone);
    refused(interface.remove_address(address("10.77.0.1/24")), Cause::Gone);
    refused(interface.replace_addresses(&[]), Cause::Gone);
    refused(interface.up(address("10.77.0.1/24")), Cause::Gone);
    refused(interface.delete(), Cause::Gone);
    for state in [State::Up, State::Down] {
        refused_with(interface.set_state(state), Cause::Gone, errno);
    }
    refused_with(interface.down(), Cause::Gone, errno);
    refused_with(interface.set_mtu("1400".parse().unwrap()), Cause::Gone, errno);
    refused_with(interface.set_mac(crate::expect::mac(1)), Cause::Gone, errno);
}

fn a_deleted_interface_is_gone_for_its_handle<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let found = harness.backend().interface(&name("tun0")).unwrap();
    harness.delete(&name("tun0"));
    assert_gone::<H>(device.interface(), errno::EBADFD);
    assert_gone::<H>(&found, errno::ENODEV);
}

fn a_deleted_interface_is_gone_for_every_queue_and_clone<H: Harness>(harness: &H) {
    let several = CreateOptions::tap().multi_queue(true);
    let first = create(harness, several.clone(), "tap0");
    let second = open(harness, several, "tap0").unwrap();
    let clone = second.try_clone().unwrap();
    harness.delete(&name("tap0"));
    for device in [&first, &second, &clone] {
        refused_with(device.name(), Cause::Gone, errno::EBADFD);
        refused_with(device.try_recv(&mut [0; 100]), Cause::Gone, errno::EBADFD);
    }
    // A clone that is made now is no better.
    refused_with(clone.try_clone().unwrap().name(), Cause::Gone, errno::EBADFD);
}

fn a_deleted_interface_makes_its_device_ready<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let at_once = Some(Duration::ZERO);
    assert!(!device.wait(Readiness::Readable, at_once).unwrap());
    assert!(!device.wait(Readiness::Writable, at_once).unwrap());
    harness.delete(&name("tun0"));
    assert!(device.wait(Readiness::Readable, None).unwrap());
    assert!(device.wait(Readiness::Writable, None).unwrap());
    let polled = harness.poll_state(&device);
    assert_eq!((polled.readable, polled.writable, polled.error), (false, false, true));
}

fn a_device_of_a_deleted_interface_still_tells_its_flags<H: Harness>(harness: &H) {
    let options = CreateOptions::tap().vnet_header(true);
    let device = create(harness, options.clone(), "tap0");
    let index = report(harness, "tap0").index;
    harness.delete(&name("tap0"));
    assert_eq!((device.flags(), device.layer()), (options.get_flags(), Layer::Tap));
    assert_eq!(device.interface().index(), index);
}

fn destroying_what_is_gone_succeeds<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.delete(&name("tun0"));
    // Nor does it destroy what has the name now.
    let _successor = tun(harness, "tun0");
    let before = report(harness, "tun0");
    device.destroy().unwrap();
    assert_eq!(report(harness, "tun0"), before);
}

fn the_packets_of_a_deleted_interface_are_lost<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.set_up(&name("tun0"), true);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    harness.delete(&name("tun0"));
    refused_with(device.try_recv(&mut [0; 100]), Cause::Gone, errno::EBADFD);
    assert!(!harness.poll_state(&device).readable);
}

fn the_name_of_a_deleted_interface_is_free_while_its_device_is_open<H: Harness>(harness: &H) {
    let _device = tun(harness, "tun0");
    harness.delete(&name("tun0"));
    refused(harness.backend().interface(&name("tun0")), Cause::NotFound);
    refused(open(harness, CreateOptions::tun(), "tun0"), Cause::NotFound);
    let successor = tap(harness, "tun0");
    assert_eq!(report(harness, "tun0").layer, Layer::Tap);
    assert_eq!(successor.name().unwrap(), name("tun0"));
}

fn a_device_is_not_attached_to_the_successor_of_its_interface<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    harness.delete(&name("tun0"));
    persistent(harness, CreateOptions::tun(), "tun0");
    let before = report(harness, "tun0");
    refused_with(device.name(), Cause::Gone, errno::EBADFD);
    refused_with(device.up(address("10.77.0.1/24")), Cause::Gone, errno::EBADFD);
    refused_with(device.set_persist(false), Cause::Gone, errno::EBADFD);
    refused(device.interface().info(), Cause::Gone);
    drop(device);
    assert_eq!(report(harness, "tun0"), before);
    assert_eq!(harness.reported_addresses(&name("tun0")), []);
}

fn a_handle_follows_its_interface_through_close_and_rename<H: Harness>(harness: &H) {
    let device = tun(harness, "before");
    device.set_persist(true).unwrap();
    let interface = device.interface().clone();
    drop(device);
    assert!(harness.rename(&name("before"), &name("after")));
    assert_eq!(interface.name().unwrap(), name("after"));
    interface.set_mtu("1400".parse().unwrap()).unwrap();
    assert_eq!(report(harness, "after").mtu.get(), 1400);
    interface.delete().unwrap();
    assert!(!exists(harness, "after"));
}

fn a_renamed_interface_works_on_for_its_device<H: Harness>(harness: &H) {
    let device = tun(harness, "before");
    assert!(harness.rename(&name("before"), &name("after")));
    bring_up(harness, &device, address("10.77.0.1/24"));
    assert_eq!(report(harness, "after").state, State::Up);
    let mut seen = harness.observe(&name("after"));
    assert_eq!(device.try_send(&ipv4(28)).unwrap(), 28);
    assert_eq!(seen.take(), Some(ipv4(28)));
    assert!(harness.inject(&name("after"), &ipv4(30)));
    let mut buffer = [0; 100];
    let length = device.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..length], ipv4(30));
    device.destroy().unwrap();
    assert!(!exists(harness, "after"));
}

fn a_moved_interface_keeps_its_device_and_goes_down<H: Harness>(harness: &H) {
    let device = tun(harness, "mover");
    bring_up(harness, &device, address("10.77.0.1/24"));
    harness.move_to_namespace(&name("mover"));
    assert!(!exists(harness, "mover"));
    assert_eq!(harness.report_elsewhere(&name("mover")).unwrap().state, State::Down);
    assert_eq!(device.name().unwrap(), name("mover"));
    refused_with(device.try_send(&ipv4(28)), Cause::Down, errno::EIO);
    refused_with(device.try_recv(&mut [0; 100]), Cause::WouldBlock, errno::EAGAIN);
}

fn a_moved_interface_keeps_the_packets_in_its_queue<H: Harness>(harness: &H) {
    let device = tun(harness, "mover");
    harness.set_up(&name("mover"), true);
    assert!(harness.inject(&name("mover"), &ipv4(28)));
    harness.move_to_namespace(&name("mover"));
    let mut buffer = [0; 100];
    assert_eq!(device.try_recv(&mut buffer).unwrap(), 28);
    assert_eq!(buffer[..28], ipv4(28));
}

fn a_moved_interface_is_not_configured_from_where_it_left<H: Harness>(harness: &H) {
    let device = tun(harness, "mover");
    let found = harness.backend().interface(&name("mover")).unwrap();
    harness.move_to_namespace(&name("mover"));
    let before = harness.report_elsewhere(&name("mover"));
    assert_gone::<H>(&found, errno::ENODEV);
    assert_gone::<H>(device.interface(), errno::ENODEV);
    refused(device.up(address("10.77.0.1/24")), Cause::Gone);
    refused(device.down(), Cause::Gone);
    refused(harness.backend().interface(&name("mover")), Cause::NotFound);
    assert_eq!(harness.report_elsewhere(&name("mover")), before);
}

fn a_moved_interface_is_changed_by_what_only_a_device_sets<H: Harness>(harness: &H) {
    let device = tun(harness, "mover");
    harness.move_to_namespace(&name("mover"));
    device.set_persist(true).unwrap();
    device.set_owner(uid(0)).unwrap();
    drop(device);
    let left = harness.report_elsewhere(&name("mover")).unwrap();
    assert_eq!((left.persistent, left.owner), (true, Some(uid(0))));
}

fn a_moved_interface_is_not_taken_for_a_stranger_of_its_name<H: Harness>(harness: &H) {
    let device = tun(harness, "mover");
    harness.move_to_namespace(&name("mover"));
    let _stranger = tun(harness, "mover");
    let before = report(harness, "mover");
    refused(device.up(address("10.77.0.1/24")), Cause::Gone);
    device.destroy().unwrap();
    assert!(harness.report_elsewhere(&name("mover")).is_none());
    assert_eq!(report(harness, "mover"), before);
}

fn a_moved_interface_is_destroyed_where_it_is<H: Harness>(harness: &H) {
    for persistent in [false, true] {
        let device = tun(harness, "mover");
        device.set_persist(persistent).unwrap();
        harness.move_to_namespace(&name("mover"));
        assert!(harness.report_elsewhere(&name("mover")).is_some());
        device.destroy().unwrap();
        assert!(harness.report_elsewhere(&name("mover")).is_none());
    }
}

fn a_moved_interface_goes_with_its_last_device<H: Harness>(harness: &H) {
    let device = tun(harness, "mover");
    let clone = device.try_clone().unwrap();
    harness.move_to_namespace(&name("mover"));
    drop(device);
    assert!(harness.report_elsewhere(&name("mover")).is_some());
    drop(clone);
    assert!(harness.report_elsewhere(&name("mover")).is_none());
}

fn a_moved_interface_is_not_destroyed_under_another_queue<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    let first = create(harness, several.clone(), "mover");
    let second = open(harness, several, "mover").unwrap();
    first.set_persist(true).unwrap();
    harness.move_to_namespace(&name("mover"));
    let first = crate::expect::given_back(first.destroy());
    assert!(harness.report_elsewhere(&name("mover")).unwrap().persistent);
    drop(second);
    first.destroy().unwrap();
    assert!(harness.report_elsewhere(&name("mover")).is_none());
}

fn a_moved_interface_is_not_destroyed_under_a_clone<H: Harness>(harness: &H) {
    let device = tun(harness, "mover");
    let clone = device.try_clone().unwrap();
    harness.move_to_namespace(&name("mover"));
    // Of the same name, and none of its business.
    let _stranger = tun(harness, "mover");
    let device = crate::expect::given_back(device.destroy());
    assert!(harness.report_elsewhere(&name("mover")).is_some());
    drop(clone);
    device.destroy().unwrap();
    assert!(harness.report_elsewhere(&name("mover")).is_none());
    assert!(harness.report(&name("mover")).is_some());
}
