//! Calls that wait, made of those that do not.

use std::time::{Duration, Instant};

use super::{Readiness, TunDevice};
use crate::{Cause, Error, Interrupter, Operation, Result, WaitOutcome};

/// Tries first and waits only when there is nothing: a packet that is there costs no `poll`.
#[inline]
pub(crate) fn waiting<D: TunDevice, T>(
    device: &D,
    readiness: Readiness,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    loop {
        match attempt() {
            Err(error) if error.is_would_block() => device.wait(readiness, None)?,
            outcome => return outcome,
        };
    }
}

/// Tries until there is a packet, or room for one, the time has passed or the interrupter is used.
pub(crate) fn patient<D: TunDevice, T>(
    device: &D,
    readiness: Readiness,
    timeout: Option<Duration>,
    interrupter: Option<&Interrupter>,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    let operation = match readiness {
        Readiness::Readable => Operation::Receive,
        Readiness::Writable => Operation::Send,
    };
    let ended = |cause| Err(Error::new(operation, cause));
    let mut deadline = None;
    loop {
        if interrupter.is_some_and(Interrupter::is_interrupted) {
            return ended(Cause::Interrupted);
        }
        match attempt() {
            Err(error) if error.is_would_block() => {}
            outcome => return outcome,
        }
        // Another reader may take the packet that ended the wait, so the next wait takes only the time that
        // is left. A deadline past `Instant`'s range means no deadline.
        let now = timeout.map(|_| Instant::now());
        let until = *deadline.get_or_insert_with(|| now?.checked_add(timeout?));
        let left = until.and_then(|until| Some(until.saturating_duration_since(now?)));
        match device.wait_until(readiness, left, interrupter)? {
            WaitOutcome::Ready => {}
            WaitOutcome::TimedOut => return ended(Cause::TimedOut),
            WaitOutcome::Interrupted => return ended(Cause::Interrupted),
        }
    }
}
