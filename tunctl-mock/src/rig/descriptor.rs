//! A descriptor that an event loop can wait on, since a queue in memory has none.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// One end of a socket pair, which is readable while a receive would not block.
///
/// A byte is written into the other end when that state begins, and read back when it ends: two system calls
/// for each burst of packets and not for each packet, and none before the descriptor is lent. It is a socket
/// and not a pipe, because an event loop may also wait until it can write.
#[derive(Debug)]
pub(crate) struct Descriptor {
    lent: UnixStream,
    other: UnixStream,
    // All three change under the lock of the world.
    is_lent: AtomicBool,
    wanted: AtomicBool,
    written: AtomicBool,
}

impl Descriptor {
    pub(crate) fn new() -> std::io::Result<Self> {
        let (lent, other) = UnixStream::pair()?;
        lent.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        let no = || AtomicBool::new(false);
        Ok(Self { lent, other, is_lent: no(), wanted: no(), written: no() })
    }

    /// Sets whether there is something to receive.
    pub(crate) fn set(&self, readable: bool) {
        self.wanted.store(readable, Ordering::Relaxed);
        if self.is_lent.load(Ordering::Relaxed) {
            self.show(readable);
        }
    }

    /// Makes it readable for ever, because the interface is deleted. This also wakes an edge-triggered loop
    /// that saw it readable before and waits for the next edge.
    pub(crate) fn set_for_ever(&self) {
        if self.is_lent.load(Ordering::Relaxed) {
            // One byte more than is ever read back, so that it stays readable; writing it is an edge.
            let _ = (&self.other).write(&[0]);
        }
        self.set(true);
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
        if !self.is_lent.swap(true, Ordering::Relaxed) {
            self.show(self.wanted.load(Ordering::Relaxed));
        }
        self.lent.as_fd()
    }

    fn show(&self, readable: bool) {
        if self.written.swap(readable, Ordering::Relaxed) == readable {
            return;
        }
        // Neither can fail: there is always room for one byte, and a byte that was written can be read.
        let _ = if readable { (&self.other).write(&[0]) } else { (&self.lent).read(&mut [0]) };
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

    #[test]
    fn nothing_is_written_before_the_descriptor_is_lent() {
        let descriptor = Descriptor::new().unwrap();
        descriptor.set(true);
        assert_eq!(waiting(&descriptor), 0);
        let _ = descriptor.lend();
        assert_eq!(waiting(&descriptor), 1);
    }

    #[test]
    fn a_burst_is_one_byte() {
        let descriptor = Descriptor::new().unwrap();
        let _ = descriptor.lend();
        descriptor.set(true);
        descriptor.set(true);
        descriptor.set(true);
        assert_eq!(waiting(&descriptor), 1);
    }

    #[test]
    fn the_byte_is_gone_when_the_queue_is_empty() {
        let descriptor = Descriptor::new().unwrap();
        let _ = descriptor.lend();
        descriptor.set(true);
        descriptor.set(false);
        assert_eq!(waiting(&descriptor), 0);
        descriptor.set(true);
        assert_eq!(waiting(&descriptor), 1);
    }
}
