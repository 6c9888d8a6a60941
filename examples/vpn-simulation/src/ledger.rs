//! What becomes of each inner packet.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use crate::traffic::content;

/// More packets than this are never undecided at once.
const MOST: usize = 4_000;

/// An inner packet, and the node that shall receive it next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) hash: u64,
    pub(crate) next: usize,
}

impl Id {
    fn new(content: &[u8], next: usize) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(content);
        Self { hash: hasher.finish(), next }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.hash)
    }
}

/// What the network must do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Deliver it, or account for its loss.
    Fair,
    /// Not deliver it: its source address is not its sender's, or nobody has its destination.
    Unfit,
}

#[derive(Debug)]
struct Record {
    content: Vec<u8>,
    at: Duration,
    claim: Claim,
    /// Datagrams that carry it, and are on their way.
    copies: u32,
    is_delivered: bool,
    /// How the first datagram ended that did not deliver it.
    how: Option<&'static str>,
}

/// All packets that were sent, until each has ended.
#[derive(Debug)]
pub(crate) struct Ledger {
    records: HashMap<Id, Record>,
    ends: BTreeMap<&'static str, u64>,
    sent: u64,
    largest: usize,
    /// From then on, packets that are fair must arrive.
    calm: Duration,
}

impl Ledger {
    pub(crate) fn new(calm: Duration) -> Self {
        Self { records: HashMap::new(), ends: BTreeMap::new(), sent: 0, largest: 0, calm }
    }

    /// A packet was handed to a device.
    pub(crate) fn sent(
        &mut self,
        packet: Vec<u8>,
        next: usize,
        at: Duration,
        claim: Claim,
    ) -> Result<Id, String> {
        let content = content(packet).ok_or("a packet with a wrong sum was sent: the simulation is wrong")?;
        let id = Id::new(&content, next);
        let record = Record { content, at, claim, copies: 0, is_delivered: false, how: None };
        if self.records.insert(id, record).is_some() {
            return Err(format!("packet {id} was sent twice: the simulation is wrong"));
        }
        self.sent += 1;
        self.largest = self.largest.max(self.records.len());
        if self.largest > MOST {
            return Err(format!("{} packets are undecided", self.largest));
        }
        Ok(id)
    }

    /// The length of a packet.
    pub(crate) fn length(&self, id: Id) -> usize {
        self.records.get(&id).map_or(0, |record| record.content.len())
    }

    /// One more datagram carries the packet.
    pub(crate) fn departs(&mut self, id: Id) {
        self.records.entry(id).and_modify(|record| record.copies += 1);
    }

    /// A datagram with the packet has ended. `how`, if it was not delivered by it.
    pub(crate) fn copy_ended(&mut self, id: Id, how: &'static str) -> Result<(), String> {
        let record = self.records.get_mut(&id).ok_or_else(|| format!("packet {id} ended twice"))?;
        record.copies = record.copies.saturating_sub(1);
        record.how.get_or_insert(how);
        if record.copies == 0 { self.end(id, how) } else { Ok(()) }
    }

    /// A node received the packet.
    pub(crate) fn arrived(&mut self, packet: &[u8], at: usize) -> Result<Id, String> {
        let wrong = || format!("node {at} received a packet of {} bytes with a wrong sum", packet.len());
        let content = content(packet.to_vec()).ok_or_else(wrong)?;
        let id = Id::new(&content, at);
        let Some(record) = self.records.get_mut(&id).filter(|record| record.content == content) else {
            return Err(format!(
                "node {at} received packet {id}, {} bytes, which was not sent to it, or had arrived",
                packet.len()
            ));
        };
        if record.claim == Claim::Unfit {
            return Err(format!("node {at} received packet {id}, whose source is not its sender's"));
        }
        if std::mem::replace(&mut record.is_delivered, true) {
            return Err(format!("node {at} received packet {id} twice"));
        }
        Ok(id)
    }

    /// The packet ends: as delivered if it was, else as `how`.
    pub(crate) fn end(&mut self, id: Id, how: &'static str) -> Result<(), String> {
        let record = self.records.remove(&id).ok_or_else(|| format!("packet {id} ended twice"))?;
        let end = if record.is_delivered { "delivered" } else { record.how.unwrap_or(how) };
        *self.ends.entry(end).or_default() += 1;
        if !record.is_delivered && record.claim == Claim::Fair && record.at >= self.calm {
            return Err(format!(
                "the network is calm, and packet {id}, sent at {:?} to node {}, did not arrive: {how}",
                record.at, id.next
            ));
        }
        Ok(())
    }

    /// Each packet that was sent has ended.
    pub(crate) fn finish(&self) -> Result<(), String> {
        if let Some((id, record)) = self.records.iter().min_by_key(|(id, record)| (record.at, id.hash)) {
            return Err(format!(
                "{} packets are unaccounted for, such as {id}, sent at {:?} to node {}",
                self.records.len(),
                record.at,
                id.next
            ));
        }
        let ended: u64 = self.ends.values().sum();
        if ended == self.sent { Ok(()) } else { Err(format!("{} packets sent, {ended} ended", self.sent)) }
    }

    /// How many packets ended how.
    pub(crate) const fn ends(&self) -> &BTreeMap<&'static str, u64> {
        &self.ends
    }

    /// The most that were undecided at once.
    pub(crate) const fn largest(&self) -> usize {
        self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Duration = Duration::from_secs(100);

    fn ledger() -> Ledger {
        Ledger::new(CALM)
    }

    fn sent(ledger: &mut Ledger, claim: Claim) -> Id {
        ledger.sent(vec![7; 20], 1, Duration::ZERO, claim).unwrap()
    }

    #[test]
    fn a_packet_arrives_once_where_it_shall() {
        let mut ledger = ledger();
        let id = sent(&mut ledger, Claim::Fair);
        ledger.departs(id);
        ledger.departs(id);
        assert!(ledger.arrived(&[7; 20], 2).unwrap_err().contains("not sent to it"));
        assert!(ledger.arrived(&[8; 20], 1).unwrap_err().contains("not sent to it"));
        assert_eq!(ledger.arrived(&[7; 20], 1), Ok(id));
        ledger.copy_ended(id, "replayed").unwrap();
        assert!(ledger.arrived(&[7; 20], 1).unwrap_err().contains("twice"));
        assert!(ledger.finish().unwrap_err().contains("unaccounted"));
        ledger.copy_ended(id, "replayed").unwrap();
        assert!(ledger.arrived(&[7; 20], 1).unwrap_err().contains("had arrived"));
        assert_eq!((ledger.finish(), ledger.ends()), (Ok(()), &BTreeMap::from([("delivered", 1)])));
    }

    #[test]
    fn an_unfit_packet_never_arrives() {
        let mut ledger = ledger();
        let id = sent(&mut ledger, Claim::Unfit);
        ledger.departs(id);
        assert!(ledger.arrived(&[7; 20], 1).unwrap_err().contains("source"));
        ledger.copy_ended(id, "foreign").unwrap();
        assert!(ledger.copy_ended(id, "foreign").unwrap_err().contains("ended twice"));
        assert_eq!(ledger.ends(), &BTreeMap::from([("foreign", 1)]));
    }

    #[test]
    fn in_the_calm_a_fair_packet_must_arrive() {
        let mut ledger = ledger();
        let id = sent(&mut ledger, Claim::Fair);
        assert_eq!(ledger.end(id, "lost"), Ok(()));
        let id = ledger.sent(vec![7; 20], 1, CALM, Claim::Unfit).unwrap();
        assert_eq!(ledger.end(id, "unrouted"), Ok(()));
        let id = ledger.sent(vec![7; 20], 1, CALM, Claim::Fair).unwrap();
        assert!(ledger.end(id, "lost").unwrap_err().contains("calm"));
    }
}
