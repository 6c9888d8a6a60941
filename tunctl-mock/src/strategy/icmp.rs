//! ICMP and ICMPv6.

use std::net::Ipv6Addr;

use proptest::prelude::*;
use proptest::sample::select;

use super::ip::{Extension, V6Head, in_ipv4, in_ipv6, v6_addresses};
use super::message::{ICMP, ICMPV6, Message, payloads, udp_messages};

/// As many bytes as an ICMPv6 error may quote: it fits the least MTU of IPv6, with extension headers.
const MOST_QUOTED: usize = 1280 - 40 - 8 - 96;

/// Well-formed ICMP in IPv4: echo requests and replies, and errors that quote a packet.
pub fn icmp_packets() -> impl Strategy<Value = Vec<u8>> {
    in_ipv4(icmp_messages()).boxed()
}

/// Well-formed ICMPv6: echo requests and replies, errors that quote a packet, neighbor and router discovery,
/// and group reports.
pub fn icmpv6_packets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => in_ipv6(icmpv6_messages()), 1 => discovery()].boxed()
}

pub(super) fn icmp_messages() -> BoxedStrategy<Message> {
    let quoted = in_ipv4(udp_messages()).prop_map(|mut packet| {
        // The header with its options, and eight bytes.
        packet.truncate(usize::from(packet[0] & 0x0f) * 4 + 8);
        packet
    });
    let echo = (select(&[(8, 0), (0, 0)][..]), any::<[u8; 4]>(), payloads());
    // Unreachable: network, host, port; in time: in transit, in reassembly.
    let error = (select(&[(3, 0), (3, 1), (3, 3), (11, 0), (11, 1)][..]), Just([0; 4]), quoted);
    prop_oneof![2 => echo, 1 => error]
        .prop_map(|(kind, rest, payload)| message(ICMP, kind, rest, &payload))
        .boxed()
}

pub(super) fn icmpv6_messages() -> BoxedStrategy<Message> {
    let quoted = || {
        in_ipv6(udp_messages()).prop_map(|mut packet| {
            packet.truncate(MOST_QUOTED);
            packet
        })
    };
    let echo = (select(&[(128, 0), (129, 0)][..]), any::<[u8; 4]>(), payloads());
    // Unreachable: no route, address, port; in time: in transit, in reassembly.
    let error = (select(&[(1, 0), (1, 3), (1, 4), (3, 0), (3, 1)][..]), Just([0; 4]), quoted());
    let too_big = (Just((2, 0)), (1280..65535_u32).prop_map(u32::to_be_bytes), quoted());
    prop_oneof![4 => echo, 1 => error, 1 => too_big]
        .prop_map(|(kind, rest, payload)| message(ICMPV6, kind, rest, &payload))
        .boxed()
}

/// What a host sends by itself on a link: with the addresses, hop limits and options that are prescribed.
fn discovery() -> BoxedStrategy<Vec<u8>> {
    let link_local = any::<[u16; 4]>().prop_map(|[a, b, c, d]| Ipv6Addr::new(0xfe80, 0, 0, 0, a, b, c, d));
    let mac = any::<[u8; 6]>().prop_map(|[first, rest @ ..]| {
        let [b, c, d, e, f] = rest;
        [first & !1, b, c, d, e, f]
    });
    let asks = (link_local.clone(), v6_addresses(), mac.clone()).prop_map(|(source, target, mac)| {
        let option = [&[1, 1][..], &mac].concat();
        neighbor(source, solicited_node(target), 135, [0; 4], target, &option)
    });
    let answers = (v6_addresses(), v6_addresses(), mac).prop_map(|(target, asker, mac)| {
        // The flags "solicited" and "override".
        let option = [&[2, 1][..], &mac].concat();
        neighbor(target, asker, 136, [0x60, 0, 0, 0], target, &option)
    });
    let router = link_local.clone().prop_map(|source| {
        let head = V6Head::new(source, Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2), 255, Vec::new());
        head.packet(message(ICMPV6, (133, 0), [0; 4], &[]))
    });
    let report = (link_local, v6_addresses()).prop_map(|(source, member)| {
        // One record, which excludes no source: the host joins the group.
        let record = [&[4, 0, 0, 0][..], &solicited_node(member).octets()].concat();
        let routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
        let head = V6Head::new(source, routers, 1, vec![Extension::router_alert()]);
        head.packet(message(ICMPV6, (143, 0), [0, 0, 0, 1], &record))
    });
    prop_oneof![asks, answers, router, report].boxed()
}

fn neighbor(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    kind: u8,
    flags: [u8; 4],
    target: Ipv6Addr,
    option: &[u8],
) -> Vec<u8> {
    let payload = [&target.octets()[..], option].concat();
    // The hop limit proves that no router has passed it on.
    V6Head::new(source, destination, 255, Vec::new()).packet(message(ICMPV6, (kind, 0), flags, &payload))
}

/// The group in which a neighbor with this address listens.
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

fn message(number: u8, (kind, code): (u8, u8), rest: [u8; 4], payload: &[u8]) -> Message {
    Message::new(number, [&[kind, code, 0, 0][..], &rest, payload].concat())
}
