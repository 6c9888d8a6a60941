//! The consumer's side.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PacketBuffer;
use super::callback::Callback;
use super::channel::Channel;
use crate::{Error, Interrupter};

/// What active mode delivers.
#[derive(Debug)]
pub enum ActiveEvent {
    /// A packet.
    Packet(PacketBuffer),
    /// The kernel dropped this many packets since the last event of this kind, or since the start, because
    /// its queue was full: the program, or the machine, was too slow. It is reported within about a tenth of
    /// a second, or when reading resumes.
    ///
    /// The kernel counts for the interface. If several queues of it are in active mode, each reports the
    /// drops of all.
    Dropped(u64),
    /// All packets of an [`ActiveMode::Count`](super::ActiveMode::Count) were delivered, and the mode is
    /// `Off`.
    #[doc(alias = "tcp_passive")]
    Passive,
    /// The device could not be read, and the mode is `Off`. If the error is [`Gone`](Error::is_gone), the
    /// interface was deleted and the end of events follows. After any other error, the mode may be set again.
    Failed(Error),
}

/// The events of a device in active mode, for the one consumer.
///
/// To hand over to another thread, move it there: no event is lost, and their order is kept. As an iterator
/// it waits for each event, until the interface is deleted or the [`ActiveDevice`](super::ActiveDevice) is
/// dropped.
///
/// Dropping it ends the delivery and discards the events that were not taken. To keep their packets, set the
/// mode to [`Off`](super::ActiveMode::Off) and take them first. The device has the packets that were not
/// received.
#[derive(Debug)]
pub struct PacketEvents {
    channel: Arc<Channel>,
    stop: Interrupter,
    /// Taken from the channel all at once, so that many events cost one lock.
    taken: VecDeque<ActiveEvent>,
}

impl PacketEvents {
    pub(super) const fn new(channel: Arc<Channel>, stop: Interrupter) -> Self {
        Self { channel, stop, taken: VecDeque::new() }
    }

    /// Waits for the next event. `None`: the events have ended.
    pub fn recv(&mut self) -> Option<ActiveEvent> {
        self.next_until(None)
    }

    /// Waits for the next event, at most `timeout`. `None`: no event came, or the events have
    /// [ended](Self::is_ended).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<ActiveEvent> {
        // A deadline past `Instant`'s range means no deadline.
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// The next event, without waiting. `None`: there is none now, or the events have
    /// [ended](Self::is_ended).
    pub fn try_recv(&mut self) -> Option<ActiveEvent> {
        if let Some(event) = self.taken.pop_front() {
            return Some(event);
        }
        self.channel.try_take(&mut self.taken);
        self.taken.pop_front()
    }

    /// Whether the last event was taken and no other follows.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.taken.is_empty() && self.channel.is_ended()
    }

    /// Has `callback` called when the first event comes after there was none, and at the end of events. After
    /// a call, call [`try_recv`](Self::try_recv) until it returns `None`. If events wait already, the
    /// callback is called before `notify` returns.
    ///
    /// So an event loop of any kind can wait for packets beside other things:
    ///
    /// | event loop | callback |
    /// |---|---|
    /// | mio | `move \|\| { let _ = waker.wake(); }`, with a `mio::Waker` |
    /// | `poll(2)`, `epoll(7)` | `move \|\| bell.interrupt()`, with a clone of an [`Interrupter`] |
    /// | a task of tokio | `move \|\| notify.notify_one()`, with an `Arc<tokio::sync::Notify>` |
    ///
    /// The callback runs on the thread that receives, with no lock held. It may use the device, or wait for a
    /// lock of the program. Until it returns, no packet is received, and dropping the
    /// [`ActiveDevice`](super::ActiveDevice) waits for it. If it panics, the events end.
    ///
    /// The callback is kept until it is replaced or the events are dropped. If it needs the events
    /// themselves, give it a [`Weak`](std::sync::Weak) reference, or neither is ever dropped.
    ///
    /// ```no_run
    /// # use std::os::fd::AsFd;
    /// # use tunctl_core::Interrupter;
    /// # use tunctl_core::active::PacketEvents;
    /// # fn wait_for_input(_: std::os::fd::BorrowedFd<'_>) {}
    /// # fn program(mut events: PacketEvents) -> tunctl_core::Result<()> {
    /// let bell = Interrupter::new()?;
    /// events.notify({
    ///     let bell = bell.clone();
    ///     move || bell.interrupt()
    /// });
    /// while !events.is_ended() {
    ///     wait_for_input(bell.as_fd()); // beside the program's other descriptors
    ///     bell.reset();
    ///     while let Some(event) = events.try_recv() {
    ///         println!("{event:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn notify(&mut self, callback: impl Fn() + Send + Sync + 'static) {
        self.channel.notify(Some(Callback::new(callback)), !self.taken.is_empty());
    }

    /// Undoes [`notify`](Self::notify). A call that has begun may still be running when this returns.
    pub fn stop_notifying(&mut self) {
        self.channel.notify(None, false);
    }

    fn next_until(&mut self, deadline: Option<Instant>) -> Option<ActiveEvent> {
        if self.taken.is_empty() {
            self.channel.take(&mut self.taken, deadline);
        }
        self.taken.pop_front()
    }
}

impl Iterator for PacketEvents {
    type Item = ActiveEvent;

    fn next(&mut self) -> Option<ActiveEvent> {
        self.recv()
    }
}

impl Drop for PacketEvents {
    fn drop(&mut self) {
        self.channel.abandon();
        self.stop.interrupt();
    }
}
