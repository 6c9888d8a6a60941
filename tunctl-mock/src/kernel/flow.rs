//! Which queue the packets of a flow go to (`tun_flow_update`, `tun_automq_select_queue`, Linux 6.18).

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use tunctl_core::Layer;
use tunctl_packet::header::EtherType;
use tunctl_packet::{Packet, Protocol};

/// The most flows that an interface keeps (`MAX_TAP_FLOWS`). Further ones are passed over until some expire.
const MOST_FLOWS: usize = 4096;

/// How long a flow is kept after its last packet from the program (`TUN_FLOW_EXPIRE`).
const AGE: Duration = Duration::from_secs(3);

/// A flow, the same in both directions: the kernel hashes the smaller address and the smaller port first,
/// each pair by itself (`__flow_hash_consistentify`). All packets of a protocol other than IP are one flow.
///
/// Not modelled: the kernel also looks into tunnels in IP, and takes the SPI of ESP and AH for ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flow {
    ether_type: EtherType,
    /// Addresses, protocol and ports. Fragments have no ports, nor have packets that are cut before them.
    ends: Option<([IpAddr; 2], Protocol, Option<[u16; 2]>)>,
}

impl Flow {
    /// The flow of a packet that is of this EtherType, as far as the kernel knows. It looks behind VLAN tags
    /// and into PPPoE sessions, and not behind MPLS labels.
    pub(super) fn of(layer: Layer, ether_type: EtherType, packet: &[u8]) -> Self {
        let is_opaque = matches!(ether_type, EtherType::MPLS | EtherType::MPLS_MULTICAST);
        match Packet::parse(layer, packet) {
            Ok(packet) if !is_opaque && (layer == Layer::Tap || packet.ether_type() == ether_type) => {
                Self { ether_type: packet.ether_type(), ends: ends(&packet) }
            }
            _ => Self { ether_type, ends: None },
        }
    }

    /// The queue of a flow that was not seen lately. The kernel's hash has a key that is random at each boot,
    /// so which queue it is, is not promised.
    fn spread(&self, queues: usize) -> usize {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        usize::try_from(hasher.finish() >> 32).unwrap_or_default() % queues
    }
}

fn ends(packet: &Packet<'_>) -> Option<([IpAddr; 2], Protocol, Option<[u16; 2]>)> {
    if packet.ether_type() == EtherType::ARP {
        return None;
    }
    let mut addresses = [packet.source()?, packet.destination()?];
    addresses.sort_unstable();
    let ports = packet.source_port().zip(packet.destination_port()).filter(|_| !packet.is_fragment());
    let ports = ports.map(|(source, destination)| [source.min(destination), source.max(destination)]);
    Some((addresses, packet.protocol(), ports))
}

/// The flows that an interface keeps, each with the queue that sent in it last.
#[derive(Debug, Default)]
pub(super) struct FlowTable {
    entries: HashMap<Flow, Entry>,
}

#[derive(Debug)]
struct Entry {
    queue: usize,
    /// When the flow is forgotten unless the program sends in it before.
    expires: Duration,
}

impl FlowTable {
    /// The program sent a packet of the flow to this queue.
    pub(super) fn update(&mut self, flow: Flow, queue: usize, now: Duration) {
        if self.entries.len() >= MOST_FLOWS {
            self.entries.retain(|_, entry| entry.expires > now);
        }
        if self.entries.len() < MOST_FLOWS || self.entries.contains_key(&flow) {
            self.entries.insert(flow, Entry { queue, expires: expiry(now) });
        }
    }

    /// The queue for a packet of the flow, of this many, which is not 0.
    pub(super) fn select(&self, flow: &Flow, queues: usize, now: Duration) -> usize {
        match self.entries.get(flow).filter(|entry| entry.expires > now) {
            // A queue that is no longer there stands for the first (`netdev_cap_txqueue`).
            Some(entry) => {
                if entry.queue < queues {
                    entry.queue
                } else {
                    0
                }
            }
            None => flow.spread(queues),
        }
    }

    /// A queue went out of service, and this many are left. `__tun_detach` means to forget the flows of the
    /// last one, which takes its place. It counts one too many, and forgets those of a queue that went
    /// before.
    pub(super) fn forget_queue(&mut self, left: usize) {
        self.entries.retain(|_, entry| entry.queue != left + 1);
    }
}

/// The kernel forgets flows by a timer that runs at whole seconds (`round_jiffies_up`).
fn expiry(updated: Duration) -> Duration {
    let due = updated.saturating_add(AGE);
    Duration::from_secs(due.as_secs().saturating_add(u64::from(due.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUES: usize = 4;

    fn flow(number: u16) -> Flow {
        let [high, low] = number.to_be_bytes();
        let packet = [0x45, 0, 0, 20, high, low, 0, 0, 64, 47, 0, 0, 10, 0, high, low, 10, 0, 0, 9];
        Flow::of(Layer::Tun, EtherType::IPV4, &packet)
    }

    #[test]
    fn a_flow_is_forgotten_at_a_whole_second() {
        let flow = flow(1);
        let other = (flow.spread(QUEUES) + 1) % QUEUES;
        for (sent, last) in [(0, 2_999), (1, 3_999), (1_500, 4_999), (2_000, 4_999)] {
            let mut table = FlowTable::default();
            table.update(flow.clone(), other, Duration::from_millis(sent));
            assert_eq!(table.select(&flow, QUEUES, Duration::from_millis(last)), other);
            assert_ne!(table.select(&flow, QUEUES, Duration::from_millis(last + 1)), other);
        }
    }

    #[test]
    fn no_more_flows_are_kept_than_the_kernel_keeps() {
        let mut table = FlowTable::default();
        let other = |flow: &Flow| (flow.spread(QUEUES) + 1) % QUEUES;
        for number in 0..5000 {
            table.update(flow(number), other(&flow(number)), Duration::ZERO);
        }
        let is_kept =
            |table: &FlowTable, number, now| table.select(&flow(number), QUEUES, now) == other(&flow(number));
        assert!((0..4096).all(|number| is_kept(&table, number, Duration::ZERO)));
        assert!(!(4096..5000).any(|number| is_kept(&table, number, Duration::ZERO)));
        // Old ones make room.
        let later = Duration::from_secs(3);
        table.update(flow(4999), other(&flow(4999)), later);
        assert!(is_kept(&table, 4999, later) && !is_kept(&table, 1, later));
    }
}
