//! Waiting for a device, and what ends the wait.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tunctl_core::{Interrupter, Readiness, WaitOutcome};

/// Waits until the device is ready, the timeout passes, or the interrupter is triggered.
pub(crate) fn wait(
    device: BorrowedFd<'_>,
    readiness: Readiness,
    timeout: Option<Duration>,
    interrupter: Option<&Interrupter>,
) -> Result<WaitOutcome, Errno> {
    // A deadline past `Instant`'s range means no deadline.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let interest = match readiness {
        Readiness::Readable => PollFlags::POLLIN,
        // When the interface is deleted, the kernel wakes only polls for readability. That wakeup includes
        // POLLPRI, which a tun never reports otherwise: asking for it has no other effect.
        Readiness::Writable => PollFlags::POLLOUT | PollFlags::POLLPRI,
    };
    // Without an interrupter the second entry is the device again, and is not polled.
    let other = interrupter.map_or(device, Interrupter::as_fd);
    let mut polled = [PollFd::new(device, interest), PollFd::new(other, PollFlags::POLLIN)];
    let polled = &mut polled[..if interrupter.is_some() { 2 } else { 1 }];
    loop {
        let left =
            deadline.map(|deadline| TimeSpec::from(deadline.saturating_duration_since(Instant::now())));
        match ppoll(polled, left, None) {
            Ok(0) => return Ok(WaitOutcome::TimedOut),
            Ok(_) => return Ok(outcome(polled)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// What ended a poll of the device and of the interrupter, if there is one. An interrupt wins, so that it
/// ends a reader even under a flood of packets.
fn outcome(polled: &[PollFd<'_>]) -> WaitOutcome {
    match polled {
        [_, interrupter] if interrupter.any() == Some(true) => WaitOutcome::Interrupted,
        _ => WaitOutcome::Ready,
    }
}
