//! Ours with ours: a server and its clients.

use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tunctl::pump::Wire;
use tunctl_testing::{Case, case};

use super::lab::{Keys, Lab, Ours, PROGRAM, interface, on, peer, wait_until};
use super::traffic::{echo, exchange, is_answered, reach};

/// How long the soak takes, in seconds. Without it there is none.
const SOAK: &str = "TUNCTL_VPN_SOAK";

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case!(either_side_may_restart),
        case!(tcp_passes_whole_over_a_wire_that_loses_and_reorders),
        case!(a_server_and_two_clients_exchange_by_both_families),
        case!(a_client_may_move).needs_tool("ip"),
        case!(a_client_that_moves_into_its_own_network_makes_no_loop).needs_tool("ip"),
        case!(nobody_need_read_what_it_prints),
        case!(a_question_that_finds_no_descriptor_does_no_harm).needs_tool("prlimit"),
        case!(a_device_that_is_deleted_ends_it).needs_tool("ip"),
        case!(what_is_wrong_in_a_file_is_said_with_its_line),
    ];
    if env::var_os(SOAK).is_some() {
        cases.push(case!(memory_and_descriptors_stay_flat).limit(Duration::from_secs(3600)));
    }
    cases.into_iter().map(|case| case.needs_tool("ping")).collect()
}

/// A server of these clients, which have the addresses 10.8.0.2, 10.8.0.3, …
pub(crate) fn server_file(server: &Keys, clients: &[&Keys], more: &str) -> String {
    let peers =
        (2..).zip(clients).map(|(host, keys)| peer(keys, &format!("10.8.0.{host}, fd08::{host}"), more));
    interface(server, "10.8.0.1/24, fd08::1/64", "ListenPort = 51820") + &peers.collect::<String>()
}

/// The client of that number, from 0, which finds the server there.
pub(crate) fn client_file(keys: &Keys, number: usize, server: &Keys, endpoint: &str, more: &str) -> String {
    let addresses = format!("10.8.0.{0}/24, fd08::{0}/64", number + 2);
    let endpoint = format!("Endpoint = {endpoint}\n{more}");
    interface(keys, &addresses, "") + &peer(server, "10.8.0.0/24, fd08::/64", &endpoint)
}

fn a_server_and_two_clients_exchange_by_both_families() {
    let lab = Lab::new(2);
    let (server, clients, shared) = (Keys::new(), [Keys::new(), Keys::new()], Keys::new().private);
    let shared = format!("PresharedKey = {shared}");
    let text = server_file(&server, &[&clients[0], &clients[1]], &shared);
    let running = lab.start(&lab.server, "vpns", &text);
    assert_eq!(running.greeting, "vpns: up, UDP port 51820, MTU 1420");
    let endpoints = ["192.0.2.1:51820", "[fd00:1::1]:51820"];
    let started: Vec<Ours> = (0..2)
        .map(|number| {
            let text = client_file(&clients[number], number, &server, endpoints[number], &shared);
            lab.start(&lab.clients[number], &format!("vpnc{number}"), &text)
        })
        .collect();
    for client in &lab.clients {
        for address in ["10.8.0.1", "fd08::1"] {
            reach(client, address);
            exchange(client, &lab.server, address, 4 << 20);
            echo(client, &lab.server, address);
        }
    }
    let heard = running.reported("endpoint");
    assert!(heard[0].starts_with("192.0.2.2:") && heard[1].starts_with("[fd00:1::2]:"), "{heard:?}");
    assert!(running.reported("rx_bytes").iter().all(|bytes| bytes.parse::<u64>().unwrap() > 8 << 20));
    assert!(running.reported("last_handshake_time_sec").iter().all(|time| time != "0"));
    assert_eq!(running.reported("allowed_ip").len(), 4);
    // What one client sends with the address of the other goes nowhere.
    for program in started.into_iter().chain([running]) {
        let dropped = program.stop();
        for reason in ["malformed", "forged", "replayed", "unknown", "foreign", "unsent", "refused"] {
            assert_eq!(dropped.count(reason), 0, "{reason}: {dropped:?}");
        }
    }
}

fn tcp_passes_whole_over_a_wire_that_loses_and_reorders() {
    let wire = Wire::new().loss(0.05).reordering(0.02).delay(Duration::from_micros(200)).seed(7);
    let lab = Lab::with_wire(1, 1500, &wire);
    let (server, client) = (Keys::new(), Keys::new());
    let at_server = lab.start(&lab.server, "vpns", &server_file(&server, &[&client], ""));
    let _at_client =
        lab.start(&lab.clients[0], "vpnc", &client_file(&client, 0, &server, "192.0.2.1:51820", ""));
    for address in ["10.8.0.1", "fd08::1"] {
        reach(&lab.clients[0], address);
        exchange(&lab.clients[0], &lab.server, address, 256 << 10);
    }
    let dropped = at_server.stop();
    assert_eq!((dropped.count("forged"), dropped.count("replayed")), (0, 0), "{dropped:?}");
}

fn either_side_may_restart() {
    let lab = Lab::new(1);
    let (server, client) = (Keys::new(), Keys::new());
    let at_server = || lab.start(&lab.server, "vpns", &server_file(&server, &[&client], ""));
    let at_client = || {
        let text = client_file(&client, 0, &server, "192.0.2.1:51820", "PersistentKeepalive = 1");
        lab.start(&lab.clients[0], "vpnc", &text)
    };
    let (first, mut caller) = (at_server(), at_client());
    reach(&lab.clients[0], "10.8.0.1");
    kill(caller.pid, Signal::SIGKILL).unwrap();
    drop(caller);
    wait_until("the interface is gone", || !on(&lab.clients[0], "ip -br link").contains("vpnc"));
    caller = at_client();
    reach(&lab.clients[0], "10.8.0.1");
    kill(first.pid, Signal::SIGKILL).unwrap();
    drop(first);
    wait_until("the interface is gone", || !on(&lab.server, "ip -br link").contains("vpns"));
    // The client notices after 15 seconds without an answer.
    let second = at_server();
    reach(&lab.clients[0], "10.8.0.1");
    exchange(&lab.clients[0], &lab.server, "10.8.0.1", 1 << 20);
    assert!(second.stop().count("unknown") > 0, "it was sent what the first one could open");
    caller.stop();
}

fn a_client_may_move() {
    let lab = Lab::new(1);
    let (server, client) = (Keys::new(), Keys::new());
    let at_server = lab.start(&lab.server, "vpns", &server_file(&server, &[&client], ""));
    let text = client_file(&client, 0, &server, "192.0.2.1:51820", "");
    let _at_client = lab.start(&lab.clients[0], "vpnc", &text);
    reach(&lab.clients[0], "10.8.0.1");
    let before = at_server.reported("endpoint");
    // Its socket has sent from the address that it loses now.
    on(&lab.clients[0], "ip address add 198.51.100.2/24 dev wan");
    on(&lab.clients[0], "ip address delete 192.0.2.2/30 dev wan");
    on(&lab.clients[0], "ip route add 192.0.2.0/24 dev wan");
    on(&lab.server, "ip route add 198.51.100.0/24 dev near0");
    reach(&lab.clients[0], "10.8.0.1");
    reach(&lab.server, "10.8.0.2");
    let after = at_server.reported("endpoint");
    assert!(
        before[0].starts_with("192.0.2.2:") && after[0].starts_with("198.51.100.2:"),
        "{before:?} {after:?}"
    );
    exchange(&lab.clients[0], &lab.server, "10.8.0.1", 1 << 20);
}

/// What is for the peer would go into the tunnel, be sealed, go into the tunnel, …
fn a_client_that_moves_into_its_own_network_makes_no_loop() {
    for (own, before, inside, allowed) in [
        ("192.0.2.1", "192.0.2.2/30", "198.51.100.2", "198.51.100.0/24"),
        ("[fd00:0::1]", "fd00:0::2/64", "fd99::2", "fd99::/64"),
    ] {
        let lab = Lab::new(1);
        let (server, client) = (Keys::new(), Keys::new());
        let text = server_file(&server, &[&client], "");
        let text = text.replace("AllowedIPs = ", &format!("AllowedIPs = {allowed}, "));
        let at_server = lab.start(&lab.server, "vpns", &text);
        on(&lab.server, &format!("ip route add {allowed} dev vpns"));
        let text = client_file(&client, 0, &server, &format!("{own}:51820"), "");
        let _at_client = lab.start(&lab.clients[0], "vpnc", &text);
        reach(&lab.clients[0], "10.8.0.1");
        let (host, own) = (&lab.clients[0], own.trim_matches(['[', ']']));
        on(host, &format!("ip address add {inside} dev wan nodad"));
        on(host, &format!("ip address delete {before} dev wan"));
        on(host, &format!("ip route add {own} dev wan src {inside}"));
        wait_until("it has moved", || {
            is_answered(host, "10.8.0.1");
            at_server.reported("endpoint")[0].contains(inside)
        });
        thread::sleep(Duration::from_secs(1));
        let sent: u64 = at_server.reported("tx_bytes")[0].parse().unwrap();
        let dropped = at_server.stop();
        assert!(dropped.count("unrouted") > 0 && sent < 100_000, "{sent} bytes, {dropped:?}");
        drop(lab);
        super::lab::unmount_run();
    }
}

fn nobody_need_read_what_it_prints() {
    let lab = Lab::new(0);
    let file = lab.write("vpns", &server_file(&Keys::new(), &[&Keys::new()], ""));
    let mut command = lab.server.command(PROGRAM);
    let mut child = command.arg("up").arg(file).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    // The socket is there before anything is printed.
    wait_until("it is up", || fs::exists("/run/wireguard/vpns.sock").unwrap());
    thread::sleep(Duration::from_millis(100));
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!fs::exists("/run/wireguard/vpns.sock").unwrap());
}

fn a_question_that_finds_no_descriptor_does_no_harm() {
    let lab = Lab::new(0);
    let ours = lab.start(&lab.server, "vpns", &server_file(&Keys::new(), &[&Keys::new()], ""));
    let limit = |most: &str| on(&lab.server, &format!("prlimit --pid {} --nofile={most}:1024", ours.pid));
    // As many as it waits for: with fewer, it could not wait either.
    limit("4");
    let asking = UnixStream::connect("/run/wireguard/vpns.sock").unwrap();
    thread::sleep(Duration::from_millis(100));
    limit("1024");
    drop(asking);
    assert_eq!(ours.reported("listen_port"), ["51820"]);
    ours.stop();
}

fn a_device_that_is_deleted_ends_it() {
    let lab = Lab::new(0);
    let file = lab.write("vpns", &server_file(&Keys::new(), &[&Keys::new()], ""));
    let mut command = lab.server.command(PROGRAM);
    let child = command.arg("up").arg(file).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("it is up", || fs::exists("/run/wireguard/vpns.sock").unwrap());
    on(&lab.server, "ip link delete vpns");
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("vpns") && said.contains("deleted"), "{said}");
    assert!(!fs::exists("/run/wireguard/vpns.sock").unwrap());
}

/// What a process holds: resident memory in KiB, and open files.
fn held(pid: Pid) -> (u64, usize) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (resident, fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count())
}

/// A server whose clients come and go, over a wire that loses, reorders and damages.
fn memory_and_descriptors_stay_flat() {
    let time = Duration::from_secs(env::var(SOAK).unwrap().parse().unwrap());
    let wire =
        Wire::new().loss(0.02).reordering(0.05).corruption(0.01).delay(Duration::from_micros(200)).seed(5);
    let lab = Lab::with_wire(2, 1500, &wire);
    let (server, clients) = (Keys::new(), [Keys::new(), Keys::new()]);
    let running = lab.start(&lab.server, "vpns", &server_file(&server, &[&clients[0], &clients[1]], ""));
    let (end, mut early, mut round) = (Instant::now() + time, None, 0);
    while Instant::now() < end {
        let number = round % 2;
        let (host, endpoint) = (&lab.clients[number], ["192.0.2.1:51820", "[fd00:1::1]:51820"][number]);
        let text = client_file(&clients[number], number, &server, endpoint, "");
        let client = lab.start(host, "vpnc", &text);
        reach(host, "10.8.0.1");
        exchange(host, &lab.server, ["10.8.0.1", "fd08::1"][round / 2 % 2], 256 << 10);
        assert_eq!(running.reported("public_key").len(), 2);
        kill(client.pid, [Signal::SIGKILL, Signal::SIGTERM][round / 4 % 2]).unwrap();
        drop(client);
        wait_until("the interface is gone", || !on(host, "ip -br link").contains("vpnc"));
        round += 1;
        early = early.or_else(|| (round == 8).then(|| held(running.pid)));
    }
    let ((before, files), (after, files_after)) = (early.expect("it takes some rounds"), held(running.pid));
    println!("{round} rounds: {before} KiB after 8, {after} KiB at the end");
    assert_eq!(files_after, files);
    assert!(after <= before + 512 && after <= 32 << 10, "{before} KiB, then {after} KiB");
    let dropped = running.stop();
    assert_eq!(
        (dropped.count("forged"), dropped.count("malformed"), dropped.count("refused")),
        (0, 0, 0),
        "{dropped:?}"
    );
}

fn what_is_wrong_in_a_file_is_said_with_its_line() {
    let lab = Lab::new(0);
    for (text, said) in [
        ("[Interface]\nPrivateKey = short\n", "vpn.conf: line 2: PrivateKey: these 5 characters are no key."),
        ("[Interface]\n", "vpn.conf: no [Interface] of this file has a PrivateKey."),
    ] {
        let file = lab.write("vpn", text);
        let output = lab.server.command(PROGRAM).arg("up").arg(file).output().unwrap();
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && printed.contains(said), "{printed}");
    }
}
