//! What each word and each form of a value means.

use std::net::{Ipv4Addr, Ipv6Addr};

use tunctl_packet::{EtherType, Filter, Layer, ethernet_frame};

use super::{MAC_1, MAC_2, TAP_ARP, both, check, hex, matches, udp};

/// Checks which of these expressions match the frame.
fn check_frame(frame: &[u8], matching: &[&str], others: &[&str]) {
    for expression in matching {
        assert!(matches(Layer::Tap, expression, frame), "{expression} should match");
    }
    for expression in others {
        assert!(!matches(Layer::Tap, expression, frame), "{expression} should not match");
    }
}

/// Checks that these expressions are refused, with this message about the value.
fn check_refused(expressions: &[&str], message: &str) {
    for expression in expressions {
        let Err(error) = Filter::parse(Layer::Tap, expression) else { panic!("{expression} is accepted") };
        assert!(error.message().ends_with(message), "{expression}: {error}");
    }
}

/// An IPv4 packet, and one of IPv6, which have nothing but a header with the number of a protocol.
fn headers(protocol: u8) -> [Vec<u8>; 2] {
    let v4 = [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, protocol, 0, 0][..], &[10, 0, 0, 1, 10, 0, 0, 2]].concat();
    let v6 = [&[0x60, 0, 0, 0, 0, 0, protocol, 64][..], &[0xfd; 32]].concat();
    [v4, v6]
}

#[test]
fn the_name_of_a_protocol_is_a_number_in_one_version_of_ip_or_in_both() {
    for (name, number, in_ipv4, in_ipv6) in [
        ("icmp", 1, true, false),
        ("igmp", 2, true, false),
        ("tcp", 6, true, true),
        ("udp", 17, true, true),
        ("esp", 50, true, true),
        ("ah", 51, true, true),
        ("icmp6", 58, false, true),
        ("pim", 103, true, true),
        ("vrrp", 112, true, false),
        ("sctp", 132, true, true),
    ] {
        let [v4, v6] = headers(number);
        for (packet, is_in_it) in [(&v4, in_ipv4), (&v6, in_ipv6)] {
            assert_eq!(both(name, packet), is_in_it, "{name}");
        }
        let by_name = |version: &str| format!("{version} proto \\{name}");
        let (in_either, in_v4, in_v6) = (by_name(""), by_name("ip"), by_name("ip6"));
        check(&v4, &[&in_either, &in_v4], &[&in_v6]);
        check(&v6, &[&in_either, &in_v6], &[&in_v4]);
        for packet in headers(number + 1) {
            check(&packet, &[], &[name, &in_either]);
        }
    }
    for (name, number) in [("gre", 47), ("ipv6-icmp", 58)] {
        for packet in headers(number) {
            check(&packet, &[&format!("proto {name}")], &[]);
        }
    }
}

#[test]
fn tcp_udp_and_sctp_have_ports() {
    for packet in headers(0) {
        let (protocol_at, length) = if packet[0] == 0x45 { (9, 20) } else { (6, 40) };
        let with_ports = |protocol| {
            let mut packet = [&packet[..length], &[0, 53, 0x12, 0x34]].concat();
            packet[protocol_at] = protocol;
            packet
        };
        for (name, number) in [("sctp", 132), ("tcp", 6), ("udp", 17)] {
            let others = ["sctp", "tcp", "udp"].into_iter().filter(|other| *other != name);
            let others: Vec<_> = others.map(|other| format!("{other} port 53")).collect();
            let others: Vec<_> = others.iter().map(String::as_str).collect();
            check(&with_ports(number), &["port 53", &format!("{name} src port 53")], &others);
        }
        for number in [1, 5, 7, 16, 18, 131, 133] {
            check(&with_ports(number), &[], &["port 53", "port 4660"]);
        }
    }
}

#[test]
fn the_version_of_ip_is_in_four_bits() {
    let [mut v4, mut v6] = headers(17);
    (v4[0], v6[0]) = (0x4f, 0x6f);
    check(&v4, &["ip"], &["ip6"]);
    check(&v6, &["ip6"], &["ip"]);
}

#[test]
fn the_name_of_a_type_is_a_number_of_ethernet() {
    for (name, number) in [("ip", 0x0800), ("arp", 0x0806), ("rarp", 0x8035), ("ip6", 0x86dd)] {
        let [frame, next] =
            [number, number + 1].map(|number| ethernet_frame(MAC_2, MAC_1, EtherType(number), &[0; 46]));
        let escaped = format!("ether proto \\{name}");
        check_frame(&frame, &[name, &escaped], &[]);
        check_frame(&next, &[], &[name, &escaped]);
    }
    let frame = ethernet_frame(MAC_2, MAC_1, EtherType(0x0600), &[]);
    check_frame(&frame, &["ether proto 0x600", "ether proto 1536"], &["ether proto 0xffff"]);
    check_refused(
        &["ether proto 0x5ff", "ether proto 0x10000", "ether proto tcp"],
        "is no type of Ethernet: 0x600 to 0xffff, or a name",
    );
}

#[test]
fn a_message_of_rarp_has_addresses_as_one_of_arp() {
    let arp = hex(TAP_ARP);
    let mut rarp = arp.clone();
    rarp[12..14].copy_from_slice(&[0x80, 0x35]);
    let either = ["host 10.0.0.1", "src 10.0.0.1", "dst net 10.0.0.2/31"];
    let neither = ["src 10.0.0.2", "dst host 10.0.0.1", "ip host 10.0.0.1"];
    check_frame(&arp, &either, &neither);
    check_frame(&rarp, &either, &neither);
    let of_arp = ["arp src 10.0.0.1", "arp dst host 10.0.0.2", "arp net 10"];
    let of_rarp = ["rarp src 10.0.0.1", "rarp dst host 10.0.0.2", "rarp net 10"];
    check_frame(&arp, &of_arp, &of_rarp);
    check_frame(&rarp, &of_rarp, &of_arp);
}

#[test]
fn a_group_is_not_everybody() {
    let to = |address| ethernet_frame(MAC_1, address, EtherType(0x88cc), &[]);
    let (group, everybody) = (["ether multicast", "multicast"], ["ether broadcast", "broadcast"]);
    check_frame(&to([0x33, 0x33, 0, 0, 0, 1]), &group, &everybody);
    check_frame(&to([1, 0, 0x5e, 0, 0, 1]), &group, &everybody);
    check_frame(&to([2, 1, 1, 1, 1, 1]), &[], &group);
    check_frame(&to([0xff; 6]), &[group, everybody].concat(), &[]);
    check_frame(&to(MAC_2), &[], &[group, everybody].concat());

    for (destination, expected) in
        [("223.255.255.255", false), ("224.0.0.1", true), ("239.1.2.3", true), ("255.255.255.255", true)]
    {
        let packet = udp("10.0.0.1:1", &format!("{destination}:2"));
        let (matching, others): (&[_], &[_]) =
            if expected { (&["ip multicast"], &["ip6 multicast"]) } else { (&[], &["ip multicast"]) };
        check(&packet, matching, others);
    }
    check(&udp("[ff77::1]:1", "[fe80::1]:2"), &[], &["ip6 multicast", "ip multicast"]);
}

#[test]
fn a_number_is_decimal_or_hexadecimal() {
    let packet = udp("10.0.0.1:0", "10.0.0.2:53");
    check(
        &packet,
        &["port 0", "port 0x35", "port 0X35", "port 0x0035", "dst portrange 0x30-53"],
        &["port 35"],
    );
    for number in
        ["+53", "-53", "053", "00", "0x", "0x+35", "0x3g", "5 3", "50-60", "65536", "4294967349", ""]
    {
        assert!(Filter::parse(Layer::Tun, &format!("port {number}")).is_err(), "{number}");
    }
    check_refused(
        &["portrange 50-65536", "portrange 50-", "portrange 50-60-70"],
        "write its number, up to 65535",
    );
}

#[test]
fn a_mac_address_has_six_parts_of_one_digit_or_two() {
    let frame = ethernet_frame(MAC_1, [0x0a, 0xbc, 0xde, 0xf0, 0x12, 0x34], EtherType(0x88cc), &[]);
    check_frame(
        &frame,
        &["ether host a:bc:de:f0:12:34", "ether dst 0A-BC-DE-F0-12-34", "ether host 0a:bc:de:f0:12:34"],
        &[
            "ether src a:bc:de:f0:12:34",
            "ether host b:bc:de:f0:12:34",
            "ether host a:bd:de:f0:12:34",
            "ether host a:bc:df:f0:12:34",
            "ether host a:bc:de:f1:12:34",
            "ether host a:bc:de:f0:13:34",
            "ether host a:bc:de:f0:12:35",
        ],
    );
    check_refused(
        &[
            "ether host 2:0:0:0:0",
            "ether host 2:0:0:0:0:0:1",
            "ether host 2:0:0:0::1",
            "ether host 2:0:0:0:0:001",
            "ether host 2:0:0:0:0:g",
            "ether host 2-0:0:0:0:1",
        ],
        "is no MAC address",
    );
}

#[test]
fn a_network_is_decided_by_the_bits_of_its_prefix() {
    let decides = |network: &str, length: usize, packet: &[u8], start: usize, bits: usize| {
        let filter = Filter::parse(Layer::Tun, &format!("src net {network}/{length}")).unwrap();
        assert!(filter.matches(packet), "{network}/{length}");
        for bit in 0..bits {
            let mut other = packet.to_vec();
            other[start + bit / 8] ^= 0x80 >> (bit % 8);
            assert_eq!(filter.matches(&other), bit >= length, "{network}/{length}, bit {bit}");
            assert_eq!(filter.program().run(&other) != 0, bit >= length, "{network}/{length}, bit {bit}");
        }
    };
    let address = Ipv4Addr::new(0xa5, 0x5a, 0xc3, 0x96);
    let packet = udp(&format!("{address}:1"), "10.0.0.2:2");
    for length in 0..=32 {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        let network = Ipv4Addr::from_bits(address.to_bits() & mask);
        decides(&network.to_string(), length as usize, &packet, 12, 32);
    }
    let address = Ipv6Addr::from_bits(0xfd5a_c396_a55a_c396_a55a_c396_a55a_c396);
    let packet = udp(&format!("[{address}]:1"), "[fd77::2]:2");
    for length in 0..=128 {
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        let network = Ipv6Addr::from_bits(address.to_bits() & mask);
        decides(&network.to_string(), length as usize, &packet, 8, 128);
    }
}

#[test]
fn a_network_has_one_of_three_forms() {
    let packet = udp("10.1.2.3:1", "192.168.1.9:2");
    check(
        &packet,
        &["net 10", "net 10.1", "net 10.1.2", "net 10.1.2.3", "net 10.1/16", "net 10.0/15"],
        &["net 11", "net 10.2", "net 10.1.3", "net 10.1.2.4", "net 10.2/15", "net 10.0.0.0"],
    );
    // The prefix is as long as the octets that are written.
    for (last, network) in
        [("10.255.255.255", "net 10"), ("10.1.255.255", "net 10.1"), ("10.1.2.255", "net 10.1.2")]
    {
        check(&udp(&format!("{last}:1"), "192.168.1.9:2"), &[network], &[]);
    }
    check_refused(
        &["net 256", "net 10.", "net 010", "net 10.1.2.3.4", "net 10.1.2.3.4/8", "net x/8", "net /8"],
        "is no network: write it as `10.0.0.0/8` or `fd77::/16`",
    );
    check_refused(&["net 10.0.0.0/33", "net 10.0.0.0/", "net 10.0.0.0/8/8"], "is no prefix length: 0 to 32");
    check_refused(&["net fd77::/129"], "is no prefix length: 0 to 128");
    check_refused(
        &["net 10.1/8", "net 0.0.0.1/0", "net fd77::1/127", "net fd77::/0", "net 10.1.0.0 mask 255.0.0.0"],
        "the address has bits beyond its prefix: no packet would match",
    );
}

#[test]
fn symbols_need_no_space() {
    let packet = udp("10.0.0.1:1", "10.0.0.2:53");
    check(
        &packet,
        &["!(tcp)&&udp", "tcp||(udp)", "(ip)and(!tcp)", "port(80||53)", "\tudp\n", "udp&&!tcp||icmp"],
        &["!udp||tcp", "!(udp&&!tcp)"],
    );
    for nonsense in ["udp&tcp", "udp|tcp", "udp&&&tcp", "udp|||tcp", "udp&|tcp", "udp!tcp", "udp()", "()"] {
        assert!(Filter::parse(Layer::Tun, nonsense).is_err(), "{nonsense}");
    }
}
