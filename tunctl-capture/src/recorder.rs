//! A device that logs its packets.

use std::fmt;
use std::io::{IoSlice, IoSliceMut, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tunctl_core::{
    CreateFlags, DestroyError, Gid, InterfaceAddress, InterfaceName, Interrupter, Layer, Queues, Readiness,
    Result, TunDevice, Uid, WaitOutcome,
};
use tunctl_packet::PacketInfo;

use crate::log::Log;
use crate::{Direction, LogError};

/// How long a virtio-net header is, in bytes.
pub(crate) const VNET_HEADER_LENGTH: usize = 10;

/// A device that writes each received or sent packet to a pcapng log, and otherwise behaves like the device
/// that it wraps.
///
/// The log has packets as they passed the interface, without packet information and virtio-net headers.
/// (Behind a virtio-net header, a packet may be a super-segment with an incomplete checksum; the log keeps it
/// like that.) A packet that a short buffer cut is logged as it was received, with its original length if its
/// IP header has it. Clones of a recorder share its log. When several threads use a device, the log has the
/// packets in the order in which the threads reached the log.
///
/// A failing writer loses no packet and fails no call. The log ends there, and [`log_error`](Self::log_error)
/// and [`finish`](Self::finish) report it. To learn of such a failure, finish a recorder before you drop it
/// or destroy its device.
///
/// Each packet is one write, so that a log can be watched while it grows. [`buffered`](Self::buffered) takes
/// fewer.
pub struct Recorder<D, W: Write> {
    device: D,
    log: Arc<Mutex<Log<W>>>,
}

impl<D: TunDevice, W: Write> Recorder<D, W> {
    /// Records the packets of a device from now on, with the system's time.
    ///
    /// The start of the log is written at once. If that fails, [`log_error`](Self::log_error) reports it.
    pub fn new(device: D, writer: W) -> Self {
        Self::with_clock(device, writer, || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// Like [`new`](Self::new), with your own clock. It is called once for each packet, and returns the time
    /// since the beginning of 1970. With the same times the log has the same bytes: the mock's
    /// `MockBackend::now` is such a clock.
    pub fn with_clock(device: D, writer: W, clock: impl FnMut() -> Duration + Send + 'static) -> Self {
        let log = Log::new(writer, Box::new(clock), device.layer(), device.name().ok());
        Self { device, log: Arc::new(Mutex::new(log)) }
    }

    /// Gathers packets, and writes them when there are 64 KiB of them, and at the end. It serves better than
    /// a [`BufWriter`](std::io::BufWriter), which cannot say how many packets it has lost if a write fails:
    /// [`LogError::lost`] counts these as well.
    #[must_use]
    pub fn buffered(self) -> Self {
        self.log().buffer();
        self
    }

    /// The wrapped device. Packets that bypass the recorder through it are not recorded.
    #[must_use]
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// Why the log is incomplete, if it is.
    #[must_use]
    pub fn log_error(&self) -> Option<LogError> {
        self.log().error()
    }

    /// Ends the log: returns the device, and the flushed writer if the log is complete.
    ///
    /// Clones of the recorder go on without a log, and report that in [`log_error`](Self::log_error) once a
    /// packet passes them.
    pub fn finish(self) -> (D, Result<W, LogError>) {
        let outcome = self.log().finish();
        (self.device, outcome)
    }

    fn log(&self) -> MutexGuard<'_, Log<W>> {
        self.log.lock().unwrap_or_else(|poisoned| {
            let mut log = poisoned.into_inner();
            log.fail("the writer of the log, or its clock, panicked");
            log
        })
    }

    /// Logs a packet of which a buffer received `length` bytes, including the headers.
    fn received(&self, buffer: &[u8], length: usize) {
        // An empty buffer receives no packet.
        let bytes = buffer.get(..length).filter(|bytes| !bytes.is_empty());
        if let Some(packet) = bytes.and_then(|bytes| self.without_headers(bytes)) {
            let was_filled = length == buffer.len();
            let stated = if was_filled { stated_length(self.device.layer(), packet) } else { None };
            self.log().add(Direction::Received, packet, stated.unwrap_or_default().max(packet.len()));
        }
    }

    fn sent(&self, bytes: &[u8]) {
        if let Some(packet) = self.without_headers(bytes) {
            self.log().add(Direction::Sent, packet, packet.len());
        }
    }

    fn without_headers<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let flags = self.device.flags();
        let information = if flags.contains(CreateFlags::NO_PI) { 0 } else { PacketInfo::LENGTH };
        let vnet = if flags.contains(CreateFlags::VNET_HDR) { VNET_HEADER_LENGTH } else { 0 };
        bytes.get(information + vnet..)
    }
}

fn joined<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    pieces.flatten().copied().collect()
}

/// The length of a packet according to its IP header, if it has one.
fn stated_length(layer: Layer, packet: &[u8]) -> Option<usize> {
    match layer {
        Layer::Tun => stated_ip_length(packet),
        Layer::Tap => {
            let mut type_at = 12;
            while let Some([0x81, 0x00] | [0x88, 0xa8]) = packet.get(type_at..type_at + 2) {
                type_at += 4;
            }
            match packet.get(type_at..type_at + 2)? {
                [0x08, 0x00] | [0x86, 0xdd] => Some(type_at + 2 + stated_ip_length(&packet[type_at + 2..])?),
                _ => None,
            }
        }
    }
}

fn stated_ip_length(packet: &[u8]) -> Option<usize> {
    match *packet.first_chunk()? {
        [0x40..=0x4f, _, high, low, _, _] => Some(u16::from_be_bytes([high, low]).into()),
        // 0 marks a jumbogram.
        [0x60..=0x6f, _, _, _, high, low] if (high, low) != (0, 0) => {
            Some(40 + usize::from(u16::from_be_bytes([high, low])))
        }
        _ => None,
    }
}

impl<D: fmt::Debug, W: Write> fmt::Debug for Recorder<D, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("device", &self.device).finish_non_exhaustive()
    }
}

impl<D: AsFd, W: Write> AsFd for Recorder<D, W> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

impl<D: TunDevice, W: Write + Send + 'static> TunDevice for Recorder<D, W> {
    type Interface = D::Interface;

    fn interface(&self) -> &Self::Interface {
        self.device.interface()
    }

    fn name(&self) -> Result<InterfaceName> {
        self.device.name()
    }

    fn flags(&self) -> CreateFlags {
        self.device.flags()
    }

    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.device.try_recv(buffer).inspect(|&length| self.received(buffer, length))
    }

    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let length = self.device.try_recv_vectored(buffers)?;
        self.received(&joined(buffers.iter().map(|buffer| &**buffer)), length);
        Ok(length)
    }

    fn try_send(&self, packet: &[u8]) -> Result<usize> {
        self.device.try_send(packet).inspect(|_| self.sent(packet))
    }

    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let length = self.device.try_send_vectored(pieces)?;
        self.sent(&joined(pieces.iter().map(|piece| &**piece)));
        Ok(length)
    }

    fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome> {
        self.device.wait_until(readiness, timeout, interrupter)
    }

    fn set_persist(&self, persistent: bool) -> Result<()> {
        self.device.set_persist(persistent)
    }

    fn set_owner(&self, owner: Uid) -> Result<()> {
        self.device.set_owner(owner)
    }

    fn set_group(&self, group: Gid) -> Result<()> {
        self.device.set_group(group)
    }

    fn try_clone(&self) -> Result<Self> {
        Ok(Self { device: self.device.try_clone()?, log: Arc::clone(&self.log) })
    }

    fn destroy(self) -> Result<(), DestroyError<Self>> {
        let Self { device, log } = self;
        device.destroy().map_err(|failed| {
            let error = failed.error().clone();
            DestroyError::new(error, failed.into_device().map(|device| Self { device, log }))
        })
    }

    // The following methods have defaults, which the wrapped device may override.

    fn layer(&self) -> Layer {
        self.device.layer()
    }

    fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.device.recv(buffer).inspect(|&length| self.received(buffer, length))
    }

    fn recv_until(
        &self,
        buffer: &mut [u8],
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<usize> {
        let outcome = self.device.recv_until(buffer, timeout, interrupter);
        outcome.inspect(|&length| self.received(buffer, length))
    }

    fn recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let length = self.device.recv_vectored(buffers)?;
        self.received(&joined(buffers.iter().map(|buffer| &**buffer)), length);
        Ok(length)
    }

    fn send(&self, packet: &[u8]) -> Result<usize> {
        self.device.send(packet).inspect(|_| self.sent(packet))
    }

    fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let length = self.device.send_vectored(pieces)?;
        self.sent(&joined(pieces.iter().map(|piece| &**piece)));
        Ok(length)
    }

    fn up(&self, address: InterfaceAddress) -> Result<()> {
        self.device.up(address)
    }

    fn down(&self) -> Result<()> {
        self.device.down()
    }
}

impl<D: Queues, W: Write + Send + 'static> Queues for Recorder<D, W> {
    fn attach_queue(&self) -> Result<()> {
        self.device.attach_queue()
    }

    fn detach_queue(&self) -> Result<()> {
        self.device.detach_queue()
    }
}
