//! What the reader and the consumer share.
//!
//! Two locks. Who holds the *gate* says what may be taken from the device: the reader holds it for as long as it reads a burst,
//! so that a change of mode is in force when it returns. A burst ends early for who waits for the gate, and lets him go
//! first: a lock that is free for a moment only is had by the thread that runs, again and again. The *store* has the events that
//! wait and the buffers that are free; it is held for moments only. The gate comes first where both are held.
//!
//! The consumer's callback runs when neither is held: it is the program's, and may use the device or wait for a lock of its own.

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
    gate: Mutex<Gate>,
    /// How many wait for the gate, the reader aside.
    claims: AtomicUsize,
    /// The mode is another one, or somebody has had the gate.
    moved: Condvar,
    store: Mutex<Store>,
    /// An event was added, or the last one was.
    filled: Condvar,
    /// Enough buffers came back.
    refilled: Condvar,
}

/// What may be taken from the device, and what was.
#[derive(Debug)]
pub(super) struct Gate {
    mode: ActiveMode,
    received: u64,
    /// The device's holder, or the consumer, has had enough.
    stopped: bool,
}

#[derive(Debug, Default)]
struct Store {
    events: VecDeque<ActiveEvent>,
    /// There will be no more.
    closed: bool,
    free: Vec<Vec<u8>>,
    made: usize,
    /// The reader waits for buffers.
    starved: bool,
    /// The consumer has asked in vain: it has nothing, and may yet hold buffers for good.
    hungry: bool,
    stopped: bool,
    callback: Option<Callback>,
}

impl Gate {
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

    /// So many were taken; whether a count came to its end.
    pub(super) fn spend(&mut self, packets: usize) -> bool {
        self.received += u64::try_from(packets).unwrap_or(u64::MAX);
        let (mode, is_over) = match self.mode {
            ActiveMode::Once if packets > 0 => (ActiveMode::Off, false),
            ActiveMode::Count(left) if left <= packets => (ActiveMode::Off, true),
            ActiveMode::Count(left) => (ActiveMode::Count(left - packets), false),
            other => (other, false),
        };
        self.mode = mode;
        is_over
    }

    pub(super) const fn turn_off(&mut self) {
        self.mode = ActiveMode::Off;
    }
}

/// A count of nothing is no count.
const fn plain(mode: ActiveMode) -> ActiveMode {
    match mode {
        ActiveMode::Count(0) => ActiveMode::Off,
        mode => mode,
    }
}

/// The holder's side.
impl Channel {
    pub(super) fn new(options: ActiveOptions, mode: ActiveMode) -> Self {
        Self {
            options,
            gate: Mutex::new(Gate { mode: plain(mode), received: 0, stopped: false }),
            claims: AtomicUsize::new(0),
            moved: Condvar::new(),
            store: Mutex::default(),
            filled: Condvar::new(),
            refilled: Condvar::new(),
        }
    }

    pub(super) fn set_mode(&self, mode: ActiveMode) {
        let mut gate = self.claim();
        if !gate.stopped {
            gate.mode = plain(mode);
            self.moved.notify_all();
        }
    }

    pub(super) fn mode(&self) -> ActiveMode {
        self.claim().mode
    }

    pub(super) fn received(&self) -> u64 {
        self.claim().received
    }

    /// The reader is to end. If it waits for the device, it must be interrupted.
    pub(super) fn stop(&self) {
        let mut gate = self.claim();
        (gate.stopped, gate.mode) = (true, ActiveMode::Off);
        self.store().stopped = true;
        self.moved.notify_all();
        self.refilled.notify_all();
    }

    /// The gate, for anybody but the reader, who lets it go.
    fn claim(&self) -> MutexGuard<'_, Gate> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        let gate = self.gate();
        // Under the lock under which the reader looks and begins to wait, so that it cannot miss it.
        self.claims.fetch_sub(1, Ordering::Relaxed);
        self.moved.notify_all();
        gate
    }

    /// Whether somebody waits for the gate.
    pub(super) fn is_claimed(&self) -> bool {
        self.claims.load(Ordering::Relaxed) > 0
    }

    // A panic of another thread while it had the lock left nothing half done: each change is one assignment, or a push.
    pub(super) fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the reader waits for.
pub(super) enum Permission {
    /// It may go on.
    Granted {
        /// It had to wait: the kernel's queue may have run over.
        after_a_pause: bool,
    },
    /// It is to end.
    Stopped,
}

/// The reader's side.
impl Channel {
    /// Waits until something may be taken from the device.
    pub(super) fn wait_for_permission(&self) -> Permission {
        let mut gate = self.gate();
        if self.is_claimed() {
            // Once: who asks for statistics again and again is not to end the delivery.
            gate = self.moved.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        let after_a_pause = gate.allowed() == 0;
        let idle = |gate: &mut Gate| gate.allowed() == 0 && !gate.stopped;
        let gate = self.moved.wait_while(gate, idle).unwrap_or_else(PoisonError::into_inner);
        if gate.stopped { Permission::Stopped } else { Permission::Granted { after_a_pause } }
    }

    /// Adds to `spare` until it has `wanted` buffers, if there are so many, and waits for the first. A reader that found none
    /// goes on when half of all are back, so that it then works in bursts again, or when the consumer has nothing else to do.
    pub(super) fn provide(&self, spare: &mut Vec<Vec<u8>>, wanted: usize) -> Permission {
        let (capacity, length) = (self.options.capacity.get(), self.options.packet_length.get());
        let mut store = self.store();
        let after_a_pause = spare.is_empty() && store.free.is_empty() && store.made == capacity;
        if after_a_pause {
            store.starved = true;
            let starved = |store: &mut Store| store.starved && !store.stopped;
            store = self.refilled.wait_while(store, starved).unwrap_or_else(PoisonError::into_inner);
        }
        if store.stopped {
            return Permission::Stopped;
        }
        while spare.len() < wanted {
            match store.free.pop() {
                Some(buffer) => spare.push(buffer),
                None if store.made < capacity => {
                    store.made += 1;
                    spare.push(vec![0; length]);
                }
                None => break,
            }
        }
        Permission::Granted { after_a_pause }
    }

    /// Hands events on, and leaves `events` empty.
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
        store.hungry = false;
        if !was_empty {
            return Notification::default();
        }
        self.filled.notify_all();
        store.notification()
    }

    /// There will be no more events.
    pub(super) fn close(&self) {
        self.stop();
        let mut store = self.store();
        store.closed = true;
        self.filled.notify_all();
        // The last call. The callback is kept all the same: a `mio::Waker` that is dropped takes back an event not polled yet.
        let notification = store.notification();
        drop(store);
        // If a panic of the callback ends the thread, a second one would abort the process.
        let _ = catch_unwind(AssertUnwindSafe(|| notification.send()));
    }
}

impl Store {
    /// Has the consumer called, once the lock is free.
    fn notification(&self) -> Notification {
        Notification::to(self.callback.clone())
    }
}

/// The consumer's side.
impl Channel {
    pub(super) fn give_back(&self, buffer: Vec<u8>) {
        let mut store = self.store();
        if store.stopped {
            // Nothing will be read any more.
            return;
        }
        store.free.push(buffer);
        self.feed(&mut store);
    }

    /// Lets the reader go on if it should.
    fn feed(&self, store: &mut Store) {
        let enough = if store.hungry { 1 } else { self.options.capacity.get().div_ceil(2) };
        if store.starved && store.free.len() >= enough {
            store.starved = false;
            self.refilled.notify_all();
        }
    }

    /// Moves all events that wait into `taken`, which is empty.
    pub(super) fn take_what_waits(&self, taken: &mut VecDeque<ActiveEvent>) {
        let mut store = self.store();
        self.ask(&mut store);
        std::mem::swap(taken, &mut store.events);
    }

    fn ask(&self, store: &mut Store) {
        store.hungry = store.events.is_empty();
        self.feed(store);
    }

    /// The same, but waits for an event, or for the end; until then at the latest, if it is said.
    pub(super) fn take(&self, taken: &mut VecDeque<ActiveEvent>, until: Option<Instant>) {
        let mut store = self.store();
        self.ask(&mut store);
        while store.events.is_empty() && !store.closed {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            store = match left {
                None => self.filled.wait(store).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return,
                Some(left) => self.filled.wait_timeout(store, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        std::mem::swap(taken, &mut store.events);
    }

    pub(super) fn is_ended(&self) -> bool {
        let store = self.store();
        store.closed && store.events.is_empty()
    }

    pub(super) fn notify(&self, callback: Option<Callback>, is_due: bool) {
        let mut store = self.store();
        let previous = std::mem::replace(&mut store.callback, callback);
        let is_due = is_due || store.closed || !store.events.is_empty();
        let notification = if is_due { store.notification() } else { Notification::default() };
        drop(store);
        // It may own packets, which give their buffers back to the store.
        drop(previous);
        notification.send();
    }

    /// Nobody will take events any more.
    pub(super) fn abandon(&self) {
        self.stop();
        // Packets, which the callback may own too, give their buffers back to the store, which must not be held then.
        let mut store = self.store();
        let left =
            (std::mem::take(&mut store.events), std::mem::take(&mut store.free), store.callback.take());
        drop(store);
        drop(left);
    }
}
