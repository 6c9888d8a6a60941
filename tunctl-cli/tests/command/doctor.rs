//! `tunctl doctor`, on systems that are well, and on those that a case breaks: what it prints about these is
//! in `docs/doctor.md`.

mod broken;
mod document;

use std::net::UdpSocket;
use std::process::Command;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGsoSegment;
use serde_json::{Value, json};
use tunctl_testing::{Case, Snapshot, case, finish, ip, ip_json, link};

use super::process::{Run, Running, tunctl};
use super::support::{quiet_ipv6, with_entry};
use super::unprivileged::Program;

pub(crate) fn cases() -> Vec<Case> {
    let cases = vec![
        case!(a_system_that_is_well_has_no_problem_and_no_note),
        case!(a_user_of_a_system_that_is_well_lacks_the_right_alone).needs_root(),
        case!(names_are_free_or_taken),
        case!(a_burst_overflows_a_queue_that_is_found_too_short),
        case!(another_namespace_is_examined_in_its_place).entry("there", there).needs_tool("unshare"),
    ];
    [cases, broken::cases()].concat()
}

/// What it found, as `check verdict cause`.
fn found(run: &Run) -> Vec<String> {
    let printed: Value =
        serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
    let findings = printed["findings"].as_array().unwrap();
    let has_problem = findings.iter().any(|finding| finding["verdict"] == "problem");
    assert_eq!(printed["works"], json!(!has_problem));
    assert_eq!(run.status.code(), Some(i32::from(has_problem)), "{run:#?}");
    assert_eq!(run.stderr.contains("not everything works here"), has_problem, "{run:#?}");
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |finding: &Value| ["check", "verdict", "cause"].map(|key| word(&finding[key])).join(" ");
    findings.iter().map(line).collect()
}

const WELL: [&str; 7] = [
    "node ok -",
    "driver ok -",
    "rights ok -",
    "namespaces ok -",
    "packets ok -",
    "features ok -",
    "managers ok -",
];

/// The index of a new interface: the one after that of the last, whoever saw it.
fn next_index() -> u64 {
    ip("tuntap add dev index mode tun");
    let index = link("index").unwrap()["ifindex"].as_u64().unwrap();
    ip("tuntap del dev index mode tun");
    index
}

fn a_system_that_is_well_has_no_problem_and_no_note() {
    let (before, index) = (Snapshot::take(), next_index());
    assert_eq!(found(&tunctl("doctor --json")), WELL);
    let printed = tunctl("doctor").ok();
    assert_eq!(printed.lines().count(), WELL.len(), "{printed}");
    assert!(printed.lines().all(|line| line.starts_with("ok  ")), "{printed}");
    assert!(printed.contains("a ping through a tun in such a namespace is answered"), "{printed}");
    assert_eq!((Snapshot::take(), next_index()), (before, index + 1));
    // With interfaces, as they are made by default.
    ip("tuntap add dev t0 mode tun");
    ip("tuntap add dev t1 mode tap");
    assert_eq!(found(&tunctl("doctor --json")), [&WELL[..], &["queue ok -"]].concat());
}

fn a_user_of_a_system_that_is_well_lacks_the_right_alone() {
    let program = Program::new();
    let mut expected = WELL;
    expected[2] = "rights problem MissingCapability";
    assert_eq!(found(&program.run("doctor --json")), expected);
    // It is found at the first of the two lines, and the other says what to do.
    let printed = program.run("doctor").stdout;
    let at = printed.lines().position(|line| line.starts_with("problem  rights      create: CAP_NET_ADMIN"));
    let remedy = printed.lines().nth(at.unwrap() + 1).unwrap();
    assert!(remedy.starts_with(&" ".repeat(21)) && remedy.contains("Run it with sudo"), "{printed}");
}

fn names_are_free_or_taken() {
    ip("tuntap add dev idle mode tun");
    ip("link add br7 type bridge");
    let mut holder = Running::start("create held --tap --hold");
    holder.line();
    let names = |words: &str| {
        let run = tunctl(&format!("doctor --json {words}"));
        found(&run).into_iter().filter(|line| line.starts_with("name ")).collect::<Vec<_>>()
    };
    assert_eq!(names("free idle"), ["name ok -", "name ok -"]);
    assert_eq!(names("held br7"), ["name note -", "name problem NotATun"]);
    let printed = tunctl("doctor free idle held").ok();
    for words in [
        "free is free",
        "idle exists, as a tun that no program has open",
        &format!("held exists, as a tap that is held by tunctl (pid {})", holder.pid()),
    ] {
        assert!(printed.contains(words), "{printed}");
    }
    // A further queue is always welcome.
    let mut queues = Running::start("create several --tap --multi-queue --hold");
    queues.line();
    assert_eq!(names("several"), ["name ok -"]);
}

/// How many packets of a burst of 44, which one system call sends, an interface with such a queue drops.
fn dropped(name: &str, queue: u32) -> u64 {
    let mut holder = Running::start(&format!(
        "create {name} --tun --hold --up --address 10.1.1.1/24 --queue-length {queue}"
    ));
    holder.line();
    let socket = UdpSocket::bind("10.1.1.1:0").unwrap();
    setsockopt(&socket, UdpGsoSegment, &1472).unwrap();
    socket.send_to(&[7; 44 * 1472], "10.1.1.2:9").unwrap();
    let dropped = ip_json(&format!("-s link show {name}"))[0]["stats64"]["tx"]["dropped"].as_u64().unwrap();
    let printed = tunctl("doctor").ok();
    if queue < 44 {
        let words = format!(
            "{name} queues {queue} packets, and TCP may send 45 at once, at an MTU of 1500: the \
                             rest is dropped ({dropped} so far)"
        );
        assert!(printed.contains(&words), "{printed}");
    } else {
        assert!(printed.contains("the one interface can queue a burst of TCP"), "{printed}");
    }
    dropped
}

fn a_burst_overflows_a_queue_that_is_found_too_short() {
    quiet_ipv6();
    assert_eq!(dropped("short", 10), 34);
    assert_eq!(dropped("long", 500), 0);
}

/// In a namespace of its own, beside that of its parent.
fn there() {
    ip("tuntap add dev short mode tun");
    ip("link set dev short txqueuelen 3");
    let parent = std::os::unix::process::parent_id();
    let own = found(&tunctl("doctor --json"));
    assert!(own.contains(&"queue note -".to_owned()), "{own:?}");
    let outside = found(&tunctl(&format!("doctor --json --netns {parent}")));
    // Who configures interfaces there cannot be seen in files here.
    assert_eq!(outside, WELL[..6]);
}

fn another_namespace_is_examined_in_its_place() {
    let mut elsewhere = Command::new("unshare");
    elsewhere.arg("--net");
    finish(&mut with_entry(elsewhere, "there"));
}
