//! The other hosts, which answer every echo request, and refuse all else as a host without services does.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tunctl::linux::Direction;
use tunctl::packet::{EchoResponder, NoReply, Packet, Protocol, Unreachable, reset, unreachable};
use tunctl::{Layer, Readiness, TunDevice};

use super::is_played;
use crate::command::Outcome;
use crate::command::packets::PacketPrinter;

/// How often a wait checks for a request to stop.
const PATIENCE: Duration = Duration::from_millis(50);

/// More than any IP packet.
const BUFFER: usize = 65536;

pub(super) struct Responder<D> {
    device: D,
    pub(super) stop: AtomicBool,
    received: AtomicU64,
    answered: AtomicU64,
}

/// How many packets the kernel's side sent, and how many of them were answered.
pub(super) struct Counts {
    pub(super) received: u64,
    pub(super) answered: u64,
}

impl<D: TunDevice> Responder<D> {
    pub(super) const fn new(device: D) -> Self {
        Self {
            device,
            stop: AtomicBool::new(false),
            received: AtomicU64::new(0),
            answered: AtomicU64::new(0),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
        }
    }

    /// Answers until `stop` is set and no request is left. It sets `stop` in turn, so that the requesting
    /// side notices when this one fails.
    pub(super) fn answer(&self, printer: Option<&mut PacketPrinter>) -> Outcome {
        let outcome = self.answer_all(printer);
        self.stop.store(true, Ordering::Relaxed);
        outcome
    }

    fn answer_all(&self, mut printer: Option<&mut PacketPrinter>) -> Outcome {
        let mut responder = EchoResponder::new();
        let (mut request, mut answer) = (vec![0; BUFFER], vec![0; BUFFER]);
        loop {
            let length = match self.device.try_recv(&mut request) {
                Ok(length) => length,
                Err(error) if error.is_would_block() => {
                    printer.as_deref_mut().map_or(Ok(()), PacketPrinter::flush)?;
                    if !self.device.wait(Readiness::Readable, Some(PATIENCE))?
                        && self.stop.load(Ordering::Relaxed)
                    {
                        return Ok(());
                    }
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let (request, came) = (&request[..length], Instant::now());
            self.received.fetch_add(1, Ordering::Relaxed);
            // Packets that are not for a played host are shown, and not answered.
            let answered = match answer_to(&mut responder, request, &mut answer) {
                Some(length) => match self.device.send(&answer[..length]) {
                    Ok(_) => {
                        self.answered.fetch_add(1, Ordering::Relaxed);
                        Some((length, Instant::now()))
                    }
                    Err(error) if error.is_gone() => return Err(error.into()),
                    // The interface went down in between. This answer is lost, as any packet may be.
                    Err(_) => None,
                },
                None => None,
            };
            // Printing comes last, so that it does not add to the round-trip time.
            if let Some(printer) = &mut printer {
                printer.print(came, Direction::Outgoing, Layer::Tun, request, length)?;
                if let Some((length, left)) = answered {
                    printer.print(left, Direction::Incoming, Layer::Tun, &answer[..length], length)?;
                }
            }
        }
    }
}

/// What the host that a packet is for answers, if it is played, and has an answer.
fn answer_to(responder: &mut EchoResponder, packet: &[u8], answer: &mut [u8]) -> Option<usize> {
    let parsed = Packet::parse(Layer::Tun, packet).ok()?;
    if !parsed.destination().is_some_and(is_played) {
        return None;
    }
    let answered = match responder.respond(packet, answer) {
        Err(NoReply::NotAnEchoRequest) => match parsed.protocol() {
            Protocol::Tcp => reset(packet, answer),
            Protocol::Udp => unreachable(packet, Unreachable::Port, None, answer),
            Protocol::Icmp | Protocol::Icmpv6 => return None,
            _ => unreachable(packet, Unreachable::Protocol, None, answer),
        },
        echo => echo,
    };
    answered.ok()
}

#[cfg(test)]
mod tests {
    use tunctl::packet::udp_packet;

    use super::*;

    /// The summary of the answer to a datagram.
    fn answer(to: &str) -> Option<String> {
        let from = if to.starts_with('[') { "[fd77::1]:4000" } else { "10.77.0.1:4000" };
        let packet = udp_packet(from.parse().unwrap(), to.parse().unwrap(), b"anyone?").unwrap();
        let mut answer = vec![0; 2000];
        let length = answer_to(&mut EchoResponder::new(), &packet, &mut answer)?;
        Some(Packet::parse(Layer::Tun, &answer[..length]).unwrap().summary().to_string())
    }

    #[test]
    fn a_played_host_echoes_or_refuses_and_no_other_answers() {
        assert_eq!(answer("10.77.0.2:7").unwrap(), "length 7");
        assert_eq!(answer("10.77.0.2:53").unwrap(), "port unreachable for UDP 10.77.0.2:53");
        assert_eq!(answer("[fd77::2]:53").unwrap(), "port unreachable for UDP [fd77::2]:53");
        for other in ["10.77.0.1:53", "10.77.0.255:53", "10.78.0.2:7", "[fd78::2]:53", "[ff02::1]:7"] {
            assert_eq!(answer(other), None, "{other}");
        }
    }
}
