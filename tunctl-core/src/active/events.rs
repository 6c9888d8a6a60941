//! The consumer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PacketBuffer;
use super::callback::Callback;
use super::channel::Channel;
use crate::{Error, Interrupter};

/// What active mode tells.
#[derive(Debug)]
pub enum ActiveEvent {
    /// A packet.
    Packet(PacketBuffer),
    /// The kernel dropped so many packets since the last event of this kind, or since the start: its queue was full, because this
    /// program, or the machine, was too slow. It is told within about a tenth of a second, or when reading goes on after a pause. The
    /// kernel counts for the interface: where each of several queues is in active mode, each tells of all.
    Dropped(u64),
    /// All packets of an [`ActiveMode::Count`](super::ActiveMode::Count) have come: delivery is off.
    #[doc(alias = "tcp_passive")]
    Passive,
    /// The device could not be read, and delivery is off. If the error is [`Gone`](Error::is_gone), the interface was deleted and
    /// the end follows; after any other, active mode may be tried again.
    Failed(Error),
}

/// Where the events of a device in active mode come out.
///
/// There is one of it: who has it is the consumer. To hand over to another thread, move it there; nothing is lost or reordered.
/// As an iterator it waits for each event, until there are no more: the interface is gone, or the
/// [`ActiveDevice`](super::ActiveDevice).
///
/// Dropping it ends the delivery. What it had not given out is lost with it, so turn delivery [`Off`](super::ActiveMode::Off) and
/// take what is left first, if it matters; what was not taken from the device, the device has.
#[derive(Debug)]
pub struct PacketEvents {
    channel: Arc<Channel>,
    stop: Interrupter,
    /// Taken from the channel all at once, so that there is a lock for many events.
    taken: VecDeque<ActiveEvent>,
}

impl PacketEvents {
    pub(super) const fn new(channel: Arc<Channel>, stop: Interrupter) -> Self {
        Self { channel, stop, taken: VecDeque::new() }
    }

    /// The next event, for which it waits. `None`: there are no more.
    pub fn recv(&mut self) -> Option<ActiveEvent> {
        self.next_until(None)
    }

    /// The next event, for which it waits so long. `None`: none came, or there are no more, which
    /// [`is_ended`](Self::is_ended) tells.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Option<ActiveEvent> {
        // A time too far off to be told is no limit.
        self.next_until(Instant::now().checked_add(timeout))
    }

    /// The next event if there is one. `None`: there is none now, or there are no more, which [`is_ended`](Self::is_ended) tells.
    pub fn try_recv(&mut self) -> Option<ActiveEvent> {
        if let Some(event) = self.taken.pop_front() {
            return Some(event);
        }
        self.channel.take_what_waits(&mut self.taken);
        self.taken.pop_front()
    }

    /// Whether all events were given out, and there will be no more.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.taken.is_empty() && self.channel.is_ended()
    }

    /// Has `callback` called when there were no events and one comes, and at the end. After a call, call
    /// [`try_recv`](Self::try_recv) until it returns `None`. If events wait already, the first call comes before this returns.
    ///
    /// So a program that waits for other things as well can wait for events too:
    ///
    /// | it waits in | the callback |
    /// |---|---|
    /// | mio's `Poll` | `move \|\| { let _ = waker.wake(); }`, with a `mio::Waker` |
    /// | `poll(2)`, `epoll(7)` or `kqueue(2)` | `move \|\| bell.interrupt()`, with a clone of an [`Interrupter`] that lends its descriptor |
    /// | a task of tokio | `move \|\| notify.notify_one()`, with an `Arc<tokio::sync::Notify>` |
    ///
    /// The callback runs on the thread that receives, with no lock held: it may use the device or take a lock of the program,
    /// but packets wait until it returns, and so does whoever drops the [`ActiveDevice`](super::ActiveDevice). If it panics,
    /// delivery ends. It is kept until it is replaced or the events are dropped, so let it own no more than a
    /// [`Weak`](std::sync::Weak) reference to them.
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

    fn next_until(&mut self, until: Option<Instant>) -> Option<ActiveEvent> {
        if self.taken.is_empty() {
            self.channel.take(&mut self.taken, until);
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
