//! What a sequence hears of: events of all interfaces, and of each that it has opened.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use tunctl_conformance::Harness;
use tunctl_core::{
    EventWatcher, Interface, InterfaceChange, InterfaceEvent, InterfaceIndex, InterfaceInfo, TunDevice,
};

use super::World;

/// The watchers of a sequence.
pub(super) struct Watchers {
    all: Box<dyn EventWatcher>,
    /// Of the interfaces that were ever attached to, in the order in which they were.
    own: Vec<(InterfaceIndex, Box<dyn EventWatcher>)>,
    /// Whether an interface has a carrier, as the last event of it said.
    carriers: BTreeMap<InterfaceIndex, bool>,
    /// The addresses of which events have said that they are there.
    addresses: BTreeSet<(InterfaceIndex, String)>,
    /// Those that were created since these were taken.
    created: Vec<InterfaceIndex>,
}

impl Watchers {
    /// Watches all interfaces, of which there are none yet. `None`: the backend has no events.
    pub(super) fn new<H: Harness>(harness: &H) -> Option<Self> {
        let all = harness.events(None)?.unwrap_or_else(|error| panic!("{error}"));
        let (own, created) = (Vec::new(), Vec::new());
        Some(Self { all, own, carriers: BTreeMap::new(), addresses: BTreeSet::new(), created })
    }

    /// Whether the interface has a carrier, as far as events have said.
    pub(super) fn carrier(&self, index: InterfaceIndex) -> Option<bool> {
        self.carriers.get(&index).copied()
    }

    /// The events since the last call: first those of all interfaces, then those of each. The kernel reports
    /// a carrier in its own time, so those are kept apart.
    pub(super) fn take(&mut self) -> Vec<Vec<String>> {
        let all = taken(&mut *self.all);
        all.iter().for_each(|event| self.note(event));
        let own = self.own.iter_mut().map(|(_, watcher)| taken(&mut **watcher));
        std::iter::once(all).chain(own).map(|events| lines(&events)).collect()
    }

    pub(super) fn take_created(&mut self) -> Vec<InterfaceIndex> {
        std::mem::take(&mut self.created)
    }

    /// Its index is another's by now.
    pub(super) fn forget(&mut self, index: InterfaceIndex) {
        self.own.retain(|(known, _)| *known != index);
    }

    fn note(&mut self, event: &InterfaceEvent) {
        let (Some(index), Some(change)) = (event.index(), event.change()) else { return };
        if matches!(change, InterfaceChange::Created) {
            self.created.push(index);
        }
        match change {
            InterfaceChange::Created | InterfaceChange::CarrierOn => drop(self.carriers.insert(index, true)),
            InterfaceChange::CarrierOff => drop(self.carriers.insert(index, false)),
            InterfaceChange::Moved | InterfaceChange::Deleted => drop(self.carriers.remove(&index)),
            InterfaceChange::AddressAdded(address) => {
                self.addresses.insert((index, address.to_string()));
            }
            InterfaceChange::AddressRemoved(address) => {
                self.addresses.remove(&(index, address.to_string()));
            }
            _ => {}
        }
    }
}

fn taken(watcher: &mut dyn EventWatcher) -> Vec<InterfaceEvent> {
    let next = || match watcher.try_next() {
        Err(error) if error.is_would_block() => None,
        event => event.unwrap_or_else(|error| panic!("{error}")),
    };
    std::iter::from_fn(next).collect()
}

fn lines(events: &[InterfaceEvent]) -> Vec<String> {
    let is_carrier = |event: &&InterfaceEvent| {
        matches!(event.change(), Some(InterfaceChange::CarrierOn | InterfaceChange::CarrierOff))
    };
    events.iter().filter(|event| !is_carrier(event)).map(ToString::to_string).collect()
}

/// The IPv6 address that an event speaks of, with the interface before it, and what happened to it.
fn of_ipv6(line: &str) -> Option<(&str, &str)> {
    let (what, happened) = line.rsplit_once(' ')?;
    let (_, address) = what.split_once(": address ")?;
    address.contains(':').then_some((what, happened))
}

/// The kernel reports a new IPv6 address in its own time, beside other changes of the same operation
/// (`addrconf_dad_work`, Linux 6.18), so those are compared behind the others. One that the same operation
/// has removed again before that is not reported at all, so those are not compared.
fn settle_ipv6(events: &mut Vec<String>) {
    let mut settled = Vec::new();
    let mut added = Vec::new();
    for line in events.drain(..) {
        match of_ipv6(&line) {
            Some((_, "added")) => added.push(line),
            Some((what, "removed")) if added.contains(&format!("{what} added")) => {
                added.retain(|known| of_ipv6(known).is_none_or(|(known, _)| known != what));
            }
            _ => settled.push(line),
        }
    }
    added.sort();
    settled.append(&mut added);
    *events = settled;
}

impl<H: Harness> World<H> {
    /// The events since the last operation.
    pub(super) fn events(&mut self) -> Vec<Vec<String>> {
        let mut events = std::mem::take(&mut self.heard);
        let now = self.watchers.as_mut().map(Watchers::take).unwrap_or_default();
        events.resize(now.len(), Vec::new());
        events.iter_mut().zip(now).for_each(|(events, now)| {
            events.extend(now);
            settle_ipv6(events);
        });
        events
    }

    /// Takes events while an operation goes on that would cause more of them than are kept.
    pub(super) fn hear(&mut self) {
        self.heard = self.events();
    }

    /// Waits for events that the kernel reports a moment later: of IPv6 addresses for which it does not ask
    /// on the link (`addrconf_dad_work`, Linux 6.18). The library waits until such an address is in service,
    /// but if another interface has it, too, that is at once.
    pub(super) fn hear_of_addresses(&mut self) {
        let end = Instant::now() + Duration::from_secs(2);
        loop {
            self.hear();
            let Some(watchers) = &self.watchers else { return };
            let infos = self.infos().unwrap_or_default();
            let is_known = |info: &InterfaceInfo| {
                let listed = self.harness.reported_addresses(&info.name);
                listed.iter().all(|address| watchers.addresses.contains(&(info.index, address.to_string())))
            };
            if infos.iter().all(is_known) || Instant::now() > end {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Watches each interface from the operation on that made a device for it.
    pub(super) fn hear_of_new_interfaces(&mut self) {
        let Some(watchers) = &mut self.watchers else { return };
        for slot in self.slots.iter().flatten() {
            let interface = slot.device.interface();
            let index = interface.index();
            if !watchers.own.iter().any(|(known, _)| *known == index)
                && let Some(Ok(watcher)) = self.harness.events(Some(interface))
            {
                watchers.own.push((index, watcher));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::settle_ipv6;

    fn settled(lines: &[&str]) -> Vec<String> {
        let mut lines = lines.iter().map(ToString::to_string).collect();
        settle_ipv6(&mut lines);
        lines
    }

    #[test]
    fn new_ipv6_addresses_come_last() {
        let lines = ["c: address fd77::1/64 added", "c: address 10.0.0.1/8 added", "c: MTU 1500"];
        assert_eq!(settled(&lines), [lines[1], lines[2], lines[0]]);
    }

    #[test]
    fn an_ipv6_address_that_came_and_went_is_left_out() {
        let (added, removed) = ("c: address fd77::1/128 added", "c: address fd77::1/128 removed");
        let (old, other) = ("c: address fd77::2/128 removed", "d: address fd77::1/128 added");
        let ipv4 = ["c: address 10.0.0.1/8 added", "c: address 10.0.0.1/8 removed"];
        assert_eq!(settled(&[added, ipv4[0], old, other, ipv4[1], removed]), [ipv4[0], old, ipv4[1], other]);
        // It was there before.
        assert_eq!(settled(&[removed, added]), [removed, added]);
    }
}
