//! The Linux backend on the running kernel: each case in a process and a namespace of its own, and with evidence from
//! outside of the library. How that works is in `tunctl-testing`.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

mod addresses;
mod attach;
mod create;
mod errors;
mod flags;
mod leaks;
mod lifetime;
mod list;
mod malformed;
mod mtu;
mod names;
mod namespaces;
mod observe;
mod owner;
mod packet_info;
mod permission;
mod persistent;
mod queues;
mod state;
mod support;
mod surprises;
mod syscalls;
mod traffic;
mod unprivileged_destroy;
mod waiting;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        // First the slow one, so that the others run beside it.
        leaks::cases(),
        create::cases(),
        attach::cases(),
        queues::cases(),
        names::cases(),
        flags::cases(),
        persistent::cases(),
        lifetime::cases(),
        unprivileged_destroy::cases(),
        addresses::cases(),
        state::cases(),
        mtu::cases(),
        owner::cases(),
        permission::cases(),
        errors::cases(),
        traffic::cases(),
        packet_info::cases(),
        malformed::cases(),
        waiting::cases(),
        namespaces::cases(),
        list::cases(),
        observe::cases(),
        surprises::cases(),
        syscalls::cases(),
    ];
    tunctl_testing::main(cases.concat())
}
