//! From a device into the network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use tunctl::mock::Delivery;
use tunctl_vpn::Vpn;

use super::{Event, MOST_IN_FLIGHT, Simulation};
use crate::ledger::{Claim, Id};
use crate::network::{Datagram, Train, Weather, kind};
use crate::node::{DEVICE, counted, next_hop, peer};
use crate::plan::{CALM, LAST_ARRIVALS};
use crate::socket::Sent;
use crate::traffic::Load;

/// What a datagram has beside its packet.
const OVERHEAD: usize = 32;
/// The packets that a tunnel of boringtun keeps while it has no keys (`MAX_QUEUE_DEPTH`).
const MOST_WAITING: usize = 256;
/// The `next` of a packet that has no way.
const NOWHERE: usize = usize::MAX;

impl Simulation {
    /// The system of a node sends packets to the node `to`, or to nobody.
    pub(super) fn send_from(
        &mut self,
        node: usize,
        load: &Load,
        to: Option<usize>,
        claim: Claim,
    ) -> Result<(), String> {
        match self.nodes[node].kernel.inject_large(DEVICE, &load.header, &load.bytes) {
            Delivery::Queued => {}
            Delivery::Down => {
                self.trace.line(self.now, &format!("{node} is down, and sends nothing"));
                return Ok(());
            }
            outcome => return Err(format!("node {node}: its device takes no packet: {outcome:?}")),
        }
        let next = to.map_or(NOWHERE, |to| next_hop(node, to));
        let mut packets = Vec::new();
        for packet in &load.packets {
            packets.push(self.ledger.sent(packet.clone(), next, self.now, claim)?);
        }
        self.pump(node, packets)
    }

    /// Has the VPN take the packets that its device has, and follows each.
    fn pump(&mut self, node: usize, packets: Vec<Id>) -> Result<(), String> {
        let this = &mut self.nodes[node];
        let Some(vpn) = &mut this.vpn else { return Err("its VPN has ended".into()) };
        let before = vpn.dropped();
        loop {
            let faults = this.kernel.pending_faults();
            let is_any = vpn.from_device().map_err(|error| format!("node {node}: {error}"))?;
            // A call that fails leaves the packet where it is, and the device readable.
            if !is_any && this.kernel.pending_faults() == faults {
                break;
            }
        }
        let mut drops = counted(&before, &vpn.dropped());
        drops.retain(|(name, _)| *name != "unsent");
        let has_endpoint: Vec<bool> = vpn.peers().iter().map(|peer| peer.endpoint.is_some()).collect();
        let mut pending = vec![VecDeque::new(); this.tunnels.len()];
        let mut unrouted = 0;
        for id in packets {
            if id.next != NOWHERE && has_endpoint[peer(node, id.next)] {
                pending[peer(node, id.next)].push_back(id);
                continue;
            }
            unrouted += 1;
            self.trace.line(self.now, &format!("{node}>  data {} unrouted {id}", self.ledger.length(id)));
            self.ledger.end(id, "unrouted")?;
        }
        let expected = if unrouted > 0 { vec![("unrouted", unrouted)] } else { Vec::new() };
        if drops != expected {
            return Err(format!("node {node} counted {drops:?}, not {expected:?}"));
        }
        self.dispatch(node, &mut pending)?;
        self.keep_waiting(node, pending)
    }

    /// The packets that came out of the device, and for which no datagram was sent, wait in the tunnel.
    fn keep_waiting(&mut self, node: usize, pending: Vec<VecDeque<Id>>) -> Result<(), String> {
        for (peer, packets) in pending.into_iter().enumerate() {
            for id in packets {
                self.trace.line(
                    self.now,
                    &format!("{node}>{} data {} waits {id}", id.next, self.ledger.length(id)),
                );
                let tunnel = &mut self.nodes[node].tunnels[peer];
                tunnel.waiting.push_back(id);
                self.most_waiting = self.most_waiting.max(tunnel.waiting.len());
                if tunnel.waiting.len() > MOST_WAITING {
                    return Err(format!("{} packets wait in a tunnel of node {node}", tunnel.waiting.len()));
                }
            }
        }
        Ok(())
    }

    /// Sends what a node's VPN has given to its socket. `pending`: the packets of each peer that came out of
    /// the device just before.
    pub(super) fn dispatch(&mut self, node: usize, pending: &mut [VecDeque<Id>]) -> Result<(), String> {
        let (sent, mut refused) = (self.nodes[node].socket.take_sent(), 0);
        if pending.is_empty() {
            self.match_waiting(node, &sent)?;
        }
        for Sent { to, bytes, size, is_refused } in sent {
            let peer = self.peer_at(node, to)?;
            let mut datagrams = Vec::new();
            for bytes in bytes.chunks(size) {
                let packet = match kind(bytes) {
                    "data" => Some(self.packet_in(node, peer, bytes.len() - OVERHEAD, pending)?),
                    "nonsense" => return Err(format!("node {node} sends {} bytes of nonsense", bytes.len())),
                    _ => None,
                };
                datagrams.push(Datagram { bytes: bytes.to_vec(), packet, is_damaged: false });
            }
            let train = Train { sender: Some(node), from: self.nodes[node].address, to, datagrams };
            if is_refused {
                refused += train.datagrams.len() as u64;
                self.refuse(&train)?;
            } else {
                self.transmit(train)?;
            }
        }
        let this = &mut self.nodes[node];
        let unsent = this.vpn.as_ref().map_or(0, |vpn| Vpn::dropped(vpn).unsent);
        let seen = std::mem::replace(&mut this.unsent, unsent);
        if unsent - seen != refused {
            return Err(format!(
                "the socket of node {node} refused {refused}, and {} are counted",
                unsent - seen
            ));
        }
        Ok(())
    }

    fn peer_at(&self, node: usize, address: SocketAddr) -> Result<usize, String> {
        let other = self.addresses.get(&address).filter(|other| (**other == 0) != (node == 0));
        other.map(|other| peer(node, *other)).ok_or_else(|| format!("node {node} sends to {address}"))
    }

    /// A tunnel that has new keys sends all that waits in it. What waited before it gave up is not among
    /// them.
    fn match_waiting(&mut self, node: usize, sent: &[Sent]) -> Result<(), String> {
        let mut counts = vec![0; self.nodes[node].tunnels.len()];
        for Sent { to, bytes, size, .. } in sent {
            let count = bytes.chunks(*size).filter(|bytes| kind(bytes) == "data").count();
            counts[self.peer_at(node, *to)?] += count;
        }
        for (peer, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            while self.nodes[node].tunnels[peer].waiting.len() > count {
                if let Some(id) = self.nodes[node].tunnels[peer].waiting.pop_front() {
                    self.forget(node, peer, id)?;
                }
            }
        }
        Ok(())
    }

    /// Which packet a datagram carries: the next one of those that just came out of the device, or else of
    /// those that waited.
    fn packet_in(
        &mut self,
        node: usize,
        peer: usize,
        length: usize,
        pending: &mut [VecDeque<Id>],
    ) -> Result<Id, String> {
        let next = pending.get_mut(peer).unwrap_or(&mut self.nodes[node].tunnels[peer].waiting).pop_front();
        match next {
            Some(id) if self.ledger.length(id) == length => Ok(id),
            Some(id) => Err(format!("node {node} sends {length} bytes where packet {id} should be")),
            None => Err(format!("node {node} sends a packet of {length} bytes that it did not get")),
        }
    }

    /// A packet that waited in a tunnel is gone, which is right only if the tunnel was without keys for long.
    pub(super) fn forget(&mut self, node: usize, peer: usize, id: Id) -> Result<(), String> {
        let path = &self.plan.paths[if node == 0 { peer } else { node - 1 }];
        let is_over = |start: Duration| start <= self.now;
        let is_right =
            path.blackouts.iter().any(|(start, _)| is_over(*start)) || path.death.is_some_and(is_over);
        if !is_right {
            return Err(format!("packet {id} waited in a tunnel of node {node}, which has forgotten it"));
        }
        self.trace
            .line(self.now, &format!("{node}>{} data {} forgotten {id}", id.next, self.ledger.length(id)));
        self.ledger.end(id, "forgotten")
    }

    fn refuse(&mut self, train: &Train) -> Result<(), String> {
        self.note(train, "unsent");
        for id in train.packets() {
            self.ledger.end(id, "unsent")?;
        }
        Ok(())
    }

    /// The network takes what one call sent.
    fn transmit(&mut self, train: Train) -> Result<(), String> {
        let node = train.sender.unwrap_or_default();
        let client = node.max(self.addresses.get(&train.to).copied().unwrap_or_default());
        let is_out = |(start, end): &(Duration, Duration)| (*start..*end).contains(&self.now);
        let is_out = self.plan.paths[client - 1].outages.iter().any(is_out);
        let weather = if self.is_calm() { Weather::CALM } else { self.plan.weather.clone() };
        let trains = if self.rng.bool() { vec![train] } else { train.singles() };
        for train in trains {
            let outcome = if is_out { Err(train) } else { weather.treat(train, &mut self.rng) };
            match outcome {
                Ok(copies) => copies.into_iter().for_each(|(delay, copy)| self.depart(delay, copy)),
                Err(train) => {
                    self.count_departure(&train);
                    self.lose(&train, if is_out { "outage" } else { "lost" })?;
                }
            }
        }
        if self.in_flight > MOST_IN_FLIGHT {
            return Err(format!("{} datagrams are on their way", self.in_flight));
        }
        Ok(())
    }

    pub(super) fn depart(&mut self, delay: Duration, train: Train) {
        self.count_departure(&train);
        // One that is genuine, and comes from where a client was long ago, calls the server's packets there.
        let latest = self.duration.saturating_sub(CALM) + LAST_ARRIVALS;
        let at = if self.is_calm() { self.now + delay } else { (self.now + delay).min(latest) };
        self.schedule(at, Event::Arrival(train));
    }

    fn count_departure(&mut self, train: &Train) {
        train.packets().for_each(|id| self.ledger.departs(id));
        self.in_flight += train.datagrams.len();
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
    }

    /// Datagrams end without a receiver.
    pub(super) fn lose(&mut self, train: &Train, how: &'static str) -> Result<(), String> {
        self.in_flight -= train.datagrams.len();
        *self.datagrams.entry(how).or_default() += train.datagrams.len() as u64;
        self.note(train, how);
        for id in train.packets() {
            self.ledger.copy_ended(id, how)?;
        }
        Ok(())
    }

    /// A line of the trace.
    pub(super) fn note(&mut self, train: &Train, verdict: &str) {
        let receiver = self.addresses.get(&train.to).copied().unwrap_or_default();
        let sender = train.sender.map_or("?".to_owned(), |sender| sender.to_string());
        let mut line = format!("{sender}>{receiver}");
        for Datagram { bytes, packet, is_damaged } in &train.datagrams {
            line.push_str(&format!(" {} {}", kind(bytes), bytes.len()));
            if *is_damaged {
                line.push_str(" damaged");
            }
            if let Some(id) = packet {
                line.push_str(&format!(" {id}"));
            }
        }
        line.push_str(&format!(" {verdict}"));
        self.trace.line(self.now, &line);
    }
}
