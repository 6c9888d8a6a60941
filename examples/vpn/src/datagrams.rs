//! Datagrams, many a call.

use std::io::{self, ErrorKind::WouldBlock};
use std::net::{Ipv6Addr, SocketAddr};

/// Where a peer is, and which of our addresses it knows us by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The peer's address.
    pub remote: SocketAddr,
    /// Ours, one of IPv4 mapped into IPv6. `None`: the system chooses.
    pub local: Option<Ipv6Addr>,
}

/// Datagrams of one sender that were received together, one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// The sender.
    pub from: Endpoint,
    /// The bytes of all of them.
    pub length: usize,
    /// The bytes of each. The last one may be shorter.
    pub size: usize,
}

/// A socket for datagrams that never waits to receive.
pub trait Datagrams {
    /// Receives into `room`, which has 64 KiB.
    ///
    /// # Errors
    ///
    /// `WouldBlock`: nothing is there.
    fn recv(&self, room: &mut [u8]) -> io::Result<Received>;

    /// Sends `bytes` as datagrams of `size` bytes, the last of which may be shorter. It may wait for room.
    ///
    /// # Errors
    ///
    /// Datagrams are lost.
    fn send(&self, to: Endpoint, bytes: &[u8], size: usize) -> io::Result<()>;
}

/// The longest datagram that a tunnel may write, be it one that no socket sends.
const LONGEST: usize = 65_535 + 32;

/// Datagrams that are written one behind the other, until one call can send no more of them.
#[derive(Debug)]
pub(crate) struct Outgoing<S> {
    pub(crate) socket: S,
    bytes: Vec<u8>,
    used: usize,
    /// Where they go, and the bytes of each.
    to: Option<(Endpoint, usize)>,
    /// Datagrams that the socket refused.
    pub(crate) unsent: u64,
    /// It has waited for room in vain.
    is_full: bool,
}

impl<S: Datagrams> Outgoing<S> {
    pub(crate) fn new(socket: S) -> Self {
        Self { socket, bytes: vec![0; 2 * LONGEST], used: 0, to: None, unsent: 0, is_full: false }
    }

    /// Room for the next datagram, behind the others.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.used..]
    }

    /// Keeps the datagram that was written to the [`room`](Self::room). Sends the others first if it cannot
    /// go with them.
    pub(crate) fn push(&mut self, length: usize, to: Endpoint) {
        let start = self.used;
        // One call may send 64 datagrams (`UDP_MAX_SEGMENTS` before Linux 6.9), and together no more bytes
        // than the longest one of IPv4.
        let is_one_of_them = self.to.is_some_and(|(others_to, size)| {
            others_to == to
                && length <= size
                && start.is_multiple_of(size)
                && start + length <= 65_507.min(64 * size)
        });
        if !is_one_of_them {
            self.flush();
            self.bytes.copy_within(start..start + length, 0);
            self.to = Some((to, length));
        }
        self.used += length;
    }

    /// Sends what is there.
    pub(crate) fn flush(&mut self) {
        if let Some((to, size)) = self.to.take() {
            let bytes = &self.bytes[..self.used];
            let sent = if self.is_full { Err(WouldBlock.into()) } else { self.socket.send(to, bytes, size) };
            self.is_full |= sent.as_ref().is_err_and(|error| error.kind() == WouldBlock);
            self.unsent += if sent.is_err() { self.used.div_ceil(size) as u64 } else { 0 };
        }
        self.used = 0;
    }

    /// Sends what is there, at the end of a call of the loop: each waits for room once, not for each peer.
    pub(crate) fn finish(&mut self) {
        self.flush();
        self.is_full = false;
    }
}
