//! Packets in two parts: they are merged as if they were whole.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tunctl_packet::Layer;
use tunctl_packet::offload::{Apart, Coalescer, Cut, NoRoom, Parts, sum};

use crate::batch::arena;
use crate::coalesce::{batches, kinds};
use crate::large::Large;

/// What is to be sent: how many packets it stands for, its header, and its bytes.
fn merge(arena: &mut [u8], packets: &[Parts]) -> Vec<(usize, String, Vec<u8>)> {
    let mut coalescer = Coalescer::new(Layer::Tun, 7);
    let mut batch = coalescer.merge(arena, packets, sum);
    let mut found = Vec::new();
    while let Some(merged) = batch.next() {
        let bytes = merged.pieces().collect::<Vec<_>>().concat();
        assert!(merged.pieces().all(|piece| !piece.is_empty()));
        let stated = format!("{:?} {}", merged.header(), merged.bytes_apart());
        if let Some(alone) = merged.alone_behind(0) {
            assert_eq!((merged.packets(), alone), (1, &bytes[..]));
        }
        found.push((merged.packets(), stated, bytes));
    }
    found
}

/// The packets with all that is behind these places first, and the beginnings of all behind that.
fn apart(packets: &[Vec<u8>], places: &[usize], knows: bool) -> (Vec<u8>, Vec<Parts>) {
    let (mut arena, mut parts) = (Vec::new(), Vec::new());
    for (packet, place) in packets.iter().zip(places) {
        let start = arena.len();
        arena.extend(&packet[*place..]);
        let rest_sum = knows.then(|| sum(&packet[*place..]));
        parts.push(Parts { first: 0..*place, rest: start..arena.len(), rest_sum });
    }
    for (packet, parts) in packets.iter().zip(&mut parts) {
        parts.first = arena.len()..arena.len() + parts.first.end;
        arena.extend(&packet[..parts.first.len()]);
    }
    (arena, parts)
}

/// The length of the headers of TCP or UDP, as far as the packet has them; of another one, its own.
fn headers(packet: &[u8]) -> usize {
    let at = |offset: usize| packet.get(offset).copied().map_or(0, usize::from);
    let (ip, protocol) = if at(0) >> 4 == 6 { (40, at(6)) } else { ((at(0) & 0xf) * 4, at(9)) };
    let transport = match protocol {
        6 => 20.max((at(ip + 12) >> 4) * 4),
        17 => 8,
        _ => return packet.len(),
    };
    packet.len().min(20.max(ip + transport))
}

proptest! {
    /// Behind an even or an odd number of bytes, with a sum that is known or not.
    #[test]
    fn packets_in_two_parts_are_merged_as_whole_ones(
        packets in batches(),
        places in vec(any::<Index>(), 120),
        knows: bool,
    ) {
        let place = |(packet, at): (&Vec<u8>, &Index)| {
            packet.len() - at.index(packet.len() - headers(packet) + 1)
        };
        let places: Vec<_> = packets.iter().zip(&places).map(place).collect();
        let (mut arena, ranges) = arena(&packets);
        let expected = merge(&mut arena, &ranges);
        let (mut arena, parts) = apart(&packets, &places, knows);
        prop_assert_eq!(merge(&mut arena, &parts), expected);
    }

    /// Beginnings without all headers, or parts that are not in the arena: nothing is merged wrongly.
    #[test]
    fn parts_at_any_place_are_taken_back_as_they_were(
        packets in batches(),
        places in vec(any::<Index>(), 120),
        behind in any::<Index>(),
    ) {
        let places: Vec<_> =
            packets.iter().zip(&places).map(|(packet, at)| at.index(packet.len() + 1)).collect();
        let (mut arena, mut parts) = apart(&packets, &places, false);
        let original = arena.clone();
        let mut coalescer = Coalescer::new(Layer::Tun, 7);
        let mut batch = coalescer.merge(&mut arena, &parts, sum);
        let mut undone = Vec::new();
        while batch.next().is_some() {
            undone.extend(batch.undo().map(|(index, parts)| (index, parts.concat())));
        }
        undone.sort_unstable();
        prop_assert!(undone.into_iter().eq(packets.iter().cloned().enumerate()));
        prop_assert_eq!(&arena, &original);
        let lost = behind.index(parts.len());
        parts[lost].rest = arena.len()..arena.len() + 7;
        parts[lost].first = arena.len() + 9..arena.len() + 8;
        merge(&mut arena, &parts);
    }
}

#[test]
fn headers_that_are_written_apart_and_the_payload_are_the_segment() {
    let tunnel_free = kinds().chain(kinds().map(|large| Large { ethernet: true, ..large }));
    for large in tunnel_free {
        let layer = if large.ethernet { Layer::Tap } else { Layer::Tun };
        let mut packet = large.packet();
        let mut cut = Cut::new(&large.header(), layer, &mut packet, sum).unwrap();
        let mut room = [0xee; 100];
        for segment in large.segments() {
            let length = segment.len() - 1000;
            let short = NoRoom { length, available: length - 1 };
            assert_eq!(cut.next_apart(&packet, &mut room[..length - 1]), Err(short), "it is still the next");
            let Apart { headers, payload, payload_sum } =
                cut.next_apart(&packet, &mut room).unwrap().unwrap();
            assert_eq!((headers, payload_sum), (length, Some(sum(&packet[payload.clone()]))));
            assert_eq!([&room[..headers], &packet[payload]].concat(), segment);
        }
        assert_eq!(cut.next_apart(&packet, &mut []), Ok(None));
    }
}

#[test]
fn a_wrong_sum_is_believed_and_a_payload_that_lies_side_by_side_is_one_piece() {
    let large = Large::new(false, true, 4000, 1000);
    let mut arena = large.packet();
    let mut cut = Cut::new(&large.header(), Layer::Tun, &mut arena, sum).unwrap();
    let (mut parts, mut used) = (Vec::new(), arena.len());
    arena.resize(used + 400, 0);
    while cut.left() > 0 {
        let (packet, room) = arena.split_at_mut(used);
        let Apart { headers, payload, payload_sum } = cut.next_apart(&packet[..4040], room).unwrap().unwrap();
        parts.push(Parts { first: used..used + headers, rest: payload, rest_sum: payload_sum });
        used += headers;
    }
    let mut coalescer = Coalescer::new(Layer::Tun, 7);
    let mut batch = coalescer.merge(&mut arena, &parts, sum);
    let lengths: Vec<_> = batch.next().unwrap().pieces().map(<[u8]>::len).collect();
    assert_eq!(lengths, [40, 4000]);
    assert_eq!(batch.undo().count(), 4);
    parts[2].rest_sum = Some(u64::MAX);
    let (mut batch, mut counts) = (coalescer.merge(&mut arena, &parts, sum), Vec::new());
    while let Some(merged) = batch.next() {
        counts.push(merged.packets());
    }
    assert_eq!((counts, batch.counts().wrong), (vec![2, 1, 1], 1));
}
