//! Any bytes at all: nothing panics, and what is answered is answered rightly.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod properties;

use properties::common::{self, fragments_v4, fragments_v6, hex};
use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::{
    EchoResponder, Layer, NoReply, Packet, Unreachable, echo_reply, ping_packet, reset, udp_packet,
    unreachable,
};

/// Runs every property over the bytes.
fn exercise(bytes: &[u8]) {
    for (_, property) in properties::ALL {
        property(bytes);
    }
    // Of no interest to a fuzzer: it would look for each of the names that a number may have there.
    for packet in [Layer::Tun, Layer::Tap].into_iter().flat_map(|layer| Packet::parse(layer, bytes)) {
        assert!(!format!("{packet:?}").is_empty());
    }
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
    fn every_segment_is_reset_and_refused(
        payload in vec(any::<u8>(), 0..1400),
        flags: u8,
        numbers: [u8; 8],
        v6: bool,
    ) {
        let mut segment = common::tcp(v6, &payload);
        let start = if v6 { 40 } else { 20 };
        segment[start + 4..start + 12].copy_from_slice(&numbers);
        segment[start + 13] = flags;
        common::fix_checksums(&mut segment);
        properties::unreachable(&segment);
        properties::reset(&segment);
        let mut answer = [0; 1280];
        prop_assert!(unreachable(&segment, Unreachable::Host, None, &mut answer).is_ok());
        let expected = if flags & 4 != 0 { Err(NoReply::Reset) } else { Ok(start + 20) };
        prop_assert_eq!(reset(&segment, &mut answer), expected);
    }

    #[test]
    fn every_request_is_answered_and_refused(request in request(), surplus in vec(any::<u8>(), 0..4)) {
        let bytes = [&request[..], &surplus].concat();
        exercise(&bytes);
        let mut answer = [0; 1280];
        prop_assert_eq!(echo_reply(&bytes, &mut answer), Ok(request.len()));
        let headers = if request[0] >> 4 == 4 { 28 } else { 48 };
        let length = unreachable(&bytes, Unreachable::Port, None, &mut answer);
        prop_assert_eq!(length, Ok(headers + request.len()));
    }
}
