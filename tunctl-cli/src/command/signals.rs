//! Signals that ask the program to end, so that it can clean up first.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::ending::ending_signals;
use super::{Failure, Outcome};

/// Signals that are blocked in this thread and its later threads, and read from a descriptor instead.
///
/// Child programs inherit the blocked signals, unless they are started with the mask cleared.
pub(super) struct Signals {
    fd: SignalFd,
}

/// `ssi_code` of a signal that no process sent. Of the signals caught here, a terminal's have it.
const SI_KERNEL: i32 = 0x80;

/// A caught signal.
pub(super) struct Caught {
    pub(super) signal: Signal,
    /// A terminal sent it, and thus sent it to every process in its foreground group.
    pub(super) by_terminal: bool,
}

impl Signals {
    /// Catches the signals that are to end the program.
    pub(super) fn catch() -> Outcome<Self> {
        let set = ending_signals();
        let fd = set.thread_block().and_then(|()| SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC));
        Ok(Self { fd: fd.map_err(|errno| Failure::Said(format!("catch signals: {errno}")))? })
    }

    /// Whether a signal has arrived, without consuming it.
    pub(super) fn are_waiting(&self) -> bool {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Waits for the next signal.
    pub(super) fn wait(&self) -> io::Result<Caught> {
        loop {
            if let Some(caught) = self.fd.read_signal()? {
                let number = i32::try_from(caught.ssi_signo).map_err(io::Error::other)?;
                return Ok(Caught {
                    signal: Signal::try_from(number)?,
                    by_terminal: caught.ssi_code == SI_KERNEL,
                });
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
