//! The simulation: events in the order of virtual time.

mod events;
mod receiving;
mod sending;

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;
use mock_instant::MockClock;

use crate::ledger::Ledger;
use crate::network::Train;
use crate::node::{self, Node};
use crate::plan::{self, CALM, Flow, GRACE, LAST_FAULTS, Plan};
use crate::trace::Trace;

/// More datagrams than this are never on their way at once.
const MOST_IN_FLIGHT: usize = 4_000;
/// What the protocol promises to those who talk: new keys each two minutes. Losses may delay them.
const REKEYS: u32 = 4;
const REKEYS_EACH: Duration = Duration::from_secs(600);
/// Where nobody talks, the keys may expire (180 s). Then the next keepalive (25 s) makes new ones; losses may
/// delay them.
const KEPT_ALIVE: Duration = Duration::from_secs(250);

/// What happened in a simulation in which all was well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The seed.
    pub seed: u64,
    /// How many lines the trace has.
    pub lines: u64,
    /// A hash of the trace.
    pub digest: u64,
    /// How often each client and the server made new keys.
    pub rekeys: Vec<u64>,
    /// How many inner packets ended how.
    pub packets: BTreeMap<&'static str, u64>,
    /// How many datagrams, copies included, ended how.
    pub datagrams: BTreeMap<&'static str, u64>,
    /// The most that there were at once: inner packets that had not ended, datagrams on their way, packets
    /// that waited in a tunnel.
    pub most: [usize; 3],
    /// The trace, if all of it was asked for, else its last lines.
    pub trace: Vec<String>,
}

/// What was wrong in a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// For how long it was to run.
    pub duration: Duration,
    /// When it failed, in virtual time.
    pub at: Duration,
    /// What was seen.
    pub what: String,
    /// The last lines of the trace.
    pub trace: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.trace {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "seed {} failed after {:?} of simulated time: {}", self.seed, self.at, self.what)?;
        write!(
            f,
            "replay it in examples/vpn-simulation: cargo run --release -- --seed {} --minutes {} --trace",
            self.seed,
            self.duration.as_secs() / 60
        )
    }
}

impl std::error::Error for Failure {}

/// Simulates what a seed decides, for some virtual time.
///
/// # Errors
///
/// Something is wrong: a packet that nobody sent, one that was lost without a trace, keys that grow old.
pub fn run(seed: u64, duration: Duration, is_whole_trace: bool) -> Result<Summary, Box<Failure>> {
    let mut rng = Rng::with_seed(seed);
    let plan = Plan::draw(&mut rng, duration);
    // Before the tunnels are made, which take the time.
    MockClock::set_time(Duration::from_secs(1_000));
    let fail = |what, at, trace| Box::new(Failure { seed, duration, at, what, trace });
    let mut simulation = Simulation::new(rng, plan, duration, is_whole_trace)
        .map_err(|what| fail(what, Duration::ZERO, Vec::new()))?;
    match simulation.run_to_end() {
        Ok(rekeys) => Ok(simulation.into_summary(seed, rekeys)),
        Err(what) => Err(fail(what, simulation.now, simulation.trace.into_lines())),
    }
}

#[derive(Debug)]
enum Event {
    Tick(usize),
    Arrival(Train),
    Talk(Flow),
    Roam(usize),
    Fault,
    Up(usize),
    Noise,
    Death(usize),
}

#[derive(Debug)]
struct Scheduled {
    at: Duration,
    /// Of two at the same time, the one that was scheduled first comes first.
    number: u64,
    event: Event,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scheduled {}

struct Simulation {
    rng: Rng,
    plan: Plan,
    duration: Duration,
    now: Duration,
    events: BinaryHeap<Reverse<Scheduled>>,
    scheduled: u64,
    nodes: Vec<Node>,
    /// All addresses that nodes have had.
    addresses: HashMap<SocketAddr, usize>,
    ledger: Ledger,
    trace: Trace,
    /// The number of the last inner packet.
    number: u64,
    datagrams: BTreeMap<&'static str, u64>,
    in_flight: usize,
    most_in_flight: usize,
    most_waiting: usize,
}

impl Simulation {
    fn new(mut rng: Rng, plan: Plan, duration: Duration, is_whole_trace: bool) -> Result<Self, String> {
        let places: Vec<_> = (0..=plan.clients).map(|node| plan::address(node, 0, plan.is_v6)).collect();
        let nodes = node::nodes(&plan, &places, &mut rng)?;
        let mut simulation = Self {
            rng,
            duration,
            now: Duration::ZERO,
            events: BinaryHeap::new(),
            scheduled: 0,
            nodes,
            addresses: places.into_iter().zip(0..).collect(),
            ledger: Ledger::new((duration + GRACE).saturating_sub(CALM)),
            trace: Trace::new(is_whole_trace),
            number: 0,
            datagrams: BTreeMap::new(),
            in_flight: 0,
            most_in_flight: 0,
            most_waiting: 0,
            plan,
        };
        simulation.schedule_first();
        Ok(simulation)
    }

    fn schedule_first(&mut self) {
        for node in 0..self.nodes.len() {
            let at = Duration::from_micros(self.rng.u64(0..250_000));
            self.schedule(at, Event::Tick(node));
        }
        for flow in self.plan.flows.clone() {
            let at = plan::about(flow.gap, &mut self.rng);
            self.schedule(at, Event::Talk(flow));
        }
        for client in 1..=self.plan.clients {
            let at = plan::about(self.plan.roam_gap, &mut self.rng);
            self.schedule(at, Event::Roam(client));
            if let Some(at) = self.plan.paths[client - 1].death {
                self.schedule(at, Event::Death(client));
            }
        }
        let at = plan::about(self.plan.fault_gap, &mut self.rng);
        self.schedule(at, Event::Fault);
        self.schedule(at / 2, Event::Noise);
    }

    fn schedule(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse(Scheduled { at, number: self.scheduled, event }));
    }

    /// Returns how often each client got new keys.
    fn run_to_end(&mut self) -> Result<Vec<u64>, String> {
        for node in 0..self.nodes.len() {
            self.dispatch(node, &mut [])?;
        }
        while let Some(Reverse(Scheduled { at, event, .. })) = self.events.pop() {
            if at > self.duration {
                self.events.push(Reverse(Scheduled { at, number: 0, event }));
                break;
            }
            MockClock::advance(at - self.now);
            self.now = at;
            self.happen(event)?;
        }
        self.finish()
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        let is_calm = self.is_calm();
        let has_faults = self.now + LAST_FAULTS + CALM < self.duration;
        match event {
            Event::Tick(node) => self.tick(node),
            Event::Arrival(train) => self.arrive(train),
            Event::Talk(flow) => self.talk(flow),
            Event::Roam(client) if !is_calm => {
                self.roam(client);
                Ok(())
            }
            Event::Fault if has_faults => {
                self.fault();
                Ok(())
            }
            Event::Noise if !is_calm => {
                self.noise();
                Ok(())
            }
            Event::Up(node) => {
                self.bring_up(node);
                Ok(())
            }
            Event::Death(client) => self.die(client),
            Event::Roam(_) | Event::Fault | Event::Noise => Ok(()),
        }
    }

    /// The network is calm until the end.
    fn is_calm(&self) -> bool {
        self.now + CALM >= self.duration
    }

    /// Notices handshakes.
    fn observe(&mut self, node: usize) {
        let Node { vpn: Some(vpn), tunnels, .. } = &mut self.nodes[node] else { return };
        for (peer, tunnel) in vpn.peers().iter().zip(tunnels) {
            if peer.last_handshake != tunnel.last_handshake {
                tunnel.last_handshake = peer.last_handshake;
                tunnel.handshakes += 1;
            }
        }
    }

    /// Accounts for what is left, and counts the handshakes.
    fn finish(&mut self) -> Result<Vec<u64>, String> {
        while let Some(Reverse(Scheduled { event, .. })) = self.events.pop() {
            if let Event::Arrival(train) = event {
                self.lose(&train, "on its way at the end")?;
            }
        }
        for node in 0..self.nodes.len() {
            for peer in 0..self.nodes[node].tunnels.len() {
                let waiting = std::mem::take(&mut self.nodes[node].tunnels[peer].waiting);
                for packet in waiting {
                    self.forget(node, peer, packet)?;
                }
            }
        }
        self.ledger.finish()?;
        (1..=self.plan.clients).map(|client| self.rekeys(client)).collect()
    }

    fn rekeys(&self, client: usize) -> Result<u64, String> {
        let path = &self.plan.paths[client - 1];
        let tunnel = &self.nodes[client].tunnels[0];
        let rekeys = tunnel.handshakes.saturating_sub(1);
        if path.death.is_some() {
            return Ok(rekeys);
        }
        if self.plan.quiet == Some(client) {
            let is_fresh = tunnel.last_handshake.is_some_and(|last| last + KEPT_ALIVE >= self.duration);
            let last = tunnel.last_handshake;
            let stale = || {
                format!("client {client} is to be kept alive, and made keys at {last:?} for the last time")
            };
            return is_fresh.then_some(rekeys).ok_or_else(stale);
        }
        let blackouts: Duration = path.blackouts.iter().map(|(start, end)| *end - *start).sum();
        let talking = self.duration.saturating_sub(blackouts);
        let least = (talking * REKEYS).as_secs() / REKEYS_EACH.as_secs();
        if rekeys < least {
            return Err(format!("client {client} and the server made new keys {rekeys} times, not {least}"));
        }
        Ok(rekeys)
    }

    fn into_summary(self, seed: u64, rekeys: Vec<u64>) -> Summary {
        Summary {
            seed,
            lines: self.trace.lines(),
            digest: self.trace.digest(),
            rekeys,
            packets: self.ledger.ends().clone(),
            datagrams: self.datagrams,
            most: [self.ledger.largest(), self.most_in_flight, self.most_waiting],
            trace: self.trace.into_lines(),
        }
    }
}
