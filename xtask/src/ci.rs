//! `cargo xtask ci`: what must pass before a change lands, in the order of what fails soonest.

use std::time::{Duration, Instant};

use crate::{Outcome, abi, cache, cross, fuzz, link, msrv, release, test, tool};

/// A part, and its name.
type Part = (&'static str, fn() -> Outcome);

/// Runs all of it, whatever becomes of a part, and says where the time went.
pub(crate) fn run() -> Outcome {
    let parts: [Part; 8] = [
        ("abi", abi::run),
        ("other workspaces", check_other_workspaces),
        ("fuzz", || fuzz::run(&[])),
        ("test", test::run),
        ("msrv", msrv::run),
        ("release", || release::run(&[])),
        ("cross", || cross::run(&[])),
        ("link", || link::run(&[])),
    ];
    let finished: Vec<_> = parts.iter().map(|(name, work)| timed(name, *work)).collect();
    println!("\n── where the time went");
    for (name, took, outcome) in &finished {
        let verdict = outcome.as_ref().map_or_else(|why| format!("FAILED: {why}"), |()| "ok".to_owned());
        println!("{name:<18} {:>7.1} s  {verdict}", took.as_secs_f64());
    }
    let total: Duration = finished.iter().map(|(_, took, _)| *took).sum();
    println!("{:<18} {:>7.1} s", "all", total.as_secs_f64());
    match finished.iter().filter(|(_, _, outcome)| outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} parts failed", finished.len())),
    }
}

fn timed(name: &'static str, work: fn() -> Outcome) -> (&'static str, Duration, Outcome) {
    println!("\n══ {name}");
    let started = Instant::now();
    let outcome = work();
    if let Err(why) = &outcome {
        println!("FAILED: {why}");
    }
    (name, started.elapsed(), outcome)
}

/// The workspaces that the test command formats and does not compile. What they depend on is kept: the
/// libraries that the benchmark compares with are large.
fn check_other_workspaces() -> Outcome {
    const SIMULATION: &str = "examples/vpn-simulation/Cargo.toml";
    let kept = cache().join("workspaces");
    let kept = kept.to_str().ok_or("the user's cache has no name in UTF-8")?;
    for manifest in ["bench/Cargo.toml", "fuzz/Cargo.toml", SIMULATION] {
        let of = ["--manifest-path", manifest, "--target-dir", kept, "--all-targets"];
        tool::cargo(&[&["clippy"], &of[..], &["--", "-D", "warnings"]].concat())?;
    }
    // Optimised: otherwise its seeds would take longer than the compiler does.
    let of = ["--release", "--manifest-path", SIMULATION, "--target-dir", kept];
    tool::cargo(&[&["test"], &of[..]].concat())?;
    tool::cargo(&[&["run"], &of[..], &["--", "--seeds", "1000", "--cpu-seconds", "60"]].concat())
}
