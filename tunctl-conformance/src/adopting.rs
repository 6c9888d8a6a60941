//! Devices become descriptors, and descriptors devices.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use crate::case::{Case, suite};
use crate::expect::{
    address, assert_empty, create, errno, exists, ipv4, name, not_applicable, received, refused_with, report,
    tap, tun, up,
};
use crate::permission::as_user;
use crate::{DeviceOf, Harness, Need};
use tunctl_core::{
    AdoptError, Cause, CreateOptions, Interface, InterfaceIndex, Operation, TunBackend, TunDevice,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let by_anyone = suite![Lifetime:
        an_adopted_device_is_the_one_that_was_handed_over,
        a_handed_over_descriptor_keeps_the_interface_until_it_is_closed,
        a_handed_over_clone_keeps_the_interface_until_it_is_closed,
        a_descriptor_is_adopted_beside_a_device_of_the_same_file,
        packets_wait_in_a_descriptor_that_nobody_has_adopted,
        an_adopted_device_is_readable_when_a_packet_comes,
        a_persistent_interface_is_left_by_an_adopted_device,
        an_adopted_device_is_destroyed,
        a_foreign_descriptor_is_not_adopted_and_comes_back,
        a_descriptor_of_a_deleted_interface_is_not_adopted_and_comes_back,
        an_interface_is_renamed_while_its_descriptor_is_nobodys,
        an_interface_that_moved_is_adopted_with_its_descriptor,
    ];
    let as_others = suite![Permission:
        without_the_capability_a_descriptor_is_adopted,
        a_device_opened_without_the_capability_configures_once_it_is_adopted_with_it,
        without_the_capability_an_interface_elsewhere_is_unknown,
        without_the_capability_packets_are_offered_only_where_a_namesake_is_alike,
        packets_are_offered_only_to_learn_what_no_right_tells,
    ];
    let as_others = as_others.into_iter().map(|case| case.needs(Need::OtherUsers));
    by_anyone.into_iter().chain(as_others).collect()
}

const NO_DESCRIPTORS: &str = "it adopts no descriptors";

/// Hands a device over; `None`, having said so, if the backend cannot.
fn handed_over<H: Harness>(harness: &H, device: DeviceOf<H>) -> Option<OwnedFd> {
    let fd = harness.hand_over(device);
    if fd.is_none() {
        not_applicable(NO_DESCRIPTORS);
    }
    fd
}

#[track_caller]
fn try_to_adopt<H: Harness>(harness: &H, fd: OwnedFd) -> Result<DeviceOf<H>, AdoptError> {
    harness.adopt(fd).expect("a backend that hands over adopts")
}

#[track_caller]
fn adopted<H: Harness>(harness: &H, fd: OwnedFd) -> DeviceOf<H> {
    try_to_adopt(harness, fd).unwrap_or_else(|failed| panic!("{failed}"))
}

/// Asserts that a descriptor is not adopted, and returns it.
#[track_caller]
fn kept<H: Harness>(harness: &H, fd: OwnedFd, cause: Cause) -> OwnedFd {
    let Err(failed) = try_to_adopt(harness, fd) else { panic!("it was adopted, and {cause:?} was expected") };
    let error = failed.error();
    assert_eq!((error.operation(), error.cause()), (Operation::Adopt, cause), "{error}");
    failed.into_fd()
}

/// Asserts that the interface is not known. No random sequence meets this often enough to be held to it, so
/// it is not among the refusals that a case names.
#[track_caller]
fn unknown<T>(outcome: tunctl_core::Result<T>) {
    let Err(error) = outcome else { panic!("it succeeded") };
    assert_eq!(error.cause(), Cause::UnknownInterface, "{error}");
    assert!(error.remedy().is_some(), "{error}");
}

fn an_adopted_device_is_the_one_that_was_handed_over<H: Harness>(harness: &H) {
    let [tun, tap] = [CreateOptions::tun(), CreateOptions::tap()];
    for options in [
        tun.clone(),
        tap.clone(),
        tun.clone().packet_information(true),
        tap.clone().packet_information(true),
        tun.clone().vnet_header(true),
        tap.vnet_header(true).packet_information(true),
        tun.multi_queue(true),
    ] {
        let device = create(harness, options, "vpn0");
        let before = (device.flags(), device.layer(), device.header_kind(), device.name().unwrap());
        let info = device.interface().info().unwrap();
        let Some(fd) = handed_over(harness, device) else { return };
        let device = adopted(harness, fd);
        let after = (device.flags(), device.layer(), device.header_kind(), device.name().unwrap());
        assert_eq!(after, before);
        assert_eq!(device.interface().info().unwrap(), info);
        drop(device);
        assert!(!exists(harness, "vpn0"));
    }
}

fn a_handed_over_descriptor_keeps_the_interface_until_it_is_closed<H: Harness>(harness: &H) {
    let Some(fd) = handed_over(harness, tun(harness, "tun0")) else { return };
    let index = report(harness, "tun0").index;
    let copy = fd.try_clone().unwrap();
    drop(fd);
    assert_eq!(report(harness, "tun0").index, index);
    drop(copy);
    assert!(!exists(harness, "tun0"));
    // The name is free.
    drop(tun(harness, "tun0"));
}

fn a_handed_over_clone_keeps_the_interface_until_it_is_closed<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let (second, third) = (device.try_clone().unwrap(), device.try_clone().unwrap());
    let Some(fd) = handed_over(harness, second) else { return };
    drop(third);
    drop(device);
    assert!(exists(harness, "tun0"));
    drop(fd);
    assert!(!exists(harness, "tun0"));
    let device = tun(harness, "tun0");
    let clone = device.try_clone().unwrap();
    let Some(fd) = handed_over(harness, device) else { return };
    drop(fd);
    assert_eq!(clone.name().unwrap(), name("tun0"));
    drop(clone);
    assert!(!exists(harness, "tun0"));
}

fn a_descriptor_is_adopted_beside_a_device_of_the_same_file<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let Some(fd) = handed_over(harness, device.try_clone().unwrap()) else { return };
    let other = adopted(harness, fd);
    assert_eq!(other.interface().index(), device.interface().index());
    // It is one queue, whoever reads it.
    assert!(harness.inject(&name("tun0"), &ipv4(30)));
    assert_eq!(received(&other), ipv4(30));
    assert_empty(&device);
    drop(device);
    assert_eq!(other.name().unwrap(), name("tun0"));
    drop(other);
    assert!(!exists(harness, "tun0"));
}

fn packets_wait_in_a_descriptor_that_nobody_has_adopted<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    assert!(harness.inject(&name("tun0"), &ipv4(30)));
    let Some(fd) = handed_over(harness, device) else { return };
    assert!(harness.inject(&name("tun0"), &ipv4(40)));
    let device = adopted(harness, fd);
    assert_eq!([received(&device), received(&device)], [ipv4(30), ipv4(40)]);
    assert_empty(&device);
    let mut watch = harness.observe(&name("tun0"));
    device.send(&ipv4(50)).unwrap();
    assert_eq!(watch.take(), Some(ipv4(50)));
}

fn an_adopted_device_is_readable_when_a_packet_comes<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let Some(fd) = handed_over(harness, device) else { return };
    harness.set_up(&name("tun0"), false);
    let device = adopted(harness, fd);
    let state = harness.poll_state(&device);
    assert!(!state.readable && !state.writable && !state.error, "{state:?}");
    harness.set_up(&name("tun0"), true);
    assert!(harness.poll_state(&device).writable);
    assert!(harness.inject(&name("tun0"), &ipv4(30)));
    assert!(harness.poll_state(&device).readable);
}

fn a_persistent_interface_is_left_by_an_adopted_device<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    let Some(fd) = handed_over(harness, device) else { return };
    drop(adopted(harness, fd));
    assert!(report(harness, "tun0").persistent);
}

fn an_adopted_device_is_destroyed<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    let Some(fd) = handed_over(harness, device) else { return };
    adopted(harness, fd).destroy().unwrap();
    assert!(!exists(harness, "tun0"));
}

fn a_foreign_descriptor_is_not_adopted_and_comes_back<H: Harness>(harness: &H) {
    let Some(fd) = handed_over(harness, tap(harness, "tap0")) else { return };
    let (near, far) = UnixStream::pair().unwrap();
    let near = kept(harness, near.into(), Cause::ForeignDescriptor);
    // It is as open as before.
    drop(far);
    let mut byte = [0];
    assert_eq!(std::io::Read::read(&mut UnixStream::from(near), &mut byte).unwrap(), 0);
    adopted(harness, fd);
}

fn a_descriptor_of_a_deleted_interface_is_not_adopted_and_comes_back<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let Some(fd) = handed_over(harness, device) else { return };
    harness.delete(&name("tun0"));
    let fd = kept(harness, fd, Cause::NotAttached);
    let failed = try_to_adopt(harness, fd).map(drop).unwrap_err();
    refused_with::<(), _>(Err(failed.error().clone()), Cause::NotAttached, errno::EBADFD);
    let fd = failed.into_fd();
    // Not even if there is another interface of its name.
    let _other = tun(harness, "tun0");
    kept(harness, fd, Cause::NotAttached);
}

fn an_interface_is_renamed_while_its_descriptor_is_nobodys<H: Harness>(harness: &H) {
    let Some(fd) = handed_over(harness, tun(harness, "tun0")) else { return };
    assert!(harness.rename(&name("tun0"), &name("tun1")));
    let stranger = tun(harness, "tun0");
    let device = adopted(harness, fd);
    assert_eq!(device.name().unwrap(), name("tun1"));
    assert_eq!(device.interface().index(), report(harness, "tun1").index);
    assert_ne!(device.interface().index(), stranger.interface().index());
}

fn an_interface_that_moved_is_adopted_with_its_descriptor<H: Harness>(harness: &H) {
    let Some(fd) = handed_over(harness, tun(harness, "tun0")) else { return };
    harness.move_to_namespace(&name("tun0"));
    let stranger = tun(harness, "tun0");
    let device = adopted(harness, fd);
    device.interface().set_mtu("1300".parse().unwrap()).unwrap();
    let there = harness.report_elsewhere(&name("tun0")).expect("it moved");
    assert_eq!((there.mtu.get(), there.index), (1300, device.interface().index()));
    assert_eq!(report(harness, "tun0").mtu.get(), 1500);
    drop(stranger);
    device.destroy().unwrap();
    assert!(harness.report_elsewhere(&name("tun0")).is_none());
}

fn without_the_capability_a_descriptor_is_adopted<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    assert!(harness.inject(&name("tun0"), &ipv4(30)));
    let Some(fd) = handed_over(harness, device) else { return };
    let mut fd = Some(fd);
    as_user(harness, 4001, 4001, || {
        let device = adopted(harness, fd.take().unwrap());
        assert_eq!(received(&device), ipv4(30));
        device.send(&ipv4(30)).unwrap();
        assert_eq!(device.interface().info().unwrap().index, report(harness, "tun0").index);
        let mtu = "1300".parse().unwrap();
        refused_with(device.interface().set_mtu(mtu), Cause::MissingCapability, errno::EPERM);
        device.set_persist(true).unwrap();
    });
    assert!(report(harness, "tun0").persistent);
}

fn a_device_opened_without_the_capability_configures_once_it_is_adopted_with_it<H: Harness>(harness: &H) {
    crate::permission::mine(harness);
    let mut device = None;
    as_user(harness, 4001, 4001, || {
        device = crate::expect::open(harness, CreateOptions::tun(), "mine").ok();
    });
    let device = device.expect("its owner opens it");
    let mtu = "1300".parse().unwrap();
    let Some(fd) = handed_over(harness, device) else { return };
    adopted(harness, fd).interface().set_mtu(mtu).unwrap();
    assert_eq!(report(harness, "mine").mtu.get(), 1300);
}

fn without_the_capability_an_interface_elsewhere_is_unknown<H: Harness>(harness: &H) {
    let Some(fd) = handed_over(harness, tun(harness, "tun0")) else { return };
    harness.move_to_namespace(&name("tun0"));
    let stranger = tun(harness, "tun0");
    let mut fd = Some(fd);
    as_user(harness, 4001, 4001, || {
        let device = adopted(harness, fd.take().unwrap());
        let interface = device.interface();
        assert_eq!(interface.index(), InterfaceIndex::UNKNOWN);
        assert_eq!(device.name().unwrap(), name("tun0"));
        assert_empty(&device);
        unknown(interface.info());
        unknown(interface.addresses());
        unknown(interface.set_mtu("1300".parse().unwrap()));
        unknown(device.up(address("10.77.0.1/24")));
        unknown(interface.delete());
        // The stranger of its name can be had by asking for it.
        let here = harness.backend().interface(&name("tun0")).unwrap();
        assert_eq!(here.index(), stranger.interface().index());
        device.destroy().unwrap();
    });
    assert!(harness.report_elsewhere(&name("tun0")).is_none());
    assert_eq!(report(harness, "tun0").mtu.get(), 1500);
}

/// Which interface a descriptor is attached to shows by what the interfaces count of packets that cannot be
/// read. None is offered for a namesake that the descriptor cannot be attached to.
fn without_the_capability_packets_are_offered_only_where_a_namesake_is_alike<H: Harness>(harness: &H) {
    let tun = CreateOptions::tun;
    let (vnet, several) = (tun().vnet_header(true), tun().multi_queue(true));
    let rows = [
        // Two for the namesake, and one to see whether there is packet information.
        (tun(), tun(), 3),
        (tun(), CreateOptions::tap(), 1),
        (tun(), vnet.clone(), 1),
        (tun(), several.clone(), 1),
        (tun(), tun().persistent(true), 1),
        // Netlink and the driver do not agree about packet information, so it makes no difference. What is
        // too short for it shows it, and is not counted.
        (tun().packet_information(true), tun(), 2),
        // With a virtio-net header, what is too short for one shows it, and is not counted.
        (vnet.clone(), vnet.clone(), 2),
        (vnet.clone(), tun(), 0),
        (vnet.clone(), vnet.clone().multi_queue(true), 0),
        (several.clone(), several, 3),
    ];
    for (ours, theirs, offered) in rows {
        let what = format!("{} beside {}", ours.get_flags(), theirs.get_flags());
        let device = match harness.backend().create(&ours.name("tun0")) {
            Err(error) if error.cause() == Cause::Unsupported => return not_applicable(NO_DESCRIPTORS),
            device => device.unwrap(),
        };
        let Some(fd) = handed_over(harness, device) else { return };
        let Some(elsewhere) = harness.backend_elsewhere() else { return not_applicable(NO_DESCRIPTORS) };
        harness.move_to_namespace(&name("tun0"));
        let namesake = create(harness, theirs, "tun0");
        let (mut fd, mut device) = (Some(fd), None);
        as_user(harness, 4001, 4001, || device = Some(adopted(harness, fd.take().unwrap())));
        let moved = elsewhere.unwrap().interface(&name("tun0")).unwrap();
        assert_eq!(moved.statistics().unwrap().from_program.dropped, offered, "{what}");
        assert_eq!(namesake.interface().statistics().unwrap().from_program.dropped, 0, "{what}");
        namesake.destroy().unwrap();
        drop(device);
    }
}

/// With the right to ask for the interface's namespace, nothing has to be found out by packets. Over another
/// namespace, root alone has it, too.
fn packets_are_offered_only_to_learn_what_no_right_tells<H: Harness>(harness: &H) {
    const CALLERS: [(u32, bool); 3] = [(4001, false), (4001, true), (0, true)];
    for (moves, offered) in [(false, [5, 0, 0]), (true, [1, 1, 0])] {
        for ((user, is_capable), offered) in CALLERS.into_iter().zip(offered) {
            let Some(fd) = handed_over(harness, tun(harness, "tun0")) else { return };
            let Some(elsewhere) = harness.backend_elsewhere() else { return not_applicable(NO_DESCRIPTORS) };
            if moves {
                harness.move_to_namespace(&name("tun0"));
            }
            let (mut fd, mut device) = (Some(fd), None);
            harness.as_caller(user, user, is_capable, &mut || {
                let adopted = adopted(harness, fd.take().unwrap());
                assert_eq!(adopted.interface().info().is_ok(), !moves || user == 0, "{user}, {is_capable}");
                device = Some(adopted);
            });
            let elsewhere = elsewhere.unwrap();
            let backend = if moves { &elsewhere } else { harness.backend() };
            let counted = backend.interface(&name("tun0")).unwrap().statistics().unwrap();
            assert_eq!(counted.from_program.dropped, offered, "{user}, {is_capable}, moved: {moves}");
            drop(device);
        }
    }
}
