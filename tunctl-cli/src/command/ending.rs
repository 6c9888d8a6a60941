//! Which signals end the program.

use nix::sys::signal::{SigSet, Signal};
use tunctl_sys::signal::is_ignored;

/// The signals by which a terminal or a service manager ends a program, without those that the caller
/// ignores, as `nohup` does with SIGHUP.
///
/// A blocked signal arrives at a descriptor or a waiting thread even if it is ignored (`sig_ignored`, on
/// Linux 6.18), so it has to be left out.
pub(super) fn ending_signals() -> SigSet {
    let all = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];
    all.into_iter().filter(|&signal| !is_ignored(signal as i32).unwrap_or(false)).collect()
}
