//! Waiting for a device, and what ends the wait.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tunctl_core::{Interrupter, Readiness, WaitOutcome};

/// The longest time for one call of `ppoll`, 34 years: where the C library counts seconds in 32 bits, it
/// would take a longer one for a negative time, and refuse it.
const LONGEST: Duration = Duration::from_secs(1 << 30);

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
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).min(LONGEST));
        match ppoll(polled, left.map(TimeSpec::from), None) {
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_timeout_may_have_more_seconds_than_fit_32_bits() {
        let (near, mut far) = UnixStream::pair().unwrap();
        far.write_all(&[1]).unwrap();
        for seconds in [u32::MAX.into(), u64::MAX] {
            let timeout = Some(Duration::from_secs(seconds));
            let outcome = wait(near.as_fd(), Readiness::Readable, timeout, None);
            assert!(matches!(outcome, Ok(WaitOutcome::Ready)), "{seconds}: {outcome:?}");
        }
    }
}
