//! What `Packet` makes of packets that a kernel sent, whole and in part.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{fragments_v4, fragments_v6, hex};
use tunctl_packet::{EtherType, Layer, Packet, ParseError, Protocol, Truncated};

fn line(layer: Layer, bytes: &[u8]) -> String {
    let packet = Packet::parse(layer, bytes).unwrap();
    format!("{} {}", packet.protocol(), packet.summary())
}

#[test]
fn summaries_of_ip_packets() {
    for (packet, expected) in [
        (common::PING_V4, "ICMP echo request id 64807 seq 1"),
        (common::PING_V6, "ICMPv6 echo request id 64808 seq 1"),
        (common::UDP_ECHO_V4, "UDP length 5"),
        (common::UDP_V6, "UDP length 5"),
        (common::TCP_SYN, "TCP [SYN] seq 3270134909 win 64240"),
        (common::PORT_UNREACHABLE, "ICMP port unreachable for UDP 10.1.0.1:53"),
        (common::IGMP_REPORT, "IGMP membership report v3"),
        (common::ROUTER_SOLICITATION, "ICMPv6 router solicitation"),
    ] {
        assert_eq!(line(Layer::Tun, &hex(packet)), expected);
    }
}

#[test]
fn summaries_of_frames() {
    for (frame, expected) in [
        (common::TAP_ARP, "ARP who-has 10.0.0.2 tell 10.0.0.1"),
        (common::TAP_MLD_REPORT, "ICMPv6 multicast listener report"),
        (common::TAP_NEIGHBOR_SOLICITATION, "ICMPv6 neighbor solicitation for fe80::ff:fe00:1"),
    ] {
        assert_eq!(line(Layer::Tap, &hex(frame)), expected);
    }
}

#[test]
fn summaries_of_made_up_packets() {
    let with = |packet: &str, at: usize, bytes: &[u8]| {
        let mut packet = hex(packet);
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        packet
    };
    let with_number = |mut packet: Vec<u8>, at: usize, number: u8| {
        packet[at] = number;
        packet
    };
    for (packet, expected) in [
        (with(common::PING_V4, 20, &[3, 4, 0, 0, 0, 0, 0x05, 0x78]), "ICMP fragmentation needed, mtu 1400"),
        (with(common::PING_V4, 20, &[11, 0]), "ICMP time exceeded in transit"),
        (with(common::PING_V4, 20, &[99, 1]), "ICMP type 99 code 1"),
        (with(common::PING_V4, 9, &[47]), "GRE length 16"),
        (with(common::PING_V6, 6, &[50]), "ESP length 16"),
        (with(common::PING_V4, 9, &[89]), "OSPF length 16"),
        (with(common::PING_V6, 6, &[132]), "SCTP length 4"),
        (with(common::PING_V4, 9, &[253]), "IP proto 253 length 16"),
        // An authentication header of 24 bytes, which are not there.
        (with_number(with(common::PING_V4, 20, &[17, 4]), 9, 51), "AH headers cut off"),
        (with_number(with(common::PING_V6, 40, &[132, 0]), 6, 51), "SCTP header cut off, length 8"),
        (with(common::PING_V4, 9, &[58]), "IP proto 58 length 16"),
        (with(common::PING_V6, 40, &[2, 0, 0, 0, 0, 0, 5, 0]), "ICMPv6 packet too big, mtu 1280"),
        (with(common::PING_V6, 40, &[1, 4]), "ICMPv6 port unreachable"),
        (with(common::PING_V6, 6, &[59]), "IP proto 59 no next header"),
        (with(common::TCP_SYN, 33, &[0x10]), "TCP [ACK] seq 3270134909 ack 0 win 64240"),
        (with(common::TCP_SYN, 32, &[0x50, 0x18]), "TCP [PSH, ACK] seq 3270134909 ack 0 win 64240 length 20"),
        (with(common::TCP_SYN, 33, &[0]), "TCP [none] seq 3270134909 win 64240"),
        (with(common::UDP_ECHO_V4, 0, &[0x42]), "UDP bad IPv4 header length 8"),
        (with(common::UDP_ECHO_V4, 2, &[0, 19]), "UDP bad IPv4 packet length 19"),
        (with(common::UDP_ECHO_V4, 2, &[0, 0]), "UDP bad IPv4 packet length 0"),
        (with(common::IGMP_REPORT, 2, &[0, 23]), "IGMP bad IPv4 packet length 23"),
        (with(common::UDP_ECHO_V4, 24, &[0, 7]), "UDP bad UDP datagram length 7"),
        (with(common::UDP_V6, 44, &[0, 0]), "UDP length 5"),
        (with(common::TCP_SYN, 32, &[0x40]), "TCP bad TCP header length 16"),
        (with(common::TCP_SYN, 32, &[0]), "TCP bad TCP header length 0"),
    ] {
        assert_eq!(line(Layer::Tun, &packet), expected);
    }
    let arp = |operation, sender: [u8; 4]| {
        let mut frame = hex(common::TAP_ARP);
        frame[21] = operation;
        frame[28..32].copy_from_slice(&sender);
        line(Layer::Tap, &frame)
    };
    assert_eq!(arp(2, [10, 0, 0, 1]), "ARP 10.0.0.1 is-at 02:00:00:00:00:01");
    assert_eq!(arp(1, [0; 4]), "ARP who-has 10.0.0.2 (probe)");
    assert_eq!(arp(1, [10, 0, 0, 2]), "ARP announcement of 10.0.0.2");
    assert_eq!(arp(9, [10, 0, 0, 1]), "ARP operation 9");
}

#[test]
fn addresses_ports_and_payload() {
    let bytes = hex(common::UDP_V6);
    let packet = Packet::parse(Layer::Tun, &bytes).unwrap();
    assert_eq!(packet.source(), Some("fd77::1".parse().unwrap()));
    assert_eq!(packet.destination(), Some("fd77::2".parse().unwrap()));
    assert_eq!((packet.source_port(), packet.destination_port()), (Some(48592), Some(53)));
    assert_eq!((packet.payload(), packet.len(), packet.bytes()), (&b"hello"[..], 53, &bytes[..]));
    assert_eq!((packet.ether_type(), packet.source_mac()), (EtherType::IPV6, None));
    assert!(!packet.is_fragment() && !packet.is_empty());

    let bytes = hex(common::TCP_SYN);
    let packet = Packet::parse(Layer::Tun, &bytes).unwrap();
    assert_eq!((packet.source_port(), packet.destination_port()), (Some(52530), Some(80)));
    assert_eq!((packet.payload(), packet.ether_type()), (&b""[..], EtherType::IPV4));
}

/// No host takes such a packet, so nothing behind its header is what the header says.
#[test]
fn a_packet_that_ends_within_its_own_header_has_no_transport() {
    for (packet, header) in [(common::UDP_ECHO_V4, 20), (common::TCP_SYN, 20), (common::IGMP_REPORT, 24)] {
        let mut bytes = hex(packet);
        for stated in [0, 1, header - 1] {
            bytes[2..4].copy_from_slice(&u16::try_from(stated).unwrap().to_be_bytes());
            let packet = Packet::parse(Layer::Tun, &bytes).unwrap();
            assert!(packet.source().is_some());
            assert_eq!((packet.transport_header(), packet.flow_key()), (None, None));
            assert_eq!((packet.source_port(), packet.destination_port()), (None, None));
            assert_eq!(packet.payload(), &bytes[header..]);
        }
        bytes[2..4].copy_from_slice(&u16::try_from(header).unwrap().to_be_bytes());
        assert_eq!(Packet::parse(Layer::Tun, &bytes).unwrap().payload(), b"");
    }
}

#[test]
fn headers_are_slices_of_the_packet() {
    for (layer, packet, network, transport) in [
        (Layer::Tun, common::TCP_SYN, Some(0..20), Some(20..60)),
        (Layer::Tun, common::UDP_V6, Some(0..40), Some(40..48)),
        (Layer::Tun, common::PING_V4, Some(0..20), Some(20..28)),
        // A router alert: in IPv4 as an option, in IPv6 as an extension header.
        (Layer::Tun, common::IGMP_REPORT, Some(0..24), Some(24..32)),
        (Layer::Tap, common::TAP_MLD_REPORT, Some(14..62), Some(62..70)),
        (Layer::Tap, common::TAP_ARP, None, None),
    ] {
        let bytes = hex(packet);
        let view = Packet::parse(layer, &bytes).unwrap();
        assert_eq!(view.network_header(), network.map(|range| &bytes[range]), "{packet}");
        assert_eq!(view.transport_header(), transport.map(|range| &bytes[range]), "{packet}");
    }
    let syn = hex(common::TCP_SYN);
    let cut = Packet::parse(Layer::Tun, &syn[..59]).unwrap();
    assert_eq!((cut.network_header(), cut.transport_header()), (Some(&syn[..20]), None));
    let [_, second] = fragments_v6();
    let fragment = Packet::parse(Layer::Tun, &second).unwrap();
    assert_eq!((fragment.network_header(), fragment.transport_header()), (Some(&second[..48]), None));
}

/// A frame with this type, from one station to another.
fn frame(ether_type: u16, parts: &[&[u8]]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ether_type.to_be_bytes()[..], &parts.concat()].concat()
}

#[test]
fn a_frame_of_pppoe_shows_the_packet_inside() {
    for (packet, number) in [(common::UDP_ECHO_V4, 0x21), (common::UDP_V6, 0x57)] {
        let inside = hex(packet);
        let length = u16::try_from(inside.len() + 2).unwrap().to_be_bytes();
        let header = [0x11, 0, 0, 7, length[0], length[1], 0, number];
        let bytes = frame(0x8864, &[&header, &inside, &[0; 5]]);
        let packet = Packet::parse(Layer::Tap, &bytes).unwrap();
        let bare = Packet::parse(Layer::Tun, &inside).unwrap();
        assert_eq!((packet.source(), packet.flow_key()), (bare.source(), bare.flow_key()));
        assert_eq!((packet.ether_type(), packet.payload()), (bare.ether_type(), &b"hello"[..]));
        assert_eq!(packet.network_header(), Some(&bytes[22..][..bare.network_header().unwrap().len()]));
        assert_eq!(line(Layer::Tap, &bytes), "UDP pppoe 7, length 5");
        // With a tag in front, and cut off.
        let tagged = frame(0x8100, &[&[0, 5, 0x88, 0x64], &bytes[14..]]);
        assert_eq!(line(Layer::Tap, &tagged), "UDP vlan 5, pppoe 7, length 5");
        assert_eq!(
            Packet::parse(Layer::Tap, &bytes[..70.min(bytes.len() - 8)]).unwrap().source(),
            bare.source()
        );
        // What is no packet of IP stays what it is: another protocol, version, code or header.
        for (at, byte) in [(20, 0xc0), (14, 0x21), (15, 9), (22, 0x50)] {
            let mut other = bytes.clone();
            other[at] = byte;
            let packet = Packet::parse(Layer::Tap, &other).unwrap();
            assert_eq!((packet.ether_type(), packet.source()), (EtherType::PPPOE, None));
            assert_eq!(packet.payload(), &other[14..]);
        }
    }
    assert_eq!(line(Layer::Tap, &frame(0x8864, &[&[0x11, 0, 0]])), "PPPoE length 3");
}

#[test]
fn a_frame_of_mpls_shows_the_packet_inside() {
    let [last, first] = [[0, 1, 0x01, 64], [0x00, 0x7d, 0x00, 64]];
    for (packet, labels, label) in [
        (common::UDP_ECHO_V4, vec![last], 16),
        (common::UDP_V6, vec![first, first, last], 2000),
        (common::TCP_SYN, vec![[0xff, 0xff, 0xf1, 1]], 0xfffff),
    ] {
        let inside = hex(packet);
        for ether_type in [0x8847, 0x8848] {
            let bytes = frame(ether_type, &[&labels.concat(), &inside]);
            let packet = Packet::parse(Layer::Tap, &bytes).unwrap();
            let bare = Packet::parse(Layer::Tun, &inside).unwrap();
            assert_eq!((packet.flow_key(), packet.payload()), (bare.flow_key(), bare.payload()));
            let expected = format!("{} mpls {label}, {}", bare.protocol(), bare.summary());
            assert_eq!(line(Layer::Tap, &bytes), expected);
        }
    }
    // Ethernet in MPLS begins with a word of zeros; a stack without an end has nothing inside.
    for inside in [&[&last[..], &[0; 30]].concat(), &[first; 9].concat(), &last.to_vec(), &vec![0]] {
        let bytes = frame(0x8847, &[inside]);
        let packet = Packet::parse(Layer::Tap, &bytes).unwrap();
        assert_eq!(
            (packet.ether_type(), packet.source(), packet.payload()),
            (EtherType::MPLS, None, &inside[..])
        );
        assert_eq!(line(Layer::Tap, &bytes), format!("MPLS length {}", inside.len()));
    }
}

#[test]
fn sctp_has_ports() {
    let mut bytes = hex(common::PING_V6);
    bytes[6] = 132;
    bytes[40..44].copy_from_slice(&[0x0b, 0x59, 0x96, 0x0c]);
    let packet = Packet::parse(Layer::Tun, &bytes).unwrap();
    assert_eq!(
        (packet.protocol(), packet.source_port(), packet.destination_port()),
        (Protocol::Sctp, Some(2905), Some(38412))
    );
    assert_eq!((packet.transport_header(), packet.payload()), (Some(&bytes[40..52]), &bytes[52..]));
    let key = packet.flow_key().unwrap();
    assert_eq!(key.to_string(), "[fd77::1]:2905 > [fd77::2]:38412 SCTP");
    assert_eq!((key.number, key.reversed().ports), (132, Some((38412, 2905))));
    // No ports, no flow: as of the others.
    let cut = Packet::parse(Layer::Tun, &bytes[..43]).unwrap();
    assert_eq!((cut.source_port(), cut.flow_key()), (None, None));
}

#[test]
fn flows() {
    let key = |layer, bytes: &[u8]| Packet::parse(layer, bytes).unwrap().flow_key();
    for (packet, expected) in [
        (common::TCP_SYN, "10.1.0.1:52530 > 10.1.0.2:80 TCP"),
        (common::UDP_V6, "[fd77::1]:48592 > [fd77::2]:53 UDP"),
        (common::PING_V4, "10.1.0.1 > 10.1.0.2 ICMP"),
        (common::PING_V6, "fd77::1 > fd77::2 ICMPv6"),
        (common::IGMP_REPORT, "10.1.0.1 > 224.0.0.22 IGMP"),
    ] {
        let key = key(Layer::Tun, &hex(packet)).unwrap();
        assert_eq!(key.to_string(), expected);
        assert_eq!(key.reversed().reversed(), key);
        assert_ne!(key.reversed(), key);
    }
    let there = key(Layer::Tun, &hex(common::UDP_V6)).unwrap();
    assert_eq!((there.ports, there.number, there.protocol()), (Some((48592, 53)), 17, Protocol::Udp));
    assert_eq!(there.reversed().ports, Some((53, 48592)));
    assert_eq!(there.reversed().source, there.destination);

    assert_eq!(key(Layer::Tap, &hex(common::TAP_ARP)), None);
    let mut other = hex(common::PING_V4);
    other[9] = 253;
    assert_eq!(key(Layer::Tun, &other).unwrap().to_string(), "10.1.0.1 > 10.1.0.2 IP proto 253");
}

#[test]
fn fragments_are_of_one_flow() {
    for mut fragments in [fragments_v4(), fragments_v6()] {
        let at = if fragments[0][0] >> 4 == 4 { 9 } else { 40 };
        for packet in &mut fragments {
            packet[at] = 17;
        }
        let keys = fragments.map(|packet| Packet::parse(Layer::Tun, &packet).unwrap().flow_key().unwrap());
        assert_eq!((keys[0], keys[0].ports), (keys[1], None));
    }
}

#[test]
fn what_is_cut_off_before_the_ports_is_of_no_flow() {
    let bytes = hex(common::TCP_SYN);
    for length in 20..bytes.len() {
        let key = Packet::parse(Layer::Tun, &bytes[..length]).unwrap().flow_key();
        assert_eq!(key.is_some(), length >= 24);
    }
    let options = hex(common::IGMP_REPORT);
    assert_eq!(Packet::parse(Layer::Tun, &options[..23]).unwrap().flow_key(), None);
}

#[test]
fn arp_gives_protocol_addresses() {
    let bytes = hex(common::TAP_ARP);
    let packet = Packet::parse(Layer::Tap, &bytes).unwrap();
    assert_eq!(packet.source(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(packet.destination(), Some("10.0.0.2".parse().unwrap()));
    assert_eq!(packet.source_mac(), Some([2, 0, 0, 0, 0, 1]));
    assert_eq!(packet.destination_mac(), Some([0xff; 6]));
    assert_eq!((packet.ether_type(), packet.protocol()), (EtherType::ARP, Protocol::Arp));
}

#[test]
fn padding_is_no_payload() {
    let mut bytes = hex(common::UDP_ECHO_V4);
    bytes.extend_from_slice(&[0; 13]);
    assert_eq!(Packet::parse(Layer::Tun, &bytes).unwrap().payload(), b"hello");
    // Nor is what the datagram's length leaves of the packet; a length that can't be is no help.
    for (length, payload) in [(10, "he"), (14, "hello"), (7, "hello"), (0, "hello")] {
        bytes[25] = length;
        assert_eq!(Packet::parse(Layer::Tun, &bytes).unwrap().payload(), payload.as_bytes());
    }
}

#[test]
fn looks_behind_vlan_tags() {
    let untagged = hex(common::TAP_ARP);
    let tags = hex("88a8006481002fff");
    let bytes = [&untagged[..12], &tags, &untagged[12..]].concat();
    let packet = Packet::parse(Layer::Tap, &bytes).unwrap();
    assert_eq!((packet.vlan_id(), packet.ether_type()), (Some(100), EtherType::ARP));
    assert_eq!(packet.summary().to_string(), "vlan 100, who-has 10.0.0.2 tell 10.0.0.1");

    let cut = Packet::parse(Layer::Tap, &bytes[..18]).unwrap();
    assert_eq!((cut.vlan_id(), cut.ether_type()), (Some(100), EtherType::VLAN));
}

#[test]
fn frames_that_carry_something_else() {
    let frame = |kind: &str| hex(&format!("ffffffffffff020000000001{kind}450000"));
    for (kind, expected) in [
        ("88cc", "0x88cc length 3"),
        ("0026", "0x0026 802.3 length 38"),
        ("0800", "IPv4 no IPv4 header, length 3"),
        ("86dd", "IPv6 no IPv6 header, length 3"),
        ("0806", "ARP no ARP header, length 3"),
    ] {
        let bytes = frame(kind);
        assert_eq!(line(Layer::Tap, &bytes), expected);
        assert_eq!(Packet::parse(Layer::Tap, &bytes).unwrap().payload(), [0x45, 0, 0]);
    }
}

#[test]
fn fragments() {
    let [first, second] = fragments_v4();
    assert_eq!(line(Layer::Tun, &first), "ICMP echo request id 64807 seq 2, fragment at 0");
    assert_eq!(line(Layer::Tun, &second), "ICMP fragment at 1480");
    let [first, second] = fragments_v6();
    assert_eq!(line(Layer::Tun, &first), "ICMPv6 echo request id 64808 seq 2, fragment at 0");
    assert_eq!(line(Layer::Tun, &second), "ICMPv6 fragment at 1448");
    let packet = Packet::parse(Layer::Tun, &second).unwrap();
    assert!(packet.is_fragment() && Packet::parse(Layer::Tun, &first).unwrap().is_fragment());
    assert_eq!((packet.payload().len(), packet.source_port()), (560, None));
}

#[test]
fn a_snapshot_keeps_what_is_there() {
    let bytes = hex(common::TCP_SYN);
    let address = Some("10.1.0.2".parse().unwrap());
    for length in 20..bytes.len() {
        let packet = Packet::parse(Layer::Tun, &bytes[..length]).unwrap();
        assert_eq!((packet.destination(), packet.protocol()), (address, Protocol::Tcp));
        assert_eq!(packet.destination_port(), (length >= 24).then_some(80));
    }
    assert_eq!(line(Layer::Tun, &bytes[..24]), "TCP header cut off, length 4");
    let options = hex(common::IGMP_REPORT);
    assert_eq!(line(Layer::Tun, &options[..22]), "IGMP headers cut off");
    let chain = hex(common::TAP_MLD_REPORT);
    assert_eq!(line(Layer::Tap, &chain[..60]), "IP proto 0 headers cut off");
}

#[test]
fn refuses_only_what_says_nothing() {
    let error = |layer, bytes| Packet::parse(layer, bytes).unwrap_err();
    let truncated = |need, have| ParseError::Truncated(Truncated { need, have });
    assert_eq!(error(Layer::Tun, &[]), truncated(20, 0));
    assert_eq!(error(Layer::Tun, &[0x45; 19]), truncated(20, 19));
    assert_eq!(error(Layer::Tun, &[0x60; 39]), truncated(40, 39));
    assert_eq!(error(Layer::Tun, &[0x50; 60]), ParseError::NotIp { first_byte: 0x50 });
    assert_eq!(error(Layer::Tap, &[0x45; 13]), truncated(14, 13));
    assert!(Packet::parse(Layer::Tap, &[0x45; 14]).is_ok());
}
