//! The open file behind a device: where its packets come from and go to.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tunctl_sys::bsd::Request;

use crate::capture::Capture;
use crate::syscalls::Syscalls;

/// The open file behind a device.
pub(crate) enum Channel<C: Syscalls> {
    /// A node or a socket: each call transfers one packet.
    Direct(C::Handle),
    /// The capture at the far end of a `feth` pair, and the socket that is readable while a frame waits.
    Far(Arc<Capture<C>>, UnixStream),
}

impl<C: Syscalls> Channel<C> {
    pub(crate) fn far(capture: Capture<C>) -> io::Result<Self> {
        let ready = capture.lend()?;
        Ok(Self::Far(Arc::new(capture), ready))
    }

    /// The handle for requests and writes.
    fn handle(&self) -> &C::Handle {
        match self {
            Self::Direct(handle) => handle,
            Self::Far(capture, _) => capture.filter(),
        }
    }

    /// For a tap of macOS, whether the far end was still this one when the last descriptor was closed.
    pub(crate) fn was_bound(&self) -> Option<Arc<AtomicBool>> {
        match self {
            Self::Direct(_) => None,
            Self::Far(capture, _) => Some(capture.was_bound()),
        }
    }

    pub(crate) fn duplicate(&self, syscalls: &C) -> io::Result<Self> {
        match self {
            Self::Direct(handle) => syscalls.duplicate(handle).map(Self::Direct),
            Self::Far(capture, _) => Ok(Self::Far(capture.clone(), capture.lend()?)),
        }
    }

    pub(crate) fn set_nonblocking(&self, syscalls: &C) -> io::Result<()> {
        match self {
            Self::Direct(handle) => syscalls.set_nonblocking(handle),
            // `open_filter` did so before the capture's thread started.
            Self::Far(..) => Ok(()),
        }
    }

    pub(crate) fn ioctl(&self, syscalls: &C, request: Request, argument: &mut [u8]) -> io::Result<()> {
        syscalls.ioctl(self.handle(), request, argument)
    }

    pub(crate) fn set_pending_packets(&self, syscalls: &C, packets: u32) -> io::Result<()> {
        syscalls.set_pending_packets(self.handle(), packets)
    }

    #[inline]
    pub(crate) fn read(&self, syscalls: &C, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            Self::Direct(handle) => syscalls.read(handle, buffers),
            Self::Far(capture, _) => capture.read(buffers),
        }
    }

    #[inline]
    pub(crate) fn write(&self, syscalls: &C, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        syscalls.write(self.handle(), pieces)
    }
}

impl<C: Syscalls> AsFd for Channel<C> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Direct(handle) => handle.as_fd(),
            Self::Far(_, ready) => ready.as_fd(),
        }
    }
}

impl<C: Syscalls> fmt::Debug for Channel<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle().fmt(f)
    }
}
