//! The reasons why bytes could not be decoded.

/// The slice is too short.
///
/// Both figures count bytes from the start of the slice that was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{need} bytes are needed, {have} are there")]
pub struct Truncated {
    /// The least number of bytes needed, as far as the bytes could be decoded.
    pub need: usize,
    /// The number of bytes there.
    pub have: usize,
}

/// The reason why bytes are not a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes end before the packet does.
    #[error("the packet is cut short: {0}")]
    Truncated(#[from] Truncated),
    /// The first nibble is the version of an IP packet, and it is neither 4 nor 6.
    ///
    /// If the device puts headers in front of its packets, the likely cause is that the headers were not
    /// removed: see [`Framed`](crate::Framed). If the device is a TAP, the likely cause is an Ethernet frame
    /// parsed as [`Layer::Tun`](crate::Layer::Tun).
    #[error("neither IPv4 nor IPv6: the first byte is {first_byte:#04x}")]
    NotIp {
        /// The byte that has the version in its high nibble.
        first_byte: u8,
    },
    /// A length field contradicts its packet.
    #[error("the {header} states an impossible length of {stated} bytes")]
    Length {
        /// The thing whose length the field states: `"IPv4 header"`, `"IPv4 packet"`, `"UDP datagram"`, …
        header: &'static str,
        /// The stated length, in bytes.
        stated: usize,
    },
}

impl Truncated {
    /// The same error, with figures that count from this many bytes further in front.
    pub(crate) fn behind(self, bytes: usize) -> Truncated {
        Truncated { need: self.need.saturating_add(bytes), have: self.have.saturating_add(bytes) }
    }
}

impl ParseError {
    /// The same error, with figures that count from this many bytes further in front.
    pub(crate) fn behind(self, bytes: usize) -> ParseError {
        match self {
            ParseError::Truncated(truncated) => ParseError::Truncated(truncated.behind(bytes)),
            other => other,
        }
    }
}
