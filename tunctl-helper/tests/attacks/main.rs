//! Attacks on the installed helper: each case alone in namespaces, against the very program that is installed
//! there, with evidence from outside of it. How a case runs is in `tunctl-testing`.
//!
//! Each attack has a control: the same attack succeeds where the defence is absent. Where that takes another
//! program, it is a mutant of this one: see `mutants.txt`.

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
