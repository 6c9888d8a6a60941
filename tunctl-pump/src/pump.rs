//! The pump itself: a thread for each direction of each pair of queues.

use std::io;
use std::thread;
use std::time::Instant;

use tunctl_core::bulk::{Bulk, RecvBatch, SendBatch};
use tunctl_core::{Cause, Error, Interrupter, Operation, Reason, Result, TunDevice};

use crate::link::Link;
use crate::statistics::{Counters, Traffic};
use crate::wire::Wire;

/// The way that a packet takes through a [`Pump`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the first device to the second.
    Forth,
    /// From the second device to the first.
    Back,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It is sent.
    Pass,
    /// It is dropped, and counted.
    Drop,
}

/// Sees each packet on its way, in whichever thread that is. Closures are hooks.
pub trait Hook: Sync {
    /// Looks at a packet, without headers in front, which may be changed but not get longer or shorter.
    fn packet(&self, direction: Direction, packet: &mut [u8]) -> Verdict;
}

impl<F: Fn(Direction, &mut [u8]) -> Verdict + Sync> Hook for F {
    fn packet(&self, direction: Direction, packet: &mut [u8]) -> Verdict {
        self(direction, packet)
    }
}

/// A wire between two interfaces.
///
/// Each pair of queues is joined by two threads, one for each direction. Queue *n* of one interface is joined
/// to queue *n* of the other: a system keeps a flow on its queue, so that its packets stay in order.
#[derive(Debug)]
pub struct Pump<A, B> {
    one: Vec<Bulk<A>>,
    other: Vec<Bulk<B>>,
    wire: Wire,
    counters: Vec<[Counters; 2]>,
    stop: Interrupter,
}

impl<A: TunDevice, B: TunDevice> Pump<A, B> {
    /// Joins all queues of two interfaces, which have the same number of them.
    ///
    /// # Errors
    ///
    /// `InvalidValue`: the numbers differ, or the layers do. `TooManyOpenFiles`.
    pub fn new(one: Vec<Bulk<A>>, other: Vec<Bulk<B>>) -> Result<Self> {
        let layers = |bulk: &Bulk<A>| bulk.layer();
        let differs = |what: &'static str| {
            Err(Reason::new(Cause::InvalidValue).with_detail(what).of(Operation::Receive))
        };
        if one.len() != other.len() {
            return differs("the interfaces have different numbers of queues");
        }
        if one.iter().map(layers).zip(other.iter().map(Bulk::layer)).any(|(one, other)| one != other) {
            return differs("one is a tun, the other a tap: their packets differ by the Ethernet header");
        }
        let counters = one.iter().map(|_| Default::default()).collect();
        Ok(Self { one, other, wire: Wire::new(), counters, stop: Interrupter::new()? })
    }

    /// What the wire does to packets. Both directions do the same, to other packets.
    #[must_use]
    pub fn with_wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Ends [`run`](Self::run), from another thread or a signal handler.
    #[must_use]
    pub fn interrupter(&self) -> &Interrupter {
        &self.stop
    }

    /// What has passed so far in each direction: forth, and back.
    #[must_use]
    pub fn traffic(&self) -> [Traffic; 2] {
        let mut all = [Traffic::default(); 2];
        for counters in &self.counters {
            for (traffic, counters) in all.iter_mut().zip(counters) {
                counters.add_to(traffic);
            }
        }
        all
    }

    /// The devices, as they were before.
    ///
    /// # Errors
    ///
    /// Those of [`Bulk::into_devices`]. The devices are then closed.
    pub fn into_devices(self) -> Result<(Vec<A>, Vec<B>)> {
        let one = Bulk::into_devices(self.one)?;
        let other = Bulk::into_devices(self.other)?;
        Ok((one, other))
    }

    /// Forwards packets in both directions until the [interrupter](Self::interrupter) is used.
    ///
    /// # Errors
    ///
    /// `Gone`: one of the interfaces was deleted. That of the system if it starts no more threads.
    pub fn run(&self) -> Result<()> {
        self.run_with(&|_, _: &mut [u8]| Verdict::Pass)
    }

    /// As [`run`](Self::run), and has the hook see each packet that the wire did not lose.
    ///
    /// # Errors
    ///
    /// `Gone`: one of the interfaces was deleted.
    pub fn run_with(&self, hook: &impl Hook) -> Result<()> {
        self.each_way(
            |index, from, to, counters| {
                Way::new(self, index, Direction::Forth, hook, counters).forward(from, to)
            },
            |index, from, to, counters| {
                Way::new(self, index, Direction::Back, hook, counters).forward(from, to)
            },
        )
    }

    /// As [`run`](Self::run), without cutting what stands for several packets: it passes as it was received,
    /// header included. The wire does nothing to packets then.
    ///
    /// # Errors
    ///
    /// `InvalidValue`: the packets of the interfaces have different headers, or the interfaces different
    /// offloads.
    /// `Gone`: one of the interfaces was deleted.
    pub fn relay(&self) -> Result<()> {
        let differ = |(one, other): (&Bulk<A>, &Bulk<B>)| {
            one.header_kind() != other.header_kind() || one.offloads() != other.offloads()
        };
        if self.one.iter().zip(&self.other).any(differ) {
            return Err(Reason::new(Cause::InvalidValue)
                .with_detail("the interfaces have different packet headers or offloads")
                .of(Operation::Send));
        }
        self.each_way(
            |_, from, to, counters| relay(from, to, counters, &self.stop),
            |_, from, to, counters| relay(from, to, counters, &self.stop),
        )
    }

    /// Runs a thread for each way, until the first one ends. The first error counts.
    fn each_way(
        &self,
        forth: impl Fn(u64, &Bulk<A>, &Bulk<B>, &Counters) -> Result<()> + Sync,
        back: impl Fn(u64, &Bulk<B>, &Bulk<A>, &Counters) -> Result<()> + Sync,
    ) -> Result<()> {
        let (forth, back) = (&forth, &back);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for (index, ((one, other), [there, home])) in
                (0..).zip(self.one.iter().zip(&self.other).zip(&self.counters))
            {
                let start = thread::Builder::new;
                let forth = move || self.ended(forth(index, one, other, there));
                let back = move || self.ended(back(index, other, one, home));
                threads.push(start().spawn_scoped(scope, forth));
                threads.push(start().spawn_scoped(scope, back));
            }
            if threads.iter().any(Result::is_err) {
                // Those that were started would wait for packets.
                self.stop.interrupt();
            }
            let mut outcome = Ok(());
            for thread in threads {
                let next = match thread {
                    Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    Err(error) => Err(not_started(&error)),
                };
                outcome = outcome.and(next);
            }
            outcome
        })
    }

    /// One way has ended, and with it the others.
    fn ended(&self, outcome: Result<()>) -> Result<()> {
        self.stop.interrupt();
        match outcome {
            Err(error) if error.is_interrupted() => Ok(()),
            outcome => outcome,
        }
    }
}

/// One direction of a pair of queues.
struct Way<'a, H> {
    stop: &'a Interrupter,
    direction: Direction,
    hook: &'a H,
    counters: &'a Counters,
    /// `None` if packets pass as they come.
    link: Option<Link>,
    started: Instant,
    bytes: u64,
    dropped: u64,
}

impl<'a, H: Hook> Way<'a, H> {
    fn new<A, B>(
        pump: &'a Pump<A, B>,
        index: u64,
        direction: Direction,
        hook: &'a H,
        counters: &'a Counters,
    ) -> Self {
        let wire = pump.wire;
        let seed = wire.seed ^ (index << 1 | u64::from(direction == Direction::Back)).rotate_right(8);
        let link = (!wire.is_perfect()).then(|| Link::new(wire, seed));
        let stop = &pump.stop;
        Self { stop, direction, hook, counters, link, started: Instant::now(), bytes: 0, dropped: 0 }
    }

    fn forward<A: TunDevice, B: TunDevice>(mut self, from: &Bulk<A>, to: &Bulk<B>) -> Result<()> {
        let (mut received, mut sent) = (from.recv_batch(), to.send_batch());
        loop {
            let due = self.link.as_ref().and_then(Link::due);
            let timeout = due.map(|due| due.saturating_sub(self.started.elapsed()));
            match from.recv_until(&mut received, timeout, Some(self.stop)) {
                Err(error) if !error.is_timed_out() && !error.is_packet_lost() => return Err(error),
                _ => {}
            }
            while let Some(packet) = received.next() {
                match &mut self.link {
                    Some(link) => link.send(packet, self.started.elapsed()),
                    None => self.pass(packet, to, &mut sent)?,
                }
            }
            while let Some(packet) = self.arrived() {
                self.pass(&packet, to, &mut sent)?;
                if let Some(link) = &mut self.link {
                    link.recycle(packet);
                }
            }
            lost_is_counted(to.send(&mut sent))?;
            self.publish(&received, &sent);
        }
    }

    fn arrived(&mut self) -> Option<Vec<u8>> {
        let now = self.started.elapsed();
        self.link.as_mut()?.arrived(now)
    }

    fn pass<B: TunDevice>(&mut self, packet: &[u8], to: &Bulk<B>, sent: &mut SendBatch) -> Result<()> {
        if sent.is_full_for(packet.len()) {
            lost_is_counted(to.send(sent))?;
        }
        let mut verdict = Verdict::Pass;
        let (hook, direction) = (self.hook, self.direction);
        let place = sent.push_with(packet.len(), |place| {
            place.copy_from_slice(packet);
            verdict = hook.packet(direction, place);
            packet.len()
        });
        place.map_err(Error::from)?;
        match verdict {
            Verdict::Pass => self.bytes += packet.len() as u64,
            Verdict::Drop => {
                sent.pop();
                self.dropped += 1;
            }
        }
        Ok(())
    }

    fn publish(&self, received: &RecvBatch, sent: &SendBatch) {
        let dropped = self.dropped + self.link.as_ref().map_or(0, Link::dropped);
        self.counters.publish(&received.statistics(), &sent.statistics(), self.bytes, dropped);
    }
}

/// Passes on what was received, as it is.
fn relay<A: TunDevice, B: TunDevice>(
    from: &Bulk<A>,
    to: &Bulk<B>,
    counters: &Counters,
    stop: &Interrupter,
) -> Result<()> {
    let (mut received, mut sent) = (from.recv_batch(), to.send_batch().statistics());
    let mut bytes = 0;
    loop {
        match from.recv_until(&mut received, None, Some(stop)) {
            Err(error) if !error.is_packet_lost() => return Err(error),
            _ => {}
        }
        while let Some(large) = received.next_large() {
            match to.send_large(&large) {
                Ok(_) => {
                    bytes += large.packet().len() as u64;
                    sent.calls += 1;
                    sent.packets += 1;
                }
                Err(error) if error.is_packet_lost() => sent.lost += 1,
                Err(error) => return Err(error),
            }
        }
        counters.publish(&received.statistics(), &sent, bytes, 0);
    }
}

/// Its errno is often `EAGAIN`, which is no reason here to wait and try again.
fn not_started(error: &io::Error) -> Error {
    let reason = Reason::new(Cause::Other).with_detail("no thread could be started to forward packets");
    let reason =
        reason.with_remedy("Raise the limits of threads and memory (ulimit -u, ulimit -v, pids.max).");
    error.raw_os_error().into_iter().fold(reason, Reason::with_errno).of(Operation::Receive)
}

/// What a batch could not send is in its statistics.
fn lost_is_counted(outcome: Result<usize>) -> Result<()> {
    match outcome {
        Err(error) if !error.is_packet_lost() => Err(error),
        _ => Ok(()),
    }
}
