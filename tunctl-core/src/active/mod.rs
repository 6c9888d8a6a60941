//! Active mode: packets come to the program, as events.

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
    /// Never: they wait in the kernel's queue, and the program may receive them from the device itself. Nothing is told, not a deletion
    /// either, until delivery goes on.
    #[default]
    Off,
    /// The next one, and then it is off.
    Once,
    /// The next so many, and then it is off, of which [`ActiveEvent::Passive`] tells. Of none, it is off from the start.
    Count(usize),
    /// All of them.
    On,
}

/// How much is held for a consumer that is slower than the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ActiveOptions {
    capacity: NonZeroUsize,
    packet_length: NonZeroUsize,
}

impl Default for ActiveOptions {
    /// 256 packets, each as long as any can be.
    fn default() -> Self {
        const CAPACITY: NonZeroUsize = NonZeroUsize::new(256).unwrap();
        // 65,535 bytes, and room for an Ethernet header, two tags, and the headers of a device.
        const LONGEST: NonZeroUsize = NonZeroUsize::new(65_600).unwrap();
        Self { capacity: CAPACITY, packet_length: LONGEST }
    }
}

impl ActiveOptions {
    /// How many packets may be held at most, those included that the consumer has taken and not dropped. As many buffers are
    /// made, when they are needed first, and used again and again.
    #[must_use]
    pub const fn capacity(mut self, packets: NonZeroUsize) -> Self {
        self.capacity = packets;
        self
    }

    /// How long a packet may be, headers in front of it included, in bytes; a longer one loses its tail.
    #[must_use]
    pub const fn packet_length(mut self, bytes: NonZeroUsize) -> Self {
        self.packet_length = bytes;
        self
    }
}

/// What has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveStatistics {
    /// Packets taken from the device: each is delivered, or waits to be.
    pub received: u64,
    /// Packets that the kernel dropped because its queue was full, since there is this interface; `None` if it does not say, or
    /// is gone.
    pub dropped: Option<u64>,
}

/// A device in active mode: who holds this says when packets are delivered.
///
/// Dropping it ends the delivery, and closes the device: the consumer gets what was taken from it, and then the end.
#[derive(Debug)]
pub struct ActiveDevice<D> {
    device: D,
    delivery: Delivery,
}

/// The thread that reads. It ends when this goes.
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
        // A thread cannot wait for itself: the callback, which runs there, may have had the last of the device.
        let is_elsewhere = |reader: &JoinHandle<()>| reader.thread().id() != thread::current().id();
        if let Some(reader) = self.reader.take().filter(is_elsewhere) {
            // If it panicked, it has said so, and the consumer has got the end.
            let _ = reader.join();
        }
    }
}

/// Starts active mode: a thread receives from the device, and delivers to the one consumer.
///
/// ```no_run
/// use tunctl_core::active::{ActiveEvent, ActiveMode, ActiveOptions, activate};
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
///
/// # fn program<B: TunBackend<Device: 'static>>(backend: &B) -> tunctl_core::Result<()> {
/// let tun = backend.create(&CreateOptions::tun().name("tun0")?)?;
/// tun.up("10.1.1.1/24".parse()?)?;
/// let (tun, mut events) = activate(tun, ActiveOptions::default(), ActiveMode::Count(10))?;
/// for event in &mut events {
///     match event {
///         ActiveEvent::Packet(packet) => println!("{} bytes", packet.len()),
///         ActiveEvent::Passive => tun.set_mode(ActiveMode::Count(10)),
///         ActiveEvent::Dropped(packets) => println!("we are too slow: {packets} packets are lost"),
///         ActiveEvent::Failed(error) => println!("{error}"),
///     }
/// }
/// println!("the interface is gone");
/// # Ok(())
/// # }
/// ```
///
/// # What is promised
///
/// - **Nothing is lost here.** When the consumer has fallen behind by the [capacity](ActiveOptions::capacity), the thread stops
///   reading. Packets then wait in the kernel's queue, and when that is full, the kernel drops them and counts them, and
///   [`ActiveEvent::Dropped`] tells how many.
/// - **Order is kept**, also when [`PacketEvents`] moves to another thread: whoever has it is the consumer.
/// - **A change is at once.** When [`set_mode`](ActiveDevice::set_mode) returns, the thread takes no packet from the device
///   that the new mode does not allow. What it took before is still delivered.
/// - **Memory is bounded**, and nothing is allocated for a packet once all buffers are made.
///
/// # Errors
///
/// `TooManyOpenFiles`: the thread has a [clone](TunDevice::try_clone) of the device, and an interrupter. `Other` if the thread
/// cannot be started. Either way the device is closed.
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
    /// Changes when packets are delivered. A count begins anew. After the end of the events it does nothing.
    #[doc(alias = "setopt")]
    pub fn set_mode(&self, mode: ActiveMode) {
        self.delivery.channel.set_mode(mode);
    }

    /// When packets are delivered; a count says how many are left. [`Off`](ActiveMode::Off) after the end of the events.
    #[must_use]
    pub fn mode(&self) -> ActiveMode {
        self.delivery.channel.mode()
    }

    /// The device: to send, to configure its interface, and while it is [`Off`](ActiveMode::Off), to receive.
    #[must_use]
    pub const fn device(&self) -> &D {
        &self.device
    }

    /// What has passed until now.
    #[must_use]
    pub fn statistics(&self) -> ActiveStatistics {
        let received = self.delivery.channel.received();
        ActiveStatistics { received, dropped: self.device.interface().dropped().ok() }
    }

    /// Ends the delivery, and gives the device back. The consumer gets what was taken from it, and then the end; what was not
    /// taken, the device has.
    #[must_use]
    pub fn into_device(self) -> D {
        let Self { device, delivery } = self;
        drop(delivery);
        device
    }
}
