//! What outlives the last device.

use crate::case::{Case, suite};
use crate::expect::{
    address, bring_up, create, errno, exists, gid, ipv4, name, named, open, persistent, refused_with, report,
    tap, tun, uid,
};
use crate::{Harness, refused};
use tunctl_core::{
    Cause, CreateFlags, CreateOptions, Interface, InterfaceInfo, Layer, State, TunBackend, TunDevice,
};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Persistence:
        a_persistent_interface_outlives_its_last_device,
        an_interface_is_not_persistent_until_it_is_asked_to_be,
        persistence_taken_back_lets_the_interface_go_at_the_close,
        persistence_is_of_the_interface_and_not_of_the_clone,
        persistence_taken_back_leaves_an_interface_to_its_other_queue,
        setting_it_twice_is_setting_it_once,
        an_opener_takes_back_the_persistence_that_another_gave,
        everything_that_the_system_reports_survives_a_close,
        owner_and_group_survive_a_close_and_are_replaced_not_removed,
        an_interface_that_is_up_stays_up_without_devices,
        an_interface_that_is_down_stays_down_without_devices,
        addresses_survive_a_close,
        an_interface_without_devices_is_configured_and_renamed,
        the_index_is_that_of_before_when_it_is_opened_again,
        packets_in_the_queue_go_with_the_device,
        packets_sent_to_an_interface_without_devices_are_lost,
        the_next_opener_chooses_the_packet_headers,
        the_headers_stay_as_the_last_opener_left_them,
        the_reported_interface_opens_by_its_own_options,
        an_interface_without_devices_exists_for_create,
        an_interface_without_devices_keeps_its_layer,
        an_interface_without_devices_keeps_its_kind_of_queues,
        every_queue_of_an_interface_without_devices_is_free_again,
        destroying_takes_a_persistent_interface,
        deleting_takes_a_persistent_interface_without_devices,
    ]
}

fn a_persistent_interface_outlives_its_last_device<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    device.set_persist(true).unwrap();
    let clone = device.try_clone().unwrap();
    drop(device);
    assert!(report(harness, "tap0").persistent);
    drop(clone);
    assert!(report(harness, "tap0").persistent);
}

fn an_interface_is_not_persistent_until_it_is_asked_to_be<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    assert!(!report(harness, "tun0").persistent);
    device.set_persist(true).unwrap();
    assert!(report(harness, "tun0").persistent);
    device.set_persist(false).unwrap();
    assert!(!report(harness, "tun0").persistent);
}

fn persistence_taken_back_lets_the_interface_go_at_the_close<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    device.set_persist(false).unwrap();
    // Not before.
    assert!(exists(harness, "tun0"));
    drop(device);
    assert!(!exists(harness, "tun0"));
}

fn persistence_is_of_the_interface_and_not_of_the_clone<H: Harness>(harness: &H) {
    let first = tun(harness, "tun0");
    let second = first.try_clone().unwrap();
    first.set_persist(true).unwrap();
    drop(first);
    second.set_persist(false).unwrap();
    assert!(!report(harness, "tun0").persistent);
    drop(second);
    assert!(!exists(harness, "tun0"));
}

fn persistence_taken_back_leaves_an_interface_to_its_other_queue<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    persistent(harness, several.clone(), "tun0");
    let first = open(harness, several.clone(), "tun0").unwrap();
    let second = open(harness, several, "tun0").unwrap();
    first.set_persist(false).unwrap();
    drop(first);
    assert!(!report(harness, "tun0").persistent);
    assert_eq!(second.name().unwrap(), name("tun0"));
    drop(second);
    assert!(!exists(harness, "tun0"));
}

fn setting_it_twice_is_setting_it_once<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    device.set_persist(true).unwrap();
    device.set_persist(false).unwrap();
    assert!(!report(harness, "tun0").persistent);
    device.set_persist(false).unwrap();
    drop(device);
    assert!(!exists(harness, "tun0"));
}

fn an_opener_takes_back_the_persistence_that_another_gave<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tap(), "tap0");
    let device = open(harness, CreateOptions::tap(), "tap0").unwrap();
    device.set_persist(false).unwrap();
    drop(device);
    assert!(!exists(harness, "tap0"));
}

/// What the system reports, but for the queues, which come and go, and take the carrier along.
fn kept<H: Harness>(harness: &H, text: &str) -> InterfaceInfo {
    let mut info = report(harness, text);
    (info.queues, info.detached_queues, info.carrier) = (None, None, None);
    info
}

fn everything_that_the_system_reports_survives_a_close<H: Harness>(harness: &H) {
    let options = CreateOptions::tap().multi_queue(true).packet_information(true).vnet_header(true);
    let device = create(harness, options.mtu(1400), "tap0");
    device.set_persist(true).unwrap();
    device.set_owner(uid(0)).unwrap();
    bring_up(harness, &device, address("10.77.0.1/24"));
    let before = kept(harness, "tap0");
    assert_eq!((before.mtu.get(), before.owner, before.state), (1400, Some(uid(0)), State::Up));
    drop(device);
    assert_eq!(kept(harness, "tap0"), before);
    assert!(matches!(report(harness, "tap0").queues, None | Some(0)));
}

fn owner_and_group_survive_a_close_and_are_replaced_not_removed<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    device.set_group(gid(0)).unwrap();
    drop(device);
    let left = report(harness, "tun0");
    assert_eq!((left.owner, left.group), (None, Some(gid(0))));
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    device.set_owner(uid(0)).unwrap();
    device.set_owner(uid(0)).unwrap();
    drop(device);
    let left = report(harness, "tun0");
    assert_eq!((left.owner, left.group), (Some(uid(0)), Some(gid(0))));
}

fn an_interface_that_is_up_stays_up_without_devices<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    bring_up(harness, &device, address("10.77.0.1/24"));
    drop(device);
    assert_eq!(report(harness, "tun0").state, State::Up);
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    assert_eq!(device.try_send(&ipv4(28)).unwrap(), 28);
}

fn an_interface_that_is_down_stays_down_without_devices<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    bring_up(harness, &device, address("10.77.0.1/24"));
    harness.set_up(&name("tun0"), false);
    drop(device);
    assert_eq!(report(harness, "tun0").state, State::Down);
    assert_eq!(harness.reported_addresses(&name("tun0")).len(), 1);
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    refused_with(device.try_send(&ipv4(28)), Cause::Down, errno::EIO);
}

fn addresses_survive_a_close<H: Harness>(harness: &H) {
    let wanted = ["10.77.0.1/24", "10.78.0.1 peer 10.78.0.2/32", "fd77::1/64"].map(address);
    let options = wanted.into_iter().fold(CreateOptions::tun(), CreateOptions::address);
    let device = create(harness, options.up(), "tun0");
    device.set_persist(true).unwrap();
    drop(device);
    let left = harness.reported_addresses(&name("tun0"));
    assert_eq!(left.len(), wanted.len());
    for wanted in wanted {
        assert!(left.iter().any(|address| address.same_as(&wanted)), "{wanted} is not among {left:?}");
    }
}

fn an_interface_without_devices_is_configured_and_renamed<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "before");
    let interface = harness.backend().interface(&name("before")).unwrap();
    interface.up(address("10.77.0.1/24")).unwrap();
    interface.set_mtu("1400".parse().unwrap()).unwrap();
    interface.down().unwrap();
    assert!(harness.rename(&name("before"), &name("after")));
    let after = report(harness, "after");
    assert_eq!((after.mtu.get(), after.state, after.index), (1400, State::Down, interface.index()));
    assert!(harness.reported_addresses(&name("after"))[0].same_as(&address("10.77.0.1/24")));
    drop(open(harness, CreateOptions::tun(), "after").unwrap());
}

fn the_index_is_that_of_before_when_it_is_opened_again<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "tun0");
    let index = report(harness, "tun0").index;
    for _ in 0..2 {
        let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
        assert_eq!((device.interface().index(), report(harness, "tun0").index), (index, index));
    }
}

fn packets_in_the_queue_go_with_the_device<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    harness.set_up(&name("tun0"), true);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    assert!(harness.poll_state(&device).readable);
    drop(device);
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    refused_with(device.try_recv(&mut [0; 100]), Cause::WouldBlock, errno::EAGAIN);
}

fn packets_sent_to_an_interface_without_devices_are_lost<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "tun0");
    harness.set_up(&name("tun0"), true);
    assert!(!harness.inject(&name("tun0"), &ipv4(28)));
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    refused_with(device.try_recv(&mut [0; 100]), Cause::WouldBlock, errno::EAGAIN);
    assert!(harness.inject(&name("tun0"), &ipv4(30)));
    assert_eq!(device.try_recv(&mut [0; 100]).unwrap(), 30);
}

fn the_next_opener_chooses_the_packet_headers<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun().packet_information(true), "tun0");
    harness.set_up(&name("tun0"), true);
    let plain = CreateOptions::tun();
    for (options, headers) in [
        (plain.clone(), 0),
        (plain.clone().packet_information(true), 4),
        (plain.clone().vnet_header(true), 10),
        (plain.packet_information(true).vnet_header(true), 14),
    ] {
        let flags = options.get_flags();
        let device = open(harness, options, "tun0").unwrap();
        assert_eq!((device.flags(), report(harness, "tun0").flags), (flags, flags));
        assert!(harness.inject(&name("tun0"), &ipv4(28)));
        assert_eq!(device.try_recv(&mut [0; 100]).unwrap(), headers + 28, "{flags}");
    }
}

fn the_headers_stay_as_the_last_opener_left_them<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "tun0");
    let with_headers = CreateOptions::tun().packet_information(true).vnet_header(true);
    drop(open(harness, with_headers, "tun0").unwrap());
    assert_eq!(report(harness, "tun0").flags, CreateFlags::TUN | CreateFlags::VNET_HDR);
}

fn the_reported_interface_opens_by_its_own_options<H: Harness>(harness: &H) {
    let made = [
        CreateOptions::tun().packet_information(true),
        CreateOptions::tap().vnet_header(true).multi_queue(true),
    ];
    for options in made {
        persistent(harness, options.clone(), "made");
        let found = harness.backend().interface(&name("made")).unwrap();
        let device = harness.backend().open(&found.info().unwrap().options().unwrap()).unwrap();
        assert_eq!(device.flags(), options.get_flags());
        assert_eq!(report(harness, "made").flags, options.get_flags());
        device.destroy().unwrap();
    }
}

fn an_interface_without_devices_exists_for_create<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "tun0");
    let before = report(harness, "tun0");
    let options = named(CreateOptions::tun(), "tun0");
    refused_with(harness.backend().create(&options), Cause::Exists, errno::EBUSY);
    assert_eq!(report(harness, "tun0"), before);
    let device = harness.backend().open_or_create(&options).unwrap();
    assert_eq!(device.interface().index(), before.index);
}

fn an_interface_without_devices_keeps_its_layer<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tap(), "tap0");
    let before = report(harness, "tap0");
    refused_with(open(harness, CreateOptions::tun(), "tap0"), Cause::LayerMismatch, errno::EINVAL);
    let options = named(CreateOptions::tun(), "tap0");
    let either = harness.backend().open_or_create(&options);
    refused_with(either, Cause::LayerMismatch, errno::EINVAL);
    assert_eq!(report(harness, "tap0"), before);
    assert_eq!(before.layer, Layer::Tap);
}

fn an_interface_without_devices_keeps_its_kind_of_queues<H: Harness>(harness: &H) {
    let (single, several) = (CreateOptions::tun(), CreateOptions::tun().multi_queue(true));
    persistent(harness, single.clone(), "one");
    persistent(harness, several.clone(), "many");
    refused_with(open(harness, several, "one"), Cause::QueueMismatch, errno::EINVAL);
    refused_with(open(harness, single, "many"), Cause::QueueMismatch, errno::EINVAL);
    assert!(!report(harness, "one").flags.contains(CreateFlags::MULTI_QUEUE));
    assert!(report(harness, "many").flags.contains(CreateFlags::MULTI_QUEUE));
}

fn every_queue_of_an_interface_without_devices_is_free_again<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    let first = create(harness, several.clone(), "tun0");
    first.set_persist(true).unwrap();
    let others = [(); 2].map(|()| open(harness, several.clone(), "tun0").unwrap());
    // While one is left, its headers are everyone's.
    drop(others);
    let with_header = several.clone().vnet_header(true);
    refused(open(harness, with_header.clone(), "tun0"), Cause::HeaderMismatch);
    drop(first);
    let _second = open(harness, with_header, "tun0").unwrap();
    assert!(report(harness, "tun0").flags.contains(CreateFlags::VNET_HDR));
}

fn destroying_takes_a_persistent_interface<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    device.set_persist(true).unwrap();
    device.destroy().unwrap();
    assert!(!exists(harness, "tun0"));
    persistent(harness, CreateOptions::tap(), "tap0");
    open(harness, CreateOptions::tap(), "tap0").unwrap().destroy().unwrap();
    assert!(!exists(harness, "tap0"));
}

fn deleting_takes_a_persistent_interface_without_devices<H: Harness>(harness: &H) {
    persistent(harness, CreateOptions::tun(), "tun0");
    let interface = harness.backend().interface(&name("tun0")).unwrap();
    interface.delete().unwrap();
    assert!(!exists(harness, "tun0"));
    refused(open(harness, CreateOptions::tun(), "tun0"), Cause::NotFound);
    drop(tap(harness, "tun0"));
}
