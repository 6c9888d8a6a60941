//! A device for tasks.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::coop;
use tunctl_core::{Cause, Error, Operation, Readiness, Reason, Result, TunDevice};

use crate::{RecvHalf, SendHalf};

/// A device for tasks: while a task waits for it, other tasks run.
///
/// All methods take `&self`. Share it by reference or in an [`Arc`], or [split](Self::into_split) it. Several
/// tasks may receive at once; each packet goes to one of them.
///
/// # Guarantees
///
/// - **A ready packet costs one system call**: each operation tries first, and waits only if it would block.
/// - **A deletion wakes waiting tasks**: they get [`Gone`](Error::is_gone).
/// - **Cancellation loses nothing.** If a future is dropped, by `select!` or a timeout, it has received and
///   sent no packet.
/// - **Other tasks get their turn.** Each packet counts against tokio's cooperative budget, so that a flooded
///   device does not starve other tasks and timers of its thread.
#[derive(Debug)]
pub struct AsyncDevice<D> {
    /// A duplicate of the device's descriptor, for the runtime to watch.
    watched: AsyncFd<OwnedFd>,
    device: D,
}

impl<D: TunDevice> AsyncDevice<D> {
    /// Registers the device with the runtime of the calling task or thread.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`: the runtime watches a duplicate of the device's descriptor. `Other`: the call is
    /// outside of a runtime, or the system refuses, with its errno. On an error the device is closed.
    ///
    /// # Panics
    ///
    /// If the runtime was built without [`enable_io`](tokio::runtime::Builder::enable_io), which tokio offers
    /// no way to check.
    pub fn new(device: D) -> Result<Self> {
        let watched = watch(device.as_fd(), Interest::READABLE | Interest::WRITABLE, Operation::Wait)?;
        Ok(Self { watched, device })
    }

    /// The device: for its interface, its name, and all operations that do not wait.
    ///
    /// It can also receive and send. Its own waiting methods block the thread.
    #[must_use]
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// Returns the device, which the runtime no longer watches.
    #[must_use]
    pub fn into_device(self) -> D {
        let Self { watched, device } = self;
        drop(watched);
        device
    }

    /// Splits the device into a receiving and a sending half, for two tasks. An [`Arc`] also works for that;
    /// the halves keep the roles apart.
    #[must_use]
    pub fn into_split(self) -> (RecvHalf<D>, SendHalf<D>) {
        let shared = Arc::new(self);
        (RecvHalf::new(shared.clone()), SendHalf::new(shared))
    }

    /// Receives one packet, waiting until there is one, and returns its length. A packet that is longer than
    /// the buffer loses its tail.
    ///
    /// It is cancel safe.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_recv`], save `WouldBlock`.
    #[doc(alias = "read")]
    pub async fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.waiting(Interest::READABLE, |device| device.try_recv(buffer)).await
    }

    /// Receives one packet into several buffers, which are filled one after the other.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    #[doc(alias = "readv")]
    pub async fn recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.waiting(Interest::READABLE, |device| device.try_recv_vectored(buffers)).await
    }

    /// Sends one packet, waiting until there is room, and returns its length.
    ///
    /// It is cancel safe.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_send`], save `WouldBlock`.
    #[doc(alias = "write")]
    pub async fn send(&self, packet: &[u8]) -> Result<usize> {
        self.waiting(Interest::WRITABLE, |device| device.try_send(packet)).await
    }

    /// Sends one packet that consists of several pieces.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    #[doc(alias = "writev")]
    pub async fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.waiting(Interest::WRITABLE, |device| device.try_send_vectored(pieces)).await
    }

    /// Receives one packet if there is one.
    ///
    /// Unlike the device's own `try_recv`, it notes when there is none, so that the next
    /// [`readable`](Self::readable) waits.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_recv`].
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.attempt(Interest::READABLE, |device| device.try_recv(buffer))
    }

    /// Sends one packet if there is room.
    ///
    /// Unlike the device's own `try_send`, it notes when there is none, so that the next
    /// [`writable`](Self::writable) waits.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_send`].
    pub fn try_send(&self, packet: &[u8]) -> Result<usize> {
        self.attempt(Interest::WRITABLE, |device| device.try_send(packet))
    }

    /// Waits until [`try_recv`](Self::try_recv) would return a packet, or that the interface is gone. It may
    /// return spuriously, but not right after a `try_recv` that found nothing.
    ///
    /// It is cancel safe.
    ///
    /// # Errors
    ///
    /// `Other`: the runtime is being shut down.
    pub async fn readable(&self) -> Result<()> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until [`try_send`](Self::try_send) would find room, or that the interface is gone. While the
    /// interface is down, it waits for it to come up: so a task that got [`Down`](Cause::Down) waits here
    /// before it tries again.
    ///
    /// It is cancel safe.
    ///
    /// # Errors
    ///
    /// `Other`: the runtime is being shut down. Those of [`TunDevice::wait`].
    pub async fn writable(&self) -> Result<()> {
        self.ready(Interest::WRITABLE).await
    }

    async fn waiting(&self, kind: Interest, mut operation: impl FnMut(&D) -> Result<usize>) -> Result<usize> {
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
        operation: impl FnMut(&D) -> Result<usize>,
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
    fn attempt(&self, kind: Interest, mut operation: impl FnMut(&D) -> Result<usize>) -> Result<usize> {
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
        mut operation: impl FnMut(&D) -> Result<usize>,
    ) -> Result<usize> {
        let mut outcome = None;
        // `try_io` keeps an event that arrives between the attempt and the clearing. Its own result is
        // ignored: `outcome` has the result of the attempt.
        let _ = self.watched.try_io(kind, |_| match outcome.insert(operation(&self.device)) {
            Err(error) if error.is_would_block() => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        });
        // `try_io` does not run the closure if there is no readiness to clear.
        outcome.unwrap_or_else(|| operation(&self.device))
    }

    /// Waits for a readiness.
    ///
    /// The runtime keeps that a device was writable until it is told otherwise. A send on an interface that
    /// is down does not tell it, because it fails with `Down` and not with `WouldBlock`. So the device is
    /// asked whether it is writable now. On Linux asking also has `tun_chr_poll` (6.18) note that somebody
    /// waits: only then does an interface that comes up report an event (`tun_sock_write_space`).
    async fn ready(&self, kind: Interest) -> Result<()> {
        loop {
            // Linux reports a deletion only as an error: a wait for `kind` alone would never end.
            let ready = self.watched.ready(kind | Interest::ERROR).await;
            let mut ready = ready.map_err(|error| Reason::from_io(&error).of(Operation::Wait))?;
            if !kind.is_writable() || self.device.wait(Readiness::Writable, Some(Duration::ZERO))? {
                return Ok(());
            }
            // An event that has come since `ready` returned is kept.
            ready.clear_ready();
        }
    }
}

impl<D: TunDevice> AsFd for AsyncDevice<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
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
