//! The lab on the driver in memory: this program plays the kernel's side as well.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use tunctl::mock::{MockBackend, MockDevice};
use tunctl::packet::{Packet, Protocol, parse_echo_reply, ping_packet, udp_packet};
use tunctl::{CreateOptions, Interface, Layer, State, TunBackend, TunDevice};

use super::kind::{self, Kind};
use super::probe::Path;
use super::{ADDRESS_V4, ADDRESS_V6};

/// The first of the dynamic ports (RFC 6335).
const OWN_PORT: u16 = 49152;
/// An IPv6 header, which has a fixed length.
const IPV6_HEADER: usize = 40;

/// Creates the device, and a cable to it: a packet that is sent into one end arrives at the other, as if the
/// kernel had sent it.
pub(super) fn device() -> tunctl::Result<(MockDevice, Cable)> {
    let system = MockBackend::new();
    let device = super::create(&system)?;
    let kernel = system.create(&CreateOptions::tun().name("kernel0"))?;
    kernel.interface().set_state(State::Up)?;
    system.cable(&device, &kernel)?;
    Ok((device, Cable { kernel, identifier: kind::identifier() }))
}

/// The end of the cable where the kernel would be.
pub(super) struct Cable {
    kernel: MockDevice,
    identifier: u16,
}

impl Path for Cable {
    const BACKEND: &'static str = "mock";
    const WHERE: &'static str = "in this program's memory";
    const PLAYED: &'static str = "it plays the kernel and the other hosts, and nothing leaves it";

    fn send(&self, kind: Kind, sequence: u16) -> io::Result<()> {
        self.kernel.send(&self.request(kind, sequence)?)?;
        Ok(())
    }

    fn receive(&self, mut answered: impl FnMut(Kind, u16)) -> io::Result<()> {
        let mut buffer = [0; 2048];
        loop {
            let length = match self.kernel.try_recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.is_would_block() => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            if let Some((kind, sequence)) = self.answered(&buffer[..length]) {
                answered(kind, sequence);
            }
        }
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.kernel.as_fd()]
    }
}

impl Cable {
    /// The packet that the kernel would send for a request.
    fn request(&self, kind: Kind, sequence: u16) -> io::Result<Vec<u8>> {
        let (target, payload) = (kind.target(sequence), kind::payload(sequence));
        let own = own(target.ip());
        match kind {
            Kind::Icmp | Kind::Icmpv6 => {
                ping_packet(own.ip(), target.ip(), self.identifier, sequence, &payload)
            }
            Kind::Udp4 | Kind::Udp6 => udp_packet(own, target, &payload),
        }
        .map_err(io::Error::other)
    }

    /// The request that a packet answers, if the kernel would deliver it to the socket that waits for it.
    fn answered(&self, bytes: &[u8]) -> Option<(Kind, u16)> {
        let packet = Packet::parse(Layer::Tun, bytes).ok()?;
        let (source, destination) = (packet.source()?, packet.destination()?);
        let (kind, sequence) = match (packet.protocol(), source) {
            (Protocol::Icmp, _) => (Kind::Icmp, self.answered_echo(bytes)?),
            (Protocol::Icmpv6, _) => (Kind::Icmpv6, self.answered_echo(bytes.get(IPV6_HEADER..)?)?),
            (Protocol::Udp, IpAddr::V4(_)) => (Kind::Udp4, kind::sequence(packet.payload())?),
            (Protocol::Udp, IpAddr::V6(_)) => (Kind::Udp6, kind::sequence(packet.payload())?),
            _ => return None,
        };
        let is_udp = packet.protocol() == Protocol::Udp;
        let ports = is_udp.then_some((kind::ECHO_PORT, OWN_PORT));
        let is_ours = packet.source_port().zip(packet.destination_port()) == ports
            && source == kind.target(sequence).ip()
            && destination == own(source).ip()
            && packet.payload() == kind::payload(sequence)
            && has_good_checksum(bytes, source, destination);
        is_ours.then_some((kind, sequence))
    }

    fn answered_echo(&self, message: &[u8]) -> Option<u16> {
        parse_echo_reply(message).filter(|echo| echo.identifier == self.identifier).map(|echo| echo.sequence)
    }
}

/// The sender of the requests: the kernel's address of the target's IP version.
fn own(target: IpAddr) -> SocketAddr {
    match target {
        IpAddr::V4(_) => (ADDRESS_V4, OWN_PORT).into(),
        IpAddr::V6(_) => (ADDRESS_V6, OWN_PORT).into(),
    }
}

/// Whether the checksums of a packet without options are right (RFC 1071). The kernel checks them before it
/// delivers a packet to a socket.
fn has_good_checksum(bytes: &[u8], source: IpAddr, destination: IpAddr) -> bool {
    let sum = |bytes: &[u8]| -> u32 {
        let words = bytes.chunks(2);
        words.map(|word| u32::from(word[0]) << 8 | word.get(1).map_or(0, |&low| low.into())).sum()
    };
    let is_good = |sum: u32| sum != 0 && sum.is_multiple_of(0xffff);
    let addresses = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => sum(&source.octets()) + sum(&destination.octets()),
        (IpAddr::V6(source), IpAddr::V6(destination)) => sum(&source.octets()) + sum(&destination.octets()),
        _ => return false,
    };
    let (header, protocol) = if source.is_ipv4() { (20, bytes.get(9)) } else { (IPV6_HEADER, bytes.get(6)) };
    let (Some((header, message)), Some(&protocol)) = (bytes.split_at_checked(header), protocol) else {
        return false;
    };
    let Ok(length) = u16::try_from(message.len()) else { return false };
    // The checksum of ICMP does not cover a pseudo-header.
    let pseudo = if protocol == 1 { 0 } else { addresses + u32::from(protocol) + u32::from(length) };
    (source.is_ipv6() || is_good(sum(header))) && is_good(pseudo + sum(message))
}

#[cfg(test)]
mod tests {
    use tunctl::packet::echo_reply;

    use super::*;

    #[test]
    fn the_answer_to_each_kind_is_taken_and_a_damaged_one_is_not() {
        let (_, cable) = device().unwrap();
        for (kind, number) in Kind::ALL.into_iter().zip([0, 1, 300, u16::MAX]) {
            let request = cable.request(kind, number).unwrap();
            assert_eq!(cable.answered(&request), None, "{kind:?}: a request is no answer");
            let mut answer = vec![0; request.len()];
            let length = echo_reply(&request, &mut answer).unwrap();
            assert_eq!(cable.answered(&answer[..length]), Some((kind, number)));
            // All but those that no checksum covers: of IPv6, version to flow label, length, hop limit.
            let covered = (0..length).filter(|&at| answer[0] >> 4 == 4 || at == 6 || at > 7);
            for at in covered {
                let mut damaged = answer.clone();
                damaged[at] ^= 0x10;
                assert_eq!(cable.answered(&damaged), None, "{kind:?}, byte {at}");
            }
        }
    }
}
