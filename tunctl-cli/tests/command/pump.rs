//! `tunctl pump`: two interfaces, joined.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tunctl_testing::{Case, OtherNamespace, Snapshot, addresses, case, finish, ip, link, others};

use super::process::{PROGRAM, Running, run, tunctl, wait_until};
use super::support::{driver_report, exists, is_up, members, mtu, quiet_ipv6};
use super::watch::objects;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(pings_pass_between_two_namespaces).needs_tool("ping"),
        case!(an_interface_may_be_moved_while_it_runs).needs_tool("ping"),
        case!(a_stream_arrives_whole_with_many_packets_a_call),
        case!(without_offload_each_call_has_one_packet),
        case!(queues_have_threads_of_their_own),
        case!(a_wire_loses_delays_and_bounds),
        case!(a_signal_ends_it_with_totals),
        case!(json_reports_each_second),
        case!(a_terminal_shows_rates).needs_tool("script"),
        case!(lines_fit_a_narrow_terminal).needs_tool("script"),
        case!(a_deleted_interface_ends_it_with_totals),
        case!(interfaces_that_exist_are_opened_and_stay),
        case!(new_interfaces_have_queues_that_are_not_overrun),
    ]
}

/// Joins `a`, which is 10.1.1.1 here, and `b`, which is 10.1.1.2 there.
fn join(there: &OtherNamespace, words: &str) -> Running {
    quiet_ipv6();
    there.run(quiet_ipv6);
    let ends = "--address-a 10.1.1.1/24 --address-b 10.1.1.2/24";
    let mut pump = Running::start(&format!("pump a b {ends} --netns-b {} {words}", there.path()));
    assert!(pump.line().contains("joined"));
    pump
}

fn ping(count: u32, words: &str) -> String {
    let count = count.to_string();
    let mut ping = Command::new("ping");
    ping.args(["-c", &count, "-i", "0.02", "-W", "5", "10.1.1.2"]).args(words.split_whitespace());
    finish(&mut ping)
}

/// Sends so many bytes from here to 10.1.1.2, and returns what arrived there.
fn send_stream(there: &OtherNamespace, bytes: &[u8]) -> Vec<u8> {
    let listener = there.run(|| TcpListener::bind("10.1.1.2:5000").unwrap());
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut arrived = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut arrived).unwrap();
            arrived
        });
        TcpStream::connect("10.1.1.2:5000").unwrap().write_all(bytes).unwrap();
        reader.join().unwrap()
    })
}

/// Bytes of which no part is like another.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0]).collect()
}

/// The totals of `--json`.
fn totals(pump: Running) -> Value {
    let totals = objects(&pump.end_by(Signal::SIGINT).ok()).pop().unwrap();
    assert_eq!(totals["event"], "totals");
    totals
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn pings_pass_between_two_namespaces() {
    let there = OtherNamespace::new();
    for words in ["", "--tun", "--offload off", "--tun --offload off", "--offload passthrough", "--mtu 1400"]
    {
        let pump = join(&there, words);
        assert!(is_up("a") && there.run(|| is_up("b")) && !exists("b"), "{words}");
        let size = if words.contains("mtu") { 1400 } else { 1500 };
        assert_eq!((mtu("a"), there.run(|| mtu("b"))), (size.into(), size.into()), "{words}");
        assert!(ping(5, "").contains(" 0% packet loss"), "{words}");
        let printed = pump.end_by(Signal::SIGINT).ok();
        let lines: Vec<_> = printed.lines().skip(1).collect();
        assert_eq!(lines.len(), 2, "{words}: {printed}");
        // A tap's echoes follow a question for the address, and its answer.
        let (packets, size) = if words.contains("--tun") { (5, 5 * 84) } else { (6, 5 * 98 + 42) };
        let rest = format!(": {packets} packets, {size} bytes; packets a call: 1.0 received, 1.0 sent");
        for (line, way) in lines.iter().zip(["a > b", "b > a"]) {
            // Each side may also ask for the other's address again.
            let is_exact = line.starts_with(&format!("{way}{rest}"));
            assert!(is_exact || !words.contains("--tun"), "{words}: {printed}");
            assert!(line.starts_with(way) && line.ends_with("; 0 dropped, 0 lost"), "{words}: {printed}");
        }
        assert!(!exists("a") && !there.run(|| exists("b")), "{words}");
    }
}

fn an_interface_may_be_moved_while_it_runs() {
    let there = OtherNamespace::new();
    let mut pump = Running::start("pump a b --address-a 10.1.1.1/24 --json");
    pump.line();
    ip(&format!("link set dev b netns {}", there.path()));
    // It has arrived down. What is sent to it meanwhile is lost, and counted.
    let mut unheard = Command::new("ping");
    unheard.args(["-c", "1", "-W", "1", "10.1.1.2"]);
    assert!(!run(unheard).status.success());
    there.run(|| {
        ip("address add 10.1.1.2/24 dev b");
        ip("link set dev b up");
    });
    assert!(ping(3, "").contains(" 0% packet loss"));
    let totals = totals(pump);
    assert!(number(&totals["a_to_b"]["lost"]) > 0 && number(&totals["b_to_a"]["packets"]) >= 3, "{totals}");
}

fn a_stream_arrives_whole_with_many_packets_a_call() {
    let sent = bytes(20_000_000);
    for words in ["", "--tun", "--offload passthrough"] {
        let there = OtherNamespace::new();
        let pump = join(&there, &format!("--json {words}"));
        assert!(send_stream(&there, &sent) == sent, "{words}: what arrived is not what was sent");
        let way = &totals(pump)["a_to_b"];
        assert!(number(&way["bytes"]) > 20_000_000, "{words}: {way}");
        assert_eq!(way["lost"], 0, "{words}: {way}");
        let [received, sent] =
            ["packets_per_receive_call", "packets_per_send_call"].map(|key| way[key].as_f64().unwrap());
        if words.contains("passthrough") {
            assert!((received, sent) == (1.0, 1.0), "{way}");
            assert!(number(&way["bytes"]) / number(&way["packets"]) > 3000, "nothing was large: {way}");
        } else {
            assert!(received > 3.0 && sent > 3.0, "{words}: {way}");
        }
    }
}

fn without_offload_each_call_has_one_packet() {
    let there = OtherNamespace::new();
    let sent = bytes(3_000_000);
    let mut pump = Running::start(&format!(
        "pump a b --tun --offload off --json --address-a 10.1.1.1/24 --address-b 10.1.1.2/24 --netns-b {}",
        there.path()
    ));
    let joined: Value = serde_json::from_str(&pump.line()).unwrap();
    assert_eq!(joined["offloads"], json!([]));
    assert_eq!(driver_report("a")["vnet_hdr"], false);
    assert!(send_stream(&there, &sent) == sent);
    let way = &totals(pump)["a_to_b"];
    assert_eq!((&way["packets_per_receive_call"], &way["packets_per_send_call"]), (&json!(1.0), &json!(1.0)));
    assert!(number(&way["packets"]) >= 3_000_000 / 1460, "{way}");
}

fn queues_have_threads_of_their_own() {
    let there = OtherNamespace::new();
    let pump = join(&there, "--json --queues 2");
    let tasks = || std::fs::read_dir(format!("/proc/{}/task", pump.pid())).unwrap().count();
    // The main one, the one that starts the others, and two each way.
    wait_until("all threads run", || tasks() == 6);
    assert_eq!(driver_report("a")["multi_queue"], true);
    let sent = bytes(3_000_000);
    assert!(send_stream(&there, &sent) == sent);
    assert!(number(&totals(pump)["a_to_b"]["bytes"]) > 3_000_000);
}

fn a_wire_loses_delays_and_bounds() {
    let there = OtherNamespace::new();
    // By the seed, always the same.
    let lost = |seed| {
        let pump = join(&there, &format!("--tun --json --loss 50% --seed {seed}"));
        let mut ping = Command::new("ping");
        ping.args(["-c", "20", "-i", "0.02", "-W", "1", "10.1.1.2"]);
        run(ping);
        let way = totals(pump)["a_to_b"].clone();
        assert_eq!(number(&way["dropped"]) + number(&way["packets"]), 20, "{way}");
        number(&way["dropped"])
    };
    let (one, again) = (lost(1), lost(1));
    assert!(one == again && (1..20).contains(&one), "{one}, {again}");

    let pump = join(&there, "--tun --delay 40ms");
    let printed = ping(3, "");
    let times =
        printed.split("time=").skip(1).map(|rest| rest.split(' ').next().unwrap().parse::<f64>().unwrap());
    let times: Vec<_> = times.collect();
    assert!(times.len() == 3 && times.iter().all(|time| *time >= 80.0), "{printed}");
    drop(pump);

    let pump = join(&there, "--tun --json --rate 8mbit");
    let start = std::time::Instant::now();
    let sent = bytes(1_000_000);
    assert!(send_stream(&there, &sent) == sent);
    assert!(start.elapsed() >= Duration::from_millis(900), "{:?}", start.elapsed());
    let totals = totals(pump);
    let rate = totals["a_to_b"]["bits_per_second"].as_f64().unwrap();
    assert!((1e6..9e6).contains(&rate), "{totals}");
}

fn a_signal_ends_it_with_totals() {
    let before = Snapshot::take();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut pump = Running::start("pump wire%d wire%d --tun");
        assert!(pump.line().starts_with("wire0 and wire1 are joined (tun, "), "{pump:?}");
        let ended = pump.end_by(signal);
        assert_eq!(ended.stderr, "packets pass now (Ctrl-C stops)\n");
        let printed = ended.ok();
        assert!(printed.contains("\nwire0 > wire1: ") && printed.contains("\nwire1 > wire0: "), "{printed}");
        assert_eq!(others(), [""; 0], "{signal}");
    }
    assert!(tunctl("pump a b --for 0.3").ok().contains("\nb > a: "));
    assert_eq!(Snapshot::take(), before);
}

fn json_reports_each_second() {
    quiet_ipv6();
    let printed = tunctl("pump a b --tap --json --for 2.5");
    assert_eq!(printed.stderr, "");
    let objects = objects(&printed.ok());
    let [joined, rates, others @ .., totals] = &objects[..] else { panic!("{objects:?}") };
    let events = [joined, rates, totals].map(|object| object["event"].as_str().unwrap());
    assert_eq!(events, ["joined", "rates", "totals"]);
    assert!(others.len() < 2 && others.iter().all(|object| object["event"] == "rates"), "{others:?}");
    assert_eq!(members(joined), ["a", "b", "event", "layer", "offloads", "queues"]);
    assert_eq!((&joined["a"], &joined["layer"], &joined["queues"]), (&json!("a"), &json!("tap"), &json!(1)));
    assert!(joined["offloads"].as_array().unwrap().contains(&json!("tso4")), "{joined}");
    let of_ways = [
        "bits_per_second",
        "bytes",
        "dropped",
        "from",
        "lost",
        "packets",
        "packets_per_receive_call",
        "packets_per_second",
        "packets_per_send_call",
        "receive_calls",
        "received",
        "send_calls",
        "to",
    ];
    let help = tunctl("pump --help").ok();
    for object in [rates, totals] {
        assert_eq!(members(object), ["a_to_b", "b_to_a", "event", "seconds", "time"]);
        for way in ["a_to_b", "b_to_a"] {
            assert_eq!(members(&object[way]), of_ways);
        }
        assert_eq!((&object["b_to_a"]["from"], &object["b_to_a"]["to"]), (&json!("b"), &json!("a")));
        assert_eq!(object["a_to_b"]["packets_per_send_call"], Value::Null, "nothing was sent: {object}");
    }
    for member in of_ways {
        assert!(help.contains(member), "{member} is not in: {help}");
    }
    let seconds = [rates, totals].map(|object| object["seconds"].as_f64().unwrap());
    assert!((0.9..2.0).contains(&seconds[0]) && (2.4..9.0).contains(&seconds[1]), "{seconds:?}");
}

/// What it prints on a terminal of this type.
fn on_a_terminal(kind: &str, columns: u32) -> String {
    let mut terminal = Command::new("script");
    let words = format!("stty rows 24 cols {columns}; {PROGRAM} pump left right --for 2.3");
    terminal.args(["-qec", &words, "/dev/null"]).env("TERM", kind);
    run(terminal).ok()
}

fn a_terminal_shows_rates() {
    let printed = on_a_terminal("xterm", 90);
    let shown: Vec<_> = printed.split("\x1b[3A").collect();
    assert_eq!(shown.len(), 2, "{printed:?}");
    for rates in &shown {
        for words in ["packets/s", "per read", "lost", "left > right", "right > left", "bit/s"] {
            assert!(rates.contains(words), "{words} is not in: {rates}");
        }
    }
    assert!(printed.contains("\nright > left: "), "no totals: {printed}");
    // A pipe, and a terminal that cannot move its cursor, get the totals only.
    let printed = on_a_terminal("dumb", 90);
    assert!(!printed.contains('\x1b') && !printed.contains("packets/s"), "{printed:?}");
    assert_eq!(tunctl("pump left right --for 1.2").ok().lines().count(), 3);
}

fn lines_fit_a_narrow_terminal() {
    let printed = on_a_terminal("xterm", 40);
    let rates = printed.split("\x1b[3A").nth(1).unwrap();
    for line in rates.split("\x1b[K").take(3) {
        assert!(line.trim_matches(['\r', '\n']).chars().count() < 40, "{line:?} in {printed:?}");
    }
}

fn a_deleted_interface_ends_it_with_totals() {
    for name in ["a", "b"] {
        let mut pump = Running::start("pump a b --json");
        pump.line();
        ip(&format!("link delete dev {name}"));
        let ended = pump.end();
        assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
        assert!(ended.stderr.contains("gone"), "{ended:#?}");
        assert_eq!(objects(&ended.stdout).pop().unwrap()["event"], "totals");
        assert_eq!(others(), [""; 0]);
    }
}

fn new_interfaces_have_queues_that_are_not_overrun() {
    let queue = |name: &str| link(name).unwrap()["txqlen"].clone();
    ip("tuntap add dev p mode tun");
    for (words, length) in [("", 1000), ("--offload off", 4500), ("--mtu 9000 --offload off", 1000)] {
        let mut pump = Running::start(&format!("pump p new --json {words}"));
        pump.line();
        assert_eq!((queue("new"), queue("p")), (json!(length), json!(500)), "{words}");
        assert!(pump.end_by(Signal::SIGTERM).status.success());
    }
}

fn interfaces_that_exist_are_opened_and_stay() {
    ip("tuntap add dev p mode tun");
    ip("tuntap add dev m mode tun multi_queue");
    // The other one is made of the same kind.
    let printed = tunctl("pump p new --for 0.2 --address-a 10.1.1.1/24").ok();
    assert!(printed.starts_with("p and new are joined (tun, "), "{printed}");
    assert!(!is_up("p") && addresses("p").iter().any(|address| address["local"] == "10.1.1.1"));
    assert!(tunctl("pump m p --for 0.2").ok().starts_with("m and p are joined"));
    assert!(tunctl("pump m n --queues 2 --for 0.2").ok().contains("2 queues"));
    tunctl("pump p n --queues 2 --for 0.2").failed(1, &["p", "one queue", "--multi-queue"]);
    assert!(exists("m") && exists("p") && !exists("n") && !exists("new"));
    assert_eq!(driver_report("p")["persist"], true);
    // Its headers are what they were.
    let report = || ["pi", "vnet_hdr"].map(|key| driver_report("p")[key].clone());
    ip("link delete dev p");
    for words in ["--pi", "--vnet-hdr", ""] {
        tunctl(&format!("create p --tun {words}")).ok();
        let before = report();
        tunctl("pump p new --for 100ms").ok();
        assert_eq!((report(), is_up("p")), (before.clone(), false), "{words}");
        // Also where the other one cannot be made, which is known only after the first was opened.
        tunctl("pump p lo").failed(1, &["lo", "not a TUN/TAP interface"]);
        assert_eq!(report(), before, "{words}");
    }
}
