//! Waiting for a device, and what ends the wait.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::select::{FD_SETSIZE, FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};
use tunctl_core::{Interrupter, Readiness, WaitOutcome};

/// The system call that a driver supports for waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitMethod {
    Poll,
    /// `poll`, which the driver does not end when the interface is destroyed: it is looked for in between.
    PollInSlices,
    /// The driver has no `poll` support.
    Select,
}

/// How long a wait goes on without looking whether the interface is there.
pub(crate) const SLICE: Duration = Duration::from_millis(250);

/// Whether the device is ready, and whether an interrupt is pending.
type Seen = (bool, bool);

/// Waits until the device is ready or its interface is gone, the timeout passes, or the interrupter is
/// triggered.
pub(crate) fn wait(
    method: WaitMethod,
    device: BorrowedFd<'_>,
    readiness: Readiness,
    timeout: Option<Duration>,
    interrupter: Option<&Interrupter>,
    is_gone: &dyn Fn() -> bool,
) -> Result<WaitOutcome, Errno> {
    // A deadline past `Instant`'s range means no deadline.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let interrupter = interrupter.map(Interrupter::as_fd);
    let look = match method {
        WaitMethod::Poll | WaitMethod::PollInSlices => by_poll,
        WaitMethod::Select => by_select,
    };
    loop {
        let until = match method {
            WaitMethod::PollInSlices => {
                let slice = Instant::now() + SLICE;
                Some(deadline.map_or(slice, |deadline| deadline.min(slice)))
            }
            _ => deadline,
        };
        match look(device, readiness, interrupter, until) {
            // A pending interrupt wins, so that it ends a reader even under a flood of packets.
            Ok((_, true)) => return Ok(WaitOutcome::Interrupted),
            Ok((true, false)) => return Ok(WaitOutcome::Ready),
            Ok((false, false)) if deadline.is_some_and(|deadline| deadline <= Instant::now()) => {
                return Ok(WaitOutcome::TimedOut);
            }
            // A read or a write then says so.
            Ok((false, false)) if method == WaitMethod::PollInSlices && is_gone() => {
                return Ok(WaitOutcome::Ready);
            }
            Ok((false, false)) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn by_poll(
    device: BorrowedFd<'_>,
    readiness: Readiness,
    interrupter: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> Result<Seen, Errno> {
    let interest = match readiness {
        Readiness::Readable => PollFlags::POLLIN,
        Readiness::Writable => PollFlags::POLLOUT,
    };
    // Without an interrupter the device fills both slots, and only the first is polled.
    let mut polled =
        [PollFd::new(device, interest), PollFd::new(interrupter.unwrap_or(device), PollFlags::POLLIN)];
    let polled = &mut polled[..if interrupter.is_some() { 2 } else { 1 }];
    poll(polled, left(deadline))?;
    let is_ready = |at: usize| polled.get(at).is_some_and(|polled| polled.any() == Some(true));
    Ok((is_ready(0), is_ready(1)))
}

fn by_select(
    device: BorrowedFd<'_>,
    readiness: Readiness,
    interrupter: Option<BorrowedFd<'_>>,
    deadline: Option<Instant>,
) -> Result<Seen, Errno> {
    let fits = |fd: BorrowedFd<'_>| usize::try_from(fd.as_raw_fd()).is_ok_and(|number| number < FD_SETSIZE);
    if ![Some(device), interrupter].into_iter().flatten().all(fits) {
        // An `fd_set` has no bit for this descriptor: too many files are open to wait for it.
        return Err(Errno::EMFILE);
    }
    let (mut readable, mut writable) = (FdSet::new(), FdSet::new());
    match readiness {
        Readiness::Readable => readable.insert(device),
        Readiness::Writable => writable.insert(device),
    }
    if let Some(interrupter) = interrupter {
        readable.insert(interrupter);
    }
    let mut left = deadline.map(|deadline| {
        // `select` rejects very long timeouts; the caller's loop waits again after this one.
        let left = deadline.saturating_duration_since(Instant::now()).min(Duration::from_secs(60 * 60));
        TimeVal::microseconds(i64::try_from(left.as_nanos().div_ceil(1000)).unwrap_or(0))
    });
    select(None, &mut readable, &mut writable, None, left.as_mut())?;
    let is_ready = match readiness {
        Readiness::Readable => readable.contains(device),
        Readiness::Writable => writable.contains(device),
    };
    Ok((is_ready, interrupter.is_some_and(|interrupter| readable.contains(interrupter))))
}

/// Returns the time left for `poll`, in milliseconds, rounded up: rounding down would spin during the last
/// one.
fn left(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = left.as_nanos().div_ceil(1_000_000);
    i32::try_from(milliseconds)
        .ok()
        .and_then(|left| PollTimeout::try_from(left).ok())
        .unwrap_or(PollTimeout::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[test]
    fn poll_and_select_report_the_same() {
        for method in [WaitMethod::Poll, WaitMethod::PollInSlices, WaitMethod::Select] {
            let (device, mut other) = UnixStream::pair().unwrap();
            let interrupter = Interrupter::new().unwrap();
            let look = |readiness, timeout| {
                let with = wait(method, device.as_fd(), readiness, timeout, Some(&interrupter), &|| false);
                let without = wait(method, device.as_fd(), readiness, timeout, None, &|| false);
                (with.unwrap(), without.unwrap())
            };
            let started = Instant::now();
            assert_eq!(
                look(Readiness::Readable, Some(SHORT)),
                (WaitOutcome::TimedOut, WaitOutcome::TimedOut)
            );
            assert!(started.elapsed() >= 2 * SHORT, "{method:?}");
            assert_eq!(
                look(Readiness::Readable, Some(Duration::ZERO)),
                (WaitOutcome::TimedOut, WaitOutcome::TimedOut)
            );
            assert_eq!(look(Readiness::Writable, None), (WaitOutcome::Ready, WaitOutcome::Ready));
            other.write_all(&[0]).unwrap();
            assert_eq!(look(Readiness::Readable, None), (WaitOutcome::Ready, WaitOutcome::Ready));
            interrupter.interrupt();
            assert_eq!(
                look(Readiness::Readable, Some(Duration::MAX)),
                (WaitOutcome::Interrupted, WaitOutcome::Ready)
            );
            assert_eq!(look(Readiness::Writable, None), (WaitOutcome::Interrupted, WaitOutcome::Ready));
        }
    }
}
