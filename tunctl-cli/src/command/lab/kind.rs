//! The kinds of request, with their targets and payloads.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Serialize;

use super::{ADDRESS_V4, ADDRESS_V6};

/// RFC 862.
pub(super) const ECHO_PORT: u16 = 7;

/// The four kinds of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Icmp,
    Icmpv6,
    Udp4,
    Udp6,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Icmp, Self::Icmpv6, Self::Udp4, Self::Udp6];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Icmp => "ICMP",
            Self::Icmpv6 => "ICMPv6",
            Self::Udp4 => "UDP/IPv4",
            Self::Udp6 => "UDP/IPv6",
        }
    }

    /// The target of a round: another host each time, to show that every host answers.
    pub(super) fn target(self, sequence: u16) -> SocketAddr {
        let host = 2 + sequence % 250;
        let v4 = || IpAddr::V4(Ipv4Addr::from_bits(ADDRESS_V4.to_bits() + u32::from(host) - 1));
        let v6 = || IpAddr::V6(Ipv6Addr::from_bits(ADDRESS_V6.to_bits() + u128::from(host) - 1));
        match self {
            // The port of a raw socket's address must be 0.
            Self::Icmp => (v4(), 0).into(),
            Self::Icmpv6 => (v6(), 0).into(),
            Self::Udp4 => (v4(), ECHO_PORT).into(),
            Self::Udp6 => (v6(), ECHO_PORT).into(),
        }
    }
}

/// The payload of a request: 48 bytes, as many as ping sends by default besides its timestamp. It begins with
/// the number of the request.
pub(super) fn payload(sequence: u16) -> [u8; 48] {
    let mut payload = [b'.'; 48];
    payload[..2].copy_from_slice(&sequence.to_be_bytes());
    payload
}

/// The number of the request that a payload belongs to.
pub(super) fn sequence(payload: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(*payload.first_chunk()?))
}

/// The identifier of the lab's echo requests, from the process id, as ping has it.
pub(super) fn identifier() -> u16 {
    u16::from_ne_bytes(*std::process::id().to_ne_bytes().first_chunk().unwrap_or(&[0; 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_asks_another_host_and_none_asks_the_kernel() {
        assert_eq!(Kind::Icmp.target(0).to_string(), "10.77.0.2:0");
        assert_eq!(Kind::Udp4.target(249).to_string(), "10.77.0.251:7");
        assert_eq!(Kind::Udp6.target(250).to_string(), "[fd77::2]:7");
    }

    #[test]
    fn a_payload_bears_its_number() {
        assert_eq!(sequence(&payload(0x1234)), Some(0x1234));
        assert_eq!(sequence(&[1]), None);
    }
}
