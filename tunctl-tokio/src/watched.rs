//! What the runtime watches: attempts, and the waits between them.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::coop;
use tunctl_core::{Cause, Error, Operation, Reason, Result};

/// A device, or one in another form, and a duplicate of its descriptor for the runtime to watch.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    fd: AsyncFd<OwnedFd>,
    device: T,
    /// Asks the device itself, without waiting.
    is_writable: fn(&T) -> Result<bool>,
}

impl<T: AsFd> Watched<T> {
    pub(crate) fn new(device: T, is_writable: fn(&T) -> Result<bool>) -> Result<Self> {
        let fd = watch(device.as_fd(), Interest::READABLE | Interest::WRITABLE, Operation::Wait)?;
        Ok(Self { fd, device, is_writable })
    }
}

impl<T> Watched<T> {
    pub(crate) const fn device(&self) -> &T {
        &self.device
    }

    /// The device, which the runtime no longer watches.
    pub(crate) fn into_device(self) -> T {
        let Self { fd, device, .. } = self;
        drop(fd);
        device
    }

    /// Makes attempts until one would not block, and waits in between.
    pub(crate) async fn waiting(
        &self,
        kind: Interest,
        mut operation: impl FnMut(&T) -> Result<usize>,
    ) -> Result<usize> {
        loop {
            match poll_fn(|context| self.poll_attempt(context, kind, &mut operation)).await {
                Err(error) if error.is_would_block() => self.ready(kind).await?,
                outcome => return outcome,
            }
        }
    }

    /// Makes an attempt, when the task has budget for it. The budget is spent unless the attempt would block.
    pub(crate) fn poll_attempt(
        &self,
        context: &mut Context<'_>,
        kind: Interest,
        operation: impl FnMut(&T) -> Result<usize>,
    ) -> Poll<Result<usize>> {
        let budget = ready!(coop::poll_proceed(context));
        let outcome = self.attempt(kind, operation);
        if !outcome.as_ref().is_err_and(Error::is_would_block) {
            budget.made_progress();
        }
        Poll::Ready(outcome)
    }

    /// Makes an attempt, whether or not the runtime holds the device for ready. If the attempt would block,
    /// the runtime's readiness is cleared.
    #[inline]
    pub(crate) fn attempt(
        &self,
        kind: Interest,
        mut operation: impl FnMut(&T) -> Result<usize>,
    ) -> Result<usize> {
        match operation(&self.device) {
            Err(error) if error.is_would_block() => self.attempt_and_note(kind, operation),
            outcome => outcome,
        }
    }

    /// Tokio clears only a readiness that it has read before the attempt, so this makes another attempt: a
    /// task that has to wait anyway can afford it.
    ///
    /// An error readiness is not cleared. After a deletion there is a moment in which a poll already reports
    /// the error and a receive does not yet fail, and no other event need follow. Until it fails the attempt
    /// is repeated, as often as the task's budget allows.
    #[cold]
    fn attempt_and_note(
        &self,
        kind: Interest,
        mut operation: impl FnMut(&T) -> Result<usize>,
    ) -> Result<usize> {
        let mut outcome = None;
        // `try_io` keeps an event that arrives between the attempt and the clearing. Its own result is
        // ignored: `outcome` has the result of the attempt.
        let _ = self.fd.try_io(kind, |_| match outcome.insert(operation(&self.device)) {
            Err(error) if error.is_would_block() => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        });
        // `try_io` does not run the closure if there is no readiness to clear.
        outcome.unwrap_or_else(|| operation(&self.device))
    }

    /// Waits for a readiness.
    ///
    /// Whether a send may succeed, the device is asked before each wait. The runtime keeps that it was
    /// writable until it is told otherwise, and a send on an interface that is down does not tell it, because
    /// it fails with `Down` and not with `WouldBlock`. On Linux asking also has `tun_chr_poll` (6.18) note
    /// that somebody waits: only then does an interface that comes up report an event, or a send buffer that
    /// has room again (`tun_sock_write_space`). A send that would block does not note it.
    pub(crate) async fn ready(&self, kind: Interest) -> Result<()> {
        loop {
            if kind.is_writable() {
                // A task that is always answered at once still lets others run.
                coop::consume_budget().await;
                if (self.is_writable)(&self.device)? {
                    return Ok(());
                }
            }
            // Linux reports a deletion only as an error: a wait for `kind` alone would never end.
            let ready = self.fd.ready(kind | Interest::ERROR).await;
            let mut ready = ready.map_err(|error| Reason::from_io(&error).of(Operation::Wait))?;
            if !kind.is_writable() {
                return Ok(());
            }
            // What was ready may not be so any more. An event that has come since `ready` returned is kept.
            ready.clear_ready();
        }
    }
}

/// Registers a duplicate of a descriptor with the runtime.
pub(crate) fn watch(
    fd: BorrowedFd<'_>,
    interest: Interest,
    operation: Operation,
) -> Result<AsyncFd<OwnedFd>> {
    if Handle::try_current().is_err() {
        let reason = Reason::new(Cause::Other).with_detail("this thread has no tokio runtime");
        let remedy = "Call it in a task, or in a thread that has entered a runtime.";
        return Err(reason.with_remedy(remedy).of(operation));
    }
    let watched = fd.try_clone_to_owned().and_then(|owned| register(owned, interest));
    watched.map_err(|error| Reason::from_io(&error).of(operation))
}

/// Since tokio 1.54 the recommended form is unsafe: its caller promises that the descriptor stays open and
/// the same while it is watched. An `OwnedFd` that only the watcher owns guarantees that. So the deprecated
/// safe form is sound here, and unsafe code stays in tunctl-sys.
#[allow(deprecated, reason = "deprecated for descriptors that are not owned")]
fn register(owned: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(owned, interest)
}
