//! Any bytes at all: nothing panics, and what is answered is answered rightly.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{checksum, fragments_v4, fragments_v6, hex, transport_checksum};
use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::{
    EchoMessage, EchoResponder, FlowKey, Layer, NoReply, Packet, PacketInfo, Unreachable, echo_reply,
    parse_echo_reply, ping_packet, reset, udp_packet, unreachable,
};

const CODES: [Unreachable; 5] = [
    Unreachable::Network,
    Unreachable::Host,
    Unreachable::Protocol,
    Unreachable::Port,
    Unreachable::AdminProhibited,
];

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

    exercise_refusals(bytes);
    let mut answer = vec![0; bytes.len()];
    let stateless = echo_reply(bytes, &mut answer);
    if let Ok(length) = stateless {
        answer.truncate(length);
        assert_eq!(EchoResponder::new().respond(bytes, &mut vec![0; bytes.len()]), stateless);
    }
    stateless.ok().map(|_| answer)
}

/// Says of the bytes that there is nothing, in all ways; what is said must be right.
fn exercise_refusals(bytes: &[u8]) {
    let mut answer = [0; 1280];
    for code in CODES {
        if let Ok(length) = unreachable(bytes, code, None, &mut answer) {
            assert_refuses(bytes, &answer[..length]);
            let again = answer[..length].to_vec();
            assert_eq!(unreachable(&again, code, None, &mut answer), Err(NoReply::IcmpError));
        }
    }
    if let Ok(length) = reset(bytes, &mut answer) {
        assert_refuses(bytes, &answer[..length]);
        let again = answer[..length].to_vec();
        assert_eq!(reset(&again, &mut answer), Err(NoReply::Reset));
    }
}

/// That this is a whole and right packet to the sender of that one.
fn assert_refuses(request: &[u8], answer: &[u8]) {
    let (before, after) =
        (Packet::parse(Layer::Tun, request).unwrap(), Packet::parse(Layer::Tun, answer).unwrap());
    assert_eq!((before.source(), before.destination()), (after.destination(), after.source()));
    let (transport, number, length) = if answer[0] >> 4 == 4 {
        assert_eq!(checksum(&answer[..20]), 0);
        (&answer[20..], answer[9], usize::from(u16::from_be_bytes([answer[2], answer[3]])))
    } else {
        (&answer[40..], answer[6], 40 + usize::from(u16::from_be_bytes([answer[4], answer[5]])))
    };
    assert_eq!(length, answer.len());
    match number {
        1 => assert_eq!((checksum(transport), transport[0]), (0, 3)),
        58 => {
            assert_eq!(transport_checksum(answer, transport), 0);
            assert!(matches!(transport[..2], [1, _] | [4, 1]));
        }
        6 => {
            assert_eq!((transport_checksum(answer, transport), transport.len()), (0, 20));
            assert_eq!(after.flow_key(), before.flow_key().map(FlowKey::reversed));
            return;
        }
        other => panic!("answered with protocol {other}"),
    }
    assert!(request.starts_with(after.payload()));
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

    /// Packets whose checksums are right, however odd the rest of them is.
    #[test]
    fn what_is_nearly_right_is_refused_rightly(
        mut packet in prop_oneof![request(), any::<bool>().prop_map(|v6| common::tcp(v6, b"data"))],
        flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let start = if packet[0] >> 4 == 4 { 20 } else { 40 };
        for (at, value) in flips {
            let at = start + at.index(packet.len() - start);
            packet[at] = value;
        }
        common::fix_checksums(&mut packet);
        exercise(&packet);
    }

    #[test]
    fn every_segment_is_reset_and_refused(payload in vec(any::<u8>(), 0..1400), flags: u8, numbers: [u8; 8], v6: bool) {
        let mut segment = common::tcp(v6, &payload);
        let start = if v6 { 40 } else { 20 };
        segment[start + 4..start + 12].copy_from_slice(&numbers);
        segment[start + 13] = flags;
        common::fix_checksums(&mut segment);
        exercise_refusals(&segment);
        let mut answer = [0; 1280];
        let length = unreachable(&segment, Unreachable::Host, None, &mut answer).unwrap();
        let most = if v6 { 1280 } else { 576 };
        prop_assert_eq!(length, most.min(start + 8 + segment.len()));
        if flags & 4 != 0 {
            prop_assert_eq!(reset(&segment, &mut answer), Err(NoReply::Reset));
            return Ok(());
        }
        prop_assert_eq!(reset(&segment, &mut answer), Ok(start + 20));
        let header = &answer[start..start + 20];
        if flags & 0x10 != 0 {
            prop_assert_eq!((&header[4..8], &header[8..12], header[13]), (&numbers[4..], &[0; 4][..], 4));
        } else {
            let [sequence, acknowledged] =
                [&numbers[..4], &header[8..12]].map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
            let taken = payload.len() + usize::from(flags & 2 != 0) + usize::from(flags & 1 != 0);
            prop_assert_eq!(acknowledged.wrapping_sub(sequence), u32::try_from(taken).unwrap());
            prop_assert_eq!((&header[4..8], header[13]), (&[0; 4][..], 0x14));
        }
    }

    #[test]
    fn every_request_is_refused(request in request(), surplus in vec(any::<u8>(), 0..4)) {
        let mut answer = [0; 1280];
        for code in CODES {
            let bytes = [&request[..], &surplus].concat();
            let length = unreachable(&bytes, code, None, &mut answer).unwrap();
            let headers = if request[0] >> 4 == 4 { 28 } else { 48 };
            prop_assert_eq!(&answer[headers..length], &request[..]);
            assert_refuses(&request, &answer[..length]);
        }
    }

    #[test]
    fn every_request_is_answered_rightly(request in request(), surplus in vec(any::<u8>(), 0..4)) {
        let answer = exercise(&[&request[..], &surplus].concat()).expect("a request is answered");
        prop_assert_eq!(answer.len(), request.len());
        assert_answers(&request, &answer);
    }
}
