//! The conformance suite over the models of the five systems' drivers.
//!
//! The cases that do not apply to a system, and the reasons, are in `conformance/exceptions.txt`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

#[path = "conformance/exceptions.rs"]
mod exceptions;
#[path = "conformance/harness.rs"]
mod harness;
#[path = "models/mod.rs"]
mod models;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use tunctl_conformance::Case;

use exceptions::{Exceptions, OF_MODELS, OF_SYSTEMS};
use harness::ModelHarness;
use models::{System, numbers};

const SYSTEMS: [(&str, System); 5] = [
    ("freebsd", System::FreeBsd),
    ("netbsd", System::NetBsd),
    ("openbsd", System::OpenBsd),
    ("dragonfly", System::DragonFly),
    ("macos", System::MacOs),
];

fn main() -> ExitCode {
    let cases = tunctl_conformance::cases::<ModelHarness>();
    let mut trials = Vec::new();
    for (word, system) in SYSTEMS {
        trials.extend(all(word, word, &cases, &Exceptions::read(&[OF_MODELS]), move || {
            ModelHarness::new(system)
        }));
        // With only the evidence that the system itself provides.
        let outside = format!("{word}::from_outside");
        let exceptions = Exceptions::read(&[OF_MODELS, OF_SYSTEMS]);
        trials.extend(all(&outside, word, &cases, &exceptions, move || ModelHarness::from_outside(system)));
    }
    // macOS with the third-party kernel extension.
    let exceptions = Exceptions::read(&[OF_MODELS]);
    trials.extend(all("tuntaposx", "tuntaposx", &cases, &exceptions, ModelHarness::with_third_party_driver));
    let known: Vec<_> = cases.iter().map(name).collect();
    trials.push(Trial::test("every_exception_is_a_case", move || {
        Exceptions::read(&[OF_MODELS, OF_SYSTEMS]).check(&known).map_err(Into::into)
    }));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn name(case: &Case<ModelHarness>) -> String {
    format!("{}::{}", case.subject(), case.name())
}

/// The cases that concern a system, each over a harness of its own.
fn all<F>(
    prefix: &str,
    system: &str,
    cases: &[Case<ModelHarness>],
    exceptions: &Exceptions,
    harness: F,
) -> Vec<Trial>
where
    F: Fn() -> ModelHarness + Copy + Send + 'static,
{
    let is_there = |request| numbers::has(harness().system(), request);
    let concerned = cases
        .iter()
        .copied()
        .filter(|case| case.request().is_none_or(is_there) && !exceptions.concern(system, &name(case)));
    let trial = |case: Case<ModelHarness>| {
        Trial::test(format!("{prefix}::{}", name(&case)), move || match case.run(&harness()).not_applicable {
            None => Ok(()),
            Some(why) => Err(format!("{why}: put it on the list").into()),
        })
    };
    concerned.map(trial).collect()
}
