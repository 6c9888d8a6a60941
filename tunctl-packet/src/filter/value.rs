//! Addresses, networks, ports and numbers in an expression.

use alloc::format;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use super::qualifiers::Message;

/// The numbers of protocols in IP that have a name here.
const IP_PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmp6", 58),
    ("ipv6-icmp", 58),
    ("pim", 103),
    ("vrrp", 112),
    ("sctp", 132),
];

const ETHER_TYPES: &[(&str, u16)] = &[("ip", 0x0800), ("arp", 0x0806), ("rarp", 0x8035), ("ip6", 0x86dd)];

/// The least number that is a type, and not the length of an IEEE 802.3 frame.
const LEAST_ETHER_TYPE: u16 = 0x0600;

/// The largest number in a VLAN tag.
const VLAN_MAX: u16 = 4095;

/// The number of a protocol in IP that has this name.
pub(super) fn named_ip_protocol(name: &str) -> Option<u8> {
    IP_PROTOCOLS.iter().find(|(known, _)| *known == name).map(|&(_, number)| number)
}

/// A protocol in IP, by number or name.
pub(super) fn ip_protocol(text: &str) -> Result<u8, Message> {
    let name = text.strip_prefix('\\').unwrap_or(text);
    if let Some(number) = named_ip_protocol(name) {
        return Ok(number);
    }
    let number = number(text).and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| format!("`{text}` is no protocol in IP: a number up to 255, or a name").into())
}

/// A type of Ethernet, by number or name.
pub(super) fn ether_type(text: &str) -> Result<u16, Message> {
    let name = text.strip_prefix('\\').unwrap_or(text);
    if let Some(&(_, number)) = ETHER_TYPES.iter().find(|(known, _)| *known == name) {
        return Ok(number);
    }
    let number = number(text).and_then(|number| u16::try_from(number).ok());
    let number = number.filter(|number| *number >= LEAST_ETHER_TYPE);
    number.ok_or_else(|| format!("`{text}` is no type of Ethernet: 0x600 to 0xffff, or a name").into())
}

/// A decimal or hexadecimal number. One that begins with a zero is octal elsewhere, so it is none here.
pub(super) fn number(text: &str) -> Option<u32> {
    let digits = |text: &str, radix| {
        // A sign, which `from_str_radix` takes, is no digit.
        let all_are = text.chars().all(|c| c.is_digit(radix));
        if all_are { u32::from_str_radix(text, radix).ok() } else { None }
    };
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hexadecimal) => digits(hexadecimal, 16),
        None if text.len() > 1 && text.starts_with('0') => None,
        None => digits(text, 10),
    }
}

/// The number of a VLAN.
pub(super) fn vlan(text: &str) -> Result<u16, Message> {
    number(text)
        .and_then(|number| u16::try_from(number).ok())
        .filter(|number| *number <= VLAN_MAX)
        .ok_or_else(|| format!("`{text}` is no VLAN: a number up to {VLAN_MAX}").into())
}

pub(super) fn port(text: &str) -> Result<u16, Message> {
    number(text)
        .and_then(|number| u16::try_from(number).ok())
        .ok_or_else(|| format!("`{text}` is no port: write its number, up to 65535").into())
}

/// Two ports with a hyphen between them, the smaller one first or last; or one.
pub(super) fn ports(text: &str) -> Result<RangeInclusive<u16>, Message> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    Ok(first.min(last)..=first.max(last))
}

/// A MAC address, with colons or hyphens.
pub(super) fn mac(text: &str) -> Option<[u8; 6]> {
    let separator = if text.contains(':') { ':' } else { '-' };
    let mut octets = [0; 6];
    let mut parts = text.split(separator);
    for octet in &mut octets {
        let part = parts.next().filter(|part| matches!(part.len(), 1 | 2))?;
        *octet =
            part.chars().try_fold(0, |octet, c| Some(octet << 4 | u8::try_from(c.to_digit(16)?).ok()?))?;
    }
    parts.next().is_none().then_some(octets)
}

/// An address and a mask, of either version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    V4(Ipv4Addr, u32),
    V6(Ipv6Addr, u128),
}

/// The address of a host, whole.
pub(super) fn host(text: &str) -> Option<Net> {
    let v4 = text.parse().map(|address| Net::V4(address, u32::MAX));
    v4.or_else(|_| text.parse().map(|address| Net::V6(address, u128::MAX))).ok()
}

/// A network: an address with a prefix length; a whole address, which is a network of its own; or the first
/// octets of an IPv4 address, which are the prefix.
pub(super) fn net(text: &str) -> Result<Net, Message> {
    let (address, length) = text.split_once('/').map_or((text, None), |(a, length)| (a, Some(length)));
    let unknown =
        || Message::from(format!("`{text}` is no network: write it as `10.0.0.0/8` or `fd77::/16`"));
    let found = host(address).or_else(|| first_octets(address)).ok_or_else(unknown)?;
    let Some(length) = length else { return Ok(found) };
    let most: u32 = if matches!(found, Net::V4(..)) { 32 } else { 128 };
    let length = number(length)
        .filter(|length| *length <= most)
        .ok_or_else(|| format!("`{length}` is no prefix length: 0 to {most}"))?;
    // A shift by all bits leaves none.
    let found = match found {
        Net::V4(address, _) => Net::V4(address, u32::MAX.checked_shl(32 - length).unwrap_or(0)),
        Net::V6(address, _) => Net::V6(address, u128::MAX.checked_shl(128 - length).unwrap_or(0)),
    };
    found.checked()
}

/// An IPv4 network by its address and its mask.
pub(super) fn masked(address: &str, mask: &str) -> Result<Net, Message> {
    let [address, mask] = [address, mask].map(|text| {
        text.parse::<Ipv4Addr>().map_err(|_| format!("`{text}` is no IPv4 address, which a mask takes"))
    });
    Net::V4(address?, mask?.to_bits()).checked()
}

impl Net {
    /// The same, unless the address has bits that the mask has not: no packet could match.
    fn checked(self) -> Result<Net, Message> {
        let stray = match self {
            Net::V4(address, mask) => address.to_bits() & !mask != 0,
            Net::V6(address, mask) => address.to_bits() & !mask != 0,
        };
        let why = "the address has bits beyond its prefix: no packet would match";
        if stray { Err(why.into()) } else { Ok(self) }
    }
}

/// `10`, `192.168`, `10.1.2`.
fn first_octets(text: &str) -> Option<Net> {
    let mut octets = [0; 4];
    let mut bits = 0;
    for part in text.split('.') {
        *octets.get_mut(bits)? = u8::try_from(number(part)?).ok()?;
        bits += 1;
    }
    let mask = u32::MAX.checked_shl(32 - 8 * u32::try_from(bits).ok()?)?;
    Some(Net::V4(octets.into(), mask))
}
