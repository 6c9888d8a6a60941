//! Packets of several flows, merged.

use tunctl_packet::offload::{Coalescer, Parts, Segments, sum};
use tunctl_packet::{FlowKey, Layer, Packet};

use super::repaired;

/// The bit of a length that asks for right checksums, which chance does not find.
const REPAIR: u16 = 0x8000;

/// A byte for the layer, and for where the packets are parted; then packets, each behind its length in two
/// bytes, the lower one first.
pub(crate) fn coalesce(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let layer = if first & 1 == 0 { Layer::Tun } else { Layer::Tap };
    let packets = packets(layer, rest);
    let merged = merged(layer, &packets, usize::from(first >> 1));
    assert_eq!(merged.len(), packets.len(), "each packet comes out once");
    let plain = |packets: &[Vec<u8>]| packets.iter().map(|packet| plain(layer, packet)).collect::<Vec<_>>();
    let (before, after) = (plain(&packets), plain(&merged));
    let flow = |packet: &Vec<u8>| flow(layer, packet);
    for wanted in before.iter().filter_map(flow) {
        let of = |packets: &[Vec<u8>]| -> Vec<Vec<u8>> {
            packets.iter().filter(|packet| flow(packet).as_ref() == Some(&wanted)).cloned().collect()
        };
        assert_eq!(of(&before), of(&after), "the packets of a flow, in order");
    }
    let sorted = |mut packets: Vec<Vec<u8>>| {
        packets.sort();
        packets
    };
    assert_eq!(sorted(before), sorted(after), "the same packets");
}

fn packets(layer: Layer, mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = u16::from_le_bytes(*length);
        let (packet, behind) = behind.split_at(behind.len().min(usize::from(length & !REPAIR)));
        rest = behind;
        let repaired =
            Some(packet).filter(|_| length & REPAIR != 0).and_then(|packet| with_sums(layer, packet));
        packets.push(repaired.unwrap_or_else(|| packet.to_vec()));
    }
    packets
}

/// An arena with the packets, and where they are. Unless the number is zero, each is in two parts, at a place
/// that follows from it: the second ones come first.
fn placed(packets: &[Vec<u8>], number: usize) -> (Vec<u8>, Vec<Parts>) {
    let (mut arena, mut parts) = (Vec::new(), Vec::new());
    let mut add = |bytes: &[u8]| {
        arena.extend_from_slice(bytes);
        arena.len() - bytes.len()..arena.len()
    };
    let place = |(index, packet): (usize, &Vec<u8>)| match number {
        0 => packet.len(),
        _ => packet.len().min(number * (index + 1) % 128),
    };
    let places: Vec<_> = packets.iter().enumerate().map(place).collect();
    for (packet, place) in packets.iter().zip(&places) {
        parts.push(Parts { rest: add(&packet[*place..]), ..Parts::default() });
    }
    for ((packet, place), parts) in packets.iter().zip(&places).zip(&mut parts) {
        parts.first = add(&packet[..*place]);
    }
    (arena, parts)
}

/// The packets that go out, each as the receiver of a merged one has it.
fn merged(layer: Layer, packets: &[Vec<u8>], number: usize) -> Vec<Vec<u8>> {
    let (mut arena, parts) = placed(packets, number);
    let mut coalescer = Coalescer::new(layer, 7);
    let mut batch = coalescer.merge(&mut arena, &parts, sum);
    let mut found = Vec::new();
    while let Some(merged) = batch.next() {
        let mut bytes = merged.pieces().collect::<Vec<_>>().concat();
        if merged.packets() == 1 {
            assert!(packets.contains(&bytes), "a packet that was not merged changed");
            found.push(bytes);
            continue;
        }
        let mut segments = Segments::new(&merged.header(), layer, &mut bytes, sum).unwrap();
        assert_eq!(segments.left(), merged.packets());
        while let Some(segment) = segments.next() {
            found.push(segment.to_vec());
        }
    }
    found
}

/// Where the IP header is, behind tags.
fn network(layer: Layer, packet: &[u8]) -> usize {
    let mut at = if layer == Layer::Tap { 14 } else { 0 };
    while at > 0 && matches!(packet.get(at - 2..at), Some([0x81, 0] | [0x88, 0xa8])) {
        at += 4;
    }
    at
}

fn with_sums(layer: Layer, packet: &[u8]) -> Option<Vec<u8>> {
    let (link, ip) = packet.split_at_checked(network(layer, packet))?;
    Some([link, &repaired(ip)?].concat())
}

/// Without what a merged packet does not keep: an identification that is not needed, and the other form of a
/// checksum that is zero.
fn plain(layer: Layer, packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    let network = network(layer, &packet);
    match packet.get_mut(network..) {
        Some([0x40..0x50, _, _, _, high, low, flags, ..]) if *flags & 0x40 != 0 => (*high, *low) = (0, 0),
        _ => {}
    }
    with_sums(layer, &packet).unwrap_or(packet)
}

/// A flow's addresses and ports, and what is in front of its packets.
fn flow(layer: Layer, packet: &[u8]) -> Option<(FlowKey, Vec<u8>)> {
    let key = Packet::parse(layer, packet).ok()?.flow_key().filter(|key| key.ports.is_some())?;
    Some((key, packet[..network(layer, packet)].to_vec()))
}
