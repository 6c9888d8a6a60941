//! Packets that stand for several, and checksums that are incomplete, in both directions.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tunctl_core::bulk::SendBatch;
use tunctl_core::{Bulk, CreateOptions, Interface, Layer, Offloads, TunDevice};
use tunctl_mock::strategy::{self, GsoPacket};
use tunctl_mock::{Delivery, Direction, Impairment, MockBackend, MockDevice};
use tunctl_packet::header::{GsoType, HeaderKind, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::offload::{Segments, sum};

use crate::flows::{KINDS, TCP_V4, TCP_V6, UDP_V4, merged, unfinished};
use crate::up;

fn options(layer: Layer) -> CreateOptions {
    match layer {
        Layer::Tun => CreateOptions::tun(),
        Layer::Tap => CreateOptions::tap(),
    }
}

/// A device of that name that is up, with a virtio-net header.
fn vnet(kernel: &MockBackend, layer: Layer, name: &str) -> MockDevice {
    up(kernel, options(layer).name(name).vnet_header(true))
}

fn bulk(device: MockDevice) -> Bulk<MockDevice> {
    device.into_bulk().unwrap()
}

/// What there is to receive, and how much of it came as one.
fn received(bulk: &Bulk<MockDevice>) -> (Vec<Vec<u8>>, u64) {
    let mut batch = bulk.recv_batch();
    let mut packets = Vec::new();
    while bulk.try_recv(&mut batch).is_ok() {
        while let Some(packet) = batch.try_next().unwrap() {
            packets.push(packet.to_vec());
        }
    }
    (packets, batch.statistics().large)
}

/// What a device without virtio-net headers has to receive.
fn plain(device: &MockDevice) -> Vec<Vec<u8>> {
    crate::received(device)
}

/// What there is to receive, with the headers in front of it.
fn read(device: &MockDevice) -> Vec<(VnetHeader, Vec<u8>)> {
    let HeaderKind::Vnet(format) = device.header_kind() else { panic!("it has no such header") };
    let mut buffer = vec![0; 70_000];
    let reads =
        std::iter::from_fn(|| device.try_recv(&mut buffer).ok().map(|length| buffer[..length].to_vec()));
    let split = |read: Vec<u8>| {
        let (header, packet) = VnetHeader::parse(format, &read).unwrap();
        (header, packet.to_vec())
    };
    reads.collect::<Vec<_>>().into_iter().map(split).collect()
}

fn send(bulk: &Bulk<MockDevice>, packets: &[Vec<u8>]) -> SendBatch {
    let mut batch = bulk.send_batch();
    for packet in packets {
        batch.push(packet).unwrap();
    }
    bulk.send(&mut batch).unwrap();
    batch
}

#[test]
fn a_cable_between_programs_with_offload_carries_packets_that_stand_for_several() {
    for layer in [Layer::Tun, Layer::Tap] {
        for kind in KINDS {
            let kernel = MockBackend::new();
            let [left, right] = ["left", "right"].map(|name| bulk(vnet(&kernel, layer, name)));
            kernel.cable(left.interface(), right.interface()).unwrap();
            let packets = kind.flow(layer, 40, 1400);
            let sent = send(&left, &packets).statistics();
            assert_eq!((sent.calls, sent.packets, sent.merged), (1, 40, 40), "{kind:?}");
            assert_eq!(received(&right), (packets, 1), "{kind:?}");
            // To the system, it was one packet each way.
            let counted = [left, right].map(|end| end.interface().statistics().unwrap());
            assert_eq!((counted[0].from_program.packets, counted[1].to_program.packets), (1, 1));
            assert!(counted[1].to_program.bytes > 56_000);
        }
    }
}

#[test]
fn a_program_without_offload_receives_what_such_a_packet_stands_for() {
    for layer in [Layer::Tun, Layer::Tap] {
        for kind in KINDS {
            let kernel = MockBackend::new();
            let left = bulk(vnet(&kernel, layer, "left"));
            let right = up(&kernel, options(layer).name("right"));
            kernel.cable(left.interface(), &right).unwrap();
            let packets = kind.flow(layer, 40, 1400);
            assert_eq!(send(&left, &packets).statistics().calls, 1);
            assert_eq!(plain(&right), packets, "{kind:?}");
            assert_eq!(right.interface().statistics().unwrap().to_program.packets, 40);
        }
    }
}

#[test]
fn a_switch_serves_each_port_by_its_own_offloads() {
    let kernel = MockBackend::new();
    let [left, right] = ["left", "right"].map(|name| bulk(vnet(&kernel, Layer::Tap, name)));
    let third = up(&kernel, CreateOptions::tap().name("third"));
    kernel.switch([left.interface(), right.interface(), third.interface()]).unwrap();
    let packets = TCP_V4.flow(Layer::Tap, 20, 1000);
    send(&left, &packets);
    assert_eq!(received(&right), (packets.clone(), 1));
    assert_eq!(plain(&third), packets);
}

#[test]
fn the_system_takes_packets_as_a_wire_carries_them_or_whole() {
    for kind in KINDS {
        let kernel = MockBackend::new();
        let device = bulk(vnet(&kernel, Layer::Tun, "tun0"));
        let packets = kind.flow(Layer::Tun, 10, 1200);
        send(&device, &packets);
        assert_eq!(kernel.packets("tun0"), packets, "{kind:?}");
        send(&device, &packets);
        let whole = kernel.take_large("tun0").unwrap();
        assert_eq!(whole, merged(Layer::Tun, &packets), "{kind:?}");
        assert_eq!((whole.0.gso_type(), whole.0.segment_size()), (kind.gso_type(), 1200));
        assert_eq!(kernel.take_large("tun0"), None);
        // What is left of a packet that is being taken in pieces is finished.
        send(&device, &packets);
        assert_eq!(kernel.take("tun0").as_ref(), packets.first());
        assert_eq!(kernel.take_large("tun0"), Some((VnetHeader::default(), packets[1].clone())));
        assert_eq!(kernel.packets("tun0"), packets[2..]);
        assert_eq!(kernel.lost("tun0"), 0);
    }
}

#[test]
fn an_incomplete_checksum_from_the_program_is_completed() {
    let kernel = MockBackend::new();
    let device = vnet(&kernel, Layer::Tun, "tun0");
    let whole = UDP_V4.packet(Layer::Tun, 0, 100);
    let (header, open) = unfinished(&whole);
    let mut write = vec![0; 10];
    header.write(VnetFormat::default(), &mut write).unwrap();
    write.extend_from_slice(&open);
    device.send(&write).unwrap();
    device.send(&write).unwrap();
    assert_eq!(kernel.take(&device), Some(whole));
    assert_eq!(kernel.take_large(&device), Some((header, open)));
}

#[test]
fn a_checksum_is_left_to_a_program_that_asked_for_it_and_to_no_other() {
    let kernel = MockBackend::new();
    let device = vnet(&kernel, Layer::Tun, "tun0");
    let whole = UDP_V4.packet(Layer::Tun, 0, 100);
    let (header, open) = unfinished(&whole);
    for _ in 0..2 {
        assert_eq!(kernel.inject_large(&device, &header, &open), Delivery::Queued);
        assert_eq!(read(&device), [(VnetHeader::default(), whole.clone())]);
        device.set_offloads(Offloads::CHECKSUM).unwrap();
        assert_eq!(kernel.inject_large(&device, &header, &open), Delivery::Queued);
        assert_eq!(read(&device), [(header, open.clone())]);
        device.set_offloads(Offloads::NONE).unwrap();
    }
}

#[test]
fn each_kind_needs_its_own_offload() {
    let masks = [
        Offloads::NONE,
        Offloads::CHECKSUM,
        Offloads::TSO4,
        Offloads::TSO6,
        Offloads::TSO,
        Offloads::TSO_ECN,
        Offloads::USO,
        Offloads::TSO_ECN | Offloads::USO,
    ];
    for kind in KINDS {
        let packets = kind.flow(Layer::Tun, 5, 1000);
        let (header, large) = merged(Layer::Tun, &packets);
        for ecn in [false, true] {
            if ecn && !kind.is_tcp {
                continue;
            }
            let header = header.with_ecn(ecn);
            for mask in masks {
                let kernel = MockBackend::new();
                let device = vnet(&kernel, Layer::Tun, "tun0");
                device.set_offloads(mask).unwrap();
                assert_eq!(kernel.inject_large(&device, &header, &large), Delivery::Queued);
                let is_whole = mask.contains(kind.offloads()) && (!ecn || mask.contains(Offloads::TSO_ECN));
                // A program that completes checksums is left those of the segments.
                let finished = |packet: &Vec<u8>| match mask.contains(Offloads::CHECKSUM) {
                    true => unfinished(packet),
                    false => (VnetHeader::default(), packet.clone()),
                };
                let expected = match is_whole {
                    true => vec![(header, large.clone())],
                    false => packets.iter().map(finished).collect(),
                };
                assert_eq!(read(&device), expected, "{kind:?}, ECN {ecn}, {mask}");
            }
        }
    }
}

#[test]
fn the_header_has_the_format_of_the_device() {
    let (header, large) = merged(Layer::Tap, &TCP_V6.flow(Layer::Tap, 5, 1000));
    for length in VnetLength::ALL {
        let format = VnetFormat { length, ..VnetFormat::default() };
        let kernel = MockBackend::new();
        let device = up(&kernel, CreateOptions::tap().vnet_format(format).offloads(Offloads::TSO));
        kernel.inject_large(&device, &header, &large);
        assert_eq!(read(&device), [(header, large.clone())], "{length:?}");
    }
}

#[test]
fn packets_that_are_cut_are_queued_and_dropped_one_by_one() {
    let kernel = MockBackend::new();
    let device = vnet(&kernel, Layer::Tun, "tun0");
    device.interface().set_queue_length(2).unwrap();
    let packets = TCP_V4.flow(Layer::Tun, 5, 1000);
    let (header, large) = merged(Layer::Tun, &packets);
    assert_eq!(kernel.inject_large(&device, &header, &large), Delivery::Queued);
    assert_eq!(kernel.inject_large(&device, &header, &large), Delivery::Full);
    assert_eq!(kernel.dropped(&device), 8);
    assert_eq!(read(&device).len(), 2);
    device.set_offloads(Offloads::TSO).unwrap();
    assert_eq!(kernel.inject_large(&device, &header, &large), Delivery::Queued);
    assert_eq!(read(&device), [(header, large)]);
    kernel.set_carrier(&device, false).unwrap();
    let (header, large) = merged(Layer::Tun, &packets);
    assert_eq!(kernel.inject_large(&device, &header, &large), Delivery::NoCarrier);
    assert_eq!(kernel.dropped(&device), 9);
}

#[test]
fn the_mtu_is_for_the_packets_and_not_for_what_they_are_merged_into() {
    let kernel = MockBackend::new();
    let [left, right] = ["left", "right"].map(|name| bulk(vnet(&kernel, Layer::Tun, name)));
    kernel.cable(left.interface(), right.interface()).unwrap();
    let fits = TCP_V4.flow(Layer::Tun, 5, 1460);
    let (header, large) = merged(Layer::Tun, &fits);
    assert_eq!(kernel.inject_large("left", &header, large), Delivery::Queued);
    let (header, large) = merged(Layer::Tun, &TCP_V4.flow(Layer::Tun, 5, 1461));
    assert_eq!(kernel.inject_large("left", &header, large), Delivery::Refused);
    right.interface().set_mtu(1400.try_into().unwrap()).unwrap();
    send(&left, &fits);
    assert_eq!((received(&right).0.len(), kernel.lost("right")), (0, 1));
}

#[test]
fn a_packet_of_64_kib_is_cut_also_for_a_program_with_offload() {
    let kernel = MockBackend::new();
    let device = bulk(vnet(&kernel, Layer::Tap, "tap0"));
    // The Ethernet header counts: on a tun it is short enough.
    let packets = TCP_V4.flow(Layer::Tap, 59, 1110);
    let (header, large) = merged(Layer::Tap, &packets);
    assert_eq!(large.len(), 65_544);
    assert_eq!(kernel.inject_large("tap0", &header, &large), Delivery::Queued);
    assert_eq!(received(&device), (packets, 0));
    let tun = bulk(vnet(&kernel, Layer::Tun, "tun0"));
    let packets = TCP_V4.flow(Layer::Tun, 59, 1110);
    let (header, large) = merged(Layer::Tun, &packets);
    assert_eq!(kernel.inject_large("tun0", &header, &large), Delivery::Queued);
    assert_eq!(received(&tun), (packets, 1));
}

#[test]
fn an_impaired_wire_carries_packets_one_by_one() {
    for (end, direction) in [("left", Direction::FromDevice), ("right", Direction::ToDevice)] {
        let kernel = MockBackend::new();
        let [left, right] = ["left", "right"].map(|name| bulk(vnet(&kernel, Layer::Tun, name)));
        kernel.cable(left.interface(), right.interface()).unwrap();
        kernel.record_trace();
        kernel.impair(end, direction, Impairment::seeded(5).drop(0.3));
        let packets = TCP_V4.flow(Layer::Tun, 40, 1400);
        assert_eq!(send(&left, &packets).statistics().calls, 1);
        let (arrived, large) = received(&right);
        assert_eq!((kernel.trace().lines().count(), large), (40, 0));
        assert!((15..39).contains(&arrived.len()), "{} arrived", arrived.len());
        assert_eq!(arrived.len() as u64 + kernel.lost(end), 40);
        assert!(arrived.iter().all(|packet| packets.contains(packet)));
        kernel.repair(end, direction);
        send(&left, &packets);
        assert_eq!(received(&right), (packets, 1));
    }
}

#[test]
fn a_packet_that_no_wire_carries_is_lost_and_counted() {
    let kernel = MockBackend::new();
    let [left, right] = ["left", "right"].map(|name| vnet(&kernel, Layer::Tun, name));
    let packet = UDP_V4.packet(Layer::Tun, 0, 1000);
    let header = VnetHeader::default().with_segments(GsoType::Udp, 100);
    let mut write = vec![0; 10];
    header.write(VnetFormat::default(), &mut write).unwrap();
    write.extend_from_slice(&packet);
    left.send(&write).unwrap();
    left.send(&write).unwrap();
    assert_eq!(kernel.take_large(&left), Some((header, packet.clone())));
    assert_eq!((kernel.take(&left), kernel.lost(&left)), (None, 2));
    kernel.cable(&left, &right).unwrap();
    left.send(&write).unwrap();
    assert_eq!((kernel.lost(&left), kernel.lost(&right), read(&right).len()), (2, 1, 0));
    kernel.impair(&right, Direction::ToDevice, Impairment::seeded(1));
    left.send(&write).unwrap();
    assert_eq!((kernel.lost(&left), kernel.lost(&right)), (2, 2));
    kernel.impair(&left, Direction::FromDevice, Impairment::seeded(1));
    left.send(&write).unwrap();
    assert_eq!((kernel.lost(&left), kernel.lost(&right)), (3, 2));
    // No system sends it either.
    kernel.repair(&right, Direction::ToDevice);
    assert_eq!(kernel.inject_large(&right, &header, &packet), Delivery::Refused);
    let beyond = VnetHeader::default().with_checksum(2000, 6);
    right.set_offloads(Offloads::CHECKSUM).unwrap();
    assert_eq!(kernel.inject_large(&right, &beyond, &packet), Delivery::Refused);
}

#[test]
fn what_is_no_more_than_one_segment_is_a_packet() {
    let kernel = MockBackend::new();
    let device = vnet(&kernel, Layer::Tun, "tun0");
    device.set_offloads(Offloads::CHECKSUM).unwrap();
    let (header, open) = unfinished(&UDP_V4.packet(Layer::Tun, 0, 100));
    kernel.inject_large(&device, &header.with_segments(GsoType::UdpL4, 100).with_header_length(28), &open);
    assert_eq!(read(&device), [(header, open)]);
}

/// With offload or without, a program gets the same packets, and what it sends is what the system takes.
fn is_the_same_with_and_without(layer: Layer, large: &GsoPacket) -> Result<(), TestCaseError> {
    let kernel = MockBackend::new();
    let (with, without) = (bulk(vnet(&kernel, layer, "with")), vnet(&kernel, layer, "without"));
    let mut bytes = large.packet.clone();
    let mut segments = Segments::new(&large.header, layer, &mut bytes, sum).unwrap();
    let mut expected = Vec::new();
    while let Some(segment) = segments.next() {
        expected.push(segment.to_vec());
    }
    prop_assert_eq!(kernel.inject_large("with", &large.header, &large.packet), Delivery::Queued);
    prop_assert_eq!(kernel.inject_large("without", &large.header, &large.packet), Delivery::Queued);
    prop_assert_eq!(received(&with), (expected.clone(), 1));
    let cut: Vec<_> = read(&without).into_iter().map(|(_, packet)| packet).collect();
    prop_assert_eq!(&cut, &expected);
    without.send(&large.to_bytes()).unwrap();
    prop_assert_eq!(kernel.packets("without"), expected);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn offload_changes_no_packet(large in strategy::gso_packets(Layer::Tun)) {
        is_the_same_with_and_without(Layer::Tun, &large)?;
    }

    #[test]
    fn offload_changes_no_frame(large in strategy::gso_packets(Layer::Tap)) {
        is_the_same_with_and_without(Layer::Tap, &large)?;
    }
}
