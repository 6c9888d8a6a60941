//! Answers to echo requests, and the reasons for none.

mod common;

use common::{checksum, fix_checksums, fragments_v4, fragments_v6, hex};
use tunctl_packet::{EchoResponder, NoReply, ParseError, Truncated, echo_reply, ping_packet, udp_packet};

fn reply(request: &[u8]) -> Result<Vec<u8>, NoReply> {
    let mut answer = [0xee; 2000];
    let length = echo_reply(request, &mut answer)?;
    assert!(answer[length..].iter().all(|byte| *byte == 0xee), "wrote behind the answer");
    Ok(answer[..length].to_vec())
}

/// A captured packet with some bytes changed and its checksums set right again.
fn with(packet: &str, changes: &[(usize, &[u8])]) -> Vec<u8> {
    let mut packet = hex(packet);
    for (at, bytes) in changes {
        packet[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    fix_checksums(&mut packet);
    packet
}

#[test]
fn answers_ping() {
    // The capture had a TTL of 64 already, so its header sum stays; that of the message grows by 0x0800.
    let expected = hex("45000024e7c4400040013f100a0100020a01000100007141fd2700016162636465666768");
    assert_eq!(reply(&hex(common::PING_V4)), Ok(expected.clone()));
    assert_eq!(reply(&with(common::PING_V4, &[(8, &[1])])), Ok(expected));
}

#[test]
fn answers_ping_of_ipv6() {
    let expected = hex("600b5ca200103a40fd770000000000000000000000000002fd770000000000000000000000000001\
                        8100f502fd2800016162636465666768");
    assert_eq!(reply(&hex(common::PING_V6)), Ok(expected.clone()));
    assert_eq!(reply(&with(common::PING_V6, &[(7, &[255])])), Ok(expected));
}

#[test]
fn answers_udp_echo() {
    let expected = hex("45000021b3a54000401173220a0100020a0100010007aeb7000df93e68656c6c6f");
    assert_eq!(reply(&hex(common::UDP_ECHO_V4)), Ok(expected));

    let v6 = with(common::UDP_V6, &[(42, &[0, 7])]);
    let answer = reply(&v6).unwrap();
    assert_eq!(answer[40..44], [0, 7, 0xbd, 0xd0]);
    assert_eq!(answer[46..], v6[46..], "swapping leaves the checksum as it is");
}

#[test]
fn udp_in_ipv4_may_go_without_checksum() {
    let mut request = hex(common::UDP_ECHO_V4);
    request[26..28].fill(0);
    assert_eq!(reply(&request).unwrap()[26..28], [0, 0]);
    let mut request = with(common::UDP_V6, &[(42, &[0, 7])]);
    request[46..48].fill(0);
    assert_eq!(reply(&request), Err(NoReply::BadChecksum));
}

#[test]
fn an_answer_of_zeros_has_the_other_zero_for_checksum() {
    let request =
        ping_packet("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 0, 0, &[0; 6]).unwrap();
    let answer = reply(&request).unwrap();
    assert_eq!(answer[22..24], [0xff, 0xff]);
    assert_eq!(checksum(&answer[20..]), 0);
}

#[test]
fn verifies_every_byte() {
    for packet in [common::PING_V4, common::UDP_ECHO_V4, common::PING_V6] {
        let packet = hex(packet);
        // In IPv6, nothing sums the traffic class, flow label and hop limit.
        let unsummed = if packet[0] >> 4 == 6 { &[1, 2, 3, 7][..] } else { &[] };
        for at in (0..packet.len()).filter(|at| !unsummed.contains(at)) {
            let mut request = packet.clone();
            request[at] ^= 0x10;
            assert!(reply(&request).is_err(), "byte {at} of {packet:02x?}");
        }
    }
    let mut request = hex(common::PING_V4);
    request[35] ^= 1;
    assert_eq!(reply(&request), Err(NoReply::BadChecksum));
    let mut request = hex(common::PING_V4);
    request[10] ^= 1;
    assert_eq!(reply(&request), Err(NoReply::BadChecksum));
}

#[test]
fn other_packets_are_no_requests() {
    for packet in [
        hex(common::TCP_SYN),
        hex(common::PORT_UNREACHABLE),
        hex(common::UDP_V6),
        hex(common::ROUTER_SOLICITATION),
        hex(common::IGMP_REPORT),
        hex(&common::TAP_MLD_REPORT[28..]),
        with(common::PING_V4, &[(20, &[0])]),
        with(common::PING_V4, &[(21, &[1])]),
        with(common::PING_V6, &[(40, &[129])]),
        with(common::PING_V4, &[(9, &[58]), (20, &[128])]),
        with(common::PING_V6, &[(6, &[1]), (40, &[8])]),
    ] {
        assert_eq!(reply(&packet), Err(NoReply::NotAnEchoRequest), "{packet:02x?}");
    }
}

#[test]
fn answers_single_hosts_only() {
    for address in [[224, 0, 0, 1], [255; 4], [0; 4], [127, 0, 0, 1]] {
        for at in [12, 16] {
            assert_eq!(reply(&with(common::PING_V4, &[(at, &address)])), Err(NoReply::NotUnicast));
        }
    }
    let mut loopback = [0; 16];
    loopback[15] = 1;
    for address in [[0xff; 16], [0; 16], loopback] {
        for at in [8, 24] {
            assert_eq!(reply(&with(common::PING_V6, &[(at, &address)])), Err(NoReply::NotUnicast));
        }
    }
}

#[test]
fn two_responders_do_not_keep_each_other_busy() {
    for port in [7, 0] {
        let source = format!("10.0.0.1:{port}").parse().unwrap();
        let request = udp_packet(source, "10.0.0.2:7".parse().unwrap(), b"x").unwrap();
        assert_eq!(reply(&request), Err(NoReply::SourcePort { port }));
    }
}

/// A ping with IPv4 options, whose length is a multiple of four.
fn ping_with(options: &[u8]) -> Vec<u8> {
    let plain = hex(common::PING_V4);
    let mut request = [&plain[..20], options, &plain[20..]].concat();
    for _ in options.chunks(4) {
        (request[0], request[3]) = (request[0] + 1, request[3] + 4);
    }
    request[10..12].fill(0);
    let sum = checksum(&request[..20 + options.len()]);
    request[10..12].copy_from_slice(&sum.to_be_bytes());
    request
}

#[test]
fn a_recorded_route_and_timestamps_come_back_with_the_host() {
    // As `ping -R` and `ping -T tsandaddr` send them, with less room.
    let mut host = [0; 4];
    host.copy_from_slice(&hex(common::PING_V4)[16..20]);
    let [a, b, c, d] = host;
    let rows: [(&[u8], &[u8]); 3] = [
        (&[1; 4], &[1; 4]),
        (&[1, 7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0], &[1, 7, 11, 8, a, b, c, d, 0, 0, 0, 0]),
        (&[68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0], &[68, 12, 13, 1, a, b, c, d, 0x80, 0, 0, 0]),
    ];
    for (sent, expected) in rows {
        let request = ping_with(sent);
        let answer = reply(&request).unwrap_or_else(|refused| panic!("{sent:?}: {refused:?}"));
        let (header, message) = answer.split_at(20 + sent.len());
        assert_eq!(&header[20..], expected);
        assert_eq!(checksum(header), 0, "{sent:?}");
        assert_eq!(message, &reply(&hex(common::PING_V4)).unwrap()[20..]);
    }
}

#[test]
fn other_options_and_extension_headers_are_refused() {
    // A source route, and a router alert.
    for options in [[131, 7, 4, 10, 0, 0, 3, 0], [148, 4, 0, 0, 1, 1, 1, 1]] {
        assert_eq!(reply(&ping_with(&options)), Err(NoReply::HeaderOptions));
    }
    let plain = hex(common::PING_V6);
    let mut request = [&plain[..40], &[58, 0, 1, 4, 0, 0, 0, 0], &plain[40..]].concat();
    (request[5], request[6]) = (24, 60);
    assert_eq!(reply(&request), Err(NoReply::HeaderOptions));
}

#[test]
fn an_atomic_fragment_is_answered_as_one() {
    let plain = hex(common::PING_V6);
    let mut request = [&plain[..40], &[58, 0, 0, 0, 1, 2, 3, 4], &plain[40..]].concat();
    (request[5], request[6]) = (24, 44);
    let answer = reply(&request).unwrap();
    assert_eq!(answer[40..52], [58, 0, 0, 0, 1, 2, 3, 4, 0x81, 0, 0xf5, 0x02]);
}

#[test]
fn lengths_must_fit() {
    let malformed = |request: &[u8]| match reply(request) {
        Err(NoReply::Malformed(error)) => error,
        other => panic!("{other:?}"),
    };
    let truncated = |need, have| ParseError::Truncated(Truncated { need, have });
    let length = |header, stated| ParseError::Length { header, stated };
    let ping = hex(common::PING_V4);
    assert_eq!(malformed(&ping[..35]), truncated(36, 35));
    assert_eq!(malformed(&hex(common::PING_V6)[..55]), truncated(56, 55));
    assert_eq!(malformed(&[]), truncated(20, 0));
    assert_eq!(malformed(&hex(common::IGMP_REPORT)[..23]), truncated(24, 23));
    assert_eq!(malformed(&[0x15; 40]), ParseError::NotIp { first_byte: 0x15 });
    assert_eq!(malformed(&with(common::PING_V4, &[(3, &[26])])), truncated(28, 26));
    assert_eq!(malformed(&with(common::UDP_ECHO_V4, &[(25, &[14])])), length("UDP datagram", 14));
    assert_eq!(malformed(&with(common::UDP_ECHO_V4, &[(25, &[7])])), length("UDP datagram", 7));
    let (mut short, mut shorter) = (ping.clone(), ping.clone());
    (short[3], shorter[0]) = (19, 0x44);
    assert_eq!(malformed(&short), length("IPv4 packet", 19));
    assert_eq!(malformed(&shorter), length("IPv4 header", 16));
    let mut unknown = hex(common::PING_V6);
    unknown[5] = 0;
    assert_eq!(malformed(&unknown), length("IPv6 packet", 40));
}

#[test]
fn bytes_behind_the_packet_are_not_answered() {
    for packet in [common::PING_V4, common::PING_V6] {
        let packet = hex(packet);
        assert_eq!(reply(&[&packet[..], b"secret"].concat()), reply(&packet));
    }
}

#[test]
fn bytes_behind_the_datagram_are_not_under_its_checksum() {
    let mut request = with(common::UDP_ECHO_V4, &[]);
    request.extend_from_slice(b"surplus");
    request[3] = 40;
    request[10..12].fill(0);
    let sum = checksum(&request[..20]);
    request[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(reply(&request).map(|answer| answer.len()), Ok(40));
}

#[test]
fn a_small_buffer_stays_as_it_is() {
    let mut answer = [9; 35];
    let error = NoReply::BufferTooSmall(Truncated { need: 36, have: 35 });
    assert_eq!(echo_reply(&hex(common::PING_V4), &mut answer), Err(error));
    assert_eq!(answer, [9; 35]);
}

#[test]
fn fragments_are_turned_around() {
    for (fragments, addresses, transport, expected) in [
        (fragments_v4(), 12..20, 20, [0x00, 0x00, 0x6c, 0x3f]),
        (fragments_v6(), 8..40, 48, [0x81, 0x00, 0xe8, 0x38]),
    ] {
        let mut responder = EchoResponder::new();
        for (index, request) in fragments.iter().enumerate() {
            let mut answer = vec![0; request.len()];
            assert_eq!(responder.respond(request, &mut answer), Ok(request.len()));
            let (before, after) = (&request[addresses.clone()], &answer[addresses.clone()]);
            let half = before.len() / 2;
            assert_eq!((&before[..half], &before[half..]), (&after[half..], &after[..half]));
            // Identification, flags and offset stay, and so does the IPv4 sum: the capture's TTL was 64.
            assert_eq!(request[..addresses.start], answer[..addresses.start]);
            assert_eq!(request[addresses.end..transport], answer[addresses.end..transport]);
            let unchanged = if index == 0 { transport + 4 } else { transport };
            assert_eq!(request[unchanged..], answer[unchanged..]);
            if index == 0 {
                assert_eq!(answer[transport..transport + 4], expected);
            }
        }
    }
}

#[test]
fn later_fragments_need_their_first() {
    let mut answer = [0; 2000];
    let mut responder = EchoResponder::new();
    let [first, second] = fragments_v4();
    assert_eq!(echo_reply(&first, &mut answer), Err(NoReply::Fragment));
    assert_eq!(echo_reply(&second, &mut answer), Err(NoReply::Fragment));
    assert_eq!(responder.respond(&second, &mut answer), Err(NoReply::UnknownFragment));
    assert!(matches!(responder.respond(&first, &mut [0; 9]), Err(NoReply::BufferTooSmall(_))));
    assert_eq!(responder.respond(&second, &mut answer), Err(NoReply::UnknownFragment));
    assert_eq!(responder.respond(&first, &mut answer), Ok(1500));
    assert_eq!(responder.respond(&second, &mut answer), Ok(548));

    // The identification comes around, this time for a datagram that is no request.
    let mut other = first.clone();
    other[20] = 0;
    assert_eq!(responder.respond(&other, &mut answer), Err(NoReply::NotAnEchoRequest));
    assert_eq!(responder.respond(&second, &mut answer), Err(NoReply::UnknownFragment));
}

#[test]
fn datagrams_in_fragments_are_turned_around() {
    let [mut first, mut second] = fragments_v6();
    for packet in [&mut first, &mut second] {
        packet[40] = 17;
    }
    // 4000 to 7, 2,008 bytes, more than this fragment has.
    first[48..56].copy_from_slice(&[0x0f, 0xa0, 0, 7, 0x07, 0xd8, 0x12, 0x34]);
    let mut answer = [0; 2000];
    let mut responder = EchoResponder::new();
    assert_eq!(responder.respond(&first, &mut answer), Ok(first.len()));
    assert_eq!(answer[48..56], [0, 7, 0x0f, 0xa0, 0x07, 0xd8, 0x12, 0x34]);
    assert_eq!(responder.respond(&second, &mut answer), Ok(second.len()));

    // A later fragment behind destination options that the first one did not have.
    let mut extended = [&second[..40], &[44, 0, 1, 4, 0, 0, 0, 0], &second[40..]].concat();
    (extended[5], extended[6]) = (extended[5] + 8, 60);
    assert_eq!(responder.respond(&extended, &mut answer), Err(NoReply::HeaderOptions));
}

#[test]
fn the_oldest_request_is_forgotten_first() {
    let mut answer = [0; 2000];
    let mut responder = EchoResponder::new();
    let [first, second] = fragments_v6();
    let numbered = |packet: &[u8], number: u8| {
        let mut packet = packet.to_vec();
        packet[47] = number;
        packet
    };
    let count = u8::try_from(EchoResponder::CAPACITY).unwrap();
    for number in 0..=count {
        assert!(responder.respond(&numbered(&first, number), &mut answer).is_ok());
    }
    for number in 1..=count {
        assert!(responder.respond(&numbered(&second, number), &mut answer).is_ok());
    }
    let forgotten = responder.respond(&numbered(&second, 0), &mut answer);
    assert_eq!(forgotten, Err(NoReply::UnknownFragment));
}

#[test]
fn broken_fragments_are_malformed() {
    let [mut first, mut second] = fragments_v6();
    let mut responder = EchoResponder::new();
    let mut answer = [0; 2000];
    // 1,451 bytes with more to come; the offset of a "ping of death".
    first[5] = 0xb3;
    first.extend_from_slice(b"xyz");
    second[42..44].copy_from_slice(&[0xff, 0xf8]);
    for (packet, stated) in [(first, 1451), (second, 560)] {
        let expected = NoReply::Malformed(ParseError::Length { header: "fragment", stated });
        assert_eq!(responder.respond(&packet, &mut answer), Err(expected));
    }
}
