//! IP headers, and the packets that they make of messages.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::message::{Message, sum};

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// "More fragments" in the fragment field of IPv4, and of IPv6.
const V4_MORE: u16 = 0x2000;
const V6_MORE: u16 = 1;
const V4_DO_NOT_FRAGMENT: u16 = 0x4000;

pub(super) fn in_ipv4(messages: BoxedStrategy<Message>) -> BoxedStrategy<Vec<u8>> {
    (v4_heads(), messages).prop_map(|(head, message)| head.packet(message)).boxed()
}

pub(super) fn in_ipv6(messages: BoxedStrategy<Message>) -> BoxedStrategy<Vec<u8>> {
    (v6_heads(), messages).prop_map(|(head, message)| head.packet(message)).boxed()
}

/// Addresses that one host may have, and show to another: not those of the loopback interface.
pub(super) fn v4_addresses() -> BoxedStrategy<Ipv4Addr> {
    let first = prop_oneof![1..=126_u8, 128..=223_u8];
    (first, any::<[u8; 3]>()).prop_map(|(a, [b, c, d])| Ipv4Addr::new(a, b, c, d)).boxed()
}

/// Addresses that one host may have: global, unique local, link-local.
pub(super) fn v6_addresses() -> BoxedStrategy<Ipv6Addr> {
    let first = prop_oneof![2 => 0x2001..=0x2003_u16, 2 => 0xfd00..=0xfdff_u16, 1 => Just(0xfe80_u16)];
    (first, any::<[u16; 7]>())
        .prop_map(|(a, [b, c, d, e, f, g, h])| {
            if a == 0xfe80 {
                Ipv6Addr::new(a, 0, 0, 0, e, f, g, h)
            } else {
                Ipv6Addr::new(a, b, c, d, e, f, g, h)
            }
        })
        .boxed()
}

/// An IPv4 header, except the fields that follow from its packet.
#[derive(Clone, Debug)]
pub(super) struct V4Head {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    service: u8,
    identification: u16,
    do_not_fragment: bool,
    hops: u8,
    options: &'static [u8],
}

/// Router alert; nothing ten times over; an empty record route.
const V4_OPTIONS: [&[u8]; 3] = [b"\x94\x04\0\0", &[1; 40], b"\x07\x07\x04\0\0\0\0\0"];

pub(super) fn v4_heads() -> BoxedStrategy<V4Head> {
    let options = prop_oneof![9 => Just(&b""[..]), 1 => select(&V4_OPTIONS[..])];
    let fields = (any::<u8>(), any::<u16>(), any::<bool>(), 1..=u8::MAX, options);
    (v4_addresses(), v4_addresses(), fields)
        .prop_map(|(source, destination, (service, identification, do_not_fragment, hops, options))| V4Head {
            source,
            destination,
            service,
            identification,
            do_not_fragment,
            hops,
            options,
        })
        .boxed()
}

impl V4Head {
    pub(super) fn packet(self, message: Message) -> Vec<u8> {
        let number = message.number();
        let payload = message.between(self.source.into(), self.destination.into());
        let flags = if self.do_not_fragment { V4_DO_NOT_FRAGMENT } else { 0 };
        self.in_front_of(flags, number, &payload)
    }

    pub(super) fn without_options(self) -> Self {
        Self { options: b"", ..self }
    }

    /// The first of two fragments, or the second; the whole packet if it is too short to be cut.
    pub(super) fn fragment(self, message: Message, cut: &Index, first: bool) -> Vec<u8> {
        let number = message.number();
        let payload = message.between(self.source.into(), self.destination.into());
        let fragment = Fragment::of(&payload, cut, first);
        let more = if fragment.more { V4_MORE } else { 0 };
        // Some options must not be in later fragments.
        self.without_options().in_front_of(more | (fragment.offset / 8), number, fragment.part)
    }

    fn in_front_of(&self, fragment: u16, number: u8, payload: &[u8]) -> Vec<u8> {
        let length = 20 + self.options.len();
        let total = u16::try_from(length + payload.len()).unwrap_or(u16::MAX);
        let mut packet = vec![0x40 | u8::try_from(length / 4).unwrap_or_default(), self.service];
        packet.extend([total, self.identification, fragment].map(u16::to_be_bytes).as_flattened());
        packet.extend([self.hops, number, 0, 0]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(self.options);
        let sum = !sum(&packet);
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet.extend(payload);
        packet
    }
}

/// An IPv6 header with its extensions, except the fields that follow from its packet.
#[derive(Clone, Debug)]
pub(super) struct V6Head {
    source: Ipv6Addr,
    destination: Ipv6Addr,
    class_and_flow: u32,
    hops: u8,
    extensions: Vec<Extension>,
}

/// An extension header: its number, and its bytes without the number of the next one.
#[derive(Clone, Debug)]
pub(super) struct Extension {
    number: u8,
    body: Vec<u8>,
}

impl Extension {
    /// A hop-by-hop header with the option "router alert" (RFC 2711), as group reports have it.
    pub(super) fn router_alert() -> Self {
        Self { number: HOP_BY_HOP, body: vec![0, 5, 2, 0, 0, 1, 0] }
    }

    /// A header of options that has none: padding of 8 to 32 bytes.
    fn padding(number: u8, size: u8) -> Self {
        let mut body = vec![size, 1, 4 + 8 * size];
        body.resize(7 + 8 * usize::from(size), 0);
        Self { number, body }
    }

    /// A segment routing header (RFC 8754) whose packet has reached its destination.
    fn routing(destination: Ipv6Addr) -> Self {
        Self { number: ROUTING, body: [&[2, 4, 0, 0, 0, 0, 0][..], &destination.octets()].concat() }
    }

    fn fragment(offset_and_more: u16, datagram: u32) -> Self {
        let [high, low] = offset_and_more.to_be_bytes();
        Self { number: FRAGMENT, body: [&[0, high, low][..], &datagram.to_be_bytes()].concat() }
    }
}

pub(super) fn v6_heads() -> BoxedStrategy<V6Head> {
    let fields =
        (0..1_u32 << 28, 1..=u8::MAX, prop_oneof![4 => Just(None), 1 => extensions().prop_map(Some)]);
    (v6_addresses(), v6_addresses(), fields)
        .prop_map(|(source, destination, (class_and_flow, hops, extensions))| {
            let extensions = extensions.map(|chosen| chosen.list(destination)).unwrap_or_default();
            V6Head { source, destination, class_and_flow, hops, extensions }
        })
        .boxed()
}

/// Which extension headers a packet has.
#[derive(Clone, Debug)]
struct Extensions {
    hop_by_hop: Option<u8>,
    routing: bool,
    fragment: Option<u32>,
    destination: Option<u8>,
}

fn extensions() -> BoxedStrategy<Extensions> {
    let size = || proptest::option::of(0..=3_u8);
    (size(), any::<bool>(), proptest::option::weighted(0.3, any::<u32>()), size())
        .prop_map(|(hop_by_hop, routing, fragment, destination)| Extensions {
            hop_by_hop,
            routing,
            fragment,
            destination,
        })
        .boxed()
}

impl Extensions {
    /// In the order that RFC 8200 recommends.
    fn list(self, destination: Ipv6Addr) -> Vec<Extension> {
        let all = [
            self.hop_by_hop.map(|size| Extension::padding(HOP_BY_HOP, size)),
            self.routing.then(|| Extension::routing(destination)),
            // The only fragment of its datagram (RFC 6946).
            self.fragment.map(|datagram| Extension::fragment(0, datagram)),
            self.destination.map(|size| Extension::padding(DESTINATION_OPTIONS, size)),
        ];
        all.into_iter().flatten().collect()
    }
}

impl V6Head {
    pub(super) fn new(source: Ipv6Addr, destination: Ipv6Addr, hops: u8, extensions: Vec<Extension>) -> Self {
        Self { source, destination, class_and_flow: 0, hops, extensions }
    }

    pub(super) fn without_extensions(self) -> Self {
        Self { extensions: Vec::new(), ..self }
    }

    pub(super) fn packet(self, message: Message) -> Vec<u8> {
        let number = message.number();
        let payload = message.between(self.source.into(), self.destination.into());
        self.in_front_of(number, &payload)
    }

    /// The first of two fragments, or the second; the whole packet if it is too short to be cut.
    pub(super) fn fragment(mut self, message: Message, cut: &Index, first: bool, datagram: u32) -> Vec<u8> {
        let number = message.number();
        let payload = message.between(self.source.into(), self.destination.into());
        let fragment = Fragment::of(&payload, cut, first);
        let more = if fragment.more { V6_MORE } else { 0 };
        self.extensions = vec![Extension::fragment(fragment.offset | more, datagram)];
        self.in_front_of(number, fragment.part)
    }

    fn in_front_of(&self, number: u8, payload: &[u8]) -> Vec<u8> {
        let mut upper = Vec::new();
        let mut next = number;
        for extension in self.extensions.iter().rev() {
            upper.splice(0..0, [&[next][..], &extension.body].concat());
            next = extension.number;
        }
        upper.extend(payload);
        let mut packet = (6 << 28 | self.class_and_flow).to_be_bytes().to_vec();
        packet.extend(u16::try_from(upper.len()).unwrap_or(u16::MAX).to_be_bytes());
        packet.extend([next, self.hops]);
        packet.extend(self.source.octets());
        packet.extend(self.destination.octets());
        packet.extend(upper);
        packet
    }
}

/// A part of a payload.
struct Fragment<'a> {
    part: &'a [u8],
    /// In bytes.
    offset: u16,
    more: bool,
}

impl<'a> Fragment<'a> {
    /// One of the two parts that a cut at a multiple of eight bytes makes.
    fn of(payload: &'a [u8], cut: &Index, first: bool) -> Self {
        let places = payload.len().saturating_sub(1) / 8;
        if places == 0 {
            return Self { part: payload, offset: 0, more: false };
        }
        let at = 8 * (1 + cut.index(places));
        let (front, back) = payload.split_at(at);
        if first {
            Self { part: front, offset: 0, more: true }
        } else {
            Self { part: back, offset: u16::try_from(at).unwrap_or_default(), more: false }
        }
    }
}
