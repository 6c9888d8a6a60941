//! What the words of an expression mean, as conditions on a packet's bytes.
//!
//! Each condition loads in the order in which libpcap's does, because a load past the end of a packet drops
//! it: so a packet that is cut off has the same fate.

use core::net::{Ipv4Addr, Ipv6Addr};
use core::ops::RangeInclusive;

use super::condition::{Condition, Source};
use crate::bpf::{Comparison, Size};
use crate::{EtherType, Layer};

const RARP: u16 = 0x8035;
/// The types of VLAN tags: 802.1Q, 802.1ad, and the one that was used before 802.1ad had its own.
const TAGS: &[u16] = &[EtherType::VLAN.0, 0x88a8, 0x9100];
/// The bits of a tag that are the number of the VLAN.
const VLAN_ID: u32 = 0x0fff;
/// The next header of IPv6 that says that a fragment header follows.
const FRAGMENT: u8 = 44;

/// The protocols that have ports, in libpcap's order: SCTP, TCP, UDP.
const WITH_PORTS: &[u8] = &[132, 6, 17];

/// Whose address or port it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Source,
    Destination,
    Either,
    Both,
}

impl Direction {
    /// The condition on the sender's part, on the receiver's, or on both.
    fn choose(self, part: impl Fn(Side) -> Condition) -> Condition {
        match self {
            Direction::Source => part(Side::Source),
            Direction::Destination => part(Side::Destination),
            Direction::Either => part(Side::Source).or(part(Side::Destination)),
            Direction::Both => part(Side::Source).and(part(Side::Destination)),
        }
    }
}

/// One of the two parties of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Source,
    Destination,
}

impl Side {
    fn pick(self, source: u32, destination: u32) -> u32 {
        match self {
            Side::Source => source,
            Side::Destination => destination,
        }
    }
}

/// Where the headers of a packet are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    layer: Layer,
    /// The VLAN tags between the MAC addresses of a frame and its type.
    tags: u32,
}

impl Link {
    pub(super) const fn new(layer: Layer) -> Link {
        Link { layer, tags: 0 }
    }

    pub(super) const fn layer(self) -> Layer {
        self.layer
    }

    /// The same behind one more VLAN tag.
    pub(super) const fn behind_tag(self) -> Link {
        Link { tags: self.tags + 1, ..self }
    }

    /// Where the type of a frame is.
    const fn ether_type(self) -> u32 {
        12 + 4 * self.tags
    }

    /// Where the header of the network layer begins.
    const fn network(self) -> u32 {
        match self.layer {
            Layer::Tun => 0,
            Layer::Tap => self.ether_type() + 2,
        }
    }
}

/// The frame has this type. On a tun, the version of the IP header stands for it, and no packet has another
/// type.
pub(super) fn ether_type(link: Link, number: u16) -> Condition {
    match (link.layer, EtherType(number)) {
        (Layer::Tap, _) => Condition::equal(link.ether_type(), Size::Half, number.into()),
        (Layer::Tun, EtherType::IPV4) => Condition::masked(0, Size::Byte, 0xf0, 0x40),
        (Layer::Tun, EtherType::IPV6) => Condition::masked(0, Size::Byte, 0xf0, 0x60),
        (Layer::Tun, _) => Condition::Never,
    }
}

/// The frame has a VLAN tag here, of any of the three types, and of this VLAN if there is one.
pub(super) fn vlan(link: Link, id: Option<u16>) -> Condition {
    let tagged = TAGS.iter().fold(Condition::Never, |any, &tag| any.or(ether_type(link, tag)));
    match id {
        None => tagged,
        Some(id) => tagged.and(Condition::masked(link.network(), Size::Half, VLAN_ID, id.into())),
    }
}

pub(super) fn ipv4(link: Link) -> Condition {
    ether_type(link, EtherType::IPV4.0)
}

pub(super) fn ipv6(link: Link) -> Condition {
    ether_type(link, EtherType::IPV6.0)
}

pub(super) fn arp(link: Link) -> Condition {
    ether_type(link, EtherType::ARP.0)
}

pub(super) fn rarp(link: Link) -> Condition {
    ether_type(link, RARP)
}

/// The protocol in an IPv4 packet.
pub(super) fn ipv4_protocol(link: Link, number: u8) -> Condition {
    ipv4(link).and(Condition::equal(link.network() + 9, Size::Byte, number.into()))
}

/// The protocol in an IPv6 packet: that of its first header, or of a fragment header that follows at once.
/// Other extension headers are not looked behind.
pub(super) fn ipv6_protocol(link: Link, number: u8) -> Condition {
    let next = |number: u8| Condition::equal(link.network() + 6, Size::Byte, number.into());
    let in_fragment = Condition::equal(link.network() + 40, Size::Byte, number.into());
    ipv6(link).and(next(number).or(next(FRAGMENT).and(in_fragment)))
}

/// The protocol in an IP packet of either version.
pub(super) fn ip_protocol(link: Link, number: u8) -> Condition {
    ipv4_protocol(link, number).or(ipv6_protocol(link, number))
}

/// An address of an IPv4 packet.
pub(super) fn ipv4_net(link: Link, direction: Direction, address: Ipv4Addr, mask: u32) -> Condition {
    let at = |side: Side| link.network() + side.pick(12, 16);
    let part = |side| Condition::masked(at(side), Size::Word, mask, address.to_bits());
    ipv4(link).and(direction.choose(part))
}

/// A protocol address of an ARP message for IPv4, or of one of RARP, which has the same form.
pub(super) fn arp_net(
    link: Link,
    kind: Condition,
    direction: Direction,
    address: Ipv4Addr,
    mask: u32,
) -> Condition {
    let at = |side: Side| link.network() + side.pick(14, 24);
    kind.and(direction.choose(|side| Condition::masked(at(side), Size::Word, mask, address.to_bits())))
}

/// An address of an IPv6 packet.
pub(super) fn ipv6_net(link: Link, direction: Direction, address: Ipv6Addr, mask: u128) -> Condition {
    let words = |number: u128| [96, 64, 32, 0].map(|below| low_word(number >> below));
    let part = |side: Side| {
        let words = words(mask).into_iter().zip(words(address.to_bits()));
        let offsets = (link.network() + side.pick(8, 24)..).step_by(4);
        words.zip(offsets).fold(Condition::Always, |all, ((mask, value), offset)| {
            all.and(Condition::masked(offset, Size::Word, mask, value))
        })
    };
    ipv6(link).and(direction.choose(part))
}

const fn low_word(number: u128) -> u32 {
    #[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
    let word = number as u32;
    word
}

/// A MAC address of a frame.
pub(super) fn mac(direction: Direction, [a, b, rest @ ..]: [u8; 6]) -> Condition {
    direction.choose(|side| {
        let start = side.pick(6, 0);
        let end = Condition::equal(start + 2, Size::Word, u32::from_be_bytes(rest));
        end.and(Condition::equal(start, Size::Half, u16::from_be_bytes([a, b]).into()))
    })
}

/// The frame goes to a group.
pub(super) const fn ether_multicast() -> Condition {
    Condition::compared(Source::Packet { offset: 0, size: Size::Byte }, Comparison::AnyBit, 1)
}

/// The packet goes to a group of IPv4, or to everybody: its address begins with 224 or more.
pub(super) fn ipv4_multicast(link: Link) -> Condition {
    let source = Source::Packet { offset: link.network() + 16, size: Size::Byte };
    ipv4(link).and(Condition::compared(source, Comparison::AtLeast, 224))
}

/// The packet goes to a group of IPv6.
pub(super) fn ipv6_multicast(link: Link) -> Condition {
    ipv6(link).and(Condition::equal(link.network() + 24, Size::Byte, 0xff))
}

/// The packet has at least so many bytes.
pub(super) const fn at_least(bytes: u32) -> Condition {
    Condition::compared(Source::Length, Comparison::AtLeast, bytes)
}

/// The packet has at most so many bytes.
pub(super) fn at_most(bytes: u32) -> Condition {
    Condition::compared(Source::Length, Comparison::Greater, bytes).not()
}

/// A port of this protocol, or of any that has ports, is in the range.
///
/// Behind IPv4, a later fragment has no ports. Behind IPv6, the ports are where they are without extension
/// headers, and only if the first header says that they are.
pub(super) fn ports(
    link: Link,
    protocol: Option<u8>,
    direction: Direction,
    range: &RangeInclusive<u16>,
) -> Condition {
    let network = link.network();
    let protocols = protocol.as_slice();
    let protocols = if protocols.is_empty() { WITH_PORTS } else { protocols };
    let is_one_of = |offset: u32| {
        protocols.iter().fold(Condition::Never, |any, &number| {
            any.or(Condition::equal(offset, Size::Byte, number.into()))
        })
    };
    let port = |source: Source| {
        let (least, most) = (u32::from(*range.start()), u32::from(*range.end()));
        if least == most {
            return Condition::compared(source, Comparison::Equal, least);
        }
        let at_most = Condition::compared(source, Comparison::Greater, most).not();
        Condition::compared(source, Comparison::AtLeast, least).and(at_most)
    };
    let behind_ipv6 = direction
        .choose(|side| port(Source::Packet { offset: network + 40 + side.pick(0, 2), size: Size::Half }));
    let behind_ipv4 =
        direction.choose(|side| port(Source::BehindIpv4 { header: network, offset: side.pick(0, 2) }));
    let fragment_offset = Source::Packet { offset: network + 6, size: Size::Half };
    let is_first = Condition::compared(fragment_offset, Comparison::AnyBit, 0x1fff).not();
    let in_ipv6 = ipv6(link).and(is_one_of(network + 6)).and(behind_ipv6);
    let in_ipv4 = ipv4(link).and(is_one_of(network + 9)).and(is_first).and(behind_ipv4);
    in_ipv6.or(in_ipv4)
}
