//! A device for tasks.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tunctl_core::{Readiness, Result, TunDevice};

use crate::watched::Watched;
use crate::{RecvHalf, SendHalf};

/// A device for tasks: while a task waits for it, other tasks run.
///
/// All methods take `&self`. Share it by reference or in an [`Arc`], or [split](Self::into_split) it. Several
/// tasks may receive at once; each packet goes to one of them.
///
/// # Guarantees
///
/// - **A ready packet costs one system call**: each operation tries first, and waits only if it would block.
/// - **A deletion wakes waiting tasks**: they get [`Gone`](tunctl_core::Error::is_gone).
/// - **Cancellation loses nothing.** If a future is dropped, by `select!` or a timeout, it has received and
///   sent no packet.
/// - **Other tasks get their turn.** Each packet counts against tokio's cooperative budget, so that a flooded
///   device does not starve other tasks and timers of its thread.
#[derive(Debug)]
pub struct AsyncDevice<D> {
    pub(crate) watched: Watched<D>,
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
        let is_writable = |device: &D| device.wait(Readiness::Writable, Some(Duration::ZERO));
        Ok(Self { watched: Watched::new(device, is_writable)? })
    }

    /// The device: for its interface, its name, and all operations that do not wait.
    ///
    /// It can also receive and send. Its own waiting methods block the thread.
    #[must_use]
    pub const fn device(&self) -> &D {
        self.watched.device()
    }

    /// Returns the device, which the runtime no longer watches.
    #[must_use]
    pub fn into_device(self) -> D {
        self.watched.into_device()
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
        self.watched.waiting(Interest::READABLE, |device| device.try_recv(buffer)).await
    }

    /// Receives one packet into several buffers, which are filled one after the other.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    #[doc(alias = "readv")]
    pub async fn recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.watched.waiting(Interest::READABLE, |device| device.try_recv_vectored(buffers)).await
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
        self.watched.waiting(Interest::WRITABLE, |device| device.try_send(packet)).await
    }

    /// Sends one packet that consists of several pieces.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    #[doc(alias = "writev")]
    pub async fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.watched.waiting(Interest::WRITABLE, |device| device.try_send_vectored(pieces)).await
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
        self.watched.attempt(Interest::READABLE, |device| device.try_recv(buffer))
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
        self.watched.attempt(Interest::WRITABLE, |device| device.try_send(packet))
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
        self.watched.ready(Interest::READABLE).await
    }

    /// Waits until [`try_send`](Self::try_send) would find room, or that the interface is gone. While the
    /// interface is down, it waits for it to come up: so a task that got
    /// [`Down`](tunctl_core::Cause::Down) waits here before it tries again.
    ///
    /// It is cancel safe.
    ///
    /// # Errors
    ///
    /// `Other`: the runtime is being shut down. Those of [`TunDevice::wait`].
    pub async fn writable(&self) -> Result<()> {
        self.watched.ready(Interest::WRITABLE).await
    }
}

impl<D: TunDevice> AsFd for AsyncDevice<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device().as_fd()
    }
}
