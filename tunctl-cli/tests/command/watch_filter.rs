//! `tunctl watch --filter`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tunctl::prelude::{CreateOptions, TunBackend};
use tunctl_testing::{Case, case};

use super::process::{Running, command, tunctl_with};
use super::support::{held_tun, quiet_ipv6, send, wait_for_packet_socket};
use super::watch::objects;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_filter_lets_matching_packets_be_seen),
        case!(a_filter_is_for_the_layer_of_the_interface),
        case!(an_interrupt_ends_it_also_when_no_packet_matches),
        case!(what_is_wrong_with_a_filter_is_shown),
    ]
}

/// Starts it with a filter, and waits until it watches.
fn watch_filtered(words: &str, filter: &str) -> Running {
    let mut command = command(&format!("watch {words} --filter"));
    command.arg(filter);
    let watcher = Running::of(command);
    wait_for_packet_socket();
    watcher
}

fn a_filter_lets_matching_packets_be_seen() {
    let _holder = held_tun("t0");
    let watcher = watch_filtered("t0 --count 2 --json", "udp and dst port (9 or 10) and not host fd01::5");
    for to in ["10.1.1.5:8", "10.1.1.5:9", "[fd01::5]:9", "[fd01::6]:10", "10.1.1.5:9"] {
        send(b"hello", to);
    }
    let printed = watcher.end().ok();
    let objects = objects(&printed);
    let (totals, packets) = objects.split_last().unwrap();
    let destinations: Vec<_> = packets.iter().map(|packet| packet["destination"].as_str().unwrap()).collect();
    assert_eq!(destinations, ["10.1.1.5", "fd01::6"]);
    // What does not match is not counted, either.
    assert_eq!([&totals["packets"], &totals["bytes"], &totals["missed"]], [2, 33 + 53, 0]);
}

fn a_filter_is_for_the_layer_of_the_interface() {
    quiet_ipv6();
    let tap = tunctl::native().create(&CreateOptions::tap().name("t0").address("10.1.1.1/24").up()).unwrap();
    let watcher = watch_filtered("t0 --count 1", "ether broadcast and arp host 10.1.1.5");
    // Nobody answers to the question that goes ahead of these packets.
    send(b"hello", "10.1.1.4:9");
    send(b"hello", "10.1.1.5:9");
    let printed = watcher.end().ok();
    assert!(printed.lines().next().unwrap().contains("who-has 10.1.1.5"), "{printed}");
    drop(tap);
}

fn an_interrupt_ends_it_also_when_no_packet_matches() {
    let _holder = held_tun("t0");
    let watcher = watch_filtered("t0", "tcp");
    let flooding = AtomicBool::new(true);
    let printed = thread::scope(|scope| {
        scope.spawn(|| {
            while flooding.load(Ordering::Relaxed) {
                send(b"hello", "10.1.1.5:9");
            }
        });
        thread::sleep(Duration::from_millis(200));
        let printed = watcher.end_by(Signal::SIGINT).ok();
        flooding.store(false, Ordering::Relaxed);
        printed
    });
    assert!(printed.starts_with("0 packets"), "{printed}");
}

fn what_is_wrong_with_a_filter_is_shown() {
    let _holder = held_tun("t0");
    for (filter, shown) in [
        ("tcp prot 80", "tcp prot 80\n    ^^^^\ntunctl: --filter, column 5: expected `and`, `or` or the end"),
        ("arp", "arp\n^^^\ntunctl: --filter, column 1: no packet of a tun matches"),
        (
            "ether host 2:0:0:0:0:1",
            "           ^^^^^^^^^^^\ntunctl: --filter, column 12: the packets of a tun have no",
        ),
    ] {
        tunctl_with(["watch", "t0", "--filter", filter]).failed(2, &[shown, "tunctl --help"]);
    }
    // Nothing was attached to, which would have taken packets away.
    tunctl_with(["watch", "t0", "--attach", "--filter", "x"]).failed(2, &["column 1"]);
}
