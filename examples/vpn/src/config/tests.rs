use std::fmt::Write;

use super::*;

const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const OTHER: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const SHARED: &str = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE=";

/// What is said of a file that has these lines behind a private key.
fn said(lines: &str) -> String {
    let text = format!("[Interface]\nPrivateKey = {KEY}\n{lines}");
    text.parse::<Config>().unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_understood() {
    let text = format!(
        "# Office\n[interface]\nprivatekey={KEY} # ours\nAddress = 10.8.0.1/24, fd08::1/64\nAddress = 10.9.0.1\n\
         ListenPort = 51820\nMTU = 1380\nFwMark = 0xca6c\n\n[Peer]\nPublicKey = {OTHER}\nPresharedKey = {SHARED}\n\
         AllowedIPs = 10.8.0.2/32, fd08::/64\nAllowedIPs = 192.0.2.77/24,\nEndpoint = [2001:db8::1]:51820\n\
         PersistentKeepalive = 25\n[Peer]\nPublicKey = {SHARED}\nAllowedIPs =\nPersistentKeepalive = off\n"
    );
    let config: Config = text.parse().unwrap();
    assert_eq!(
        (config.private_key.to_string(), config.listen_port, config.mark),
        (KEY.into(), 51_820, 51_820)
    );
    assert_eq!(config.mtu.map(Mtu::get), Some(1380));
    let shown = config.addresses.iter().fold(String::new(), |mut shown, address| {
        write!(shown, "{address} ").unwrap();
        shown
    });
    assert!(
        shown.contains("10.8.0.1/24") && shown.contains("fd08::1/64") && shown.contains("10.9.0.1/32"),
        "{shown}"
    );
    let [peer, silent] = &config.peers[..] else { panic!("{:?}", config.peers) };
    assert_eq!(peer.public_key.to_string(), OTHER);
    assert_eq!(peer.preshared_key.unwrap().to_string(), SHARED);
    let allowed: Vec<_> = peer.allowed_ips.iter().map(ToString::to_string).collect();
    assert_eq!(allowed, ["10.8.0.2/32", "fd08::/64", "192.0.2.0/24"]);
    assert_eq!(peer.endpoint, Some("[2001:db8::1]:51820".parse().unwrap()));
    assert_eq!((peer.keepalive, silent.keepalive), (25, 0));
    assert!(silent.allowed_ips.is_empty() && silent.endpoint.is_none() && silent.preshared_key.is_none());
}

#[test]
fn an_error_says_the_line_why_and_what_to_do() {
    let peer = format!("[Peer]\nPublicKey = {OTHER}\n");
    for (lines, expected) in [
        (
            "Address = 10.0.0.256/24",
            "line 3: Address: 10.0.0.256 is no address. Write it as 10.0.0.1/24 or fd00::1/64",
        ),
        (
            "Address = 10.0.0.1/33",
            "line 3: Address: 10.0.0.1/33: a prefix of 33 bits is longer than the address, which has 32",
        ),
        (
            "\nListenPort = 65536",
            "line 4: ListenPort: 65536 is out of range, or no number. Write one from 0 to 65535",
        ),
        ("FwMark = 0xg", "line 3: FwMark: 0xg is out of range"),
        ("MTU = 20", "line 3: MTU: "),
        ("hello", "line 3: this is no section, and no `Key = value`. Sections are [Interface] and [Peer]"),
        ("[Peers]", "line 3: this is no section"),
        ("DNS = 9.9.9.9", "line 3: ?: the section above has no such key. [Interface] has "),
        ("[Peer]\n", "line 3: this [Peer] has no PublicKey."),
        (&format!("{peer}Address = 10.0.0.1"), "line 5: Address: the section above has no such key."),
        (&format!("{peer}AllowedIPs = 10.0.0.0/8, x"), "line 5: AllowedIPs: x is no address."),
        (&format!("{peer}Endpoint = 192.0.2.1"), "line 5: Endpoint: 192.0.2.1: "),
        (&format!("{peer}PersistentKeepalive = -1"), "line 5: PersistentKeepalive: -1 is out of range"),
        (
            &format!("{peer}{peer}"),
            "line 6: PublicKey: the peer of line 3 has it, and a packet goes to one only. Choose",
        ),
        (
            &format!("{peer}AllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = {SHARED}\nAllowedIPs = 10.1.1.1/8"),
            "line 8: AllowedIPs: the peer of line 3 has it,",
        ),
    ] {
        assert!(said(lines).starts_with(expected), "{}", said(lines));
    }
    let before = "MTU = 1420".parse::<Config>().unwrap_err().to_string();
    assert!(before.starts_with("line 1: MTU: the section above has no such key."), "{before}");
    let keyless = "[Interface]".parse::<Config>().unwrap_err().to_string();
    assert_eq!(keyless, "no [Interface] of this file has a PrivateKey. Make one: tunctl-vpn genkey");
}

#[test]
fn no_message_shows_a_key() {
    let spoilt = &KEY[1..];
    assert!(!said(&format!("PrivateKey = {spoilt}")).contains(&spoilt[..8]));
    // Without its =, which is then the key's own; broken over two lines.
    for line in [&format!("PrivateKey: {KEY}"), &format!("PrivateKey {KEY}"), KEY, &KEY[..43]] {
        assert!(!said(line).contains(&KEY[..8]), "{}", said(line));
    }
    let config: Config = format!("[Interface]\nPrivateKey = {KEY}").parse().unwrap();
    assert!(!format!("{config:?}").contains(&KEY[..8]));
}
