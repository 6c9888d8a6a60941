//! What an expression may look like, and what it is compiled to.

use tunctl_packet::bpf::{Instruction, MAX_INSTRUCTIONS};
use tunctl_packet::{EtherType, Filter, Layer, ethernet_frame};

use super::{MAC_1, MAC_2, both, matches, udp};

#[test]
fn an_error_says_where_and_what() {
    for (layer, expression, place, message) in [
        (Layer::Tun, "tcp prot 80", 4..8, "expected `and`, `or` or the end, found `prot`"),
        (
            Layer::Tun,
            "tcp and",
            7..7,
            "expected a protocol, a direction or a kind of address, but the expression ends",
        ),
        (Layer::Tun, "port", 4..4, "expected a value, but the expression ends"),
        (Layer::Tun, "port udp", 5..8, "expected a value, found `udp`"),
        (Layer::Tun, "port http", 5..9, "`http` is no port: write its number, up to 65535"),
        (Layer::Tun, "port 65536", 5..10, "`65536` is no port: write its number, up to 65535"),
        (Layer::Tun, "port 010", 5..8, "`010` is no port: write its number, up to 65535"),
        (
            Layer::Tun,
            "10.0.0.1",
            0..8,
            "`10.0.0.1` needs a word in front that says what it is, as in `host 10.0.0.1`",
        ),
        (Layer::Tun, "tcp or 80", 7..9, "`80` needs a word in front that says what it is, as in `port 80`"),
        (Layer::Tun, "host example.org", 5..16, "`example.org` is no IP address; names are not resolved"),
        (Layer::Tun, "host 10.0.0.0/8", 5..15, "a network needs `net` in front"),
        (Layer::Tap, "host 2:0:0:0:0:1", 5..16, "a MAC address needs `ether` in front"),
        (
            Layer::Tun,
            "net 10.0.0.1/8",
            4..14,
            "the address has bits beyond its prefix: no packet would match",
        ),
        (Layer::Tun, "net fd77::/129", 4..14, "`129` is no prefix length: 0 to 128"),
        (
            Layer::Tun,
            "net 10.0.0.1 mask 255.0.0.0",
            4..27,
            "the address has bits beyond its prefix: no packet would match",
        ),
        (Layer::Tun, "net fd77:: mask 255.0.0.0", 4..25, "`fd77::` is no IPv4 address, which a mask takes"),
        (Layer::Tun, "tcp host 10.0.0.1", 9..17, "`tcp` has no addresses: join them by `and`"),
        (Layer::Tun, "ip6 host 10.0.0.1", 9..17, "`ip6` has no IPv4 addresses"),
        (Layer::Tun, "arp host fd77::1", 9..16, "`arp` has no IPv6 addresses"),
        (Layer::Tun, "icmp port 80", 10..12, "`icmp` has no ports; `tcp`, `udp` and `sctp` have"),
        (Layer::Tun, "tcp proto 6", 10..11, "`tcp` has no protocols in it: use `ip`, `ip6` or `ether`"),
        (Layer::Tun, "ip proto 256", 9..12, "`256` is no protocol in IP: a number up to 255, or a name"),
        (Layer::Tap, "ether proto 5", 12..13, "`5` is no type of Ethernet: 0x600 to 0xffff, or a name"),
        (Layer::Tap, "ether and ip", 0..5, "`ether` needs an address or a type behind it"),
        (Layer::Tun, "ether host 2:0:0:0:0:1", 11..22, "the packets of a tun have no Ethernet header"),
        (Layer::Tun, "ip or ether multicast", 6..21, "the packets of a tun have no Ethernet header"),
        (Layer::Tap, "ip broadcast", 0..12, "the broadcast address depends on a netmask: use `dst host`"),
        (Layer::Tap, "ip6 broadcast", 0..13, "`ip6` has no broadcast: use `ip6 multicast`"),
        (Layer::Tap, "arp multicast", 0..13, "only `ether`, `ip` and `ip6` have groups"),
        (Layer::Tap, "vlan 4096", 5..9, "`4096` is no VLAN: a number up to 4095"),
        (Layer::Tap, "ip and vlan ten", 12..15, "`ten` is no VLAN: a number up to 4095"),
        (Layer::Tap, "vlan (5 or 6)", 5..6, "expected `and`, `or` or the end, found `(`"),
        (Layer::Tap, "vlan 5 or 6", 10..11, "`6` needs a word in front that says what it is, as in `port 6`"),
        (Layer::Tap, "port (80 or vlan)", 12..16, "expected a value, found `vlan`"),
        (Layer::Tap, "ether vlan", 0..5, "`ether` needs an address or a type behind it"),
        (Layer::Tun, "ip or vlan 5", 6..10, "the packets of a tun have no Ethernet header"),
        (Layer::Tap, "src proto 6", 0..9, "a protocol has no direction"),
        (Layer::Tun, "(tcp", 4..4, "expected `and`, `or` or `)`, but the expression ends"),
        (Layer::Tun, "tcp)", 3..4, "expected `and`, `or` or the end, found `)`"),
        (Layer::Tun, "host 10.0.0.1 and (10.0.0.2 or tcp)", 31..34, "expected a value, found `tcp`"),
        (Layer::Tun, "less ip", 5..7, "expected a number of bytes, found `ip`"),
        (Layer::Tun, "tcp & udp", 4..5, "expected `and`, `or` or the end, found `&`"),
        (Layer::Tun, "arp", 0..3, "no packet of a tun matches"),
        (
            Layer::Tun,
            "tcp[13] & 2 != 0",
            0..7,
            "`tcp[13]` needs a word in front that says what it is, as in `host tcp[13]`",
        ),
    ] {
        let error = Filter::parse(layer, expression).expect_err(expression);
        assert_eq!((error.message(), error.range()), (message, place), "{expression}");
    }
}

#[test]
fn a_place_is_shown_in_characters() {
    let expression = "host ä\tor prt 80";
    let error = Filter::parse(Layer::Tun, expression).unwrap_err();
    assert_eq!(error.to_string(), "column 6: `ä` is no IP address; names are not resolved");
    assert_eq!(error.mark(expression), "host ä or prt 80\n     ^");
    let error = Filter::parse(Layer::Tun, "tcp and ").unwrap_err();
    assert_eq!(error.mark("tcp and "), "tcp and \n        ^");
    // A control character, and a line separator, which is none.
    let expression = "\u{1b}\u{2028}tcp";
    let error = Filter::parse(Layer::Tun, expression).unwrap_err();
    assert_eq!(error.mark(expression), "  tcp\n^");
}

#[test]
fn what_no_packet_can_match_is_refused() {
    // `arp` is never true on a tun. What it is joined with may decide, or not.
    for never in [
        "arp",
        "ip and arp",
        "(ip and arp) or (tcp and arp)",
        "not (ip or not arp)",
        "not ((ip or not arp) and (tcp or not arp))",
    ] {
        let error = Filter::parse(Layer::Tun, never).expect_err(never);
        assert_eq!((error.message(), error.range()), ("no packet of a tun matches", 0..never.len()));
    }
    let packet = udp("10.0.0.1:1", "10.0.0.2:2");
    for always in ["not (ip and arp)", "tcp or not arp", "(ip or not arp) and (tcp or not arp)"] {
        assert!(matches(Layer::Tun, always, &packet), "{always}");
    }
    for depends in ["(ip and arp) or udp", "(tcp or not arp) and udp", "not (ip and arp) and udp"] {
        assert!(matches(Layer::Tun, depends, &packet), "{depends}");
    }
}

#[test]
fn a_long_expression_has_jumps_that_reach_its_end() {
    // Each address takes 18 instructions on a tap, so that the last ones are far from the first.
    let hosts = |count: u32| (1..=count).map(|host| format!("host 10.0.{}.{}", host >> 8, host & 0xff));
    let expression = |count| hosts(count).collect::<Vec<_>>().join(" or ");
    let filter = Filter::parse(Layer::Tap, &expression(150)).unwrap();
    let length = filter.program().instructions().len();
    assert!(length > 2000 && length < MAX_INSTRUCTIONS, "{length}");
    for (host, expected) in [(1, true), (75, true), (150, true), (151, false)] {
        let packet = udp(&format!("10.0.0.{host}:1"), "10.9.9.9:1");
        let frame = ethernet_frame(MAC_2, MAC_1, EtherType::IPV4, &packet);
        assert_eq!(filter.matches(&frame), expected);
        assert_eq!(filter.program().run(&frame) != 0, expected);
    }
    let error = Filter::parse(Layer::Tap, &expression(1000)).unwrap_err();
    assert!(error.message().ends_with("and a program has at most 4096"), "{error}");
}

#[test]
fn every_jump_leads_where_it_should() {
    let is_jump = |instruction: &&Instruction| instruction.code == 0x05;
    // Tests of two instructions each, and at the end perhaps one of three, so that the distance to the return
    // is each number up to 260, and more. Only the first is true, and leads there.
    for (count, tail) in (1..=140).flat_map(|count| [(count, ""), (count, " or ip")]) {
        let tests: Vec<_> = (1..=count).rev().map(|length| format!("less {length}")).collect();
        let filter = Filter::parse(Layer::Tun, &(tests.join(" or ") + tail)).unwrap();
        for length in [count, count + 1] {
            let packet = vec![0; length];
            assert_eq!(filter.program().run(&packet) != 0, length == count, "{count}{tail}");
            assert_eq!(filter.matches(&packet), length == count, "{count}{tail}");
        }
        let skipped = 2 * (count - 1) + if tail.is_empty() { 0 } else { 3 };
        let jumps = filter.program().instructions().iter().filter(is_jump).count();
        assert_eq!(jumps, usize::from(skipped > 255), "{count}{tail}");
    }
    // What is true without a test makes both ways of the tests before it lead to the same place.
    let tests = vec!["less 1"; 140].join(" or ");
    assert!(matches(Layer::Tun, &format!("{tests} or not arp or {tests}"), &[0; 2]));
    // Runs of tests joined by `or`, and by `and`: a packet of n bytes is decided by the nth test, which keeps
    // or drops it. So both returns are far from most of the tests.
    let (mut expression, mut keeps) = (String::new(), vec![]);
    for length in 0..640 {
        let is_kept = length / 20 % 2 == 0;
        if length % 20 == 0 && length > 0 {
            expression.push('(');
        }
        expression +=
            &if is_kept { format!("less {length} or ") } else { format!("greater {} and ", length + 1) };
        keeps.push(is_kept);
    }
    let filter = Filter::parse(Layer::Tun, &(expression + "ip" + &")".repeat(31))).unwrap();
    for (length, is_kept) in keeps.into_iter().enumerate() {
        let packet = vec![0; length];
        assert_eq!(filter.program().run(&packet) != 0, is_kept, "{length}");
        assert_eq!(filter.matches(&packet), is_kept, "{length}");
    }
    let jumps = filter.program().instructions().iter().filter(is_jump).count();
    assert_eq!(jumps, 8, "each leads the tests of 255 instructions to one of two returns");
}

#[test]
fn nesting_has_a_limit_and_a_row_of_negations_only_that_of_words() {
    let nested = |depth| format!("{}tcp{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Filter::parse(Layer::Tun, &nested(32)).is_ok());
    assert!(Filter::parse(Layer::Tun, &nested(33)).unwrap_err().message().contains("parentheses"));
    let negated = |times| format!("{}udp", "!".repeat(times));
    assert!(both(&negated(1000), &udp("10.0.0.1:1", "10.0.0.2:2")));
    // The tree is as deep as `and` and `or` alternate often.
    let alternating = |times| {
        let joined = (0..=times).map(|n| if n % 2 == 0 { "ip or " } else { "ip and " });
        joined.collect::<String>() + "ip"
    };
    assert!(Filter::parse(Layer::Tun, &vec![nested(32); 2].join(" or ")).is_ok());
    assert!(both(&alternating(512), &udp("10.0.0.1:1", "10.0.0.2:2")));
    assert!(Filter::parse(Layer::Tun, &alternating(513)).unwrap_err().message().contains("alternate"));
    assert!(Filter::parse(Layer::Tun, &negated(4095)).is_ok());
    assert!(Filter::parse(Layer::Tun, &negated(4096)).unwrap_err().message().contains("too long"));
}

#[test]
fn a_program_is_as_short_as_one_written_by_hand() {
    let program =
        |expression| Filter::parse(Layer::Tap, expression).unwrap().program().instructions().to_vec();
    let statement = |code, k| Instruction { code, jt: 0, jf: 0, k };
    let expected = [
        statement(0x28, 12),
        Instruction { code: 0x15, jt: 0, jf: 1, k: 0x0806 },
        statement(0x06, u32::MAX),
        statement(0x06, 0),
    ];
    assert_eq!(program("arp"), expected);
    assert_eq!(program("")[0], statement(0x06, u32::MAX));
}
