//! A descriptor that an event loop can wait on, since a queue in memory has none.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::fstat;

/// One end of a socket pair, which is readable while a receive would not block, and writable while a send
/// would not.
///
/// A byte is written into the other end when there is something to receive, and read back when there is no
/// more: two system calls for each burst of packets and not for each packet. While the interface is down, the
/// socket is full of bytes in the other direction, which are taken out when it comes up. Nothing of this
/// happens before the descriptor is lent. It is a socket and not a pipe, because an event loop may also wait
/// until it can write.
///
/// The lent end belongs to the devices of the file. When the last of them has gone, a duplicate of it may be
/// left, which a program handed over: the other end shows when that is closed, too.
#[derive(Debug)]
pub(crate) struct Descriptor {
    lent: Mutex<Weak<UnixStream>>,
    other: UnixStream,
    identity: Identity,
    // All three change under the lock of the world.
    is_lent: AtomicBool,
    readable: Shown,
    writable: Shown,
}

/// A state of the device, and what the descriptor shows of it.
#[derive(Debug)]
struct Shown {
    wanted: AtomicBool,
    shown: AtomicBool,
}

impl Shown {
    /// A descriptor that was not lent shows this.
    const fn new(shown: bool) -> Self {
        Self { wanted: AtomicBool::new(false), shown: AtomicBool::new(shown) }
    }

    /// The state that is to be shown from now on, if another was shown before.
    fn change(&self) -> Option<bool> {
        let wanted = self.wanted.load(Ordering::Relaxed);
        (self.shown.swap(wanted, Ordering::Relaxed) != wanted).then_some(wanted)
    }

    /// It is still shown: only the lent end, which is not here, could take it back.
    fn postpone(&self) {
        self.shown.store(true, Ordering::Relaxed);
    }
}

/// What tells a socket from all others that are open: its device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

/// The identity of an open file.
pub(crate) fn identity(file: impl AsFd) -> std::io::Result<Identity> {
    let status = fstat(file)?;
    #[allow(
        clippy::useless_conversion,
        clippy::cast_sign_loss,
        reason = "their types differ between systems"
    )]
    Ok(Identity(status.st_dev as u64, u64::from(status.st_ino)))
}

impl Descriptor {
    /// A descriptor, and the end of it that is lent.
    pub(crate) fn new() -> std::io::Result<(Self, Arc<UnixStream>)> {
        let (lent, other) = UnixStream::pair()?;
        lent.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        let (readable, writable) = (Shown::new(false), Shown::new(true));
        let (identity, lent) = (identity(&lent)?, Arc::new(lent));
        let is_lent = AtomicBool::new(false);
        let descriptor =
            Self { lent: Mutex::new(Arc::downgrade(&lent)), other, identity, is_lent, readable, writable };
        Ok((descriptor, lent))
    }

    pub(crate) const fn identity(&self) -> Identity {
        self.identity
    }

    /// The lent end, unless only a duplicate outside is left.
    fn end(&self) -> Option<Arc<UnixStream>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).upgrade()
    }

    /// A duplicate of the lent end has come back, and shows the state from now on.
    pub(crate) fn take_back(&self, lent: &Arc<UnixStream>) {
        *self.lent.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(lent);
        self.begin_lending();
    }

    /// Whether a duplicate of the lent end is open after the devices' own is closed. There can be one only if
    /// it was lent.
    pub(crate) fn is_open_outside(&self) -> bool {
        if !self.is_lent.load(Ordering::Relaxed) {
            return false;
        }
        let mut polled = [PollFd::new(self.other.as_fd(), PollFlags::empty())];
        let _ = poll(&mut polled, PollTimeout::ZERO);
        !polled[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Sets whether there is something to receive.
    pub(crate) fn set_readable(&self, readable: bool) {
        self.readable.wanted.store(readable, Ordering::Relaxed);
        self.show();
    }

    /// Sets whether a send would find room.
    pub(crate) fn set_writable(&self, writable: bool) {
        self.writable.wanted.store(writable, Ordering::Relaxed);
        self.show();
    }

    /// Makes it readable and writable for ever, because the interface is deleted. This also wakes an
    /// edge-triggered loop that saw it readable before and waits for the next edge.
    pub(crate) fn set_for_ever(&self) {
        if self.is_lent.load(Ordering::Relaxed) {
            // One byte more than is ever read back, so that it stays readable; writing it is an edge.
            let _ = (&self.other).write(&[0]);
        }
        self.set_readable(true);
        self.set_writable(true);
    }

    /// From now on, all descriptors of the lent end show the state.
    pub(crate) fn begin_lending(&self) {
        self.is_lent.store(true, Ordering::Relaxed);
        self.show();
    }

    fn show(&self) {
        if !self.is_lent.load(Ordering::Relaxed) {
            return;
        }
        let lent = self.end();
        // Neither can fail: there is always room for one byte, and a byte that was written can be read.
        let _ = match (self.readable.change(), &lent) {
            (Some(true), _) => (&self.other).write(&[0]),
            (Some(false), Some(lent)) => (&**lent).read(&mut [0]),
            (Some(false), None) => {
                self.readable.postpone();
                Ok(0)
            }
            (None, _) => Ok(0),
        };
        match (self.writable.change(), &lent) {
            (Some(true), _) => self.take_out(),
            (Some(false), Some(lent)) => fill(lent),
            (Some(false), None) => self.writable.postpone(),
            (None, _) => {}
        }
    }

    /// Takes out what fills it.
    fn take_out(&self) {
        while (&self.other).read(&mut [0; 0x4000]).is_ok_and(|length| length > 0) {}
    }
}

/// Fills the socket until it is not writable.
fn fill(mut lent: &UnixStream) {
    let is_writable = || {
        let mut polled = [PollFd::new(lent.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    };
    while is_writable() && lent.write(&[0; 0x4000]).is_ok() {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

    use super::*;

    /// Reads all bytes that an event loop would find. Returns how many.
    fn waiting(mut lent: &UnixStream) -> usize {
        lent.read(&mut [0; 16]).unwrap_or(0)
    }

    fn is_writable(lent: &UnixStream) -> bool {
        let mut polled = [PollFd::new(lent.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
    }

    #[test]
    fn nothing_is_written_before_the_descriptor_is_lent() {
        let (descriptor, lent) = Descriptor::new().unwrap();
        descriptor.set_readable(true);
        assert_eq!(waiting(&lent), 0);
        descriptor.begin_lending();
        assert_eq!(waiting(&lent), 1);
    }

    #[test]
    fn a_burst_is_one_byte() {
        let (descriptor, lent) = Descriptor::new().unwrap();
        descriptor.begin_lending();
        descriptor.set_readable(true);
        descriptor.set_readable(true);
        descriptor.set_readable(true);
        assert_eq!(waiting(&lent), 1);
    }

    #[test]
    fn the_byte_is_gone_when_the_queue_is_empty() {
        let (descriptor, lent) = Descriptor::new().unwrap();
        descriptor.begin_lending();
        descriptor.set_readable(true);
        descriptor.set_readable(false);
        assert_eq!(waiting(&lent), 0);
        descriptor.set_readable(true);
        assert_eq!(waiting(&lent), 1);
    }

    #[test]
    fn it_is_writable_while_the_device_is() {
        let (descriptor, lent) = Descriptor::new().unwrap();
        descriptor.begin_lending();
        for _ in 0..3 {
            assert!(!is_writable(&lent), "a new interface is down");
            descriptor.set_writable(true);
            descriptor.set_readable(true);
            assert!(is_writable(&lent));
            assert_eq!(waiting(&lent), 1, "the two directions are apart");
            descriptor.set_readable(false);
            descriptor.set_writable(false);
        }
        descriptor.set_for_ever();
        assert!(is_writable(&lent));
    }

    #[test]
    fn what_only_the_lent_end_can_show_is_shown_when_it_comes_back() {
        let (descriptor, lent) = Descriptor::new().unwrap();
        assert!(!descriptor.is_open_outside());
        descriptor.begin_lending();
        descriptor.set_writable(true);
        let outside = lent.try_clone().unwrap();
        drop(lent);
        assert!(descriptor.is_open_outside());
        descriptor.set_readable(true);
        assert_eq!(waiting(&outside), 1);
        // It goes down, and nobody can fill it.
        descriptor.set_writable(false);
        assert!(is_writable(&outside));
        let lent = Arc::new(outside);
        descriptor.take_back(&lent);
        assert!(!is_writable(&lent));
        drop(lent);
        assert!(!descriptor.is_open_outside());
    }
}
