//! Requests through the kernel's own sockets, and the answers to them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};
use nix::sys::time::TimeSpec;
use serde::Serialize;
use tunctl::packet::{EchoMessage, icmp_echo_request, icmpv6_echo_request};

use super::responder::Counts;
use super::{ADDRESS_V4, ADDRESS_V6};
use crate::command::signals::Signals;
use crate::command::{Failure, Outcome};

/// How long an answer may take after the last request.
const GRACE: Duration = Duration::from_secs(1);
/// How soon the end of the answering side is seen.
const GLANCE: Duration = Duration::from_millis(100);
const ECHO_PORT: u16 = 7;
const INTERVAL: Duration = Duration::from_secs(1);
const ROUNDS: u16 = 5;

/// How many rounds of requests, and how far apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    rounds: u16,
    interval: Duration,
}

impl Plan {
    /// One round a second, unless both say otherwise.
    pub(super) fn new(count: Option<u16>, duration: Option<Duration>) -> Self {
        let rounds =
            count.or_else(|| duration.map(|duration| u16::try_from(duration.as_secs()).unwrap_or(u16::MAX)));
        let rounds = rounds.unwrap_or(ROUNDS).max(1);
        let interval = match (count, duration) {
            (_, Some(duration)) => duration / u32::from(rounds),
            _ => INTERVAL,
        };
        Self { rounds, interval }
    }
}

/// The four kinds of request.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Icmp,
    Icmpv6,
    Udp4,
    Udp6,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Icmp, Self::Icmpv6, Self::Udp4, Self::Udp6];

    const fn label(self) -> &'static str {
        match self {
            Self::Icmp => "ICMP",
            Self::Icmpv6 => "ICMPv6",
            Self::Udp4 => "UDP/IPv4",
            Self::Udp6 => "UDP/IPv6",
        }
    }

    /// A socket of this kind. The standard library's type for UDP serves raw sockets as well: both send and receive whole
    /// messages with addresses.
    fn socket(self) -> io::Result<UdpSocket> {
        let raw = |family, protocol| -> io::Result<UdpSocket> {
            let fd: OwnedFd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
            Ok(fd.into())
        };
        let socket = match self {
            Self::Icmp => raw(AddressFamily::Inet, SockProtocol::Icmp),
            Self::Icmpv6 => raw(AddressFamily::Inet6, SockProtocol::IcmpV6),
            Self::Udp4 => UdpSocket::bind((ADDRESS_V4, 0)),
            Self::Udp6 => UdpSocket::bind((ADDRESS_V6, 0)),
        }?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    }

    /// Another host each round, so that all are seen to answer.
    fn target(self, sequence: u16) -> SocketAddr {
        let host = 2 + sequence % 250;
        let v4 = || IpAddr::V4(Ipv4Addr::from_bits(ADDRESS_V4.to_bits() + u32::from(host) - 1));
        let v6 = || IpAddr::V6(Ipv6Addr::from_bits(ADDRESS_V6.to_bits() + u128::from(host) - 1));
        match self {
            // The port of a raw socket's address must be 0.
            Self::Icmp => (v4(), 0).into(),
            Self::Icmpv6 => (v6(), 0).into(),
            Self::Udp4 => (v4(), ECHO_PORT).into(),
            Self::Udp6 => (v6(), ECHO_PORT).into(),
        }
    }

    fn request(self, identifier: u16, sequence: u16) -> Vec<u8> {
        // What is asked with: 48 bytes, as large as those that ping sends by default with its time stamp aside.
        let mut payload = [b'.'; 48];
        payload[..2].copy_from_slice(&sequence.to_be_bytes());
        match self {
            Self::Icmp => icmp_echo_request(identifier, sequence, &payload),
            Self::Icmpv6 => icmpv6_echo_request(identifier, sequence, &payload),
            Self::Udp4 | Self::Udp6 => payload.to_vec(),
        }
    }

    /// The number of the request that a message answers. A raw socket also brings messages that are not for us.
    fn answered(self, identifier: u16, message: &[u8]) -> Option<u16> {
        let echo = match self {
            Self::Icmp => EchoMessage::parse_icmp_packet(message)?,
            Self::Icmpv6 => EchoMessage::parse_icmpv6(message)?,
            Self::Udp4 | Self::Udp6 => return Some(u16::from_be_bytes(*message.first_chunk()?)),
        };
        (echo.is_reply && echo.identifier == identifier).then_some(echo.sequence)
    }
}

/// The requests of one kind.
struct Prober {
    kind: Kind,
    socket: UdpSocket,
    identifier: u16,
    sent: Vec<Instant>,
    /// By request: how long its answer took.
    answered: Vec<Option<Duration>>,
}

impl Prober {
    fn new(kind: Kind) -> Outcome<Self> {
        let socket = kind
            .socket()
            .map_err(|error| Failure::Said(format!("open a socket for {}: {error}", kind.label())))?;
        // The number needs only to differ from those of other programs in this namespace, of which there are none.
        let identifier =
            u16::from_ne_bytes(*std::process::id().to_ne_bytes().first_chunk().unwrap_or(&[0; 2]));
        Ok(Self { kind, socket, identifier, sent: Vec::new(), answered: Vec::new() })
    }

    fn send(&mut self, sequence: u16) -> Outcome {
        let request = self.kind.request(self.identifier, sequence);
        let target = self.kind.target(sequence);
        let now = Instant::now();
        self.socket.send_to(&request, target).map_err(|error| {
            Failure::Said(format!("send {} to {}: {error}", self.kind.label(), target.ip()))
        })?;
        self.sent.push(now);
        self.answered.push(None);
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut buffer = [0; 2048];
        loop {
            let length = match self.socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let came = Instant::now();
            let answered = self.kind.answered(self.identifier, &buffer[..length]).map(usize::from);
            if let Some(index) = answered.filter(|&index| index < self.sent.len()) {
                self.answered[index].get_or_insert(came - self.sent[index]);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.answered.iter().all(Option::is_some)
    }
}

/// Sends the requests, and collects the answers, until a signal asks to end, or nobody answers
/// any more.
pub(super) fn run(plan: &Plan, signals: &Signals, over: &AtomicBool) -> Outcome<Summary> {
    let mut probers = Kind::ALL.into_iter().map(Prober::new).collect::<Outcome<Vec<_>>>()?;
    let started = Instant::now();
    for round in 0..plan.rounds {
        let due = started + plan.interval * u32::from(round);
        if collect(&mut probers, signals, over, due, Until::Time)? == Ended::Early {
            break;
        }
        for prober in &mut probers {
            prober.send(round)?;
        }
    }
    collect(&mut probers, signals, over, Instant::now() + GRACE, Until::AllAnswered)?;
    Ok(Summary {
        event: "summary",
        kinds: probers.iter().map(KindSummary::of).collect(),
        unanswered: 0,
        other: 0,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Time,
    AllAnswered,
}

#[derive(PartialEq, Eq)]
enum Ended {
    AsPlanned,
    Early,
}

fn collect(
    probers: &mut [Prober],
    signals: &Signals,
    over: &AtomicBool,
    deadline: Instant,
    until: Until,
) -> Outcome<Ended> {
    let failed = |error: io::Error| Failure::Said(format!("receive answers: {error}"));
    loop {
        for prober in &mut *probers {
            prober.receive().map_err(failed)?;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() || until == Until::AllAnswered && probers.iter().all(Prober::is_done) {
            return Ok(Ended::AsPlanned);
        }
        let sockets = probers.iter().map(|prober| prober.socket.as_fd());
        let mut fds: Vec<_> =
            sockets.chain([signals.as_fd()]).map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        let pause = TimeSpec::from(left.min(GLANCE));
        ppoll(&mut fds, Some(pause), None).map_err(|errno| failed(errno.into()))?;
        if fds.last().and_then(PollFd::any).unwrap_or(false) || over.load(Ordering::Relaxed) {
            return Ok(Ended::Early);
        }
    }
}

/// What came of it; its fields are the JSON.
#[derive(Serialize)]
pub(super) struct Summary {
    event: &'static str,
    kinds: Vec<KindSummary>,
    /// Requests that were sent and not answered in time.
    unanswered: usize,
    /// Packets of the kernel's own, such as router solicitations, that ask nothing of the hosts here.
    other: u64,
}

/// One kind of request. Times are in microseconds.
#[derive(Serialize)]
struct KindSummary {
    kind: Kind,
    sent: usize,
    answered: usize,
    round_trip_us: Option<RoundTrip>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct RoundTrip {
    min: f64,
    median: f64,
    max: f64,
}

impl KindSummary {
    fn of(prober: &Prober) -> Self {
        let mut times: Vec<_> = prober.answered.iter().flatten().copied().collect();
        times.sort_unstable();
        Self {
            kind: prober.kind,
            sent: prober.sent.len(),
            answered: times.len(),
            round_trip_us: RoundTrip::of(&times),
        }
    }
}

impl RoundTrip {
    fn of(sorted: &[Duration]) -> Option<Self> {
        let micros = |time: &Duration| (time.as_secs_f64() * 1e7).round() / 10.0;
        Some(Self {
            min: micros(sorted.first()?),
            median: micros(sorted.get(sorted.len() / 2)?),
            max: micros(sorted.last()?),
        })
    }
}

impl Summary {
    pub(super) fn with_responder(mut self, counts: &Counts) -> Self {
        self.unanswered = self.kinds.iter().map(|kind| kind.sent - kind.answered).sum();
        self.other = counts.received - counts.answered;
        self
    }

    pub(super) fn all_answered(&self) -> bool {
        self.unanswered == 0 && self.kinds.iter().all(|kind| kind.sent > 0)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10} {:>5} {:>9} {:>28}", "", "sent", "answered", "round trip min/median/max")?;
        for KindSummary { kind, sent, answered, round_trip_us } in &self.kinds {
            let times = round_trip_us.map_or("-".to_owned(), |RoundTrip { min, median, max }| {
                format!("{min:.0} / {median:.0} / {max:.0} µs")
            });
            writeln!(f, "{:<10} {sent:>5} {answered:>9} {times:>28}", kind.label())?;
        }
        if self.other > 0 {
            writeln!(f, "packets of the kernel's own, which ask nothing of a host here: {}", self.other)?;
        }
        let sent: usize = self.kinds.iter().map(|kind| kind.sent).sum();
        match self.unanswered {
            0 => writeln!(f, "all {sent} requests were answered"),
            missing => writeln!(f, "{missing} of {sent} requests went unanswered"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_has_a_round_a_second_unless_both_are_given() {
        let second = Duration::from_secs(1);
        assert_eq!(Plan::new(None, None), Plan { rounds: 5, interval: second });
        assert_eq!(Plan::new(Some(3), None), Plan { rounds: 3, interval: second });
        assert_eq!(Plan::new(None, Some(20 * second)), Plan { rounds: 20, interval: second });
        assert_eq!(Plan::new(None, Some(second / 2)), Plan { rounds: 1, interval: second / 2 });
        assert_eq!(Plan::new(Some(100), Some(second)), Plan { rounds: 100, interval: second / 100 });
    }

    #[test]
    fn each_round_asks_another_host_and_none_asks_the_kernel() {
        assert_eq!(Kind::Icmp.target(0).to_string(), "10.77.0.2:0");
        assert_eq!(Kind::Udp4.target(249).to_string(), "10.77.0.251:7");
        assert_eq!(Kind::Udp6.target(250).to_string(), "[fd77::2]:7");
    }

    #[test]
    fn round_trips_are_told_in_microseconds() {
        let times = [10, 20, 90].map(Duration::from_micros);
        assert_eq!(RoundTrip::of(&times), Some(RoundTrip { min: 10.0, median: 20.0, max: 90.0 }));
        assert_eq!(RoundTrip::of(&[]), None);
    }
}
