//! Packets that are passed on: they are those that a program would have received.

use std::io::IoSlice;

use tunctl_packet::header::{Endian, GsoType, HeaderKind, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::offload::{Segments, sum};
use tunctl_packet::{Layer, udp_packet};

use super::{VNET, error, joined, large, received, received_with_others};
use crate::bulk::{BatchFull, RecvBatch, SendBatch};
use crate::{Cause, Offloads};

const LONG: HeaderKind = HeaderKind::Vnet(VnetFormat::new(VnetLength::Tunnel, Endian::Native));

fn merging() -> SendBatch {
    SendBatch::new(Layer::Tun, VNET, Offloads::TSO | Offloads::USO)
}

/// One large packet that stands for so many datagrams of `size` bytes.
fn of_size(size: u16) -> Vec<u8> {
    let mut read = large();
    let header = VnetHeader::default().with_checksum(20, 6).with_segments(GsoType::UdpL4, size);
    header.write(VnetFormat::default(), &mut read).unwrap();
    read
}

/// A packet that stands for itself.
fn plain(number: u8) -> Vec<u8> {
    let packet =
        tunctl_packet::ping_packet([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 1, number.into(), b"?");
    [&[0; 10][..], &packet.unwrap()].concat()
}

/// The same, with a checksum that is left to whoever receives it, and a header that says so.
fn without_checksum() -> Vec<u8> {
    let mut packet =
        udp_packet(([10, 0, 0, 1], 5).into(), ([10, 0, 0, 2], 9).into(), b"not a segment").unwrap();
    // The sum of the pseudo-header, as for `large`, of 21 bytes.
    let pseudo: u16 = 0x0a00 + 1 + 0x0a00 + 2 + 17 + 21;
    packet[26..28].copy_from_slice(&pseudo.to_be_bytes());
    let mut read = [&[0; 10][..], &packet].concat();
    VnetHeader::default().with_checksum(20, 6).write(VnetFormat::default(), &mut read).unwrap();
    read
}

/// What three reads at most have, some of which is plain, some cannot be cut.
fn inputs() -> Vec<RecvBatch> {
    let (large, short) = (large(), of_size(400));
    vec![
        received_with_others(),
        received(&[&plain(1), &large, &plain(2)]),
        received(&[&plain(1), &plain(2), &plain(3)]),
        received(&[&without_checksum(), &large, &without_checksum()]),
        received(&[&short, &large]),
        received(&[&large[..5]]),
    ]
}

/// What a program receives, packet by packet.
fn packets(mut batch: RecvBatch) -> (Vec<Vec<u8>>, u64) {
    let mut packets = Vec::new();
    while let Some(packet) = batch.next() {
        packets.push(packet.to_vec());
    }
    assert_eq!(batch.statistics().packets, packets.len() as u64);
    (packets, batch.statistics().lost)
}

/// What is sent, cut again, from the transport on: merging numbers the packets of IPv4 that have no number.
fn sent(batch: &mut SendBatch) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let take = |pieces: &[IoSlice<'_>]| {
        let whole = joined(pieces);
        let (header, packet) = VnetHeader::parse(VnetFormat::default(), &whole).unwrap();
        let mut packet = packet.to_vec();
        let mut segments = Segments::new(&header, Layer::Tun, &mut packet, sum).unwrap();
        while let Some(segment) = segments.next() {
            packets.push(segment[20..].to_vec());
        }
        Ok(0)
    };
    batch.empty(take).unwrap();
    packets
}

fn behind_ip(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    packets.iter().map(|packet| packet[20..].to_vec()).collect()
}

#[test]
fn what_is_passed_on_is_what_would_be_received() {
    for (mut input, same) in inputs().into_iter().zip(inputs()) {
        let ((expected, lost), mut batch, mut found) = (packets(same), merging(), Vec::new());
        while input.pass_to(&mut batch).unwrap() {
            found.extend(sent(&mut batch));
        }
        assert_eq!(found, behind_ip(&expected));
        let statistics = input.statistics();
        assert_eq!((statistics.packets, statistics.lost), (expected.len() as u64, lost));
        assert_eq!(batch.statistics().packets, expected.len() as u64);
    }
}

/// Without offload, and with headers that are shorter or longer than those that were received.
#[test]
fn a_device_of_any_headers_takes_what_is_passed_on() {
    for kind in [HeaderKind::Bare, HeaderKind::PacketInfo, VNET, LONG] {
        for (mut input, same) in inputs().into_iter().zip(inputs()) {
            let ((expected, _), mut found) = (packets(same), Vec::new());
            let mut batch = SendBatch::new(Layer::Tun, kind, Offloads::NONE);
            while input.pass_to(&mut batch).unwrap() {
                let take = |pieces: &[IoSlice<'_>]| {
                    let whole = joined(pieces);
                    let (headers, packet) = whole.split_at(kind.length());
                    let mut own = vec![0; kind.length()];
                    kind.write(Layer::Tun, packet, &mut own).unwrap();
                    assert_eq!(headers, own, "{kind:?}");
                    found.push(packet.to_vec());
                    Ok(0)
                };
                batch.empty(take).unwrap();
            }
            assert_eq!(found, expected, "{kind:?}");
        }
    }
}

#[test]
fn a_large_packet_that_is_passed_on_is_one_piece_behind_its_headers() {
    let (mut input, mut batch) = (received(&[&large()]), merging());
    assert!(input.pass_to(&mut batch).unwrap());
    assert_eq!(batch.len(), 40);
    let mut calls = 0;
    let take = |pieces: &[IoSlice<'_>]| {
        assert_eq!(pieces.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [10, 28, 40_000]);
        calls += 1;
        Ok(0)
    };
    batch.empty(take).unwrap();
    assert_eq!((calls, batch.statistics().merged), (1, 40));
}

#[test]
fn a_judge_sees_each_packet_whole_and_what_it_changes_stays() {
    for (mut input, same) in inputs().into_iter().zip(inputs()) {
        let ((expected, _), mut batch) = (packets(same), merging());
        let (mut seen, mut passed, mut found) = (Vec::new(), Vec::new(), Vec::new());
        let mut judge = |packet: &mut [u8]| {
            seen.push(packet.to_vec());
            if seen.len() % 5 == 2 {
                return false;
            }
            // At both ends: in the headers, and in the payload.
            packet[1] ^= u8::from(seen.len() % 5 == 3);
            *packet.last_mut().unwrap() ^= u8::from(seen.len() % 5 == 4);
            passed.push(packet.to_vec());
            true
        };
        while input.pass_to_if(&mut batch, &mut judge).unwrap() {
            found.extend(sent(&mut batch));
        }
        assert_eq!(seen, expected);
        assert_eq!(found, behind_ip(&passed));
        assert_eq!(input.statistics().packets, seen.len() as u64);
    }
}

/// Packets that are tiny are more than a batch takes, and their headers more than it has room for.
#[test]
fn what_a_batch_has_no_room_for_is_passed_on_next_time() {
    // TCP's segments have no bound.
    let packet = tcp(3000);
    let header = VnetHeader::default().with_checksum(20, 16).with_segments(GsoType::TcpV4, 1);
    let mut read = [&[0; 10][..], &packet].concat();
    header.write(VnetFormat::default(), &mut read).unwrap();
    for most in [usize::MAX, 5] {
        let (expected, _) = packets(received(&[&plain(1), &read, &plain(2)]));
        let (mut input, mut batch) = (received(&[&plain(1), &read, &plain(2)]), merging());
        let (mut found, mut times, mut judged) = (Vec::new(), 0, 0);
        loop {
            let judge = |_: &mut [u8]| {
                judged += 1;
                judged % 1000 <= most
            };
            if !input.pass_to_if(&mut batch, judge).unwrap() {
                break;
            }
            found.extend(sent(&mut batch));
            times += 1;
        }
        let kept = expected.iter().enumerate().filter(|(index, _)| (index + 1) % 1000 <= most);
        let kept: Vec<_> = kept.map(|(_, packet)| packet.clone()).collect();
        assert_eq!((expected.len(), judged), (3002, 3002));
        assert_eq!((times, found), (if most == 5 { 1 } else { 3 }, behind_ip(&kept)));
    }
}

/// TCP with so much payload, and the sum of its pseudo-header only.
fn tcp(payload: u16) -> Vec<u8> {
    let mut packet = vec![0; 40];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(40 + payload).to_be_bytes());
    (packet[8], packet[9]) = (64, 6);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet[20..24].copy_from_slice(&[0, 1, 0, 2]);
    (packet[32], packet[33]) = (0x50, 0x10);
    // The addresses, the protocol, and the length.
    let pseudo = 0x0a00 + 1 + 0x0a00 + 2 + 6 + 20 + payload;
    packet[36..38].copy_from_slice(&pseudo.to_be_bytes());
    let ip = tunctl_packet::offload::checksum(sum(&packet[..20]));
    packet[10..12].copy_from_slice(&ip);
    packet.resize(40 + usize::from(payload), 0x5a);
    packet
}

#[test]
fn a_batch_with_packets_takes_no_others_and_none_is_lost() {
    let (mut input, mut batch) = (received(&[&large(), &large()]), merging());
    assert!(input.next().is_some());
    assert!(input.pass_to(&mut batch).unwrap());
    let mut calls = 0;
    let stops = |_: &[IoSlice<'_>]| {
        calls += 1;
        if calls == 1 { Ok(0) } else { Err(error(Cause::WouldBlock)) }
    };
    assert!(batch.empty(stops).unwrap_err().is_would_block());
    assert_eq!(batch.len(), 79 - 64, "64 of UDP are one packet");
    let mut more = received(&[&plain(1)]);
    assert_eq!(more.pass_to(&mut batch), Err(BatchFull { length: plain(1).len() }));
    // Others may be added behind them, and taken back.
    batch.push(&plain(2)[10..]).unwrap();
    batch.push(&plain(3)[10..]).unwrap();
    assert!(batch.pop());
    let (all, _) = packets(received(&[&large(), &large()]));
    let expected = [behind_ip(&all[1 + 64..]), vec![plain(2)[30..].to_vec()]].concat();
    assert_eq!(sent(&mut batch), expected);
    assert!(!input.pass_to(&mut batch).unwrap());
    assert!(more.pass_to(&mut batch).unwrap());
    assert!(batch.pop());
    assert!(!batch.pop());
}

#[test]
fn what_is_passed_on_merged_and_refused_is_sent_as_packets() {
    let (mut input, mut batch) = (received(&[&large()]), merging());
    let (expected, _) = packets(received(&[&large()]));
    assert!(input.pass_to(&mut batch).unwrap());
    let mut taken = Vec::new();
    let refuses = |pieces: &[IoSlice<'_>]| {
        let whole = joined(pieces);
        let (header, packet) = VnetHeader::parse(VnetFormat::default(), &whole).unwrap();
        if header.gso_type() != GsoType::None {
            return Err(error(Cause::MalformedPacket));
        }
        taken.push(packet.to_vec());
        Ok(0)
    };
    batch.empty(refuses).unwrap();
    assert_eq!((taken, batch.statistics().refused_merged), (expected, 1));
}

#[test]
fn what_was_lost_is_forgotten_when_other_packets_are_passed_on() {
    let mut batch = merging();
    for _ in 0..3 {
        let mut input = received(&[&large()]);
        assert!(input.pass_to(&mut batch).unwrap());
        assert!(batch.empty(|_| Err(error(Cause::NoBuffers))).unwrap_err().is_packet_lost());
        assert_eq!(batch.lost().len(), 40);
        let mut input = received(&[&large()]);
        assert!(input.pass_to(&mut batch).unwrap());
        assert_eq!(batch.empty(|_| Ok(0)), Ok(1));
        assert!(batch.lost().is_empty());
    }
    assert_eq!((batch.statistics().lost, batch.statistics().packets), (120, 120));
}

#[test]
fn what_a_batch_had_no_room_for_may_be_received_in_any_way() {
    let packet = tcp(3000);
    let header = VnetHeader::default().with_checksum(20, 16).with_segments(GsoType::TcpV4, 1);
    let mut read = [&[0; 10][..], &packet].concat();
    header.write(VnetFormat::default(), &mut read).unwrap();
    let (expected, _) = packets(received(&[&read, &plain(1), &plain(2)]));
    let (mut input, mut batch) = (received(&[&read, &plain(1), &plain(2)]), merging());
    assert!(input.pass_to(&mut batch).unwrap());
    let passed = batch.len();
    for packet in expected.iter().skip(passed).take(10) {
        assert_eq!(input.next(), Some(&packet[..]));
    }
    // What is left of a packet that is being cut is skipped.
    assert_eq!(input.next_large().unwrap().with_headers(), plain(1));
    assert_eq!(sent(&mut batch), behind_ip(&expected[..passed]));
    assert!(input.pass_to(&mut batch).unwrap());
    assert_eq!(sent(&mut batch), [plain(2)[30..].to_vec()]);
    assert_eq!(input.statistics().packets, passed as u64 + 10 + 2);
}
