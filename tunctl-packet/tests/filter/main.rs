//! Filter expressions: what matches, what surprises, and what is refused.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;
mod form;
mod words;

use common::{TAP_ARP, TCP_SYN, UDP_V6, fragments_v4, fragments_v6, hex};
use tunctl_packet::{EtherType, Filter, Layer, ethernet_frame, ping_packet, udp_packet};

const MAC_1: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_2: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Whether a packet matches; the tree and the program agree.
fn matches(layer: Layer, expression: &str, packet: &[u8]) -> bool {
    let filter = Filter::parse(layer, expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
    let kept = filter.program().run(packet);
    assert_eq!(filter.matches(packet), kept != 0, "{expression}");
    assert!(kept == 0 || kept == u32::MAX, "a matching packet is kept whole");
    kept != 0
}

/// Whether a packet matches, on a tun and in a frame.
fn both(expression: &str, packet: &[u8]) -> bool {
    let ether_type = if packet[0] >> 4 == 4 { EtherType::IPV4 } else { EtherType::IPV6 };
    let frame = ethernet_frame(MAC_2, MAC_1, ether_type, packet);
    let (on_tun, on_tap) = (matches(Layer::Tun, expression, packet), matches(Layer::Tap, expression, &frame));
    assert_eq!(on_tun, on_tap, "{expression}");
    on_tun
}

fn udp(source: &str, destination: &str) -> Vec<u8> {
    udp_packet(source.parse().unwrap(), destination.parse().unwrap(), b"payload").unwrap()
}

/// Checks which of these expressions match the packet.
fn check(packet: &[u8], matching: &[&str], others: &[&str]) {
    for expression in matching {
        assert!(both(expression, packet), "{expression} should match");
        assert!(!both(&format!("not ({expression})"), packet), "not ({expression}) should not");
    }
    for expression in others {
        assert!(!both(expression, packet), "{expression} should not match");
        assert!(both(&format!("!({expression})"), packet), "!({expression}) should");
    }
}

#[test]
fn protocols_addresses_and_ports_are_found_in_ipv4() {
    check(
        &udp("10.1.2.3:4000", "192.168.1.9:53"),
        &[
            "ip",
            "udp",
            "proto 17",
            "ip proto (tcp or udp)",
            "ip proto 0x11",
            "proto \\udp",
            "ether proto 0x800",
            "host 10.1.2.3",
            "src 10.1.2.3",
            "ip src host 10.1.2.3",
            "dst host 192.168.1.9",
            "src or dst host 192.168.1.9",
            "net 10.0.0.0/8",
            "net 10",
            "net 10.1.2",
            "dst net 192.168.0.0 mask 255.255.0.0",
            "src net 0.0.0.0/0",
            "port 53",
            "udp dst port 53",
            "src port 4000",
            "portrange 50-60",
            "udp portrange 60-50",
            "portrange 53",
        ],
        &[
            "ip6",
            "tcp",
            "icmp",
            "ip6 proto 17",
            "host 10.1.2.4",
            "dst 10.1.2.3",
            "src and dst host 10.1.2.3",
            "net 11.0.0.0/8",
            "src net 192.168",
            "tcp port 53",
            "src port 53",
            "dst and src port 53",
            "portrange 54-60",
            "host fd77::1",
        ],
    );
}

#[test]
fn protocols_addresses_and_ports_are_found_in_ipv6() {
    check(
        &udp("[fd77::1]:4000", "[2001:db8::2]:53"),
        &[
            "ip6",
            "udp",
            "ip6 proto 17",
            "host fd77::1",
            "ip6 dst host 2001:db8::2",
            "net fd77::/16",
            "dst net 2001:db8::/33",
            "net ::/0",
            "net fd77::1",
            "port 53",
            "udp src port 4000",
        ],
        &[
            "ip",
            "ip proto 17",
            "host fd77::2",
            "src net 2001:db8::/32",
            "net fd78::/16",
            "tcp",
            "icmp6",
            "port 54",
        ],
    );
    let ping = ping_packet("fd77::1".parse().unwrap(), "ff02::1".parse().unwrap(), 7, 1, b"").unwrap();
    check(&ping, &["icmp6", "ip6 multicast", "ip6 proto ipv6-icmp"], &["icmp", "port 128", "ip multicast"]);
}

#[test]
fn frames_have_addresses_types_and_groups_of_their_own() {
    let arp = hex(TAP_ARP);
    for expression in [
        "arp",
        "ether proto arp",
        "ether proto \\arp",
        "host 10.0.0.2",
        "arp dst host 10.0.0.2",
        "net 10",
        "ether broadcast",
        "broadcast and multicast",
        "ether dst ff:ff:ff:ff:ff:ff",
        "ether src 02-00-00-00-00-01",
        "ether host 2:0:0:0:0:1",
    ] {
        assert!(matches(Layer::Tap, expression, &arp), "{expression}");
    }
    for expression in [
        "ip",
        "rarp",
        "ip host 10.0.0.2",
        "ip net 10",
        "arp src host 10.0.0.2",
        "ether src and dst 2:0:0:0:0:1",
    ] {
        assert!(!matches(Layer::Tap, expression, &arp), "{expression}");
    }
    // On a tun there are none of these.
    assert!(!matches(Layer::Tun, "arp or ether proto 0x88cc or udp", &hex(TCP_SYN)));
    assert!(matches(Layer::Tun, "not arp", &hex(TCP_SYN)));
}

#[test]
fn lengths_are_those_of_the_whole_packet() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:2");
    assert_eq!(packet.len(), 35);
    for (expression, expected) in
        [("less 35", true), ("less 34", false), ("greater 35", true), ("greater 36", false)]
    {
        assert_eq!(matches(Layer::Tun, expression, &packet), expected, "{expression}");
    }
}

#[test]
fn surprise_and_or_bind_equally_from_left_to_right() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:53");
    // (udp or tcp) and port 80, and not: udp or (tcp and port 80).
    check(&packet, &["udp or (tcp and port 80)"], &["udp or tcp and port 80"]);
    // (tcp and port 80) or udp.
    check(&packet, &["tcp and port 80 or udp"], &["tcp and (port 80 or udp)"]);
}

#[test]
fn surprise_not_binds_closer_than_and() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:53");
    check(
        &packet,
        &["not (udp and port 80)", "not tcp and port 53"],
        &["not udp and port 80", "not not tcp"],
    );
}

#[test]
fn surprise_a_value_has_the_words_of_the_value_before_it() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:53");
    check(
        &packet,
        &[
            "port 80 or 53",
            "udp dst port (80 or 53)",
            "host 10.0.0.9 or 10.0.0.1",
            "src host 10.0.0.1 and not 10.0.0.2",
            "port not 80",
            // Parentheses do not change which words are carried: 10.0.0.2 is a destination.
            "dst 10.0.0.9 or (src port 9) or 10.0.0.2",
            "proto 6 or 17",
            "net (11 or 10.0.0.0/30)",
        ],
        &["src port 80 or 53", "port 53 and not (53)", "tcp port 80 or 53"],
    );
}

#[test]
fn surprise_a_vlan_tag_hides_what_is_behind_it() {
    let frame = ethernet_frame(MAC_2, MAC_1, EtherType::IPV4, &udp("10.0.0.1:1", "10.0.0.2:53"));
    let tagged = tagged(&frame, &[(0x8100, 5)]);
    for expression in ["ip", "udp", "host 10.0.0.1", "port 53"] {
        assert!(matches(Layer::Tap, expression, &frame));
        assert!(!matches(Layer::Tap, expression, &tagged), "{expression}");
    }
    assert!(matches(Layer::Tap, "ether host 02:00:00:00:00:01 and ether proto 0x8100", &tagged));
}

/// The frame with these tags in front of its type: each a type and a number.
fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|(kind, number)| [kind.to_be_bytes(), number.to_be_bytes()].concat());
    [&frame[..12], &tags.collect::<Vec<_>>(), &frame[12..]].concat()
}

#[test]
fn a_vlan_is_found_by_its_tag_and_what_follows_is_behind_it() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:53");
    let frame = ethernet_frame(MAC_2, MAC_1, EtherType::IPV4, &packet);
    for kind in [0x8100, 0x88a8, 0x9100] {
        // The upper bits of the number are a priority.
        let one = tagged(&frame, &[(kind, 0xe005)]);
        for expression in [
            "vlan",
            "vlan 5",
            "vlan 0x5 and ip",
            "vlan and udp dst port 53",
            "vlan and host 10.0.0.1 and not 10.0.0.3",
            "vlan and ether host 02:00:00:00:00:01",
            "vlan and ether proto 0x0800 and greater 53",
        ] {
            assert!(matches(Layer::Tap, expression, &one), "{expression}");
        }
        for expression in ["vlan 6", "vlan 0", "vlan and vlan", "vlan and tcp", "ip and vlan", "vlan and ip6"]
        {
            assert!(!matches(Layer::Tap, expression, &one), "{expression}");
        }
    }
    let two = tagged(&frame, &[(0x88a8, 4095), (0x8100, 7)]);
    for (expression, expected) in [
        ("vlan 4095 and vlan 7 and port 53", true),
        ("vlan and vlan and ip", true),
        ("vlan 7", false),
        ("vlan and ip", false),
        ("vlan and port 53", false),
    ] {
        assert_eq!(matches(Layer::Tap, expression, &two), expected, "{expression}");
    }
    for expression in ["vlan", "vlan 0", "vlan or ip"] {
        assert!(!matches(Layer::Tap, expression, &frame), "{expression}");
    }
}

#[test]
fn surprise_all_that_follows_vlan_in_the_text_is_behind_the_tag() {
    let frame = ethernet_frame(MAC_2, MAC_1, EtherType::IPV4, &udp("10.0.0.1:1", "10.0.0.2:53"));
    let with_tag = tagged(&frame, &[(0x8100, 5)]);
    // By expression: whether the frame matches without a tag, and with it.
    for (expression, expected) in [
        ("vlan or ip", [false, true]),
        ("ip or vlan", [true, true]),
        ("not vlan and ip", [false, false]),
        ("ip and not vlan", [true, false]),
        ("(vlan and arp) or port 53", [false, true]),
        ("vlan 6 or udp", [false, true]),
        // From left to right: (ip or vlan) and ip.
        ("ip or vlan and ip", [false, true]),
        ("ip or (vlan and ip)", [true, true]),
    ] {
        let found = [&frame, &with_tag].map(|frame| matches(Layer::Tap, expression, frame));
        assert_eq!(found, expected, "{expression}");
    }
}

#[test]
fn surprise_only_the_first_fragment_of_ipv4_has_ports() {
    let [mut first, mut last] = fragments_v4();
    for fragment in [&mut first, &mut last] {
        fragment[9] = 17;
        fragment[20..24].copy_from_slice(&[0, 53, 0, 53]);
    }
    check(&first, &["udp", "port 53"], &[]);
    check(&last, &["udp"], &["port 53"]);
}

#[test]
fn surprise_a_protocol_is_found_behind_a_fragment_header_of_ipv6_and_a_port_is_not() {
    let [mut first, _] = fragments_v6();
    first[40] = 17;
    first[48..52].copy_from_slice(&[0, 53, 0, 53]);
    check(&first, &["udp", "ip6 proto 17", "ip6 proto 44"], &["port 53", "icmp6"]);
    // Behind an empty hop-by-hop header, neither is.
    let packet = hex(UDP_V6);
    let mut extended = [&packet[..40], &[17, 0, 1, 4, 0, 0, 0, 0], &packet[40..]].concat();
    extended[6] = 0;
    check(&extended, &["ip6 proto 0"], &["udp", "port 53"]);
}

#[test]
fn surprise_a_whole_address_as_a_network_is_one_host() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:53");
    check(&packet, &["net 10.0.0", "net 10.0.0.1"], &["net 10.0.0.0"]);
}

#[test]
fn surprise_a_packet_that_ends_too_early_matches_neither_an_expression_nor_its_opposite() {
    let packet = &udp("10.0.0.1:1", "10.0.0.2:53")[..22];
    for expression in ["port 53", "not port 53", "dst port 53 or ip"] {
        assert!(!matches(Layer::Tun, expression, packet), "{expression}");
    }
    for expression in ["src port 1", "ip or port 53", "udp", "not tcp port 53"] {
        assert!(matches(Layer::Tun, expression, packet), "{expression}");
    }
    // What decides nothing is not looked at.
    assert!(matches(Layer::Tun, "net 0.0.0.0/0", &packet[..1]));
    assert!(matches(Layer::Tun, "", &[]));
}

#[test]
fn options_of_ipv4_move_the_ports() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:53");
    let mut with_options = [&packet[..20], &[1; 8], &packet[20..]].concat();
    with_options[0] = 0x47;
    check(&with_options, &["port 53", "src port 1", "dst portrange 50-53"], &["port 257"]);
}
