//! Signals that ask the program to end, so that it can end in order: where there is no descriptor of signals,
//! a thread waits for them.

use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use tunctl::Interrupter;

use super::{Failure, Outcome};

/// Signals held back from this thread, and from those that it starts later.
pub(super) struct Signals {
    told: Interrupter,
}

impl Signals {
    /// Catches what a terminal or a service manager sends to end a program.
    pub(super) fn catch() -> Outcome<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            set.add(signal);
        }
        set.thread_block().map_err(|errno| Failure::Said(format!("catch signals: {errno}")))?;
        let told = Interrupter::new()?;
        let tell = told.clone();
        // It ends with the process.
        thread::spawn(move || {
            let _ = set.wait();
            tell.interrupt();
        });
        Ok(Self { told })
    }
}

impl AsFd for Signals {
    /// Readable when one has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.told.as_fd()
    }
}
