//! `tunctl-helper`: creates a TUN/TAP interface for the program that has started it, if the policy allows it,
//! and hands it the device.
//!
//! It takes no arguments. The request comes by the standard input, which is one end of a pair of sockets.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The status if nobody can be answered.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNANSWERED: u8 = 1;
/// The status if nobody asks.
const UNASKED: u8 = 2;

#[cfg(any(target_os = "linux", target_os = "android"))]
fn main() -> ExitCode {
    if tunctl_helper::limit_time().is_err() {
        return ExitCode::from(UNANSWERED);
    }
    if !tunctl_helper::is_asked() {
        eprintln!(
            "tunctl-helper is started by programs that want a TUN/TAP interface: see `tunctl helper --help`"
        );
        return ExitCode::from(UNASKED);
    }
    match tunctl_helper::serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(UNANSWERED),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn main() -> ExitCode {
    eprintln!("tunctl-helper runs on Linux only");
    ExitCode::from(UNASKED)
}
