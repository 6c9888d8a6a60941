//! The suite that every backend must pass, over the helper and its client: as a user without any right.
//!
//! The cases that do not concern it, and the reasons, are in `exceptions.txt`.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_tunctl-helper"));
    tunctl_testing::main(tunctl_testing::helper_conformance_cases(program, include_str!("exceptions.txt")))
}

/// Another system has nothing to run them on.
#[cfg(not(target_os = "linux"))]
fn main() {}
