//! The addresses of an interface.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use crate::text::try_from_text;

/// An address of an interface, with its prefix length and its peer or broadcast address, if any.
///
/// As text it is an address, or an address and a prefix length; with a peer, `10.0.0.1 peer 10.0.0.2/32`.
///
/// ```
/// use tunctl_core::InterfaceAddress;
///
/// let address: InterfaceAddress = "10.1.1.1/24".parse()?;
/// assert_eq!(address.prefix_length(), 24);
/// assert_eq!(address.broadcast(), Some([10, 1, 1, 255].into()));
///
/// // Beware: without a prefix length, IPv4 takes that of the address class, and IPv6 takes 64.
/// assert_eq!("10.1.1.1".parse::<InterfaceAddress>()?.to_string(), "10.1.1.1/8");
/// assert_eq!("192.0.2.1".parse::<InterfaceAddress>()?.to_string(), "192.0.2.1/24");
/// assert_eq!("fd77::1".parse::<InterfaceAddress>()?.to_string(), "fd77::1/64");
/// # Ok::<(), tunctl_core::InvalidAddress>(())
/// ```
///
/// # Platform
///
/// The class's netmask and broadcast address are the kernel's own defaults: on Linux, `SIOCSIFADDR` applies
/// them to a tap, and `/32` without broadcast to a tun. This library applies the same to both layers.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct InterfaceAddress {
    address: IpAddr,
    prefix_length: u8,
    peer: Option<IpAddr>,
    broadcast: Option<Ipv4Addr>,
}

impl InterfaceAddress {
    /// An address with a prefix length, in bits.
    ///
    /// # Errors
    ///
    /// No interface can have the address, or the prefix is longer than the address.
    pub fn new(address: impl Into<IpAddr>, prefix_length: u8) -> Result<Self, InvalidAddress> {
        let address = unicast(address.into())?;
        let longest = longest_prefix(address);
        if prefix_length > longest {
            return Err(InvalidAddress::PrefixTooLong { prefix_length, longest });
        }
        Ok(Self::at(address, prefix_length))
    }

    /// An address with the prefix length of its class (IPv4) or 64 (IPv6).
    ///
    /// Classes went out of use in 1993: `10.1.1.1` becomes `10.1.1.1/8`, and takes the traffic of all of
    /// `10.0.0.0/8`. Specify the prefix length, unless you want what Erlang's `tunctl` and `ifconfig` do.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress::NotUnicast`]: no interface can have the address.
    pub fn with_class_prefix(address: impl Into<IpAddr>) -> Result<Self, InvalidAddress> {
        let address = unicast(address.into())?;
        let prefix_length = match address {
            IpAddr::V4(address) => class_prefix_length(address),
            IpAddr::V6(_) => 64,
        };
        Ok(Self::at(address, prefix_length))
    }

    /// The address of one end of a point-to-point link whose other end is `peer`. The prefix is the peer's.
    /// It has the peer's whole length unless [`with_prefix_length`](Self::with_prefix_length) changes it.
    ///
    /// # Errors
    ///
    /// No interface can have one of the two addresses, or they are of different families.
    #[doc(alias = "SIOCSIFDSTADDR")]
    #[doc(alias = "dstaddr")]
    pub fn point_to_point(
        address: impl Into<IpAddr>,
        peer: impl Into<IpAddr>,
    ) -> Result<Self, InvalidAddress> {
        let (address, peer) = (unicast(address.into())?, unicast(peer.into())?);
        if address.is_ipv4() != peer.is_ipv4() {
            return Err(InvalidAddress::FamiliesDiffer);
        }
        Ok(Self { address, prefix_length: longest_prefix(address), peer: Some(peer), broadcast: None })
    }

    /// This address with another prefix length. The broadcast address is derived again from the new prefix.
    ///
    /// # Errors
    ///
    /// The prefix is longer than the address.
    pub fn with_prefix_length(self, prefix_length: u8) -> Result<Self, InvalidAddress> {
        let fresh = Self::new(self.address, prefix_length)?;
        Ok(match self.peer {
            None => fresh,
            Some(_) => Self { prefix_length, ..self },
        })
    }

    /// This address with another broadcast address, or with none.
    ///
    /// # Errors
    ///
    /// [`InvalidAddress::NoBroadcast`]: IPv6 has no broadcast.
    #[doc(alias = "SIOCSIFBRDADDR")]
    pub fn with_broadcast(mut self, broadcast: Option<Ipv4Addr>) -> Result<Self, InvalidAddress> {
        if broadcast.is_some() && self.address.is_ipv6() {
            return Err(InvalidAddress::NoBroadcast);
        }
        self.broadcast = broadcast;
        Ok(self)
    }

    fn at(address: IpAddr, prefix_length: u8) -> Self {
        let broadcast = match address {
            IpAddr::V4(address) => derived_broadcast(address, prefix_length),
            IpAddr::V6(_) => None,
        };
        Self { address, prefix_length, peer: None, broadcast }
    }

    /// Takes over an address that a kernel reported, whatever it is.
    #[must_use]
    pub const fn from_kernel(
        address: IpAddr,
        prefix_length: u8,
        peer: Option<IpAddr>,
        broadcast: Option<Ipv4Addr>,
    ) -> Self {
        Self { address, prefix_length, peer, broadcast }
    }

    /// The interface's own address.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// How many leading bits identify the network (the peer's, if there is a peer).
    #[must_use]
    pub const fn prefix_length(&self) -> u8 {
        self.prefix_length
    }

    /// The other end of a point-to-point link.
    #[must_use]
    pub const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The broadcast address. With a prefix of 30 bits or less and no peer it is the network's last address,
    /// unless [`with_broadcast`](Self::with_broadcast) changed it.
    #[must_use]
    pub const fn broadcast(&self) -> Option<Ipv4Addr> {
        self.broadcast
    }

    /// Whether it is an IPv6 link-local address. Most likely the kernel itself added such an address.
    #[must_use]
    pub const fn is_link_local(&self) -> bool {
        match self.address {
            IpAddr::V6(address) => address.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        }
    }

    /// Whether a kernel treats the two as the same: equal address, prefix length and peer, with any broadcast
    /// address.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        (self.address, self.prefix_length, self.peer) == (other.address, other.prefix_length, other.peer)
    }
}

impl FromStr for InterfaceAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if let Some((address, peer)) = text.split_once(" peer ") {
            let address: IpAddr = address.parse().map_err(|_| InvalidAddress::NotAnAddress)?;
            let peer: Self = peer.parse()?;
            return Self::point_to_point(address, peer.address)?.with_prefix_length(peer.prefix_length);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidAddress::NotAnAddress)?;
        match prefix {
            None => Self::with_class_prefix(address),
            // The standard parser would accept a sign.
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let length = digits.parse().map_err(|_| InvalidAddress::NotAPrefix)?;
                Self::new(address, length)
            }
            Some(_) => Err(InvalidAddress::NotAPrefix),
        }
    }
}

try_from_text!(InterfaceAddress, InvalidAddress);

impl fmt::Debug for InterfaceAddress {
    /// The text, and a broadcast address that is not the prefix's own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        let derived = match (self.address, self.peer) {
            (IpAddr::V4(address), None) => derived_broadcast(address, self.prefix_length),
            _ => None,
        };
        match self.broadcast {
            broadcast if broadcast == derived => Ok(()),
            Some(broadcast) => write!(f, " brd {broadcast}"),
            None => f.write_str(" brd none"),
        }
    }
}

impl fmt::Display for InterfaceAddress {
    /// `10.1.1.1/8`, or `10.1.1.1 peer 10.1.1.2/32`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            None => write!(f, "{}/{}", self.address, self.prefix_length),
            Some(peer) => write!(f, "{} peer {peer}/{}", self.address, self.prefix_length),
        }
    }
}

/// Why something is not the address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAddress {
    /// The text is neither an IPv4 nor an IPv6 address.
    #[error("not an IPv4 or IPv6 address (such as 10.1.1.1, 10.1.1.1/24 or fd77::1/64)")]
    NotAnAddress,
    /// The text after `/` is not a number of bits. (A netmask such as 255.0.0.0 is not one either.)
    #[error("the text after the / must be a prefix length: a number of bits")]
    NotAPrefix,
    /// The prefix has more bits than the address.
    #[error("a prefix of {prefix_length} bits is longer than the address, which has {longest}")]
    PrefixTooLong {
        /// The specified number of bits.
        prefix_length: u8,
        /// The bits of the address.
        longest: u8,
    },
    /// No interface can have the address: IPv4's 0/8, class D (multicast) or E (reserved, broadcast), IPv6's
    /// `::`, `::1`, multicast or IPv4-mapped addresses.
    #[error("{address} cannot be the address of an interface: {why}")]
    NotUnicast {
        /// The address.
        address: IpAddr,
        /// What the address is instead.
        why: &'static str,
    },
    /// An IPv4 address with an IPv6 peer, or the reverse.
    #[error("an address and its peer must both be IPv4, or both IPv6")]
    FamiliesDiffer,
    /// A broadcast address for IPv6.
    #[error("IPv6 has no broadcast address")]
    NoBroadcast,
}

fn unicast(address: IpAddr) -> Result<IpAddr, InvalidAddress> {
    let why = match address {
        IpAddr::V4(v4) => match v4.octets()[0] {
            0 => Some("0.0.0.0/8 means \"this network\""),
            224..=239 => Some("class D is for multicast"),
            240..=255 => Some("class E is reserved"),
            _ => None,
        },
        IpAddr::V6(v6) if v6.is_unspecified() => Some("it means \"no address\""),
        IpAddr::V6(v6) if v6.is_loopback() => Some("it belongs to the loopback interface"),
        IpAddr::V6(v6) if v6.is_multicast() => Some("it is a multicast group"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("it is an IPv4 address: write it as one"),
        IpAddr::V6(_) => None,
    };
    match why {
        Some(why) => Err(InvalidAddress::NotUnicast { address, why }),
        None => Ok(address),
    }
}

fn class_prefix_length(address: Ipv4Addr) -> u8 {
    match address.octets()[0] {
        0..=127 => 8,
        128..=191 => 16,
        _ => 24,
    }
}

const fn longest_prefix(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn derived_broadcast(address: Ipv4Addr, prefix_length: u8) -> Option<Ipv4Addr> {
    // A network of one or two addresses has none to spare for broadcast (RFC 3021).
    (prefix_length <= 30).then(|| Ipv4Addr::from_bits(address.to_bits() | (u32::MAX >> prefix_length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<InterfaceAddress, InvalidAddress> {
        text.parse()
    }

    #[test]
    fn an_ipv4_address_alone_takes_netmask_and_broadcast_of_its_class() {
        for (text, prefix, broadcast) in [
            ("1.2.3.4", 8, "1.255.255.255"),
            ("10.1.1.1", 8, "10.255.255.255"),
            ("127.0.0.1", 8, "127.255.255.255"),
            ("128.0.0.1", 16, "128.0.255.255"),
            ("172.16.5.1", 16, "172.16.255.255"),
            ("191.255.0.1", 16, "191.255.255.255"),
            ("192.0.0.1", 24, "192.0.0.255"),
            ("223.255.255.1", 24, "223.255.255.255"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.prefix_length(), prefix, "{text}");
            assert_eq!(address.broadcast(), Some(broadcast.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn what_no_interface_can_have_is_refused() {
        for text in ["0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1/24", "240.0.0.1", "255.255.255.255/32"] {
            assert!(matches!(parse(text), Err(InvalidAddress::NotUnicast { .. })), "{text}");
        }
        for text in ["::", "::1", "ff02::1", "::ffff:10.0.0.1"] {
            assert!(matches!(parse(text), Err(InvalidAddress::NotUnicast { .. })), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "10.1.1", "10.1.1.1.1", "10.1.1.256", "host", " 10.1.1.1", "10.01.1.1"] {
            assert_eq!(parse(text), Err(InvalidAddress::NotAnAddress), "{text:?}");
        }
        for text in
            ["10.1.1.1/", "10.1.1.1/x", "10.1.1.1/+8", "10.1.1.1/-1", "10.1.1.1/8/8", "10.1.1.1/255.0.0.0"]
        {
            assert_eq!(parse(text), Err(InvalidAddress::NotAPrefix), "{text:?}");
        }
        let too_long = |prefix_length, longest| Err(InvalidAddress::PrefixTooLong { prefix_length, longest });
        assert_eq!(parse("10.1.1.1/33"), too_long(33, 32));
        assert_eq!(parse("fd77::1/129"), too_long(129, 128));
        assert_eq!(parse("fd77::1/128").unwrap().prefix_length(), 128);
    }

    #[test]
    fn broadcast_follows_from_the_prefix_where_there_is_room() {
        let broadcast = |text| parse(text).unwrap().broadcast();
        assert_eq!(broadcast("10.1.1.1/30"), Some([10, 1, 1, 3].into()));
        assert_eq!(broadcast("10.1.1.1/0"), Some([255; 4].into()));
        assert_eq!(broadcast("10.1.1.1/31"), None);
        assert_eq!(broadcast("10.1.1.1/32"), None);
        assert_eq!(broadcast("fd77::1/64"), None);
        let explicit = parse("10.1.1.1/24").unwrap().with_broadcast(Some([10, 1, 1, 0].into())).unwrap();
        assert_eq!(explicit.broadcast(), Some([10, 1, 1, 0].into()));
        assert_eq!(explicit.with_broadcast(None).unwrap().broadcast(), None);
        let v6 = parse("fd77::1").unwrap();
        assert_eq!(v6.with_broadcast(Some([10, 1, 1, 0].into())), Err(InvalidAddress::NoBroadcast));
    }

    #[test]
    fn a_peer_takes_a_whole_prefix_unless_told() {
        let ends = InterfaceAddress::point_to_point([10, 0, 0, 1], [10, 0, 0, 2]).unwrap();
        assert_eq!(ends.to_string(), "10.0.0.1 peer 10.0.0.2/32");
        assert_eq!(ends.broadcast(), None);
        assert_eq!(ends.with_prefix_length(24).unwrap().to_string(), "10.0.0.1 peer 10.0.0.2/24");
        assert_eq!(parse(&ends.to_string()), Ok(ends));
        assert_eq!(parse("10.0.0.1/8 peer 10.0.0.2/32"), Err(InvalidAddress::NotAnAddress));
        let mixed = InterfaceAddress::point_to_point([10, 0, 0, 1], [0xfd77, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!(mixed, Err(InvalidAddress::FamiliesDiffer));
        assert!(InterfaceAddress::point_to_point([10, 0, 0, 1], [224, 0, 0, 2]).is_err());
    }

    #[test]
    fn in_a_failed_test_it_is_its_text_and_what_that_leaves_out() {
        let shown = |text: &str| format!("{:?}", text.parse::<InterfaceAddress>().unwrap());
        for text in ["10.1.1.1/24", "10.0.0.1 peer 10.0.0.2/32", "fd77::1/64"] {
            assert_eq!(shown(text), text);
        }
        let address: InterfaceAddress = "10.1.1.1/24".parse().unwrap();
        assert_eq!(format!("{:?}", address.with_broadcast(None).unwrap()), "10.1.1.1/24 brd none");
        let other = address.with_broadcast(Some([10, 9, 9, 9].into())).unwrap();
        assert_eq!(format!("{other:?}"), "10.1.1.1/24 brd 10.9.9.9");
    }
}
