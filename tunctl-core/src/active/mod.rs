//! Active mode: packets come to the program as events.
//!
//! [`activate`] starts a thread that receives from a device. The program keeps the device as an
//! [`ActiveDevice`], with which it changes the [mode](ActiveMode), sends and configures. The consumer takes
//! [events](ActiveEvent) from [`PacketEvents`]: it waits for them in a thread of its own, or is
//! [notified](PacketEvents::notify) in an event loop of any kind.

mod buffer;
mod callback;
mod channel;
mod events;
mod reader;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::{Interface, Interrupter, Operation, Reason, Result, TunDevice};

pub use buffer::PacketBuffer;
use channel::Channel;
pub use events::{ActiveEvent, PacketEvents};
use reader::Reader;

/// When packets are delivered.
#[doc(alias = "active")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ActiveMode {
    /// No packet is delivered. Packets wait in the kernel's queue, and the program may receive them from the
    /// device itself. A deletion of the interface is reported when the mode changes.
    #[default]
    Off,
    /// The next packet is delivered, then the mode is `Off`.
    Once,
    /// This many packets are delivered, then [`ActiveEvent::Passive`], and the mode is `Off`. `Count(0)` is
    /// `Off`.
    Count(usize),
    /// Every packet is delivered.
    On,
}

/// How much is buffered for a consumer that is slower than the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActiveOptions {
    capacity: NonZeroUsize,
    packet_length: NonZeroUsize,
}

impl Default for ActiveOptions {
    /// 256 packets of any length.
    fn default() -> Self {
        const CAPACITY: NonZeroUsize = NonZeroUsize::new(256).unwrap();
        // 65,535 bytes, and room for an Ethernet header, two VLAN tags, and the device's own headers.
        const LONGEST: NonZeroUsize = NonZeroUsize::new(65_600).unwrap();
        Self { capacity: CAPACITY, packet_length: LONGEST }
    }
}

impl ActiveOptions {
    /// The most packets that are held at a time, including those that the consumer has taken and not dropped.
    /// Each has a buffer, which is allocated on first use and then reused.
    #[must_use]
    pub const fn capacity(mut self, packets: NonZeroUsize) -> Self {
        self.capacity = packets;
        self
    }

    /// The length of a buffer in bytes. A packet that is longer, with the headers in front of it, loses its
    /// tail.
    #[must_use]
    pub const fn packet_length(mut self, bytes: NonZeroUsize) -> Self {
        self.packet_length = bytes;
        self
    }
}

/// How many packets were received and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveStatistics {
    /// Packets received from the device. Each was delivered or waits for the consumer.
    pub received: u64,
    /// Packets that the kernel has dropped since the interface was created, because its queue was full.
    /// `None`: the system does not count them, or the interface is gone.
    pub dropped: Option<u64>,
}

/// A device in active mode.
///
/// Dropping it ends the delivery and closes the device. The consumer still gets the packets received before,
/// and then the end of events.
#[derive(Debug)]
pub struct ActiveDevice<D> {
    device: D,
    delivery: Delivery,
}

/// The thread that reads, which ends when this is dropped.
#[derive(Debug)]
struct Delivery {
    channel: Arc<Channel>,
    stop: Interrupter,
    reader: Option<JoinHandle<()>>,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.channel.stop();
        self.stop.interrupt();
        // The callback runs on the reader's thread and may drop the device there. A thread cannot join
        // itself.
        let is_elsewhere = |reader: &JoinHandle<()>| reader.thread().id() != thread::current().id();
        if let Some(reader) = self.reader.take().filter(is_elsewhere) {
            // After a panic the hook has printed the message, and the consumer gets the end of events.
            let _ = reader.join();
        }
    }
}

/// Starts active mode: a thread receives from the device and delivers to the one consumer.
///
/// ```no_run
/// use tunctl_core::active::{ActiveEvent, ActiveMode, ActiveOptions, activate};
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
///
/// # fn program<B: TunBackend<Device: 'static>>(backend: &B) -> tunctl_core::Result<()> {
/// let tun = backend.create(&CreateOptions::tun().name("tun0").address("10.1.1.1/24").up())?;
/// let (tun, mut events) = activate(tun, ActiveOptions::default(), ActiveMode::Count(10))?;
/// for event in &mut events {
///     match event {
///         ActiveEvent::Packet(packet) => println!("{} bytes", packet.len()),
///         ActiveEvent::Passive => tun.set_mode(ActiveMode::Count(10)),
///         ActiveEvent::Dropped(packets) => println!("too slow: the kernel dropped {packets} packets"),
///         ActiveEvent::Failed(error) => println!("{error}"),
///     }
/// }
/// println!("the interface is gone");
/// # Ok(())
/// # }
/// ```
///
/// # Guarantees
///
/// - **No packet is lost in the process.** When the consumer falls behind by the
///   [capacity](ActiveOptions::capacity), the thread stops reading. Packets then wait in the kernel's queue.
///   When that is full, the kernel drops and counts them, and [`ActiveEvent::Dropped`] reports how many.
/// - **Order is kept**, also when [`PacketEvents`] moves to another thread.
/// - **A change of mode is immediate.** When [`set_mode`](ActiveDevice::set_mode) returns, the thread takes
///   no packet that the new mode does not allow. Packets taken before are still delivered.
/// - **Memory is bounded**, and a packet costs no allocation once all buffers are allocated.
///
/// # Errors
///
/// `TooManyOpenFiles`: the thread takes a [clone](TunDevice::try_clone) of the device, and an interrupter.
/// `Other` if the thread cannot be started. Either way the device is closed.
#[doc(alias = "controlling_process")]
pub fn activate<D>(
    device: D,
    options: ActiveOptions,
    mode: ActiveMode,
) -> Result<(ActiveDevice<D>, PacketEvents)>
where
    D: TunDevice + 'static,
{
    let stop = Interrupter::new()?;
    let channel = Arc::new(Channel::new(options, mode));
    let reader = Reader::new(device.try_clone()?, channel.clone(), stop.clone());
    let reader = thread::Builder::new().name("tunctl active".to_owned()).spawn(move || reader.run());
    let reader = reader.map_err(|error| {
        let reason = Reason::from_io(&error).with_detail("no thread could be started to receive packets");
        reason.of(Operation::Receive)
    })?;
    let events = PacketEvents::new(channel.clone(), stop.clone());
    Ok((ActiveDevice { device, delivery: Delivery { channel, stop, reader: Some(reader) } }, events))
}

impl<D: TunDevice> ActiveDevice<D> {
    /// Changes the mode. A [`Count`](ActiveMode::Count) replaces what is left of the one before. After the
    /// end of events it does nothing.
    #[doc(alias = "setopt")]
    pub fn set_mode(&self, mode: ActiveMode) {
        self.delivery.channel.set_mode(mode);
    }

    /// The mode. A [`Count`](ActiveMode::Count) has the packets that are left. After the end of events it is
    /// [`Off`](ActiveMode::Off).
    #[must_use]
    pub fn mode(&self) -> ActiveMode {
        self.delivery.channel.mode()
    }

    /// The device: to send, to configure its interface, and to receive while the mode is
    /// [`Off`](ActiveMode::Off).
    #[must_use]
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// The packets received and dropped until now.
    #[must_use]
    pub fn statistics(&self) -> ActiveStatistics {
        let received = self.delivery.channel.received();
        ActiveStatistics { received, dropped: self.device.interface().dropped().ok() }
    }

    /// Ends the delivery and returns the device. The consumer still gets the packets received before, and
    /// then the end of events. The device has the packets that were not received.
    #[must_use]
    pub fn into_device(self) -> D {
        let Self { device, delivery } = self;
        drop(delivery);
        device
    }
}
