//! The virtio-net header.

mod check;
mod format;
mod gso;
mod partial;
mod rules;
mod tunnel;

pub use self::check::GsoMismatch;
pub use self::format::{Endian, VnetFormat, VnetLength};
pub use self::gso::GsoType;
pub use self::partial::ChecksumError;
pub use self::rules::VnetRules;
use super::Truncated;

/// The checksum is incomplete: the receiver computes it from the offset in the header.
const NEEDS_CHECKSUM: u8 = 1;
/// The checksum was verified.
const DATA_VALID: u8 = 2;
/// The checksum's fields describe coalesced segments instead.
const COALESCED: u8 = 4;
/// The outer checksum of a UDP tunnel is incomplete, too.
const TUNNEL_CHECKSUM: u8 = 8;

/// The virtio-net header in front of each packet of a device opened with `IFF_VNET_HDR`. It describes an
/// offloaded checksum, and the segments that a large packet stands for.
///
/// It has one of four lengths ([`VnetLength`]), and a byte order ([`Endian`]). Both are properties of the
/// device, and not in the header. [Packet information](super::PacketInfo) comes in front of it.
///
/// | bytes | C name | here |
/// |---|---|---|
/// | 0 | `flags` | [`needs_checksum`](Self::needs_checksum), [`is_data_valid`](Self::is_data_valid), |
/// | | | [`has_coalescing_information`](Self::has_coalescing_information), |
/// | | | [`needs_tunnel_checksum`](Self::needs_tunnel_checksum) |
/// | 1 | `gso_type` | [`gso_type`](Self::gso_type), [`has_ecn`](Self::has_ecn), |
/// | | | [`is_tunneled_v4`](Self::is_tunneled_v4), [`is_tunneled_v6`](Self::is_tunneled_v6) |
/// | 2–3 | `hdr_len` | [`header_length`](Self::header_length) |
/// | 4–5 | `gso_size` | [`segment_size`](Self::segment_size) |
/// | 6–9 | `csum_start`, `csum_offset` | [`needs_checksum`](Self::needs_checksum) |
/// | 10–11 | `num_buffers` | [`buffers`](Self::buffers) |
/// | 12–15 | `hash_value` | [`hash`](Self::hash) |
/// | 16–19 | `hash_report`, `padding` | [`hash_report`](Self::hash_report) |
/// | 20–23 | `outer_th_offset`, `inner_nh_offset` | [`tunnel_offsets`](Self::tunnel_offsets) |
///
/// The type keeps every bit, also those without a name, so that a parsed header is written as the same bytes.
/// The default is all zeros, for a complete packet.
///
/// ```
/// use tunctl_packet::header::{GsoType, VnetFormat, VnetHeader};
///
/// let format = VnetFormat::default();
/// let header = VnetHeader::default()
///     .with_checksum(20, 16)
///     .with_segments(GsoType::TcpV4, 1448)
///     .with_header_length(40);
///
/// let mut buffer = [0; 2000];
/// header.write(format, &mut buffer)?;
/// let (read, packet) = VnetHeader::parse(format, &buffer)?;
/// assert_eq!(read.needs_checksum(), Some((20, 16)));
/// assert_eq!((read.gso_type(), read.segment_size()), (GsoType::TcpV4, 1448));
/// assert_eq!(packet.len(), 1990);
/// # Ok::<(), tunctl_packet::Truncated>(())
/// ```
#[doc(alias = "struct virtio_net_hdr")]
#[doc(alias = "virtio_net_hdr")]
#[doc(alias = "IFF_VNET_HDR")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VnetHeader {
    flags: u8,
    gso: u8,
    header_length: u16,
    segment_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
    buffers: u16,
    hash: u32,
    hash_report: u16,
    padding: u16,
    outer_transport: u16,
    inner_network: u16,
}

impl VnetHeader {
    /// Splits bytes that were read from a device with headers of this format into the header and the bytes
    /// behind it.
    ///
    /// Fields that a shorter format lacks are zero.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if there are fewer bytes than [the format's length](VnetLength::bytes).
    pub fn parse(format: VnetFormat, bytes: &[u8]) -> Result<(VnetHeader, &[u8]), Truncated> {
        let length = format.length.bytes();
        let Some((header, rest)) = bytes.split_at_checked(length) else {
            return Err(Truncated { need: length, have: bytes.len() });
        };
        let mut all = [0; VnetLength::Tunnel.bytes()];
        for (to, from) in all.iter_mut().zip(header) {
            *to = *from;
        }
        Ok((VnetHeader::from_bytes(format.endian, &all), rest))
    }

    /// Writes the header in this format to the beginning of `buffer`, whose rest stays unchanged.
    ///
    /// Fields that a shorter format lacks are left out.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if `buffer` has fewer bytes than [the format's length](VnetLength::bytes); it is
    /// unchanged then.
    pub fn write(&self, format: VnetFormat, buffer: &mut [u8]) -> Result<(), Truncated> {
        let (need, have) = (format.length.bytes(), buffer.len());
        let place = buffer.get_mut(..need).ok_or(Truncated { need, have })?;
        for (to, from) in place.iter_mut().zip(self.to_bytes(format.endian)) {
            *to = from;
        }
        Ok(())
    }

    fn from_bytes(endian: Endian, bytes: &[u8; VnetLength::Tunnel.bytes()]) -> VnetHeader {
        let &[flags, gso, l0, l1, s0, s1, c0, c1, o0, o1, b0, b1, ref rest @ ..] = bytes;
        let &[h0, h1, h2, h3, r0, r1, p0, p1, t0, t1, n0, n1] = rest;
        VnetHeader {
            flags,
            gso,
            header_length: endian.get([l0, l1]),
            segment_size: endian.get([s0, s1]),
            checksum_start: endian.get([c0, c1]),
            checksum_offset: endian.get([o0, o1]),
            buffers: endian.get([b0, b1]),
            // `__le32` and `__le16` in linux/virtio_net.h, where those above are `__virtio16`.
            hash: u32::from_le_bytes([h0, h1, h2, h3]),
            hash_report: u16::from_le_bytes([r0, r1]),
            padding: u16::from_le_bytes([p0, p1]),
            outer_transport: u16::from_le_bytes([t0, t1]),
            inner_network: u16::from_le_bytes([n0, n1]),
        }
    }

    fn to_bytes(self, endian: Endian) -> [u8; VnetLength::Tunnel.bytes()] {
        let [l0, l1] = endian.put(self.header_length);
        let [s0, s1] = endian.put(self.segment_size);
        let [c0, c1] = endian.put(self.checksum_start);
        let [o0, o1] = endian.put(self.checksum_offset);
        let [b0, b1] = endian.put(self.buffers);
        let [h0, h1, h2, h3] = self.hash.to_le_bytes();
        let [r0, r1] = self.hash_report.to_le_bytes();
        let [p0, p1] = self.padding.to_le_bytes();
        let [t0, t1] = self.outer_transport.to_le_bytes();
        let [n0, n1] = self.inner_network.to_le_bytes();
        let (flags, gso) = (self.flags, self.gso);
        [flags, gso, l0, l1, s0, s1, c0, c1, o0, o1, b0, b1, h0, h1, h2, h3, r0, r1, p0, p1, t0, t1, n0, n1]
    }
}

/// The fields of the header.
impl VnetHeader {
    /// All flags, including those without a name here.
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// The offset of the first byte that the incomplete checksum covers, and the offset of the checksum
    /// behind that byte. `None` if the checksum is complete.
    ///
    /// An incomplete checksum contains the sum of the pseudo-header. [`complete_checksum`] completes it.
    ///
    /// [`complete_checksum`]: Self::complete_checksum
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HDR_F_NEEDS_CSUM")]
    #[doc(alias = "csum_start")]
    #[doc(alias = "csum_offset")]
    pub const fn needs_checksum(&self) -> Option<(u16, u16)> {
        if self.flags & NEEDS_CHECKSUM != 0 {
            Some((self.checksum_start, self.checksum_offset))
        } else {
            None
        }
    }

    /// Whether the packet's checksum was verified, so that the receiver need not do so.
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HDR_F_DATA_VALID")]
    pub const fn is_data_valid(&self) -> bool {
        self.flags & DATA_VALID != 0
    }

    /// Whether the fields of the checksum describe coalesced segments instead. The tun driver of Linux does
    /// not set this flag.
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HDR_F_RSC_INFO")]
    pub const fn has_coalescing_information(&self) -> bool {
        self.flags & COALESCED != 0
    }

    /// Whether the checksum in the outer UDP header of a tunnel is incomplete, too.
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HDR_F_UDP_TUNNEL_CSUM")]
    pub const fn needs_tunnel_checksum(&self) -> bool {
        self.flags & TUNNEL_CHECKSUM != 0
    }

    /// The type of segmentation.
    #[must_use]
    pub const fn gso_type(&self) -> GsoType {
        GsoType::of(self.gso)
    }

    /// The byte that contains [`gso_type`](Self::gso_type), with its other bits.
    #[must_use]
    pub const fn gso_byte(&self) -> u8 {
        self.gso
    }

    /// Whether the TCP connection uses explicit congestion notification.
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HDR_GSO_ECN")]
    #[doc(alias = "TUN_F_TSO_ECN")]
    pub const fn has_ecn(&self) -> bool {
        self.gso & gso::ECN != 0
    }

    /// Whether the packet to be segmented is in a UDP tunnel over IPv4.
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV4")]
    pub const fn is_tunneled_v4(&self) -> bool {
        self.gso & gso::TUNNEL_V4 != 0
    }

    /// Whether the packet to be segmented is in a UDP tunnel over IPv6.
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HDR_GSO_UDP_TUNNEL_IPV6")]
    pub const fn is_tunneled_v6(&self) -> bool {
        self.gso & gso::TUNNEL_V6 != 0
    }

    /// Whether the packet to be segmented is in a UDP tunnel.
    pub(crate) const fn is_tunneled(&self) -> bool {
        self.is_tunneled_v4() || self.is_tunneled_v6()
    }

    /// The length of the packet's headers, including Ethernet's and the transport's, in bytes; 0 if unknown.
    ///
    /// On reading, Linux may report a greater length: the part of the packet that was contiguous in memory.
    #[must_use]
    #[doc(alias = "hdr_len")]
    pub const fn header_length(&self) -> u16 {
        self.header_length
    }

    /// The number of bytes of payload in each segment, without headers.
    #[must_use]
    #[doc(alias = "gso_size")]
    pub const fn segment_size(&self) -> u16 {
        self.segment_size
    }

    /// The number of buffers of a virtio device that the packet takes. It has no meaning for a tun device.
    #[must_use]
    #[doc(alias = "num_buffers")]
    pub const fn buffers(&self) -> u16 {
        self.buffers
    }

    /// The hash of the packet's flow, over the fields that [`hash_report`](Self::hash_report) specifies.
    #[must_use]
    #[doc(alias = "hash_value")]
    pub const fn hash(&self) -> u32 {
        self.hash
    }

    /// The fields that the hash covers, as a number of virtio; 0 if there is no hash.
    #[must_use]
    #[doc(alias = "VIRTIO_NET_HASH_REPORT_NONE")]
    pub const fn hash_report(&self) -> u16 {
        self.hash_report
    }

    /// The offsets of the outer transport's header and of the inner network's header, in a packet with a UDP
    /// tunnel.
    #[must_use]
    #[doc(alias = "outer_th_offset")]
    #[doc(alias = "inner_nh_offset")]
    pub const fn tunnel_offsets(&self) -> (u16, u16) {
        (self.outer_transport, self.inner_network)
    }
}

/// Copies of the header with one field changed.
impl VnetHeader {
    /// With the checksum left to the kernel. It covers the packet from byte `start` on, and is stored
    /// `offset` bytes behind that byte, where the sum of the pseudo-header must be.
    #[must_use]
    pub const fn with_checksum(self, start: u16, offset: u16) -> Self {
        let flags = self.flags | NEEDS_CHECKSUM;
        VnetHeader { flags, checksum_start: start, checksum_offset: offset, ..self }
    }

    /// With a complete checksum.
    #[must_use]
    pub const fn without_checksum(self) -> Self {
        let flags = self.flags & !NEEDS_CHECKSUM;
        VnetHeader { flags, checksum_start: 0, checksum_offset: 0, ..self }
    }

    /// With this type of segmentation, and this number of bytes of payload in each segment.
    ///
    /// The bits of explicit congestion notification and tunnels stay unchanged. [`GsoType::Other`] with the
    /// number of a named type means that type. Bits of the number from 0x20 up are ignored.
    #[must_use]
    pub const fn with_segments(self, gso_type: GsoType, segment_size: u16) -> Self {
        VnetHeader { gso: (self.gso & gso::BITS) | gso_type.number(), segment_size, ..self }
    }

    /// With explicit congestion notification, or without.
    #[must_use]
    pub const fn with_ecn(self, ecn: bool) -> Self {
        let without = self.gso & !gso::ECN;
        VnetHeader { gso: if ecn { without | gso::ECN } else { without }, ..self }
    }

    /// With this length of headers, in bytes.
    #[must_use]
    pub const fn with_header_length(self, header_length: u16) -> Self {
        VnetHeader { header_length, ..self }
    }

    /// With these flags, which may include some without a name.
    #[must_use]
    pub const fn with_flags(self, flags: u8) -> Self {
        VnetHeader { flags, ..self }
    }

    /// With this [`gso_byte`](Self::gso_byte), which may have bits without a name.
    #[must_use]
    pub const fn with_gso_byte(self, gso: u8) -> Self {
        VnetHeader { gso, ..self }
    }

    /// With this many buffers.
    #[must_use]
    pub const fn with_buffers(self, buffers: u16) -> Self {
        VnetHeader { buffers, ..self }
    }

    /// With this hash, over the fields that `report` specifies.
    #[must_use]
    pub const fn with_hash(self, hash: u32, report: u16) -> Self {
        VnetHeader { hash, hash_report: report, ..self }
    }

    /// With the outer transport's header and the inner network's header at these offsets in the packet.
    #[must_use]
    pub const fn with_tunnel_offsets(self, outer_transport: u16, inner_network: u16) -> Self {
        VnetHeader { outer_transport, inner_network, ..self }
    }
}

#[cfg(test)]
mod tests;
