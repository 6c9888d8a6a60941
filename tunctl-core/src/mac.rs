//! MAC addresses.

use std::fmt;
use std::str::FromStr;

use crate::text::try_from_text;

/// The MAC address of a tap: six bytes. No interface can have the all-zero address or a group address.
///
/// It is written in hexadecimal, such as `02:00:5e:10:00:01`. Hyphens are accepted too.
///
/// ```
/// use tunctl_core::MacAddress;
///
/// let mac: MacAddress = "02:00:5e:10:00:01".parse()?;
/// assert_eq!(mac.octets(), [0x02, 0x00, 0x5e, 0x10, 0x00, 0x01]);
/// assert!(mac.is_local());
/// assert!("01:00:5e:00:00:01".parse::<MacAddress>().is_err());
/// # Ok::<(), tunctl_core::InvalidMac>(())
/// ```
#[doc(alias = "hwaddr")]
#[doc(alias = "lladdr")]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress([u8; 6]);

/// The bit of the first byte that marks a group address.
const GROUP: u8 = 1;
/// The bit of the first byte that marks a locally administered address, one that no manufacturer assigned.
const LOCAL: u8 = 2;

impl MacAddress {
    /// An address from its bytes, in the order in which they are sent.
    ///
    /// # Errors
    ///
    /// The bytes are all zero, or a group address (multicast or broadcast).
    pub const fn new(octets: [u8; 6]) -> Result<Self, InvalidMac> {
        match octets {
            [0, 0, 0, 0, 0, 0] => Err(InvalidMac::Zero),
            [first, ..] if first & GROUP != 0 => Err(InvalidMac::Group),
            _ => Ok(Self(octets)),
        }
    }

    /// Takes over an address that a kernel reported, whatever it is.
    #[must_use]
    pub const fn from_kernel(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The bytes, in the order in which they are sent.
    #[must_use]
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }

    /// Whether it is locally administered: chosen by a person or a kernel, not assigned by a manufacturer. An
    /// address that you choose should be.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.0[0] & LOCAL != 0
    }
}

impl FromStr for MacAddress {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut groups = text.split(separator);
        let mut octets = [0; 6];
        for octet in &mut octets {
            *octet = groups.next().and_then(octet_of).ok_or(InvalidMac::NotAnAddress)?;
        }
        if groups.next().is_some() {
            return Err(InvalidMac::NotAnAddress);
        }
        Self::new(octets)
    }
}

/// One or two hexadecimal digits: the BSDs also write one.
fn octet_of(text: &str) -> Option<u8> {
    // `from_str_radix` would accept a sign.
    let is_hexadecimal = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hexadecimal { u8::from_str_radix(text, 16).ok() } else { None }
}

try_from_text!(MacAddress, InvalidMac);

impl TryFrom<[u8; 6]> for MacAddress {
    type Error = InvalidMac;

    fn try_from(octets: [u8; 6]) -> Result<Self, InvalidMac> {
        Self::new(octets)
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        f.pad(&format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"))
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MacAddress({self})")
    }
}

/// Why something is not the MAC address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMac {
    /// Not six bytes in hexadecimal.
    #[error("a MAC address is six bytes in hexadecimal, such as 02:00:5e:10:00:01")]
    NotAnAddress,
    /// All bytes are zero.
    #[error("no interface can have the all-zero MAC address")]
    Zero,
    /// A multicast or the broadcast address.
    #[error("no interface can have a group MAC address, which is one whose first byte is odd")]
    Group,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_interface_can_have_is_refused() {
        for (text, invalid) in [
            ("00:00:00:00:00:00", InvalidMac::Zero),
            ("01:00:5e:00:00:01", InvalidMac::Group),
            ("ff:ff:ff:ff:ff:ff", InvalidMac::Group),
            ("03:00:00:00:00:00", InvalidMac::Group),
            ("", InvalidMac::NotAnAddress),
            ("02:00:00:00:00", InvalidMac::NotAnAddress),
            ("02:00:00:00:00:00:00", InvalidMac::NotAnAddress),
            ("02:00:00:00:00:", InvalidMac::NotAnAddress),
            ("02:00:00:00:00:+1", InvalidMac::NotAnAddress),
            ("02:00:00:00:00:001", InvalidMac::NotAnAddress),
            ("02:00:00:00:00:0g", InvalidMac::NotAnAddress),
            ("02-00:00-00-00-00", InvalidMac::NotAnAddress),
            ("0200.0000.0001", InvalidMac::NotAnAddress),
        ] {
            assert_eq!(text.parse::<MacAddress>(), Err(invalid), "{text}");
        }
    }

    #[test]
    fn it_is_read_in_every_form_and_written_in_one() {
        for text in ["02:00:5E:10:00:0a", "02-00-5e-10-00-0a", "2:0:5e:10:0:a"] {
            assert_eq!(text.parse::<MacAddress>().unwrap().to_string(), "02:00:5e:10:00:0a", "{text}");
        }
        let mac = MacAddress::new([0x00, 0x1b, 0x21, 0, 0, 1]).unwrap();
        assert_eq!((mac.is_local(), format!("{mac:?}")), (false, "MacAddress(00:1b:21:00:00:01)".into()));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for position in 0..6 {
            for value in 0..=u8::MAX {
                let mut octets = [0x02, 0, 0, 0, 0, 0];
                octets[position] = value;
                match MacAddress::new(octets) {
                    Ok(mac) => assert_eq!(mac.to_string().parse(), Ok(mac)),
                    Err(_) => assert!(position == 0 && (value == 0 || value % 2 == 1), "{octets:?}"),
                }
            }
        }
    }
}
