//! The lab on the running kernel: a namespace, a device there, and the kernel's own sockets.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use tunctl::linux::{LinuxDevice, netns};
use tunctl::packet::{EchoMessage, icmp_echo_request, icmpv6_echo_request};
use tunctl::{Cause, Error};

use super::kind::{self, Kind};
use super::probe::Path;
use super::{ADDRESS_V4, ADDRESS_V6};
use crate::command::{Failure, Outcome};

/// Enters a new namespace, and creates the device there.
pub(super) fn device() -> tunctl::Result<LinuxDevice> {
    // First, while the process has one thread.
    netns::enter_new()?;
    super::create(&tunctl::native())
}

/// Whether the kernel's driver is not available to this program, rather than broken.
pub(super) fn is_out_of_reach(error: &Error) -> bool {
    matches!(
        error.cause(),
        Cause::MissingNode
            | Cause::MissingDriver
            | Cause::ClosedNode
            | Cause::ContainerRules
            | Cause::MissingCapability
            | Cause::ForeignNamespace
            | Cause::Sandboxed
            | Cause::NamespacesRefused
    )
}

/// One socket for each kind of request.
pub(super) struct Sockets {
    sockets: Vec<(Kind, UdpSocket)>,
    identifier: u16,
}

impl Sockets {
    pub(super) fn open() -> Outcome<Self> {
        let open = |kind: Kind| {
            let failed = |error| Failure::Said(format!("open a socket for {}: {error}", kind.label()));
            Ok((kind, open(kind).map_err(failed)?))
        };
        let sockets = Kind::ALL.into_iter().map(open).collect::<Outcome<_>>()?;
        Ok(Self { sockets, identifier: kind::identifier() })
    }

    fn request(&self, kind: Kind, sequence: u16) -> Vec<u8> {
        let payload = kind::payload(sequence);
        match kind {
            Kind::Icmp => icmp_echo_request(self.identifier, sequence, &payload),
            Kind::Icmpv6 => icmpv6_echo_request(self.identifier, sequence, &payload),
            Kind::Udp4 | Kind::Udp6 => payload.to_vec(),
        }
    }

    /// The number of the request that a message answers. A raw socket also receives the replies to other
    /// programs.
    fn answered(&self, kind: Kind, message: &[u8]) -> Option<u16> {
        let echo = match kind {
            Kind::Icmp => EchoMessage::parse_icmp_packet(message)?,
            Kind::Icmpv6 => EchoMessage::parse_icmpv6(message)?,
            Kind::Udp4 | Kind::Udp6 => return kind::sequence(message),
        };
        (echo.is_reply && echo.identifier == self.identifier).then_some(echo.sequence)
    }
}

impl Path for Sockets {
    const BACKEND: &'static str = "kernel";
    const WHERE: &'static str = "in a namespace of its own";
    const PLAYED: &'static str = "this program plays the other hosts";

    fn send(&self, kind: Kind, sequence: u16) -> io::Result<()> {
        let (_, socket) = &self.sockets[kind as usize];
        socket.send_to(&self.request(kind, sequence), kind.target(sequence)).map(drop)
    }

    fn receive(&self, mut answered: impl FnMut(Kind, u16)) -> io::Result<()> {
        let mut buffer = [0; 2048];
        for (kind, socket) in &self.sockets {
            loop {
                let length = match socket.recv(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                if let Some(sequence) = self.answered(*kind, &buffer[..length]) {
                    answered(*kind, sequence);
                }
            }
        }
        Ok(())
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.iter().map(|(_, socket)| socket.as_fd()).collect()
    }
}

/// A socket of this kind. The standard library's type for UDP serves raw sockets as well: both send and
/// receive whole messages with addresses.
fn open(kind: Kind) -> io::Result<UdpSocket> {
    let raw = |family, protocol| -> io::Result<UdpSocket> {
        let fd: OwnedFd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
        Ok(fd.into())
    };
    let socket = match kind {
        Kind::Icmp => raw(AddressFamily::Inet, SockProtocol::Icmp),
        Kind::Icmpv6 => raw(AddressFamily::Inet6, SockProtocol::IcmpV6),
        Kind::Udp4 => UdpSocket::bind((ADDRESS_V4, 0)),
        Kind::Udp6 => UdpSocket::bind((ADDRESS_V6, 0)),
    }?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use tunctl::Operation;

    use super::*;

    #[test]
    fn what_the_system_withholds_is_out_of_reach_and_nothing_else() {
        let withheld = |&cause: &Cause| is_out_of_reach(&Error::new(Operation::Create, cause));
        let withheld: Vec<_> = Cause::ALL.iter().copied().filter(withheld).collect();
        let expected = [
            Cause::MissingNode,
            Cause::MissingDriver,
            Cause::ClosedNode,
            Cause::ContainerRules,
            Cause::MissingCapability,
            Cause::ForeignNamespace,
            Cause::Sandboxed,
            Cause::NamespacesRefused,
        ];
        assert_eq!(withheld, expected);
    }
}
