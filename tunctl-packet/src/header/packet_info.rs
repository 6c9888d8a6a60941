//! Linux' packet information.

use super::{EtherType, Truncated};

/// Linux' packet information: the four bytes in front of each packet of a device opened without `IFF_NO_PI`.
///
/// | bytes | what | order |
/// |---|---|---|
/// | 0–1 | flags | of the host |
/// | 2–3 | [`EtherType`] of the packet | big endian |
///
/// The packet information comes first, then the virtio-net header if the device has one, then the packet. On
/// reading, the kernel fills it in. On writing, a TUN device takes the protocol from it, and the flags should
/// be 0.
///
/// The header is not that of BSD systems, which has the same size: see
/// [`AddressFamily`](super::AddressFamily).
///
/// ```
/// use tunctl_packet::{EtherType, PacketInfo};
///
/// let read = [0, 0, 0x08, 0x00, 0x45, 0x00];
/// let (header, packet) = PacketInfo::parse(&read)?;
/// assert_eq!(header.protocol(), EtherType::IPV4);
/// assert_eq!(packet, [0x45, 0x00]);
/// # Ok::<(), tunctl_packet::Truncated>(())
/// ```
#[doc(alias = "struct tun_pi")]
#[doc(alias = "tun_pi")]
#[doc(alias = "IFF_NO_PI")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketInfo {
    flags: u16,
    protocol: EtherType,
}

/// `TUN_PKT_STRIP` of `linux/if_tun.h`.
const STRIP: u16 = 1;

impl PacketInfo {
    /// The length of the header, in bytes.
    pub const LENGTH: usize = 4;

    /// The header for a packet to be written, with this protocol and no flags.
    #[must_use]
    pub const fn new(protocol: EtherType) -> Self {
        PacketInfo { flags: 0, protocol }
    }

    /// The same header with these flags instead of its own.
    ///
    /// The kernel ignores them on writing. They are for programs that imitate a device.
    #[must_use]
    pub const fn with_flags(self, flags: u16) -> Self {
        PacketInfo { flags, ..self }
    }

    /// The header that an IP packet needs, by the version in its first nibble.
    ///
    /// `None` if `packet` is empty or neither IPv4 nor IPv6.
    #[must_use]
    pub fn for_packet(packet: &[u8]) -> Option<PacketInfo> {
        EtherType::of_ip(packet).map(PacketInfo::new)
    }

    /// Splits bytes that were read from a device into the header and the bytes behind it.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if there are fewer than [`LENGTH`](Self::LENGTH) bytes.
    pub fn parse(bytes: &[u8]) -> Result<(PacketInfo, &[u8]), Truncated> {
        let Some((&[f0, f1, p0, p1], rest)) = bytes.split_first_chunk() else {
            return Err(Truncated { need: Self::LENGTH, have: bytes.len() });
        };
        let header = PacketInfo {
            flags: u16::from_ne_bytes([f0, f1]),
            protocol: EtherType(u16::from_be_bytes([p0, p1])),
        };
        Ok((header, rest))
    }

    /// Writes the header to the beginning of `buffer`, whose rest stays unchanged.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if `buffer` has fewer than [`LENGTH`](Self::LENGTH) bytes; `buffer` is then unchanged.
    pub fn write(&self, buffer: &mut [u8]) -> Result<(), Truncated> {
        let have = buffer.len();
        let Some(place) = buffer.first_chunk_mut() else {
            return Err(Truncated { need: Self::LENGTH, have });
        };
        *place = self.to_bytes();
        Ok(())
    }

    /// The header as the device reads and writes it.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        let [f0, f1] = self.flags.to_ne_bytes();
        let [p0, p1] = self.protocol.0.to_be_bytes();
        [f0, f1, p0, p1]
    }

    /// The protocol of the packet.
    #[must_use]
    pub const fn protocol(&self) -> EtherType {
        self.protocol
    }

    /// The flags as the kernel set them. Linux defines one: see [`is_stripped`](Self::is_stripped).
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.flags
    }

    /// Whether the packet exceeded the reader's buffer and lost its tail.
    ///
    /// Without packet information, the kernel also cuts such a packet, but does not report it.
    #[doc(alias = "TUN_PKT_STRIP")]
    #[must_use]
    pub const fn is_stripped(&self) -> bool {
        self.flags & STRIP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::{EtherType, PacketInfo, Truncated};

    #[test]
    fn flags_are_in_host_order_and_the_protocol_is_big_endian() {
        let mut bytes = [0xff; 6];
        bytes[..2].copy_from_slice(&0x0102_u16.to_ne_bytes());
        bytes[2..4].copy_from_slice(&[0x86, 0xdd]);
        let (header, rest) = PacketInfo::parse(&bytes).unwrap();
        assert_eq!((header.flags(), header.protocol()), (0x0102, EtherType::IPV6));
        assert_eq!(rest, [0xff, 0xff]);
        assert_eq!(header.to_bytes(), bytes[..4]);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_strip_bit_stands_in_the_first_byte_of_a_little_endian_host() {
        assert!(PacketInfo::parse(&[1, 0, 8, 0]).unwrap().0.is_stripped());
        assert!(!PacketInfo::parse(&[0, 1, 8, 0]).unwrap().0.is_stripped());
        assert!(!PacketInfo::parse(&[2, 0, 8, 1]).unwrap().0.is_stripped());
    }

    #[test]
    fn write_fills_four_bytes_or_none() {
        let header = PacketInfo::for_packet(&[0x60]).unwrap();
        let mut buffer = [9; 5];
        header.write(&mut buffer).unwrap();
        assert_eq!(buffer, [0, 0, 0x86, 0xdd, 9]);
        let mut short = [9; 3];
        assert_eq!(header.write(&mut short), Err(Truncated { need: 4, have: 3 }));
        assert_eq!(short, [9; 3]);
        assert_eq!(PacketInfo::parse(&short), Err(Truncated { need: 4, have: 3 }));
    }

    #[test]
    fn flags_can_be_made_up() {
        let header = PacketInfo::new(EtherType::ARP).with_flags(1);
        assert!(header.is_stripped());
        assert_eq!(header.protocol(), EtherType::ARP);
        assert_eq!(PacketInfo::parse(&header.to_bytes()).unwrap().0, header);
    }

    #[test]
    fn infers_the_protocol_from_the_version() {
        assert_eq!(PacketInfo::for_packet(&[0x4f]), Some(PacketInfo::new(EtherType::IPV4)));
        assert_eq!(PacketInfo::for_packet(&[0x54]), None);
        assert_eq!(PacketInfo::for_packet(&[]), None);
    }
}
