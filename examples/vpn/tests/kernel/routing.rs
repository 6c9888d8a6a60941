//! Routes, rules and the MTU.

use std::net::{Ipv4Addr, UdpSocket};

use tunctl::pump::Wire;
use tunctl_testing::{Case, case};
use tunctl_vpn::datagrams::{Datagrams, Endpoint};
use tunctl_vpn::udp;

use super::lab::{Keys, Lab, Ours, PROGRAM, interface, on, peer};
use super::ours::server_file;
use super::traffic::{exchange, reach};

pub(crate) fn cases() -> Vec<Case> {
    let cases = vec![
        case!(all_is_routed_through_the_peer_but_what_is_for_it),
        case!(routes_are_set_and_printed),
        case!(routes_of_a_persistent_interface_are_set_again),
        case!(without_segmentation_the_address_that_the_peer_knows_is_kept),
        case!(an_endpoint_inside_of_the_tunnel_is_refused),
        case!(the_mtu_leaves_room_on_the_way_to_the_peer),
    ];
    cases.into_iter().map(|case| case.needs_tool("ip").needs_tool("ping")).collect()
}

fn client(keys: &Keys, server: &Keys, allowed: &str, endpoint: &str) -> String {
    interface(keys, "10.8.0.2/24, fd08::2/64", "") + &peer(server, allowed, &format!("Endpoint = {endpoint}"))
}

fn all_is_routed_through_the_peer_but_what_is_for_it() {
    for endpoint in ["192.0.2.1:51820", "[fd00:0::1]:51820"] {
        let lab = Lab::new(1);
        let (server, keys) = (Keys::new(), Keys::new());
        let _at_server = lab.start(&lab.server, "vpns", &server_file(&server, &[&keys], ""));
        // Hosts that are only behind the server.
        on(&lab.server, "ip address add 203.0.113.1/32 dev lo");
        on(&lab.server, "ip address add fd99::1/128 dev lo nodad");
        let host = &lab.clients[0];
        let file = client(&keys, &server, "0.0.0.0/0, ::/0", endpoint);
        let ours = lab.start(host, "vpnc", &file.replace("[Peer]", "FwMark = 51820\n[Peer]"));
        // As the message of one who would have `--routes` do it says.
        for (ip, network) in [("ip -4", "0.0.0.0/0"), ("ip -6", "::/0")] {
            on(host, &format!("ip route add {network} dev vpnc table 51820"));
            on(host, &format!("{ip} rule add not fwmark 51820 table 51820"));
            on(host, &format!("{ip} rule add table main suppress_prefixlength 0"));
        }
        for address in ["203.0.113.1", "fd99::1"] {
            reach(host, address);
            exchange(host, &lab.server, address, 1 << 20);
        }
        // The network of the wire is nearer than the default route.
        assert!(on(host, "ip route get 192.0.2.1").contains("dev wan"));
        ours.stop();
        drop(lab);
        super::lab::unmount_run();
    }
}

fn routes_are_set_and_printed() {
    let lab = Lab::new(1);
    let (server, keys) = (Keys::new(), Keys::new());
    let allowed = "10.8.0.0/24, 10.9.0.0/16, fd09::/32";
    let file = lab.write("vpnc", &client(&keys, &server, allowed, "192.0.2.1:51820"));
    let host = &lab.clients[0];
    let mut ours = Ours::start(host, "vpnc", &["up", file.to_str().unwrap()]);
    assert_eq!(ours.next_line(), "# ip route add 10.9.0.0/16 dev vpnc");
    assert_eq!(ours.next_line(), "# ip route add fd09::/32 dev vpnc");
    assert!(!on(host, "ip route").contains("10.9.0.0/16"));
    ours.stop();
    let ours = Ours::start(host, "vpnc", &["up", "--routes", file.to_str().unwrap()]);
    assert!(on(host, "ip route").contains("10.9.0.0/16 dev vpnc"));
    assert!(on(host, "ip -6 route").contains("fd09::/32 dev vpnc"));
    ours.stop();
}

fn routes_of_a_persistent_interface_are_set_again() {
    let lab = Lab::new(1);
    let host = &lab.clients[0];
    on(host, "ip tuntap add dev vpnc mode tun vnet_hdr");
    let file = client(&Keys::new(), &Keys::new(), "10.9.0.0/16, fd09::/32, 10.9.0.0/16", "192.0.2.1:51820");
    let file = lab.write("vpnc", &file);
    for _ in 0..2 {
        Ours::start(host, "vpnc", &["up", "--routes", file.to_str().unwrap()]).stop();
        assert!(on(host, "ip route").contains("10.9.0.0/16 dev vpnc"));
        assert!(on(host, "ip -6 route").contains("fd09::/32 dev vpnc"));
    }
    // Another one's route is not ours to replace.
    for (network, ip) in [("10.9.0.0/16", "ip"), ("fd09::/32", "ip -6")] {
        on(host, &format!("{ip} route delete {network} dev vpnc"));
        on(host, &format!("{ip} route add {network} dev wan"));
        let output = host.command(PROGRAM).args(["up", "--routes"]).arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && said.contains("File exists"), "{said}");
        assert!(on(host, &format!("{ip} route")).contains(&format!("{network} dev wan")));
        on(host, &format!("{ip} route delete {network} dev wan"));
    }
}

fn without_segmentation_the_address_that_the_peer_knows_is_kept() {
    let lab = Lab::new(0);
    on(&lab.server, "ip link set lo up mtu 1500");
    let bind = || (udp::bind(0, 0).unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let (ours, peer) = lab.server.run(bind).unwrap();
    let local = Ipv4Addr::new(127, 0, 0, 5);
    let to = Endpoint { remote: peer.local_addr().unwrap(), local: Some(local.to_ipv6_mapped()) };
    // More than any kernel makes of one call, and longer than the MTU.
    for (count, size) in [(130, 10), (3, 2000)] {
        Datagrams::send(&ours, to, &vec![7; count * size], size).unwrap();
        for _ in 0..count {
            let (length, from) = peer.recv_from(&mut [0; 4000]).unwrap();
            assert_eq!((length, from.ip()), (size, local.into()));
        }
    }
}

fn an_endpoint_inside_of_the_tunnel_is_refused() {
    let lab = Lab::new(1);
    for allowed in ["192.0.0.0/16", "0.0.0.0/0"] {
        let file = lab.write("vpnc", &client(&Keys::new(), &Keys::new(), allowed, "192.0.2.1:51820"));
        let output = lab.clients[0].command(PROGRAM).args(["up", "--routes"]).arg(file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let expected = format!("AllowedIPs {allowed} contains the way to the peer");
        assert!(output.status.code() == Some(1) && said.contains(&expected), "{said}");
        assert!(!on(&lab.clients[0], "ip -br link").contains("vpnc"));
    }
}

fn the_mtu_leaves_room_on_the_way_to_the_peer() {
    let lab = Lab::with_wire(1, 1400, &Wire::new());
    let (server, keys) = (Keys::new(), Keys::new());
    let _at_server = lab.start(&lab.server, "vpns", &server_file(&server, &[&keys], ""));
    for endpoint in ["192.0.2.1:51820", "[fd00:0::1]:51820"] {
        let ours = lab.start(&lab.clients[0], "vpnc", &client(&keys, &server, "10.8.0.0/24", endpoint));
        assert!(ours.greeting.ends_with("MTU 1320"), "{}", ours.greeting);
        reach(&lab.clients[0], "10.8.0.1");
        exchange(&lab.clients[0], &lab.server, "10.8.0.1", 1 << 20);
        ours.stop();
    }
}
