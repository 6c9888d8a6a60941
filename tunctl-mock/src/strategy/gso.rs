//! Super-segments: packets that are to be cut into many.

use proptest::prelude::*;
use proptest::sample::select;
use tunctl_core::Layer;

use super::frame::around;
use super::ip::{V4Head, V6Head, v4_heads, v6_heads};
use super::message::{ACK, PSH, TCP_OPTIONS, TcpFields, checksum_offset, filler, tcp, tcp_fields, udp};

/// "The checksum is to be completed", in the flags of a virtio-net header.
const NEEDS_CHECKSUM: u8 = 1;

/// What the segments of a super-segment are.
#[doc(alias = "VIRTIO_NET_HDR_GSO")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GsoKind {
    /// TCP in IPv4.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_TCPV4")]
    TcpV4,
    /// TCP in IPv6.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_TCPV6")]
    TcpV6,
    /// UDP, in IPv4 or IPv6.
    #[doc(alias = "VIRTIO_NET_HDR_GSO_UDP_L4")]
    Udp,
}

impl GsoKind {
    /// The number in the virtio-net header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::TcpV4 => 1,
            Self::TcpV6 => 4,
            Self::Udp => 5,
        }
    }
}

/// A TCP or UDP super-segment, and what its virtio-net header says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GsoPacket {
    /// What its segments are.
    pub kind: GsoKind,
    /// How long all headers together are, that of Ethernet included: what each segment gets a copy of, in bytes.
    pub header_length: u16,
    /// How much payload each segment but the last has, in bytes.
    pub segment_size: u16,
    /// Where the TCP or UDP header starts, in bytes from the start of the packet.
    pub checksum_start: u16,
    /// Where its checksum stands, in bytes from there.
    pub checksum_offset: u16,
    /// The packet. The checksum of TCP or UDP covers the pseudo-header only, and is to be completed.
    pub packet: Vec<u8>,
}

impl GsoPacket {
    /// The virtio-net header: 10 bytes, numbers in the byte order of the host.
    #[doc(alias = "struct virtio_net_hdr")]
    #[must_use]
    pub fn header(&self) -> [u8; 10] {
        let mut header = [0; 10];
        header[0] = NEEDS_CHECKSUM;
        header[1] = self.kind.number();
        let numbers = [self.header_length, self.segment_size, self.checksum_start, self.checksum_offset];
        header[2..].copy_from_slice(numbers.map(u16::to_ne_bytes).as_flattened());
        header
    }

    /// The header and the packet: what is written to a device without packet information, or read from it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.header()[..], &self.packet].concat()
    }
}

/// Super-segments of a layer, of two segments at least: with the virtio-net header that a device with such headers has in
/// front of them.
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
        (Transport::Udp(source, destination), _) => (GsoKind::Udp, 8, udp(*source, *destination, payload)),
        (Transport::Tcp(fields, options), head) => {
            let kind = if matches!(head, Head::V4(_)) { GsoKind::TcpV4 } else { GsoKind::TcpV6 };
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
    GsoPacket { kind, header_length, segment_size, checksum_start, checksum_offset, packet }
}
