//! Faults at every system call of the command and of the library.
//!
//! Each scenario is a program with an effect on the interfaces of a namespace: a verb of the command, or an
//! operation of the library. It runs once undisturbed, to learn its system calls and its effect. Then it runs
//! again for each call and each errno that the call can give, under strace, which makes that call fail; with
//! every other call interrupted; and killed at each call, and at random moments. After each run the kernel is
//! asked, through iproute2, what there is now.
//!
//! A run is *wrong* if the program panics, dies, hangs, says nothing about a failure, says that it succeeded
//! without its effect, leaves something half-done without a word, or touches an interface of somebody else's.

mod plan;
mod run;
mod scenario;
mod state;
mod subject;

use std::collections::BTreeMap;
use std::env;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use crate::differential::random::Random;
use plan::Injection;
use run::{Verdict, judge, undisturbed};
use scenario::{SCENARIOS, Scenario};

const USAGE: &str = "\
cargo xtask faults [--scenario NAME] [--inject CALL:FAULT:WHEN] [--kills K] [--seed S] [--jobs J]

  --scenario NAME  only the scenarios whose names begin so
  --inject I       only this injection, in strace's words: sendto:error=ENOBUFS:when=3; or
                   kill:after=MICROSECONDS
  --kills K        kills at random moments of each scenario (50)
  --seed S         of the random moments (the time)
  --jobs J         runs side by side (4)
";

struct Options {
    scenario: String,
    inject: Option<String>,
    kills: usize,
    seed: u64,
    jobs: usize,
}

/// The command line of the task.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["subject", operation] = arguments[..] {
        return subject::run(operation);
    }
    match options(&arguments) {
        Some(options) => run_all(&options),
        None => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn options(arguments: &[&str]) -> Option<Options> {
    let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |now| now.as_secs());
    let mut options = Options { scenario: String::new(), inject: None, kills: 50, seed, jobs: 4 };
    let (pairs, rest) = arguments.as_chunks::<2>();
    for [option, value] in pairs {
        match *option {
            "--scenario" => options.scenario = (*value).to_owned(),
            "--inject" => options.inject = Some((*value).to_owned()),
            "--kills" => options.kills = value.parse().ok()?,
            "--seed" => options.seed = value.parse().ok()?,
            "--jobs" => options.jobs = value.parse().ok().filter(|jobs| *jobs > 0)?,
            _ => return None,
        }
    }
    rest.is_empty().then_some(options)
}

fn run_all(options: &Options) -> ExitCode {
    let chosen: Vec<_> =
        SCENARIOS.iter().filter(|scenario| scenario.name.starts_with(&options.scenario)).collect();
    let (mut total, mut wrong) = (Tally::new(), 0);
    for &scenario in &chosen {
        let (tally, failures) = run_scenario(scenario, options);
        let runs: usize = tally.values().sum();
        println!("{:<22} {runs:>5} runs: {}", scenario.name, in_words(&tally));
        wrong += failures.len();
        failures.iter().for_each(|failure| println!("{failure}"));
        tally.into_iter().for_each(|(verdict, count)| *total.entry(verdict).or_default() += count);
    }
    let runs: usize = total.values().sum();
    println!(
        "{} scenarios, {runs} runs (seed {}): {}; {wrong} wrong",
        chosen.len(),
        options.seed,
        in_words(&total)
    );
    if wrong == 0 && runs > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

type Tally = BTreeMap<&'static str, usize>;

fn in_words(tally: &Tally) -> String {
    tally.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect::<Vec<_>>().join(", ")
}

/// Runs every injection of a scenario: how the runs ended, and the wrong ones in words.
fn run_scenario(scenario: &Scenario, options: &Options) -> (Tally, Vec<String>) {
    let usual = undisturbed(scenario);
    let injections = match &options.inject {
        Some(words) => vec![Injection::parse(words)],
        None => {
            let random = Random::of_case(options.seed, 0);
            let mut all = plan::all(&usual.calls);
            all.extend(plan::kills(options.kills, usual.took, random));
            all
        }
    };
    let next = AtomicUsize::new(0);
    let results = Mutex::new((Tally::new(), Vec::new()));
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while let Some(injection) = injections.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verdict = judge(scenario, &usual, injection);
                    let mut results = results.lock().expect("no thread panics with the lock");
                    *results.0.entry(verdict.word()).or_default() += 1;
                    if let Verdict::Wrong(why) = verdict {
                        results.1.push(format!("  WRONG {} --inject {injection}\n{why}", scenario.name));
                    }
                }
            });
        }
    });
    results.into_inner().expect("no thread panicked")
}
