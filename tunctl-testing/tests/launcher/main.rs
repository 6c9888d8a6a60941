//! The launcher itself: it must tell a pass from a failure, a skip and a hang. This binary runs itself with
//! cases of each kind, and looks at what that run printed.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "this is a test")]

#[cfg(target_os = "linux")]
mod cases;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    cases::main()
}

/// Another system has nothing to run them on.
#[cfg(not(target_os = "linux"))]
fn main() {}
