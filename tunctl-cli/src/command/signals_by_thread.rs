//! Signals that ask the program to end, so that it can clean up first. On systems without signal descriptors,
//! a thread waits for the signals.

use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use tunctl::Interrupter;

use super::{Failure, Outcome};

/// Signals that are blocked in this thread and its later threads.
pub(super) struct Signals {
    told: Interrupter,
}

impl Signals {
    /// Catches the signals by which a terminal or a service manager ends a program.
    pub(super) fn catch() -> Outcome<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            set.add(signal);
        }
        set.thread_block().map_err(|errno| Failure::Said(format!("catch signals: {errno}")))?;
        let told = Interrupter::new()?;
        let tell = told.clone();
        // The thread ends with the process.
        thread::spawn(move || {
            let _ = set.wait();
            tell.interrupt();
        });
        Ok(Self { told })
    }
}

impl AsFd for Signals {
    /// A descriptor that is readable once a signal has arrived.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
