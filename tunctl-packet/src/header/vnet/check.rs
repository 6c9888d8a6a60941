//! Whether a header fits its packet.

use super::partial::UDP_OFFSET;
use super::{GsoType, VnetHeader};
use crate::ip::TRANSPORT_LENGTH;
use crate::{EtherType, Layer, Packet, ParseError, Protocol};

/// Where the checksum of TCP stands in its header.
const TCP_OFFSET: u16 = 16;
/// The kernel means something else by a segment size of this (`GSO_BY_FRAGS`), and refuses it.
const BY_FRAGMENTS: u16 = 0xffff;

/// Why a virtio-net header doesn't fit the packet behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum GsoMismatch {
    /// The packet is in a UDP tunnel, which is not looked into here.
    #[error("packets in UDP tunnels are not supported")]
    Unsupported,
    /// There is no type of segmentation with this number.
    #[error("there is no type of segmentation {number}")]
    UnknownType {
        /// The number, without the bits beside it.
        number: u8,
    },
    /// Explicit congestion notification goes with TCP alone.
    #[error("explicit congestion notification goes with TCP, not with {gso_type:?}")]
    Ecn {
        /// What the packet is to be cut into.
        gso_type: GsoType,
    },
    /// Segments must have a size, and 65,535 is none.
    #[error("segments cannot have {size} bytes of payload")]
    SegmentSize {
        /// The size that the header states, in bytes.
        size: u16,
    },
    /// What is to be cut could not be decoded.
    #[error("malformed: {0}")]
    Malformed(#[from] ParseError),
    /// What is to be cut is a fragment already.
    #[error("a fragment cannot be cut into segments")]
    Fragment,
    /// Another IP version or transport than the type is for.
    #[error("{protocol} in {ether_type} cannot be cut into {gso_type:?}")]
    Protocol {
        /// What the packet is to be cut into.
        gso_type: GsoType,
        /// What it has for an IP version, or is instead of an IP packet.
        ether_type: EtherType,
        /// What it has for a transport.
        protocol: Protocol,
    },
    /// The header states fewer bytes of headers than the packet has, or more than it has bytes.
    #[error("{stated} bytes of headers are stated, of {headers} in a packet of {length}")]
    HeaderLength {
        /// What the header states, in bytes.
        stated: u16,
        /// The packet's headers, in bytes; 0 where they need not be known.
        headers: usize,
        /// The whole packet, in bytes.
        length: usize,
    },
    /// Each segment will need a checksum, and the header doesn't leave it to the kernel.
    #[error("segments without a checksum left to make")]
    NoChecksum,
    /// The checksum is to be made elsewhere than in the transport's header, or outside of the packet.
    #[error("the checksum belongs {offset} bytes behind byte {start}; {expected}", expected = Expected(*.expected))]
    ChecksumPlace {
        /// Where it is to start.
        start: u16,
        /// How far behind that it is to stand.
        offset: u16,
        /// Where it should be instead, where that is known: start and offset.
        expected: Option<(usize, u16)>,
    },
}

/// Ends the sentence about a misplaced checksum.
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
    /// Whether the header fits the packet behind it, as a device of this layer has it.
    ///
    /// Looked at is, of any packet, that the headers and the checksum it tells of are inside; and of one to
    /// be cut into segments
    ///
    /// - that it is TCP in the IP version of the type, or UDP in either; and no fragment,
    /// - that segments have a size,
    /// - that the length of the headers takes them all in, Ethernet's and TCP options included,
    /// - that the checksum is left to the kernel, at the place where the transport has it,
    /// - that explicit congestion notification goes with TCP.
    ///
    /// That is what virtio asks of a driver (version 1.2, 5.1.6.2.1). Linux lets some of it pass: a shorter
    /// length of headers, which is a hint to it, and TCP segments without a checksum left. Packets in UDP
    /// tunnels are [not supported](GsoMismatch::Unsupported). Lengths inside of the packet and the sum that
    /// stands for the checksum are not looked at.
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
        if self.is_tunneled_v4() || self.is_tunneled_v6() {
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

    /// What holds for any packet: nothing lies outside of it.
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

    /// What holds for a packet that is to be cut.
    fn check_segments(&self, gso_type: GsoType, packet: &Packet<'_>) -> Result<(), GsoMismatch> {
        let (ether_type, protocol) = (packet.ether_type(), packet.protocol());
        let other = GsoMismatch::Protocol { gso_type, ether_type, protocol };
        let ip = packet.ip().ok_or(other)?;
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
