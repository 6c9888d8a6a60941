//! The simulation: it is one of its seed alone, and meets what it is for.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use tunctl_vpn_simulation::{Failure, run};

const TEN_MINUTES: Duration = Duration::from_secs(600);

#[test]
fn the_same_seed_has_the_same_trace_and_another_has_another() {
    let trace = |seed| move || run(seed, TEN_MINUTES, true).unwrap().trace;
    let once = trace(7)();
    assert!(once.len() > 500, "{} lines", once.len());
    // Later, on a clock that has advanced, and on another thread's.
    for again in [trace(7)(), thread::spawn(trace(7)).join().unwrap()] {
        let differing = once.iter().zip(&again).find(|(one, other)| one != other);
        assert_eq!((differing, once.len()), (None, again.len()));
    }
    assert_ne!(once, trace(8)());
}

#[test]
fn each_way_that_a_packet_can_end_is_met() {
    let (mut packets, mut rekeys) = (BTreeMap::new(), 0);
    for seed in 1..=40 {
        let summary = run(seed, TEN_MINUTES, false).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(summary.rekeys[0] >= 4, "seed {seed}: {:?}", summary.rekeys);
        rekeys += summary.rekeys.iter().sum::<u64>();
        summary.packets.into_iter().for_each(|(end, count)| *packets.entry(end).or_insert(0) += count);
    }
    let met = [
        "delivered",
        "foreign",
        "forged",
        "forgotten",
        "lost",
        "malformed",
        "nobody there",
        "outage",
        "refused",
        "unrouted",
        "unsent",
    ];
    for end in met {
        assert!(packets.contains_key(end), "no packet was {end}: {packets:?}");
    }
    assert!(rekeys >= 40 * 4, "{rekeys}");
}

#[test]
fn a_failure_says_how_to_replay_it() {
    let (what, trace) = ("two packets are one".to_owned(), vec!["line".to_owned()]);
    let failure = Failure { seed: 9, duration: TEN_MINUTES, at: Duration::from_secs(3), what, trace };
    assert_eq!(
        failure.to_string(),
        "line\nseed 9 failed after 3s of simulated time: two packets are one\nreplay it in \
         examples/vpn-simulation: cargo run --release -- --seed 9 --minutes 10 --trace"
    );
}
