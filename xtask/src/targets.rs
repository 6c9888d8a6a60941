//! Other systems, all at once and one after the other.

use std::time::{Duration, Instant};

use crate::Outcome;

/// The targets that options name, or all that need not be named.
pub(crate) fn named(
    options: &[&str],
    all: &[&'static str],
    on_request: &[&'static str],
) -> Outcome<Vec<&'static str>> {
    let mut named = Vec::new();
    for option in options.chunks(2) {
        let ["--target", target] = option else {
            return Err(format!("{} is no option of this task: there is --target T", option.join(" ")));
        };
        let known = || all.iter().chain(on_request);
        let Some(target) = known().find(|known| *known == target) else {
            let known: Vec<_> = known().copied().collect();
            return Err(format!("{target} is no target of this task: those are {}", known.join(", ")));
        };
        named.push(*target);
    }
    Ok(if named.is_empty() { all.to_vec() } else { named })
}

/// Does the work for all targets at once, which keeps all processors busy.
pub(crate) fn at_once(targets: &[&str], work: impl FnOnce(&[&str]) -> Outcome) -> Outcome {
    let started = Instant::now();
    println!("\n── {}", targets.join(", "));
    let outcome = work(targets);
    println!("all at once: {:.1} s", started.elapsed().as_secs_f64());
    outcome
}

/// Does the work for each target, whatever became of those before it, and sums up.
pub(crate) fn each(targets: &[&'static str], work: impl Fn(&'static str) -> Outcome) -> Outcome {
    let mut finished = Vec::new();
    for target in targets {
        println!("\n── {target}");
        let started = Instant::now();
        let outcome = work(target);
        if let Err(why) = &outcome {
            println!("FAILED: {why}");
        }
        finished.push((*target, outcome, started.elapsed()));
    }
    conclude(&finished)
}

fn conclude(finished: &[(&str, Outcome, Duration)]) -> Outcome {
    println!("\n── summary");
    for (target, outcome, took) in finished {
        let verdict = outcome.as_ref().map_or_else(|why| format!("FAILED: {why}"), |()| "ok".to_owned());
        println!("{target:<30} {:>6.1} s  {verdict}", took.as_secs_f64());
    }
    match finished.iter().filter(|(_, outcome, _)| outcome.is_err()).count() {
        0 => Ok(()),
        failed => Err(format!("{failed} of {} targets failed", finished.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_all_but_those_on_request_unless_some_are_named() {
        let all = ["a", "b"];
        assert_eq!(named(&[], &all, &["c"]).unwrap(), all);
        assert_eq!(named(&["--target", "b"], &all, &[]).unwrap(), ["b"]);
        assert_eq!(named(&["--target", "c"], &all, &["c"]).unwrap(), ["c"]);
        assert!(named(&["--target", "d"], &all, &["c"]).unwrap_err().contains("those are a, b, c"));
        assert!(named(&["--target"], &all, &[]).is_err());
    }

    #[test]
    fn one_failure_stops_no_other_and_fails_all() {
        let work = |target| if target == "a" { Err("so".to_owned()) } else { Ok(()) };
        assert_eq!(each(&["a", "b"], work).unwrap_err(), "1 of 2 targets failed");
        assert_eq!(each(&["b"], work), Ok(()));
    }
}
