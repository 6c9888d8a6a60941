//! The ways to receive and to send that are compared, and the loops that time them.

use std::fmt::Display;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use tunctl_core::TunDevice;
use tunctl_linux::LinuxDevice;

use super::raw;

/// One way to receive a packet, and one to send it.
pub(crate) trait Method {
    /// Whose it is.
    const LIBRARY: &'static str;
    /// The name of the call that receives.
    const RECEIVE: &'static str = "recv";
    /// The name of the call that sends.
    const SEND: &'static str = "send";
    /// The library's own error: converting it would be measured too.
    type Error: Display;

    fn receive(&self, buffer: &mut [u8]) -> Result<usize, Self::Error>;
    fn send(&self, packet: &[u8]) -> Result<usize, Self::Error>;
}

/// System calls, and nothing around them.
pub(crate) struct Raw<'a>(pub(crate) BorrowedFd<'a>);

impl Method for Raw<'_> {
    const LIBRARY: &'static str = "raw";
    const RECEIVE: &'static str = "read";
    const SEND: &'static str = "write";
    type Error = io::Error;

    #[inline(always)]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        raw::read(self.0, buffer)
    }

    #[inline(always)]
    fn send(&self, packet: &[u8]) -> io::Result<usize> {
        raw::write(self.0, packet)
    }
}

/// Ours, as the trait's users call it.
pub(crate) struct Tunctl<'a>(pub(crate) &'a LinuxDevice);

impl Method for Tunctl<'_> {
    const LIBRARY: &'static str = "tunctl";
    type Error = tunctl_core::Error;

    #[inline(always)]
    fn receive(&self, buffer: &mut [u8]) -> tunctl_core::Result<usize> {
        self.0.recv(buffer)
    }

    #[inline(always)]
    fn send(&self, packet: &[u8]) -> tunctl_core::Result<usize> {
        TunDevice::send(self.0, packet)
    }
}

/// Ours, with a list of one buffer.
pub(crate) struct TunctlVectored<'a>(pub(crate) &'a LinuxDevice);

impl Method for TunctlVectored<'_> {
    const LIBRARY: &'static str = "tunctl";
    const RECEIVE: &'static str = "recv_vectored";
    const SEND: &'static str = "send_vectored";
    type Error = tunctl_core::Error;

    #[inline(always)]
    fn receive(&self, buffer: &mut [u8]) -> tunctl_core::Result<usize> {
        self.0.recv_vectored(&mut [IoSliceMut::new(buffer)])
    }

    #[inline(always)]
    fn send(&self, packet: &[u8]) -> tunctl_core::Result<usize> {
        self.0.send_vectored(&[IoSlice::new(packet)])
    }
}

/// tun-rs, as its documentation's synchronous examples use it.
pub(crate) struct TunRs<'a>(pub(crate) &'a tun_rs::SyncDevice);

impl Method for TunRs<'_> {
    const LIBRARY: &'static str = "tun-rs";
    type Error = io::Error;

    #[inline(always)]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    #[inline(always)]
    fn send(&self, packet: &[u8]) -> io::Result<usize> {
        self.0.send(packet)
    }
}

/// tappers, as the example in its README uses it.
pub(crate) struct Tappers<'a>(pub(crate) &'a tappers::Tun);

impl Method for Tappers<'_> {
    const LIBRARY: &'static str = "tappers";
    type Error = io::Error;

    #[inline(always)]
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.recv(buffer)
    }

    #[inline(always)]
    fn send(&self, packet: &[u8]) -> io::Result<usize> {
        self.0.send(packet)
    }
}

/// What a timed loop took, and how many bytes the calls said they moved.
pub(crate) struct Timing {
    pub(crate) elapsed: Duration,
    pub(crate) bytes: usize,
}

/// A method behind a pointer: one dynamic call a loop, none a packet.
pub(crate) trait Timed {
    fn names(&self) -> Names;
    fn time_receive(&self, buffer: &mut [u8], packets: usize) -> Result<Timing, String>;
    fn time_send(&self, packet: &[u8], packets: usize) -> Result<Timing, String>;
}

/// What a method is called.
pub(crate) struct Names {
    pub(crate) library: &'static str,
    pub(crate) receive: &'static str,
    pub(crate) send: &'static str,
}

impl<M: Method> Timed for M {
    fn names(&self) -> Names {
        Names { library: M::LIBRARY, receive: M::RECEIVE, send: M::SEND }
    }

    fn time_receive(&self, buffer: &mut [u8], packets: usize) -> Result<Timing, String> {
        time(packets, || self.receive(buffer))
    }

    fn time_send(&self, packet: &[u8], packets: usize) -> Result<Timing, String> {
        time(packets, || self.send(packet))
    }
}

#[inline(always)]
fn time<E: Display>(packets: usize, mut call: impl FnMut() -> Result<usize, E>) -> Result<Timing, String> {
    let mut bytes = 0;
    let start = Instant::now();
    for _ in 0..packets {
        match call() {
            Ok(length) => bytes += length,
            Err(error) => return Err(error.to_string()),
        }
    }
    let elapsed = start.elapsed();
    Ok(Timing { elapsed, bytes })
}
