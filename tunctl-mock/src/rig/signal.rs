//! How devices and tests are told that something has changed.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::Interrupter;

use super::readable::Readable;
use super::{SharedWorld, World};

/// Those who wait for a change.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Its lock is the kernel's.
    changed: Condvar,
    /// To notify costs a system call, also if nobody waits.
    count: AtomicUsize,
    /// Those who wait for an interrupt as well, which comes through a descriptor, so that a signal handler can send it.
    bells: Mutex<Vec<Arc<UnixStream>>>,
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

    /// As [`wait`](Self::wait), or until the interrupter is used.
    pub(crate) fn wait_until<'a>(
        &self,
        shared: &'a SharedWorld,
        world: MutexGuard<'a, World>,
        limit: Option<Duration>,
        interrupter: &Interrupter,
    ) -> io::Result<MutexGuard<'a, World>> {
        let (heard, rung) = UnixStream::pair()?;
        rung.set_nonblocking(true)?;
        let rung = Arc::new(rung);
        self.bells().push(rung.clone());
        self.count.fetch_add(1, Ordering::Relaxed);
        drop(world);
        // Whatever ended it, also a signal: who called looks again.
        let _ = poll(&mut [readable(&heard), readable(interrupter)], poll_timeout(limit));
        let world = shared.lock();
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bells().retain(|other| !Arc::ptr_eq(other, &rung));
        Ok(world)
    }

    /// Something has changed.
    pub(super) fn wake(&self) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
            for bell in &*self.bells() {
                // If there is no room, it has been rung.
                let _ = (&**bell).write(&[0]);
            }
        }
    }

    fn bells(&self) -> MutexGuard<'_, Vec<Arc<UnixStream>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn readable(descriptor: &impl AsFd) -> PollFd<'_> {
    PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)
}

/// In whole milliseconds, of which there may be too many: a wait that ends early is begun again.
fn poll_timeout(limit: Option<Duration>) -> PollTimeout {
    let Some(limit) = limit else { return PollTimeout::NONE };
    let milliseconds = limit.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
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
    pub(super) fn notify(&self, readable: bool) {
        self.readable.set(readable);
        self.waiters.wake();
    }
}

impl SharedWorld {
    /// Asks again after each change, until there is an answer or `limit` has passed.
    pub(crate) fn wait_for<T>(
        &self,
        limit: Duration,
        mut answer: impl FnMut(&mut World) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now().checked_add(limit);
        let mut world = self.lock();
        let tests = world.test_waiters.clone();
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
