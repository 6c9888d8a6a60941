//! Several devices at one interface.

use std::collections::BTreeSet;

use crate::case::{Case, suite};
use crate::expect::{
    NO_QUEUES, assert_empty, create, errno, exists, ipv4, name, not_applicable, open, received, refused_with,
    report, tap, tun, up,
};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions, Interface, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Queues:
        devices_share_a_multi_queue_interface,
        each_packet_reaches_exactly_one_queue,
        each_queue_sends_to_the_same_interface,
        a_queue_keeps_its_packets_while_others_come_and_go,
        the_packets_of_a_queue_that_is_closed_are_lost,
        packets_go_to_the_queues_that_are_left,
        the_queues_of_an_interface_are_counted,
        a_single_queue_is_counted,
        detached_queues_are_counted_too,
        a_detached_queue_loses_its_packets,
        a_detached_queue_receives_nothing,
        a_detached_queue_still_sends,
        a_detached_queue_that_is_down_says_so,
        an_attached_queue_receives_again,
        a_queue_is_detached_and_attached_while_down,
        a_queue_is_detached_once_and_attached_once,
        a_single_queue_stays_attached,
        a_clone_detaches_the_queue_that_it_shares,
        with_all_queues_detached_packets_are_dropped_and_counted,
        a_detached_queue_keeps_the_interface,
        an_interface_goes_with_its_last_queue_although_it_is_detached,
        an_interface_goes_with_its_last_queue_after_a_detached_one,
    ]
}

pub(crate) fn several() -> CreateOptions {
    CreateOptions::tun().multi_queue(true)
}

/// Two queues of an interface that is up.
fn two<H: Harness>(harness: &H) -> [DeviceOf<H>; 2] {
    [up(harness, several(), "many"), join(harness)]
}

pub(crate) fn join<H: Harness>(harness: &H) -> DeviceOf<H> {
    open(harness, several(), "many").unwrap()
}

/// Detaches the device's queue, or attaches it; false if the backend has no such thing, and the case no
/// point.
#[track_caller]
pub(crate) fn switched<H: Harness>(harness: &H, device: &DeviceOf<H>, attached: bool) -> bool {
    let Some(outcome) = harness.set_queue(device, attached) else {
        not_applicable(NO_QUEUES);
        return false;
    };
    outcome.map(|()| true).unwrap_or_else(|error| panic!("{error}"))
}

fn inject<H: Harness>(harness: &H, packet: &[u8]) -> bool {
    harness.inject(&name("many"), packet)
}

/// Packets of many flows, which a system spreads over the queues as it likes: each packet differs in its
/// source.
fn flows(count: u8) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|number| {
        let mut packet = ipv4(28);
        packet[15] = number;
        packet
    })
}

/// What waits in a queue.
fn drain<D: TunDevice>(device: &D) -> Vec<Vec<u8>> {
    let mut buffer = [0; 1500];
    std::iter::from_fn(|| device.try_recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())).collect()
}

/// Asserts how many queues the interface has: as its handle says, and as the system does if it counts them.
#[track_caller]
pub(crate) fn assert_queues<H: Harness>(harness: &H, text: &str, expected: u32) {
    let said = harness.backend().interface(&name(text)).unwrap().info().unwrap().queues;
    assert_eq!(said, Some(expected));
    assert!(report(harness, text).queues.is_none_or(|counted| counted == expected));
}

fn devices_share_a_multi_queue_interface<H: Harness>(harness: &H) {
    let first = create(harness, several(), "many");
    let index = report(harness, "many").index;
    let second = join(harness);
    let third = join(harness);
    for device in [&first, &second, &third] {
        assert_eq!(device.name().unwrap(), name("many"));
        assert_eq!(device.interface().index(), index);
        assert_eq!(device.flags(), several().get_flags());
    }
    assert_eq!(report(harness, "many").index, index);
}

fn each_packet_reaches_exactly_one_queue<H: Harness>(harness: &H) {
    let devices = two(harness);
    for packet in flows(100) {
        assert!(inject(harness, &packet));
    }
    let arrived = devices.each_ref().map(drain).concat();
    assert_eq!(arrived.len(), 100);
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), flows(100).collect());
}

fn each_queue_sends_to_the_same_interface<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    let mut seen = harness.observe(&name("many"));
    assert_eq!(second.try_send(&ipv4(28)).unwrap(), 28);
    assert_eq!(first.try_send(&ipv4(29)).unwrap(), 29);
    assert_eq!([seen.take(), seen.take(), seen.take()], [Some(ipv4(28)), Some(ipv4(29)), None]);
}

fn a_queue_keeps_its_packets_while_others_come_and_go<H: Harness>(harness: &H) {
    let first = up(harness, several(), "many");
    for packet in flows(50) {
        assert!(inject(harness, &packet));
    }
    drop([join(harness), join(harness)]);
    assert!(drain(&first).into_iter().eq(flows(50)));
}

fn the_packets_of_a_queue_that_is_closed_are_lost<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    for packet in flows(100) {
        assert!(inject(harness, &packet));
    }
    drain(&first);
    drop(second);
    assert_empty(&first);
    assert_empty(&join(harness));
}

fn packets_go_to_the_queues_that_are_left<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    drop(first);
    for packet in flows(100) {
        assert!(inject(harness, &packet));
        assert_eq!(received(&second), packet);
    }
    assert_eq!(harness.dropped(&name("many")), 0);
}

fn the_queues_of_an_interface_are_counted<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    assert_queues(harness, "many", 2);
    let third = join(harness);
    assert_queues(harness, "many", 3);
    // A clone is no queue of its own.
    let clone = third.try_clone().unwrap();
    assert_queues(harness, "many", 3);
    drop((first, third));
    assert_queues(harness, "many", 2);
    second.set_persist(true).unwrap();
    drop((second, clone));
    assert_queues(harness, "many", 0);
}

fn a_single_queue_is_counted<H: Harness>(harness: &H) {
    let device = tun(harness, "one");
    assert_queues(harness, "one", 1);
    device.set_persist(true).unwrap();
    drop(device);
    // Nothing tells it from one whose carrier was switched off.
    let said = harness.backend().interface(&name("one")).unwrap().info().unwrap().queues;
    assert!(matches!(said, None | Some(0)), "{said:?}");
    let _device = open(harness, CreateOptions::tun(), "one").unwrap();
    assert_queues(harness, "one", 1);
}

fn detached_queues_are_counted_too<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    if !switched(harness, &first, false) {
        return;
    }
    let detached = || harness.backend().interface(&name("many")).unwrap().info().unwrap().detached_queues;
    assert_queues(harness, "many", 2);
    assert_eq!(detached(), Some(1));
    switched(harness, &second, false);
    assert_queues(harness, "many", 2);
    assert_eq!(detached(), Some(2));
    drop(first);
    assert_queues(harness, "many", 1);
    switched(harness, &second, true);
    assert_eq!(detached(), Some(0));
}

fn a_detached_queue_loses_its_packets<H: Harness>(harness: &H) {
    let device = up(harness, several(), "many");
    assert!(inject(harness, &ipv4(28)) && inject(harness, &ipv4(29)));
    if !switched(harness, &device, false) {
        return;
    }
    assert_empty(&device);
    switched(harness, &device, true);
    assert_empty(&device);
    assert_eq!(harness.dropped(&name("many")), 0, "nobody counts them");
}

fn a_detached_queue_receives_nothing<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    if !switched(harness, &first, false) {
        return;
    }
    for packet in flows(100) {
        assert!(inject(harness, &packet));
        assert_eq!(received(&second), packet);
        assert_empty(&first);
    }
    assert_eq!(harness.dropped(&name("many")), 0);
}

fn a_detached_queue_still_sends<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    let mut seen = harness.observe(&name("many"));
    if !switched(harness, &first, false) {
        return;
    }
    assert_eq!(first.try_send(&ipv4(28)).unwrap(), 28);
    assert_eq!(seen.take(), Some(ipv4(28)));
    // Nor does it need another that is attached.
    switched(harness, &second, false);
    assert_eq!(first.send(&ipv4(29)).unwrap(), 29);
    assert_eq!(seen.take(), Some(ipv4(29)));
}

fn a_detached_queue_that_is_down_says_so<H: Harness>(harness: &H) {
    let device = create(harness, several(), "many");
    if !switched(harness, &device, false) {
        return;
    }
    refused_with(device.try_send(&ipv4(28)), Cause::Down, errno::EIO);
    refused_with(device.try_send(&[0x15; 28]), Cause::MalformedPacket, errno::EINVAL);
}

fn an_attached_queue_receives_again<H: Harness>(harness: &H) {
    let device = up(harness, several(), "many");
    if !switched(harness, &device, false) {
        return;
    }
    assert!(!inject(harness, &ipv4(28)));
    switched(harness, &device, true);
    assert!(inject(harness, &ipv4(29)));
    assert_eq!(received(&device), ipv4(29));
    assert_empty(&device);
}

fn a_queue_is_detached_and_attached_while_down<H: Harness>(harness: &H) {
    let device = up(harness, several(), "many");
    harness.set_up(&name("many"), false);
    if !switched(harness, &device, false) {
        return;
    }
    harness.set_up(&name("many"), true);
    assert!(!inject(harness, &ipv4(28)));
    harness.set_up(&name("many"), false);
    switched(harness, &device, true);
    harness.set_up(&name("many"), true);
    assert!(inject(harness, &ipv4(29)));
    assert_eq!(received(&device), ipv4(29));
}

fn a_queue_is_detached_once_and_attached_once<H: Harness>(harness: &H) {
    let device = create(harness, several(), "many");
    let Some(outcome) = harness.set_queue(&device, true) else { return not_applicable(NO_QUEUES) };
    refused_with(outcome, Cause::InvalidQueue, errno::EINVAL);
    for _ in 0..2 {
        switched(harness, &device, false);
        refused_with(harness.set_queue(&device, false).unwrap(), Cause::InvalidQueue, errno::EINVAL);
        switched(harness, &device, true);
        refused_with(harness.set_queue(&device, true).unwrap(), Cause::InvalidQueue, errno::EINVAL);
    }
}

fn a_single_queue_stays_attached<H: Harness>(harness: &H) {
    for (device, text) in [(tun(harness, "tun0"), "tun0"), (tap(harness, "tap0"), "tap0")] {
        for attached in [false, true, false] {
            let Some(outcome) = harness.set_queue(&device, attached) else {
                return not_applicable(NO_QUEUES);
            };
            let error = refused_with(outcome, Cause::InvalidQueue, errno::EINVAL);
            assert_eq!(error.interface(), Some(name(text)));
        }
        assert_queues(harness, text, 1);
    }
}

fn a_clone_detaches_the_queue_that_it_shares<H: Harness>(harness: &H) {
    let device = up(harness, several(), "many");
    let clone = device.try_clone().unwrap();
    if !switched(harness, &clone, false) {
        return;
    }
    assert!(!inject(harness, &ipv4(28)));
    refused_with(harness.set_queue(&device, false).unwrap(), Cause::InvalidQueue, errno::EINVAL);
    switched(harness, &device, true);
    assert!(inject(harness, &ipv4(29)));
    assert_eq!(received(&clone), ipv4(29));
}

fn with_all_queues_detached_packets_are_dropped_and_counted<H: Harness>(harness: &H) {
    let devices = two(harness);
    for device in &devices {
        if !switched(harness, device, false) {
            return;
        }
    }
    for already in 0..3 {
        assert_eq!(harness.dropped(&name("many")), already);
        assert!(!inject(harness, &ipv4(28)));
    }
    assert_eq!(harness.dropped(&name("many")), 3);
    devices.iter().for_each(assert_empty);
}

fn a_detached_queue_keeps_the_interface<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    if !switched(harness, &first, false) {
        return;
    }
    drop(second);
    assert_eq!(first.name().unwrap(), name("many"));
    assert!(!inject(harness, &ipv4(28)));
    switched(harness, &first, true);
    assert!(inject(harness, &ipv4(29)));
    assert_eq!(received(&first), ipv4(29));
}

fn an_interface_goes_with_its_last_queue_although_it_is_detached<H: Harness>(harness: &H) {
    let device = create(harness, several(), "many");
    if !switched(harness, &device, false) {
        return;
    }
    assert!(exists(harness, "many"));
    drop(device);
    assert!(!exists(harness, "many"));
}

fn an_interface_goes_with_its_last_queue_after_a_detached_one<H: Harness>(harness: &H) {
    let [first, second] = two(harness);
    if !switched(harness, &first, false) {
        return;
    }
    drop(first);
    assert!(exists(harness, "many"));
    drop(second);
    assert!(!exists(harness, "many"));
}
