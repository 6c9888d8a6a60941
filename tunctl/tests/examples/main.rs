//! The examples that answer pings, on the running kernel.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

#[cfg(target_os = "linux")]
mod cases;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    cases::main()
}

/// Another system has nothing to run them on.
#[cfg(not(target_os = "linux"))]
fn main() {}
