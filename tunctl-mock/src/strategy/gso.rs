//! Super-segments: packets that are to be cut into many.

use proptest::prelude::*;
use proptest::sample::select;
use tunctl_core::Layer;
use tunctl_packet::header::{GsoType, VnetFormat, VnetHeader};

use super::frame::around;
use super::ip::{V4Head, V6Head, v4_heads, v6_heads};
use super::message::{ACK, PSH, TCP_OPTIONS, TcpFields, checksum_offset, filler, tcp, tcp_fields, udp};

/// A TCP or UDP super-segment, and what its virtio-net header says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GsoPacket {
    /// What its segments are, how much payload each but the last has, how long all headers together are, that
    /// of Ethernet included, and where the checksum of TCP or UDP is to be completed.
    pub header: VnetHeader,
    /// The packet. The checksum of TCP or UDP covers the pseudo-header only.
    pub packet: Vec<u8>,
}

impl GsoPacket {
    /// The header, in 10 bytes of the host's order, and the packet: what is written to a device without
    /// packet information, or read from it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let format = VnetFormat::default();
        let mut bytes = vec![0; format.length.bytes()];
        // There is room, by the line above.
        let _ = self.header.write(format, &mut bytes);
        bytes.extend_from_slice(&self.packet);
        bytes
    }
}

/// Super-segments of a layer, of two segments at least: with the virtio-net header that a device with such
/// headers has in front of them.
///
/// There are neither IPv4 options nor IPv6 extension headers, as in those that kernels make.
pub fn gso_packets(layer: Layer) -> impl Strategy<Value = GsoPacket> {
    let tcp = (tcp_fields(), select(&TCP_OPTIONS[..]));
    let udp = (1..=u16::MAX, 1..=u16::MAX);
    let transport = prop_oneof![
        2 => tcp.prop_map(|(fields, options)| Transport::Tcp(fields, options)),
        1 => udp.prop_map(|(source, destination)| Transport::Udp(source, destination)),
    ];
    // What a segment has, how many there are, and what the last one has.
    let sizes = (100..=1400_u16, 2..=40_usize, 1..=1400_u16);
    (any::<bool>(), v4_heads(), v6_heads(), transport, sizes, any::<u8>())
        .prop_map(move |(is_v4, v4, v6, transport, (size, segments, last), first_byte)| {
            let length = usize::from(size) * (segments - 1) + usize::from(last.min(size));
            let head = if is_v4 { Head::V4(v4.without_options()) } else { Head::V6(v6.without_extensions()) };
            super_segment(layer, head, &transport, size, &filler(length, first_byte))
        })
        .boxed()
}

#[derive(Clone, Debug)]
enum Transport {
    Tcp(TcpFields, &'static [u8]),
    Udp(u16, u16),
}

enum Head {
    V4(V4Head),
    V6(V6Head),
}

fn super_segment(
    layer: Layer,
    head: Head,
    transport: &Transport,
    segment_size: u16,
    payload: &[u8],
) -> GsoPacket {
    let (kind, header, message) = match (transport, &head) {
        (Transport::Udp(source, destination), _) => (GsoType::UdpL4, 8, udp(*source, *destination, payload)),
        (Transport::Tcp(fields, options), head) => {
            let kind = if matches!(head, Head::V4(_)) { GsoType::TcpV4 } else { GsoType::TcpV6 };
            (kind, 20 + options.len(), tcp(fields, ACK | PSH, options, payload))
        }
    };
    let checksum_offset = checksum_offset(message.number()).unwrap_or_default();
    let (ip_header, packet) = match head {
        Head::V4(head) => (20, head.packet(message.left_open())),
        Head::V6(head) => (40, head.packet(message.left_open())),
    };
    let (link_header, packet) = match layer {
        Layer::Tun => (0, packet),
        Layer::Tap => (14, around(packet)),
    };
    let [header_length, checksum_start, checksum_offset] =
        [link_header + ip_header + header, link_header + ip_header, checksum_offset]
            .map(|length| u16::try_from(length).unwrap_or(u16::MAX));
    let header = VnetHeader::default()
        .with_segments(kind, segment_size)
        .with_header_length(header_length)
        .with_checksum(checksum_start, checksum_offset);
    GsoPacket { header, packet }
}
