//! `tunctl watch`.

use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use serde::Serialize;
use tunctl::linux::{Direction, LinuxDevice, LinuxInterface, Observer};
use tunctl::packet::Filter;
use tunctl::{Cause, CreateFlags, Interface, InterfaceName, Layer, Native, State, TunBackend, TunDevice};

use super::advice::patiently;
use super::arguments::existing;
use super::duration::seconds;
use super::output;
use super::packets::{Form, PacketPrinter};
use super::signals::Signals;
use super::{Failure, Outcome, note};

/// More than any packet: 64 KiB of IP, an Ethernet header with VLAN tags, and the driver's own headers.
const BUFFER: usize = 65536 + 64;

/// After how many packets without a pause it looks for signals and for packets that were missed.
const BURST: u64 = 64;

/// How often a wait checks whether a silent interface still exists.
const GLANCE: Duration = Duration::from_secs(1);

/// Print each packet that passes an interface, decoded, until interrupted
///
/// Out means from this system to the program that has the device open, in means from that program to this
/// system. Watching consumes no packet.
#[derive(Args)]
pub(super) struct Watch {
    /// The interface
    #[arg(value_parser = existing())]
    name: InterfaceName,
    /// Print only the packets that match an expression of tcpdump's, such as 'tcp port 443'
    ///
    /// The language is a part of pcap-filter(7): protocols, hosts, networks, ports, VLANs, and, or, not,
    /// parentheses. Names are not resolved.
    #[arg(long, value_name = "EXPRESSION")]
    filter: Option<String>,
    /// Stop after this many packets
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Stop after this time: seconds, or with a unit, such as 500ms
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    duration: Option<Duration>,
    /// Open the device and receive the packets in place of a program; this consumes what the system sends
    #[arg(long)]
    attach: bool,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Totals of the packets that passed.
#[derive(Default, Serialize)]
struct Totals {
    event: &'static str,
    packets: u64,
    outgoing: u64,
    incoming: u64,
    bytes: u64,
    /// How many packets the kernel counted as missed because they came too fast; each time it counts some, it
    /// is an event. `None` if the interface is gone, and its counters with it.
    missed: Option<u64>,
}

impl Totals {
    fn count(&mut self, direction: Direction, length: usize) {
        self.packets += 1;
        self.bytes += length as u64;
        match direction {
            Direction::Outgoing => self.outgoing += 1,
            Direction::Incoming => self.incoming += 1,
        }
    }
}

/// An interface, and the source of its packets.
struct Source {
    interface: LinuxInterface,
    tap: Tap,
}

enum Tap {
    /// A packet socket, which consumes nothing.
    Observer(Observer),
    /// The device itself, which consumes what it receives.
    Device { device: LinuxDevice, header: usize, dropped: u64 },
}

impl Source {
    fn open(backend: &Native, interface: LinuxInterface, attach: bool) -> tunctl::Result<Self> {
        let tap = if attach {
            Tap::attach(backend, &interface)?
        } else {
            Tap::Observer(Observer::new(&interface)?)
        };
        Ok(Self { interface, tap })
    }

    fn layer(&self) -> Layer {
        match &self.tap {
            Tap::Observer(observer) => observer.layer(),
            Tap::Device { device, .. } => device.layer(),
        }
    }

    /// The next packet, without the driver's headers, and its length on the wire.
    fn next<'a>(&self, buffer: &'a mut [u8]) -> tunctl::Result<(Direction, &'a [u8], usize)> {
        match &self.tap {
            Tap::Observer(observer) => {
                observer.try_next(buffer).map(|seen| (seen.direction, seen.packet, seen.length))
            }
            Tap::Device { device, header, .. } => {
                let length = device.try_recv(buffer)?;
                let packet = buffer.get(*header..length).unwrap_or_default();
                Ok((Direction::Outgoing, packet, packet.len()))
            }
        }
    }

    /// How many packets were missed since the last call.
    fn take_missed(&mut self) -> Option<u64> {
        match &mut self.tap {
            Tap::Observer(observer) => observer.take_missed().ok().map(u64::from),
            Tap::Device { dropped, .. } => {
                let before = mem::replace(dropped, self.interface.dropped().ok()?);
                Some(dropped.saturating_sub(before))
            }
        }
    }
}

impl Tap {
    fn attach(backend: &Native, interface: &LinuxInterface) -> tunctl::Result<Self> {
        let options = interface.info()?.options()?;
        let device = patiently(|| backend.open(&options))?;
        let flags = device.flags();
        let information = if flags.contains(CreateFlags::NO_PI) { 0 } else { 4 };
        let vnet = if flags.contains(CreateFlags::VNET_HDR) { 10 } else { 0 };
        Ok(Self::Device { device, header: information + vnet, dropped: interface.dropped()? })
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.tap {
            Tap::Observer(observer) => observer.as_fd(),
            Tap::Device { device, .. } => device.as_fd(),
        }
    }
}

impl Watch {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let signals = Signals::catch()?;
        let interface = backend.interface(&self.name)?;
        let filter = self.filter(interface.info()?.layer)?;
        let source = Source::open(backend, interface, self.attach)?;
        let form = Form::choose(self.json);
        self.announce(&source, form)?;
        let totals = Totals { event: "totals", missed: Some(0), ..Totals::default() };
        let mut session = Session { source, filter, taken: 0, printer: PacketPrinter::new(form), totals };
        let ended = self.follow(&mut session, &signals);
        session.note_missed()?;
        session.printer.flush()?;
        print_totals(&session.totals, form)?;
        ended
    }

    /// What is to be seen of packets that begin with this layer.
    fn filter(&self, layer: Layer) -> Outcome<Option<Filter>> {
        let Some(text) = &self.filter else { return Ok(None) };
        Filter::parse(layer, text).map(Some).map_err(|error| {
            note(&error.mark(text));
            Failure::Usage(format!("--filter, {error}"))
        })
    }

    /// Says what is about to be seen, or why nothing is.
    fn announce(&self, source: &Source, form: Form) -> tunctl::Result<()> {
        let name = &self.name;
        if self.attach {
            note(&format_args!("attached to {name}: no other program receives these packets"));
        } else if form != Form::Json {
            note(&format_args!("watching {name} in both directions (Ctrl-C stops)"));
        }
        let info = source.interface.info()?;
        let has_carrier = info.carrier != Some(false);
        match (info.state, info.queues) {
            (State::Up, Some(0)) => {
                note(&format_args!("no program has {name} open: no packet passes until one opens it"));
            }
            (State::Down, Some(0)) => note(&format_args!(
                "{name} is down, and no program has it open: no packet passes until it is up and one opens it"
            )),
            (State::Up, None) if !has_carrier => note(&format_args!(
                "no program has {name} open, or its carrier is switched off: no packet passes until that \
                 changes"
            )),
            (State::Down, None) if !has_carrier => note(&format_args!(
                "{name} is down, and no program has it open, or its carrier is switched off: no packet \
                 passes until that changes"
            )),
            (State::Up, Some(_)) if !has_carrier => note(&format_args!(
                "the carrier of {name} is switched off: only packets from the program pass"
            )),
            (State::Down, _) => note(&format_args!("{name} is down: no packet passes until it is up")),
            (State::Up, _) => {}
        }
        Ok(())
    }

    fn follow(&self, session: &mut Session, signals: &Signals) -> Outcome {
        let deadline = self.duration.and_then(|duration| Instant::now().checked_add(duration));
        let mut buffer = vec![0; BUFFER];
        while self.count.is_none_or(|count| session.totals.packets < count) {
            match session.source.next(&mut buffer) {
                Ok((direction, packet, length)) => {
                    session.take(direction, packet, length)?;
                    // Under a flood of packets the loop never reaches the wait.
                    if session.taken.is_multiple_of(BURST) {
                        session.note_missed()?;
                        if signals.are_waiting() {
                            break;
                        }
                    }
                }
                Err(error) if error.is_would_block() => {
                    session.note_missed()?;
                    session.printer.flush()?;
                    match wait(&session.source, signals, deadline)? {
                        WaitOutcome::Packet => {}
                        WaitOutcome::Stop => break,
                        // The kernel does not report the deletion of an interface that is down.
                        WaitOutcome::Look => session.source.interface.info().map(|_| ())?,
                    }
                    continue;
                }
                // The interface may come up again.
                Err(error) if error.cause() == Cause::Down => {}
                Err(error) => return Err(error.into()),
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                break;
            }
        }
        Ok(())
    }
}

/// Where the packets come from and go to.
struct Session {
    source: Source,
    /// The packets that are counted and printed, if not all.
    filter: Option<Filter>,
    /// How many packets came, matching or not.
    taken: u64,
    printer: PacketPrinter,
    totals: Totals,
}

impl Session {
    /// Counts and prints a packet that is to be seen.
    fn take(&mut self, direction: Direction, packet: &[u8], length: usize) -> io::Result<()> {
        self.taken += 1;
        if self.filter.as_ref().is_some_and(|filter| !filter.matches(packet)) {
            return Ok(());
        }
        self.totals.count(direction, length);
        self.printer.print(Instant::now(), direction, self.source.layer(), packet, length)
    }

    /// Prints how many packets were missed since the last time, if any.
    fn note_missed(&mut self) -> io::Result<()> {
        let missed = self.source.take_missed();
        self.totals.missed = self.totals.missed.zip(missed).map(|(so_far, more)| so_far + more);
        match missed {
            None | Some(0) => Ok(()),
            Some(packets) => self.printer.print_missed(packets),
        }
    }
}

enum WaitOutcome {
    Packet,
    Stop,
    Look,
}

/// Waits for a packet, a signal or the deadline, and at most a second.
fn wait(source: &Source, signals: &Signals, deadline: Option<Instant>) -> Outcome<WaitOutcome> {
    let mut fds =
        [PollFd::new(source.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let last = left.is_some_and(|left| left <= GLANCE);
    let limit = if last { left.unwrap_or_default() } else { GLANCE };
    match ppoll(&mut fds, Some(TimeSpec::from(limit)), None) {
        Ok(0) if last => Ok(WaitOutcome::Stop),
        Ok(0) => Ok(WaitOutcome::Look),
        Ok(_) if fds[1].any().unwrap_or(true) => Ok(WaitOutcome::Stop),
        Ok(_) | Err(Errno::EINTR) => Ok(WaitOutcome::Packet),
        Err(errno) => Err(Failure::Said(format!("wait for packets: {errno}"))),
    }
}

fn print_totals(totals: &Totals, form: Form) -> io::Result<()> {
    if form == Form::Json {
        return output::json(totals);
    }
    let Totals { packets, outgoing, incoming, bytes, missed, .. } = totals;
    let gone = "missed: unknown (the interface is gone)".to_owned();
    let missed = missed.map_or(gone, |missed| format!("{missed} missed"));
    let s = if *packets == 1 { "" } else { "s" };
    writeln!(io::stdout(), "{packets} packet{s} ({outgoing} out, {incoming} in), {bytes} bytes; {missed}")
}
