//! Malformed packets.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tunctl_core::Layer;

use super::frame::around;
use super::message::{UDP, filler};
use super::packets;

/// What an attacker or a broken program may send over a tun or a tap: nothing, noise, and packets that are
/// cut short anywhere, extended (sometimes beyond 65,535 bytes), of a wrong IP version, with wrong lengths or
/// offsets in their headers, with bits flipped, or with very many extension headers.
///
/// By chance, some are well-formed nevertheless.
pub fn hostile_packets(layer: Layer) -> impl Strategy<Value = Vec<u8>> {
    let noise = vec(any::<u8>(), 0..200);
    let cut = (packets(layer), any::<Index>()).prop_map(|(mut packet, end)| {
        packet.truncate(end.index(packet.len()));
        packet
    });
    let extra = prop_oneof![3 => 1..64_usize, 1 => 64..2000_usize, 1 => 65_536..70_000_usize];
    let drawn_out = (packets(layer), extra, any::<u8>())
        .prop_map(|(packet, length, first)| [packet, filler(length, first)].concat());
    let other_version =
        (packets(layer), (0..16_u8).prop_filter("an IP version", |version| ![4, 6].contains(version)))
            .prop_map(move |(packet, version)| with_version(layer, packet, version));
    let lying = (packets(layer), vec((any::<Index>(), values()), 1..3)).prop_map(move |(packet, lies)| {
        lies.into_iter().fold(packet, |packet, lie| with_lie(layer, packet, lie))
    });
    let flipped = (packets(layer), vec((any::<Index>(), 0..8_u8), 1..6)).prop_map(|(mut packet, flips)| {
        for (at, bit) in flips {
            let at = at.index(packet.len());
            packet[at] ^= 1 << bit;
        }
        packet
    });
    let deep = vec(select(&[0, 43, 44, 51, 60][..]), 1..150).prop_map(move |kinds| match layer {
        Layer::Tun => endless(&kinds),
        Layer::Tap => around(endless(&kinds)),
    });
    prop_oneof![
        1 => Just(Vec::new()),
        2 => noise,
        4 => cut,
        2 => drawn_out,
        2 => other_version,
        4 => lying,
        4 => flipped,
        1 => deep,
    ]
    .boxed()
}

/// Wrong values for lengths.
fn values() -> BoxedStrategy<u16> {
    prop_oneof![select(&[0, 1, 4, 7, 8, 19, 20, 39, 40, 0x1fff, 0x7fff, 0x8000, u16::MAX][..]), any::<u16>()]
        .boxed()
}

/// Where the IP packet starts, if there is one.
fn ip_start(layer: Layer, packet: &[u8]) -> Option<usize> {
    match layer {
        Layer::Tun => Some(0),
        Layer::Tap => {
            let mut kind = 12;
            while let Some([0x81, 0x00] | [0x88, 0xa8]) = packet.get(kind..kind + 2) {
                kind += 4;
            }
            let is_ip = matches!(packet.get(kind..kind + 2), Some([0x08, 0x00] | [0x86, 0xdd]));
            (is_ip && packet.len() > kind + 2).then_some(kind + 2)
        }
    }
}

fn with_version(layer: Layer, mut packet: Vec<u8>, version: u8) -> Vec<u8> {
    if let Some(first) = ip_start(layer, &packet).and_then(|start| packet.get_mut(start)) {
        *first = version << 4 | *first & 0x0f;
    }
    packet
}

/// Puts a value where a header has a length, an offset, or the number of what follows.
fn with_lie(layer: Layer, mut packet: Vec<u8>, (place, value): (Index, u16)) -> Vec<u8> {
    let (at, mask) = *place.get(&places(layer, &packet));
    if let Some(field) = packet.get_mut(at..at + 2) {
        let honest = u16::from_be_bytes([field[0], field[1]]);
        field.copy_from_slice(&(honest & !mask | value & mask).to_be_bytes());
    }
    packet
}

/// Where such fields are, and which bits of two bytes they are.
fn places(layer: Layer, packet: &[u8]) -> [(usize, u16); 6] {
    match ip_start(layer, packet) {
        // The header's length, the packet's, the fragment, the protocol; UDP's length, that of TCP's header.
        Some(ip) if packet[ip] >> 4 == 4 => {
            let upper = ip + usize::from(packet[ip] & 0x0f) * 4;
            [(ip, 0x0f00), (ip + 2, !0), (ip + 6, !0), (ip + 8, 0xff), (upper + 4, !0), (upper + 12, 0xf000)]
        }
        // The payload's length, the next header; an extension's length, the fragment; UDP's length, that of
        // TCP's header.
        Some(ip) => {
            let upper = ip + 40;
            [
                (ip + 4, !0),
                (ip + 6, 0xff00),
                (upper, 0xff),
                (upper + 2, !0),
                (upper + 4, !0),
                (upper + 12, 0xf000),
            ]
        }
        // The type; what addresses ARP speaks of, how long they are, and what it wants.
        None => [(12, !0), (14, !0), (16, !0), (18, 0xff00), (18, 0x00ff), (20, !0)],
    }
}

/// An IPv6 packet of extension headers alone.
fn endless(kinds: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = 0x60;
    let length = u16::try_from(8 * kinds.len()).unwrap_or(u16::MAX);
    packet[4..6].copy_from_slice(&length.to_be_bytes());
    packet[6] = kinds.first().copied().unwrap_or(UDP);
    for next in kinds.iter().skip(1).chain([&UDP]) {
        // Each is the shortest of its kind.
        packet.extend([*next, 0, 0, 0, 0, 0, 0, 0]);
    }
    packet
}
