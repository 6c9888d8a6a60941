//! `tunctl events`.

use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tunctl::prelude::{Interface, TunBackend};
use tunctl_testing::{Case, case, ip};

use super::process::{PROGRAM, Running, tunctl, wait_until};
use super::support::quiet_ipv6;

pub(crate) fn cases() -> Vec<Case> {
    [
        case!(each_event_is_a_line),
        case!(each_event_is_a_json_object),
        case!(it_ends_when_its_interface_is_deleted),
        case!(it_ends_when_its_interface_is_moved).needs_tool("unshare"),
        case!(it_reports_all_interfaces_until_a_signal),
        case!(an_overrun_shows_the_present_state),
        case!(it_ends_when_nobody_reads_on).needs_tool("sh"),
        case!(a_bridge_that_a_tap_leaves_is_no_deletion),
        case!(an_interface_that_is_missing_is_refused),
    ]
    .map(|case: Case| case.needs_tool("ip"))
    .into()
}

/// Starts it, and waits until it watches: it says so.
fn events(words: &str) -> Running {
    let mut running = Running::start(&format!("events {words}"));
    let said = running.complaint();
    assert!(said.starts_with("events of ") && said.ends_with(" (Ctrl-C stops)"), "{said}");
    running
}

fn make(name: &str) {
    quiet_ipv6();
    ip(&format!("tuntap add {name} mode tun"));
}

fn each_event_is_a_line() {
    make("t0");
    let mut running = events("t0");
    ip("link set t0 up");
    ip("link set t0 mtu 1400");
    ip("address add 10.1.1.1/24 dev t0");
    ip("address add fd01::1/64 dev t0");
    ip("link set t0 name t1");
    ip("link set t1 down");
    let expected = [
        "t0: up",
        "t0: MTU 1400",
        "t0: address 10.1.1.1/24 added",
        "t0: address fd01::1/64 added",
        "t1: renamed from t0",
        "t1: down",
        "t1: address fd01::1/64 removed",
    ];
    let printed: Vec<_> = expected.iter().map(|_| running.line()).collect();
    assert_eq!(printed, expected);
    let run = running.end_by(Signal::SIGTERM);
    assert!(run.stderr.contains("events of t0"), "{}", run.stderr);
    assert_eq!(run.ok().lines().count(), expected.len());
}

fn each_event_is_a_json_object() {
    make("t0");
    let shown = tunctl("show t0 --json").json();
    let index = &shown["index"];
    let mut running = events("t0 --json");
    ip("link set t0 up");
    ip("link set t0 mtu 1400");
    ip("address add 10.1.1.1/24 dev t0");
    ip("address del 10.1.1.1/24 dev t0");
    ip("link set t0 name t1");
    ip("link set t1 down");
    ip("link del t1");
    let expected = [
        json!({"event": "up", "name": "t0", "index": index, "state": "up"}),
        json!({"event": "mtu", "name": "t0", "index": index, "mtu": 1400}),
        json!({"event": "address_added", "name": "t0", "index": index, "address": "10.1.1.1/24"}),
        json!({"event": "address_removed", "name": "t0", "index": index, "address": "10.1.1.1/24"}),
        json!({"event": "renamed", "name": "t1", "index": index, "from": "t0"}),
        json!({"event": "down", "name": "t1", "index": index, "state": "down"}),
        json!({"event": "deleted", "name": "t1", "index": index}),
    ];
    for expected in expected {
        let printed: Value = serde_json::from_str(&running.line()).unwrap();
        assert_eq!(printed, expected);
    }
    let run = running.end();
    assert_eq!(run.stderr, "events of t0 (Ctrl-C stops)\n");
    run.ok();
}

fn it_ends_when_its_interface_is_deleted() {
    make("t0");
    let running = events("t0");
    // Another interface takes its name.
    ip("link del t0");
    ip("tuntap add t0 mode tun");
    assert_eq!(running.end().ok(), "t0: deleted\n");
}

fn it_ends_when_its_interface_is_moved() {
    make("t0");
    let running = events("t0");
    let other = Command::new("unshare").args(["--net", "sleep", "30"]).stdin(Stdio::null()).spawn();
    let mut other = other.unwrap();
    let namespace = |pid| std::fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    wait_until("it is in another namespace", || namespace(other.id()) != namespace(std::process::id()));
    ip(&format!("link set t0 netns {}", other.id()));
    let printed = running.end().ok();
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(printed, "t0: moved to another namespace\n");
}

fn it_reports_all_interfaces_until_a_signal() {
    make("t0");
    let mut running = events("");
    ip("link set lo up");
    ip("tuntap add t1 mode tap");
    ip("link set t0 mtu 1300");
    ip("link del t1");
    let expected = ["t1: created", "t0: MTU 1300", "t1: deleted"];
    let printed: Vec<_> = expected.iter().map(|_| running.line()).collect();
    assert_eq!(printed, expected);
    running.end_by(Signal::SIGTERM).ok();
    assert_eq!(events("").end_by(Signal::SIGTERM).ok(), "");
}

fn an_overrun_shows_the_present_state() {
    make("t0");
    let mut running = events("t0 --json");
    let pid = running.pid();
    ip("link set t0 mtu 1300");
    assert!(running.line().contains("1300"));
    let send = |signal| kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
    send(Signal::SIGSTOP);
    let interface = tunctl::native().interface(&"t0".parse().unwrap()).unwrap();
    for mtu in 0..3000 {
        interface.set_mtu((1400 + mtu % 2).try_into().unwrap()).unwrap();
    }
    send(Signal::SIGCONT);
    let printed: Value = serde_json::from_str(&running.line()).unwrap();
    assert_eq!(printed["event"], "overrun");
    let present = &printed["interfaces"][0];
    assert_eq!(
        (&present["name"], &present["mtu"], &present["state"]),
        (&json!("t0"), &json!(1401), &json!("down"))
    );
    ip("link set t0 up");
    let printed: Value = serde_json::from_str(&running.line()).unwrap();
    assert_eq!(printed["event"], "up");
    running.end_by(Signal::SIGTERM).ok();
}

fn it_ends_when_nobody_reads_on() {
    make("t0");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("'{PROGRAM}' events t0 | head -n 1")]);
    let mut running = Running::of(shell);
    assert_eq!(running.complaint(), "events of t0 (Ctrl-C stops)");
    ip("link set t0 mtu 1400");
    // The shell waits for both.
    assert_eq!(running.end().ok(), "t0: MTU 1400\n");
}

fn a_bridge_that_a_tap_leaves_is_no_deletion() {
    quiet_ipv6();
    ip("tuntap add p0 mode tap");
    ip("link add br0 type bridge");
    let running = events("p0");
    ip("link set p0 master br0");
    ip("link set p0 nomaster");
    ip("link del p0");
    let printed = running.end().ok();
    let lines: Vec<_> = printed.lines().filter(|line| !line.contains("carrier")).collect();
    assert_eq!(lines, ["p0: deleted"]);
}

fn an_interface_that_is_missing_is_refused() {
    tunctl("events t9").failed(1, &["t9", "there is no interface of that name"]);
    tunctl("events lo").failed(1, &["lo"]);
}
