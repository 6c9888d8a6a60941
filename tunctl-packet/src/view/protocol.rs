//! The protocol of a packet.

use alloc::format;
use core::fmt;

use etherparse::{IpNumber, ip_number};

use crate::EtherType;

/// The innermost protocol of a packet that this crate knows, or its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// Address resolution for IPv4.
    Arp,
    /// ICMP for IPv4.
    #[doc(alias = "IPPROTO_ICMP")]
    Icmp,
    /// ICMP for IPv6, neighbor discovery and multicast listener discovery included.
    #[doc(alias = "IPPROTO_ICMPV6")]
    Icmpv6,
    /// Multicast group membership for IPv4.
    #[doc(alias = "IPPROTO_IGMP")]
    Igmp,
    /// TCP.
    #[doc(alias = "IPPROTO_TCP")]
    Tcp,
    /// UDP.
    #[doc(alias = "IPPROTO_UDP")]
    Udp,
    /// SCTP.
    #[doc(alias = "IPPROTO_SCTP")]
    Sctp,
    /// A tunnel by generic routing encapsulation.
    #[doc(alias = "IPPROTO_GRE")]
    Gre,
    /// An encrypted payload (RFC 4303).
    #[doc(alias = "IPPROTO_ESP")]
    Esp,
    /// An authentication header (RFC 4302) that is cut off. Behind a whole one, the protocol is the one that
    /// it authenticates.
    #[doc(alias = "IPPROTO_AH")]
    Ah,
    /// OSPF, which routers speak among themselves.
    Ospf,
    /// Another protocol in an IP packet, by its number (the registry is IANA's "Protocol Numbers").
    OtherIp(u8),
    /// Another protocol in an Ethernet frame. IPv4 and IPv6 are reported here if their header could not be
    /// decoded.
    OtherEther(EtherType),
}

impl Protocol {
    /// The protocol that a number means in an IP packet of this version.
    pub(crate) fn of_ip(number: u8, is_v4: bool) -> Protocol {
        match (IpNumber(number), is_v4) {
            (ip_number::ICMP, true) => Protocol::Icmp,
            (ip_number::IGMP, true) => Protocol::Igmp,
            (ip_number::IPV6_ICMP, false) => Protocol::Icmpv6,
            (ip_number::TCP, _) => Protocol::Tcp,
            (ip_number::UDP, _) => Protocol::Udp,
            (ip_number::SCTP, _) => Protocol::Sctp,
            (ip_number::GRE, _) => Protocol::Gre,
            (ip_number::ENCAP_SEC, _) => Protocol::Esp,
            (ip_number::AUTH, _) => Protocol::Ah,
            (ip_number::OSPFIGP, _) => Protocol::Ospf,
            (IpNumber(other), _) => Protocol::OtherIp(other),
        }
    }

    /// Whether its header begins with a source and a destination port.
    pub(crate) const fn has_ports(self) -> bool {
        matches!(self, Protocol::Tcp | Protocol::Udp | Protocol::Sctp)
    }
}

/// Formats the protocol as a sniffer does: `ICMPv6`, `GRE`, `IP proto 253`, `0x88cc`.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Protocol::Arp => f.pad("ARP"),
            Protocol::Icmp => f.pad("ICMP"),
            Protocol::Icmpv6 => f.pad("ICMPv6"),
            Protocol::Igmp => f.pad("IGMP"),
            Protocol::Tcp => f.pad("TCP"),
            Protocol::Udp => f.pad("UDP"),
            Protocol::Sctp => f.pad("SCTP"),
            Protocol::Gre => f.pad("GRE"),
            Protocol::Esp => f.pad("ESP"),
            Protocol::Ah => f.pad("AH"),
            Protocol::Ospf => f.pad("OSPF"),
            Protocol::OtherIp(number) => f.pad(&format!("IP proto {number}")),
            Protocol::OtherEther(ether_type) => ether_type.fmt(f),
        }
    }
}
