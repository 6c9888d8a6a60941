//! A batch that was merged: its bounds, what it tells, and how it is taken apart again.

use proptest::prelude::*;
use tunctl_packet::offload::{Coalescer, MergeCounts, Parts, sum};
use tunctl_packet::{Layer, ping_packet};

use crate::coalesce::{batches, flow, kinds};
use crate::large::Large;

/// The packets one behind the other, and where they are.
pub(crate) fn arena(packets: &[Vec<u8>]) -> (Vec<u8>, Vec<Parts>) {
    let mut end = 0;
    let place = |packet: &Vec<u8>| {
        end += packet.len();
        (end - packet.len()..end).into()
    };
    (packets.concat(), packets.iter().map(place).collect())
}

/// How many packets each that is sent stands for, and what became of them.
fn merge(coalescer: &mut Coalescer, packets: &[Vec<u8>]) -> (Vec<usize>, MergeCounts) {
    let (mut arena, ranges) = arena(packets);
    let mut batch = coalescer.merge(&mut arena, &ranges, sum);
    let mut sizes = Vec::new();
    while let Some(merged) = batch.next() {
        assert_eq!(merged.pieces().count(), merged.packets());
        sizes.push(merged.packets());
    }
    (sizes, batch.counts())
}

#[test]
fn header_and_pieces_fit_into_one_vectored_write() {
    for v6 in [false, true] {
        let large = Large::new(v6, true, 2500, 1);
        let (sizes, counts) = merge(&mut Coalescer::new(Layer::Tun, 7), &large.segments());
        assert_eq!(sizes, [500; 5]);
        assert_eq!((counts.packets, counts.runs, counts.apart), (2500, 5, 4));
    }
}

#[test]
fn a_transport_that_is_not_merged_leaves_as_it_is() {
    let mut coalescer = Coalescer::new(Layer::Tun, 7);
    for large in kinds() {
        let packets = large.segments();
        for (tcp, udp) in [(false, false), (true, false), (false, true), (true, true)] {
            coalescer.set_merging(tcp, udp);
            let (sizes, counts) = merge(&mut coalescer, &packets);
            let merges = if large.tcp { tcp } else { udp };
            assert_eq!(sizes, if merges { vec![4] } else { vec![1; 4] });
            assert_eq!(counts.other, if merges { 0 } else { 4 });
        }
    }
}

#[test]
fn each_packet_that_is_not_merged_has_a_cause() {
    let mut coalescer = Coalescer::new(Layer::Tun, 7);
    let mut counts = |packets: &[Vec<u8>]| {
        let (_, MergeCounts { packets, runs, other, wrong, alone, apart, evicting, .. }) =
            merge(&mut coalescer, packets);
        [packets, runs, other, wrong, alone, apart, evicting]
    };
    let large = Large::new(false, true, 4000, 1000);
    let changed = |offset: usize, value: u8, right: bool| {
        let mut packets = large.segments();
        packets[1][offset] ^= value;
        if right {
            crate::common::fix_checksums(&mut packets[1]);
        }
        packets
    };
    assert_eq!(counts(&large.segments()), [4, 1, 0, 0, 0, 0, 0]);
    // The one behind it has its flow, and does not follow it.
    assert_eq!(counts(&changed(1000, 1, false)), [4, 3, 0, 1, 0, 1, 0], "a wrong checksum");
    assert_eq!(counts(&changed(33, 2, true)), [4, 3, 0, 0, 1, 1, 0], "SYN");
    assert_eq!(counts(&changed(8, 1, true)), [4, 3, 0, 0, 0, 2, 0], "another TTL");
    assert_eq!(counts(&changed(6, 0x20, true)), [4, 3, 1, 0, 0, 0, 0], "a fragment");
    let ping = ping_packet("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 1, 1, b"x").unwrap();
    assert_eq!(counts(&[ping]), [1, 1, 1, 0, 0, 0, 0]);
    let many: Vec<_> = (0..6000).flat_map(|number| flow(number, &Large::new(false, true, 2, 2))).collect();
    let [packets, runs, .., evicting] = counts(&many);
    assert_eq!((packets, runs), (6000, 6000));
    assert!((3000..6000).contains(&evicting), "{evicting}");
}

#[test]
fn options_of_ipv4_are_not_merged() {
    let large = Large { extension: vec![1, 1, 1, 0], ..Large::new(false, true, 4000, 1000) };
    let (sizes, counts) = merge(&mut Coalescer::new(Layer::Tun, 7), &large.segments());
    assert_eq!((sizes, counts.alone), (vec![1; 4], 4));
}

#[test]
fn before_the_first_packet_there_is_nothing_to_undo() {
    let (mut arena, ranges) = arena(&Large::new(false, true, 4000, 1000).segments());
    let mut coalescer = Coalescer::new(Layer::Tun, 7);
    assert_eq!(coalescer.merge(&mut arena, &ranges, sum).undo().count(), 0);
}

#[test]
fn flags_of_the_last_packet_are_taken_back_from_the_first() {
    for large in kinds().map(|large| Large { tcp_flags: 0x18, ..large }) {
        let packets = large.segments();
        let (mut arena, ranges) = arena(&packets);
        let mut coalescer = Coalescer::new(Layer::Tun, 7);
        let mut batch = coalescer.merge(&mut arena, &ranges, sum);
        assert_eq!(batch.next().map(|merged| merged.packets()), Some(4));
        assert!(batch.undo().eq(packets.iter().map(|packet| [&packet[..], &[]]).enumerate()));
    }
}

proptest! {
    #[test]
    fn what_is_undone_is_as_it_was(packets in batches(), ethernet in any::<bool>()) {
        let (packets, layer) = if ethernet {
            let link = |packet: &Vec<u8>| {
                let kind = if packet[0] >> 4 == 6 { [0x86, 0xdd] } else { [8, 0] };
                [&[2; 12][..], &kind, packet].concat()
            };
            (packets.iter().map(link).collect(), Layer::Tap)
        } else {
            (packets, Layer::Tun)
        };
        let (mut arena, ranges) = arena(&packets);
        let original = arena.clone();
        let mut coalescer = Coalescer::new(layer, 7);
        let mut batch = coalescer.merge(&mut arena, &ranges, sum);
        let mut single = Vec::new();
        while let Some(packets) = batch.next().map(|merged| merged.packets()) {
            let undone: Vec<_> = batch.undo().map(|(index, parts)| (index, parts.concat())).collect();
            prop_assert_eq!(undone.len(), packets);
            // A second time changes nothing.
            prop_assert!(batch.undo().eq(undone.iter().map(|(index, packet)| (*index, [&packet[..], &[]]))));
            single.extend(undone);
        }
        single.sort_unstable();
        prop_assert!(single.into_iter().eq(packets.into_iter().enumerate()));
        prop_assert_eq!(arena, original);
    }
}
