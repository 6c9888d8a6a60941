//! The conformance suite on the running kernel: each case in a process and a namespace of its own, with
//! evidence from sysfs, netlink and packet sockets. The harness is in `tunctl-testing`; what it rests on is
//! tested here first.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "in a test, a panic is how to fail")]

// With the path, its modules are beside it.
#[cfg(target_os = "linux")]
#[path = "cases.rs"]
mod cases;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    cases::main()
}

/// Another system has nothing to run them on.
#[cfg(not(target_os = "linux"))]
fn main() {}
