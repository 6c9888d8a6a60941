//! `tunctl pump`: a wire between two interfaces.

mod ends;
mod report;
mod wire;

#[cfg(any(target_os = "linux", target_os = "android"))]
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl::{InterfaceAddress, Layer, Mtu, NamePattern, Native, NativeDevice};

use self::ends::{Common, End, Opened, Restoring};
use self::report::{PERIOD, Reporter};
use self::wire::WireArguments;
use super::duration::seconds;
use super::signals::Signals;
use super::{Failure, Outcome, note, shortage};

type Pump = tunctl::pump::Pump<NativeDevice, NativeDevice>;

/// Join two TUN/TAP interfaces by a wire, until interrupted
///
/// What the system sends out of one arrives at the other. An interface that exists is opened, and stays. One
/// that does not is created, and removed when this ends (not on NetBSD, DragonFly and FreeBSD before 15).
/// Both are up meanwhile. The wire may lose, delay and reorder packets.
///
/// It prints a line when the interfaces are joined, and totals at its end; on a terminal also rates, each
/// second, with the packets that were dropped and lost so far. The wire drops packets that it is told to lose
/// or has no room for. A packet is lost if the system does not take it, such as while the other interface is
/// down.
///
/// Two network namespaces, joined: tunctl pump a b --netns-b blue. A new interface may also be moved later,
/// which takes its addresses, and leaves it down: ip link set b netns blue
#[derive(Args)]
#[command(after_long_help = AFTER_HELP)]
pub(super) struct Pumping {
    /// The one interface, or a pattern such as wire%d for a new one
    a: NamePattern,
    /// The other one
    b: NamePattern,
    /// Make TUN interfaces: their packets are IP packets
    #[arg(long, conflicts_with = "tap")]
    tun: bool,
    /// Make TAP interfaces: their packets are Ethernet frames (the default, unless one of the two exists and
    /// is a TUN interface)
    #[arg(long)]
    tap: bool,
    /// The most bytes that a packet may have, on both
    #[arg(long, value_name = "BYTES")]
    mtu: Option<Mtu>,
    /// An address of A, such as 10.1.1.1/24 or fd77::1/64; may be repeated
    #[arg(long = "address-a", value_name = "CIDR")]
    addresses_a: Vec<InterfaceAddress>,
    /// An address of B; may be repeated
    #[arg(long = "address-b", value_name = "CIDR")]
    addresses_b: Vec<InterfaceAddress>,
    /// Where B is, if that is another network namespace than A's: that of "ip netns add NAME", or of process
    /// PID
    #[cfg(any(target_os = "linux", target_os = "android"))]
    #[arg(long, value_name = "NAME|PID")]
    netns_b: Option<OsString>,
    /// How packets pass
    #[arg(long, value_enum, default_value_t = Offload::Packets)]
    offload: Offload,
    /// How many queues each interface has, with a thread for each way of each
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    queues: u16,
    #[command(flatten)]
    wire: WireArguments,
    /// Stop after this time: seconds, or with a unit, such as 500ms
    #[arg(long = "for", value_name = "TIME", value_parser = seconds)]
    duration: Option<Duration>,
    /// Print one JSON object per line: when the interfaces are joined, each second, and at the end
    #[arg(long)]
    json: bool,
}

const AFTER_HELP: &str = "\
The objects of --json, by their \"event\":
  joined  a, b, layer, queues, offloads
  rates   each second: time (since 1970), seconds (how long it was), a_to_b, b_to_a
  totals  at the end: the same, since the start

In a_to_b and b_to_a:
  from, to                      the interfaces
  packets, bytes                what arrived
  packets_per_second, bits_per_second
  received                      packets that came out of \"from\"
  receive_calls, send_calls     the system calls for that
  packets_per_receive_call, packets_per_send_call
                                null if there was no call
  dropped                       packets that the wire lost, or had no room for
  lost                          packets that the system refused";

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Offload {
    /// The system hands over up to 64 KiB a call, which is cut into packets, and merged again; without
    /// offload in the system, one packet a call
    Packets,
    /// As it is handed over, uncut: the fastest. What stands for several packets counts as one
    Passthrough,
    /// One packet a call, without a virtio-net header
    Off,
}

impl Pumping {
    /// `elsewhere`: the backend is in another network namespace than the caller.
    pub(super) fn run(self, backend: &Native, elsewhere: bool) -> Outcome {
        self.check()?;
        let signals = Signals::catch()?;
        let apart = self.backend_b()?;
        let backends = [backend, apart.as_ref().unwrap_or(backend)];
        // Before the devices, so that it does its work after they are closed.
        let mut restoring = Restoring::default();
        let [a, b] = self.open(backends, [elsewhere, elsewhere || apart.is_some()], &mut restoring)?;
        let (pump, mut reporter) = self.join(a, b)?;
        if !self.json {
            note(&"packets pass now (Ctrl-C stops)");
        }
        let ended = self.pump(&pump, &mut reporter, &signals);
        let said = reporter.totals(pump.traffic());
        let closed = ends::close(pump);
        ended.and(closed).and(said.map_err(Failure::from))
    }

    fn check(&self) -> Outcome {
        let usage = |text: String| Err(Failure::Usage(text));
        if self.a == self.b && self.a.exact().is_some() && !self.is_apart() {
            return usage(format!("{} cannot be joined to itself: name two interfaces", self.a));
        }
        match self.wire.first() {
            Some(option) if self.offload == Offload::Passthrough => {
                return usage(format!(
                    "--offload passthrough passes on what stands for several packets uncut, so that no wire \
                     can tell them apart: leave out {option}, or use --offload packets"
                ));
            }
            _ => {}
        }
        if self.wire.rate.is_some() && self.queues > 1 {
            return usage("--rate is for one queue: leave out --queues".into());
        }
        Ok(())
    }

    fn open<'a>(
        &self,
        backends: [&'a Native; 2],
        elsewhere: [bool; 2],
        restoring: &mut Restoring<'a>,
    ) -> Outcome<[Opened; 2]> {
        let [a, b] = [(self.a, &self.addresses_a), (self.b, &self.addresses_b)];
        let end = |(name, addresses): (_, &Vec<_>), backend, elsewhere| End {
            name,
            backend,
            elsewhere,
            addresses: addresses.clone(),
        };
        let layer = match (self.tun, self.tap) {
            (true, _) => Some(Layer::Tun),
            (_, true) => Some(Layer::Tap),
            _ => None,
        };
        let offload = self.offload != Offload::Off;
        let common = Common { layer, mtu: self.mtu, queues: self.queues.into(), offload };
        ends::open(&end(a, backends[0], elsewhere[0]), &end(b, backends[1], elsewhere[1]), &common, restoring)
    }

    /// Joins the interfaces, and says so.
    fn join(&self, a: Opened, b: Opened) -> Outcome<(Pump, Reporter)> {
        let (layer, offloads) = a.queues.first().map(|bulk| (bulk.layer(), bulk.offloads())).unzip();
        let reporter = Reporter::new(self.json, [a.name, b.name]);
        let pump = Pump::new(a.queues, b.queues)?.with_wire(self.wire.wire());
        reporter.joined(layer.unwrap_or(Layer::Tap), self.queues.into(), offloads.unwrap_or_default())?;
        Ok((pump, reporter))
    }

    /// Forwards until a signal or the end of the time.
    fn pump(&self, pump: &Pump, reporter: &mut Reporter, signals: &Signals) -> Outcome {
        thread::scope(|scope| {
            let forward = || match self.offload {
                Offload::Passthrough => pump.relay(),
                Offload::Packets | Offload::Off => pump.run(),
            };
            let running = thread::Builder::new()
                .spawn_scoped(scope, forward)
                .map_err(|error| shortage::of_threads(&error))?;
            let followed = self.follow(pump, reporter, signals);
            pump.interrupter().interrupt();
            let ended =
                running.join().map_err(|_| Failure::Said("a thread that forwards panicked".into()))?;
            followed.and(ended.map_err(Failure::from))
        })
    }

    /// Reports each second, until a signal, the end of the time, or of the pump.
    fn follow(&self, pump: &Pump, reporter: &mut Reporter, signals: &Signals) -> Outcome {
        let start = Instant::now();
        let end = self.duration.and_then(|duration| start.checked_add(duration));
        let mut next = reporter.reports_rates().then(|| start + PERIOD);
        loop {
            let wake = next.into_iter().chain(end).min();
            if is_stopped(pump, signals, wake)? {
                return Ok(());
            }
            let now = Instant::now();
            if end.is_some_and(|end| end <= now) {
                return Ok(());
            }
            if let Some(due) = next.filter(|due| *due <= now) {
                reporter.rates(pump.traffic())?;
                next = Some(due.max(now - PERIOD) + PERIOD);
            }
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn is_apart(&self) -> bool {
        self.netns_b.is_some()
    }

    /// The backend of B, if it is not that of A.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn backend_b(&self) -> tunctl::Result<Option<Native>> {
        self.netns_b.as_deref().map(super::netns::backend).transpose()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::unused_self, reason = "elsewhere there is a choice")]
    const fn is_apart(&self) -> bool {
        false
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "elsewhere there is a choice")]
    fn backend_b(&self) -> tunctl::Result<Option<Native>> {
        Ok(None)
    }
}

/// Waits until `wake`, and returns whether a signal, or the end of the pump, ended that.
fn is_stopped(pump: &Pump, signals: &Signals, wake: Option<Instant>) -> Outcome<bool> {
    let mut fds = [
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        PollFd::new(pump.interrupter().as_fd(), PollFlags::POLLIN),
    ];
    // A poll counts in milliseconds, and must not end before the time.
    let left = |wake: Instant| wake.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    let timeout = wake.map_or(PollTimeout::NONE, |wake| left(wake).try_into().unwrap_or(PollTimeout::MAX));
    match poll(&mut fds, timeout) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(Failure::Said(format!("wait for a signal: {errno}"))),
    }
}
