//! What must not pass, and is counted.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tunctl_testing::{Case, case};
use tunctl_vpn::datagrams::{Datagrams, Endpoint};
use tunctl_vpn::udp;

use super::lab::{Keys, Lab, on};
use super::ours::{client_file, server_file};
use super::traffic::{is_answered, reach};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(wrong_keys_open_nothing),
        case!(silent_neighbours_take_no_room_from_others).needs_tool("ip"),
        case!(what_was_recorded_or_changed_is_dropped),
        case!(a_source_address_of_another_peer_is_dropped).needs_tool("ip"),
    ]
    .into_iter()
    .map(|case| case.needs_tool("ping"))
    .collect()
}

fn wrong_keys_open_nothing() {
    let lab = Lab::new(1);
    let (server, client, shared) = (Keys::new(), Keys::new(), Keys::new().private);
    let at_server = lab.start(
        &lab.server,
        "vpns",
        &server_file(&server, &[&client], &format!("PresharedKey = {shared}")),
    );
    let try_with = |client: &Keys, server: &Keys, more: &str| {
        let text = client_file(client, 0, server, "192.0.2.1:51820", more);
        let at_client = lab.start(&lab.clients[0], "vpnc", &text);
        assert!(!is_answered(&lab.clients[0], "10.8.0.1"));
        assert_eq!(at_client.reported("last_handshake_time_sec"), ["0"]);
        at_client.stop()
    };
    // For another server; from a client that it does not know; without the shared key, which the client
    // notices.
    try_with(&client, &Keys::new(), "");
    try_with(&Keys::new(), &server, "");
    let dropped = try_with(&client, &server, "");
    assert!(dropped.count("forged") > 0, "{dropped:?}");
    assert_eq!(at_server.reported("last_handshake_time_sec"), ["0"]);
    let dropped = at_server.stop();
    assert!(dropped.count("forged") > 0 && dropped.count("unknown") > 0, "{dropped:?}");
}

fn what_was_recorded_or_changed_is_dropped() {
    let lab = Lab::new(1);
    let (server, client) = (Keys::new(), Keys::new());
    let at_server = lab.start(&lab.server, "vpns", &server_file(&server, &[&client], ""));
    lab.cables[0].capture(true);
    let text = client_file(&client, 0, &server, "192.0.2.1:51820", "");
    let _at_client = lab.start(&lab.clients[0], "vpnc", &text);
    reach(&lab.clients[0], "10.8.0.1");
    lab.cables[0].capture(false);
    // Behind the headers of IPv4 and UDP.
    let is_udp = |packet: &&Vec<u8>| packet[0] == 0x45 && packet[9] == 17;
    let captured = lab.cables[0].captured.lock().unwrap();
    let recorded: Vec<Vec<u8>> = captured.iter().filter(is_udp).map(|packet| packet[28..].to_vec()).collect();
    let of_type = |kind| recorded.iter().find(|datagram| datagram[0] == kind).unwrap().clone();
    let (call, data) =
        (of_type(1), recorded.iter().rev().find(|one| one[0] == 4 && one.len() > 32).unwrap().clone());

    let stranger = lab.clients[0].run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    let send =
        |datagram: &[u8]| assert_eq!(stranger.send_to(datagram, "192.0.2.1:51820").unwrap(), datagram.len());
    let endpoint = at_server.reported("endpoint");
    for datagram in [&call, &data] {
        send(datagram);
    }
    // Cut off; no message at all; of another length; with another type.
    for malformed in [&data[..31], &[], &call[..147], &[&[9], &data[1..]].concat()] {
        send(malformed);
    }
    let changed = |datagram: &[u8], place: usize| {
        let mut changed = datagram.to_vec();
        changed[place] ^= 1;
        changed
    };
    // A counter that was not used yet; then the sealed bytes fail. Each part of a call is under its seal.
    let fresh = changed(&data, 14);
    for forged in
        [&fresh[..], &fresh[..data.len() - 1], &changed(&call, 20), &changed(&call, 60), &changed(&call, 120)]
    {
        send(forged);
    }
    for unknown in [changed(&data, 7), changed(&data, 4)] {
        send(&unknown);
    }
    // Before the peer speaks again. Behind them on the wire, a ping outside the tunnel; the server answers a
    // second question when it has read what was there at the first.
    reach(&lab.clients[0], "192.0.2.1");
    at_server.report();
    assert_eq!(at_server.reported("endpoint"), endpoint, "a stranger does not become the peer");
    reach(&lab.clients[0], "10.8.0.1");
    let dropped = at_server.stop();
    let counts = ["replayed", "malformed", "forged", "unknown"].map(|reason| dropped.count(reason));
    assert_eq!(counts, [2, 4, 5, 2], "{dropped:?}");
}

fn a_source_address_of_another_peer_is_dropped() {
    let lab = Lab::new(1);
    let (server, client, other) = (Keys::new(), Keys::new(), Keys::new());
    let at_server = lab.start(&lab.server, "vpns", &server_file(&server, &[&client, &other], ""));
    let text = client_file(&client, 0, &server, "192.0.2.1:51820", "");
    let _at_client = lab.start(&lab.clients[0], "vpnc", &text);
    reach(&lab.clients[0], "10.8.0.1");
    on(&lab.clients[0], "ip address add 10.8.0.3/24 dev vpnc");
    let mut command = lab.clients[0].command("ping");
    assert!(!command.args(["-c1", "-W1", "-I", "10.8.0.3", "10.8.0.1"]).output().unwrap().status.success());
    assert_eq!(at_server.stop().count("foreign"), 1);
}

fn silent_neighbours_take_no_room_from_others() {
    let lab = Lab::new(1);
    for command in [
        "ip link add silent type veth peer name far",
        "ip address add 198.51.100.1/24 dev silent",
        "ip link set far up",
        "ip link set silent up",
    ] {
        on(&lab.server, command);
    }
    let socket = lab.server.run(|| udp::bind(0, 0).unwrap()).unwrap();
    let send = |to: &str| {
        let to = Endpoint { remote: to.parse().unwrap(), local: None };
        Datagrams::send(&socket, to, &[0; 40 * 1400], 1400)
    };
    // More than the kernel keeps until it knows a link address.
    for _ in 0..10 {
        let _ = (send("198.51.100.2:9"), send("198.51.100.3:9"));
    }
    let start = Instant::now();
    send("192.0.2.2:9").unwrap();
    assert!(start.elapsed() < Duration::from_millis(50), "{:?}", start.elapsed());
}
