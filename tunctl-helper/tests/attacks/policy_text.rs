//! A policy that root wrote, and that makes no sense, or more than one.

use tunctl_helper::protocol::{Address, Addresses, Refusal, Request};
use tunctl_testing::{Case, ip, link, others};

use super::support::request::tun;
use super::support::start::{Start, ask};
use super::support::{ALICE, BIG, USUAL, World, attacks};

pub(crate) fn cases() -> Vec<Case> {
    attacks![
        a_deep_policy,
        a_nul,
        a_byte_order_mark,
        carriage_returns,
        duplicate_keys,
        the_same_thing_twice,
        unknown_keys_and_values,
        ranges_that_no_policy_has,
        an_address_that_a_route_covers,
        a_network_that_a_peer_hides,
        what_a_request_leaves_open,
        more_than_a_policy_may_say,
        names_that_end_or_begin_a_line,
    ]
}

#[track_caller]
fn is_invalid(world: &World, text: impl AsRef<[u8]>) {
    world.policy(&text);
    let answer = ask(tun("vpn0").to_bytes());
    assert_eq!(
        answer.reply(),
        Some(INVALID),
        "{answer:?}\n{}",
        String::from_utf8_lossy(&text.as_ref()[..text.as_ref().len().min(2000)])
    );
    assert!(answer.took.as_secs() < 5 && others().is_empty(), "{answer:?}");
}

const INVALID: tunctl_helper::protocol::Reply =
    tunctl_helper::protocol::Reply::Refused(Refusal::InvalidPolicy);

/// The control of each of these attacks: the text without the fault is accepted.
#[track_caller]
fn is_accepted(world: &World, text: impl AsRef<[u8]>) {
    world.policy(text);
    assert_eq!(ask(tun("vpn0").to_bytes()).granted(), "vpn0");
}

fn a_deep_policy(world: &World) {
    const DEEP: usize = 60_000;
    is_invalid(world, "[".repeat(DEEP));
    is_invalid(world, format!("a = {}", "[".repeat(DEEP)));
    is_invalid(world, format!("a = {}{}", "[".repeat(DEEP / 2), "]".repeat(DEEP / 2)));
    is_invalid(world, format!("a = {}", "{a = ".repeat(DEEP / 5)));
    is_invalid(world, format!("a{} = 1", ".a".repeat(DEEP / 2)));
    is_invalid(world, format!("[a{}]", ".a".repeat(DEEP / 2)));
    is_invalid(world, format!("{USUAL}names = {}\"vpn%d\"{}", "[".repeat(100), "]".repeat(100)));
    is_accepted(world, USUAL);
}

fn a_nul(world: &World) {
    is_invalid(world, [USUAL.as_bytes(), b"\0"].concat());
    is_invalid(world, [b"\0", USUAL.as_bytes()].concat());
    is_invalid(world, format!("# \0\n{USUAL}"));
    is_invalid(world, USUAL.replace("vpn%d", "vpn%d\0"));
    is_invalid(world, USUAL.replace("vpn%d", "vpn%d\\u0000"));
    is_accepted(world, format!("# \n{USUAL}"));
}

fn a_byte_order_mark(world: &World) {
    is_invalid(world, format!("\u{feff}{USUAL}"));
    let wide: Vec<u8> = format!("\u{feff}{USUAL}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    is_invalid(world, wide);
    is_invalid(world, [b"# \xff\n", USUAL.as_bytes()].concat());
    is_accepted(world, USUAL);
}

fn carriage_returns(world: &World) {
    is_invalid(world, USUAL.replace('\n', "\r"));
    is_invalid(world, format!("# a comment\r{}", USUAL.trim_start()));
    is_invalid(world, USUAL.replace("vpn%d", "vpn%d\r"));
    // A line may end so. It then means the same.
    is_accepted(world, USUAL.replace('\n', "\r\n"));
    ask(tun("vpnx").to_bytes()).is_refused(Refusal::Name);
}

fn duplicate_keys(world: &World) {
    for line in
        ["user = \"nobody\"", "user = \"alice\"", "names = [\"x0\"]", "devices = 100", "\"devices\" = 100"]
    {
        is_invalid(world, format!("{USUAL}{line}\n"));
    }
    is_invalid(world, format!("{USUAL}[rule]\nuser = \"nobody\"\nnames = [\"x0\"]\n"));
    is_invalid(world, format!("rule = []\n{USUAL}"));
    is_invalid(world, USUAL.replace("user = \"nobody\"", "user = \"nobody\"\ngroup = \"nogroup\""));
    is_accepted(world, USUAL);
}

fn the_same_thing_twice(world: &World) {
    is_invalid(world, format!("{USUAL}{USUAL}"));
    let again = "[[rule]]\nuser = \"nobody\"\nnames = [\"work0\"]\n";
    is_invalid(world, format!("{USUAL}{again}"));
    is_invalid(world, USUAL.replace("\"vpn%d\"", "\"vpn%d\", \"vpn%d\""));
    // Control: another name, and another user.
    is_accepted(world, format!("{USUAL}{}", again.replace("work0", "work1")));
    is_accepted(world, format!("{USUAL}{}", again.replace("nobody", "alice")));
}

fn unknown_keys_and_values(world: &World) {
    for line in
        ["device = 3", "Names = []", "owner = \"alice\"", "[other]", "setuid = true", "[[rules]]", "x"]
    {
        is_invalid(world, format!("{USUAL}{line}\n"));
    }
    for (from, to) in [
        ("\"nobody\"", "\"nobodY\""),
        ("\"nobody\"", "\"stranger\""),
        ("\"nobody\"", "\"\""),
        ("\"nobody\"", "\"*\""),
        ("\"nobody\"", "-1"),
        ("\"nobody\"", "4294967295"),
        ("\"nobody\"", "4294967296"),
        ("\"nobody\"", "[\"nobody\"]"),
        ("user = \"nobody\"", "group = \"nobody\""),
        ("\"tap\"", "\"TAP\""),
        ("devices = 3", "devices = -1"),
        ("devices = 3", "devices = \"3\""),
        ("devices = 3", "devices = 4294967296"),
        ("devices = 3", "devices = 3.0"),
        ("1280, 1500", "1500, 1280"),
        ("1280, 1500", "67, 1500"),
        ("1280, 1500", "1280, 65536"),
        ("1280, 1500", "1280"),
        ("10.8.0.0/16", "10.8.0.0"),
        ("10.8.0.0/16", "10.8.0.0/33"),
        ("10.8.0.0/16", "10.8.0/16"),
        ("10.8.0.0/16", "10.8.0.010/16"),
        ("10.8.0.0/16", "10.8.0.1/16"),
        ("\"work0\"", "\"tunlock0\""),
        ("\"work0\"", "\"tunlock%d\""),
        ("\"work0\"", "\"tunlockx\""),
        ("\"work0\"", "\"..\""),
        ("\"work0\"", "\".\""),
        ("\"work0\"", "\"all\""),
        ("\"work0\"", "\"default\""),
        ("\"work0\"", "\"a b\""),
        ("\"work0\"", "\"a/b\""),
        ("\"work0\"", "\"%d\\n\""),
        ("\"work0\"", "\"a%db\""),
        ("\"work0\"", "\"\""),
        ("\"work0\"", "\"v\u{440}n0\""),
    ] {
        let text = USUAL.replace(from, to);
        assert_ne!(text, USUAL);
        is_invalid(world, text);
    }
    is_accepted(world, USUAL);
}

fn ranges_that_no_policy_has(world: &World) {
    for range in [
        "0.0.0.0/0",
        "0.0.0.0/8",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "126.0.0.0/7",
        "169.254.0.0/16",
        "169.254.1.0/24",
        "168.0.0.0/6",
        "224.0.0.0/4",
        "239.1.1.1/32",
        "240.0.0.0/4",
        "255.255.255.255/32",
        "192.0.0.0/2",
        "::/0",
        "::/128",
        "::1/128",
        "fe80::/10",
        "fe80::1/128",
        "ff00::/8",
        "ff02::1/128",
        "::ffff:10.8.0.0/112",
        "::ffff:0:0/96",
        "fc00::/6",
        "fe00::/7",
    ] {
        is_invalid(world, USUAL.replace("10.8.0.0/16", range));
    }
    for range in ["10.0.0.0/8", "192.168.1.1/32", "2000::/3", "fc00::/7"] {
        is_accepted(world, USUAL.replace("10.8.0.0/16", range));
    }
}

fn with_address(text: &str, prefix_length: u8, peer: Option<&str>) -> Request {
    let mut addresses = Addresses::default();
    let peer = peer.map(|text| text.parse().unwrap());
    assert!(addresses.push(Address { address: text.parse().unwrap(), prefix_length, peer }));
    Request { addresses, up: true, ..tun("vpn%d") }
}

/// The host's routes come first, save its default route.
fn an_address_that_a_route_covers(_: &World) {
    let asked = |text, length, peer| ask(with_address(text, length, peer).to_bytes());
    // Outside of the rule's ranges, in whole or in part.
    for (text, length, peer) in [
        ("10.9.0.1", 24, None),
        ("10.8.0.1", 15, None),
        ("10.8.0.1", 0, None),
        ("10.8.0.1", 32, Some("10.9.0.1")),
        ("10.9.0.1", 32, Some("10.8.0.1")),
        ("10.8.0.1", 15, Some("10.8.0.2")),
        ("fd77::1", 47, Some("fd77::2")),
        ("fd77::1", 64, Some("fd78::1")),
        ("fd78::1", 64, None),
        ("fd77::1", 47, None),
        ("127.0.0.1", 8, None),
        ("::ffff:10.8.0.1", 128, None),
    ] {
        asked(text, length, peer).is_refused(Refusal::Address);
    }
    ip("tuntap add dev host0 mode tap");
    ip("link set host0 up");
    ip("address add 192.0.2.2/24 dev host0");
    ip("route add default via 192.0.2.1");
    assert_eq!(asked("10.8.0.1", 24, None).granted(), "vpn0");
    for route in ["10.8.5.0/24", "10.0.0.0/8", "10.8.0.77/32"] {
        ip(&format!("route add {route} dev host0"));
        asked("10.8.0.1", 16, None).is_refused(Refusal::Routed);
        ip(&format!("route delete {route}"));
    }
    ip("-6 route add fd77::/20 dev host0");
    asked("fd77::1", 64, None).is_refused(Refusal::Routed);
    ip("-6 route delete fd77::/20");
    // In another table than the main one, too.
    ip("route add 10.8.0.0/24 dev host0 table 100");
    asked("10.8.0.1", 24, None).is_refused(Refusal::Routed);
    ip("route delete 10.8.0.0/24 table 100");
    // Control: beside the routes, and where the route is one of the helper's own.
    ip("route add 10.8.5.0/24 dev host0");
    let first = asked("10.8.6.1", 24, None);
    assert_eq!((first.granted(), asked("10.8.6.2", 24, None).granted()), ("vpn0".into(), "vpn1".into()));
    drop(first);
    ip("link delete host0");
}

/// With a peer, IPv6 still routes the network of the own address, and IPv4 that of the peer
/// (`inet6_addr_add`, `fib_add_ifaddr`).
fn a_network_that_a_peer_hides(world: &World) {
    world.policy(USUAL.replace("\"fd77::/48\"", "\"fd77::/48\", \"2001:db8:1::5/128\", \"192.0.2.5/32\""));
    let asked = |text, length, peer| ask(with_address(text, length, Some(peer)).to_bytes());
    asked("2001:db8:1::5", 48, "fd77::1").is_refused(Refusal::Address);
    asked("10.8.0.1", 24, "192.0.2.5").is_refused(Refusal::Address);
    // Control: the networks that are routed are in the ranges.
    assert_eq!(asked("2001:db8:1::5", 128, "fd77::1").granted(), "vpn0");
    assert_eq!(asked("192.0.2.5", 24, "10.8.0.1").granted(), "vpn0");
}

/// What the kernel would give by itself, a rule may not allow.
fn what_a_request_leaves_open(world: &World) {
    world.policy(USUAL.replace("1280, 1500", "1280, 1400"));
    let answer = ask(tun("vpn0").to_bytes());
    if !answer.descriptors.is_empty() {
        answer.granted();
        let mtu = link("vpn0").unwrap()["mtu"].as_u64().unwrap();
        assert!((1280..=1400).contains(&mtu), "the rule allows 1280 to 1400, and the MTU is {mtu}");
    }
    drop(answer);
    world.policy(USUAL.replace("0, 1000", "0, 100"));
    let answer = ask(tun("vpn0").to_bytes());
    if !answer.descriptors.is_empty() {
        answer.granted();
        let length = link("vpn0").unwrap()["txqlen"].as_u64().unwrap();
        assert!(length <= 100, "the rule allows a queue of 100, and it is {length}");
    }
    // Control: what a request says is compared with the rule.
    ask(Request { queue_length: Some(101), ..tun("vpn1") }.to_bytes()).is_refused(Refusal::QueueLength);
    assert_eq!(ask(Request { queue_length: Some(100), ..tun("vpn1") }.to_bytes()).granted(), "vpn1");
}

fn more_than_a_policy_may_say(world: &World) {
    let rules = |count: usize| {
        let rule = |number| format!("[[rule]]\nuser = \"alice\"\nnames = [\"a{number}\"]\n");
        USUAL.to_owned() + &(1..count).map(rule).collect::<String>()
    };
    is_invalid(world, rules(257));
    is_accepted(world, rules(256));
    let names = |count: usize| {
        let list: Vec<_> = (2..count).map(|number| format!("\"n{number}\"")).collect();
        USUAL.replace("\"work0\"", &format!("\"work0\", {}", list.join(", ")))
    };
    is_invalid(world, names(65));
    is_accepted(world, names(64));
}

/// The small reader of /etc/passwd and /etc/group: what is no line of theirs is no user.
fn names_that_end_or_begin_a_line(world: &World) {
    for user in ["nobody:x", "x", "65534", "alice\\nnobody", "root:x:0:0:root", "nobody "] {
        world.policy(USUAL.replace("\"nobody\"", &format!("\"{user}\"")));
        let answer = ask(tun("vpn0").to_bytes());
        // By its number, if a text may be one.
        if user == "65534" && answer.datagrams.iter().any(|_| !answer.descriptors.is_empty()) {
            assert_eq!(answer.granted(), "vpn0");
        } else {
            answer.is_refused(Refusal::InvalidPolicy);
        }
    }
    // Any user may put such bytes into the field for his name (`chfn`).
    let users = std::fs::read("/etc/passwd").unwrap();
    std::fs::write("/etc/passwd", [b"eve:x:1001:1001:\xff\xfe:/:/bin/sh\n", &users[..]].concat()).unwrap();
    is_accepted(world, USUAL);
    // The supplementary group of a caller counts, and the list of members in /etc/group doesn't.
    world.policy(USUAL.replace("user = \"nobody\"", "group = \"vpn\""));
    ask(tun("vpn0").to_bytes()).is_refused(Refusal::NoRule);
    Start::new().user(ALICE).ask(tun("vpn0").to_bytes()).is_refused(Refusal::NoRule);
    assert_eq!(Start::new().group(2000).ask(tun("vpn0").to_bytes()).granted(), "vpn0");
    world.policy(USUAL.replace("nobody", "big"));
    ask(tun("vpn0").to_bytes()).is_refused(Refusal::NoRule);
    assert_eq!(Start::new().user(BIG).ask(tun("vpn0").to_bytes()).granted(), "vpn0");
}
