//! The conformance suite on the running system's own driver, if it is one of the five, with the system's
//! tools as evidence.
//!
//! It requires root and the driver to itself. On Linux it tests only how the evidence is read.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "conformance/exceptions.rs"]
mod exceptions;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "system/filter.rs"]
mod filter;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "system/harness.rs"]
mod harness;
#[path = "system/ifconfig.rs"]
mod ifconfig;
#[path = "system/own.rs"]
mod own;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "system/quiet.rs"]
mod quiet;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "system/suite.rs"]
mod suite;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // All cases share one system, and a case changes the process's user.
    arguments.test_threads = Some(1);
    let checks = ifconfig::checks().into_iter().chain(own::checks()).map(|(name, check)| {
        Trial::test(format!("evidence::{name}"), move || {
            check();
            Ok(())
        })
    });
    run(&arguments, checks.collect())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn run(arguments: &Arguments, mut trials: Vec<Trial>) -> ExitCode {
    trials.extend(suite::trials());
    let conclusion = libtest_mimic::run(arguments, trials);
    suite::tell_skips();
    conclusion.exit_code()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn run(arguments: &Arguments, trials: Vec<Trial>) -> ExitCode {
    libtest_mimic::run(arguments, trials).exit_code()
}
