//! The maximum transmission unit.

use std::fmt;
use std::str::FromStr;

use crate::text::try_from_text;

/// The most bytes that a packet of an interface may have: 68 to 65535, without the link-layer header.
///
/// 68 is the least that IPv4 permits (RFC 791). IPv6 needs 1280: below that, Linux disables IPv6 on the
/// interface.
///
/// # Platform
///
/// A kernel may allow less than 65535. Linux allows a tap up to 65521, and reports an error above that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mtu(u32);

impl Mtu {
    /// The least MTU.
    pub const MIN: Self = Self(68);
    /// The greatest MTU.
    pub const MAX: Self = Self(65535);

    /// An MTU in bytes.
    ///
    /// # Errors
    ///
    /// The MTU is not in the range from 68 to 65535.
    pub const fn new(bytes: u32) -> Result<Self, InvalidMtu> {
        if bytes < Self::MIN.0 || bytes > Self::MAX.0 {
            return Err(InvalidMtu::OutOfRange { bytes });
        }
        Ok(Self(bytes))
    }

    /// Takes over an MTU that a kernel reported, whatever it is.
    #[must_use]
    pub const fn from_kernel(bytes: u32) -> Self {
        Self(bytes)
    }

    /// Whether it is enough for IPv6, which needs 1280 bytes (RFC 8200).
    #[must_use]
    pub const fn carries_ipv6(self) -> bool {
        self.0 >= 1280
    }

    /// The MTU in bytes.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Mtu {
    type Err = InvalidMtu;

    fn from_str(text: &str) -> Result<Self, InvalidMtu> {
        Self::new(text.parse().map_err(|_| InvalidMtu::NotANumber)?)
    }
}

try_from_text!(Mtu, InvalidMtu);

macro_rules! from_integer {
    ($($integer:ty),*) => {$(
        impl TryFrom<$integer> for Mtu {
            type Error = InvalidMtu;

            fn try_from(bytes: $integer) -> Result<Self, InvalidMtu> {
                // A number that does not fit `u32` is out of range as well.
                Self::new(u32::try_from(bytes).unwrap_or(if bytes > 0 { u32::MAX } else { 0 }))
            }
        }
    )*};
}
// `i32` is the type of a plain literal.
from_integer!(i32, u16, u32, u64, usize);

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why something is not an MTU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMtu {
    /// The text is not a number of bytes.
    #[error("an MTU is a number of bytes, from 68 to 65535")]
    NotANumber,
    /// A number that no interface can have.
    #[error("an MTU is from 68 to 65535 bytes, not {bytes}")]
    OutOfRange {
        /// The number.
        bytes: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_ip() {
        assert_eq!("67".parse::<Mtu>(), Err(InvalidMtu::OutOfRange { bytes: 67 }));
        assert_eq!("68".parse::<Mtu>(), Ok(Mtu::MIN));
        assert_eq!("65535".parse::<Mtu>(), Ok(Mtu::MAX));
        assert_eq!("65536".parse::<Mtu>(), Err(InvalidMtu::OutOfRange { bytes: 65536 }));
        assert_eq!("-1".parse::<Mtu>(), Err(InvalidMtu::NotANumber));
    }
}
