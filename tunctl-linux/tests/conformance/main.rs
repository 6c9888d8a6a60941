//! The conformance suite on the running kernel: each case in a process and a namespace of its own, with evidence from
//! sysfs, netlink and packet sockets. The harness is in `tunctl-testing`; what it rests on is tested here first.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

mod evidence;

use std::process::ExitCode;

use tunctl_testing::conformance_cases;

fn main() -> ExitCode {
    tunctl_testing::main([evidence::cases(), conformance_cases()].concat())
}
