//! Signals that ask the program to end, so that it can clean up first. On systems without signal descriptors,
//! a thread waits for the signals.

use std::os::fd::{AsFd, BorrowedFd};

use tunctl::Interrupter;

use super::ending::ending_signals;
use super::shortage::start;
use super::{Failure, Outcome};

/// Signals that are blocked in this thread and its later threads.
pub(super) struct Signals {
    told: Interrupter,
}

impl Signals {
    /// Catches the signals that are to end the program.
    pub(super) fn catch() -> Outcome<Self> {
        let set = ending_signals();
        set.thread_block().map_err(|errno| Failure::Said(format!("catch signals: {errno}")))?;
        let told = Interrupter::new()?;
        let tell = told.clone();
        // The thread ends with the process.
        start(move || {
            let _ = set.wait();
            tell.interrupt();
        })?;
        Ok(Self { told })
    }

    /// Whether a signal has arrived.
    pub(super) fn are_waiting(&self) -> bool {
        self.told.is_interrupted()
    }
}

impl AsFd for Signals {
    /// A descriptor that is readable once a signal has arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
