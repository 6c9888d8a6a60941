//! Checksums that were left to somebody else.

use super::VnetHeader;
use crate::checksum;

/// Where the checksum of UDP stands in its header, and of UDP-Lite: the only ones whose zero says that there
/// is none.
pub(super) const UDP_OFFSET: u16 = 6;

/// Why a checksum could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumError {
    /// The place for it is not in the packet.
    #[error("the checksum belongs {offset} bytes behind byte {start}, and the packet has {length} bytes")]
    OutOfPacket {
        /// Where the bytes begin that it covers.
        start: u16,
        /// How far behind that it belongs.
        offset: u16,
        /// How long the packet is, in bytes.
        length: usize,
    },
    /// It would stand across two of the words that it sums, and could not be right anywhere.
    #[error("the checksum belongs {offset} bytes behind where it starts, which is an odd number")]
    OddOffset {
        /// How far behind its start it belongs.
        offset: u16,
    },
}

impl VnetHeader {
    /// Makes the checksum that the packet lacks, and stores it; returns whether it lacked one.
    ///
    /// `packet` is what stands behind the header. It must be whole, as the checksum is over everything up to
    /// its end; what Ethernet pads it with is zero, and doesn't count. A checksum of UDP that comes out as
    /// zero is stored as 0xffff, because zero would say that there is none (RFC 768).
    ///
    /// The header still says what it said: [`without_checksum`](Self::without_checksum) doesn't.
    ///
    /// ```
    /// use tunctl_packet::header::VnetHeader;
    ///
    /// // A datagram as one reads it where `TUN_F_CSUM` is set: with the sum of its pseudo-header alone.
    /// let mut packet = tunctl_packet::udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
    /// let whole = packet.clone();
    /// packet[26..28].copy_from_slice(&[0x14, 0x21]);
    ///
    /// let header = VnetHeader::default().with_checksum(20, 6);
    /// assert!(header.complete_checksum(&mut packet)?);
    /// assert_eq!(packet, whole);
    /// assert!(!header.without_checksum().complete_checksum(&mut packet)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ChecksumError`], by cause, with `packet` unchanged.
    #[doc(alias = "skb_checksum_help")]
    #[doc(alias = "VIRTIO_NET_HDR_F_NEEDS_CSUM")]
    pub fn complete_checksum(&self, packet: &mut [u8]) -> Result<bool, ChecksumError> {
        let Some((start, offset)) = self.needs_checksum() else {
            return Ok(false);
        };
        let out = ChecksumError::OutOfPacket { start, offset, length: packet.len() };
        let covered = packet.get_mut(usize::from(start)..).ok_or(out)?;
        let sum = checksum::of(covered);
        let place = covered.get_mut(usize::from(offset)..).and_then(<[u8]>::first_chunk_mut);
        let place: &mut [u8; 2] = place.ok_or(out)?;
        if offset % 2 != 0 {
            return Err(ChecksumError::OddOffset { offset });
        }
        *place = if offset == UDP_OFFSET && sum == [0, 0] { [0xff, 0xff] } else { sum };
        Ok(true)
    }
}
