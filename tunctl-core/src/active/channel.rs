//! The state that the reader, the device's holder and the consumer share.
//!
//! It has two locks. *Control* says how many packets the reader may take from the device. The reader holds it
//! for a whole burst, so that a change of mode is in force when `set_mode` returns. A burst ends early when
//! another thread wants control, and the reader then waits until that thread has had it: a mutex is not fair,
//! and the reader would take it again and again. The *store* has undelivered events and free buffers, and is
//! held briefly. Where both are held, control is locked first.
//!
//! The consumer's callback runs with neither lock held: it is the program's code, and may use the device or
//! wait for a lock that the program holds while it uses the device.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::callback::{Callback, Notification};
use super::{ActiveEvent, ActiveMode, ActiveOptions};

#[derive(Debug)]
pub(super) struct Channel {
    options: ActiveOptions,
    control: Mutex<Control>,
    /// How many threads other than the reader wait for `control`.
    claims: AtomicUsize,
    /// Signalled when the mode changes, and when a claim of `control` is met.
    control_changed: Condvar,
    store: Mutex<Store>,
    /// Signalled when the store gets its first event, and at the end of events.
    events_added: Condvar,
    /// Signalled when the reader has enough buffers to go on.
    buffers_returned: Condvar,
}

/// How many packets may be taken from the device, and how many were.
#[derive(Debug)]
pub(super) struct Control {
    mode: ActiveMode,
    received: u64,
    /// The `ActiveDevice` or the `PacketEvents` was dropped.
    stopped: bool,
}

#[derive(Debug, Default)]
struct Store {
    events: VecDeque<ActiveEvent>,
    /// No event follows.
    closed: bool,
    free: Vec<Vec<u8>>,
    /// How many buffers were allocated in all.
    allocated: usize,
    reader_waits_for_buffers: bool,
    /// The consumer asked and found no event. It may keep the buffers that it has.
    consumer_found_nothing: bool,
    stopped: bool,
    callback: Option<Callback>,
}

impl Control {
    fn new(mode: ActiveMode) -> Self {
        Self { mode: normalized(mode), received: 0, stopped: false }
    }

    /// How many packets may be taken now.
    pub(super) const fn allowed(&self) -> usize {
        match self.mode {
            _ if self.stopped => 0,
            ActiveMode::Off => 0,
            ActiveMode::Once => 1,
            ActiveMode::Count(left) => left,
            ActiveMode::On => usize::MAX,
        }
    }

    /// Counts packets that were taken. Returns whether they are the last of an [`ActiveMode::Count`].
    pub(super) fn count(&mut self, packets: usize) -> bool {
        self.received += u64::try_from(packets).unwrap_or(u64::MAX);
        let (mode, is_count_over) = match self.mode {
            ActiveMode::Once if packets > 0 => (ActiveMode::Off, false),
            ActiveMode::Count(left) if left <= packets => (ActiveMode::Off, true),
            ActiveMode::Count(left) => (ActiveMode::Count(left - packets), false),
            other => (other, false),
        };
        self.mode = mode;
        is_count_over
    }

    pub(super) const fn turn_off(&mut self) {
        self.mode = ActiveMode::Off;
    }
}

/// `Count(0)` is `Off`: no packet would ever end it.
const fn normalized(mode: ActiveMode) -> ActiveMode {
    match mode {
        ActiveMode::Count(0) => ActiveMode::Off,
        mode => mode,
    }
}

/// What the holder of the device calls.
impl Channel {
    pub(super) fn new(options: ActiveOptions, mode: ActiveMode) -> Self {
        Self {
            options,
            control: Mutex::new(Control::new(mode)),
            claims: AtomicUsize::new(0),
            control_changed: Condvar::new(),
            store: Mutex::default(),
            events_added: Condvar::new(),
            buffers_returned: Condvar::new(),
        }
    }

    pub(super) fn set_mode(&self, mode: ActiveMode) {
        let mut control = self.claim_control();
        if !control.stopped {
            control.mode = normalized(mode);
            self.control_changed.notify_all();
        }
    }

    pub(super) fn mode(&self) -> ActiveMode {
        self.claim_control().mode
    }

    pub(super) fn received(&self) -> u64 {
        self.claim_control().received
    }

    /// Has the reader end. A reader that waits for the device must be interrupted as well.
    pub(super) fn stop(&self) {
        let mut control = self.claim_control();
        (control.stopped, control.mode) = (true, ActiveMode::Off);
        self.store().stopped = true;
        self.control_changed.notify_all();
        self.buffers_returned.notify_all();
    }

    /// Locks `control` on any thread but the reader, which ends its burst for it.
    fn claim_control(&self) -> MutexGuard<'_, Control> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        let control = self.control();
        // With the lock held, under which the reader looks at `claims` and begins to wait: it cannot miss the
        // signal.
        self.claims.fetch_sub(1, Ordering::Relaxed);
        self.control_changed.notify_all();
        control
    }

    /// Whether another thread than the reader waits for `control`.
    pub(super) fn is_claimed(&self) -> bool {
        self.claims.load(Ordering::Relaxed) > 0
    }

    // A poisoned lock is used on: each change under it is one assignment or one push, which a panic cannot
    // interrupt.
    pub(super) fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the reader may go on.
pub(super) enum Permission {
    Granted {
        /// The reader had to wait, so the kernel's queue may have overflowed.
        after_a_pause: bool,
    },
    Stopped,
}

/// What the reader calls.
impl Channel {
    /// Waits until the mode allows a packet.
    pub(super) fn wait_for_permission(&self) -> Permission {
        let mut control = self.control();
        if self.is_claimed() {
            // Not in a loop: a thread that asks for statistics again and again must not stop the delivery.
            control = self.control_changed.wait(control).unwrap_or_else(PoisonError::into_inner);
        }
        let after_a_pause = control.allowed() == 0;
        let is_off = |control: &mut Control| control.allowed() == 0 && !control.stopped;
        let control =
            self.control_changed.wait_while(control, is_off).unwrap_or_else(PoisonError::into_inner);
        if control.stopped { Permission::Stopped } else { Permission::Granted { after_a_pause } }
    }

    /// Fills `spare` up to `wanted` buffers, or as many as there are, and waits if there is none.
    ///
    /// A reader that waits goes on when half of all buffers are free, so that it reads in bursts again, or
    /// when the consumer has no event left.
    pub(super) fn take_buffers(&self, spare: &mut Vec<Vec<u8>>, wanted: usize) -> Permission {
        let (capacity, length) = (self.options.capacity.get(), self.options.packet_length.get());
        let mut store = self.store();
        let after_a_pause = spare.is_empty() && store.free.is_empty() && store.allocated == capacity;
        if after_a_pause {
            store.reader_waits_for_buffers = true;
            let waits = |store: &mut Store| store.reader_waits_for_buffers && !store.stopped;
            store = self.buffers_returned.wait_while(store, waits).unwrap_or_else(PoisonError::into_inner);
        }
        if store.stopped {
            return Permission::Stopped;
        }
        while spare.len() < wanted {
            match store.free.pop() {
                Some(buffer) => spare.push(buffer),
                None if store.allocated < capacity => {
                    store.allocated += 1;
                    spare.push(vec![0; length]);
                }
                None => break,
            }
        }
        Permission::Granted { after_a_pause }
    }

    /// Moves `events` into the store.
    pub(super) fn deliver(&self, events: &mut Vec<ActiveEvent>) -> Notification {
        if events.is_empty() {
            return Notification::default();
        }
        let mut store = self.store();
        let was_empty = store.events.is_empty();
        for event in events.drain(..) {
            match (store.events.back_mut(), event) {
                (Some(ActiveEvent::Dropped(sum)), ActiveEvent::Dropped(more)) => {
                    *sum = sum.saturating_add(more);
                }
                (_, event) => store.events.push_back(event),
            }
        }
        store.consumer_found_nothing = false;
        if !was_empty {
            return Notification::default();
        }
        self.events_added.notify_all();
        store.notification()
    }

    /// Ends the events.
    pub(super) fn close(&self) {
        self.stop();
        let mut store = self.store();
        store.closed = true;
        self.events_added.notify_all();
        // The callback is kept after this last call: dropping a `mio::Waker` takes back an event that was not
        // polled yet.
        let notification = store.notification();
        drop(store);
        // The reader may be unwinding from a panic of the callback. A second panic would then abort the
        // process.
        let _ = catch_unwind(AssertUnwindSafe(|| notification.send()));
    }
}

impl Store {
    /// A call of the callback, to be sent once the lock is free.
    fn notification(&self) -> Notification {
        Notification::to(self.callback.clone())
    }
}

/// What the consumer calls.
impl Channel {
    pub(super) fn return_buffer(&self, buffer: Vec<u8>) {
        let mut store = self.store();
        if store.stopped {
            // The reader has ended, or is about to: nobody would use the buffer again.
            return;
        }
        store.free.push(buffer);
        self.resume_reader(&mut store);
    }

    /// Wakes a reader that waits for buffers if enough of them are free.
    fn resume_reader(&self, store: &mut Store) {
        let enough = if store.consumer_found_nothing { 1 } else { self.options.capacity.get().div_ceil(2) };
        if store.reader_waits_for_buffers && store.free.len() >= enough {
            store.reader_waits_for_buffers = false;
            self.buffers_returned.notify_all();
        }
    }

    /// Notes whether the consumer finds an event.
    fn note_demand(&self, store: &mut Store) {
        store.consumer_found_nothing = store.events.is_empty();
        self.resume_reader(store);
    }

    /// Moves all events into `taken`, which is empty.
    pub(super) fn try_take(&self, taken: &mut VecDeque<ActiveEvent>) {
        let mut store = self.store();
        self.note_demand(&mut store);
        std::mem::swap(taken, &mut store.events);
    }

    /// Like [`try_take`](Self::try_take), but waits for an event, the end of events, or the deadline if there
    /// is one.
    pub(super) fn take(&self, taken: &mut VecDeque<ActiveEvent>, deadline: Option<Instant>) {
        let mut store = self.store();
        self.note_demand(&mut store);
        while store.events.is_empty() && !store.closed {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            store = match left {
                None => self.events_added.wait(store).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return,
                Some(left) => {
                    self.events_added.wait_timeout(store, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        std::mem::swap(taken, &mut store.events);
    }

    pub(super) fn is_ended(&self) -> bool {
        let store = self.store();
        store.closed && store.events.is_empty()
    }

    /// Replaces the callback, and calls the new one if the consumer or the store has events, or at the end of
    /// events.
    pub(super) fn notify(&self, callback: Option<Callback>, consumer_has_events: bool) {
        let mut store = self.store();
        let previous = std::mem::replace(&mut store.callback, callback);
        let is_due = consumer_has_events || store.closed || !store.events.is_empty();
        let notification = if is_due { store.notification() } else { Notification::default() };
        drop(store);
        // Dropped without the lock: it may own packets, whose buffers return to the store.
        drop(previous);
        notification.send();
    }

    /// Discards all events, because the consumer is gone.
    pub(super) fn abandon(&self) {
        self.stop();
        let mut store = self.store();
        let (events, buffers) = (std::mem::take(&mut store.events), std::mem::take(&mut store.free));
        let callback = store.callback.take();
        drop(store);
        // Dropped without the lock: the buffers of the packets return to the store.
        drop((events, buffers, callback));
    }
}
