//! How devices and tests are told that something has changed.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Kernel, World};
use crate::readable::Readable;

/// Those who wait for a change.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Its lock is the kernel's.
    changed: Condvar,
    /// To notify costs a system call, also if nobody waits.
    count: AtomicUsize,
}

impl Waiters {
    /// Sleeps until something has changed, or `limit` has passed.
    pub(crate) fn wait<'a>(
        &self,
        world: MutexGuard<'a, World>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, World> {
        // The count changes under the lock, so a change that comes after it is seen.
        self.count.fetch_add(1, Ordering::Relaxed);
        let world = match limit {
            None => self.changed.wait(world).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(world, limit).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.count.fetch_sub(1, Ordering::Relaxed);
        world
    }

    /// Something has changed.
    pub(super) fn wake(&self) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }
}

/// By what a device is told that it is ready.
pub(crate) struct Signal {
    pub(crate) readable: Readable,
    pub(crate) waiters: Waiters,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { readable: Readable::new()?, waiters: Waiters::default() })
    }

    /// Says what a receive would do now, to whoever waits to know.
    pub(super) fn tell(&self, readable: bool) {
        self.readable.set(readable);
        self.waiters.wake();
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
        let tests = world.tests.clone();
        loop {
            if let Some(answer) = answer(&mut world) {
                return Some(answer);
            }
            let left = deadline.map_or(limit, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return None;
            }
            world = tests.wait(world, Some(left));
        }
    }
}
