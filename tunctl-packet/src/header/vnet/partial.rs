//! Offloaded checksums, completed in software.

use super::VnetHeader;
use crate::checksum;
use crate::header::Truncated;

/// The offset of the checksum in the header of UDP and UDP-Lite.
pub(super) const UDP_OFFSET: u16 = 6;

/// The other form of zero (`CSUM_MANGLED_0`), which the kernel writes for every transport.
const NOT_ZERO: [u8; 2] = [0xff, 0xff];

/// The reason why a checksum could not be completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ChecksumError {
    /// The bytes end within the headers in front of the packet.
    #[error("{0}")]
    Truncated(#[from] Truncated),
    /// The checksum's place is outside of the packet.
    #[error("the checksum belongs {offset} bytes behind byte {start}, and the packet has {length} bytes")]
    OutOfPacket {
        /// The offset of the first byte that the checksum covers.
        start: u16,
        /// The offset of the checksum behind `start`.
        offset: u16,
        /// The packet's length, in bytes.
        length: usize,
    },
}

impl VnetHeader {
    /// Computes the checksum that the packet lacks, and stores it; returns whether the packet lacked one.
    ///
    /// `packet` is the packet behind the header. It must be whole, because the checksum covers all bytes up
    /// to its end. Ethernet's padding is zero and does not change the sum. A checksum of zero is stored as
    /// 0xffff, which is the same number: in UDP, zero means that there is none (RFC 768). As the kernel does
    /// it, the place is not judged: at an odd offset, a checksum covers itself and is right for nobody.
    ///
    /// The header stays unchanged. [`without_checksum`](Self::without_checksum) is the header of the
    /// completed packet.
    ///
    /// ```
    /// use tunctl_packet::header::VnetHeader;
    /// use tunctl_packet::udp_packet;
    ///
    /// // With `TUN_F_CSUM`, a datagram from the device has the sum of its pseudo-header only.
    /// let mut packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
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
        *place = if sum == [0, 0] { NOT_ZERO } else { sum };
        Ok(true)
    }
}
