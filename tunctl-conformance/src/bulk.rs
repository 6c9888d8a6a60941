//! Many packets at once, on devices with offload and without.

use std::time::Duration;

use tunctl_core::bulk::{RecvBatch, SendBatch};
use tunctl_core::{Bulk, Cause, CreateOptions, Interrupter, TunBackend, TunDevice};
use tunctl_packet::header::HeaderKind;

use crate::case::{Case, suite};
use crate::expect::{assert_empty, ipv4, ipv6, name, named, not_applicable, received, refused, up};
use crate::queues::{join, several};
use crate::reading::inject;
use crate::{DeviceOf, Harness};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let reading = suite![Reading:
        a_bulk_receive_takes_what_is_there,
        a_bulk_receive_waits_for_no_packet_that_is_not_there,
        a_bulk_receive_forgets_what_was_not_asked_for,
        a_bulk_receive_ends_by_its_interrupter_and_its_time,
        a_large_packet_is_received_behind_its_header,
        a_device_is_as_it_was_after_bulk_calls,
    ];
    let writing = suite![Writing:
        a_bulk_send_sends_every_packet_in_order,
        a_bulk_send_counts_what_is_lost_and_goes_on,
        a_bulk_send_while_down_loses_every_packet,
        a_batch_that_is_full_says_so,
    ];
    let queues = suite![Queues:
        a_queue_beside_others_is_given_back,
        all_queues_of_an_interface_are_converted_together,
    ];
    let lifetime = suite![Lifetime: a_deleted_interface_is_gone_for_bulk_calls];
    [reading, writing, queues, lifetime].concat()
}

/// All kinds of headers that the system has.
fn kinds<H: Harness>(harness: &H) -> Vec<CreateOptions> {
    let kinds = [(false, false), (true, false), (false, true), (true, true)];
    let options = kinds
        .map(|(information, vnet)| CreateOptions::tun().packet_information(information).vnet_header(vnet));
    let made = |options: &CreateOptions| match harness.backend().create(&named(options.clone(), "new")) {
        Ok(_) => true,
        Err(error) if error.cause() == Cause::Unsupported => false,
        Err(error) => panic!("{error}"),
    };
    options.into_iter().filter(made).collect()
}

/// A device for each kind of headers.
fn each<H: Harness>(harness: &H, test: impl Fn(Bulk<DeviceOf<H>>)) {
    for options in kinds(harness) {
        test(bulk(up(harness, options, "tun0")));
    }
}

fn bulk<D: TunDevice>(device: D) -> Bulk<D> {
    device.into_bulk().unwrap_or_else(|failed| panic!("{failed}"))
}

fn rest(batch: &mut RecvBatch) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Some(packet) = batch.try_next().unwrap() {
        packets.push(packet.to_vec());
    }
    packets
}

/// Of flows that nothing merges, since they are none.
fn some_packets() -> Vec<Vec<u8>> {
    vec![ipv4(20), ipv6(1280), ipv4(1200), ipv6(40), ipv4(21)]
}

fn push(batch: &mut SendBatch, packet: &[u8]) {
    assert_eq!(batch.push(packet).unwrap(), packet);
}

fn a_bulk_receive_takes_what_is_there<H: Harness>(harness: &H) {
    each(harness, |bulk| {
        let mut batch = bulk.recv_batch();
        for packets in [some_packets(), vec![ipv4(100)]] {
            for packet in &packets {
                inject(harness, "tun0", packet);
            }
            assert_eq!(bulk.recv(&mut batch).unwrap(), packets.len());
            assert_eq!(rest(&mut batch), packets);
        }
        let statistics = batch.statistics();
        assert_eq!((statistics.calls, statistics.packets), (6, 6));
        assert_eq!((statistics.large, statistics.lost), (0, 0));
    });
}

fn a_bulk_receive_waits_for_no_packet_that_is_not_there<H: Harness>(harness: &H) {
    each(harness, |bulk| {
        let mut batch = bulk.recv_batch();
        refused(bulk.try_recv(&mut batch), Cause::WouldBlock);
        assert_eq!(rest(&mut batch), [[0; 0]; 0]);
    });
}

fn a_bulk_receive_forgets_what_was_not_asked_for<H: Harness>(harness: &H) {
    each(harness, |bulk| {
        let mut batch = bulk.recv_batch();
        for packet in some_packets() {
            inject(harness, "tun0", &packet);
        }
        bulk.try_recv(&mut batch).unwrap();
        assert_eq!(batch.next(), Some(&ipv4(20)[..]));
        inject(harness, "tun0", &ipv4(30));
        bulk.try_recv(&mut batch).unwrap();
        assert_eq!(rest(&mut batch), [ipv4(30)]);
    });
}

fn a_bulk_receive_ends_by_its_interrupter_and_its_time<H: Harness>(harness: &H) {
    let bulk = bulk(up(harness, CreateOptions::tun(), "tun0"));
    let (mut batch, interrupter) = (bulk.recv_batch(), Interrupter::new().unwrap());
    let soon = Some(Duration::from_millis(1));
    refused(bulk.recv_until(&mut batch, soon, Some(&interrupter)), Cause::TimedOut);
    interrupter.interrupt();
    refused(bulk.recv_until(&mut batch, None, Some(&interrupter)), Cause::Interrupted);
    interrupter.reset();
    inject(harness, "tun0", &ipv4(20));
    assert_eq!(bulk.recv_until(&mut batch, None, Some(&interrupter)).unwrap(), 1);
}

fn a_large_packet_is_received_behind_its_header<H: Harness>(harness: &H) {
    each(harness, |bulk| {
        let (mut batch, headers) = (bulk.recv_batch(), bulk.header_kind().length());
        for packet in some_packets() {
            inject(harness, "tun0", &packet);
        }
        bulk.recv(&mut batch).unwrap();
        for packet in some_packets() {
            let large = batch.next_large().unwrap();
            assert_eq!((large.packet(), large.with_headers().len()), (&packet[..], headers + packet.len()));
        }
        assert!(batch.next_large().is_none());
    });
}

fn a_bulk_send_sends_every_packet_in_order<H: Harness>(harness: &H) {
    each(harness, |bulk| {
        let mut seen = harness.observe(&name("tun0"));
        let mut batch = bulk.send_batch();
        for packets in [some_packets(), vec![ipv4(100)]] {
            for packet in &packets {
                push(&mut batch, packet);
            }
            assert_eq!((batch.len(), batch.is_empty()), (packets.len(), false));
            assert_eq!(bulk.send(&mut batch).unwrap(), packets.len());
            assert!(batch.is_empty() && batch.lost().is_empty());
            for packet in packets {
                assert_eq!(seen.take(), Some(packet));
            }
            assert_eq!(seen.take(), None);
        }
        assert_eq!((batch.statistics().calls, batch.statistics().packets), (6, 6));
    });
}

fn a_bulk_send_counts_what_is_lost_and_goes_on<H: Harness>(harness: &H) {
    let bulk = bulk(up(harness, CreateOptions::tun(), "tun0"));
    let mut seen = harness.observe(&name("tun0"));
    let mut batch = bulk.send_batch();
    let neither = [0x50; 30];
    for packet in [&ipv4(20)[..], &neither, &ipv4(30), &neither] {
        push(&mut batch, packet);
    }
    let outcome = bulk.send(&mut batch);
    if outcome.is_ok() {
        return not_applicable("a packet of no version of IP is taken");
    }
    assert!(refused(outcome, Cause::MalformedPacket).is_packet_lost());
    assert_eq!(batch.lost().iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 3]);
    assert_eq!([seen.take(), seen.take(), seen.take()], [Some(ipv4(20)), Some(ipv4(30)), None]);
    assert_eq!((batch.statistics().packets, batch.statistics().lost), (2, 2));
    // They are forgotten with the next batch.
    push(&mut batch, &ipv4(40));
    bulk.send(&mut batch).unwrap();
    assert!(batch.lost().is_empty());
}

fn a_bulk_send_while_down_loses_every_packet<H: Harness>(harness: &H) {
    each(harness, |bulk| {
        harness.set_up(&name("tun0"), false);
        let mut batch = bulk.send_batch();
        for packet in some_packets() {
            push(&mut batch, &packet);
        }
        let outcome = bulk.send(&mut batch);
        if outcome.is_ok() {
            return not_applicable("an interface that is down takes packets");
        }
        assert!(refused(outcome, Cause::Down).is_packet_lost());
        assert_eq!((batch.lost().len(), batch.statistics().lost, batch.len()), (5, 5, 0));
    });
}

fn a_deleted_interface_is_gone_for_bulk_calls<H: Harness>(harness: &H) {
    let bulk = bulk(up(harness, CreateOptions::tun(), "tun0"));
    let (mut received, mut sent) = (bulk.recv_batch(), bulk.send_batch());
    harness.delete(&name("tun0"));
    refused(bulk.try_recv(&mut received), Cause::Gone);
    push(&mut sent, &ipv4(20));
    push(&mut sent, &ipv4(30));
    refused(bulk.send(&mut sent), Cause::Gone);
    assert_eq!((sent.len(), sent.statistics().lost), (2, 0));
}

fn a_batch_that_is_full_says_so<H: Harness>(harness: &H) {
    let bulk = bulk(up(harness, CreateOptions::tun(), "tun0"));
    let mut seen = harness.observe(&name("tun0"));
    let mut batch = bulk.send_batch();
    let most = (0..).find(|_| batch.push(&ipv4(1500)).is_err()).unwrap();
    let full = batch.push(&ipv4(1500)).unwrap_err();
    assert_eq!((full.length, batch.len()), (1500, most));
    assert_eq!(bulk.send(&mut batch).unwrap(), most);
    let mut arrived = std::iter::from_fn(|| seen.take());
    assert!(arrived.by_ref().take(most).all(|packet| packet == ipv4(1500)));
    // There is room for any packet in one that is empty.
    assert_eq!(batch.push(&[0x45; 300_000]).unwrap().len(), 300_000);
    batch.clear();
    let made = batch.push_with(100, |room| {
        room[..20].copy_from_slice(&ipv4(20));
        20
    });
    assert_eq!(made.unwrap(), ipv4(20));
}

fn a_device_is_as_it_was_after_bulk_calls<H: Harness>(harness: &H) {
    each(harness, |bulk| {
        let kind = bulk.header_kind();
        let device = bulk.into_device().unwrap_or_else(|failed| panic!("{failed}"));
        assert!(device.offloads().unwrap().is_empty());
        inject(harness, "tun0", &ipv4(60));
        assert_eq!(received(&device)[kind.length()..], ipv4(60));
        assert_empty(&device);
    });
}

fn a_queue_beside_others_is_given_back<H: Harness>(harness: &H) {
    let options = several().vnet_header(true);
    let Ok(one) = harness.backend().create(&named(options.clone(), "many")) else {
        return not_applicable("there are no queues with a virtio-net header");
    };
    let other = harness.backend().open(&named(options, "many")).unwrap();
    let failed = one.into_bulk().unwrap_err();
    assert_eq!((failed.error().cause(), failed.error().interface()), (Cause::Busy, Some(name("many"))));
    let one = failed.into_inner();
    assert!(one.offloads().unwrap().is_empty());
    drop(other);
    let bulk = bulk(one);
    assert!(!bulk.offloads().is_empty());
}

fn all_queues_of_an_interface_are_converted_together<H: Harness>(harness: &H) {
    for vnet in [false, true] {
        let options = several().vnet_header(vnet);
        let Ok(one) = harness.backend().create(&named(options.clone(), "many")) else {
            return not_applicable("there are no queues");
        };
        let other =
            if vnet { harness.backend().open(&named(options, "many")).unwrap() } else { join(harness) };
        let mut queues = Bulk::of_queues(vec![one, other]).unwrap_or_else(|failed| panic!("{failed}"));
        let second = queues.pop().unwrap();
        let failed = second.into_device().unwrap_err();
        assert_eq!(failed.error().cause(), Cause::Busy);
        queues.push(failed.into_inner());
        let devices = Bulk::into_devices(queues).unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(devices.len(), 2);
        assert!(devices.iter().all(|device| device.offloads().unwrap().is_empty()));
        let kind = devices[0].header_kind();
        assert_eq!(matches!(kind, HeaderKind::Vnet(_)), vnet);
    }
}
