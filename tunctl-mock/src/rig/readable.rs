//! A descriptor that an event loop can wait on, since a queue in memory has none.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// One end of a socket pair, which is readable while the queue has something to say.
///
/// A byte is written into the other end when that begins, and read back when it ends: two system calls for each burst of
/// packets, not for each packet, and none before somebody has asked for the descriptor. A socket, not a pipe, because an
/// event loop may also wait until it can write.
#[derive(Debug)]
pub(crate) struct Readable {
    lent: UnixStream,
    other: UnixStream,
    // All three change under the kernel's lock.
    is_lent: AtomicBool,
    wanted: AtomicBool,
    written: AtomicBool,
}

impl Readable {
    pub(crate) fn new() -> std::io::Result<Self> {
        let (lent, other) = UnixStream::pair()?;
        lent.set_nonblocking(true)?;
        other.set_nonblocking(true)?;
        let no = || AtomicBool::new(false);
        Ok(Self { lent, other, is_lent: no(), wanted: no(), written: no() })
    }

    /// Says whether there is something to receive.
    pub(crate) fn set(&self, readable: bool) {
        self.wanted.store(readable, Ordering::Relaxed);
        if self.is_lent.load(Ordering::Relaxed) {
            self.show(readable);
        }
    }

    /// Says that there will always be something: that the interface is deleted. Also who has seen it readable before, and
    /// waits for it to become so again, is woken.
    pub(crate) fn set_for_ever(&self) {
        if self.is_lent.load(Ordering::Relaxed) {
            // One byte more than is ever read back.
            let _ = (&self.other).write(&[0]);
        }
        self.set(true);
    }

    /// A second descriptor of the same end, for a clone of the device.
    pub(crate) fn duplicate(&self) -> std::io::Result<UnixStream> {
        self.lent.try_clone()
    }

    /// Shows the state from now on, in every descriptor of this end.
    pub(crate) fn begin_lending(&self) {
        self.lend();
    }

    /// The descriptor; from now on it shows the state.
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
        // One byte always has room, and a byte that was written is there: neither can fail while both ends are ours.
        let _ = if readable { (&self.other).write(&[0]) } else { (&self.lent).read(&mut [0]) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

    use super::*;

    /// How many bytes an event loop would find; they are read.
    fn waiting(readable: &Readable) -> usize {
        (&readable.lent).read(&mut [0; 16]).unwrap_or(0)
    }

    #[test]
    fn nothing_is_written_before_the_descriptor_is_lent() {
        let readable = Readable::new().unwrap();
        readable.set(true);
        assert_eq!(waiting(&readable), 0);
        let _ = readable.lend();
        assert_eq!(waiting(&readable), 1);
    }

    #[test]
    fn a_burst_is_one_byte() {
        let readable = Readable::new().unwrap();
        let _ = readable.lend();
        readable.set(true);
        readable.set(true);
        readable.set(true);
        assert_eq!(waiting(&readable), 1);
    }

    #[test]
    fn the_byte_is_gone_when_the_queue_is_empty() {
        let readable = Readable::new().unwrap();
        let _ = readable.lend();
        readable.set(true);
        readable.set(false);
        assert_eq!(waiting(&readable), 0);
        readable.set(true);
        assert_eq!(waiting(&readable), 1);
    }
}
