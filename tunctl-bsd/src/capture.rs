//! Frames captured at the far end of a `feth` pair, which replaces a tap on macOS.
//!
//! A read of a packet filter returns all frames that arrived; this hands them out one at a time.

use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::Interrupter;
use tunctl_sys::bsd::bpf::{HeaderLayout, Packets};

use crate::errno;
use crate::syscalls::Syscalls;
use crate::system_handle::SystemHandle;
use crate::wait::SLICE;

/// A packet filter bound to the far end, and the frames it returned that were not received yet.
///
/// An event loop cannot wait on the filter's own descriptor: it is not readable for frames that were already
/// read together with another. So an event loop waits on a socket that is readable while a frame waits here,
/// and a thread reads the filter when none does.
pub(crate) struct Capture<C: Syscalls> {
    shared: Arc<Shared<C>>,
    /// Readable while a frame waits. Clones of it are lent to event loops.
    ready: UnixStream,
    pump: Option<JoinHandle<()>>,
    /// Whether the filter was still bound to the far end when it was closed.
    was_bound: Arc<AtomicBool>,
}

struct Shared<C: Syscalls> {
    system: Arc<SystemHandle<C>>,
    filter: C::Handle,
    frames: Mutex<Frames>,
    received_all: Condvar,
    stop: Interrupter,
}

/// The frames of one read.
struct Frames {
    layout: HeaderLayout,
    /// As long as the filter's buffer: `bpfread` accepts no other length.
    bytes: Vec<u8>,
    /// The range of frames that were not received yet.
    start: usize,
    end: usize,
    /// The other end of `ready`. One byte is in the socket while a frame waits, or once the filter failed.
    token: UnixStream,
    has_token: bool,
}

impl<C: Syscalls> Capture<C> {
    /// Starts to capture from a bound, non-blocking filter with this buffer length.
    pub(crate) fn new(
        system: Arc<SystemHandle<C>>,
        filter: C::Handle,
        buffer_length: usize,
    ) -> io::Result<Self> {
        let (ready, token) = UnixStream::pair()?;
        ready.set_nonblocking(true)?;
        let layout = system.rules.abi.bpf.header;
        let frames =
            Frames { layout, bytes: vec![0; buffer_length], start: 0, end: 0, token, has_token: false };
        let stop = Interrupter::new()?;
        let (frames, received_all) = (Mutex::new(frames), Condvar::new());
        let shared = Arc::new(Shared { system, filter, frames, received_all, stop });
        let pump = thread::Builder::new().name("tunctl-capture".into()).spawn({
            let shared = shared.clone();
            move || shared.pump()
        })?;
        Ok(Self { shared, ready, pump: Some(pump), was_bound: Arc::new(AtomicBool::new(true)) })
    }

    /// Whether the far end is still the one that the filter was bound to; once the filter is closed, whether
    /// it was.
    pub(crate) fn was_bound(&self) -> Arc<AtomicBool> {
        self.was_bound.clone()
    }

    /// Returns the filter itself.
    pub(crate) fn filter(&self) -> &C::Handle {
        &self.shared.filter
    }

    /// Returns a socket that is readable while a frame waits.
    pub(crate) fn lend(&self) -> io::Result<UnixStream> {
        self.ready.try_clone()
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
            // `put_token` wrote the byte under the same lock, so it is there unless the program itself read
            // the lent descriptor.
            let _ = (&self.ready).read(&mut [0]);
            frames.has_token = false;
        }
    }
}

impl<C: Syscalls> Drop for Capture<C> {
    fn drop(&mut self) {
        self.shared.stop.interrupt();
        // Taking the lock once ensures that the thread either has not checked `stop` yet or already waits, so
        // the notification is not lost.
        drop(self.shared.lock());
        self.shared.received_all.notify_one();
        if let Some(pump) = self.pump.take() {
            // An error means that the thread panicked, and the panic was already reported.
            let _ = pump.join();
        }
        self.was_bound.store(self.shared.is_bound(), Ordering::Relaxed);
    }
}

impl<C: Syscalls> Shared<C> {
    fn lock(&self) -> MutexGuard<'_, Frames> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the filter whenever no frame waits. Meanwhile the kernel buffers new frames and counts its
    /// drops.
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
                    // Wakes the receiver, whose own read then reports the same error.
                    frames.put_token();
                    return;
                }
            }
        }
    }

    /// Waits until all frames were received. Returns whether to go on.
    fn wait_until_received(&self) -> bool {
        let frames = self.lock();
        let all =
            self.received_all.wait_while(frames, |frames| !frames.is_empty() && !self.stop.is_interrupted());
        drop(all);
        !self.stop.is_interrupted()
    }

    /// Waits until the filter has frames, or its interface is gone. Returns whether to go on.
    fn wait_for_filter(&self) -> bool {
        let mut polled = [
            PollFd::new(self.filter.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.stop.as_fd(), PollFlags::POLLIN),
        ];
        let slice = PollTimeout::try_from(SLICE).unwrap_or(PollTimeout::MAX);
        loop {
            match poll(&mut polled, slice) {
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                // A filter that has lost its interface is never ready (`filt_bpfread`), and its read fails.
                Ok(0) if self.is_bound() => {}
                _ => return !self.stop.is_interrupted(),
            }
        }
    }

    /// Whether the filter is bound: it is not, once its interface is gone (`bpfdetach`).
    fn is_bound(&self) -> bool {
        let mut link_type = 0_u32.to_ne_bytes();
        let request = self.system.rules.abi.bpf.link_type;
        self.system.syscalls.ioctl(&self.filter, request, &mut link_type).is_ok()
    }

    /// Reads all frames that arrived since the last read, or fails with `EAGAIN`.
    fn refill(&self, frames: &mut Frames) -> io::Result<()> {
        frames.end = self.system.syscalls.read(&self.filter, &mut [IoSliceMut::new(&mut frames.bytes)])?;
        frames.start = 0;
        if frames.is_empty() {
            return Err(errno::error(errno::EAGAIN));
        }
        Ok(())
    }
}

impl Frames {
    fn is_empty(&self) -> bool {
        Packets::new(&self.bytes[self.start..self.end], self.layout).next().is_none()
    }

    /// Moves the oldest frame into `buffers` and returns how many bytes fitted.
    fn pop(&mut self, buffers: &mut [IoSliceMut<'_>]) -> Option<usize> {
        let mut packets = Packets::new(&self.bytes[self.start..self.end], self.layout);
        let copied = scatter(packets.next()?.bytes, buffers);
        self.start = self.end - packets.rest().len();
        Some(copied)
    }

    fn put_token(&mut self) {
        if !self.has_token {
            self.has_token = matches!(self.token.write(&[0]), Ok(1));
        }
    }
}

/// Copies as much of the frame as the buffers hold.
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
