//! Networks: the ranges in which addresses may be.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address range: those that agree in the bits of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    prefix_length: u8,
}

/// What no policy can allow, and why.
const FORBIDDEN: [(IpAddr, u8, &str); 10] = [
    (v4(0, 0), 8, "0.0.0.0/8 is this host on this network"),
    (v4(127, 0), 8, "127.0.0.0/8 is the host itself"),
    (v4(169, 254), 16, "169.254.0.0/16 is each link's own"),
    (v4(224, 0), 4, "224.0.0.0/4 is multicast"),
    (v4(240, 0), 4, "240.0.0.0/4 is reserved"),
    (v6(0, 0), 127, "::/127 is no address, and the host itself"),
    (IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0)), 96, "::ffff:0:0/96 means IPv4"),
    (v6(0xfe80, 0), 10, "fe80::/10 is each link's own"),
    (v6(0xfec0, 0), 10, "fec0::/10 is no longer in use"),
    (v6(0xff00, 0), 8, "ff00::/8 is multicast"),
];

const fn v4(first: u8, second: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(first, second, 0, 0))
}

const fn v6(first: u16, second: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0))
}

impl Network {
    /// The network in which an address is; `None` if no prefix is as long.
    #[must_use]
    pub fn of(address: IpAddr, prefix_length: u8) -> Option<Self> {
        let shift = u32::from(width(address).checked_sub(prefix_length)?);
        let first = match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
            }
        };
        Some(Self { first, prefix_length })
    }

    /// Parses `10.8.0.0/16`. The bits behind the prefix must be zero.
    ///
    /// # Errors
    ///
    /// Why it is no network that a policy can allow.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, length) = text.split_once('/').ok_or("a network has a prefix, such as 10.8.0.0/16")?;
        let address: IpAddr = address.parse().map_err(|_| format!("`{address}` is no address"))?;
        let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
        let length = length.parse().ok().filter(|_| is_number);
        let network = length.and_then(|length| Self::of(address, length));
        let network = network.ok_or_else(|| format!("a prefix has 0 to {} bits", width(address)))?;
        if network.first != address {
            return Err(format!("the network of {text} begins at {network}"));
        }
        let forbidden = FORBIDDEN.iter().find(|(first, prefix_length, _)| {
            network.overlaps(&Self { first: *first, prefix_length: *prefix_length })
        });
        match forbidden {
            Some((_, _, why)) => Err(format!("{network} must not be allowed: {why}")),
            None => Ok(network),
        }
    }

    /// Whether all addresses of another network are in this one, too.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.prefix_length <= other.prefix_length && Self::of(other.first, self.prefix_length) == Some(*self)
    }

    /// Whether an address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other) || other.contains(self)
    }

    /// Whether it is all addresses of its family, as a default route's.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.prefix_length == 0
    }
}

const fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        let (address, length) = text.split_once('/').unwrap();
        Network::of(address.parse().unwrap(), length.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_network_contains_what_is_in_it() {
        for (outer, inner) in [
            ("10.8.0.0/16", "10.8.0.0/16"),
            ("10.8.0.0/16", "10.8.255.255/32"),
            ("0.0.0.0/0", "10.8.0.0/16"),
            ("fd77::/48", "fd77:0:0:1::/64"),
            ("::/0", "fd77::1/128"),
        ] {
            assert!(network(outer).contains(&network(inner)), "{inner} in {outer}");
            assert!(network(inner).overlaps(&network(outer)) && network(outer).overlaps(&network(inner)));
            assert!(outer == inner || !network(inner).contains(&network(outer)), "{outer} in {inner}");
        }
        for (one, other) in [
            ("10.8.0.0/16", "10.9.0.0/16"),
            ("10.8.0.0/17", "10.8.128.0/17"),
            ("0.0.0.0/0", "::/0"),
            ("fd77::/48", "fd77:0:1::/48"),
        ] {
            assert!(!network(one).overlaps(&network(other)), "{one}, {other}");
        }
    }

    #[test]
    fn what_is_no_range_for_a_policy_is_refused() {
        for text in [
            "10.8.0.0",
            "10.8.0.0/",
            "10.8.0.0/33",
            "10.8.0.0/-1",
            "10.8.0.0/+8",
            "10.8.0.1/16",
            "10.8/16",
            "010.8.0.0/16",
            "fd77::/129",
            "fd77::1/64",
            "",
            "/",
            "10.8.0.0/16/16",
            " 10.8.0.0/16",
            // Each of the ranges that no policy can allow, and what contains them.
            "0.0.0.0/0",
            "0.0.0.0/8",
            "127.0.0.0/8",
            "127.0.0.1/32",
            "126.0.0.0/7",
            "169.254.0.0/16",
            "169.254.1.0/24",
            "224.0.0.0/4",
            "239.1.2.3/32",
            "240.0.0.0/4",
            "255.255.255.255/32",
            "128.0.0.0/1",
            "::/0",
            "::/128",
            "::1/128",
            "::ffff:10.8.0.0/112",
            "fe80::/10",
            "fe80::/64",
            "ff02::/16",
            "ff00::/8",
            "fec0::/10",
            "8000::/1",
        ] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
        for text in ["10.8.0.0/16", "192.0.2.1/32", "fd77::/48", "2001:db8::1/128", "64.0.0.0/3", "2000::/3"]
        {
            assert_eq!(Network::parse(text).unwrap().to_string(), text);
        }
    }
}
