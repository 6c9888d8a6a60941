//! The event source and active mode, each case on the driver in memory and on the running kernel.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

mod active;
mod active_lifetime;
mod drain;
mod load;
mod source;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [load::cases(), source::cases(), drain::cases(), active::cases(), active_lifetime::cases()];
    tunctl_testing::main(cases.into_iter().flatten().collect())
}
