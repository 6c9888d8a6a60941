//! Many packets a call, for tasks.

use std::future::poll_fn;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::Poll;
use std::time::Duration;

use tokio::io::Interest;
use tokio::task::coop;
use tunctl_core::bulk::{RecvBatch, SendBatch};
use tunctl_core::{Bulk, Readiness, Result, TunDevice, WaitOutcome};

use crate::watched::Watched;

/// A device for tasks whose packets come and go many at a time: [`Bulk`] in the form of
/// [`AsyncDevice`](crate::AsyncDevice).
///
/// All methods take `&self`. Share it by reference or in an [`Arc`](std::sync::Arc). Each task has a batch of
/// its own.
///
/// ```
/// use std::sync::Arc;
///
/// use tokio::sync::mpsc;
/// use tunctl_core::{Result, TunDevice};
/// use tunctl_tokio::AsyncBulk;
///
/// /// Receives packets, and hands them to the tunnel.
/// async fn outgoing<D: TunDevice>(tun: Arc<AsyncBulk<D>>, tunnel: mpsc::Sender<Vec<u8>>) -> Result<()> {
///     let mut batch = tun.bulk().recv_batch();
///     loop {
///         tun.recv(&mut batch).await?;
///         while let Some(packet) = batch.next() {
///             if tunnel.send(packet.to_vec()).await.is_err() {
///                 return Ok(());
///             }
///         }
///     }
/// }
///
/// /// Sends what comes out of the tunnel: all that is there at once.
/// async fn incoming<D: TunDevice>(tun: Arc<AsyncBulk<D>>, mut tunnel: mpsc::Receiver<Vec<u8>>) -> Result<()> {
///     let (mut packets, mut batch) = (Vec::new(), tun.bulk().send_batch());
///     while tunnel.recv_many(&mut packets, 64).await > 0 {
///         for packet in packets.drain(..) {
///             batch.push(&packet)?; // there is room for 64 packets of up to 4,000 bytes
///         }
///         match tun.send(&mut batch).await {
///             // As on any network, a packet can be lost. The others were sent.
///             Err(error) if error.is_packet_lost() => {}
///             sent => drop(sent?),
///         }
///     }
///     Ok(())
/// }
/// # use tunctl_core::{CreateOptions, TunBackend};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// # let kernel = tunctl_mock::MockBackend::new();
/// # let backend = &kernel;
///
/// let options = CreateOptions::tun().name("tun0").vnet_header(true).address("10.1.1.1/24").up();
/// let tun = Arc::new(AsyncBulk::new(backend.create(&options)?.into_bulk()?)?);
/// let (to_tunnel, from_tun) = mpsc::channel(256);
/// let (to_tun, from_tunnel) = mpsc::channel(256);
/// # let mut from_tun = from_tun;
/// tokio::spawn(outgoing(tun.clone(), to_tunnel));
/// tokio::spawn(incoming(tun, from_tunnel));
/// # kernel.inject("tun0", [0x45; 20]);
/// # to_tun.send(from_tun.recv().await.unwrap()).await?;
/// # while kernel.take("tun0").is_none() {
/// #     tokio::task::yield_now().await;
/// # }
/// # Ok(())
/// # }
/// ```
///
/// # Guarantees
///
/// - **A deletion wakes waiting tasks**: they get [`Gone`](tunctl_core::Error::is_gone).
/// - **Cancellation loses nothing.** If a [`recv`](Self::recv) is dropped, by `select!` or a timeout, it has
///   received no packet. If a [`send`](Self::send) is dropped, the packets that it has not sent are still in
///   the batch, in their order, and those that it has sent are not.
/// - **Other tasks get their turn.** Each call to the system counts against tokio's cooperative budget, so
///   that a flood in large batches does not starve other tasks and timers of its thread.
///
/// # Several queues
///
/// All queues of an interface are converted together, by [`Bulk::of_queues`]. Each of them is an `AsyncBulk`
/// then, in a task of its own. The way back is [`into_bulk`](Self::into_bulk) of each, and
/// [`Bulk::into_devices`].
#[derive(Debug)]
pub struct AsyncBulk<D> {
    watched: Watched<Bulk<D>>,
}

impl<D: TunDevice> AsyncBulk<D> {
    /// Registers the device with the runtime of the calling task or thread.
    ///
    /// # Errors
    ///
    /// Those of [`AsyncDevice::new`](crate::AsyncDevice::new). On an error the device is closed.
    ///
    /// # Panics
    ///
    /// If the runtime was built without [`enable_io`](tokio::runtime::Builder::enable_io), which tokio offers
    /// no way to check.
    pub fn new(bulk: Bulk<D>) -> Result<Self> {
        let is_writable = |bulk: &Bulk<D>| {
            let outcome = bulk.wait_until(Readiness::Writable, Some(Duration::ZERO), None)?;
            Ok(outcome == WaitOutcome::Ready)
        };
        Ok(Self { watched: Watched::new(bulk, is_writable)? })
    }

    /// The device: for its batches, and all operations that do not wait.
    ///
    /// Its own waiting methods block the thread.
    #[must_use]
    pub const fn bulk(&self) -> &Bulk<D> {
        self.watched.device()
    }

    /// Returns the device, which the runtime no longer watches.
    #[must_use]
    pub fn into_bulk(self) -> Bulk<D> {
        self.watched.into_device()
    }

    /// The interface: its addresses, its MTU, its state.
    #[must_use]
    pub fn interface(&self) -> &D::Interface {
        self.bulk().interface()
    }

    /// Receives what is there, waiting for the first packet if none is, and returns how many calls that took.
    /// What the batch had is forgotten.
    ///
    /// It is cancel safe: a `recv` that is dropped has received nothing. What the batch had may then be
    /// forgotten.
    ///
    /// # Errors
    ///
    /// Those of [`Bulk::recv`].
    #[doc(alias = "read")]
    #[doc(alias = "recvmmsg")]
    pub async fn recv(&self, batch: &mut RecvBatch) -> Result<usize> {
        let calls = self.watched.waiting(Interest::READABLE, |bulk| bulk.try_recv(batch)).await?;
        spend_budget(calls).await;
        Ok(calls)
    }

    /// Sends all packets of the batch, waiting for room, and returns how many calls that took. The batch is
    /// empty then, unless the error is one that loses no packet: see [`Bulk::send`].
    ///
    /// It is cancel safe: what a `send` that is dropped has not sent is still in the batch. Send the batch
    /// again, add to it before, or [`clear`](SendBatch::clear) it.
    ///
    /// # Errors
    ///
    /// Those of [`Bulk::send`].
    #[doc(alias = "writev")]
    #[doc(alias = "sendmmsg")]
    pub async fn send(&self, batch: &mut SendBatch) -> Result<usize> {
        let before = batch.statistics();
        let outcome = self.watched.waiting(Interest::WRITABLE, |bulk| bulk.try_send(batch)).await;
        let now = batch.statistics();
        // The outcome tells of the last attempt alone.
        let calls = usize::try_from(now.calls - before.calls).unwrap_or(usize::MAX);
        let lost = usize::try_from(now.lost - before.lost).unwrap_or(usize::MAX);
        spend_budget(calls.saturating_add(lost)).await;
        outcome.and(Ok(calls))
    }

    /// Receives what is there.
    ///
    /// Unlike [`Bulk::try_recv`], it notes when there is nothing, so that the next
    /// [`readable`](Self::readable) waits.
    ///
    /// # Errors
    ///
    /// Those of [`Bulk::try_recv`].
    pub fn try_recv(&self, batch: &mut RecvBatch) -> Result<usize> {
        self.watched.attempt(Interest::READABLE, |bulk| bulk.try_recv(batch))
    }

    /// Sends the packets of the batch for which there is room.
    ///
    /// Unlike [`Bulk::try_send`], it notes when there is none, so that the next [`writable`](Self::writable)
    /// waits.
    ///
    /// # Errors
    ///
    /// Those of [`Bulk::try_send`].
    pub fn try_send(&self, batch: &mut SendBatch) -> Result<usize> {
        self.watched.attempt(Interest::WRITABLE, |bulk| bulk.try_send(batch))
    }

    /// As [`AsyncDevice::readable`](crate::AsyncDevice::readable), for [`try_recv`](Self::try_recv).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn readable(&self) -> Result<()> {
        self.watched.ready(Interest::READABLE).await
    }

    /// As [`AsyncDevice::writable`](crate::AsyncDevice::writable), for [`try_send`](Self::try_send).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn writable(&self) -> Result<()> {
        self.watched.ready(Interest::WRITABLE).await
    }
}

impl<D: TunDevice> AsFd for AsyncBulk<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.bulk().as_fd()
    }
}

/// Counts the calls of a batch against the task's budget, of which the attempt has counted one. It never
/// waits, because a batch that is received and then cancelled would be lost.
async fn spend_budget(calls: usize) {
    poll_fn(|context| {
        for _ in 1..calls {
            match coop::poll_proceed(context) {
                Poll::Ready(budget) => budget.made_progress(),
                // Nothing is left: the next operation of the task lets others run.
                Poll::Pending => break,
            }
        }
        Poll::Ready(())
    })
    .await;
}
