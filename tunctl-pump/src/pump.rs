//! The pump itself: a thread for each direction of each pair of queues.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tunctl_core::Bulk;
use tunctl_core::{Cause, Error, Interrupter, Layer, Offloads, Operation, Reason, Result, TunDevice};

use crate::statistics::{Counters, Traffic};
use crate::way::{Way, relay};
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
    pub(crate) wire: Wire,
    counters: Vec<[Counters; 2]>,
    pub(crate) stop: Interrupter,
    is_running: AtomicBool,
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
        Ok(Self {
            one,
            other,
            wire: Wire::new(),
            counters,
            stop: Interrupter::new()?,
            is_running: AtomicBool::new(false),
        })
    }

    /// What the wire does to packets. Both directions do the same, to other packets.
    #[must_use]
    pub fn with_wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// Ends [`run`](Self::run), from another thread or a signal handler. It stays set when a pump has ended:
    /// [`reset`](Interrupter::reset) it to run the pump once more.
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
    /// `Gone`: one of the interfaces was deleted. `Busy`: it runs already. That of the system if it starts no
    /// more threads.
    pub fn run(&self) -> Result<()> {
        self.run_if(None::<&fn(Direction, &mut [u8]) -> Verdict>)
    }

    /// As [`run`](Self::run), and has the hook see each packet that the wire did not lose. A hook that
    /// changes a packet has to make its checksums anew: a packet with a wrong one passes, and is merged with
    /// no other.
    ///
    /// # Errors
    ///
    /// Those of [`run`](Self::run).
    pub fn run_with(&self, hook: &impl Hook) -> Result<()> {
        self.run_if(Some(hook))
    }

    fn run_if(&self, hook: Option<&impl Hook>) -> Result<()> {
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
    /// offloads; or they are tuns that receive packets in UDP tunnels many at a time, which Linux takes from
    /// taps alone (`virtio_net_hdr_tnl_to_skb`, Linux 6.18). Those of [`run`](Self::run).
    pub fn relay(&self) -> Result<()> {
        let differ = |(one, other): (&Bulk<A>, &Bulk<B>)| {
            one.header_kind() != other.header_kind() || one.offloads() != other.offloads()
        };
        if self.one.iter().zip(&self.other).any(differ) {
            return Err(Reason::new(Cause::InvalidValue)
                .with_detail("the interfaces have different packet headers or offloads")
                .of(Operation::Send));
        }
        let in_tunnels =
            |bulk: &Bulk<A>| bulk.layer() == Layer::Tun && bulk.offloads().contains(Offloads::UDP_TUNNEL);
        if self.one.iter().any(in_tunnels) {
            return Err(Reason::new(Cause::InvalidValue)
                .with_detail(
                    "a tun receives packets in UDP tunnels many at a time, and does not send them so",
                )
                .with_remedy("Create it with a virtio-net header of ten bytes, or have its packets cut.")
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
        let _running = Running::begin(&self.is_running)?;
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for (index, ((one, other), [there, home])) in
                (0..).zip(self.one.iter().zip(&self.other).zip(&self.counters))
            {
                let start = thread::Builder::new;
                let forth = move || self.until_ended(|| forth(index, one, other, there));
                let back = move || self.until_ended(|| back(index, other, one, home));
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

    /// Works, and ends the other threads with this one, also if it panics.
    fn until_ended(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        struct End<'a>(&'a Interrupter);

        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.interrupt();
            }
        }

        let _end = End(&self.stop);
        match work() {
            Err(error) if error.is_interrupted() => Ok(()),
            outcome => outcome,
        }
    }
}

/// A pump runs until this is dropped.
struct Running<'a>(&'a AtomicBool);

impl<'a> Running<'a> {
    fn begin(is_running: &'a AtomicBool) -> Result<Self> {
        if is_running.swap(true, Ordering::Relaxed) {
            let reason = Reason::new(Cause::Busy).with_detail("the pump runs already");
            return Err(reason.of(Operation::Receive));
        }
        Ok(Self(is_running))
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Its errno is often `EAGAIN`, which is no reason here to wait and try again.
fn not_started(error: &io::Error) -> Error {
    let reason = Reason::new(Cause::Other).with_detail("no thread could be started to forward packets");
    let reason =
        reason.with_remedy("Raise the limits of threads and memory (ulimit -u, ulimit -v, pids.max).");
    error.raw_os_error().into_iter().fold(reason, Reason::with_errno).of(Operation::Receive)
}
