//! The address family that BSD systems and macOS put in front of a packet.

use super::{EtherType, Truncated};

/// The number of IPv4 in `sys/socket.h`, on every system.
const AF_INET: u32 = 2;

/// A system whose tun devices put an [`AddressFamily`] in front of each packet.
///
/// They agree about the header's layout and the number of IPv4, but not about the number of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum System {
    /// On FreeBSD, the header is there if `TUNSIFHEAD` asked for it.
    FreeBsd,
    /// On OpenBSD, the header is always there.
    OpenBsd,
    /// On NetBSD, the header is there if `TUNSIFHEAD` asked for it.
    NetBsd,
    /// On DragonFly, the header is there if `TUNSIFHEAD` asked for it.
    DragonFly,
    /// On macOS, whose devices are called utun, the header is always there.
    #[doc(alias = "UTUN")]
    MacOs,
}

impl System {
    /// The number of IPv6 in the system's `sys/socket.h`.
    const fn af_inet6(self) -> u32 {
        match self {
            System::OpenBsd | System::NetBsd => 24,
            System::FreeBsd | System::DragonFly => 28,
            System::MacOs => 30,
        }
    }
}

/// The four bytes in front of each packet of a BSD or macOS tun device: the number of its address family, big
/// endian.
///
/// The number of IPv6 differs between the [`System`]s. The header is not that of Linux, which has the same
/// size: see [`PacketInfo`](crate::PacketInfo).
///
/// ```
/// use tunctl_packet::header::{AddressFamily, System};
///
/// let read = [0, 0, 0, 28, 0x60, 0x00];
/// let (family, packet) = AddressFamily::parse(System::FreeBsd, &read)?;
/// assert_eq!(family, AddressFamily::V6);
/// assert_eq!(packet, [0x60, 0x00]);
/// assert_eq!(family.to_bytes(System::MacOs), [0, 0, 0, 30]);
/// # Ok::<(), tunctl_packet::Truncated>(())
/// ```
#[doc(alias = "TUNSIFHEAD")]
#[doc(alias = "UTUN")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AddressFamily {
    /// An IPv4 packet.
    #[doc(alias = "AF_INET")]
    V4,
    /// An IPv6 packet.
    #[doc(alias = "AF_INET6")]
    V6,
    /// Another family.
    Other(OtherFamily),
}

/// The number of a family that is neither IPv4 nor IPv6 on its system.
///
/// Only [`AddressFamily::from_number`] and [`AddressFamily::parse`] return one, so that IPv4 and IPv6 are
/// never represented in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OtherFamily(u32);

impl OtherFamily {
    /// The number as read.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl AddressFamily {
    /// The length of the header, in bytes.
    pub const LENGTH: usize = 4;

    /// The family that has this number on this system.
    #[must_use]
    pub const fn from_number(system: System, number: u32) -> Self {
        if number == AF_INET {
            AddressFamily::V4
        } else if number == system.af_inet6() {
            AddressFamily::V6
        } else {
            AddressFamily::Other(OtherFamily(number))
        }
    }

    /// The number that the family has on this system.
    ///
    /// Another family keeps its number, which has no meaning on another system.
    #[must_use]
    pub const fn number(self, system: System) -> u32 {
        match self {
            AddressFamily::V4 => AF_INET,
            AddressFamily::V6 => system.af_inet6(),
            AddressFamily::Other(other) => other.0,
        }
    }

    /// The family of an IP packet, by the version in its first nibble.
    ///
    /// `None` if `packet` is empty or neither IPv4 nor IPv6.
    #[must_use]
    pub fn for_packet(packet: &[u8]) -> Option<AddressFamily> {
        match EtherType::of_ip(packet)? {
            EtherType::IPV6 => Some(AddressFamily::V6),
            _ => Some(AddressFamily::V4),
        }
    }

    /// Splits bytes that were read from a device into the header and the bytes behind it.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if there are fewer than [`LENGTH`](Self::LENGTH) bytes.
    pub fn parse(system: System, bytes: &[u8]) -> Result<(AddressFamily, &[u8]), Truncated> {
        let Some((number, rest)) = bytes.split_first_chunk() else {
            return Err(Truncated { need: Self::LENGTH, have: bytes.len() });
        };
        Ok((AddressFamily::from_number(system, u32::from_be_bytes(*number)), rest))
    }

    /// Writes the header to the beginning of `buffer`, whose rest stays unchanged.
    ///
    /// # Errors
    ///
    /// [`Truncated`] if `buffer` has fewer than [`LENGTH`](Self::LENGTH) bytes; `buffer` is then unchanged.
    pub fn write(self, system: System, buffer: &mut [u8]) -> Result<(), Truncated> {
        let have = buffer.len();
        let Some(place) = buffer.first_chunk_mut() else {
            return Err(Truncated { need: Self::LENGTH, have });
        };
        *place = self.to_bytes(system);
        Ok(())
    }

    /// The header as a device of this system reads and writes it.
    #[must_use]
    pub const fn to_bytes(self, system: System) -> [u8; 4] {
        self.number(system).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::{AddressFamily, System, Truncated};

    const SYSTEMS: [(System, u8); 5] = [
        (System::FreeBsd, 28),
        (System::OpenBsd, 24),
        (System::NetBsd, 24),
        (System::DragonFly, 28),
        (System::MacOs, 30),
    ];

    #[test]
    fn ipv6_has_another_number_on_each_system() {
        for (system, number) in SYSTEMS {
            assert_eq!(AddressFamily::V4.to_bytes(system), [0, 0, 0, 2]);
            assert_eq!(AddressFamily::V6.to_bytes(system), [0, 0, 0, number]);
        }
    }

    #[test]
    fn each_number_is_one_family() {
        for (system, ipv6) in SYSTEMS {
            for number in 0..=40 {
                let bytes = [0, 0, 0, number, 9];
                let (family, rest) = AddressFamily::parse(system, &bytes).unwrap();
                match number {
                    2 => assert_eq!(family, AddressFamily::V4),
                    _ if number == ipv6 => assert_eq!(family, AddressFamily::V6),
                    _ => assert!(
                        matches!(family, AddressFamily::Other(other) if other.number() == number.into())
                    ),
                }
                assert_eq!((family.to_bytes(system), rest), ([0, 0, 0, number], &[9][..]));
            }
        }
    }

    #[test]
    fn write_fills_four_bytes_or_none() {
        let mut buffer = [9; 5];
        AddressFamily::V6.write(System::OpenBsd, &mut buffer).unwrap();
        assert_eq!(buffer, [0, 0, 0, 24, 9]);
        let mut short = [9; 3];
        let error = Err(Truncated { need: 4, have: 3 });
        assert_eq!(AddressFamily::V4.write(System::OpenBsd, &mut short), error);
        assert_eq!(short, [9; 3]);
        assert_eq!(AddressFamily::parse(System::OpenBsd, &short), Err(Truncated { need: 4, have: 3 }));
    }

    #[test]
    fn infers_the_family_from_the_version() {
        assert_eq!(AddressFamily::for_packet(&[0x45]), Some(AddressFamily::V4));
        assert_eq!(AddressFamily::for_packet(&[0x60]), Some(AddressFamily::V6));
        assert_eq!(AddressFamily::for_packet(&[0x50]), None);
        assert_eq!(AddressFamily::for_packet(&[]), None);
    }
}
