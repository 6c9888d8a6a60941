//! The conformance suite on the system that this runs on, if it is one of these: its own driver, and its own tools for evidence.
//!
//! It takes root, and interfaces of the driver of its own. Elsewhere what is tested is how the evidence is read.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

#[cfg(not(target_os = "linux"))]
#[path = "conformance/exceptions.rs"]
mod exceptions;
#[cfg(not(target_os = "linux"))]
#[path = "system/filter.rs"]
mod filter;
#[cfg(not(target_os = "linux"))]
#[path = "system/harness.rs"]
mod harness;
#[path = "system/ifconfig.rs"]
mod ifconfig;
#[cfg(not(target_os = "linux"))]
#[path = "system/suite.rs"]
mod suite;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // There is one system, and whoever runs a case is the whole process.
    arguments.test_threads = Some(1);
    let checks = ifconfig::checks().into_iter().map(|(name, check)| {
        Trial::test(format!("evidence::{name}"), move || {
            check();
            Ok(())
        })
    });
    run(&arguments, checks.collect())
}

#[cfg(not(target_os = "linux"))]
fn run(arguments: &Arguments, mut trials: Vec<Trial>) -> ExitCode {
    trials.extend(suite::trials());
    let conclusion = libtest_mimic::run(arguments, trials);
    suite::tell_skips();
    conclusion.exit_code()
}

#[cfg(target_os = "linux")]
fn run(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(arguments, trials).exit_code()
}
