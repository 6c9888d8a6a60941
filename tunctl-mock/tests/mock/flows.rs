//! Packets of a flow, and one packet that stands for them.

use etherparse::{IpHeaders, IpNumber, Ipv4Header, Ipv6Header, PacketBuilder};
use tunctl_core::{Layer, Offloads};
use tunctl_packet::ethernet_frame;
use tunctl_packet::header::{EtherType, GsoType, VnetHeader};
use tunctl_packet::offload::{Coalescer, checksum, sum};

/// The kinds of packets of which several become one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    is_v6: bool,
    pub(crate) is_tcp: bool,
}

pub(crate) const TCP_V4: Kind = Kind { is_v6: false, is_tcp: true };
pub(crate) const TCP_V6: Kind = Kind { is_v6: true, is_tcp: true };
pub(crate) const UDP_V4: Kind = Kind { is_v6: false, is_tcp: false };
const UDP_V6: Kind = Kind { is_v6: true, is_tcp: false };
pub(crate) const KINDS: [Kind; 4] = [TCP_V4, TCP_V6, UDP_V4, UDP_V6];

impl Kind {
    pub(crate) const fn gso_type(self) -> GsoType {
        match (self.is_tcp, self.is_v6) {
            (true, false) => GsoType::TcpV4,
            (true, true) => GsoType::TcpV6,
            (false, _) => GsoType::UdpL4,
        }
    }

    pub(crate) const fn offloads(self) -> Offloads {
        match (self.is_tcp, self.is_v6) {
            (true, false) => Offloads::TSO4,
            (true, true) => Offloads::TSO6,
            (false, _) => Offloads::USO,
        }
    }

    /// Packets of one flow that follow one another, with this much payload each.
    pub(crate) fn flow(self, layer: Layer, count: u16, payload: u16) -> Vec<Vec<u8>> {
        (0..count).map(|index| self.packet(layer, index, payload)).collect()
    }

    pub(crate) fn packet(self, layer: Layer, index: u16, length: u16) -> Vec<u8> {
        let payload = vec![index.to_le_bytes()[0]; length.into()];
        let number = if self.is_tcp { IpNumber::TCP } else { IpNumber::UDP };
        let headers = if self.is_v6 {
            let (mut source, mut destination) = ([0; 16], [0; 16]);
            (source[15], destination[15]) = (1, 2);
            let header = Ipv6Header { source, destination, hop_limit: 64, ..Ipv6Header::default() };
            IpHeaders::Ipv6(header, etherparse::Ipv6Extensions::default())
        } else {
            let mut header = Ipv4Header::new(0, 64, number, [10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
            header.identification = index;
            IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
        };
        let builder = PacketBuilder::ip(headers);
        let packet = if self.is_tcp {
            let sequence = u32::from(index) * u32::from(length);
            let step = builder.tcp(4000, 80, sequence, 500).ack(7);
            let mut packet = vec![0; step.size(payload.len())];
            step.write_to_slice(&mut packet, &payload).unwrap();
            packet
        } else {
            let step = builder.udp(4000, 53);
            let mut packet = vec![0; step.size(payload.len())];
            step.write_to_slice(&mut packet, &payload).unwrap();
            packet
        };
        match layer {
            Layer::Tun => packet,
            Layer::Tap => {
                let ether_type = if self.is_v6 { EtherType::IPV6 } else { EtherType::IPV4 };
                ethernet_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], ether_type, &packet)
            }
        }
    }
}

/// One packet that stands for all these.
pub(crate) fn merged(layer: Layer, packets: &[Vec<u8>]) -> (VnetHeader, Vec<u8>) {
    let mut arena = Vec::new();
    let mut ranges = Vec::new();
    for packet in packets {
        ranges.push((arena.len()..arena.len() + packet.len()).into());
        arena.extend_from_slice(packet);
    }
    let mut coalescer = Coalescer::new(layer, 1);
    let mut batch = coalescer.merge(&mut arena, &ranges, sum);
    let merged = batch.next().unwrap();
    assert_eq!(merged.packets(), packets.len());
    (merged.header(), merged.pieces().flatten().copied().collect())
}

/// A packet of a tun that has the sum of its pseudo-header only, and the header that says so.
pub(crate) fn unfinished(whole: &[u8]) -> (VnetHeader, Vec<u8>) {
    let mut open = whole.to_vec();
    let (addresses, start, protocol) =
        if whole[0] >> 4 == 4 { (12..20, 20, whole[9]) } else { (8..40, 40, whole[6]) };
    let length = u32::try_from(whole.len() - usize::from(start)).unwrap().to_be_bytes();
    let offset = if protocol == 6 { 16 } else { 6 };
    let place = usize::from(start + offset);
    let pseudo = sum(&whole[addresses]) + sum(&length) + sum(&[0, protocol]);
    open[place..place + 2].copy_from_slice(&checksum(pseudo).map(|byte| !byte));
    (VnetHeader::default().with_checksum(start, offset), open)
}
