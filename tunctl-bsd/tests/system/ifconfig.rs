//! What `ifconfig` prints of an interface, on all five systems: evidence that is not the backend's.

use std::net::IpAddr;

use tunctl_core::{InterfaceAddress, MacAddress, State};

/// What it says of one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Printed {
    pub(crate) state: State,
    pub(crate) mtu: u32,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) addresses: Vec<InterfaceAddress>,
}

/// Reads it. `None`: it does not begin with flags and an MTU.
pub(crate) fn parse(text: &str) -> Option<Printed> {
    let mut lines = text.lines();
    let first = lines.next()?;
    let flags = first.split_once('<')?.1.split_once('>')?.0;
    let state = if flags.split(',').any(|flag| flag == "UP") { State::Up } else { State::Down };
    let mtu = after(first, "mtu")?.parse().ok()?;
    let mut printed = Printed { state, mtu, mac: None, addresses: Vec::new() };
    for line in lines {
        match line.split_whitespace().next() {
            Some("inet" | "inet6") => printed.addresses.extend(address(line)),
            // FreeBSD, DragonFly and macOS; OpenBSD; NetBSD.
            Some(word @ ("ether" | "lladdr" | "address:")) => {
                printed.mac = after(line, word).and_then(|mac| mac.parse().ok());
            }
            _ => {}
        }
    }
    Some(printed)
}

/// The word behind a word.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let mut words = line.split_whitespace();
    words.find(|found| *found == word)?;
    words.next()
}

/// One that this computer has.
fn address(line: &str) -> Option<InterfaceAddress> {
    let (own, prefix) = ip(line.split_whitespace().nth(1)?)?;
    let prefix = prefix
        .or_else(|| after(line, "prefixlen")?.parse().ok())
        .or_else(|| after(line, "netmask").and_then(mask))
        .unwrap_or(if own.is_ipv4() { 32 } else { 128 });
    let peer = after(line, "-->").or_else(|| after(line, "->")).and_then(ip).map(|(peer, _)| peer);
    let broadcast = match after(line, "broadcast").and_then(ip) {
        Some((IpAddr::V4(broadcast), _)) => Some(broadcast),
        _ => None,
    };
    // An interface to one peer that has none is said to lead to itself.
    Some(InterfaceAddress::from_kernel(own, prefix, peer.filter(|&peer| peer != own), broadcast))
}

/// An address with its prefix length, if one follows, and without a scope.
fn ip(word: &str) -> Option<(IpAddr, Option<u8>)> {
    let (address, prefix) = match word.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
        None => (word, None),
    };
    let address = address.split('%').next()?;
    Some((address.parse().ok()?, prefix))
}

/// The ones of a netmask in hexadecimal, or as an address.
fn mask(word: &str) -> Option<u8> {
    let bits = match word.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => word.parse::<std::net::Ipv4Addr>().ok()?.to_bits(),
    };
    u8::try_from(bits.leading_ones()).ok()
}

/// The names in the output of `ifconfig -l`, or of `ifconfig`, where they start the lines.
pub(crate) fn names(text: &str) -> Vec<String> {
    let starts = text.lines().filter(|line| !line.starts_with(char::is_whitespace));
    starts.filter_map(|line| line.split_once(": flags=")).map(|(name, _)| name.to_owned()).collect()
}

/// What these programs print, as their manual pages and sources have it.
pub(crate) fn checks() -> Vec<(&'static str, fn())> {
    vec![
        ("a_tun_of_freebsd_is_read", a_tun_of_freebsd_is_read),
        ("a_tap_of_freebsd_is_read", a_tap_of_freebsd_is_read),
        ("a_tap_of_netbsd_is_read", a_tap_of_netbsd_is_read),
        ("a_tun_of_openbsd_is_read", a_tun_of_openbsd_is_read),
        ("a_tun_of_macos_is_read", a_tun_of_macos_is_read),
        ("what_is_no_interface_is_not_read", what_is_no_interface_is_not_read),
        ("names_are_at_the_beginnings_of_lines", names_are_at_the_beginnings_of_lines),
    ]
}

fn expect(text: &str, state: State, mtu: u32, mac: Option<&str>, addresses: &[&str]) {
    let printed = parse(text).expect("an interface");
    let mac = mac.map(|mac| mac.parse().expect("a MAC address"));
    assert_eq!((printed.state, printed.mtu, printed.mac), (state, mtu, mac));
    let told: Vec<_> = printed.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(told, addresses);
}

fn a_tun_of_freebsd_is_read() {
    let text = "tun10: flags=1008051<UP,POINTOPOINT,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 1400\n\
                \toptions=80000<LINKSTATE>\n\
                \tinet 10.1.1.1 --> 10.1.1.2 netmask 0xffffffff\n\
                \tinet 10.2.1.1 --> 10.2.1.1 netmask 0xffffff00\n\
                \tinet6 fe80::5a9c:fcff:fe10:1%tun10 prefixlen 64 scopeid 0x5\n\
                \tinet6 fd77::1 --> fd77::2 prefixlen 128\n\
                \tgroups: tun\n\
                \tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>\n\
                \tOpened by PID 1234\n";
    let link_local = "fe80::5a9c:fcff:fe10:1/64";
    let addresses = ["10.1.1.1 peer 10.1.1.2/32", "10.2.1.1/24", link_local, "fd77::1 peer fd77::2/128"];
    expect(text, State::Up, 1400, None, &addresses);
}

fn a_tap_of_freebsd_is_read() {
    let text = "tap10: flags=8802<BROADCAST,SIMPLEX,MULTICAST> metric 0 mtu 1500\n\
                \toptions=80000<LINKSTATE>\n\
                \tether 58:9c:fc:10:ff:c1\n\
                \tinet 10.1.1.1 netmask 0xffffff00 broadcast 10.1.1.255\n\
                \tgroups: tap\n\
                \tmedia: Ethernet 1000baseT <full-duplex>\n";
    expect(text, State::Down, 1500, Some("58:9c:fc:10:ff:c1"), &["10.1.1.1/24"]);
}

fn a_tap_of_netbsd_is_read() {
    let text = "tap10: flags=0x8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> mtu 9000\n\
                \taddress: f2:0b:a4:01:02:03\n\
                \tmedia: Ethernet autoselect\n\
                \tinet 10.1.1.1/24 broadcast 10.1.1.255 flags 0\n\
                \tinet6 fe80::f00b:a4ff:fe01:203%tap10/64 flags 0 scopeid 0x3\n\
                \tinet6 fd77::1/64 flags 0\n";
    let addresses = ["10.1.1.1/24", "fe80::f00b:a4ff:fe01:203/64", "fd77::1/64"];
    expect(text, State::Up, 9000, Some("f2:0b:a4:01:02:03"), &addresses);
    let tun = "tun10: flags=0x11<UP,POINTOPOINT> mtu 1500\n\tinet 10.1.1.1/32 -> 10.1.1.2 flags 0\n";
    expect(tun, State::Up, 1500, None, &["10.1.1.1 peer 10.1.1.2/32"]);
}

fn a_tun_of_openbsd_is_read() {
    let text = "tap10: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> mtu 1500\n\
                \tlladdr fe:e1:ba:d0:01:02\n\
                \tindex 7 priority 0 llprio 3\n\
                \tgroups: tap\n\
                \tstatus: active\n\
                \tinet 10.1.1.1 netmask 0xffff0000 broadcast 10.1.255.255\n\
                \tinet6 fd77::1 prefixlen 64\n";
    expect(text, State::Up, 1500, Some("fe:e1:ba:d0:01:02"), &["10.1.1.1/16", "fd77::1/64"]);
}

fn a_tun_of_macos_is_read() {
    let text = "utun9: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1380\n\
                \tinet 10.1.1.1 --> 10.1.1.1 netmask 0xff000000\n\
                \tinet6 fe80::aede:48ff:fe00:1122%utun9 prefixlen 64 scopeid 0x10\n\
                \tnd6 options=201<PERFORMNUD,DAD>\n";
    expect(text, State::Up, 1380, None, &["10.1.1.1/8", "fe80::aede:48ff:fe00:1122/64"]);
}

fn what_is_no_interface_is_not_read() {
    for text in ["", "ifconfig: interface tun10 does not exist\n", "tun10: flags=0<> mtu many\n"] {
        assert_eq!(parse(text), None, "{text}");
    }
}

fn names_are_at_the_beginnings_of_lines() {
    let text = "lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384\n\
                \tinet 127.0.0.1 netmask 0xff000000\n\
                tun10: flags=8010<POINTOPOINT,MULTICAST> mtu 1500\n";
    assert_eq!(names(text), ["lo0", "tun10"]);
}
