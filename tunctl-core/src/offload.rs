//! Packets that are not finished when the system hands them over, and the header that says what is left to
//! do.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use tunctl_packet::header::VnetLength;

/// What a program takes over of the work on a packet: its checksum, and its division into segments.
///
/// A system that sends a file as TCP makes few long packets, and leaves it to the hardware to cut them. A
/// program that takes them, too, receives up to 64 KiB with one call. The virtio-net header in front says
/// what is left to do: see [`VnetHeader`](tunctl_packet::header::VnetHeader).
///
/// Each of these says also what it needs: no mask without checksums, and no ECN without TCP segments can be
/// written. They are joined by `|`:
///
/// ```
/// use tunctl_core::Offloads;
///
/// let offloads = Offloads::TSO | Offloads::USO;
/// assert!(offloads.contains(Offloads::CHECKSUM));
/// assert_eq!(offloads.to_string(), "csum, tso4, tso6, uso");
/// assert_eq!(Offloads::from_bits(Offloads::TSO.bits() - 1), None); // segments without checksums
/// ```
///
/// # Platform
///
/// Linux, and models of it. The numbers are Linux's, everywhere.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Offloads(u32);

impl Offloads {
    /// Every packet is finished.
    pub const NONE: Self = Self(0);
    /// Packets whose checksum is not complete.
    #[doc(alias = "TUN_F_CSUM")]
    pub const CHECKSUM: Self = Self(0x01);
    /// TCP segments of IPv4 in one packet, and `CHECKSUM`.
    #[doc(alias = "TUN_F_TSO4")]
    pub const TSO4: Self = Self(Self::CHECKSUM.0 | 0x02);
    /// TCP segments of IPv6 in one packet, and `CHECKSUM`.
    #[doc(alias = "TUN_F_TSO6")]
    pub const TSO6: Self = Self(Self::CHECKSUM.0 | 0x04);
    /// TCP segments in one packet, and `CHECKSUM`.
    pub const TSO: Self = Self(Self::TSO4.0 | Self::TSO6.0);
    /// Such TCP segments also while the network is congested (ECN), and `TSO`.
    #[doc(alias = "TUN_F_TSO_ECN")]
    pub const TSO_ECN: Self = Self(Self::TSO.0 | 0x08);
    /// UDP datagrams of one flow in one packet, and `CHECKSUM`.
    ///
    /// # Platform
    ///
    /// Linux 6.2 or later.
    #[doc(alias = "TUN_F_USO4")]
    #[doc(alias = "TUN_F_USO6")]
    pub const USO: Self = Self(Self::CHECKSUM.0 | 0x20 | 0x40);
    /// TCP segments in a UDP tunnel (VXLAN, Geneve) in one packet, and `TSO`. The offsets of the inner
    /// headers are in a virtio-net header of 24 bytes.
    ///
    /// # Platform
    ///
    /// Linux 6.17 or later.
    #[doc(alias = "TUN_F_UDP_TUNNEL_GSO")]
    pub const UDP_TUNNEL: Self = Self(Self::TSO.0 | 0x80);
    /// The same where the tunnel's own UDP checksum is to be completed, too, and `UDP_TUNNEL`.
    ///
    /// # Platform
    ///
    /// Linux 6.17 or later.
    #[doc(alias = "TUN_F_UDP_TUNNEL_GSO_CSUM")]
    pub const UDP_TUNNEL_CHECKSUM: Self = Self(Self::UDP_TUNNEL.0 | 0x100);

    const NAMES: [(u32, &str); 7] = [
        (0x01, "csum"),
        (0x02, "tso4"),
        (0x04, "tso6"),
        (0x08, "ecn"),
        (0x60, "uso"),
        (0x80, "udp_tunnel"),
        (0x100, "udp_tunnel_csum"),
    ];

    /// The mask that `TUNSETOFFLOAD` takes.
    #[doc(alias = "TUNSETOFFLOAD")]
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The offloads of a mask. `None` if a bit is unknown, or lacks another that it needs: Linux refuses such
    /// a mask.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        let valid = Self::from_bits_truncate(bits);
        if valid.0 == bits { Some(valid) } else { None }
    }

    /// The offloads of a mask, without bits that are unknown, or that lack another which they need.
    #[must_use]
    pub const fn from_bits_truncate(bits: u32) -> Self {
        if bits & 0x01 == 0 {
            return Self::NONE;
        }
        let mut valid = bits & 0x07;
        if bits & 0x06 != 0 {
            valid |= bits & 0x08;
        }
        if bits & 0x60 == 0x60 {
            valid |= 0x60;
        }
        if valid & 0x66 != 0 {
            valid |= bits & 0x80;
        }
        if valid & 0x80 != 0 {
            valid |= bits & 0x100;
        }
        Self(valid)
    }

    /// Those of both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether these include all of the others.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether every packet is finished.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, as `tunctl features` and `Display` print them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bits, _)| self.0 & bits != 0).map(|(_, name)| name)
    }
}

impl Offloads {
    /// Whether the fields of a virtio-net header of this length suffice. Where they do not, Linux fails each
    /// receive with `EFAULT` (`__tun_vnet_hdr_put`, Linux 6.18).
    #[must_use]
    pub const fn fit(self, length: VnetLength) -> bool {
        !self.contains(Self::UDP_TUNNEL) || matches!(length, VnetLength::Tunnel)
    }
}

impl BitOr for Offloads {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for Offloads {
    fn bitor_assign(&mut self, other: Self) {
        *self = self.union(other);
    }
}

impl fmt::Display for Offloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.names().collect::<Vec<_>>().join(", "))
    }
}

impl fmt::Debug for Offloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Offloads({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Offloads; 9] = [
        Offloads::NONE,
        Offloads::CHECKSUM,
        Offloads::TSO4,
        Offloads::TSO6,
        Offloads::TSO,
        Offloads::TSO_ECN,
        Offloads::USO,
        Offloads::UDP_TUNNEL,
        Offloads::UDP_TUNNEL_CHECKSUM,
    ];

    #[test]
    fn whatever_is_joined_is_valid() {
        for joined in 0..1_u32 << ALL.len() {
            let chosen = ALL.iter().enumerate().filter(|(bit, _)| joined & (1 << bit) != 0);
            let all = chosen.fold(Offloads::NONE, |all, (_, &one)| all | one);
            assert_eq!(Offloads::from_bits(all.bits()), Some(all), "{all:?}");
        }
    }

    #[test]
    fn what_no_packet_could_have_is_no_mask() {
        // ECN without TCP, segments without checksum, half of USO, a tunnel of nothing, no kernel's bit, UFO.
        for bits in [0x08, 0x09, 0x02, 0x61 - 0x40, 0x81, 0x107, 0x200, 0x11] {
            assert_eq!(Offloads::from_bits(bits), None, "{bits:#x}");
        }
        assert_eq!(Offloads::from_bits(0x0b).unwrap().to_string(), "csum, tso4, ecn");
    }
}
