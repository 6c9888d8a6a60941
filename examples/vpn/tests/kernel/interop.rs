//! Ours with wireguard-go, and wg(8) with ours.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use tunctl::linux::Namespace;
use tunctl_testing::{Background, Case, case};

use super::lab::{Keys, Lab, Ours, interface, on, wait_until};
use super::ours::{client_file, server_file};
use super::traffic::{echo, exchange, is_answered, reach};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case!(our_client_with_a_server_of_wireguard_go),
        case!(our_server_with_a_client_of_wireguard_go),
        case!(wg_shows_what_ours_does),
    ];
    // The protocol renews keys after two minutes.
    if env::var_os("TUNCTL_VPN_LONG").is_some() {
        cases.push(case!(keys_are_renewed_and_no_packet_is_lost).limit(Duration::from_secs(200)));
    }
    cases
        .into_iter()
        .map(|case| case.needs_tool("wireguard-go").needs_tool("wg").needs_tool("ip").needs_tool("ping"))
        .collect()
}

/// Starts wireguard-go as that file says. The addresses are not its affair.
fn start_other(lab: &Lab, host: &Namespace, name: &str, text: &str) -> Background {
    let mut command = host.command("wireguard-go");
    command.args(["-f", name]).env("LOG_LEVEL", "error");
    let running = Background::start(command);
    wait_until("it listens", || host.command("wg").args(["show", name]).output().unwrap().status.success());
    let (own, rest): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("Address"));
    let file = lab.write(&format!("{name}-other"), &rest.join("\n"));
    on(host, &format!("wg setconf {name} {}", file.display()));
    for address in own[0].trim_start_matches("Address = ").split(", ") {
        on(host, &format!("ip address add {address} dev {name} nodad"));
    }
    on(host, &format!("ip link set {name} mtu 1420 up"));
    running
}

fn both_families(endpoint: usize) -> &'static str {
    ["192.0.2.1:51820", "[fd00:0::1]:51820"][endpoint]
}

fn our_client_with_a_server_of_wireguard_go() {
    let lab = Lab::new(1);
    let (server, client, shared) =
        (Keys::new(), Keys::new(), format!("PresharedKey = {}", Keys::new().private));
    let _other = start_other(&lab, &lab.server, "others", &server_file(&server, &[&client], &shared));
    for family in 0..2 {
        let text = client_file(&client, 0, &server, both_families(family), &shared);
        let ours = lab.start(&lab.clients[0], "vpnc", &text);
        for address in ["10.8.0.1", "fd08::1"] {
            reach(&lab.clients[0], address);
            exchange(&lab.clients[0], &lab.server, address, 2 << 20);
            echo(&lab.clients[0], &lab.server, address);
        }
        let dropped = ours.stop();
        assert_eq!((dropped.count("forged"), dropped.count("malformed")), (0, 0), "{dropped:?}");
    }
}

fn our_server_with_a_client_of_wireguard_go() {
    let lab = Lab::new(1);
    let (server, client, shared) =
        (Keys::new(), Keys::new(), format!("PresharedKey = {}", Keys::new().private));
    let ours = lab.start(&lab.server, "vpns", &server_file(&server, &[&client], &shared));
    let text = |family| client_file(&client, 0, &server, both_families(family), &shared);
    let _other = start_other(&lab, &lab.clients[0], "otherc", &text(0));
    reach(&lab.clients[0], "10.8.0.1");
    exchange(&lab.clients[0], &lab.server, "10.8.0.1", 2 << 20);
    echo(&lab.clients[0], &lab.server, "fd08::1");
    let (first, sessions) = (ours.reported("endpoint"), ours.reported("last_handshake_time_nsec"));
    // The peer moves to the other family. It is another session, too: ours has the keys of both then.
    let endpoint = both_families(1);
    on(&lab.clients[0], &format!("wg set otherc peer {} remove", server.public));
    let file = lab.write(
        "again",
        &text(1).lines().filter(|line| !line.starts_with("Address")).collect::<Vec<_>>().join("\n"),
    );
    on(&lab.clients[0], &format!("wg setconf otherc {}", file.display()));
    reach(&lab.clients[0], "fd08::1");
    exchange(&lab.clients[0], &lab.server, "fd08::1", 2 << 20);
    assert!(first[0].starts_with("192.0.2.2:"), "{first:?}");
    assert!(ours.reported("endpoint")[0].starts_with("[fd00::2]:"), "{endpoint}");
    assert_ne!(ours.reported("last_handshake_time_nsec"), sessions, "there were new keys");
    ours.stop();
}

fn wg_shows_what_ours_does() {
    let lab = Lab::new(1);
    let (server, client) = (Keys::new(), Keys::new());
    let _ours = lab.start(&lab.server, "vpns", &server_file(&server, &[&client], ""));
    let text = client_file(&client, 0, &server, "192.0.2.1:51820", "PersistentKeepalive = 25");
    let _client = lab.start(&lab.clients[0], "vpnc", &text);
    reach(&lab.clients[0], "10.8.0.1");
    let shown = on(&lab.server, "wg show vpns");
    for part in [
        format!("interface: vpns\n  public key: {}\n", server.public),
        "listening port: 51820\n".into(),
        format!("peer: {}\n  endpoint: 192.0.2.2:", client.public),
        "allowed ips: 10.8.0.2/32, fd08::2/128\n".into(),
        "latest handshake: ".into(),
        "transfer: ".into(),
    ] {
        assert!(shown.contains(&part), "{part} is not in {shown}");
    }
    assert!(on(&lab.clients[0], "wg show vpnc").contains("persistent keepalive: every 25 seconds\n"));
    assert_eq!(
        on(&lab.server, "wg show vpns latest-handshakes").split_whitespace().next(),
        Some(&*client.public)
    );
    // Another one of that name, in another network namespace, takes nothing from it.
    let mut other = lab.start(&lab.clients[0], "vpns", &interface(&Keys::new(), "10.7.0.1/24", ""));
    kill(other.pid, Signal::SIGTERM).unwrap();
    while !other.next_line().starts_with("vpns: down") {}
    assert!(on(&lab.server, "wg show vpns").contains(&server.public));
    // It is configured by its file.
    let mut command = lab.server.command("wg");
    assert!(!command.args(["set", "vpns", "listen-port", "1"]).output().unwrap().status.success());
}

/// Ours begins with wireguard-go, and with ours.
fn keys_are_renewed_and_no_packet_is_lost() {
    let lab = Lab::new(2);
    let keys = [Keys::new(), Keys::new(), Keys::new(), Keys::new()];
    let server = lab.start(&lab.server, "vpns", &server_file(&keys[0], &[&keys[1]], ""));
    let text = client_file(&keys[1], 0, &keys[0], "192.0.2.1:51820", "");
    let first = lab.start(&lab.clients[0], "vpnc0", &text);
    reach(&lab.clients[0], "10.8.0.1");
    let other_network =
        |text: &str| text.replace("10.8.0", "10.7.0").replace("fd08", "fd07").replace("51820", "51821");
    let text = client_file(&keys[2], 0, &keys[3], "192.0.2.5:51820", "");
    let second = lab.start(&lab.clients[1], "vpnc1", &other_network(&text));
    let text = server_file(&keys[3], &[&keys[2]], "");
    let _other = start_other(&lab, &lab.server, "others", &other_network(&text));
    reach(&lab.clients[1], "10.7.0.1");
    let dates = |program: &Ours| program.reported("last_handshake_time_sec")[0].parse::<u64>().unwrap();
    let (before, end) = (dates(&first).min(dates(&second)), Instant::now() + Duration::from_secs(130));
    while Instant::now() < end {
        assert!(is_answered(&lab.clients[0], "10.8.0.1") && is_answered(&lab.clients[1], "10.7.0.1"));
        thread::sleep(Duration::from_millis(500));
    }
    for program in [&server, &first, &second] {
        assert!(dates(program) >= before + 115, "{}", program.report());
    }
}
