//! Wires: what stands at the other end of an interface in place of the system, and what happens on the way.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tunctl_core::Layer;

use super::World;
use super::impairment::{Fate, Impaired, Impairment};
use crate::Delivery;
use crate::kernel::{InterfaceId, NetDevice, Skb};

/// The direction in which packets travel, seen from the program that holds the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// To the program, from the system or from another end.
    ToDevice,
    /// From the program, to the system or to another end.
    FromDevice,
}

/// All wires, and the clock.
#[derive(Debug, Default)]
pub(crate) struct Wires {
    far: HashMap<InterfaceId, FarEnd>,
    /// Those that have ports, by number.
    switches: HashMap<usize, Switch>,
    switches_made: usize,
    impaired: HashMap<(InterfaceId, Direction), Impaired>,
    lost: HashMap<InterfaceId, u64>,
    now: Duration,
    /// Delayed packets, by the time at which they are due, then in the order of sending.
    late: BTreeMap<(Duration, u64), (InterfaceId, Direction, Vec<u8>)>,
    sequence: u64,
    trace: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum FarEnd {
    Cable(InterfaceId),
    Switch(usize),
}

/// A switch learns where so many stations are. Packets to others leave by all ports.
const MAX_STATIONS: usize = 65_536;

/// A switch: its ports, and the port at which each station was last heard.
#[derive(Debug, Default)]
struct Switch {
    plugged: Vec<InterfaceId>,
    stations: HashMap<Vec<u8>, InterfaceId>,
}

impl Wires {
    pub(crate) fn plug(&mut self, one: InterfaceId, other: InterfaceId) {
        self.unplug(one);
        self.unplug(other);
        self.far.insert(one, FarEnd::Cable(other));
        self.far.insert(other, FarEnd::Cable(one));
    }

    pub(crate) const fn new_switch(&mut self) -> usize {
        self.switches_made += 1;
        self.switches_made
    }

    #[cfg(test)]
    pub(super) fn switches(&self) -> usize {
        self.switches.len()
    }

    pub(crate) fn plug_into(&mut self, switch: usize, one: InterfaceId) {
        self.unplug(one);
        self.switches.entry(switch).or_default().plugged.push(one);
        self.far.insert(one, FarEnd::Switch(switch));
    }

    /// Unplugs an interface. Both ends of a cable then lead to the system again.
    pub(crate) fn unplug(&mut self, one: InterfaceId) {
        match self.far.remove(&one) {
            Some(FarEnd::Cable(other)) => drop(self.far.remove(&other)),
            Some(FarEnd::Switch(switch)) => {
                let Some(ports) = self.switches.get_mut(&switch) else { return };
                ports.plugged.retain(|&plugged| plugged != one);
                ports.stations.retain(|_, &mut port| port != one);
                if ports.plugged.is_empty() {
                    self.switches.remove(&switch);
                }
            }
            None => {}
        }
    }

    /// Removes a deleted interface, and the packets that were on their way to or from it.
    pub(crate) fn forget(&mut self, one: InterfaceId) {
        self.unplug(one);
        self.impaired.retain(|&(id, _), _| id != one);
        self.late.retain(|_, (id, _, _)| *id != one);
    }

    /// The interfaces at which a packet from this one arrives; `None` if the system itself receives it.
    pub(crate) fn far_ends(
        &mut self,
        from: InterfaceId,
        layer: Option<Layer>,
        packet: &[u8],
    ) -> Option<Vec<InterfaceId>> {
        match *self.far.get(&from)? {
            FarEnd::Cable(other) => Some(vec![other]),
            FarEnd::Switch(switch) => Some(self.switches.get_mut(&switch)?.forward(from, layer?, packet)),
        }
    }

    pub(crate) fn is_impaired(&self, id: InterfaceId, direction: Direction) -> bool {
        self.impaired.contains_key(&(id, direction))
    }

    pub(crate) fn count_lost(&mut self, id: InterfaceId) {
        *self.lost.entry(id).or_default() += 1;
    }

    pub(crate) fn lost(&self, id: InterfaceId) -> u64 {
        self.lost.get(&id).copied().unwrap_or_default()
    }

    /// Removes the counter of an interface that no test can ask about any more.
    pub(crate) fn forget_losses(&mut self, id: InterfaceId) {
        self.lost.remove(&id);
    }

    fn schedule(&mut self, id: InterfaceId, direction: Direction, delay: Duration, packet: Vec<u8>) {
        self.sequence += 1;
        self.late.insert((self.now.saturating_add(delay), self.sequence), (id, direction, packet));
    }

    pub(crate) const fn now(&self) -> Duration {
        self.now
    }

    pub(crate) fn record(&mut self) {
        self.trace.get_or_insert_default();
    }

    pub(crate) fn trace(&self) -> String {
        self.trace.clone().unwrap_or_default()
    }
}

impl Switch {
    /// The ports that a packet leaves by: the one at which its destination was last heard, or all others if
    /// it never was heard or is a group.
    fn forward(&mut self, from: InterfaceId, layer: Layer, packet: &[u8]) -> Vec<InterfaceId> {
        let Some((source, destination)) = stations(layer, packet) else {
            return self.all_but(from);
        };
        if self.stations.len() < MAX_STATIONS || self.stations.contains_key(&source) {
            self.stations.insert(source, from);
        }
        match self.stations.get(&destination) {
            Some(&port) if port == from => Vec::new(),
            Some(&port) => vec![port],
            None => self.all_but(from),
        }
    }

    fn all_but(&self, from: InterfaceId) -> Vec<InterfaceId> {
        self.plugged.iter().copied().filter(|&port| port != from).collect()
    }
}

/// The source and destination of a packet: MAC addresses on a tap, IP addresses on a tun.
fn stations(layer: Layer, packet: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (source, destination) = match (layer, packet.first()? >> 4) {
        (Layer::Tap, _) => (packet.get(6..12)?, packet.get(..6)?),
        (Layer::Tun, 4) => (packet.get(12..16)?, packet.get(16..20)?),
        (Layer::Tun, 6) => (packet.get(8..24)?, packet.get(24..40)?),
        _ => return None,
    };
    Some((source.to_vec(), destination.to_vec()))
}

impl World {
    /// The system sends a packet out of an interface, over the wire. If several arrive of it, the best
    /// outcome is returned.
    pub(crate) fn inject(&mut self, id: InterfaceId, packet: Skb) -> Delivery {
        if !self.wires.is_impaired(id, Direction::ToDevice) {
            return self.deliver(id, packet);
        }
        let Some(packets) = self.finish(id, packet) else {
            self.wires.count_lost(id);
            return Delivery::Refused;
        };
        let mut best = Delivery::Impaired;
        for packet in packets {
            for packet in self.pass(id, Direction::ToDevice, packet) {
                let delivery = self.deliver(id, packet.into());
                self.count_loss(id, delivery);
                best = best.min(delivery);
            }
        }
        best
    }

    /// The packets that an impaired wire carries in place of one that stands for several: it treats each by
    /// itself.
    fn finish(&self, id: InterfaceId, packet: Skb) -> Option<Vec<Vec<u8>>> {
        packet.finish(self.kernel.device(id)?.layer()).ok()
    }

    /// As [`inject`](Self::inject), from a far end. Nothing reports the outcome there, so losses are counted.
    fn inject_from_far_end(&mut self, id: InterfaceId, packet: Skb) {
        let is_impaired = self.wires.is_impaired(id, Direction::ToDevice);
        let delivery = self.inject(id, packet);
        if !is_impaired {
            self.count_loss(id, delivery);
        }
    }

    fn deliver(&mut self, id: InterfaceId, packet: Skb) -> Delivery {
        self.step(|kernel| kernel.deliver(id, packet))
    }

    /// The program sends a packet, which leaves the interface towards the other end.
    pub(super) fn emit(&mut self, id: InterfaceId, packet: Skb) {
        if !self.wires.is_impaired(id, Direction::FromDevice) {
            return self.arrive(id, packet);
        }
        let Some(packets) = self.finish(id, packet) else { return self.wires.count_lost(id) };
        for packet in packets {
            for packet in self.pass(id, Direction::FromDevice, packet) {
                self.arrive(id, packet.into());
            }
        }
    }

    /// A packet reaches the other end: the system, or the interfaces that are plugged in instead.
    fn arrive(&mut self, id: InterfaceId, packet: Skb) {
        let far = self.wires.far_ends(id, self.kernel.device(id).map(NetDevice::layer), &packet.bytes);
        let Some(far) = far else {
            return self.receive_from(id, packet);
        };
        for other in far {
            self.inject_from_far_end(other, packet.clone());
        }
    }

    /// Sends a packet over an impaired wire. Returns the packets that arrive at once: it, unless it is lost,
    /// held back or delayed, and those that were held back until it overtook them.
    fn pass(&mut self, id: InterfaceId, direction: Direction, packet: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(wire) = self.wires.impaired.get_mut(&(id, direction)) else { return vec![packet] };
        let Fate { copies, held, delay, description } = wire.treat(packet);
        if let Some(trace) = &mut self.wires.trace {
            let name = self.kernel.device(id).map(|device| device.name().to_string()).unwrap_or_default();
            let arrow = if direction == Direction::ToDevice { "to" } else { "from" };
            let now = self.wires.now.as_micros();
            trace.push_str(&format!("{now} µs, {arrow} {name}: {description}\n"));
        }
        if copies.is_empty() {
            self.wires.count_lost(id);
            return copies;
        }
        if held {
            wire.held.extend(copies.into_iter().map(|packet| (delay, packet)));
            return Vec::new();
        }
        let overtaken = std::mem::take(&mut wire.held);
        let mut at_once = Vec::new();
        // A packet that was overtaken must not arrive before the one that overtook it.
        let overtaken = overtaken.into_iter().map(|(own, packet)| (own.max(delay), packet));
        for (delay, packet) in copies.into_iter().map(|packet| (delay, packet)).chain(overtaken) {
            if delay == Duration::ZERO {
                at_once.push(packet);
            } else {
                self.wires.schedule(id, direction, delay, packet);
            }
        }
        at_once
    }

    /// Replaces a wire by an impaired or a perfect one. Packets that the old one held back arrive.
    pub(crate) fn impair(&mut self, id: InterfaceId, direction: Direction, plan: Option<Impairment>) {
        let old = match plan {
            Some(plan) => self.wires.impaired.insert((id, direction), Impaired::new(plan)),
            None => self.wires.impaired.remove(&(id, direction)),
        };
        for (_, packet) in old.map(|wire| wire.held).unwrap_or_default() {
            self.land(id, direction, packet);
        }
    }

    /// Lets time pass. Packets that are held back set out now; each packet that is due arrives at its own
    /// time.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.wires.now.saturating_add(by);
        let mut held: Vec<_> = self
            .wires
            .impaired
            .iter_mut()
            .map(|(&(id, direction), wire)| ((id, direction), std::mem::take(&mut wire.held)))
            .collect();
        held.sort_by_key(|&(wire, _)| wire);
        for ((id, direction), packets) in held {
            for (delay, packet) in packets {
                self.wires.schedule(id, direction, delay, packet);
            }
        }
        while let Some((&(due, sequence), _)) =
            self.wires.late.first_key_value().filter(|((due, _), _)| *due <= until)
        {
            self.set_clock(due);
            if let Some((id, direction, packet)) = self.wires.late.remove(&(due, sequence)) {
                self.land(id, direction, packet);
            }
        }
        self.set_clock(until);
    }

    fn set_clock(&mut self, now: Duration) {
        self.wires.now = now;
        self.kernel.now = now;
    }

    /// Counts the packets that a deletion loses: those on their way to the interface and those on their way
    /// from it.
    pub(super) fn lose_in_flight(&mut self, id: InterfaceId) {
        let late = self.wires.late.values().filter(|(of, _, _)| *of == id).count();
        let held = self.wires.impaired.iter().filter(|((of, _), _)| *of == id);
        let lost = late + held.map(|(_, wire)| wire.held.len()).sum::<usize>();
        (0..lost).for_each(|_| self.wires.count_lost(id));
    }

    /// Counts a packet that came over a wire and that the interface did not take. No sender sees the outcome,
    /// so the counter is all that reports it.
    fn count_loss(&mut self, id: InterfaceId, delivery: Delivery) {
        if matches!(delivery, Delivery::Down | Delivery::Refused) {
            self.wires.count_lost(id);
        }
    }

    fn land(&mut self, id: InterfaceId, direction: Direction, packet: Vec<u8>) {
        match direction {
            Direction::ToDevice => {
                let delivery = self.deliver(id, packet.into());
                self.count_loss(id, delivery);
            }
            Direction::FromDevice => self.arrive(id, packet.into()),
        }
    }
}
