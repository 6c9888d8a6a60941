//! What the system has no more of.

use std::io;
use std::thread::{self, JoinHandle};

use nix::errno::Errno;

use super::{Failure, Outcome};

/// Starts a thread.
pub(super) fn start<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Outcome<JoinHandle<T>> {
    thread::Builder::new().spawn(work).map_err(|error| of_threads(&error))
}

/// The failure to start a thread.
pub(super) fn of_threads(error: &io::Error) -> Failure {
    Failure::Said(format!("start a thread: {error}. {}", advice(error).unwrap_or_default()))
}

/// What to do about an error by which the system says that it has no more of something.
pub(super) fn advice(error: &io::Error) -> Option<&'static str> {
    match Errno::from_raw(error.raw_os_error()?) {
        Errno::EMFILE | Errno::ENFILE => {
            Some("Too many files are open: raise the limit (ulimit -n), or close some files.")
        }
        Errno::EAGAIN => Some(
            "No more threads or processes may be started here: raise the limits (ulimit -u, ulimit -v, and \
             pids.max of the control group).",
        ),
        Errno::ENOMEM => Some("Memory is short: raise the limit (ulimit -v), or end other programs."),
        _ => None,
    }
}
