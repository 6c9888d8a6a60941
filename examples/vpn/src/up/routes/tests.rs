use super::*;

/// The index of no interface, should a route be set.
const NOBODY: u32 = 1 << 30;

fn config(interface: &str, allowed: &str, endpoint: &str) -> Config {
    let [private, public] = [1, 2].map(|byte| tunctl_vpn::config::Key([byte; 32]));
    format!(
        "[Interface]\nPrivateKey = {private}\n{interface}\n[Peer]\nPublicKey = {public}\nAllowedIPs = {allowed}\n\
         Endpoint = {endpoint}\n"
    )
    .parse()
    .unwrap()
}

#[test]
fn what_is_allowed_is_routed_unless_an_address_does_so() {
    let config =
        config("Address = 10.8.0.2/24, fd08::2/64", "10.8.0.0/24, 10.9.0.0/16, fd09::/32", "192.0.2.1:1");
    assert_eq!(
        route(&config, false, "vpn0", NOBODY).unwrap(),
        ["ip route add 10.9.0.0/16 dev vpn0", "ip route add fd09::/32 dev vpn0"]
    );
}

#[test]
fn a_loop_is_refused_and_the_way_round_it_is_said() {
    for (allowed, endpoint, family) in [
        ("10.0.0.0/8", "10.1.2.3:1", "-4"),
        ("fd00::/8", "[fd01::1]:1", "-6"),
        ("10.0.0.0/8", "[::ffff:10.1.2.3]:1", "-4"),
        // The peer may move.
        ("0.0.0.0/0", "[fd01::1]:1", "-4"),
        ("::/0", "10.1.2.3:1", "-6"),
    ] {
        let config = config("", allowed, endpoint);
        let error = route(&config, true, "vpn0", NOBODY).unwrap_err();
        let table = format!("`ip route add {allowed} dev vpn0 table 51820`");
        let rule = format!("`ip {family} rule add not fwmark 51820 table 51820`");
        assert!(error.contains(&table) && error.contains(&rule), "{error}");
        // The user sets the routes then.
        assert_eq!(route(&config, false, "vpn0", NOBODY).unwrap(), [error]);
    }
}
