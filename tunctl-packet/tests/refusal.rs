//! Answers that something isn't there, and the reasons for none.

mod common;

use common::{checksum, fix_checksums, fragments_v4, fragments_v6, hex, tcp, transport_checksum};
use tunctl_packet::{
    Layer, NoReply, Packet, ParseError, Truncated, Unreachable, ping_packet, reset, udp_packet, unreachable,
};

const CODES: [Unreachable; 5] = [
    Unreachable::Network,
    Unreachable::Host,
    Unreachable::Protocol,
    Unreachable::Port,
    Unreachable::AdminProhibited,
];

fn refuse_as(request: &[u8], code: Unreachable) -> Result<Vec<u8>, NoReply> {
    let mut answer = [0xee; 2000];
    let length = unreachable(request, code, None, &mut answer)?;
    assert!(answer[length..].iter().all(|byte| *byte == 0xee), "wrote behind the answer");
    Ok(answer[..length].to_vec())
}

fn refuse(request: &[u8]) -> Result<Vec<u8>, NoReply> {
    refuse_as(request, Unreachable::Port)
}

fn reset_of(request: &[u8]) -> Result<Vec<u8>, NoReply> {
    let mut answer = [0xee; 100];
    let length = reset(request, &mut answer)?;
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

/// A TCP segment of either version with these numbers and flags, whose checksums are right.
fn segment(v6: bool, sequence: u32, acknowledgment: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = tcp(v6, payload);
    let start = if v6 { 40 } else { 20 };
    packet[start + 4..start + 8].copy_from_slice(&sequence.to_be_bytes());
    packet[start + 8..start + 12].copy_from_slice(&acknowledgment.to_be_bytes());
    packet[start + 13] = flags;
    fix_checksums(&mut packet);
    packet
}

#[test]
fn says_what_a_kernel_said() {
    // Linux' own answer, which quotes the datagram that it is about; but for the identification, and "don't
    // fragment" with it.
    let mut expected = hex(common::PORT_UNREACHABLE);
    let request = expected[28..].to_vec();
    expected[4..8].copy_from_slice(&[0, 0, 0x40, 0]);
    expected[10..12].fill(0);
    let sum = checksum(&expected[..20]);
    expected[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(refuse(&request), Ok(expected));
}

/// What Linux 6.18 was sent, and what it said.
const REFUSED: [(&str, &str); 6] = [
    // SYN with data; ACK, PSH and FIN with data.
    (
        "4500002c00014000400626c70a0100020a0100010fa00050010203040a0b0c0d500203e8940e000066617374",
        "4500002800004000400626cc0a0100010a01000200500fa000000000010203095014000087d10000",
    ),
    (
        "4500002c00014000400626c70a0100020a0100010fa00050010203040a0b0c0d501903e8950a000064617461",
        "4500002800004000400626cc0a0100010a01000200500fa00a0b0c0d000000005004000075d40000",
    ),
    (
        "6000000000180640fd770000000000000000000000000002fd7700000000000000000000000000010fa000500102030\
         40a0b0c0d500203e8ad20000066617374",
        "6000066500140640fd770000000000000000000000000001fd77000000000000000000000000000200500fa00000000\
         00102030950140000a0e30000",
    ),
    (
        "6000000000180640fd770000000000000000000000000002fd7700000000000000000000000000010fa000500102030\
         40a0b0c0d501903e8ae1c000064617461",
        "6000066500140640fd770000000000000000000000000001fd77000000000000000000000000000200500fa00a0b0c0\
         d00000000500400008ee60000",
    ),
    // A datagram to a closed port.
    (
        "60000000000d1140fd770000000000000000000000000002fd7700000000000000000000000000010fa00035000da52\
         47175657279",
        "600fc35c003d3a40fd770000000000000000000000000001fd770000000000000000000000000002010492620000000\
         060000000000d1140fd770000000000000000000000000002fd7700000000000000000000000000010fa00035000da\
         5247175657279",
    ),
    // Protocol 200.
    (
        "600000000008c840fd770000000000000000000000000002fd7700000000000000000000000000013132333435363738",
        "60034e4d00383a40fd770000000000000000000000000001fd77000000000000000000000000000204010c830000000\
         6600000000008c840fd770000000000000000000000000002fd77000000000000000000000000000131323334353637\
         38",
    ),
];

#[test]
fn says_what_a_kernel_said_to_others() {
    for (request, expected) in REFUSED {
        let (request, mut expected) = (hex(request), hex(expected));
        let is_v6 = request[0] >> 4 == 6;
        if is_v6 {
            // The flow label, which is 0 here.
            expected[1..4].fill(0);
        }
        let number = request[if is_v6 { 6 } else { 9 }];
        let answer = match number {
            6 => reset_of(&request),
            17 => refuse(&request),
            _ => refuse_as(&request, Unreachable::Protocol),
        };
        assert_eq!(answer, Ok(expected));
    }
}

#[test]
fn each_code_has_its_numbers() {
    for (code, v4, v6) in [
        (Unreachable::Network, [3, 0], [1, 0, 0]),
        (Unreachable::Host, [3, 1], [1, 3, 0]),
        (Unreachable::Protocol, [3, 2], [4, 1, 6]),
        (Unreachable::Port, [3, 3], [1, 4, 0]),
        (Unreachable::AdminProhibited, [3, 13], [1, 1, 0]),
    ] {
        let request = hex(common::UDP_ECHO_V4);
        let answer = refuse_as(&request, code).unwrap();
        assert_eq!((&answer[20..22], &answer[24..28]), (&v4[..], &[0; 4][..]));
        assert_eq!((&answer[28..], checksum(&answer[20..])), (&request[..], 0));
        let request = hex(common::UDP_V6);
        let answer = refuse_as(&request, code).unwrap();
        assert_eq!((&answer[40..42], &answer[44..48]), (&v6[..2], &[0, 0, 0, v6[2]][..]));
        assert_eq!((&answer[48..], transport_checksum(&answer, &answer[40..])), (&request[..], 0));
    }
    let said = |code| {
        let answer = refuse_as(&hex(common::UDP_V6), code).unwrap();
        Packet::parse(Layer::Tun, &answer).unwrap().summary().to_string()
    };
    assert_eq!(said(Unreachable::Network), "no route to destination for UDP [fd77::2]:53");
    assert_eq!(said(Unreachable::Host), "address unreachable for UDP [fd77::2]:53");
    assert_eq!(said(Unreachable::Protocol), "unknown next header at byte 6 for UDP [fd77::2]:53");
}

#[test]
fn quotes_what_fits() {
    for (addresses, header, most) in
        [(["10.0.0.1:4000", "10.0.0.2:53"], 20, 576), (["[fd77::1]:4000", "[fd77::2]:53"], 40, 1280)]
    {
        let [source, destination] = addresses.map(|address| address.parse().unwrap());
        for length in [0, 500, 540, 1180, 1200, 1400, 9000] {
            let request = udp_packet(source, destination, &vec![7; length]).unwrap();
            let answer = refuse(&request).unwrap();
            assert_eq!(answer.len(), most.min(header + 8 + request.len()));
            assert_eq!(answer[header + 8..], request[..answer.len() - header - 8]);
            // What is behind the packet is not quoted.
            assert_eq!(refuse(&[&request[..], b"secret"].concat()), Ok(answer));
        }
    }
}

#[test]
fn comes_from_a_router_if_it_is_told() {
    let mut answer = [0; 1280];
    for (request, router, mixed) in
        [(hex(common::UDP_ECHO_V4), "10.9.9.9", "fd77::9"), (hex(common::UDP_V6), "fd77::9", "10.9.9.9")]
    {
        let mut from = |address: &str| {
            let address = Some(address.parse().unwrap());
            let length = unreachable(&request, Unreachable::Network, address, &mut answer)?;
            Ok(answer[..length].to_vec())
        };
        let answer = from(router).unwrap();
        let view = Packet::parse(Layer::Tun, &answer).unwrap();
        assert_eq!(view.source(), Some(router.parse().unwrap()));
        assert_eq!(view.destination(), Packet::parse(Layer::Tun, &request).unwrap().source());
        for wrong in [mixed, "224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255", "127.0.0.1", "::1"] {
            let error = NoReply::Sender { address: wrong.parse().unwrap() };
            assert_eq!(from(wrong), Err(error));
        }
    }
}

#[test]
fn nothing_is_said_about_an_error() {
    for code in CODES {
        assert_eq!(refuse_as(&hex(common::PORT_UNREACHABLE), code), Err(NoReply::IcmpError));
    }
    for kind in 0..=u8::MAX {
        let v4 = refuse(&with(common::PING_V4, &[(20, &[kind])]));
        let is_query = matches!(kind, 0 | 8 | 9 | 10 | 13 | 14 | 17 | 18);
        assert_eq!(v4.err(), (!is_query).then_some(NoReply::IcmpError), "{kind}");
        let v6 = refuse(&with(common::PING_V6, &[(40, &[kind])]));
        let is_error = kind < 128 || kind == 137;
        assert_eq!(v6.err(), is_error.then_some(NoReply::IcmpError), "{kind}");
    }
    // One version's messages in the other are just an unknown protocol.
    assert!(refuse(&with(common::PING_V4, &[(9, &[58]), (20, &[1])])).is_ok());
    assert!(refuse(&with(common::PING_V6, &[(6, &[1]), (40, &[3])])).is_ok());
}

#[test]
fn only_the_first_fragment_is_refused() {
    let [first, second] = fragments_v4();
    let answer = refuse(&first).unwrap();
    assert_eq!((answer.len(), &answer[28..]), (576, &first[..548]));
    assert_eq!(refuse(&second), Err(NoReply::Fragment));
    let [first, second] = fragments_v6();
    assert_eq!(refuse(&second), Err(NoReply::Fragment));
    let answer = refuse_as(&first, Unreachable::Protocol).unwrap();
    assert_eq!(answer.len(), 1280);
    // The number is the fragment header's.
    assert_eq!((&answer[40..42], &answer[44..48], answer[48 + 40]), (&[4, 1][..], &[0, 0, 0, 40][..], 58));

    // An error's first fragment is one too.
    let mut error = first;
    error[48] = 1;
    assert_eq!(refuse(&error), Err(NoReply::IcmpError));
}

#[test]
fn answers_single_hosts_only() {
    let both = |packet: &str, change: (usize, &[u8])| {
        let request = with(packet, &[change]);
        let is_tcp = request[if request[0] >> 4 == 4 { 9 } else { 6 }] == 6;
        if is_tcp { reset_of(&request) } else { refuse(&request) }
    };
    for address in [[224, 0, 0, 1], [255; 4], [0; 4], [127, 0, 0, 1]] {
        for at in [12, 16] {
            for packet in [common::UDP_ECHO_V4, common::TCP_SYN] {
                assert_eq!(both(packet, (at, &address)), Err(NoReply::NotUnicast));
            }
        }
    }
    assert_eq!(both(common::UDP_ECHO_V4, (12, &[240, 0, 0, 1])), Err(NoReply::NotUnicast));
    let mut loopback = [0; 16];
    loopback[15] = 1;
    for address in [[0xff; 16], [0; 16], loopback] {
        for at in [8, 24] {
            assert_eq!(both(common::UDP_V6, (at, &address)), Err(NoReply::NotUnicast));
        }
    }
    assert_eq!(refuse(&hex(common::ROUTER_SOLICITATION)), Err(NoReply::NotUnicast));
}

#[test]
fn options_and_extension_headers_are_refused() {
    assert_eq!(refuse(&hex(common::IGMP_REPORT)), Err(NoReply::HeaderOptions));
    let plain = segment(true, 1, 0, 2, b"");
    let mut request = [&plain[..40], &[6, 0, 1, 4, 0, 0, 0, 0], &plain[40..]].concat();
    (request[5], request[6]) = (request[5] + 8, 60);
    assert_eq!(reset_of(&request), Err(NoReply::HeaderOptions));
    assert_eq!(refuse(&request), Err(NoReply::HeaderOptions));
}

#[test]
fn what_is_wrong_is_not_answered() {
    for packet in [common::UDP_ECHO_V4, common::UDP_V6, common::PING_V4, common::PING_V6, common::TCP_SYN] {
        let packet = hex(packet);
        let last = packet.len() - 1;
        let mut request = packet.clone();
        request[last] ^= 1;
        assert_eq!(refuse(&request), Err(NoReply::BadChecksum));
        let truncated = Truncated { need: last + 1, have: last };
        assert_eq!(refuse(&packet[..last]), Err(NoReply::Malformed(truncated.into())));
    }
    let mut request = hex(common::TCP_SYN);
    request[59] ^= 1;
    assert_eq!(reset_of(&request), Err(NoReply::BadChecksum));
    let length = |header, stated| Err(NoReply::Malformed(ParseError::Length { header, stated }));
    let request = with(common::TCP_SYN, &[(32, &[0x40])]);
    assert_eq!(reset_of(&request), length("TCP header", 16));
    assert_eq!(refuse(&request), length("TCP header", 16));
    let request = with(common::TCP_SYN, &[(32, &[0xb0])]);
    let error = NoReply::Malformed(Truncated { need: 64, have: 60 }.into());
    assert_eq!((reset_of(&request), refuse(&request)), (Err(error), Err(error)));
    for stated in [7, 14] {
        let request = with(common::UDP_ECHO_V4, &[(25, &[stated])]);
        assert_eq!(refuse(&request), length("UDP datagram", stated.into()));
    }
    // A datagram of IPv4 need have no checksum, and of an unknown protocol nothing is known.
    let mut request = hex(common::UDP_ECHO_V4);
    request[26..28].fill(0);
    assert!(refuse(&request).is_ok());
    assert!(refuse(&with(common::PING_V4, &[(9, &[47])])).is_ok());
}

#[test]
fn a_small_buffer_stays_as_it_is() {
    for (request, need) in [(hex(common::UDP_ECHO_V4), 61), (hex(common::UDP_V6), 101)] {
        let have = need - 1;
        let mut answer = vec![9; have];
        let error = Err(NoReply::BufferTooSmall(Truncated { need, have }));
        assert_eq!(unreachable(&request, Unreachable::Port, None, &mut answer), error);
        assert_eq!(answer, vec![9; have]);
    }
    for (v6, need) in [(false, 40), (true, 60)] {
        let have = need - 1;
        let mut answer = vec![9; have];
        let error = Err(NoReply::BufferTooSmall(Truncated { need, have }));
        assert_eq!(reset(&segment(v6, 1, 0, 2, b""), &mut answer), error);
        assert_eq!(answer, vec![9; have]);
    }
}

#[test]
fn resets_as_rfc_9293_says() {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const PSH: u8 = 8;
    const ACK: u8 = 16;
    for v6 in [false, true] {
        for (flags, payload, expected) in [
            (SYN, &b""[..], "[RST, ACK] seq 0 ack 101 win 0"),
            (SYN, b"fast", "[RST, ACK] seq 0 ack 105 win 0"),
            (0, b"", "[RST, ACK] seq 0 ack 100 win 0"),
            (FIN | PSH, b"data", "[RST, ACK] seq 0 ack 105 win 0"),
            (SYN | FIN, b"", "[RST, ACK] seq 0 ack 102 win 0"),
            (ACK, b"", "[RST] seq 7000 win 0"),
            (SYN | ACK, b"", "[RST] seq 7000 win 0"),
            (ACK | PSH | FIN, b"data", "[RST] seq 7000 win 0"),
        ] {
            let request = segment(v6, 100, 7000, flags, payload);
            let answer = reset_of(&request).unwrap();
            let start = if v6 { 40 } else { 20 };
            assert_eq!(answer.len(), start + 20);
            assert_eq!(transport_checksum(&answer, &answer[start..]), 0);
            let [before, after] = [&request, &answer].map(|bytes| Packet::parse(Layer::Tun, bytes).unwrap());
            assert_eq!(after.summary().to_string(), expected);
            assert_eq!(after.flow_key().unwrap(), before.flow_key().unwrap().reversed());
            for more in [0, ACK, SYN, ACK | FIN] {
                let request = segment(v6, 100, 7000, RST | more, payload);
                assert_eq!(reset_of(&request), Err(NoReply::Reset));
            }
        }
        let answer = reset_of(&segment(v6, u32::MAX, 0, SYN, b"x")).unwrap();
        let summary = Packet::parse(Layer::Tun, &answer).unwrap().summary().to_string();
        assert_eq!(summary, "[RST, ACK] seq 0 ack 1 win 0", "sequence numbers come around");
    }
}

#[test]
fn only_whole_segments_are_reset() {
    assert_eq!(reset_of(&hex(common::UDP_ECHO_V4)), Err(NoReply::NotTcp));
    let ping = ping_packet("fd77::1".parse().unwrap(), "fd77::2".parse().unwrap(), 1, 1, b"").unwrap();
    assert_eq!(reset_of(&ping), Err(NoReply::NotTcp));
    for mut fragment in fragments_v4() {
        fragment[9] = 6;
        fragment[10..12].fill(0);
        let sum = checksum(&fragment[..20]);
        fragment[10..12].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(reset_of(&fragment), Err(NoReply::Fragment));
    }
}
