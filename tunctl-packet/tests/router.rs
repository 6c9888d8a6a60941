//! The answers of a router to a packet that it cannot forward: the packet is too big, or its TTL is exceeded.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use core::net::IpAddr;

use common::{checksum, fix_checksums, fragments_v4, fragments_v6, hex};
use etherparse::{
    Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, Ipv4Header, Ipv6Header, icmpv4, icmpv6, ip_number,
};
use tunctl_packet::{
    Layer, NoReply, Packet, Truncated, Unreachable, packet_too_big, time_exceeded, udp_packet, unreachable,
};

const HOSTS: [[&str; 2]; 2] = [["10.1.0.2", "10.2.0.2"], ["fd77:1::2", "fd77:2::2"]];
const ROUTERS: [&str; 2] = ["10.1.0.1", "fd77:1::1"];

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A datagram between the hosts of one IP version, with "don't fragment" in IPv4.
fn datagram(hosts: [&str; 2], payload: &[u8]) -> Vec<u8> {
    let [source, destination] = hosts.map(address);
    udp_packet((source, 4000).into(), (destination, 53).into(), payload).unwrap()
}

fn written(
    request: &[u8],
    write: impl Fn(&[u8], &mut [u8]) -> Result<usize, NoReply>,
) -> Result<Vec<u8>, NoReply> {
    let mut answer = [0xee; 2000];
    let outcome = write(request, &mut answer);
    let length = outcome.unwrap_or_default();
    assert!(answer[length..].iter().all(|byte| *byte == 0xee), "wrote behind the answer");
    outcome.map(|length| answer[..length].to_vec())
}

/// The error of the router that has an address of the packet's IP version.
fn too_big(request: &[u8], mtu: u32) -> Result<Vec<u8>, NoReply> {
    let router = Some(router(request));
    written(request, |request, answer| packet_too_big(request, mtu, router, answer))
}

fn exceeded(request: &[u8]) -> Result<Vec<u8>, NoReply> {
    written(request, |request, answer| time_exceeded(request, router(request), answer))
}

fn router(packet: &[u8]) -> IpAddr {
    address(ROUTERS[usize::from(packet[0] >> 4 == 6)])
}

fn summary(packet: &[u8]) -> String {
    Packet::parse(Layer::Tun, packet).unwrap().summary().to_string()
}

/// Packets to a Linux 6.18 that forwards, and the IP and ICMP headers of its answers. The packets that are
/// too big have 1,300 bytes of payload, which are not repeated here.
const FORWARDED: [(&str, &str); 4] = [
    // Datagrams of 1,328 and 1,348 bytes, to an interface with an MTU of 1280.
    (
        "4500053000014000401121b60a0100020a0200020fa00035051ceff8",
        "45c00240e43c000040017fbc0a0100010a010002030498b700000500",
    ),
    (
        "60000000051c1140fd770001000000000000000000000002fd7700020000000000000000000000020fa00035051c0909",
        "6003781804d83a40fd770001000000000000000000000001fd7700010000000000000000000000020200d31400000500",
    ),
    // Datagrams with a TTL and a hop limit of 1.
    (
        "4500002100014000011165c50a0100020a0200020fa00035000d8c107175657279",
        "45c0003de32c0000400182cf0a0100010a0100020b00092500000000",
    ),
    (
        "60000000000d1101fd770001000000000000000000000002fd7700020000000000000000000000020fa00035000da52\
         07175657279",
        "600dc1ac003d3a40fd770001000000000000000000000001fd770001000000000000000000000002030090a300000000",
    ),
];

#[test]
fn says_what_a_kernel_said() {
    for (request, headers) in FORWARDED {
        let (mut request, mut expected) = (hex(request), hex(headers));
        let is_v6 = request[0] >> 4 == 6;
        let is_too_big = matches!(expected[expected.len() - 8..], [3, 4, ..] | [2, 0, ..]);
        if is_too_big {
            request.resize(request.len() + 1300, b'x');
        }
        if is_v6 {
            // The flow label, which is 0 here.
            expected[1..4].fill(0);
        } else {
            // Linux numbers its errors; here, they have "don't fragment" instead.
            expected[4..8].copy_from_slice(&[0, 0, 0x40, 0]);
            expected[10..12].fill(0);
            let sum = checksum(&expected[..20]);
            expected[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        let room = if is_v6 { 1280 } else { 576 } - expected.len();
        expected.extend_from_slice(&request[..room.min(request.len())]);
        let answer = if is_too_big { too_big(&request, 1280) } else { exceeded(&request) };
        assert_eq!(answer, Ok(expected));
    }
}

/// The error as etherparse builds it.
fn built(request: &[u8], v4: Icmpv4Type, v6: Icmpv6Type) -> Vec<u8> {
    let view = Packet::parse(Layer::Tun, request).unwrap();
    match (router(request), view.source().unwrap()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let quoted = &request[..request.len().min(548)];
            let mut ip = Ipv4Header::new(
                u16::try_from(8 + quoted.len()).unwrap(),
                64,
                ip_number::ICMP,
                from.octets(),
                to.octets(),
            )
            .unwrap();
            // Internetwork control (CS6), as RFC 1812 asks for.
            ip.dscp = 48.try_into().unwrap();
            ip.header_checksum = ip.calc_header_checksum();
            let icmp = Icmpv4Header::with_checksum(v4, quoted);
            [&ip.to_bytes()[..], &icmp.to_bytes(), quoted].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let quoted = &request[..request.len().min(1232)];
            let ip = Ipv6Header {
                payload_length: u16::try_from(8 + quoted.len()).unwrap(),
                next_header: ip_number::IPV6_ICMP,
                hop_limit: 64,
                source: from.octets(),
                destination: to.octets(),
                ..Ipv6Header::default()
            };
            let icmp = Icmpv6Header::with_checksum(v6, ip.source, ip.destination, quoted).unwrap();
            [&ip.to_bytes()[..], &icmp.to_bytes(), quoted].concat()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn is_what_another_library_builds() {
    for hosts in HOSTS {
        for (payload, mtu) in [(1300, 1280), (1400, 1401), (9000, 1500), (65_000, 0xfde7)] {
            let request = datagram(hosts, &vec![b'x'; payload]);
            let next_hop_mtu = u16::try_from(mtu).unwrap();
            let v4 = Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::FragmentationNeeded {
                next_hop_mtu,
            });
            let v6 = Icmpv6Type::PacketTooBig { mtu };
            assert_eq!(too_big(&request, mtu), Ok(built(&request, v4, v6)));
        }
        for payload in [0, 5, 600, 1300, 9000] {
            let request = datagram(hosts, &vec![b'x'; payload]);
            let v4 = Icmpv4Type::TimeExceeded(icmpv4::TimeExceededCode::TtlExceededInTransit);
            let v6 = Icmpv6Type::TimeExceeded(icmpv6::TimeExceededCode::HopLimitExceeded);
            assert_eq!(exceeded(&request), Ok(built(&request, v4, v6)));
            // What is behind the packet is not quoted.
            assert_eq!(exceeded(&[&request[..], b"secret"].concat()), exceeded(&request));
        }
    }
}

#[test]
fn the_view_shows_them() {
    for (hosts, expected) in HOSTS.into_iter().zip([
        [
            "fragmentation needed, mtu 1280 for UDP 10.2.0.2:53",
            "time exceeded in transit for UDP 10.2.0.2:53",
        ],
        [
            "packet too big, mtu 1280 for UDP [fd77:2::2]:53",
            "time exceeded in transit for UDP [fd77:2::2]:53",
        ],
    ]) {
        let request = datagram(hosts, &[b'x'; 1300]);
        let shown = [too_big(&request, 1280), exceeded(&request)].map(|answer| summary(&answer.unwrap()));
        assert_eq!(shown, expected);
    }
}

#[test]
fn what_fits_the_mtu_is_not_too_big() {
    for hosts in HOSTS {
        let request = datagram(hosts, &[b'x'; 1400]);
        let length = request.len();
        let size = u32::try_from(length).unwrap();
        for mtu in [size, size + 1, 65_535, 65_536, u32::MAX] {
            assert_eq!(too_big(&request, mtu), Err(NoReply::Fits { length, mtu }));
        }
        // Bytes behind the packet are not the packet's.
        let longer = [&request[..], &[0; 100]].concat();
        assert_eq!(too_big(&longer, size), Err(NoReply::Fits { length, mtu: size }));
        assert!(too_big(&request, size - 1).is_ok());
        // It fits whatever else is wrong with it, "don't fragment" or the MTU included.
        let small = datagram(hosts, b"");
        let (length, mtu) = (small.len(), u32::try_from(small.len()).unwrap());
        assert_eq!(too_big(&small, mtu), Err(NoReply::Fits { length, mtu }));
    }
}

#[test]
fn an_mtu_that_no_link_may_have_is_not_reported() {
    for (hosts, minimum) in HOSTS.into_iter().zip([68, 1280]) {
        let request = datagram(hosts, &[b'x'; 1300]);
        for mtu in [0, 1, minimum - 1] {
            assert_eq!(too_big(&request, mtu), Err(NoReply::MtuTooSmall { mtu, minimum }));
        }
        assert!(too_big(&request, minimum).is_ok());
    }
}

#[test]
fn a_packet_that_may_be_fragmented_is_not_too_big() {
    let mut request = datagram(HOSTS[0], &[b'x'; 1400]);
    request[6] = 0;
    fix_checksums(&mut request);
    assert_eq!(too_big(&request, 1280), Err(NoReply::MayFragment));
    assert_eq!(too_big(&request, 20), Err(NoReply::MayFragment));
    assert!(exceeded(&request).is_ok());
}

#[test]
fn only_packet_too_big_is_sent_about_a_packet_to_a_group() {
    let [[v4, _], [v6, _]] = HOSTS;
    for group in ["ff02::1", "ff0e::101"] {
        let request = datagram([v6, group], &[b'x'; 1400]);
        let answer = too_big(&request, 1280).unwrap();
        assert_eq!(summary(&answer), format!("packet too big, mtu 1280 for UDP [{group}]:53"));
        assert_eq!(exceeded(&request), Err(NoReply::NotUnicast));
        let unreached = unreachable(&request, Unreachable::Network, Some(router(&request)), &mut [0; 1280]);
        assert_eq!(unreached, Err(NoReply::NotUnicast));
        // A group sends nothing.
        let error = NoReply::Sender { address: address(group) };
        assert_eq!(packet_too_big(&request, 1280, None, &mut [0; 1280]), Err(error));
        let from_group = datagram([group, "ff02::2"], &[b'x'; 1400]);
        assert_eq!(too_big(&from_group, 1280), Err(NoReply::NotUnicast));
    }
    // In IPv4, there is no exception; nor for other addresses that are no single host's.
    for hosts in [[v4, "224.0.0.251"], [v4, "255.255.255.255"], ["240.0.0.0", v4], [v6, "::1"], ["::", v6]] {
        let request = datagram(hosts, &[b'x'; 1400]);
        assert_eq!(too_big(&request, 1280), Err(NoReply::NotUnicast), "{hosts:?}");
        assert_eq!(exceeded(&request), Err(NoReply::NotUnicast), "{hosts:?}");
    }
}

#[test]
fn the_sender_is_a_single_host_of_the_same_version() {
    for (hosts, mixed) in HOSTS.into_iter().zip(["fd77::9", "10.9.9.9"]) {
        let request = datagram(hosts, &[b'x'; 1400]);
        for wrong in [mixed, "224.0.0.1", "ff02::1", "0.0.0.0", "::", "255.255.255.255", "127.0.0.1", "::1"] {
            let address = address(wrong);
            let error = Err(NoReply::Sender { address });
            assert_eq!(packet_too_big(&request, 1280, Some(address), &mut [0; 1280]), error);
            assert_eq!(time_exceeded(&request, address, &mut [0; 1280]), error);
        }
        let answer = written(&request, |request, answer| packet_too_big(request, 1280, None, answer));
        let source = Packet::parse(Layer::Tun, &answer.unwrap()).unwrap().source();
        assert_eq!(source, Some(address(hosts[1])));
    }
}

#[test]
fn nothing_is_said_about_an_error() {
    for hosts in HOSTS {
        let request = datagram(hosts, &[b'x'; 1400]);
        for error in [too_big(&request, 1280).unwrap(), exceeded(&request).unwrap()] {
            assert_eq!(exceeded(&error), Err(NoReply::IcmpError));
            if hosts == HOSTS[0] {
                assert_eq!(too_big(&error, 68), Err(NoReply::IcmpError));
            }
        }
    }
    // An ICMPv6 error is never larger than the smallest MTU; a message of an error's type could be.
    let mut error = datagram(HOSTS[1], &[0; 1400]);
    (error[6], error[40]) = (58, 2);
    fix_checksums(&mut error);
    assert_eq!(too_big(&error, 1280), Err(NoReply::IcmpError));
}

#[test]
fn only_the_first_fragment_gets_an_error() {
    let [mut first, mut second] = fragments_v4();
    assert_eq!(too_big(&first, 576), Err(NoReply::MayFragment));
    for fragment in [&mut first, &mut second] {
        fragment[6] |= 0x40;
        fragment[10..12].fill(0);
        let sum = checksum(&fragment[..20]);
        fragment[10..12].copy_from_slice(&sum.to_be_bytes());
    }
    assert_eq!(too_big(&first, 576).map(|answer| answer.len()), Ok(576));
    assert_eq!(too_big(&second, 68), Err(NoReply::Fragment));
    assert_eq!(exceeded(&first).map(|answer| answer.len()), Ok(576));
    assert_eq!(exceeded(&second), Err(NoReply::Fragment));
    let [first, second] = fragments_v6();
    assert_eq!(too_big(&first, 1280).map(|answer| answer.len()), Ok(1280));
    assert_eq!(exceeded(&first).map(|answer| answer.len()), Ok(1280));
    assert_eq!(exceeded(&second), Err(NoReply::Fragment));
}

#[test]
fn what_is_wrong_gets_no_error_and_a_small_buffer_stays_as_it_is() {
    for (hosts, need) in HOSTS.into_iter().zip([576, 1280]) {
        let request = datagram(hosts, &[b'x'; 1400]);
        let mut damaged = request.clone();
        damaged[300] ^= 1;
        assert_eq!((too_big(&damaged, 1280), exceeded(&damaged)), both(NoReply::BadChecksum));
        let (cut, have) = (&request[..1400], 1400);
        let error = NoReply::Malformed(Truncated { need: request.len(), have }.into());
        assert_eq!((too_big(cut, 1280), exceeded(cut)), both(error));

        let mut small = vec![9; need - 1];
        let error = Err(NoReply::BufferTooSmall(Truncated { need, have: need - 1 }));
        assert_eq!(packet_too_big(&request, 1280, None, &mut small), error);
        assert_eq!(time_exceeded(&request, router(&request), &mut small), error);
        assert_eq!(small, vec![9; need - 1]);
    }
    assert_eq!(exceeded(&hex(common::IGMP_REPORT)), Err(NoReply::HeaderOptions));
}

fn both(error: NoReply) -> (Result<Vec<u8>, NoReply>, Result<Vec<u8>, NoReply>) {
    (Err(error), Err(error))
}
