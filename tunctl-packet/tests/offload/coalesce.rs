//! Merging: each case that libraries and kernels have got wrong.

use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::header::GsoType;
use tunctl_packet::offload::{Coalescer, Segments, sum};
use tunctl_packet::{EtherType, Layer, Packet, ethernet_frame, ping_packet};

use crate::common::{checksum, fix_checksums};
use crate::large::Large;

/// A batch, merged: what each packet to send consists of, and how many packets it stands for.
struct Out {
    bytes: Vec<u8>,
    packets: usize,
    /// What the system makes of it.
    cut: Vec<Vec<u8>>,
}

fn merge(layer: Layer, packets: &[Vec<u8>]) -> Vec<Out> {
    let mut arena = Vec::new();
    let mut ranges = Vec::new();
    for packet in packets {
        // Something is between them that belongs to none.
        arena.extend([0xee; 3]);
        ranges.push((arena.len()..arena.len() + packet.len()).into());
        arena.extend(packet);
    }
    let mut coalescer = Coalescer::new(layer, 7);
    // What was in the batch before counts no more.
    let _ = coalescer.merge(&mut arena.clone(), &ranges, sum);
    let mut batch = coalescer.merge(&mut arena, &ranges, sum);
    let mut found = Vec::new();
    while let Some(merged) = batch.next() {
        let bytes: Vec<u8> = merged.pieces().flatten().copied().collect();
        assert_eq!(merged.pieces().count(), merged.packets());
        let mut copy = bytes.clone();
        let mut cut = Vec::new();
        let mut segments = Segments::new(&merged.header(), layer, &mut copy, sum).unwrap();
        while let Some(segment) = segments.next() {
            cut.push(segment.to_vec());
        }
        assert_eq!(cut.len(), merged.packets());
        assert_eq!(merged.header().gso_type() == GsoType::None, merged.packets() == 1);
        found.push(Out { bytes, packets: merged.packets(), cut });
    }
    found
}

fn counts(layer: Layer, packets: &[Vec<u8>]) -> Vec<usize> {
    merge(layer, packets).iter().map(|out| out.packets).collect()
}

fn tun(packets: &[Vec<u8>]) -> Vec<usize> {
    counts(Layer::Tun, packets)
}

pub(crate) fn kinds() -> impl Iterator<Item = Large> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(v6, tcp)| Large::new(v6, tcp, 4000, 1000))
}

/// The packets of a flow with a byte of the second one changed, and its checksums made right again.
fn second_changed(large: &Large, offset: usize, value: u8) -> Vec<Vec<u8>> {
    let mut packets = large.segments();
    packets[1][offset] ^= value;
    fix_checksums(&mut packets[1]);
    packets
}

#[test]
fn a_flow_becomes_one_packet_and_that_its_segments() {
    for large in kinds() {
        let out = merge(Layer::Tun, &large.segments());
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].bytes, large.packet(), "as the system gives it");
        assert_eq!(out[0].cut, large.segments());
        let frames = Large { ethernet: true, ..large };
        assert_eq!(merge(Layer::Tap, &frames.segments())[0].bytes, frames.packet());
    }
}

#[test]
fn a_wrong_checksum_is_never_merged_and_leaves_unchanged() {
    for large in kinds() {
        let mut packets = large.segments();
        let last = packets[1].len() - 1;
        packets[1][last] ^= 1;
        let out = merge(Layer::Tun, &packets);
        assert_eq!(out.iter().map(|out| out.packets).collect::<Vec<_>>(), [1, 1, 2]);
        assert_eq!(out[1].bytes, packets[1]);
    }
    // That of the IPv4 header.
    let mut packets = Large::new(false, true, 4000, 1000).segments();
    packets[2][10] ^= 1;
    assert_eq!(tun(&packets), [2, 1, 1]);
}

#[test]
fn a_difference_in_the_headers_ends_a_run() {
    let v4 = [(1, 4, "type of service"), (1, 1, "ECN"), (6, 0x40, "Don't Fragment"), (8, 1, "TTL")];
    let v6 = [(0, 1, "traffic class"), (1, 0x10, "ECN"), (3, 1, "flow label"), (7, 1, "hop limit")];
    let tcp = [(4, 1, "sequence"), (8, 1, "acknowledgement"), (13, 0x40, "ECE"), (14, 1, "window")];
    for large in kinds() {
        let transport = if large.v6 { 40 } else { 20 };
        let of_transport: &[_] = if large.tcp { &tcp } else { &[] };
        let of_network: &[_] = if large.v6 { &v6 } else { &v4 };
        let behind = of_transport.iter().map(|&(offset, value, what)| (transport + offset, value, what));
        for (offset, value, what) in of_network.iter().copied().chain(behind) {
            let merged = tun(&second_changed(&large, offset, value));
            assert!(merged.len() >= 2 && merged[0] == 1, "{what}: {merged:?}");
        }
    }
    for large in [false, true].map(|v6| Large::new(v6, true, 4000, 1000)) {
        // Timestamps.
        let options = Large { tcp_options: vec![1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], ..large };
        assert_eq!(tun(&options.segments()), [4]);
        let transport = if options.v6 { 40 } else { 20 };
        assert_eq!(tun(&second_changed(&options, transport + 27, 1))[0], 1);
    }
}

#[test]
fn identifications_matter_where_packets_may_be_fragmented() {
    let mut packets = Large::new(false, true, 4000, 1000).segments();
    packets[2][5] = 99;
    fix_checksums(&mut packets[2]);
    assert_eq!(tun(&packets), [4], "with Don't Fragment, any will do");
    for packet in &mut packets {
        packet[6] = 0;
        fix_checksums(packet);
    }
    assert_eq!(tun(&packets), [2, 1, 1]);
}

#[test]
fn fragments_pass_as_they_are_and_nothing_overtakes_them() {
    for (byte, value) in [(6, 0x20), (7, 1)] {
        let mut packets = Large::new(false, false, 4000, 1000).segments();
        packets[2][byte] |= value;
        fix_checksums(&mut packets[2]);
        let out = merge(Layer::Tun, &packets);
        assert_eq!(out.iter().map(|out| out.packets).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(out[1].bytes, packets[2]);
    }
}

#[test]
fn an_acknowledgement_belongs_to_no_run_and_ends_none_of_the_other_direction() {
    for v6 in [false, true] {
        let data = Large::new(v6, true, 4000, 1000).segments();
        let mut acknowledgement = Large::new(v6, true, 1, 1).segments().remove(0);
        acknowledgement.pop();
        let length = acknowledgement.len();
        let place = if v6 { 4 } else { 2 };
        let stated = u16::try_from(if v6 { length - 40 } else { length }).unwrap();
        acknowledgement[place..place + 2].copy_from_slice(&stated.to_be_bytes());
        fix_checksums(&mut acknowledgement);
        let mut back = acknowledgement.clone();
        let (source, destination) = if v6 { (8, 24) } else { (12, 16) };
        for byte in 0..if v6 { 16 } else { 4 } {
            back.swap(source + byte, destination + byte);
        }
        let transport = if v6 { 40 } else { 20 };
        back.swap(transport, transport + 2);
        back.swap(transport + 1, transport + 3);
        fix_checksums(&mut back);
        let with = |other: &Vec<u8>| [&data[..2], std::slice::from_ref(other), &data[2..]].concat();
        assert_eq!(tun(&with(&back)), [4, 1]);
        assert_eq!(tun(&with(&acknowledgement)), [2, 1, 2]);
    }
}

#[test]
fn flags_that_seal_a_flow() {
    for v6 in [false, true] {
        let large = Large::new(v6, true, 4000, 1000);
        let flags = if v6 { 53 } else { 33 };
        for (flag, what) in [(1, "FIN"), (2, "SYN"), (4, "RST"), (0x20, "URG"), (0x80, "CWR")] {
            assert_eq!(tun(&second_changed(&large, flags, flag)), [1, 1, 2], "{what}");
        }
        let out = merge(Layer::Tun, &second_changed(&large, flags, 8));
        assert_eq!(out.iter().map(|out| out.packets).collect::<Vec<_>>(), [2, 2], "PSH ends a run");
        assert_eq!((out[0].bytes[flags] & 8, out[1].bytes[flags] & 8), (8, 0), "and is kept on its end");
        assert_eq!(out[0].cut[0][flags] & 8, 0);
    }
}

#[test]
fn sizes_of_a_run() {
    for large in kinds() {
        // A shorter one ends it.
        let odd = Large { payload: large.payload[..2500].to_vec(), ..large.clone() };
        let next = Large {
            sequence: odd.sequence.wrapping_add(2500),
            identification: odd.identification + 3,
            ..Large::new(large.v6, large.tcp, 2000, 1000)
        };
        assert_eq!(tun(&[odd.segments(), next.segments()].concat()), [3, 2]);
        // A longer one begins anew.
        let longer = Large {
            sequence: large.sequence.wrapping_add(4000),
            identification: large.identification + 4,
            ..Large::new(large.v6, large.tcp, 2002, 1001)
        };
        assert_eq!(tun(&[large.segments(), longer.segments()].concat()), [4, 2]);
        // One alone is as it was.
        let out = merge(Layer::Tun, &large.segments()[..1]);
        assert_eq!(out[0].bytes, large.segments()[0]);
    }
}

#[test]
fn datagrams_that_are_not_merged() {
    for v6 in [false, true] {
        let transport = if v6 { 40 } else { 20 };
        // Without payload.
        let mut packets = Large::new(v6, false, 4000, 1000).segments();
        packets[2].truncate(transport + 8);
        let length = u16::try_from(if v6 { 8 } else { 28 }).unwrap().to_be_bytes();
        packets[2][if v6 { 4 } else { 2 }..][..2].copy_from_slice(&length);
        packets[2][transport + 4..transport + 6].copy_from_slice(&[0, 8]);
        fix_checksums(&mut packets[2]);
        assert_eq!(tun(&packets), [2, 1, 1]);
        // Without a checksum.
        let mut packets = Large::new(v6, false, 4000, 1000).segments();
        packets[2][transport + 6..transport + 8].copy_from_slice(&[0, 0]);
        let out = merge(Layer::Tun, &packets);
        assert_eq!(out.iter().map(|out| out.packets).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(out[1].bytes, packets[2]);
    }
}

#[test]
fn a_run_has_bounds() {
    for large in kinds() {
        let payload = vec![7; 300 * 400];
        let large = Large { payload, size: 400, ..large };
        let merged = tun(&large.segments());
        let expected = match (large.tcp, large.v6) {
            (false, _) => vec![64, 64, 64, 64, 44],
            // 65,535 bytes with the header of IPv4; IPv6's does not count in its length, but here it does.
            (true, false) => vec![163, 137],
            (true, true) => vec![163, 137],
        };
        assert_eq!(merged, expected, "{:?}", large.header().gso_type());
    }
}

#[test]
fn what_is_behind_a_packet_does_not_become_payload() {
    for large in kinds() {
        let mut packets = large.segments();
        packets[1].extend([0; 6]);
        let out = merge(Layer::Tun, &packets);
        assert_eq!(out.iter().map(|out| out.packets).collect::<Vec<_>>(), [1, 1, 2]);
        assert_eq!(out[1].bytes, packets[1]);
    }
}

#[test]
fn what_has_no_flow_passes_and_hinders_nobody() {
    let ping = ping_packet("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 1, 1, b"x").unwrap();
    let data = Large::new(false, true, 4000, 1000).segments();
    let others = [ping.clone(), Vec::new(), vec![0x45], vec![0x12; 100]];
    for other in others {
        let packets = [&data[..2], std::slice::from_ref(&other), &data[2..]].concat();
        let out = merge_of(&packets);
        assert_eq!(out, [(4, None), (1, Some(other))]);
    }
    let frame = ethernet_frame([2; 6], [4; 6], EtherType(0x0806), &[0; 28]);
    assert_eq!(counts(Layer::Tap, &[frame]), [1]);
}

/// How many packets each stands for, and the bytes of those that stand for themselves.
fn merge_of(packets: &[Vec<u8>]) -> Vec<(usize, Option<Vec<u8>>)> {
    let mut arena = packets.concat();
    let mut end = 0;
    let ranges: Vec<_> = packets
        .iter()
        .map(|packet| {
            end += packet.len();
            (end - packet.len()..end).into()
        })
        .collect();
    let mut coalescer = Coalescer::new(Layer::Tun, 7);
    let mut batch = coalescer.merge(&mut arena, &ranges, sum);
    let mut found = Vec::new();
    while let Some(merged) = batch.next() {
        let alone = (merged.packets() == 1).then(|| merged.pieces().flatten().copied().collect());
        found.push((merged.packets(), alone));
    }
    found
}

/// A flow among many, by its number.
pub(crate) fn flow(number: usize, large: &Large) -> Vec<Vec<u8>> {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    let mut packets = large.segments();
    for packet in &mut packets {
        let transport = if large.v6 { 40 } else { 20 };
        packet[transport..transport + 2].copy_from_slice(&[high, low]);
        fix_checksums(packet);
    }
    packets
}

#[test]
fn many_flows_are_merged_each_by_itself() {
    for count in [4, 16, 64, 1000] {
        let flows: Vec<_> = (0..count)
            .map(|number| flow(number, &Large::new(number % 2 == 0, number % 3 > 0, 400, 100)))
            .collect();
        let packets: Vec<_> =
            (0..4).flat_map(|turn| flows.iter().map(move |flow| flow[turn].clone())).collect();
        let merged = tun(&packets);
        assert_eq!(merged.iter().sum::<usize>(), 4 * count);
        // Of a thousand, some do not find a place.
        let most = if count < 1000 { count } else { count + 30 };
        assert!(merged.len() <= most, "{} runs of {count} flows", merged.len());
    }
    // More flows than there is room for: some are not merged, and none is lost.
    let flows: Vec<_> = (0..6000).map(|number| flow(number, &Large::new(false, true, 4, 2))).collect();
    let packets: Vec<_> = (0..2).flat_map(|turn| flows.iter().map(move |flow| flow[turn].clone())).collect();
    let merged = tun(&packets);
    assert_eq!(merged.iter().sum::<usize>(), 12_000);
    assert!(merged.len() < 12_000 && merged.len() > 6000, "{}", merged.len());
}

/// What happens to a packet of a batch.
#[derive(Clone, Debug)]
struct Spoiled {
    flow: usize,
    /// A byte that is changed, if one is, and whether the checksums are made right again.
    change: Option<(prop::sample::Index, u8, bool)>,
}

fn spoiled() -> impl Strategy<Value = Spoiled> {
    let change = prop::option::weighted(0.15, (any::<prop::sample::Index>(), 1..=255_u8, any::<bool>()));
    (0..5_usize, change).prop_map(|(flow, change)| Spoiled { flow, change })
}

/// Batches of packets of five flows, some of them spoiled.
pub(crate) fn batches() -> impl Strategy<Value = Vec<Vec<u8>>> {
    (vec((1..200_u16, 0..3_usize), 5), vec(spoiled(), 1..120))
        .prop_map(|(sizes, turns)| batch(&sizes, &turns))
}

fn batch(sizes: &[(u16, usize)], turns: &[Spoiled]) -> Vec<Vec<u8>> {
    let flows: Vec<_> = sizes
        .iter()
        .enumerate()
        .map(|(number, &(size, options))| {
            let tcp = number % 2 == 0;
            let tcp_options = if tcp { vec![1; options * 4] } else { Vec::new() };
            let large = Large { tcp_options, ..Large::new(number < 2, tcp, 120 * usize::from(size), size) };
            flow(number, &large)
        })
        .collect();
    let mut next = [0; 5];
    let mut packets = Vec::new();
    for turn in turns {
        let mut packet = flows[turn.flow][next[turn.flow]].clone();
        next[turn.flow] += 1;
        if let Some((at, value, right)) = &turn.change {
            let end = packet.len().min(80);
            packet[at.index(end)] ^= value;
            if *right && Packet::parse(Layer::Tun, &packet).is_ok_and(|packet| !packet.is_fragment()) {
                let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| fix_checksums(&mut packet)));
            }
        }
        packets.push(packet);
    }
    packets
}

proptest! {
    #[test]
    fn merged_packets_are_cut_into_the_same_ones_in_order(packets in batches()) {
        let cut: Vec<Vec<u8>> = merge(Layer::Tun, &packets).into_iter().flat_map(|out| out.cut).collect();
        // Each packet came out, once, as it was; but for identifications that do not matter.
        let plain = |packet: &Vec<u8>| {
            let mut packet = packet.clone();
            let is_v4 = packet[0] >> 4 == 4 && packet.len() >= 20;
            if is_v4 && packet[6] & 0x40 != 0 && checksum(&packet[..20]) == 0 {
                packet[4..6].fill(0);
                packet[10..12].fill(0);
            }
            packet
        };
        let key = |packet: &Vec<u8>| {
            let view = Packet::parse(Layer::Tun, packet).ok()?;
            view.flow_key().filter(|key| key.ports.is_some())
        };
        let mut sorted_in: Vec<_> = packets.iter().map(plain).collect();
        let mut sorted_out: Vec<_> = cut.iter().map(plain).collect();
        for flow in packets.iter().map(key) {
            let of = |all: &[Vec<u8>]| -> Vec<Vec<u8>> {
                all.iter().filter(|packet| key(packet) == flow).map(plain).collect()
            };
            if flow.is_some() {
                prop_assert_eq!(of(&packets), of(&cut), "in order within {:?}", flow);
            }
        }
        sorted_in.sort();
        sorted_out.sort();
        prop_assert_eq!(sorted_in, sorted_out);
    }
}
