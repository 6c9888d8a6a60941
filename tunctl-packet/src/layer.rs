//! The layer of a device: the header that its packets start with.

use core::fmt;

/// The header that the packets of a device start with.
///
/// Packet information and virtio-net headers come in front of it and do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layer {
    /// A bare IPv4 or IPv6 packet; the first nibble is the version.
    #[doc(alias = "IFF_TUN")]
    Tun,
    /// An Ethernet frame, without preamble and frame check sequence.
    #[doc(alias = "IFF_TAP")]
    Tap,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Layer::Tun => "tun",
            Layer::Tap => "tap",
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::Layer;

    #[test]
    fn displays_in_lower_case_and_pads() {
        assert_eq!(format!("{:<5}|{}", Layer::Tun, Layer::Tap), "tun  |tap");
    }
}
