//! Events of interfaces in memory.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tunctl_core::{
    Cause, Error, EventWatcher, Events, InterfaceEvent, Interrupter, Operation, Readiness, Reason, Result,
    WaitOutcome,
};

use crate::backend::signal;
use crate::kernel::{NamespaceId, NetDevice};
use crate::rig::watch::{Found, WatcherId};
use crate::rig::{SharedWorld, Signal, World};
use crate::{Errno, MockBackend, MockInterface};

const OPERATION: Operation = Operation::Watch;

/// Events of the interfaces in a namespace of a [`MockBackend`], or of one of them.
///
/// 900 events wait for it; if there are more, the next one is an
/// [`Overrun`](tunctl_core::InterfaceEvent::Overrun). A test can force that:
/// [`MockBackend::lose_events`].
///
/// The carrier of an interface that is up is reported at once, where Linux takes up to a second. The
/// descriptor that it lends is readable exactly while an event waits, or the stream has ended.
pub struct MockWatcher {
    world: Arc<SharedWorld>,
    id: WatcherId,
    signal: Arc<Signal>,
    /// The descriptor that it lends.
    lent: Arc<UnixStream>,
    /// The only interface that it watches, if it is one.
    interface: Option<MockInterface>,
}

impl MockWatcher {
    fn begin(
        world: &Arc<SharedWorld>,
        namespace: NamespaceId,
        interface: Option<&MockInterface>,
    ) -> Result<Self> {
        let named = |reason| error(reason, interface);
        let (signal, lent) = signal().map_err(named)?;
        let mut locked = world.lock();
        let key = interface.map(MockInterface::key);
        let id = key.and_then(|key| locked.kernel().at(key).ok().map(NetDevice::id));
        locked.apply_fault(OPERATION, id).map_err(named)?;
        if let Some(interface) = interface {
            interface.ours(locked.kernel()).map_err(named)?;
        }
        let id = locked.watch(namespace, key, signal.clone());
        drop(locked);
        Ok(Self { world: world.clone(), id, signal, lent, interface: interface.cloned() })
    }

    fn next_from(&self, world: &mut World) -> Result<Option<InterfaceEvent>> {
        loop {
            match world.take_event(self.id) {
                Found::Event(event) => return Ok(Some(*event)),
                Found::End => return Ok(None),
                Found::Nothing => return Err(Errno::EAGAIN.reason(Cause::WouldBlock).of(OPERATION)),
                Found::Overrun => {
                    let is_gone = |interface: &MockInterface| interface.ours(world.kernel()).is_err();
                    let is_gone = self.interface.as_ref().is_some_and(is_gone);
                    world.catch_up(self.id, is_gone);
                }
            }
        }
    }

    fn fault(&self, world: &mut World) -> Result<()> {
        let interface = self.interface.as_ref();
        let id = interface.and_then(|interface| world.kernel().at(interface.key()).ok().map(NetDevice::id));
        world.apply_fault(OPERATION, id).map_err(|reason| error(reason, interface))
    }

    fn sleep<'a>(
        &'a self,
        world: MutexGuard<'a, World>,
        left: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> MutexGuard<'a, World> {
        match interrupter {
            None => self.signal.waiters.wait(world, left),
            Some(interrupter) => self.signal.wait_until(
                &self.world,
                world,
                self.lent.as_fd(),
                Readiness::Readable,
                left,
                interrupter,
            ),
        }
    }
}

fn error(reason: Reason, interface: Option<&MockInterface>) -> Error {
    match interface {
        Some(interface) => reason.of(OPERATION).with_name(interface.last_name()),
        None => reason.of(OPERATION),
    }
}

impl Events for MockBackend {
    type Watcher = MockWatcher;

    fn events(&self) -> Result<MockWatcher> {
        MockWatcher::begin(&self.world, self.namespace, None)
    }
}

impl Events for MockInterface {
    type Watcher = MockWatcher;

    fn events(&self) -> Result<MockWatcher> {
        MockWatcher::begin(self.world(), self.key().namespace, Some(self))
    }
}

impl MockBackend {
    /// Each program that watches interfaces of this namespace loses the events that wait for it, as if it had
    /// not kept up: the next one is an [`Overrun`](InterfaceEvent::Overrun).
    pub fn lose_events(&self) {
        self.world.lock().lose_events(self.namespace);
    }
}

impl EventWatcher for MockWatcher {
    fn try_next(&mut self) -> Result<Option<InterfaceEvent>> {
        let mut world = self.world.lock();
        self.fault(&mut world)?;
        self.next_from(&mut world)
    }

    fn wait(&self, timeout: Option<Duration>, interrupter: Option<&Interrupter>) -> Result<WaitOutcome> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut world = self.world.lock();
        loop {
            if interrupter.is_some_and(Interrupter::is_interrupted) {
                return Ok(WaitOutcome::Interrupted);
            }
            if world.has_event(self.id) {
                return Ok(WaitOutcome::Ready);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(WaitOutcome::TimedOut);
            }
            world = self.sleep(world, left, interrupter);
        }
    }
}

impl Iterator for MockWatcher {
    type Item = Result<InterfaceEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None, None).transpose()
    }
}

impl AsFd for MockWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let _world = self.world.lock();
        self.signal.descriptor.begin_lending();
        self.lent.as_fd()
    }
}

impl fmt::Debug for MockWatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, interface, .. } = self;
        f.debug_struct("MockWatcher").field("id", id).field("interface", interface).finish_non_exhaustive()
    }
}

impl Drop for MockWatcher {
    fn drop(&mut self) {
        self.world.lock().stop_watching(self.id);
    }
}
