//! How threads that wait for a device, or for a change that a test waits for, are notified.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::Interrupter;

use super::descriptor::Descriptor;
use super::{SharedWorld, World};

/// Threads that wait for a change.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Used with the lock of the world.
    changed: Condvar,
    /// How many wait. Notifying costs a system call even if no thread waits, so that is asked first.
    count: AtomicUsize,
    /// One for each thread that also waits for an interrupter. Such a thread polls, since a signal handler
    /// can write to a descriptor but not notify a condition variable.
    bells: Mutex<Vec<Arc<UnixStream>>>,
}

impl Waiters {
    /// Sleeps until something changes or `limit` has passed.
    pub(crate) fn wait<'a>(
        &self,
        world: MutexGuard<'a, World>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, World> {
        // The count changes under the lock, so no change can come between it and the wait.
        self.count.fetch_add(1, Ordering::Relaxed);
        let world = match limit {
            None => self.changed.wait(world).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(world, limit).unwrap_or_else(PoisonError::into_inner).0,
        };
        self.count.fetch_sub(1, Ordering::Relaxed);
        world
    }

    /// As [`wait`](Self::wait); also ends when the interrupter is used.
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
        // The reason for the end does not matter, not even if it is a signal: the caller checks its condition
        // again.
        let _ = poll(&mut [readable(&heard), readable(interrupter)], poll_timeout(limit));
        let world = shared.lock();
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bells().retain(|other| !Arc::ptr_eq(other, &rung));
        Ok(world)
    }

    /// Wakes all, after a change.
    pub(super) fn wake(&self) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
            for bell in &*self.bells() {
                // If there is no room, the bell has rung already.
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

/// The time limit of a poll, in whole milliseconds. A limit too long for `poll` is cut: the caller waits
/// again.
fn poll_timeout(limit: Option<Duration>) -> PollTimeout {
    let Some(limit) = limit else { return PollTimeout::NONE };
    let milliseconds = limit.as_nanos().div_ceil(1_000_000);
    PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX)
}

/// How the rig signals that a device is ready: to threads that wait, and by a descriptor to event loops.
pub(crate) struct Signal {
    pub(crate) descriptor: Descriptor,
    pub(crate) waiters: Waiters,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { descriptor: Descriptor::new()?, waiters: Waiters::default() })
    }

    /// Notifies of whether a receive would find something, and a send room.
    pub(super) fn notify(&self, readable: bool, writable: bool) {
        self.descriptor.set_readable(readable);
        self.descriptor.set_writable(writable);
        self.waiters.wake();
    }
}

impl SharedWorld {
    /// Evaluates `answer` after each change, until it returns something or `limit` has passed.
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
