//! Any bytes at all: nothing panics, and what is answered is answered rightly.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{checksum, fragments_v4, fragments_v6, hex, transport_checksum};
use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::{
    EchoMessage, EchoResponder, Layer, Packet, PacketInfo, echo_reply, parse_echo_reply, ping_packet,
    udp_packet,
};

/// Runs every function over the bytes; gives what was answered.
fn exercise(bytes: &[u8]) -> Option<Vec<u8>> {
    for layer in [Layer::Tun, Layer::Tap] {
        if let Ok(packet) = Packet::parse(layer, bytes) {
            assert_eq!(packet.bytes(), bytes);
            assert!(!packet.summary().to_string().is_empty());
            assert!(!packet.protocol().to_string().is_empty());
            assert!(packet.payload().len() <= packet.len());
            assert_eq!(packet.source().is_some(), packet.destination().is_some());
            assert_eq!(packet.source_port().is_some(), packet.destination_port().is_some());
            assert_eq!(packet.source_mac().is_some(), layer == Layer::Tap);
            let (network, transport) = (packet.network_header(), packet.transport_header());
            if let Some(transport) = transport {
                // It is right behind the network's, and the payload is in what is behind that.
                let end = transport.as_ptr_range().end;
                assert_eq!(network.unwrap().as_ptr_range().end, transport.as_ptr());
                assert!(packet.payload().as_ptr() == end);
            }
            if let Some(key) = packet.flow_key() {
                assert_eq!(
                    (Some(key.source), Some(key.destination)),
                    (packet.source(), packet.destination())
                );
                assert_eq!((key.protocol(), key.reversed().reversed()), (packet.protocol(), key));
                assert!(!key.to_string().is_empty());
            }
            let _ = (packet.ether_type().to_string(), packet.is_fragment(), packet.vlan_id());
            let _ = format!("{packet:?}");
        }
    }
    if let Ok((header, rest)) = PacketInfo::parse(bytes) {
        assert_eq!([&header.to_bytes(), rest].concat(), bytes);
    }
    let _ = PacketInfo::for_packet(bytes);
    let _ = (parse_echo_reply(bytes), EchoMessage::parse_icmp(bytes));
    let _ = (EchoMessage::parse_icmp_packet(bytes), EchoMessage::parse_icmpv6(bytes));

    let mut answer = vec![0; bytes.len()];
    let stateless = echo_reply(bytes, &mut answer);
    if let Ok(length) = stateless {
        answer.truncate(length);
        assert_eq!(EchoResponder::new().respond(bytes, &mut vec![0; bytes.len()]), stateless);
    }
    stateless.ok().map(|_| answer)
}

/// That this is the answer to that request, whole and right.
fn assert_answers(request: &[u8], answer: &[u8]) {
    let (before, after) =
        (Packet::parse(Layer::Tun, request).unwrap(), Packet::parse(Layer::Tun, answer).unwrap());
    assert_eq!((before.source(), before.destination()), (after.destination(), after.source()));
    assert_eq!(
        (before.source_port(), before.destination_port()),
        (after.destination_port(), after.source_port())
    );
    assert_eq!(before.payload(), after.payload());
    let (transport, number, hops) = if answer[0] >> 4 == 4 {
        assert_eq!(checksum(&answer[..20]), 0);
        (&answer[20..], answer[9], answer[8])
    } else {
        (&answer[40..], answer[6], answer[7])
    };
    assert_eq!(hops, 64);
    match number {
        1 => assert_eq!((checksum(transport), transport[0]), (0, 0)),
        58 => assert_eq!((transport_checksum(answer, transport), transport[0]), (0, 129)),
        17 => assert_eq!(transport_checksum(answer, transport), 0),
        other => panic!("answered protocol {other}"),
    }
    assert!(echo_reply(answer, &mut vec![0; answer.len()]).is_err(), "answered the answer");
}

/// Requests that are answered, of all kinds.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let id = (any::<u16>(), any::<u16>());
    let payload = prop_oneof![vec(any::<u8>(), 0..64), vec(Just(0), 0..8), vec(Just(0xff), 0..64)];
    (0..2, any::<bool>(), 1..=254_u8, id, payload).prop_map(|(kind, v4, host, (a, b), payload)| {
        let (source, destination) = if v4 {
            (format!("10.0.0.{host}").parse().unwrap(), "192.168.255.255".parse().unwrap())
        } else {
            (format!("fe80::{host:x}").parse().unwrap(), "fdff:ffff::ffff".parse().unwrap())
        };
        match kind {
            0 => ping_packet(source, destination, a, b, &payload).unwrap(),
            _ => udp_packet((source, a.max(8)).into(), (destination, 7).into(), &payload).unwrap(),
        }
    })
}

/// Packets that get as deep into the parsers as there is depth.
fn valid() -> impl Strategy<Value = Vec<u8>> {
    let captured = [
        common::PING_V4,
        common::PING_V6,
        common::UDP_ECHO_V4,
        common::TCP_SYN,
        common::PORT_UNREACHABLE,
        common::IGMP_REPORT,
        common::ROUTER_SOLICITATION,
        common::TAP_ARP,
        common::TAP_MLD_REPORT,
        common::TAP_NEIGHBOR_SOLICITATION,
    ];
    let fragments = fragments_v4().into_iter().chain(fragments_v6());
    let all: Vec<_> = captured.into_iter().map(hex).chain(fragments).collect();
    prop_oneof![proptest::sample::select(all), request()]
}

/// Enough cases to get everywhere, in a few seconds; no file of failures beside the source.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..=128)) {
        exercise(&bytes);
    }

    /// As above, but nearly always past the first look: an IP version, and next headers that go on.
    #[test]
    fn no_ip_like_bytes_panic(
        mut bytes in vec(prop_oneof![any::<u8>(), 0..=8_u8, Just(44), Just(51), Just(60)], 40..=128),
        first in prop_oneof![0x40..=0x4f_u8, Just(0x60)],
        number in proptest::sample::select(vec![0, 1, 2, 6, 17, 43, 44, 51, 58, 60]),
    ) {
        let at = if first == 0x60 { 6 } else { 9 };
        (bytes[0], bytes[at]) = (first, number);
        exercise(&bytes);
    }

    #[test]
    fn no_mutated_packet_panics(
        mut packet in valid(),
        flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<proptest::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        for (at, value) in flips {
            let at = at.index(packet.len());
            packet[at] = value;
        }
        if cuts {
            packet.truncate(cut.index(packet.len()));
        }
        exercise(&packet);
        let mut responder = EchoResponder::new();
        for request in fragments_v4().iter().chain([&packet]) {
            let _ = responder.respond(request, &mut [0; 1600]);
        }
    }

    #[test]
    fn every_request_is_answered_rightly(request in request(), surplus in vec(any::<u8>(), 0..4)) {
        let answer = exercise(&[&request[..], &surplus].concat()).expect("a request is answered");
        prop_assert_eq!(answer.len(), request.len());
        assert_answers(&request, &answer);
    }
}
