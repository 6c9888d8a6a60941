//! Signals that ask the program to end, so that it can end in order.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals held back from this thread, and from those that it starts later, to be taken from a descriptor.
///
/// Programs that are started meanwhile get them as ever: the standard library clears the mask for them.
pub(super) struct Signals {
    fd: SignalFd,
}

impl Signals {
    /// Catches what a terminal or a service manager sends to end a program.
    pub(super) fn catch() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
            set.add(signal);
        }
        set.thread_block()?;
        Ok(Self { fd: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)? })
    }

    /// Waits for the next signal.
    pub(super) fn wait(&self) -> io::Result<Signal> {
        loop {
            if let Some(caught) = self.fd.read_signal()? {
                let number = i32::try_from(caught.ssi_signo).map_err(io::Error::other)?;
                return Ok(Signal::try_from(number)?);
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
