//! Observing the packets of an interface in both directions, without consuming them: a packet socket.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use tunctl_core::{Cause, Error, Interface, Layer, Operation, Reason, Result};
use tunctl_sys::linux::packet_socket::{self, Received};

use crate::LinuxInterface;
use crate::errno;
use crate::remedy;

/// The receive buffer of the packet socket, in bytes.
const BUFFER: usize = 4 << 20;

/// An observer of one interface: it sees every packet in both directions, and consumes none.
///
/// A device that attaches to the interface would instead take the packets away from the program that uses it.
///
/// # Platform
///
/// Linux only: `packet(7)`.
#[derive(Debug)]
pub struct Observer {
    socket: OwnedFd,
    layer: Layer,
    interface: LinuxInterface,
}

/// The direction of a packet, as the system with the interface sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Out of the system: the kernel sends it, and the device's user receives it.
    Outgoing,
    /// Into the system: the device's user sends it, and the kernel receives it.
    Incoming,
}

/// An observed packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed<'a> {
    /// Its direction.
    pub direction: Direction,
    /// Its bytes, as many as the buffer had room for.
    pub packet: &'a [u8],
    /// Its whole length in bytes.
    pub length: usize,
}

impl Observer {
    /// Observes an interface from now on.
    ///
    /// # Errors
    ///
    /// `MissingCapability` without `CAP_NET_RAW`; `ForeignNamespace`; `Sandboxed`; `Gone`; `NotFound` if the
    /// calling thread has left the interface's network namespace, and the interface does not come from a
    /// backend [of that namespace](crate::LinuxBackend::in_namespace).
    pub fn new(interface: &LinuxInterface) -> Result<Self> {
        let info = interface.info()?;
        let failed = |reason: Reason| reason.of(Operation::Observe).with_name(info.name);
        let opener = interface.netlink().opener();
        if interface.netlink().namespace() != opener.namespace() {
            let reason = Reason::new(Cause::NotFound)
                .with_detail("the interface is not in this thread's network namespace")
                .with_remedy("Observe it from a thread in the interface's namespace.");
            return Err(failed(reason));
        }
        let socket = opener.packet_socket().map_err(failed)?;
        packet_socket::watch(socket.as_fd(), info.index.get()).map_err(|error| {
            let errno = errno::of(&error);
            let reason = match errno {
                Errno::ENODEV | Errno::ENXIO => remedy::gone(),
                errno => remedy::from_errno(errno),
            };
            failed(reason.with_errno(errno as i32))
        })?;
        // Room for bursts, as far as the system allows it. The kernel counts what it drops nevertheless.
        let _ = setsockopt(&socket, RcvBufForce, &BUFFER).or_else(|_| setsockopt(&socket, RcvBuf, &BUFFER));
        Ok(Self { socket, layer: info.layer, interface: interface.clone() })
    }

    /// The layer that an observed packet starts with.
    #[must_use]
    pub const fn layer(&self) -> Layer {
        self.layer
    }

    /// Returns the next observed packet. It never waits: wait on the descriptor that [`AsFd`] lends.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none. `Down`, once, when the interface goes down: packets come again when it
    /// is up again. `Gone`, once, when it is deleted while it is up: the kernel does not report the deletion
    /// of an interface that is down.
    pub fn try_next<'a>(&self, buffer: &'a mut [u8]) -> Result<Observed<'a>> {
        let received = packet_socket::receive(self.socket.as_fd(), buffer);
        let Received { length, direction, .. } = received.map_err(|error| self.fail(errno::of(&error)))?;
        let direction = match direction {
            packet_socket::OUTGOING => Direction::Outgoing,
            _ => Direction::Incoming,
        };
        let kept = length.min(buffer.len());
        Ok(Observed { direction, packet: &buffer[..kept], length })
    }

    #[cold]
    fn fail(&self, errno: Errno) -> Error {
        let reason = match errno {
            // The kernel reports ENETDOWN once when the interface goes down, and once when it is deleted.
            Errno::ENETDOWN if self.interface.info().is_ok() => Reason::new(Cause::Down),
            Errno::ENETDOWN | Errno::ENODEV | Errno::ENXIO => remedy::gone(),
            errno => remedy::from_errno(errno),
        };
        reason.with_errno(errno as i32).of(Operation::Observe).with_name(self.interface.last_name())
    }

    /// Returns how many packets were missed since the last call, because they came faster than they were
    /// taken.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    pub fn take_missed(&self) -> Result<u32> {
        let counted = packet_socket::statistics(self.socket.as_fd());
        Ok(counted.map_err(|error| self.fail(errno::of(&error)))?.drops)
    }
}

impl AsFd for Observer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
