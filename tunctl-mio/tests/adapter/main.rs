//! mio's event source, and active mode of `tunctl-core`. Each case runs on the mock and on the kernel.

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

/// The cases need Linux.
#[cfg(not(target_os = "linux"))]
fn main() {}
