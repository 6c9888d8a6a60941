//! The inputs for segmentation offload.

use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::{EtherType, ethernet_frame};

use super::{Named, datagram};
use crate::properties::common::tcp;

/// Packets that stand for several, one of each kind.
pub(super) fn large() -> Vec<Named> {
    let behind = |header: VnetHeader, length, packet: &[u8]| {
        let mut bytes = vec![0; VnetLength::bytes(length)];
        header.write(VnetFormat::new(length, Endian::Native), &mut bytes).unwrap();
        bytes.extend(packet);
        bytes
    };
    let of = |gso_type, start, offset, packet: Vec<u8>| {
        let header = VnetHeader::default().with_segments(gso_type, 100).with_checksum(start, offset);
        behind(header, VnetLength::Basic, &packet)
    };
    let in_tunnel = |byte, v6, start| {
        let inner = ethernet_frame([6; 6], [2; 6], EtherType::IPV4, &tcp(false, &[7; 250]));
        let datagram = datagram(v6, 4789, &[&[8, 0, 0, 0, 0, 0, 42, 0][..], &inner].concat());
        let ether_type = if v6 { EtherType::IPV6 } else { EtherType::IPV4 };
        let frame = ethernet_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], ether_type, &datagram);
        let header = VnetHeader::default()
            .with_flags(8)
            .with_gso_byte(byte)
            .with_segments(GsoType::TcpV4, 100)
            .with_checksum(start, 16)
            .with_tunnel_offsets(start - 50, start - 20);
        behind(header, VnetLength::Tunnel, &frame)
    };
    let data = [7; 250];
    let frame = ethernet_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], EtherType::IPV6, &tcp(true, &data));
    vec![
        ("tcp-v4", of(GsoType::TcpV4, 20, 16, tcp(false, &data))),
        ("tcp-v6", of(GsoType::TcpV6, 54, 16, frame)),
        ("udp-v4", of(GsoType::UdpL4, 20, 6, datagram(false, 53, &data))),
        ("udp-v6", of(GsoType::UdpL4, 40, 6, datagram(true, 53, &data))),
        ("tunnel-v4", in_tunnel(0x20, false, 84)),
        ("tunnel-v6", in_tunnel(0x40, true, 104)),
    ]
}

/// Packets of two flows, in turn, each behind its length with the bit for right checksums.
pub(super) fn flows() -> Vec<Named> {
    let batch = |layer, packets: &[Vec<u8>]| {
        let each = packets.iter().map(|packet| {
            let length = u16::try_from(packet.len()).unwrap() | 0x8000;
            [&length.to_le_bytes(), packet.as_slice()].concat()
        });
        core::iter::once(vec![layer]).chain(each).flatten().collect::<Vec<u8>>()
    };
    // The sequence number is behind the ports.
    let segment = |v6: bool, number: u8| {
        let mut packet = tcp(v6, &[number; 20]);
        packet[if v6 { 47 } else { 27 }] = number * 20;
        packet
    };
    let turns = |of: &dyn Fn(bool, u8) -> Vec<u8>| {
        (0..4).flat_map(|number| [of(false, number), of(true, number)]).collect::<Vec<_>>()
    };
    let datagrams = turns(&|v6, number| datagram(v6, 53, &[number; 20]));
    let segments = turns(&segment);
    let framed = |packet: &Vec<u8>| {
        let ether_type = if packet[0] >> 4 == 6 { EtherType::IPV6 } else { EtherType::IPV4 };
        ethernet_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], ether_type, packet)
    };
    vec![
        ("tcp", batch(0, &segments)),
        ("udp", batch(0, &datagrams)),
        ("frames", batch(1, &segments.iter().map(framed).collect::<Vec<_>>())),
        ("mixed", batch(0, &[segments, datagrams, vec![Vec::new(), vec![0x45]]].concat())),
    ]
}
