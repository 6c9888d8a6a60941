//! The test rig: what a test needs around the kernel, under one lock with it.
//!
//! | what | file |
//! |---|---|
//! | cables, switches, late packets, the clock, traces | `wire.rs` |
//! | what a bad wire does to a packet | `impairment.rs` |
//! | scripted faults | `fault.rs` |
//! | received packets, deleted interfaces | `memory.rs` |
//! | waking threads and event loops | `signal.rs`, `descriptor.rs` |
//! | programs that watch interfaces | `watch.rs` |
//! | packets that the system sends unasked | `solicitation.rs` |
//!
//! The kernel knows nothing about the rig. Its rules leave [`Event`]s behind, and [`World::step`] passes them
//! on before it returns, so that no waiter misses a change.

mod descriptor;
pub(crate) mod fault;
pub(crate) mod impairment;
mod memory;
mod signal;
pub(crate) mod solicitation;
pub(crate) mod watch;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tunctl_core::{Operation, Readiness, State};

use crate::KernelProfile;
use crate::kernel::{AttachRequest, Attached, Event, FileId, InterfaceId, Kernel, NetDevice, Result};
use crate::open_file::OpenFile;
pub(crate) use descriptor::{Identity, identity};
use fault::{Effect, Faults};
use memory::Memory;
pub(crate) use signal::Signal;
use signal::Waiters;
use watch::Watchers;
use wire::Wires;

/// A kernel and the rig around it, shared by all handles.
pub(crate) struct SharedWorld {
    world: Mutex<World>,
}

impl SharedWorld {
    pub(crate) fn new(profile: KernelProfile) -> Self {
        let world = World {
            kernel: Kernel::new(profile),
            faults: Faults::default(),
            wires: Wires::default(),
            memory: Memory::default(),
            watchers: Watchers::default(),
            files: BTreeMap::new(),
            orphans: Vec::new(),
            test_waiters: Arc::default(),
        };
        Self { world: Mutex::new(world) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A poisoned lock is no reason to fail: a rule checks before it changes anything, so a thread that
        // panicked in a step has left a consistent world.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        if !world.orphans.is_empty() {
            world.close_orphans();
        }
        world
    }
}

impl fmt::Debug for SharedWorld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWorld").finish_non_exhaustive()
    }
}

/// The kernel, and everything that a test has around it.
pub(crate) struct World {
    kernel: Kernel,
    pub(crate) faults: Faults,
    pub(crate) wires: Wires,
    pub(crate) memory: Memory,
    watchers: Watchers,
    files: BTreeMap<FileId, FileRecord>,
    /// The files of which only descriptors outside are left, which were handed over.
    orphans: Vec<FileId>,
    /// Woken at each change that a test may wait for.
    test_waiters: Arc<Waiters>,
}

/// What the rig keeps of an open file.
struct FileRecord {
    /// The interface that it is attached to, or was attached to until that was deleted.
    interface: InterfaceId,
    signal: Arc<Signal>,
    /// As its devices have it, while there are any.
    open: Weak<OpenFile>,
}

impl World {
    pub(crate) const fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Applies a rule of the kernel, and passes on what it reports.
    #[inline]
    pub(crate) fn step<T>(&mut self, rule: impl FnOnce(&mut Kernel) -> T) -> T {
        let result = rule(&mut self.kernel);
        while let Some(event) = self.kernel.take_event() {
            self.pass_on(event);
        }
        result
    }

    fn pass_on(&mut self, event: Event) {
        match event {
            Event::PollChanged(file) => self.notify(file),
            Event::Named { interface, namespace, name } => self.own_name(namespace, name, interface),
            Event::Reported { namespace, notification } => self.pass_on_report(namespace, &notification),
            Event::StateChanged => self.test_waiters.wake(),
            Event::Deleted(device) => self.bury(*device),
        }
    }

    /// A deleted interface loses its wires, shows its end to event loops, and is remembered for the test.
    fn bury(&mut self, device: NetDevice) {
        let id = device.id();
        self.lose_in_flight(id);
        self.wires.forget(id);
        for file in device.files() {
            if let Some(record) = self.files.get(&file) {
                record.signal.descriptor.set_for_ever();
            }
        }
        self.memory.remember(device);
        self.test_waiters.wake();
        self.forget_if_unreachable(id);
    }

    /// Applies the fault that the test scripted for this call of an operation, if there is one.
    #[inline]
    pub(crate) fn apply_fault(&mut self, operation: Operation, interface: Option<InterfaceId>) -> Result {
        if self.faults.is_empty() {
            return Ok(());
        }
        let Some(effect) = self.faults.take_due(operation) else { return Ok(()) };
        match (effect, interface) {
            (Effect::Deletes, Some(id)) => self.step(|kernel| kernel.unregister(id)),
            (Effect::TakesDown, Some(id)) => self.step(|kernel| kernel.set_state(id, State::Down)),
            _ => {}
        }
        effect.reason().map_or(Ok(()), Err)
    }

    /// Opens a file and attaches it. The signal is raised when a poll of the file changes.
    pub(crate) fn attach(&mut self, wanted: &AttachRequest<'_>, signal: Arc<Signal>) -> Result<Attached> {
        let attached = self.step(|kernel| kernel.set_iff(wanted))?;
        let open = Weak::new();
        self.files.insert(attached.file, FileRecord { interface: attached.interface, signal, open });
        // The interface may be up already.
        self.notify(attached.file);
        Ok(attached)
    }

    /// Makes an attached file one that devices share, by the end of its descriptor that they lend.
    pub(crate) fn share(
        &mut self,
        world: &Arc<SharedWorld>,
        file: FileId,
        signal: Arc<Signal>,
        lent: Arc<UnixStream>,
    ) -> Arc<OpenFile> {
        let open = Arc::new(OpenFile::new(world, file, signal, lent));
        if let Some(record) = self.files.get_mut(&file) {
            record.open = Arc::downgrade(&open);
        }
        open
    }

    /// The descriptor of a device that has none of its own, for it to hand over.
    pub(crate) fn hand_over(&mut self, open: &mut Arc<OpenFile>) -> Option<UnixStream> {
        if Arc::strong_count(open) > 1 {
            return open.take_spare();
        }
        // Nobody else can get at it while the world is locked.
        let record = self.files.get_mut(&open.id)?;
        record.open = Weak::new();
        let lent = Arc::get_mut(open).and_then(OpenFile::take_lent);
        record.open = Arc::downgrade(open);
        lent
    }

    /// The file that a descriptor is of, and its signal.
    pub(crate) fn file_of(&self, identity: Identity) -> Option<(FileId, Arc<Signal>)> {
        let mut files = self.files.iter();
        let found = files.find(|(_, record)| record.signal.descriptor.identity() == identity);
        found.map(|(&file, record)| (file, record.signal.clone()))
    }

    /// A file as its devices have it, if there are any.
    pub(crate) fn open_file(&self, file: FileId) -> Option<Arc<OpenFile>> {
        self.files.get(&file)?.open.upgrade()
    }

    /// A file of which only descriptors outside were left has a device again, whose descriptor is this one.
    pub(crate) fn reopen(
        &mut self,
        world: &Arc<SharedWorld>,
        file: FileId,
        signal: Arc<Signal>,
        lent: UnixStream,
    ) -> Arc<OpenFile> {
        self.orphans.retain(|&other| other != file);
        let lent = Arc::new(lent);
        signal.descriptor.take_back(&lent);
        self.share(world, file, signal, lent)
    }

    /// The last device of a file has gone, and closed its descriptors. The file is closed unless a descriptor
    /// is left that was handed over.
    pub(crate) fn release(&mut self, file: FileId, gone: &OpenFile) {
        let Some(record) = self.files.get(&file) else { return };
        // A device may have been made of a descriptor outside before this one could say that it has gone.
        if !std::ptr::eq(record.open.as_ptr(), gone) {
            return;
        }
        if record.signal.descriptor.is_open_outside() {
            self.orphans.push(file);
        } else {
            self.close(file);
        }
    }

    /// Closes the files whose last descriptor outside was closed.
    fn close_orphans(&mut self) {
        for file in std::mem::take(&mut self.orphans) {
            match self.files.get(&file) {
                Some(record) if record.signal.descriptor.is_open_outside() => self.orphans.push(file),
                _ => self.close(file),
            }
        }
    }

    pub(crate) fn close(&mut self, file: FileId) {
        // The record is removed first, so that it does not keep the memory of an interface that is deleted
        // with it.
        let record = self.files.remove(&file);
        self.step(|kernel| kernel.close(file));
        if let Some(record) = record {
            self.forget_if_unreachable(record.interface);
        }
    }

    pub(crate) fn send(&mut self, file: FileId, pieces: &[IoSlice<'_>]) -> Result<usize> {
        let sent = self.kernel.send(file, pieces)?;
        // The kernel takes headers without a packet, and nobody ever sees it (Linux 6.18): a packet socket
        // passes over it (`packet_rcv`), and a protocol has nothing to read.
        if !sent.skb.bytes.is_empty() {
            self.emit(sent.from, sent.skb);
        }
        Ok(sent.length)
    }

    pub(crate) fn receive(&mut self, file: FileId, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let outcome = self.kernel.receive(file, buffers);
        let record = self.files.get(&file).filter(|_| !self.kernel.is_ready(file, Readiness::Readable));
        if let Some(record) = record {
            record.signal.descriptor.set_readable(false);
        }
        outcome
    }

    /// The interface that an open file is, or was, attached to.
    pub(crate) fn last_interface_of(&self, file: FileId) -> Option<InterfaceId> {
        self.files.get(&file).map(|record| record.interface)
    }

    fn notify(&self, file: FileId) {
        if let Some(record) = self.files.get(&file) {
            let is_ready = |readiness| self.kernel.is_ready(file, readiness);
            record.signal.notify(is_ready(Readiness::Readable), is_ready(Readiness::Writable));
        }
    }
}
