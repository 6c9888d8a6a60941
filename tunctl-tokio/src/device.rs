//! A device whose waits are a task's.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::runtime::Handle;
use tokio::task::coop;
use tunctl_core::{Cause, Error, Operation, Reason, Result, TunDevice};

use crate::{RecvHalf, SendHalf};

/// A device whose waits are a task's: other tasks go on meanwhile.
///
/// Everything takes `&self`. Share it by reference or in an [`Arc`], or [split](Self::into_split) it; several
/// tasks may receive at once, and each packet goes to one of them.
///
/// # What is promised
///
/// - **A ready packet costs one system call**: each operation tries first, and waits only if there is
///   nothing.
/// - **A deletion wakes**: a task that waits gets [`Gone`](Error::is_gone).
/// - **Cancellation loses nothing.** If a future is dropped, by `select!` or a timeout, no packet was taken
///   or sent.
/// - **Other tasks get their turn.** Each packet counts against tokio's cooperative budget, so that a device
///   that is flooded does not keep its thread from them, or from timers.
#[derive(Debug)]
pub struct AsyncDevice<D> {
    /// A duplicate of the device's descriptor, for the runtime to watch.
    watched: AsyncFd<OwnedFd>,
    device: D,
}

impl<D: TunDevice> AsyncDevice<D> {
    /// Registers the device with the runtime of the task, or thread, that calls.
    ///
    /// # Errors
    ///
    /// `TooManyOpenFiles`: the runtime watches a duplicate of the device's descriptor. `Other`: it is called
    /// outside of a runtime, or the system refuses, with its errno. The device is closed then.
    ///
    /// # Panics
    ///
    /// If the runtime was built without [`enable_io`](tokio::runtime::Builder::enable_io): tokio has no way
    /// to ask.
    pub fn new(device: D) -> Result<Self> {
        if Handle::try_current().is_err() {
            let reason = Reason::new(Cause::Other).with_detail("this thread has no tokio runtime");
            let remedy = "Call it in a task, or in a thread that has entered a runtime.";
            return Err(reason.with_remedy(remedy).of(Operation::Wait));
        }
        let watch = || watch(device.as_fd().try_clone_to_owned()?);
        let watched = watch().map_err(|error| Reason::from_io(&error).of(Operation::Wait))?;
        Ok(Self { watched, device })
    }

    /// The device: for its interface, its name, and all that does not wait.
    ///
    /// Receiving and sending by it are possible, too; its own waiting forms block the thread.
    #[must_use]
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// The device, which the runtime does not watch any more.
    #[must_use]
    pub fn into_device(self) -> D {
        let Self { watched, device } = self;
        drop(watched);
        device
    }

    /// One to receive with and one to send with, for two tasks. An [`Arc`] does as well; halves say who does
    /// what.
    #[must_use]
    pub fn into_split(self) -> (RecvHalf<D>, SendHalf<D>) {
        let shared = Arc::new(self);
        (RecvHalf::new(shared.clone()), SendHalf::new(shared))
    }

    /// Receives one packet, and waits for it if there is none; its length. One that is longer than the buffer
    /// loses its tail.
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

    /// The same into several buffers, which are filled one after the other.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    #[doc(alias = "readv")]
    pub async fn recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.waiting(Interest::READABLE, |device| device.try_recv_vectored(buffers)).await
    }

    /// Sends one packet, and waits for room if there is none; its length.
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

    /// The same from several pieces, which are one packet.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    #[doc(alias = "writev")]
    pub async fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.waiting(Interest::WRITABLE, |device| device.try_send_vectored(pieces)).await
    }

    /// Receives one packet if there is one.
    ///
    /// Unlike the device's own, it notes that there is none, and so belongs with
    /// [`readable`](Self::readable).
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_recv`].
    pub fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.attempt(Interest::READABLE, |device| device.try_recv(buffer))
    }

    /// Sends one packet if there is room.
    ///
    /// Unlike the device's own, it notes that there is none, and so belongs with
    /// [`writable`](Self::writable).
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_send`].
    pub fn try_send(&self, packet: &[u8]) -> Result<usize> {
        self.attempt(Interest::WRITABLE, |device| device.try_send(packet))
    }

    /// Waits until [`try_recv`](Self::try_recv) has something to say: a packet, or that the interface is
    /// gone. It may return without cause; after a `try_recv` that found nothing it waits.
    ///
    /// It is cancel safe.
    ///
    /// # Errors
    ///
    /// `Other`: the runtime is being shut down.
    pub async fn readable(&self) -> Result<()> {
        self.ready(Interest::READABLE).await
    }

    /// Waits until [`try_send`](Self::try_send) has something to say: there is room, or the interface is
    /// gone. It may return without cause; after a `try_send` that found no room it waits.
    ///
    /// It is cancel safe.
    ///
    /// # Errors
    ///
    /// `Other`: the runtime is being shut down.
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

    /// An attempt, when the task has budget for it. It is spent if something came of the attempt.
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

    /// An attempt, whatever the runtime knows of the device. If that thought it ready, and it is not, it
    /// forgets it.
    #[inline]
    fn attempt(&self, kind: Interest, mut operation: impl FnMut(&D) -> Result<usize>) -> Result<usize> {
        match operation(&self.device) {
            Err(error) if error.is_would_block() => self.attempt_and_note(kind, operation),
            outcome => outcome,
        }
    }

    /// What is to be forgotten has to be known before an attempt is made, so this makes another: who must
    /// wait has the time.
    ///
    /// An error is not forgotten. For a moment a poll shows it, and a receive does not yet say that the
    /// interface is gone, and no other event need follow; so until then it is tried again, as often as the
    /// task's budget allows.
    #[cold]
    fn attempt_and_note(
        &self,
        kind: Interest,
        mut operation: impl FnMut(&D) -> Result<usize>,
    ) -> Result<usize> {
        let mut outcome = None;
        // What comes between the attempt and the forgetting is not forgotten, which is what `try_io` is for.
        // What it returns says nothing that `outcome` does not.
        let _ = self.watched.try_io(kind, |_| match outcome.insert(operation(&self.device)) {
            Err(error) if error.is_would_block() => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(()),
        });
        // Where there is nothing to forget, it was not run.
        outcome.unwrap_or_else(|| operation(&self.device))
    }

    async fn ready(&self, kind: Interest) -> Result<()> {
        // A deletion is an error, and on Linux nothing else: who waited for the kind alone would sleep
        // through it.
        let ready = self.watched.ready(kind | Interest::ERROR).await;
        ready.map(drop).map_err(|error| Reason::from_io(&error).of(Operation::Wait))
    }
}

impl<D: TunDevice> AsFd for AsyncDevice<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Has the runtime watch a descriptor.
///
/// Since tokio 1.54 the sound form of this is unsafe: its caller promises that the descriptor stays open and
/// the same for as long as it is watched. Of a descriptor that is owned, and owned by the watcher alone, no
/// other can be thought of, so the form that does not ask is as good; and unsafe code is in tunctl-sys only.
#[allow(deprecated, reason = "deprecated for descriptors that are not owned")]
fn watch(owned: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(owned, Interest::READABLE | Interest::WRITABLE)
}
