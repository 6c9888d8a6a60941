//! `tunctl lab` alone: the main job.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use serde_json::Value;
use tunctl_testing::{Case, Snapshot, case, ip, links};

use super::process::{PROGRAM, Run, Running, tunctl, wait_until};
use super::support::others;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(without_options_it_takes_five_seconds_and_all_is_answered),
        case!(every_kind_of_request_is_answered),
        case!(every_request_and_reply_is_shown),
        case!(in_text_it_prints_a_line_a_packet_and_a_table),
        case!(there_is_colour_on_a_terminal).needs_tool("script"),
        case!(it_takes_as_long_as_told),
        case!(the_kernel_can_be_asked_for_by_name),
        case!(the_network_outside_stays_as_it_is),
        case!(it_works_each_time),
        case!(several_run_side_by_side),
        case!(signals_end_it),
        case!(root_needs_no_user_namespace),
        case!(a_refused_network_namespace_is_explained),
        case!(a_missing_device_node_is_explained),
    ]
}

pub(crate) const KINDS: [&str; 4] = ["icmp", "icmpv6", "udp4", "udp6"];

/// The lines as objects: the packets, and the summary, which is the last.
pub(crate) fn events(printed: &str) -> (Vec<Value>, Value) {
    let mut events: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let summary = events.pop().expect("there is a summary");
    assert_eq!(summary["event"], "summary", "{printed}");
    assert!(events.iter().all(|event| event["event"] == "packet"), "{printed}");
    (events, summary)
}

/// Asserts that this many requests of each kind were sent, and answered.
pub(crate) fn assert_all_answered(printed: &str, rounds: u64) {
    let (_, summary) = events(printed);
    let kinds = summary["kinds"].as_array().unwrap();
    assert_eq!(kinds.iter().map(|kind| kind["kind"].as_str().unwrap()).collect::<Vec<_>>(), KINDS);
    for kind in kinds {
        let counts = ["sent", "answered"].map(|key| kind[key].as_u64());
        assert_eq!(counts, [Some(rounds); 2], "{kind}");
        let [min, median, max] =
            ["min", "median", "max"].map(|key| kind["round_trip_us"][key].as_f64().unwrap());
        assert!(0.0 < min && min <= median && median <= max && max < 5e6, "{kind}");
    }
}

fn without_options_it_takes_five_seconds_and_all_is_answered() {
    let start = Instant::now();
    let printed = tunctl("lab --json").ok();
    let took = start.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(10)).contains(&took), "{took:?}");
    let (_, summary) = events(&printed);
    assert_all_answered(&printed, summary["kinds"][0]["sent"].as_u64().unwrap());
    assert!(summary["kinds"][0]["sent"].as_u64() > Some(2), "{summary}");
}

fn every_kind_of_request_is_answered() {
    assert_all_answered(&tunctl("lab --count 2 --json").ok(), 2);
}

fn every_request_and_reply_is_shown() {
    assert_all_shown(&tunctl("lab --count 2 --json").ok());
}

/// Asserts that the requests of two rounds, and the replies to them, are printed.
pub(crate) fn assert_all_shown(printed: &str) {
    let (packets, _) = events(printed);
    let protocols = [("ICMP", "."), ("ICMPv6", ":"), ("UDP", "."), ("UDP", ":")];
    for (direction, from) in [("out", "source"), ("in", "destination")] {
        for (protocol, separator) in protocols {
            let is_one = |packet: &&Value| {
                let own = packet[from].as_str().unwrap_or_default();
                packet["direction"] == direction
                    && packet["protocol"] == protocol
                    && own.contains(separator)
                    && ["10.77.0.1", "fd77::1"].contains(&own)
                    && (protocol != "UDP"
                        || [&packet["source_port"], &packet["destination_port"]].contains(&&7.into()))
                    && (protocol == "UDP" || packet["summary"].as_str().unwrap().contains("echo"))
            };
            let count = packets.iter().filter(is_one).count();
            assert_eq!(count, 2, "{direction} {protocol} with {separator}: {packets:#?}");
        }
    }
}

fn in_text_it_prints_a_line_a_packet_and_a_table() {
    let run = tunctl("lab --count 2");
    assert!(!run.stderr.contains('\x1b'), "{run:#?}");
    assert_lines_and_table(&run.ok());
}

/// Asserts what two rounds print as text.
pub(crate) fn assert_lines_and_table(printed: &str) {
    assert!(!printed.contains('\x1b'), "no colour in a pipe: {printed}");
    let lines =
        |words: &[&str]| printed.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
    for (request, reply) in [
        ([" ICMP ", "10.77.0.1 > ", "echo request"], [" ICMP ", " > 10.77.0.1", "echo reply"]),
        ([" ICMPv6 ", "fd77::1 > ", "echo request"], [" ICMPv6 ", " > fd77::1", "echo reply"]),
        ([" UDP ", "10.77.0.1:", ":7 "], [" UDP ", " > 10.77.0.1:", ":7 > "]),
        ([" UDP ", "[fd77::1]:", ":7 "], [" UDP ", " > [fd77::1]:", ":7 > "]),
    ] {
        assert_eq!(lines(&[&["out"], &request[..]].concat()), 2, "{request:?}: {printed}");
        assert_eq!(lines(&[&["in"], &reply[..]].concat()), 2, "{reply:?}: {printed}");
    }
    // The table: a heading, and below it a row for each kind, with both counts.
    let heading = printed.lines().position(|line| line.contains("sent") && line.contains("answered"));
    let below: Vec<_> = printed.lines().skip(heading.expect("a heading") + 1).collect();
    for kind in ["ICMP ", "ICMPv6 ", "UDP/IPv4", "UDP/IPv6"] {
        let row = below.iter().find(|row| row.trim_start().starts_with(kind));
        let row = row.unwrap_or_else(|| panic!("no row for {kind}: {printed}"));
        assert_eq!(row.split_whitespace().filter(|word| *word == "2").count(), 2, "{row}");
    }
}

fn there_is_colour_on_a_terminal() {
    let mut terminal = Command::new("script");
    terminal.args(["-qec", &format!("{PROGRAM} lab --count 1"), "/dev/null"]);
    terminal.env_remove("NO_COLOR").env("TERM", "xterm");
    let printed = super::process::run(terminal).ok();
    assert!(printed.contains("\x1b["), "{printed:?}");
}

fn it_takes_as_long_as_told() {
    let start = Instant::now();
    let printed = tunctl("lab --for 2 --json").ok();
    let took = start.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(7)).contains(&took), "{took:?}");
    let (_, summary) = events(&printed);
    assert_all_answered(&printed, summary["kinds"][0]["sent"].as_u64().unwrap());
    // Many rounds in one second.
    let start = Instant::now();
    assert_all_answered(&tunctl("lab --for 1 --count 20 --json").ok(), 20);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

fn the_kernel_can_be_asked_for_by_name() {
    assert_all_answered(&tunctl("lab --count 1 --json --backend kernel").ok(), 1);
    assert_all_answered(&tunctl("lab --count 1 --json --backend auto").ok(), 1);
}

fn the_network_outside_stays_as_it_is() {
    // An interface of the lab's own name is no obstacle.
    ip("tuntap add dev lab0 mode tap");
    let before = (Snapshot::take(), links());
    let mut lab = Running::start("lab --for 2 --json");
    lab.line();
    assert_eq!(links(), before.1, "while it runs");
    lab.end().ok();
    assert_eq!((Snapshot::take(), links()), before);
}

fn it_works_each_time() {
    for round in 0..12 {
        let run = tunctl("lab --count 1 --json");
        assert!(run.status.success(), "round {round}: {run:#?}");
        assert_all_answered(&run.stdout, 1);
    }
}

fn several_run_side_by_side() {
    let labs: Vec<_> = (0..6).map(|_| Running::start("lab --count 2 --json")).collect();
    let runs: Vec<Run> = labs.into_iter().map(Running::end).collect();
    for run in runs {
        assert_all_answered(&run.ok(), 2);
    }
}

fn signals_end_it() {
    let before = Snapshot::take();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut lab = Running::start("lab --for 300 --json");
        lab.line();
        let start = Instant::now();
        lab.end_by(signal);
        assert!(start.elapsed() < Duration::from_secs(10), "{signal}");
    }
    wait_until("nothing is left", || Snapshot::take() == before);
}

/// Forbids namespaces of a kind to this case.
pub(crate) fn forbid(kind: &str) {
    fs::write(format!("/proc/sys/user/max_{kind}_namespaces"), "0")
        .expect("this user namespace is the case's own");
}

fn root_needs_no_user_namespace() {
    forbid("user");
    assert_all_answered(&tunctl("lab --count 1 --json").ok(), 1);
    tunctl("lab -- true").ok();
    assert!(others().is_empty());
}

fn a_refused_network_namespace_is_explained() {
    forbid("net");
    for words in ["lab --count 1 --backend kernel", "lab -- true"] {
        tunctl(words).failed(1, &["network namespace", "max_net_namespaces"]);
    }
    assert!(others().is_empty());
}

fn a_missing_device_node_is_explained() {
    // An empty directory in its place, in this case's mount namespace.
    mount(Some("none"), "/dev/net", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    assert!(!fs::exists("/dev/net/tun").unwrap());
    // In a container there is nothing to load.
    let remedy = if tunctl::linux::in_container() { "--device /dev/net/tun" } else { "modprobe tun" };
    for words in ["lab --count 1 --backend kernel", "lab -- true", "create t0"] {
        tunctl(words).failed(1, &["/dev/net/tun", "does not exist", remedy]);
    }
}
