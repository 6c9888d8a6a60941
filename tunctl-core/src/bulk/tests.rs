//! Batches over a system that refuses, stops and loses what a test wants.

use std::io::IoSlice;

use tunctl_packet::header::{Endian, GsoType, HeaderKind, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::offload::{Segments, sum};
use tunctl_packet::{Layer, udp_packet};

use super::{RecvBatch, SendBatch};
use crate::{Cause, Error, Offloads, Operation, Result};

mod passing;

const VNET: HeaderKind = HeaderKind::Vnet(VnetFormat::new(VnetLength::Basic, Endian::Native));

fn batch() -> SendBatch {
    SendBatch::new(Layer::Tun, VNET, Offloads::TSO | Offloads::USO)
}

/// Datagrams of a flow, which are merged.
fn datagrams(flow: u16, count: u8) -> Vec<Vec<u8>> {
    let from = ([10, 0, 0, 1], 1000 + flow).into();
    let to = ([10, 0, 0, 2], 9).into();
    (0..count).map(|number| udp_packet(from, to, &[number; 100]).unwrap()).collect()
}

fn push(batch: &mut SendBatch, packets: &[Vec<u8>]) {
    for packet in packets {
        batch.push(packet).unwrap();
    }
}

fn error(cause: Cause) -> Error {
    Error::new(Operation::Send, cause)
}

fn joined(pieces: &[IoSlice<'_>]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.iter().copied()).collect()
}

/// What is behind the header.
fn packet_of(pieces: &[IoSlice<'_>]) -> Vec<u8> {
    joined(pieces)[VNET.length()..].to_vec()
}

/// Sends to a system that takes no packet which stands for several; returns what it took.
fn send_to_old(batch: &mut SendBatch) -> Vec<Vec<u8>> {
    let mut taken = Vec::new();
    batch
        .empty(|pieces| {
            if pieces.len() > 2 {
                return Err(error(Cause::MalformedPacket));
            }
            taken.push(packet_of(pieces));
            Ok(0)
        })
        .unwrap();
    taken
}

#[test]
fn what_is_merged_is_one_call() {
    let mut batch = batch();
    push(&mut batch, &datagrams(1, 20));
    let mut calls = 0;
    batch
        .empty(|pieces| {
            let whole = joined(pieces);
            let (header, packet) = VnetHeader::parse(VnetFormat::default(), &whole).unwrap();
            assert_eq!((header.segment_size(), packet.len(), pieces.len()), (100, 28 + 2000, 21));
            calls += 1;
            Ok(0)
        })
        .unwrap();
    let statistics = batch.statistics();
    assert_eq!((calls, statistics.calls, statistics.packets, statistics.merged), (1, 1, 20, 20));
}

#[test]
fn a_merged_packet_that_is_refused_is_sent_as_packets_and_after_three_none_is_merged() {
    let mut batch = batch();
    for time in 1..=5 {
        push(&mut batch, &datagrams(1, 5));
        assert_eq!(send_to_old(&mut batch), datagrams(1, 5));
        let statistics = batch.statistics();
        assert_eq!((statistics.refused_merged, statistics.merges_udp), (time.min(3), time < 3));
        assert!(statistics.merges_tcp && statistics.lost == 0 && statistics.merged == 0);
    }
}

#[test]
fn after_one_that_is_taken_refusals_are_counted_anew() {
    let mut batch = batch();
    for _ in 0..5 {
        for _ in 0..2 {
            push(&mut batch, &datagrams(1, 5));
            send_to_old(&mut batch);
        }
        push(&mut batch, &datagrams(1, 5));
        batch.empty(|_| Ok(0)).unwrap();
    }
    assert!(batch.statistics().merges_udp);
}

/// Sends until the n-th call, which fails, and then the rest; returns all that was taken.
fn interrupted_at(call: usize, cause: Cause, old: bool) -> (Vec<Vec<u8>>, SendBatch) {
    let mut batch = batch();
    for flow in 0..4 {
        push(&mut batch, &datagrams(flow, 3));
    }
    let (mut calls, mut taken) = (0, Vec::new());
    let mut system = |pieces: &[IoSlice<'_>]| -> Result<usize> {
        calls += 1;
        if calls == call {
            return Err(error(cause));
        }
        if old && pieces.len() > 2 {
            return Err(error(Cause::MalformedPacket));
        }
        let whole = joined(pieces);
        let (header, packet) = VnetHeader::parse(VnetFormat::default(), &whole).unwrap();
        let mut packet = packet.to_vec();
        let mut segments = Segments::new(&header, Layer::Tun, &mut packet, sum).unwrap();
        while let Some(segment) = segments.next() {
            // The numbers of IPv4 were all zero, and count up now. No fragment needs them.
            taken.push(segment[20..].to_vec());
        }
        Ok(0)
    };
    let first = batch.empty(&mut system);
    assert_eq!(first.is_err() && !error(cause).is_packet_lost(), !batch.is_empty());
    batch.empty(&mut system).unwrap();
    assert!(batch.is_empty());
    (taken, batch)
}

fn behind_ip(flow: u16) -> Vec<Vec<u8>> {
    datagrams(flow, 3).into_iter().map(|packet| packet[20..].to_vec()).collect()
}

#[test]
fn what_was_not_sent_is_still_there() {
    let all: Vec<_> = (0..4).flat_map(behind_ip).collect();
    for old in [false, true] {
        for call in 1..18 {
            let (taken, batch) = interrupted_at(call, Cause::WouldBlock, old);
            assert_eq!(taken, all, "call {call}");
            assert_eq!((batch.statistics().packets, batch.statistics().lost), (12, 0));
        }
    }
}

#[test]
fn what_is_lost_is_named_and_counted() {
    let (taken, batch) = interrupted_at(2, Cause::NoBuffers, false);
    let all: Vec<_> = [0, 2, 3].into_iter().flat_map(behind_ip).collect();
    assert_eq!((taken, batch.statistics().lost), (all, 3));
    assert_eq!(batch.lost().iter().map(|(index, _)| *index).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn what_is_left_keeps_its_order_and_its_numbers() {
    let mut batch = batch();
    let (a, b) = (datagrams(1, 3), datagrams(2, 3));
    for (a, b) in a.iter().zip(&b) {
        batch.push(a).unwrap();
        batch.push(b).unwrap();
    }
    assert!(batch.empty(|_| Err(error(Cause::WouldBlock))).unwrap_err().is_would_block());
    assert_eq!(batch.statistics().causes.packets, 0);
    // The last one that was added was of the second flow.
    assert!(batch.pop());
    let mut calls = 0;
    let outcome = batch.empty(|pieces| {
        calls += 1;
        match calls {
            1 => Ok(0),
            2 => Err(error(Cause::WouldBlock)),
            _ => panic!("{} pieces", pieces.len()),
        }
    });
    assert!(outcome.unwrap_err().is_would_block());
    assert!(batch.empty(|_| Err(error(Cause::NoBuffers))).is_err());
    assert_eq!(batch.lost().iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 3]);
    assert_eq!((batch.statistics().packets, batch.statistics().bytes), (3, 3 * 128));
    assert!(batch.push_with(usize::MAX, |_| 5).is_err());
}

/// A system that hands over one large packet a call.
fn large() -> Vec<u8> {
    let mut packet = udp_packet(([10, 0, 0, 1], 5).into(), ([10, 0, 0, 2], 9).into(), &[7; 40_000]).unwrap();
    // The sum of the pseudo-header: 0x0a00 + 1 + 0x0a00 + 2 + 17 + 40,008.
    packet[26..28].copy_from_slice(&0xb05c_u16.to_be_bytes());
    let header = VnetHeader::default().with_checksum(20, 6).with_segments(GsoType::UdpL4, 1000);
    let mut read = [&[0; 10][..], &packet].concat();
    header.write(VnetFormat::default(), &mut read).unwrap();
    read
}

#[test]
fn nothing_is_allocated_once_the_batches_are_warm() {
    let read = large();
    let mut received = RecvBatch::new(Layer::Tun, VNET);
    let mut sent = batch();
    let mut round = || {
        let mut calls = 0;
        received
            .fill(|room| {
                calls += 1;
                if calls > 2 {
                    return Err(error(Cause::WouldBlock));
                }
                room[..read.len()].copy_from_slice(&read);
                Ok(read.len())
            })
            .unwrap();
        let mut packets = 0;
        while let Some(packet) = if packets < 50 { received.next() } else { None } {
            sent.push(packet).unwrap();
            packets += 1;
        }
        sent.empty(|_| Ok(0)).unwrap();
        while received.pass_to(&mut sent).unwrap() {
            packets += sent.len();
            sent.empty(|_| Ok(0)).unwrap();
        }
        assert_eq!(packets, 80);
    };
    round();
    let allocations = allocation_counter::measure(|| (0..100).for_each(|_| round()));
    assert_eq!(allocations.count_total, 0);
    assert_eq!(received.statistics().large, 202);
    assert!(sent.statistics().merged > 8000, "{:?}", sent.statistics());
}

/// A batch of what was read.
fn received(reads: &[&[u8]]) -> RecvBatch {
    let mut received = RecvBatch::new(Layer::Tun, VNET);
    let mut left = reads.iter();
    let fill = |room: &mut [u8]| {
        let read = left.next().ok_or_else(|| error(Cause::WouldBlock))?;
        room[..read.len()].copy_from_slice(read);
        Ok(read.len())
    };
    assert_eq!(received.fill(fill).unwrap(), reads.len());
    received
}

/// The same, with two packets among them that cannot be cut.
fn received_with_others() -> RecvBatch {
    let read = large();
    let odd = [&read[..12], &[0; 3]].concat();
    received(&[&read, &read[..5], &odd, &read])
}

#[test]
fn a_packet_that_cannot_be_cut_loses_no_other() {
    let mut received = received_with_others();
    let (mut packets, mut lost) = (0, 0);
    loop {
        match received.try_next() {
            Ok(Some(_)) => packets += 1,
            Ok(None) => break,
            Err(_) => lost += 1,
        }
    }
    assert_eq!((packets, lost), (80, 2));
    let statistics = received.statistics();
    assert_eq!((statistics.calls, statistics.packets, statistics.large, statistics.lost), (4, 80, 2, 2));
}
