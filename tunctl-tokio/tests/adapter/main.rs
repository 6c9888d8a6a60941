//! Devices in tasks, each case on the driver in memory and on the running kernel.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

mod fairness;
mod lifetime;
mod receive;
mod send;
mod stream;
mod support;
mod tasks;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        receive::cases(),
        send::cases(),
        lifetime::cases(),
        tasks::cases(),
        fairness::cases(),
        stream::cases(),
    ];
    tunctl_testing::main(cases.into_iter().flatten().collect())
}
