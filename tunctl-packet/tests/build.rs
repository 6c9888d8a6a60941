//! Packets built here, against those that a kernel built for the same purpose.

mod common;

use common::{checksum, hex, transport_checksum};
use tunctl_packet::{
    BuildError, EchoMessage, EtherType, Layer, Packet, echo_reply, ethernet_frame, icmp_echo_request,
    icmpv6_echo_request, parse_echo_reply, ping_packet, udp_packet,
};

const V4: (&str, &str) = ("10.1.0.1", "10.1.0.2");
const V6: (&str, &str) = ("fd77::1", "fd77::2");

#[test]
fn messages_are_those_of_a_kernel() {
    assert_eq!(icmp_echo_request(0xfd27, 1, b"abcdefgh"), hex(common::PING_V4)[20..]);
    let mut expected = hex(common::PING_V6)[40..].to_vec();
    expected[2..4].fill(0);
    assert_eq!(icmpv6_echo_request(0xfd28, 1, b"abcdefgh"), expected);
}

#[test]
fn packets_are_those_of_a_kernel() {
    let ping = |(source, destination): (&str, &str), identifier| {
        ping_packet(source.parse().unwrap(), destination.parse().unwrap(), identifier, 1, b"abcdefgh")
            .unwrap()
    };
    // But for the identification, which is 0 here, and the flow label.
    let mut expected = hex(common::PING_V4);
    expected[4..6].fill(0);
    expected[10..12].fill(0);
    let sum = checksum(&expected[..20]);
    expected[10..12].copy_from_slice(&sum.to_be_bytes());
    assert_eq!(ping(V4, 0xfd27), expected);
    let mut expected = hex(common::PING_V6);
    expected[1..4].fill(0);
    assert_eq!(ping(V6, 0xfd28), expected);

    let source = "[fd77::1]:48592".parse().unwrap();
    let mut expected = hex(common::UDP_V6);
    expected[1..4].fill(0);
    assert_eq!(udp_packet(source, "[fd77::2]:53".parse().unwrap(), b"hello").unwrap(), expected);

    let packet =
        udp_packet("10.1.0.1:44727".parse().unwrap(), "10.1.0.2:7".parse().unwrap(), b"hello").unwrap();
    assert_eq!(packet[20..], hex(common::UDP_ECHO_V4)[20..]);
    assert_eq!((checksum(&packet[..20]), packet[8]), (0, 64));
}

#[test]
fn a_udp_sum_of_zero_is_sent_as_the_other_zero() {
    let (source, destination) = ("10.1.0.1:4000".parse().unwrap(), "10.1.0.2:7".parse().unwrap());
    let packet = udp_packet(source, destination, &[0, 0]).unwrap();
    // With its own checksum for payload, what is summed adds up to 0xffff.
    let packet = udp_packet(source, destination, &packet[26..28]).unwrap();
    assert_eq!(packet[26..28], [0xff, 0xff]);
    assert_eq!(transport_checksum(&packet, &packet[20..]), 0);
}

#[test]
fn a_frame_is_addresses_type_and_payload() {
    let frame = ethernet_frame([2, 0, 0, 0, 0, 1], [0xff; 6], EtherType::ARP, &hex(common::TAP_ARP)[14..]);
    assert_eq!(frame, hex(common::TAP_ARP));
}

#[test]
fn the_largest_packets_and_none_larger() {
    for ((source, destination), max, total) in [(V4, 65_507, 65_535), (V6, 65_527, 65_575)] {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        let error = Err(BuildError::TooLong { length: max + 1, max });
        let payload = vec![1; max + 1];
        let ping = |payload| ping_packet(source, destination, 1, 1, payload);
        let udp = |payload| udp_packet((source, 1).into(), (destination, 2).into(), payload);
        assert_eq!(ping(&payload), error);
        assert_eq!(udp(&payload), error);
        let packet = ping(&payload[1..]).unwrap();
        assert_eq!(packet.len(), total);
        assert_eq!(echo_reply(&packet, &mut vec![0; total]), Ok(total));
        assert_eq!(Packet::parse(Layer::Tun, &udp(&payload[1..]).unwrap()).unwrap().payload().len(), max);
    }
}

#[test]
fn families_do_not_mix() {
    let (source_address, destination_address) = (V4.0.parse().unwrap(), V6.1.parse().unwrap());
    let error = Err(BuildError::MixedFamilies { source_address, destination_address });
    assert_eq!(ping_packet(source_address, destination_address, 1, 1, b""), error);
    assert_eq!(udp_packet((source_address, 1).into(), (destination_address, 2).into(), b""), error);
    assert!(ping_packet(destination_address, source_address, 1, 1, b"").is_err());
}

#[test]
fn a_prober_understands_the_answer() {
    for ((source, destination), header) in [(V4, 0), (V6, 40)] {
        let request =
            ping_packet(source.parse().unwrap(), destination.parse().unwrap(), 7, 9, b"payload").unwrap();
        let mut answer = vec![0; request.len()];
        echo_reply(&request, &mut answer).unwrap();
        // A raw socket has the IPv4 header in front, and never that of IPv6.
        let EchoMessage { identifier, sequence, payload, is_reply, .. } =
            parse_echo_reply(&answer[header..]).unwrap();
        assert_eq!((identifier, sequence, payload, is_reply), (7, 9, &b"payload"[..], true));
        assert_eq!(parse_echo_reply(&request[header..]), None);
    }
}
