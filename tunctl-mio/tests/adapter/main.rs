//! The event source, and active mode of `tunctl-core`, each case on the driver in memory and on the running kernel.

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
