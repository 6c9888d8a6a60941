//! The program `tunctl-vpn`: `README.md` says what it does, and the library beside it has the loop.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod up;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    up::main()
}

/// It is for Linux.
#[cfg(not(target_os = "linux"))]
fn main() {}
