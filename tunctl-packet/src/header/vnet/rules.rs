//! What Linux demands of a virtio-net header in front of a packet that a program sends.

use etherparse::ip_number;

use super::partial::UDP_OFFSET;
use super::{GsoMismatch, GsoType, VnetHeader, VnetLength};
use crate::ip::Ip;
use crate::{EtherType, Layer, Protocol, Truncated};

/// The offset of the checksum in a TCP header.
pub(super) const TCP_OFFSET: u16 = 16;
/// A segment size that has another meaning in the kernel (`GSO_BY_FRAGS`).
pub(super) const BY_FRAGMENTS: u16 = 0xffff;
/// The shortest network headers: IPv4 without options, IPv6 without extension headers.
pub(super) const IPV4_HEADER: u16 = 20;
pub(super) const IPV6_HEADER: u16 = 40;
const TCP_HEADER: u16 = 20;
pub(super) const UDP_HEADER: u16 = 8;
pub(super) const ETHERNET_HEADER: u16 = 14;
/// The kernel stores where a checksum starts in 16 bits, from `NET_SKB_PAD` (64) bytes before the packet on,
/// and reserves the last value (`skb_partial_csum_set`, Linux 6.18 on x86-64).
const LAST_START: u16 = u16::MAX - 1 - 64;

/// What a Linux kernel demands of a virtio-net header before it takes the packet behind it. It refuses
/// other packets with `EINVAL`.
///
/// Up to 6.18, the kernel looks at the header and the packet's length, and does not decode the packet. So a
/// header that passes need not describe its packet, which the kernel may then drop without an error.
/// [`VnetHeader::check`] demands both. Linux 7.3 decodes some packets: [`check_packet`](Self::check_packet).
///
/// ```
/// use tunctl_packet::Layer;
/// use tunctl_packet::header::{GsoMismatch, GsoType, VnetHeader, VnetRules};
///
/// let header = VnetHeader::default().with_segments(GsoType::UdpL4, 1000).with_checksum(20, 6);
/// assert_eq!(VnetRules::LINUX_6_18.check(&header, Layer::Tun, 4028), Ok(()));
/// // Linux 6.1 has no segmentation of UDP.
/// let unknown = Err(GsoMismatch::UnknownType { number: 5 });
/// assert_eq!(VnetRules::LINUX_6_1.check(&header, Layer::Tun, 4028), unknown);
/// ```
///
/// # Platform
///
/// Linux on x86-64; the last byte at which a checksum may start differs between architectures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VnetRules {
    checksum_behind_ip: bool,
    udp_segments: Option<u16>,
    tunnels: bool,
    counts_unread: bool,
    decodes_segments: bool,
}

/// What a type of segmentation implies for the packet.
#[derive(Clone, Copy)]
struct Shape {
    network_header: u16,
    transport_header: u16,
    /// The offset of the checksum in the transport's header, if the kernel looks at it.
    checksum_offset: Option<u16>,
}

impl Shape {
    /// A packet that is not to be segmented, of which the kernel only expects an IP header.
    const PLAIN: Shape = Shape { network_header: IPV4_HEADER, transport_header: 0, checksum_offset: None };
}

impl VnetRules {
    /// The rules of Linux 6.1.
    pub const LINUX_6_1: VnetRules = VnetRules {
        checksum_behind_ip: false,
        udp_segments: None,
        tunnels: false,
        counts_unread: false,
        decodes_segments: false,
    };
    /// The rules of Linux 6.12.
    pub const LINUX_6_12: VnetRules =
        VnetRules { checksum_behind_ip: true, udp_segments: Some(128), ..VnetRules::LINUX_6_1 };
    /// The rules of Linux 6.18, and of 6.17.
    pub const LINUX_6_18: VnetRules =
        VnetRules { tunnels: true, counts_unread: true, ..VnetRules::LINUX_6_12 };
    /// The rules of Linux 7.3.
    pub const LINUX_7_3: VnetRules = VnetRules { decodes_segments: true, ..VnetRules::LINUX_6_18 };

    /// Whether a checksum must start behind an IP header.
    #[must_use]
    pub const fn checksum_behind_ip(&self) -> bool {
        self.checksum_behind_ip
    }

    /// The most segments of a UDP packet; `None` if the kernel does not have that type of segmentation.
    #[must_use]
    #[doc(alias = "UDP_MAX_SEGMENTS")]
    pub const fn udp_segments(&self) -> Option<u16> {
        self.udp_segments
    }

    /// Whether the kernel takes packets to be segmented that are in a UDP tunnel.
    #[must_use]
    #[doc(alias = "TUN_F_UDP_TUNNEL_GSO")]
    pub const fn tunnels(&self) -> bool {
        self.tunnels
    }

    /// By how many bytes the stated length of headers may exceed the packet's length, in a header of this
    /// length.
    ///
    /// Linux 6.18 compares it with all that it has not read yet (`__tun_vnet_hdr_get`). It reads ten bytes of
    /// a header, and the whole one of 24 bytes, so that of one between, the rest counts as packet.
    #[must_use]
    pub const fn excess(&self, length: VnetLength) -> usize {
        match length {
            VnetLength::Buffers | VnetLength::Hash if self.counts_unread => {
                length.bytes() - VnetLength::Basic.bytes()
            }
            _ => 0,
        }
    }

    /// Whether the kernel decodes a packet to be segmented whose checksum is not left to it.
    #[must_use]
    pub const fn decodes_segments(&self) -> bool {
        self.decodes_segments
    }

    /// Checks a header in front of a packet: [`check`](Self::check), and what the kernel looks at in the
    /// packet itself. In a UDP tunnel, that is the version of IP that segments of UDP are in. Where the
    /// kernel [decodes](Self::decodes_segments) the packet, the type of segmentation must be for its
    /// transport.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check); [`GsoMismatch::TunnelPlace`]; [`GsoMismatch::Malformed`];
    /// [`GsoMismatch::Protocol`].
    pub fn check_packet(&self, header: &VnetHeader, layer: Layer, packet: &[u8]) -> Result<(), GsoMismatch> {
        self.check_header_length(header, layer, packet.len())?;
        self.check_contents(header, layer, packet)
    }

    /// The second part of [`check_packet`](Self::check_packet), by itself: what the kernel looks at when it
    /// has a buffer for the packet. The first is [`check_header_length`](Self::check_header_length).
    ///
    /// # Errors
    ///
    /// Those of [`check_packet`](Self::check_packet), but for [`GsoMismatch::HeaderLength`].
    pub fn check_contents(
        &self,
        header: &VnetHeader,
        layer: Layer,
        packet: &[u8],
    ) -> Result<(), GsoMismatch> {
        self.check_rest(header, packet.len())?;
        header.check_inner_version(Layer::Tap, packet)?;
        // The checksum of what is in a tunnel is left to the kernel.
        if !self.decodes_segments || header.gso_byte() == 0 || header.needs_checksum().is_some() {
            return Ok(());
        }
        self.check_transport(header, layer, packet)
    }

    /// The part of `virtio_net_hdr_to_skb` for a packet whose network header is known, as the driver sets it
    /// in Linux 7.3: `dev_parse_header_protocol`, then `skb_flow_dissect_flow_keys_basic`. A frame with VLAN
    /// tags has another type than IP there.
    fn check_transport(&self, header: &VnetHeader, layer: Layer, packet: &[u8]) -> Result<(), GsoMismatch> {
        let network = match layer {
            Layer::Tun => 0,
            Layer::Tap => usize::from(ETHERNET_HEADER),
        };
        let inner = packet.get(network..).unwrap_or_default();
        let ip = Ip::parse(inner)?;
        let is_v4 = ip.source.is_ipv4();
        // Of an IPv4 packet, the kernel heeds no other length than this one.
        let headers = match inner.first() {
            Some(first) if is_v4 => usize::from(first & 0x0f) * 4,
            _ => ip.upper_offset,
        };
        let by_version = if is_v4 { EtherType::IPV4 } else { EtherType::IPV6 };
        let ether_type = match (layer, packet) {
            (Layer::Tap, [_, _, _, _, _, _, _, _, _, _, _, _, high, low, ..]) => {
                EtherType::from(u16::from_be_bytes([*high, *low]))
            }
            _ => by_version,
        };
        let gso_type = header.gso_type();
        let is_of_type = match gso_type {
            GsoType::TcpV4 => is_v4 && ip.number == ip_number::TCP,
            GsoType::TcpV6 => !is_v4 && ip.number == ip_number::TCP,
            _ => ip.number == ip_number::UDP,
        };
        if !is_of_type || ether_type != by_version || headers < IPV4_HEADER.into() {
            let protocol = Protocol::of_ip(ip.number.0, is_v4);
            return Err(GsoMismatch::Protocol { gso_type, ether_type, protocol });
        }
        let need = network + headers + usize::from(self.shape(header)?.transport_header);
        let have = packet.len();
        if have < need { Err(Truncated { need, have }.into()) } else { Ok(()) }
    }

    /// Checks a header in front of a packet of `length` bytes, as `__tun_vnet_hdr_get` and
    /// `__virtio_net_hdr_to_skb` do.
    ///
    /// A header of less than 24 bytes has no fields for a UDP tunnel, whose offsets are then 0: a type that
    /// says so is refused. One of 12 or 20 bytes may state a [longer](Self::excess) length of headers.
    ///
    /// # Errors
    ///
    /// [`GsoMismatch`], by cause.
    pub fn check(&self, header: &VnetHeader, layer: Layer, length: usize) -> Result<(), GsoMismatch> {
        self.check_header_length(header, layer, length)?;
        self.check_rest(header, length)
    }

    /// What is left of [`check`](Self::check) behind the length of headers.
    fn check_rest(&self, header: &VnetHeader, length: usize) -> Result<(), GsoMismatch> {
        if header.is_tunneled() && !self.tunnels {
            return Err(GsoMismatch::Unsupported);
        }
        header.check_tunnel(Layer::Tap)?;
        let shape = self.shape(header)?;
        let least_start = if self.checksum_behind_ip { shape.network_header } else { 0 };
        let start = match header.needs_checksum() {
            Some((start, offset)) => {
                let end = usize::from(start) + usize::from(offset) + 2;
                if end > length {
                    return Err(GsoMismatch::ChecksumPlace { start, offset, expected: None });
                }
                if !(least_start..=LAST_START).contains(&start) {
                    return Err(GsoMismatch::ChecksumStart { start, least: least_start, most: LAST_START });
                }
                start
            }
            None => least_start,
        };
        if header.gso_byte() == 0 {
            return Ok(());
        }
        let need = usize::from(start) + usize::from(shape.transport_header);
        let have = length;
        let payload = have.checked_sub(need).ok_or(Truncated { need, have })?;
        self.check_segments(header, shape, payload)
    }

    /// The first part of [`check`](Self::check), by itself: that the headers are inside of the packet, and on
    /// a tap not inside of Ethernet's (`__tun_vnet_hdr_get`, `tun_get_user`). The kernel looks at the rest
    /// when it has a buffer for the packet.
    ///
    /// # Errors
    ///
    /// [`GsoMismatch::HeaderLength`]; [`GsoMismatch::ChecksumPlace`].
    pub fn check_header_length(
        &self,
        header: &VnetHeader,
        layer: Layer,
        length: usize,
    ) -> Result<(), GsoMismatch> {
        let stated = header.header_length();
        let headers = match header.needs_checksum() {
            None => stated,
            // The checksum belongs to the headers. Linux 6.18 adds these up in 32 bits and keeps 16 of them.
            Some((start, offset)) => match start.checked_add(offset).and_then(|end| end.checked_add(2)) {
                Some(end) if usize::from(end) > length => {
                    return Err(GsoMismatch::ChecksumPlace { start, offset, expected: None });
                }
                Some(end) => end.max(stated),
                None => start.wrapping_add(offset).wrapping_add(2),
            },
        };
        if usize::from(headers) > length {
            return Err(GsoMismatch::HeaderLength { stated, headers: 0, length });
        }
        if layer == Layer::Tap && (1..ETHERNET_HEADER).contains(&headers) {
            return Err(GsoMismatch::HeaderLength {
                stated: headers,
                headers: ETHERNET_HEADER.into(),
                length,
            });
        }
        Ok(())
    }

    /// Which packet the type of segmentation is for.
    fn shape(&self, header: &VnetHeader) -> Result<Shape, GsoMismatch> {
        let gso_type = header.gso_type();
        let tcp = |network_header| Shape {
            network_header,
            transport_header: TCP_HEADER,
            checksum_offset: Some(TCP_OFFSET),
        };
        let udp = |checksum_offset| Shape {
            network_header: IPV4_HEADER,
            transport_header: UDP_HEADER,
            checksum_offset,
        };
        match gso_type {
            _ if header.gso_byte() == 0 => Ok(Shape::PLAIN),
            GsoType::TcpV4 => Ok(tcp(IPV4_HEADER)),
            GsoType::TcpV6 => Ok(tcp(IPV6_HEADER)),
            GsoType::Udp => Ok(udp(None)),
            GsoType::UdpL4 if self.udp_segments.is_none() => {
                Err(GsoMismatch::UnknownType { number: gso_type.number() })
            }
            GsoType::UdpL4 if !header.has_ecn() => Ok(udp(Some(UDP_OFFSET))),
            GsoType::None | GsoType::UdpL4 => Err(GsoMismatch::Ecn { gso_type }),
            GsoType::Other(number) => Err(GsoMismatch::UnknownType { number }),
        }
    }

    /// Checks a header in front of a packet to be segmented, with this many bytes behind the shortest
    /// headers that the packet can have.
    fn check_segments(&self, header: &VnetHeader, shape: Shape, payload: usize) -> Result<(), GsoMismatch> {
        let (gso_type, size) = (header.gso_type(), header.segment_size());
        if matches!(size, 0 | BY_FRAGMENTS) {
            return Err(GsoMismatch::SegmentSize { size });
        }
        match (header.needs_checksum(), shape.checksum_offset) {
            (Some((_, offset)), Some(expected)) if offset != expected => {
                return Err(GsoMismatch::ChecksumOffset { gso_type, offset, expected });
            }
            (None, _) if gso_type == GsoType::UdpL4 => return Err(GsoMismatch::NoChecksum),
            _ => {}
        }
        match self.udp_segments {
            Some(most) if gso_type == GsoType::UdpL4 && payload > usize::from(size) * usize::from(most) => {
                let segments = payload.div_ceil(usize::from(size));
                Err(GsoMismatch::SegmentCount { segments, most: most.into() })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
