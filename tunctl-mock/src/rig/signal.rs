//! How threads that wait for a device, or for a change that a test waits for, are notified.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::{Interrupter, Readiness};

use super::descriptor::Descriptor;
use super::{SharedWorld, World};

/// Threads that wait for a change.
#[derive(Default)]
pub(crate) struct Waiters {
    /// Used with the lock of the world.
    changed: Condvar,
    /// How many wait. Notifying costs a system call even if no thread waits, so that is asked first.
    count: AtomicUsize,
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

    /// Wakes all, after a change.
    pub(super) fn wake(&self) {
        if self.count.load(Ordering::Relaxed) > 0 {
            self.changed.notify_all();
        }
    }
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
    /// A signal, and the descriptor that devices lend.
    pub(crate) fn new() -> io::Result<(Self, Arc<UnixStream>)> {
        let (descriptor, lent) = Descriptor::new()?;
        Ok((Self { descriptor, waiters: Waiters::default() }, lent))
    }

    /// Sleeps until a poll of the device reports this readiness, the interrupter is used or `limit` has
    /// passed. It polls the descriptors that both have, since a signal handler can write to a descriptor but
    /// not notify a condition variable.
    pub(crate) fn wait_until<'a>(
        &self,
        shared: &'a SharedWorld,
        world: MutexGuard<'a, World>,
        lent: BorrowedFd<'_>,
        readiness: Readiness,
        limit: Option<Duration>,
        interrupter: &Interrupter,
    ) -> MutexGuard<'a, World> {
        let events = match readiness {
            Readiness::Readable => PollFlags::POLLIN,
            Readiness::Writable => PollFlags::POLLOUT,
        };
        self.descriptor.begin_lending();
        let mut polled = [PollFd::new(lent, events), PollFd::new(interrupter.as_fd(), PollFlags::POLLIN)];
        drop(world);
        // The reason for the end does not matter, not even if it is a signal: the caller checks its condition
        // again.
        let _ = poll(&mut polled, poll_timeout(limit));
        shared.lock()
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
