//! The check that a virtio-net header fits its packet.

use super::partial::UDP_OFFSET;
use super::rules::{BY_FRAGMENTS, TCP_OFFSET};
use super::{GsoType, VnetHeader, VnetRules};
use crate::ip::TRANSPORT_LENGTH;
use crate::{EtherType, Layer, Packet, ParseError, Protocol, Truncated};

/// The reason why a virtio-net header does not fit the packet behind it, or why the kernel refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GsoMismatch {
    /// The packet is in a UDP tunnel, which this check does not decode or the kernel does not know, in a
    /// PPPoE session or behind MPLS labels.
    #[error("packets in tunnels are not supported")]
    Unsupported,
    /// The UDP tunnel is stated to be over IPv4 and over IPv6.
    #[error("a tunnel is over IPv4 or over IPv6, not over both")]
    TwoTunnels,
    /// The kernel takes no packets of this type in a UDP tunnel.
    #[error("{gso_type:?} does not go through a tunnel")]
    TunnelType {
        /// The type of segmentation.
        gso_type: GsoType,
    },
    /// There is no room for the headers of a UDP tunnel between the stated offsets.
    #[error(
        "the headers of a tunnel do not begin at the bytes {outer_transport}, {inner_network} and {checksum_start}"
    )]
    TunnelPlace {
        /// The offset of the outer transport's header.
        outer_transport: u16,
        /// The offset of the inner network's header.
        inner_network: u16,
        /// The offset of the inner transport's header, where the checksum starts.
        checksum_start: u16,
    },
    /// There is no type of segmentation with this number.
    #[error("there is no type of segmentation {number}")]
    UnknownType {
        /// The number, without the bits beside it.
        number: u8,
    },
    /// Explicit congestion notification is set, but not for TCP.
    #[error("explicit congestion notification goes with TCP, not with {gso_type:?}")]
    Ecn {
        /// The type of segmentation.
        gso_type: GsoType,
    },
    /// The segment size is 0 or 65,535, neither of which is valid.
    #[error("segments cannot have {size} bytes of payload")]
    SegmentSize {
        /// The stated size, in bytes.
        size: u16,
    },
    /// The kernel does not make that many segments of a UDP packet.
    #[error("{segments} segments are too many: the kernel makes {most} of a UDP packet at most")]
    SegmentCount {
        /// The number of segments into which the packet would be cut.
        segments: usize,
        /// The most that the kernel makes.
        most: usize,
    },
    /// The packet to be segmented could not be decoded.
    #[error("malformed: {0}")]
    Malformed(#[from] ParseError),
    /// The packet to be segmented is a fragment.
    #[error("a fragment cannot be cut into segments")]
    Fragment,
    /// The type of segmentation is for another IP version or transport.
    #[error("{protocol} in {ether_type} cannot be cut into {gso_type:?}")]
    Protocol {
        /// The type of segmentation.
        gso_type: GsoType,
        /// The packet's IP version, or its type if it is not an IP packet.
        ether_type: EtherType,
        /// The packet's transport.
        protocol: Protocol,
    },
    /// The stated length of headers is less than that of the packet's headers, or more than the packet's
    /// length.
    #[error("{stated} bytes of headers are stated, of {headers} in a packet of {length}")]
    HeaderLength {
        /// The stated length of headers, in bytes.
        stated: u16,
        /// The length of the packet's headers, in bytes; 0 if the check does not depend on it.
        headers: usize,
        /// The packet's length, in bytes.
        length: usize,
    },
    /// Each segment needs a checksum, and the header does not leave it to the kernel.
    #[error("segments need a checksum, and the header leaves none to the kernel")]
    NoChecksum,
    /// The checksum's place is outside of the packet, or not where the transport has its checksum.
    #[error(
        "the checksum belongs {offset} bytes behind byte {start}; {expected}",
        expected = Expected(*.expected)
    )]
    ChecksumPlace {
        /// The offset of the first byte that the checksum covers.
        start: u16,
        /// The offset of the checksum behind `start`.
        offset: u16,
        /// The expected start and offset, if they are known.
        expected: Option<(usize, u16)>,
    },
    /// The kernel takes no checksum that starts there: it is within the network header, or too far behind.
    #[error("the checksum starts at byte {start}; the kernel takes {least} to {most}")]
    ChecksumStart {
        /// The offset of the first byte that the checksum covers.
        start: u16,
        /// The first offset that the kernel takes.
        least: u16,
        /// The last offset that the kernel takes.
        most: u16,
    },
    /// The checksum of segments is not where their transport has its checksum.
    #[error("{gso_type:?} has its checksum {expected} bytes behind its start, not {offset}")]
    ChecksumOffset {
        /// The type of segmentation.
        gso_type: GsoType,
        /// The stated offset of the checksum behind its start, in bytes.
        offset: u16,
        /// The offset that the transport has, in bytes.
        expected: u16,
    },
}

impl From<Truncated> for GsoMismatch {
    fn from(truncated: Truncated) -> GsoMismatch {
        GsoMismatch::Malformed(truncated.into())
    }
}

/// The end of the message about a misplaced checksum.
struct Expected(Option<(usize, u16)>);

impl core::fmt::Display for Expected {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some((start, offset)) => write!(f, "the transport's is {offset} behind byte {start}"),
            None => f.write_str("there the packet has ended"),
        }
    }
}

impl VnetHeader {
    /// Checks that the header fits the packet behind it, on a device of this layer, and that Linux 6.18
    /// takes it.
    ///
    /// The kernel's demands are [`VnetRules::LINUX_6_18`]. Beyond these, for a packet to be segmented,
    ///
    /// - the packet is TCP in the IP version of the type, or UDP in either version, and not a fragment,
    /// - the segments have a size,
    /// - the stated length covers all headers, including Ethernet's and TCP options,
    /// - the checksum is left to the kernel, at its place in the transport's header,
    /// - explicit congestion notification is set for TCP only.
    ///
    /// Virtio requires this of a driver (version 1.2, 5.1.6.2.1). Linux also takes a shorter length of
    /// headers, which it uses as a hint, TCP segments whose checksum is not left to it, and headers that
    /// describe another packet, which it then drops without an error. Packets in UDP tunnels are
    /// [not supported](GsoMismatch::Unsupported). The check ignores length fields within the packet, unless
    /// one contradicts its own header, and the sum of the pseudo-header.
    ///
    /// ```
    /// use tunctl_packet::header::{GsoMismatch, GsoType, VnetHeader};
    /// use tunctl_packet::{Layer, udp_packet};
    ///
    /// let packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, &[0; 4000])?;
    /// let header = VnetHeader::default().with_header_length(28).with_checksum(20, 6);
    /// assert_eq!(header.with_segments(GsoType::UdpL4, 1000).check(Layer::Tun, &packet), Ok(()));
    /// assert_eq!(
    ///     header.with_segments(GsoType::UdpL4, 0).check(Layer::Tun, &packet),
    ///     Err(GsoMismatch::SegmentSize { size: 0 }),
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`GsoMismatch`], by cause.
    #[doc(alias = "virtio_net_hdr_to_skb")]
    pub fn check(&self, layer: Layer, packet: &[u8]) -> Result<(), GsoMismatch> {
        // First what the packet says: its reasons are more precise than the kernel's.
        self.check_description(layer, packet)?;
        VnetRules::LINUX_6_18.check(self, layer, packet.len())
    }

    /// Checks that the header describes the packet.
    fn check_description(&self, layer: Layer, packet: &[u8]) -> Result<(), GsoMismatch> {
        if self.is_tunneled() {
            return Err(GsoMismatch::Unsupported);
        }
        self.check_bounds(packet.len())?;
        let gso_type = self.gso_type();
        match gso_type {
            GsoType::Other(number) => return Err(GsoMismatch::UnknownType { number }),
            GsoType::TcpV4 | GsoType::TcpV6 => {}
            _ if self.has_ecn() => return Err(GsoMismatch::Ecn { gso_type }),
            GsoType::None => return Ok(()),
            GsoType::Udp | GsoType::UdpL4 => {}
        }
        if let size @ (0 | BY_FRAGMENTS) = self.segment_size() {
            return Err(GsoMismatch::SegmentSize { size });
        }
        let packet = Packet::parse(layer, packet)?;
        self.check_segments(gso_type, &packet)
    }

    /// Checks any packet: headers and checksum are inside of it.
    fn check_bounds(&self, length: usize) -> Result<(), GsoMismatch> {
        let stated = self.header_length();
        if usize::from(stated) > length {
            return Err(GsoMismatch::HeaderLength { stated, headers: 0, length });
        }
        match self.needs_checksum() {
            Some((start, offset)) if usize::from(start) + usize::from(offset) + 2 > length => {
                Err(GsoMismatch::ChecksumPlace { start, offset, expected: None })
            }
            _ => Ok(()),
        }
    }

    /// Checks a packet to be segmented.
    fn check_segments(&self, gso_type: GsoType, packet: &Packet<'_>) -> Result<(), GsoMismatch> {
        let (ether_type, protocol) = (packet.ether_type(), packet.protocol());
        let other = GsoMismatch::Protocol { gso_type, ether_type, protocol };
        let ip = packet.ip().ok_or(other)?;
        if packet.is_in_tunnel() {
            return Err(GsoMismatch::Unsupported);
        }
        let expected_offset = match (gso_type, protocol) {
            (GsoType::TcpV4, Protocol::Tcp) if ip.source.is_ipv4() => TCP_OFFSET,
            (GsoType::TcpV6, Protocol::Tcp) if ip.source.is_ipv6() => TCP_OFFSET,
            (GsoType::Udp | GsoType::UdpL4, Protocol::Udp) => UDP_OFFSET,
            _ => return Err(other),
        };
        if packet.is_fragment() {
            return Err(GsoMismatch::Fragment);
        }
        let header = match protocol {
            Protocol::Tcp => ip.tcp_header(),
            _ => ip.leading(TRANSPORT_LENGTH),
        }
        .map_err(|error| error.behind(packet.network_offset()))?;
        let transport = packet.network_offset() + ip.upper_offset;
        let (stated, headers, length) = (self.header_length(), transport + header.len(), packet.len());
        if usize::from(stated) < headers {
            return Err(GsoMismatch::HeaderLength { stated, headers, length });
        }
        match self.needs_checksum() {
            None => Err(GsoMismatch::NoChecksum),
            Some((start, offset)) if (usize::from(start), offset) != (transport, expected_offset) => {
                let expected = Some((transport, expected_offset));
                Err(GsoMismatch::ChecksumPlace { start, offset, expected })
            }
            Some(_) => Ok(()),
        }
    }
}
