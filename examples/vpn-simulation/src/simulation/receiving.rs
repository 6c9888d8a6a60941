//! From the network into a device.

use std::time::Duration;

use tunctl::packet::header::VnetHeader;
use tunctl::packet::{Packet, echo_reply};
use tunctl_vpn::Vpn;
use tunctl_vpn::datagrams::Endpoint;

use super::{Event, Simulation};
use crate::ledger::{Claim, Id};
use crate::network::{Train, kind};
use crate::node::{DEVICE, counted, peer};
use crate::socket::Arrived;
use crate::traffic::{Load, inner_address};

impl Simulation {
    /// Datagrams arrive at a node, which must deliver what they carry, or count why not.
    pub(super) fn arrive(&mut self, train: Train) -> Result<(), String> {
        let node = self.addresses.get(&train.to).copied().unwrap_or_default();
        let this = &mut self.nodes[node];
        let Some(vpn) = this.vpn.as_mut().filter(|_| this.address == train.to) else {
            return self.lose(&train, "nobody there");
        };
        let before = vpn.dropped();
        let endpoints: Vec<_> = vpn.peers().iter().map(|peer| peer.endpoint).collect();
        let size = train.datagrams.first().map_or(0, |datagram| datagram.bytes.len());
        let bytes = train.datagrams.iter().map(|datagram| &datagram.bytes[..]).collect::<Vec<_>>().concat();
        this.socket.deliver(Arrived { from: train.from, bytes, size });
        while this.socket.is_readable() {
            vpn.from_network(self.now).map_err(|error| format!("node {node}: {error}"))?;
        }
        let mut drops = counted(&before, &vpn.dropped());
        // Of what it sent in answer.
        drops.retain(|(name, _)| *name != "unsent");
        let packets = this.kernel.packets(DEVICE);
        self.judge(node, &train, &packets, &drops)?;
        self.check_endpoints(node, &train, &endpoints, &drops)?;
        self.settle(node, &train, &packets, &drops)?;
        self.dispatch(node, &mut [])?;
        self.observe(node);
        packets.into_iter().try_for_each(|packet| self.react(node, packet))
    }

    /// Each datagram has one verdict.
    fn judge(
        &mut self,
        node: usize,
        train: &Train,
        packets: &[Vec<u8>],
        drops: &[(&'static str, u64)],
    ) -> Result<(), String> {
        let verdicts = packets.len() as u64 + drops.iter().map(|(_, count)| count).sum::<u64>();
        let (mut least, mut most) = (0, 0);
        for datagram in &train.datagrams {
            most += 1;
            // Others may be good, and make no packet. Of a handshake's message, a part is for times of load.
            let is_handshake = matches!(kind(&datagram.bytes), "initiation" | "response");
            least += u64::from(datagram.packet.is_some() || datagram.is_damaged && !is_handshake);
        }
        let mut verdict = drops.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>();
        if !packets.is_empty() {
            verdict.push(format!("delivered {}", packets.len()));
        }
        let verdict = if verdict.is_empty() { "accepted".to_owned() } else { verdict.join(", ") };
        self.note(train, &verdict);
        if (least..=most).contains(&verdicts) {
            Ok(())
        } else {
            Err(format!("node {node} received {most} datagrams, {least} of them to be judged: {verdict}"))
        }
    }

    /// A peer is where its last genuine datagram came from.
    fn check_endpoints(
        &self,
        node: usize,
        train: &Train,
        before: &[Option<Endpoint>],
        drops: &[(&'static str, u64)],
    ) -> Result<(), String> {
        let is_handshake = |bytes: &[u8]| matches!(kind(bytes), "initiation" | "response");
        if train.datagrams.iter().any(|one| one.is_damaged && is_handshake(&one.bytes)) {
            // It may be good all the same.
            return Ok(());
        }
        let is_genuine = |name| matches!(name, "foreign" | "refused");
        let bad: u64 = drops.iter().filter(|(name, _)| !is_genuine(*name)).map(|(_, count)| count).sum();
        let is_any_good = bad < train.datagrams.len() as u64;
        let sender = train.sender.filter(|_| is_any_good).map(|sender| peer(node, sender));
        let peers = self.nodes[node].vpn.iter().flat_map(Vpn::peers);
        for (number, (peer, before)) in peers.zip(before).enumerate() {
            let remote = |endpoint: &Endpoint| endpoint.remote;
            let expected =
                if sender == Some(number) { Some(train.from) } else { before.as_ref().map(remote) };
            if peer.endpoint.as_ref().map(remote) != expected {
                let found = peer.endpoint;
                return Err(format!("node {node} has its peer {number} at {found:?}, not at {expected:?}"));
            }
        }
        Ok(())
    }

    /// Writes down what became of each packet.
    fn settle(
        &mut self,
        node: usize,
        train: &Train,
        packets: &[Vec<u8>],
        drops: &[(&'static str, u64)],
    ) -> Result<(), String> {
        for packet in packets {
            let id = self.ledger.arrived(packet, node)?;
            let carries =
                |id: Id| train.datagrams.iter().any(|one| one.packet == Some(id) && !one.is_damaged);
            if !carries(id) {
                return Err(format!("node {node} received packet {id} by a datagram that does not carry it"));
            }
        }
        let how = match drops {
            [(name, _)] => name,
            _ => "dropped, for several reasons",
        };
        self.in_flight -= train.datagrams.len();
        *self.datagrams.entry("arrived").or_default() += train.datagrams.len() as u64;
        for id in train.packets() {
            self.ledger.copy_ended(id, how)?;
        }
        let is_refused = drops.iter().any(|(name, _)| *name == "refused");
        if is_refused && !std::mem::replace(&mut self.nodes[node].is_down, true) {
            let at = self.now + Duration::from_millis(self.rng.u64(500..5_000));
            self.schedule(at, Event::Up(node));
        }
        Ok(())
    }

    /// The system of a node answers pings, and the server forwards what is for others.
    fn react(&mut self, node: usize, packet: Vec<u8>) -> Result<(), String> {
        let parsed = Packet::parse(tunctl::packet::Layer::Tun, &packet).map_err(|error| error.to_string())?;
        let (Some(source), Some(destination)) = (parsed.source(), parsed.destination()) else {
            return Err(format!("node {node} received a packet without addresses"));
        };
        let at = |address| {
            (0..self.nodes.len())
                .find(|node| [false, true].map(|is_v6| inner_address(*node, is_v6)).contains(&address))
        };
        let (from, to) = (at(source), at(destination));
        if to != Some(node) {
            let load = Load { header: VnetHeader::default(), bytes: packet.clone(), packets: vec![packet] };
            return self.send_from(node, &load, to, Claim::Fair);
        }
        let mut answer = vec![0; packet.len()];
        let Ok(length) = echo_reply(&packet, &mut answer) else { return Ok(()) };
        answer.truncate(length);
        let load = Load { header: VnetHeader::default(), bytes: answer.clone(), packets: vec![answer] };
        self.send_from(node, &load, from, Claim::Fair)
    }
}
