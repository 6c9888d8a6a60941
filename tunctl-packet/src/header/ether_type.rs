//! The number of the protocol in an Ethernet frame.

use alloc::format;
use core::fmt;

/// The protocol in an Ethernet frame, or behind [packet information](crate::PacketInfo): a number of IEEE
/// 802.
///
/// The value is in host byte order; on the wire it is big endian. Any value is allowed; the constants name
/// the types that this crate decodes. In an Ethernet frame, a value below 0x0600 is not a type but the length
/// of an IEEE 802.3 frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EtherType(pub u16);

impl EtherType {
    /// An IPv4 packet.
    #[doc(alias = "ETH_P_IP")]
    pub const IPV4: EtherType = EtherType(0x0800);
    /// An ARP message.
    #[doc(alias = "ETH_P_ARP")]
    pub const ARP: EtherType = EtherType(0x0806);
    /// An IEEE 802.1Q tag, with another type behind it.
    #[doc(alias = "ETH_P_8021Q")]
    pub const VLAN: EtherType = EtherType(0x8100);
    /// An IPv6 packet.
    #[doc(alias = "ETH_P_IPV6")]
    pub const IPV6: EtherType = EtherType(0x86DD);

    /// A packet behind MPLS labels.
    #[doc(alias = "ETH_P_MPLS_UC")]
    pub const MPLS: EtherType = EtherType(0x8847);
    /// A packet to a group, behind MPLS labels.
    #[doc(alias = "ETH_P_MPLS_MC")]
    pub const MPLS_MULTICAST: EtherType = EtherType(0x8848);
    /// A packet of a PPPoE session.
    #[doc(alias = "ETH_P_PPP_SES")]
    pub const PPPOE: EtherType = EtherType(0x8864);

    /// The smallest value that is a type. A smaller value is the length of an IEEE 802.3 frame.
    #[doc(alias = "ETH_P_802_3_MIN")]
    pub(crate) const MIN: EtherType = EtherType(0x0600);

    /// The type of an IP packet, by the version in its first nibble; `None` if that is neither 4 nor 6.
    pub(crate) fn of_ip(packet: &[u8]) -> Option<EtherType> {
        match packet.first()? >> 4 {
            4 => Some(EtherType::IPV4),
            6 => Some(EtherType::IPV6),
            _ => None,
        }
    }
}

/// Formats the name of a type that has a constant here, and other types as in `0x88cc`.
impl fmt::Display for EtherType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EtherType::IPV4 => f.pad("IPv4"),
            EtherType::ARP => f.pad("ARP"),
            EtherType::VLAN => f.pad("VLAN"),
            EtherType::IPV6 => f.pad("IPv6"),
            EtherType::MPLS | EtherType::MPLS_MULTICAST => f.pad("MPLS"),
            EtherType::PPPOE => f.pad("PPPoE"),
            EtherType(other) => f.pad(&format!("{other:#06x}")),
        }
    }
}

impl From<u16> for EtherType {
    fn from(value: u16) -> EtherType {
        EtherType(value)
    }
}

impl From<EtherType> for u16 {
    fn from(value: EtherType) -> u16 {
        value.0
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use super::EtherType;

    #[test]
    fn displays_by_name_or_number() {
        assert_eq!(EtherType::IPV6.to_string(), "IPv6");
        assert_eq!(EtherType(0x88cc).to_string(), "0x88cc");
        assert_eq!(format!("{:>8}", EtherType(0x26)), "  0x0026");
    }
}
