//! The command `tunctl`, run as its users run it: each case in a process and a namespace of its own, and what it did is
//! asked of iproute2 and the kernel, not of the program. How that works is in `tunctl-testing`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

mod configure;
mod create;
mod create_hold;
mod delete;
mod lab;
mod lab_command;
mod lab_mock;
mod messages;
mod process;
mod show;
mod support;
mod unprivileged;
mod usage;
mod watch;

use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let cases = [
        // First the slow ones, so that the others run beside them.
        lab::cases(),
        lab_mock::cases(),
        lab_command::cases(),
        watch::cases(),
        unprivileged::cases(),
        create::cases(),
        create_hold::cases(),
        configure::cases(),
        delete::cases(),
        show::cases(),
        usage::cases(),
        messages::cases(),
    ];
    // Each waits at most 10 seconds for one thing, and says then what it waited for.
    let limit = Duration::from_secs(45);
    tunctl_testing::main(cases.concat().into_iter().map(|case| case.limit(limit)).collect())
}
