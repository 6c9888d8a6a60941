//! What Linux demands of a virtio-net header in front of a packet that a program sends.

use etherparse::ip_number;

use super::partial::UDP_OFFSET;
use super::{GsoMismatch, GsoType, VnetHeader, VnetLength, tunnel};
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
        if header.is_tunneled() {
            return tunnel::check_inner_version(header, packet);
        }
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
        if header.is_tunneled() {
            if !self.tunnels {
                return Err(GsoMismatch::Unsupported);
            }
            tunnel::check(header)?;
        }
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
mod tests {
    use alloc::string::ToString;

    use super::*;

    fn checksum(start: u16, offset: u16) -> VnetHeader {
        VnetHeader::default().with_checksum(start, offset)
    }

    fn verdict(header: VnetHeader, length: usize) -> Result<(), GsoMismatch> {
        VnetRules::LINUX_6_18.check(&header, Layer::Tun, length)
    }

    /// The wrap shows on a tap alone, where the end of the headers must not be inside of Ethernet's.
    #[test]
    fn the_end_of_the_headers_wraps_as_in_the_kernel() {
        for (offset, wrapped) in [(65_515, 1), (65_526, 12), (65_527, 13)] {
            let header = checksum(20, offset);
            let error = GsoMismatch::HeaderLength { stated: wrapped, headers: 14, length: 140_000 };
            assert_eq!(VnetRules::LINUX_6_18.check(&header, Layer::Tap, 140_000), Err(error));
            assert_eq!(verdict(header, 140_000), Ok(()));
        }
        for offset in [65_513, 65_514, 65_528] {
            assert_eq!(VnetRules::LINUX_6_18.check(&checksum(20, offset), Layer::Tap, 140_000), Ok(()));
        }
    }

    #[test]
    fn a_checksum_starts_where_the_kernel_can_say_so() {
        let start = |start| GsoMismatch::ChecksumStart { start, least: 20, most: 65_470 };
        for (at, expected) in
            [(19, Err(start(19))), (20, Ok(())), (65_470, Ok(())), (65_471, Err(start(65_471)))]
        {
            assert_eq!(verdict(checksum(at, 0), 70_000), expected);
        }
        assert_eq!(VnetRules::LINUX_6_1.check(&checksum(0, 0), Layer::Tun, 20), Ok(()));
        assert_eq!(
            verdict(checksum(19, 0), 70_000).unwrap_err().to_string(),
            "the checksum starts at byte 19; the kernel takes 20 to 65470"
        );
    }

    #[test]
    fn udp_has_no_more_segments_than_the_kernel_makes() {
        let header = checksum(20, 6).with_segments(GsoType::UdpL4, 100);
        assert_eq!(verdict(header, 28 + 12_800), Ok(()));
        let error = GsoMismatch::SegmentCount { segments: 129, most: 128 };
        assert_eq!(verdict(header, 28 + 12_801), Err(error));
        assert_eq!(
            error.to_string(),
            "129 segments are too many: the kernel makes 128 of a UDP packet at most"
        );
        let tcp = checksum(20, 16).with_segments(GsoType::TcpV4, 1);
        assert_eq!(verdict(tcp, 65_000), Ok(()));
    }

    #[test]
    fn the_checksum_of_segments_stands_where_the_transport_has_it() {
        for (gso_type, start, expected) in
            [(GsoType::TcpV4, 20, 16), (GsoType::TcpV6, 40, 16), (GsoType::UdpL4, 20, 6)]
        {
            let header = |offset| checksum(start, offset).with_segments(gso_type, 1000);
            assert_eq!(verdict(header(expected), 4000), Ok(()));
            for offset in [0, expected - 2, expected + 2] {
                let error = GsoMismatch::ChecksumOffset { gso_type, offset, expected };
                assert_eq!(verdict(header(offset), 4000), Err(error));
            }
        }
        let error = GsoMismatch::ChecksumOffset { gso_type: GsoType::TcpV4, offset: 6, expected: 16 };
        assert_eq!(error.to_string(), "TcpV4 has its checksum 16 bytes behind its start, not 6");
        let fragments = checksum(20, 0).with_segments(GsoType::Udp, 1000);
        assert_eq!(verdict(fragments, 4000), Ok(()));
    }

    #[test]
    fn a_packet_whose_checksum_is_not_left_to_the_kernel_is_decoded_since_7_3() {
        let header = |gso_type| VnetHeader::default().with_segments(gso_type, 10);
        let mut tcp = [0; 60];
        (tcp[0], tcp[9]) = (0x45, 6);
        let mut udp = tcp;
        udp[9] = 17;
        let mut tcp6 = [0; 80];
        (tcp6[0], tcp6[6]) = (0x60, 6);
        let rows: [(GsoType, &[u8], bool); 7] = [
            (GsoType::TcpV4, &tcp, true),
            (GsoType::TcpV4, &tcp[..40], true),
            (GsoType::TcpV4, &udp, false),
            (GsoType::TcpV4, &tcp6, false),
            (GsoType::TcpV6, &tcp6, true),
            (GsoType::Udp, &udp, true),
            (GsoType::Udp, &tcp, false),
        ];
        for (gso_type, packet, fits) in rows {
            let check = |rules: VnetRules, packet: &[u8]| {
                rules.check_packet(&header(gso_type), Layer::Tun, packet).is_ok()
            };
            assert!(check(VnetRules::LINUX_6_18, packet), "{gso_type:?}");
            assert_eq!(check(VnetRules::LINUX_7_3, packet), fits, "{gso_type:?}");
            let framed = |ether_type: u16| {
                let frame = [&[0; 12][..], &ether_type.to_be_bytes(), packet].concat();
                VnetRules::LINUX_7_3.check_packet(&header(gso_type), Layer::Tap, &frame).is_ok()
            };
            let of_its_version = if packet[0] == 0x45 { 0x0800 } else { 0x86dd };
            assert_eq!(framed(of_its_version), fits, "{gso_type:?}");
            assert!(!framed(0x8100) && !framed(0x88b5));
        }
        // Headers that end early: with IPv4 options, and behind Ethernet's.
        let mut options = tcp;
        for first in [0x4b, 0x44] {
            options[0] = first;
            let check = VnetRules::LINUX_7_3.check_packet(&header(GsoType::TcpV4), Layer::Tun, &options);
            assert!(check.is_err(), "{first:#x}");
        }
        let frame = [&[0; 12][..], &[8, 0], &tcp[..39]].concat();
        let short = VnetRules::LINUX_7_3.check_packet(&header(GsoType::TcpV4), Layer::Tap, &frame);
        assert_eq!(short, Err(Truncated { need: 54, have: 53 }.into()));
        // A checksum says where the transport is.
        let header = header(GsoType::TcpV4).with_checksum(20, 16);
        assert_eq!(VnetRules::LINUX_7_3.check_packet(&header, Layer::Tun, &udp), Ok(()));
    }

    #[test]
    fn segments_have_their_shortest_headers() {
        for (gso_type, need) in [(GsoType::TcpV4, 40), (GsoType::TcpV6, 60), (GsoType::Udp, 28)] {
            let header = VnetHeader::default().with_segments(gso_type, 1000);
            assert_eq!(verdict(header, need), Ok(()));
            let have = need - 1;
            assert_eq!(verdict(header, have), Err(Truncated { need, have }.into()));
        }
        let header = VnetHeader::default().with_segments(GsoType::UdpL4, 1000);
        assert_eq!(verdict(header, 28), Err(GsoMismatch::NoChecksum));
    }
}
