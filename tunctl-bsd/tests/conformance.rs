//! The conformance suite over the models of five drivers: the cases that Linux passes, as far as they concern these systems.
//!
//! What does not concern a system, and why, is in `conformance/exceptions.txt`.
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
use tunctl_core::conformance;

use exceptions::Exceptions;
use harness::ModelHarness;
use models::System;

const SYSTEMS: [(&str, System); 5] = [
    ("freebsd", System::FreeBsd),
    ("netbsd", System::NetBsd),
    ("openbsd", System::OpenBsd),
    ("dragonfly", System::DragonFly),
    ("macos", System::MacOs),
];

fn main() -> ExitCode {
    let exceptions = Exceptions::read();
    let cases = conformance::cases::<ModelHarness>();
    let mut trials = Vec::new();
    for (word, system) in SYSTEMS {
        for case in &cases {
            let name = format!("{}::{}", case.subject(), case.name());
            if exceptions.concern(word, &name) {
                continue;
            }
            let case = *case;
            trials.push(Trial::test(format!("{word}::{name}"), move || {
                match case.run(&ModelHarness::new(system)).not_applicable {
                    None => Ok(()),
                    Some(why) => Err(format!("{why}: put it on the list").into()),
                }
            }));
        }
    }
    let known: Vec<_> = cases.iter().map(|case| format!("{}::{}", case.subject(), case.name())).collect();
    trials
        .push(Trial::test("every_exception_is_a_case", move || exceptions.check(&known).map_err(Into::into)));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
