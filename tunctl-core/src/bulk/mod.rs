//! Many packets at once, with segmentation offload where the system has it.

mod given_back;
mod passing;
mod queue_length;
mod queues;
mod recv;
mod send;
mod sending;
mod statistics;
#[cfg(test)]
mod tests;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use tunctl_packet::header::HeaderKind;
use tunctl_packet::offload::Sum;

pub use self::given_back::GivenBack;
pub use self::queue_length::queue_length;
pub use self::recv::{Large, RecvBatch};
pub use self::send::{BatchFull, SendBatch};
pub use self::statistics::{RecvStatistics, SendStatistics};
use crate::device::waiting::{patient, waiting};
use crate::{
    Cause, Interrupter, Layer, Offloads, Operation, Readiness, Reason, Result, TunDevice, WaitOutcome,
};

/// A device whose packets come and go many at a time.
///
/// A system that has segmentation offload hands over up to 64 KiB in one call, which stand for many packets,
/// and takes as many. This turns it on, cuts what it receives into packets, and merges those that it sends.
/// The program sees packets only, without headers in front. The same calls work on a device without offload,
/// one packet a call.
///
/// ```
/// use tunctl_core::{Result, TunDevice};
///
/// /// Forwards what comes in on one device to another.
/// fn forward<D: TunDevice>(from: D, to: D) -> Result<()> {
///     let (from, to) = (from.into_bulk()?, to.into_bulk()?);
///     let (mut received, mut sent) = (from.recv_batch(), to.send_batch());
///     loop {
///         from.recv(&mut received)?;
///         while received.pass_to(&mut sent)? {
///             but_for_losses(to.send(&mut sent))?;
///         }
///     }
/// }
///
/// /// A packet that is lost is no reason to stop: the batch counts it.
/// fn but_for_losses(sent: Result<usize>) -> Result<()> {
///     match sent {
///         Err(error) if !error.is_packet_lost() => Err(error),
///         _ => Ok(()),
///     }
/// }
/// ```
///
/// [`RecvBatch::next`] lends packets one by one, and [`SendBatch::push`] adds them.
///
/// All calls take `&self`, as those of a [`TunDevice`] do. What a call works with is the caller's: a
/// [`RecvBatch`] or a [`SendBatch`] for each thread or task, made once and used again. As long as nothing is
/// lost, no call allocates.
///
/// # Offload
///
/// Offload needs a device that was created with a virtio-net header
/// ([`CreateOptions::vnet_header`](crate::CreateOptions::vnet_header)). The offloads belong to the interface:
/// all its queues receive packets that stand for several. A queue that is read in the plain way beside this
/// one would take them for packets, so the conversion is refused while there are others; see
/// [`of_queues`](Self::of_queues). [`into_device`](Self::into_device) turns offload off again. Dropping this
/// does not: a persistent interface keeps its offloads until the next program opens it through this library.
///
/// The conversion cannot detect duplicates of the device's descriptor, which [`TunDevice::try_clone`] makes.
/// Do not receive from one meanwhile.
///
/// How many packets may wait is up to the interface: [`queue_length`] is how many it takes so that nothing is
/// dropped.
///
/// # Platform
///
/// Linux has offload: for UDP (USO) since 6.2, for packets in UDP tunnels (VXLAN, Geneve) since 6.17. The
/// latter needs a virtio-net header of 24 bytes
/// ([`VnetLength::Tunnel`](tunctl_packet::header::VnetLength)). The other systems send and receive one packet
/// a call.
#[derive(Debug)]
pub struct Bulk<D> {
    device: D,
    /// What is on now, and what was on before.
    offloads: Offloads,
    before: Offloads,
    /// How many queues were converted together.
    siblings: usize,
}

impl<D: TunDevice> Bulk<D> {
    pub(crate) fn of_one(device: D) -> Result<Self, GivenBack<D>> {
        let mut queues = queues::convert(vec![device]).map_err(GivenBack::only)?;
        // One device was given.
        Ok(queues.swap_remove(0))
    }

    /// As [`TunDevice::into_bulk`], for all queues of an interface.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::into_bulk`], with the devices as they were. `Busy`: these are not all the queues
    /// of one interface.
    pub fn of_queues(devices: Vec<D>) -> Result<Vec<Self>, GivenBack<Vec<D>>> {
        queues::convert(devices)
    }

    /// The devices again, without offload: all those that were converted together.
    ///
    /// # Errors
    ///
    /// `Busy`: one is missing. `Gone`.
    pub fn into_devices(queues: Vec<Self>) -> Result<Vec<D>, GivenBack<Vec<Self>>> {
        queues::back(queues)
    }

    /// The device again, without offload.
    ///
    /// # Errors
    ///
    /// `Busy`: it is one of several queues: use [`into_devices`](Self::into_devices). `Gone`.
    pub fn into_device(self) -> Result<D, GivenBack<Self>> {
        let mut devices = queues::back(vec![self]).map_err(GivenBack::only)?;
        // One queue was given.
        Ok(devices.swap_remove(0))
    }

    /// The interface: its addresses, its MTU, its state.
    pub fn interface(&self) -> &D::Interface {
        self.device.interface()
    }

    /// What a packet starts with.
    pub fn layer(&self) -> Layer {
        self.device.layer()
    }

    /// What the system leaves to this now. Without any, each call is for one packet.
    pub const fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// The headers in front of each packet that is received or sent, which this writes and removes.
    pub fn header_kind(&self) -> HeaderKind {
        self.device.header_kind()
    }

    /// Room for what [`recv`](Self::recv) receives: 192 KiB, and 64 KiB for the
    /// headers of packets that are passed on.
    pub fn recv_batch(&self) -> RecvBatch {
        RecvBatch::new(self.layer(), self.header_kind())
    }

    /// Room for what [`send`](Self::send) sends: 256 KiB, or 1,024 packets.
    pub fn send_batch(&self) -> SendBatch {
        SendBatch::new(self.layer(), self.header_kind(), self.offloads)
    }

    /// Receives what is there, and returns how many calls that took; never waits. What the batch had is
    /// forgotten.
    ///
    /// It stops when the batch has no room for the longest packet, when nothing is there, or after 64 calls.
    /// A packet that cannot be cut is lost: the batch says why, and counts it.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; `Gone`.
    pub fn try_recv(&self, batch: &mut RecvBatch) -> Result<usize> {
        batch.fill(|room| self.device.try_recv(room))
    }

    /// As [`try_recv`](Self::try_recv), waiting for the first packet if none is there.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "read")]
    #[doc(alias = "recvmmsg")]
    pub fn recv(&self, batch: &mut RecvBatch) -> Result<usize> {
        waiting(&self.device, Readiness::Readable, || self.try_recv(batch))
    }

    /// As [`recv`](Self::recv), until `timeout` has passed or the interrupter is used. `None` disables that
    /// condition.
    ///
    /// # Errors
    ///
    /// `Interrupted`, also if packets are there: they stay, as does what the batch had. `TimedOut`; `Gone`.
    pub fn recv_until(
        &self,
        batch: &mut RecvBatch,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<usize> {
        patient(&self.device, Readiness::Readable, timeout, interrupter, || self.try_recv(batch))
    }

    /// Sends all packets of the batch, which is empty then, and returns how many calls that took. Packets of
    /// a flow arrive in the order in which they were added.
    ///
    /// A packet that is lost does not keep the others from being sent. The error is that of the first one,
    /// [`is_packet_lost`](crate::Error::is_packet_lost) says so, and [`SendBatch::lost`] tells which ones
    /// are. After any other error, what was not sent is still in the batch.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_send`] but `WouldBlock`.
    #[doc(alias = "writev")]
    #[doc(alias = "sendmmsg")]
    pub fn send(&self, batch: &mut SendBatch) -> Result<usize> {
        let before = batch.statistics().calls;
        waiting(&self.device, Readiness::Writable, || self.try_send(batch))?;
        Ok(usize::try_from(batch.statistics().calls - before).unwrap_or(usize::MAX))
    }

    /// As [`send`](Self::send), until `timeout` has passed or the interrupter is used. `None` disables that
    /// condition. What was not sent is then still in the batch.
    ///
    /// # Errors
    ///
    /// `Interrupted`, also if there is room; `TimedOut`; those of [`send`](Self::send).
    pub fn send_until(
        &self,
        batch: &mut SendBatch,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<usize> {
        let before = batch.statistics().calls;
        patient(&self.device, Readiness::Writable, timeout, interrupter, || self.try_send(batch))?;
        Ok(usize::try_from(batch.statistics().calls - before).unwrap_or(usize::MAX))
    }

    /// As [`send`](Self::send), without waiting for room. After `WouldBlock`, what was not sent is still in
    /// the batch.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::try_send`].
    pub fn try_send(&self, batch: &mut SendBatch) -> Result<usize> {
        batch.empty(|pieces| match pieces {
            [piece] => self.device.try_send(piece),
            pieces => self.device.try_send_vectored(pieces),
        })
    }

    /// Sends a packet that was received and not cut, as it is: with one call, its header included. This is
    /// for relays between devices that both have offload.
    ///
    /// # Errors
    ///
    /// `InvalidValue`: the packets of this device have other headers. Those of [`TunDevice::try_send`].
    pub fn try_send_large(&self, large: &Large<'_>) -> Result<usize> {
        if large.header_kind() != self.header_kind() {
            let reason = Reason::new(Cause::InvalidValue)
                .with_detail("the packet was received from a device with other packet headers");
            return Err(reason.of(Operation::Send));
        }
        self.device.try_send(large.with_headers())
    }

    /// As [`try_send_large`](Self::try_send_large), until there is room, `timeout` has passed or the
    /// interrupter is used. `None` disables that condition.
    ///
    /// # Errors
    ///
    /// `Interrupted`, also if there is room; `TimedOut`; those of [`try_send_large`](Self::try_send_large)
    /// but `WouldBlock`.
    pub fn send_large_until(
        &self,
        large: &Large<'_>,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<usize> {
        patient(&self.device, Readiness::Writable, timeout, interrupter, || self.try_send_large(large))
    }

    /// Waits until the device is ready, `timeout` has passed, or the interrupter is used, and returns what
    /// ended the wait.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    pub fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome> {
        self.device.wait_until(readiness, timeout, interrupter)
    }
}

/// For event loops: wait until it is readable, then [`try_recv`](Bulk::try_recv) until `WouldBlock`.
impl<D: TunDevice> AsFd for Bulk<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// The fastest sum of bytes on this processor.
fn fastest_sum() -> Sum {
    struct Internet;

    impl tunctl_sys::checksum::Sum for Internet {
        #[inline(always)]
        fn sum(bytes: &[u8]) -> u64 {
            tunctl_packet::offload::sum(bytes)
        }
    }

    tunctl_sys::checksum::fastest::<Internet>()
}
