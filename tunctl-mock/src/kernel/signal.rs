//! How devices and tests are told that something has changed.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Kernel, World};
use crate::readable::Readable;

/// By what a test is told that something has changed.
#[derive(Default)]
pub(crate) struct Watch {
    changed: Condvar,
    waiting: AtomicUsize,
}

impl Watch {
    pub(super) fn tell(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }
}

/// By what a device is told that it is ready.
pub(crate) struct Signal {
    pub(crate) readable: Readable,
    /// Notified at each change that may end a wait. Its lock is the kernel's.
    changed: Condvar,
    /// To notify costs a system call, also if nobody waits.
    waiting: AtomicUsize,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { readable: Readable::new()?, changed: Condvar::new(), waiting: AtomicUsize::new(0) })
    }

    /// Sleeps until something has changed, or `limit` has passed.
    pub(crate) fn wait<'a>(
        &self,
        world: MutexGuard<'a, World>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, World> {
        // The count changes under the lock, so a change that comes after it is seen.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let world = match limit {
            None => self.changed.wait(world).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(world, limit).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        world
    }

    /// Says what a receive would do now, to whoever waits to know.
    pub(super) fn tell(&self, readable: bool) {
        self.readable.set(readable);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }
}

impl Kernel {
    /// Asks again after each change, until there is an answer or `limit` has passed.
    pub(crate) fn wait_for<T>(
        &self,
        limit: Duration,
        mut answer: impl FnMut(&mut World) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now().checked_add(limit);
        let mut world = self.enter();
        let watch = world.watch.clone();
        loop {
            if let Some(answer) = answer(&mut world) {
                return Some(answer);
            }
            let left = deadline.map_or(limit, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            watch.waiting.fetch_add(1, Ordering::Relaxed);
            world = watch.changed.wait_timeout(world, left).unwrap_or_else(PoisonError::into_inner).0;
            watch.waiting.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
