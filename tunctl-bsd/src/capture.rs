//! Frames past the far end of a pair of Ethernets, where there are no taps: given one at a time, out of a packet filter whose reads give
//! all that came.

use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::Interrupter;
use tunctl_sys::bsd::bpf::{HeaderLayout, Packets};

use crate::errno;
use crate::syscalls::Syscalls;
use crate::system_handle::SystemHandle;

/// A packet filter, bound to the far end, and what it gave that nobody has received yet.
///
/// A descriptor of the filter's own would not do for an event loop: of frames that were read along with another, it knows nothing. So
/// there is one that is readable as long as a frame waits here; and a thread that reads the filter when none does.
pub(crate) struct Capture<C: Syscalls> {
    shared: Arc<Shared<C>>,
    lent: UnixStream,
    pump: Option<JoinHandle<()>>,
}

struct Shared<C: Syscalls> {
    system: Arc<SystemHandle<C>>,
    filter: C::Handle,
    frames: Mutex<Frames>,
    received_all: Condvar,
    stop: Interrupter,
}

/// What one read has given.
struct Frames {
    layout: HeaderLayout,
    /// As long as a read has to have room for.
    bytes: Vec<u8>,
    /// Where the frames begin that were not received yet, and where they end.
    at: usize,
    end: usize,
    /// The other end of the descriptor that is lent: a byte is on its way as long as a frame waits, or once the filter has failed.
    token: UnixStream,
    has_token: bool,
}

impl<C: Syscalls> Capture<C> {
    /// Of a filter that is bound, does not block, and whose reads have to have room for so many bytes.
    pub(crate) fn new(system: Arc<SystemHandle<C>>, filter: C::Handle, room: usize) -> io::Result<Self> {
        let (lent, token) = UnixStream::pair()?;
        lent.set_nonblocking(true)?;
        let layout = system.rules.abi.bpf.header;
        let frames = Frames { layout, bytes: vec![0; room], at: 0, end: 0, token, has_token: false };
        let stop = Interrupter::new()?;
        let (frames, received_all) = (Mutex::new(frames), Condvar::new());
        let shared = Arc::new(Shared { system, filter, frames, received_all, stop });
        let pump = thread::Builder::new().name("tunctl-capture".into()).spawn({
            let shared = shared.clone();
            move || shared.pump()
        })?;
        Ok(Self { shared, lent, pump: Some(pump) })
    }

    /// The filter itself.
    pub(crate) fn filter(&self) -> &C::Handle {
        &self.shared.filter
    }

    /// A descriptor that is readable as long as a frame waits.
    pub(crate) fn lend(&self) -> io::Result<UnixStream> {
        self.lent.try_clone()
    }

    /// Receives the oldest frame.
    pub(crate) fn read(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut frames = self.shared.lock();
        if frames.is_empty() {
            self.shared.refill(&mut frames)?;
        }
        let copied = frames.pop(buffers).ok_or_else(|| errno::error(errno::EAGAIN))?;
        if frames.is_empty() {
            self.take_token(&mut frames);
            self.shared.received_all.notify_one();
        } else {
            frames.put_token();
        }
        Ok(copied)
    }

    fn take_token(&self, frames: &mut Frames) {
        if frames.has_token {
            // It was written under the same lock, so that it is there, unless who was lent the descriptor took it.
            let _ = (&self.lent).read(&mut [0]);
            frames.has_token = false;
        }
    }
}

impl<C: Syscalls> Drop for Capture<C> {
    fn drop(&mut self) {
        self.shared.stop.interrupt();
        // Taken and given back, so that the thread is either before its look or waits already.
        drop(self.shared.lock());
        self.shared.received_all.notify_one();
        if let Some(pump) = self.pump.take() {
            // It has panicked, and said so.
            let _ = pump.join();
        }
    }
}

impl<C: Syscalls> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the filter whenever no frame waits. While one does, the kernel keeps what comes, and counts what it drops.
    fn pump(&self) {
        while self.wait_until_received() && self.wait_for_filter() {
            let mut frames = self.lock();
            if !frames.is_empty() {
                continue;
            }
            match self.refill(&mut frames) {
                Ok(()) => frames.put_token(),
                Err(error) if errno::of(&error) == errno::EAGAIN => {}
                Err(_) => {
                    // Whoever receives next is told the same.
                    frames.put_token();
                    return;
                }
            }
        }
    }

    /// Waits until no frame waits; whether to go on.
    fn wait_until_received(&self) -> bool {
        let frames = self.lock();
        let all =
            self.received_all.wait_while(frames, |frames| !frames.is_empty() && !self.stop.is_interrupted());
        drop(all);
        !self.stop.is_interrupted()
    }

    /// Waits until the filter has frames; whether to go on.
    fn wait_for_filter(&self) -> bool {
        let mut polled = [
            PollFd::new(self.filter.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        while let Err(Errno::EINTR | Errno::EAGAIN) = poll(&mut polled, PollTimeout::NONE) {}
        !self.stop.is_interrupted()
    }

    /// Reads the filter: all that has come since the last time. `EAGAIN`: nothing has.
    fn refill(&self, frames: &mut Frames) -> io::Result<()> {
        frames.end = self.system.syscalls.read(&self.filter, &mut [IoSliceMut::new(&mut frames.bytes)])?;
        frames.at = 0;
        if frames.is_empty() {
            return Err(errno::error(errno::EAGAIN));
        }
        Ok(())
    }
}

impl Frames {
    fn is_empty(&self) -> bool {
        Packets::new(&self.bytes[self.at..self.end], self.layout).next().is_none()
    }

    /// Takes the oldest frame; its length, as far as there was room.
    fn pop(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Option<usize> {
        let mut packets = Packets::new(&self.bytes[self.at..self.end], self.layout);
        let copied = scatter(packets.next()?.bytes, buffers);
        self.at = self.end - packets.rest().len();
        Some(copied)
    }

    fn put_token(&mut self) {
        if !self.has_token {
            self.has_token = matches!(self.token.write(&[0]), Ok(1));
        }
    }
}

/// Copies as much as there is room for.
fn scatter(mut frame: &[u8], buffers: &mut [IoSliceMut<'_>]) -> usize {
    let mut copied = 0;
    for buffer in buffers {
        let length = frame.len().min(buffer.len());
        buffer[..length].copy_from_slice(&frame[..length]);
        frame = &frame[length..];
        copied += length;
    }
    copied
}
