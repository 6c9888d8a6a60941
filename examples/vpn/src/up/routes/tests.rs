use super::*;

fn config(interface: &str, allowed: &str, endpoint: &str) -> Config {
    let [private, public] = [1, 2].map(|byte| tunctl_vpn::config::Key([byte; 32]));
    format!(
        "[Interface]\nPrivateKey = {private}\n{interface}\n[Peer]\nPublicKey = {public}\nAllowedIPs = {allowed}\n\
         Endpoint = {endpoint}\n"
    )
    .parse()
    .unwrap()
}

fn commands(config: &Config) -> Vec<String> {
    plan(config, true, "vpn0", 5).unwrap().into_iter().map(|(command, _)| command).collect()
}

#[test]
fn what_is_allowed_is_routed_unless_an_address_does_so() {
    let config =
        config("Address = 10.8.0.2/24, fd08::2/64", "10.8.0.0/24, 10.9.0.0/16, fd09::/32", "192.0.2.1:1");
    assert_eq!(
        commands(&config),
        ["ip route add 10.9.0.0/16 dev vpn0 table 254", "ip route add fd09::/32 dev vpn0 table 254"]
    );
    assert_eq!(mark(&config, true), 0);
}

#[test]
fn a_default_route_is_in_a_table_that_what_is_marked_does_not_see() {
    let config = config("", "0.0.0.0/0, ::/0", "192.0.2.1:1");
    assert_eq!(
        commands(&config),
        [
            "ip route add 0.0.0.0/0 dev vpn0 table 51820",
            "ip -4 rule add not fwmark 51820 table 51820",
            "ip -4 rule add table main suppress_prefixlength 0",
            "ip route add ::/0 dev vpn0 table 51820",
            "ip -6 rule add not fwmark 51820 table 51820",
            "ip -6 rule add table main suppress_prefixlength 0",
        ]
    );
    // What only prints them leaves the socket as the file says.
    assert_eq!((mark(&config, true), mark(&config, false)), (51_820, 0));
}

#[test]
fn a_mark_of_the_file_is_the_table_as_well() {
    let config = config("FwMark = 77", "0.0.0.0/0", "192.0.2.1:1");
    assert_eq!(
        commands(&config)[..2],
        ["ip route add 0.0.0.0/0 dev vpn0 table 77", "ip -4 rule add not fwmark 77 table 77"]
    );
    assert_eq!((mark(&config, true), mark(&config, false)), (77, 77));
}

#[test]
fn a_loop_is_refused() {
    for (allowed, endpoint) in [("10.0.0.0/8", "10.1.2.3:1"), ("fd00::/8, 10.0.0.0/8", "[fd01::1]:1")] {
        let error = plan(&config("", allowed, endpoint), true, "vpn0", 5).unwrap_err();
        assert!(error.contains("contains the endpoint"), "{error}");
        // The user sets the routes then, perhaps otherwise.
        assert!(plan(&config("", allowed, endpoint), false, "vpn0", 5).is_ok());
    }
    assert!(plan(&config("", "10.0.0.0/8", "11.1.2.3:1"), true, "vpn0", 5).is_ok());
}
