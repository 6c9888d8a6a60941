//! A descriptor that an event loop can wait on, since a queue in memory has none.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// One end of a socket pair, which is readable while a receive would not block, and writable while a send
/// would not.
///
/// A byte is written into the other end when there is something to receive, and read back when there is no
/// more: two system calls for each burst of packets and not for each packet. While the interface is down, the
/// socket is full of bytes in the other direction, which are taken out when it comes up. Nothing of this
/// happens before the descriptor is lent. It is a socket and not a pipe, because an event loop may also wait
/// until it can write.
#[derive(Debug)]
pub(crate) struct Descriptor {
    lent: UnixStream,
    other: UnixStream,
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
}

impl Descriptor {
    pub(crate) fn new() -> std::io::Result<Self> {
        let (lent, other) = UnixStream::pair()?;
        lent.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        let (readable, writable) = (Shown::new(false), Shown::new(true));
        Ok(Self { lent, other, is_lent: AtomicBool::new(false), readable, writable })
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

    /// Returns a second descriptor of the same end, for a clone of the device.
    pub(crate) fn duplicate(&self) -> std::io::Result<UnixStream> {
        self.lent.try_clone()
    }

    /// From now on, all descriptors of this end show the state.
    pub(crate) fn begin_lending(&self) {
        self.lend();
    }

    /// Lends the descriptor, which shows the state from now on.
    pub(crate) fn lend(&self) -> BorrowedFd<'_> {
        self.is_lent.store(true, Ordering::Relaxed);
        self.show();
        self.lent.as_fd()
    }

    fn show(&self) {
        if !self.is_lent.load(Ordering::Relaxed) {
            return;
        }
        // Neither can fail: there is always room for one byte, and a byte that was written can be read.
        let _ = match self.readable.change() {
            Some(true) => (&self.other).write(&[0]),
            Some(false) => (&self.lent).read(&mut [0]),
            None => Ok(0),
        };
        match self.writable.change() {
            Some(true) => self.take_out(),
            Some(false) => self.fill(),
            None => {}
        }
    }

    /// Fills the socket until it is not writable.
    fn fill(&self) {
        let is_writable = || {
            let mut polled = [PollFd::new(self.lent.as_fd(), PollFlags::POLLOUT)];
            poll(&mut polled, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        };
        while is_writable() && (&self.lent).write(&[0; 0x4000]).is_ok() {}
    }

    /// Takes out what fills it.
    fn take_out(&self) {
        while (&self.other).read(&mut [0; 0x4000]).is_ok_and(|length| length > 0) {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

    use super::*;

    /// Reads all bytes that an event loop would find. Returns how many.
    fn waiting(descriptor: &Descriptor) -> usize {
        (&descriptor.lent).read(&mut [0; 16]).unwrap_or(0)
    }

    fn is_writable(descriptor: &Descriptor) -> bool {
        let mut polled = [PollFd::new(descriptor.lent.as_fd(), PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
    }

    #[test]
    fn nothing_is_written_before_the_descriptor_is_lent() {
        let descriptor = Descriptor::new().unwrap();
        descriptor.set_readable(true);
        assert_eq!(waiting(&descriptor), 0);
        let _ = descriptor.lend();
        assert_eq!(waiting(&descriptor), 1);
    }

    #[test]
    fn a_burst_is_one_byte() {
        let descriptor = Descriptor::new().unwrap();
        let _ = descriptor.lend();
        descriptor.set_readable(true);
        descriptor.set_readable(true);
        descriptor.set_readable(true);
        assert_eq!(waiting(&descriptor), 1);
    }

    #[test]
    fn the_byte_is_gone_when_the_queue_is_empty() {
        let descriptor = Descriptor::new().unwrap();
        let _ = descriptor.lend();
        descriptor.set_readable(true);
        descriptor.set_readable(false);
        assert_eq!(waiting(&descriptor), 0);
        descriptor.set_readable(true);
        assert_eq!(waiting(&descriptor), 1);
    }

    #[test]
    fn it_is_writable_while_the_device_is() {
        let descriptor = Descriptor::new().unwrap();
        let _ = descriptor.lend();
        for _ in 0..3 {
            assert!(!is_writable(&descriptor), "a new interface is down");
            descriptor.set_writable(true);
            descriptor.set_readable(true);
            assert!(is_writable(&descriptor));
            assert_eq!(waiting(&descriptor), 1, "the two directions are apart");
            descriptor.set_readable(false);
            descriptor.set_writable(false);
        }
        descriptor.set_for_ever();
        assert!(is_writable(&descriptor));
    }
}
