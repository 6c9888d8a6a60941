//! Why bytes could not be decoded.

/// There are fewer bytes than what should stand in them takes.
///
/// Both figures count from the start of the slice that was given, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{need} bytes are needed, there are {have}")]
pub struct Truncated {
    /// How many bytes it takes at least, as far as they could be read.
    pub need: usize,
    /// How many there are.
    pub have: usize,
}

/// Why bytes are no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes end before the packet does.
    #[error("the packet is cut short: {0}")]
    Truncated(#[from] Truncated),
    /// The first nibble is the version of an IP packet, and it is neither 4 nor 6.
    ///
    /// On a device with headers in front of its packets, the likely cause is that these were not taken off:
    /// see [`Framed`](crate::Framed). On a TAP device, it is an Ethernet frame read as
    /// [`Layer::Tun`](crate::Layer::Tun).
    #[error("neither IPv4 nor IPv6: the first byte is {first_byte:#04x}")]
    NotIp {
        /// The byte with the version, whole.
        first_byte: u8,
    },
    /// A length field contradicts the packet that it stands in.
    #[error("the {header} states a length of {stated} bytes, which cannot be")]
    Length {
        /// What the field describes: `"IPv4 header"`, `"IPv4 packet"`, `"UDP datagram"`, …
        header: &'static str,
        /// The length that it states, in bytes.
        stated: usize,
    },
}

impl Truncated {
    /// The same, counted from a place that is this many bytes in front.
    pub(crate) fn behind(self, bytes: usize) -> Truncated {
        Truncated { need: self.need.saturating_add(bytes), have: self.have.saturating_add(bytes) }
    }
}

impl ParseError {
    /// The same, counted from a place that is this many bytes in front.
    pub(crate) fn behind(self, bytes: usize) -> ParseError {
        match self {
            ParseError::Truncated(truncated) => ParseError::Truncated(truncated.behind(bytes)),
            other => other,
        }
    }
}
