//! IP packets, by what is in them.

use proptest::prelude::*;
use proptest::sample::Index;

use super::icmp::{icmp_messages, icmpv6_messages, icmpv6_packets};
use super::ip::{in_ipv4, in_ipv6, v4_heads, v6_heads};
use super::message::{Message, opaque_messages, tcp_messages, udp_messages};

/// Well-formed UDP datagrams in IPv4 and IPv6.
pub fn udp_packets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![in_ipv4(udp_messages()), in_ipv6(udp_messages())].boxed()
}

/// Well-formed TCP segments in IPv4 and IPv6, from every part of a connection's life.
pub fn tcp_packets() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![in_ipv4(tcp_messages()), in_ipv6(tcp_messages())].boxed()
}

/// Well-formed IPv4 packets: UDP, TCP, ICMP and other protocols, with IPv4 options now and then, and
/// fragments of such packets.
pub fn ipv4_packets() -> impl Strategy<Value = Vec<u8>> {
    let messages = || messages(icmp_messages());
    prop_oneof![
        8 => in_ipv4(messages()),
        1 => (v4_heads(), messages(), any::<Index>(), any::<bool>())
            .prop_map(|(head, message, cut, first)| head.fragment(message, &cut, first)),
    ]
    .boxed()
}

/// Well-formed IPv6 packets: UDP, TCP, ICMPv6 and other protocols, with extension headers now and then, and
/// fragments of such packets.
pub fn ipv6_packets() -> impl Strategy<Value = Vec<u8>> {
    let messages = || messages(icmpv6_messages());
    prop_oneof![
        8 => in_ipv6(messages()),
        1 => icmpv6_packets(),
        1 => (v6_heads(), messages(), any::<Index>(), any::<bool>(), any::<u32>())
            .prop_map(|(head, message, cut, first, datagram)| head.fragment(message, &cut, first, datagram)),
    ]
    .boxed()
}

/// What an IP packet carries; the control messages are those of its version.
fn messages(control: BoxedStrategy<Message>) -> BoxedStrategy<Message> {
    prop_oneof![3 => udp_messages(), 3 => tcp_messages(), 2 => control, 1 => opaque_messages()].boxed()
}
