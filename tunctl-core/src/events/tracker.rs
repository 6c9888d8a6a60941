//! From what a kernel reports to what has changed.

use std::collections::{BTreeMap, VecDeque};

use super::{InterfaceChange, InterfaceEvent, WatchedInterface};
use crate::{InterfaceAddress, InterfaceIndex, InterfaceInfo};

/// What a kernel reports about an interface, in the form that several systems have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// The interface is there, and like this. Kernels send it for many reasons.
    Link(InterfaceInfo),
    /// The interface with this index is gone.
    Gone {
        /// Its index.
        index: InterfaceIndex,
        /// Whether it is in another namespace now.
        moved: bool,
    },
    /// The interface has this address.
    Address {
        /// The index of the interface.
        index: InterfaceIndex,
        /// The address.
        address: InterfaceAddress,
    },
    /// The interface does not have this address any more.
    NoAddress {
        /// The index of the interface.
        index: InterfaceIndex,
        /// The address.
        address: InterfaceAddress,
    },
}

impl Notification {
    /// The index of the interface that it is about.
    #[must_use]
    pub const fn index(&self) -> InterfaceIndex {
        match self {
            Self::Link(info) => info.index,
            Self::Gone { index, .. } | Self::Address { index, .. } | Self::NoAddress { index, .. } => *index,
        }
    }
}

/// Knows the last state of each watched interface, and turns what a kernel reports into events: for a backend
/// that implements [`EventWatcher`](super::EventWatcher).
///
/// ```
/// use tunctl_core::{EventTracker, InterfaceChange, InterfaceInfo, Layer, Mtu, Notification, State};
/// use tunctl_core::{InterfaceIndex, WatchedInterface};
///
/// let index = InterfaceIndex::new(4).unwrap();
/// let mut info = InterfaceInfo::new("vpn0".parse()?, index, Layer::Tun, Mtu::new(1500)?);
/// let mut tracker = EventTracker::of_interface(WatchedInterface::new(info.clone(), Vec::new()));
///
/// // The same state once more is no event.
/// tracker.apply(Notification::Link(info.clone()));
/// assert!(tracker.next_event().is_none());
///
/// info.state = State::Up;
/// tracker.apply(Notification::Link(info));
/// assert_eq!(tracker.next_event().unwrap().to_string(), "vpn0: up");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct EventTracker {
    /// The only interface that matters, if it is one.
    only: Option<InterfaceIndex>,
    known: BTreeMap<InterfaceIndex, WatchedInterface>,
    events: VecDeque<InterfaceEvent>,
}

impl EventTracker {
    /// Watches one interface, whose present state this is.
    #[must_use]
    pub fn of_interface(interface: WatchedInterface) -> Self {
        let index = interface.info.index;
        let known = BTreeMap::from([(index, interface)]);
        Self { only: Some(index), known, events: VecDeque::new() }
    }

    /// Watches all interfaces, of which these are there now.
    #[must_use]
    pub fn of_all(interfaces: Vec<WatchedInterface>) -> Self {
        let known = interfaces.into_iter().map(|interface| (interface.info.index, interface)).collect();
        Self { only: None, known, events: VecDeque::new() }
    }

    /// The only interface that it watches, if it is one.
    #[must_use]
    pub const fn only(&self) -> Option<InterfaceIndex> {
        self.only
    }

    /// How many events wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.events.len()
    }

    /// Takes the oldest event.
    pub fn next_event(&mut self) -> Option<InterfaceEvent> {
        self.events.pop_front()
    }

    /// Whether its only interface is gone, and all events have been taken.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.only.is_some() && self.known.is_empty() && self.events.is_empty()
    }

    /// Something was reported.
    pub fn apply(&mut self, notification: Notification) {
        let index = notification.index();
        let is_ours = match self.only {
            // Once it is gone, another interface may get its index.
            Some(_) => self.known.contains_key(&index),
            None => true,
        };
        if !is_ours {
            return;
        }
        match notification {
            Notification::Link(info) => self.link(info),
            Notification::Gone { moved, .. } => {
                let Some(interface) = self.known.remove(&index) else { return };
                let change = if moved { InterfaceChange::Moved } else { InterfaceChange::Deleted };
                self.events.push_back(InterfaceEvent::changed(index, interface.info.name, change));
            }
            Notification::Address { address, .. } => self.address(index, address, true),
            Notification::NoAddress { address, .. } => self.address(index, address, false),
        }
    }

    /// Reports were lost, and this is the present state. It takes the place of events that wait, which are
    /// older. If it watches one interface, and that is not among these, it was deleted or moved: the system
    /// no longer says which, and the stream ends with [`Deleted`](InterfaceChange::Deleted).
    pub fn overrun(&mut self, mut interfaces: Vec<WatchedInterface>) {
        self.events.clear();
        let before = std::mem::take(&mut self.known);
        interfaces.retain(|interface| self.only.is_none() || before.contains_key(&interface.info.index));
        self.known = interfaces.iter().map(|interface| (interface.info.index, interface.clone())).collect();
        self.events.push_back(InterfaceEvent::Overrun(interfaces));
        if self.only.is_some() && self.known.is_empty() {
            let gone = before.into_values().map(|gone| {
                InterfaceEvent::changed(gone.info.index, gone.info.name, InterfaceChange::Deleted)
            });
            self.events.extend(gone);
        }
    }

    fn link(&mut self, info: InterfaceInfo) {
        let (index, name) = (info.index, info.name);
        let Self { known, events, .. } = self;
        let mut report = |change| events.push_back(InterfaceEvent::changed(index, name, change));
        let before = known.entry(index).or_insert_with(|| {
            report(InterfaceChange::Created);
            let mut first = InterfaceInfo::new(name, index, info.layer, info.mtu);
            first.carrier = info.carrier;
            WatchedInterface::new(first, Vec::new())
        });
        if before.info.name != name {
            report(InterfaceChange::Renamed { from: before.info.name });
        }
        if before.info.mtu != info.mtu {
            report(InterfaceChange::Mtu(info.mtu));
        }
        match info.carrier {
            Some(carrier) if before.info.carrier != Some(carrier) => {
                report(if carrier { InterfaceChange::CarrierOn } else { InterfaceChange::CarrierOff });
            }
            _ => {}
        }
        if before.info.state != info.state {
            report(info.state.into());
        }
        before.info = info;
    }

    fn address(&mut self, index: InterfaceIndex, address: InterfaceAddress, is_there: bool) {
        // An interface of another kind.
        let Some(WatchedInterface { info, addresses, .. }) = self.known.get_mut(&index) else { return };
        let position = addresses.iter().position(|known| known.same_as(&address));
        let change = match (position, is_there) {
            (None, true) => {
                addresses.push(address);
                InterfaceChange::AddressAdded(address)
            }
            (Some(position), false) => InterfaceChange::AddressRemoved(addresses.remove(position)),
            (Some(position), true) => {
                // Its broadcast address may be another.
                addresses[position] = address;
                return;
            }
            (None, false) => return,
        };
        self.events.push_back(InterfaceEvent::changed(index, info.name, change));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

    use super::*;
    use crate::{Layer, Mtu, State};

    fn info(index: u32, name: &str) -> InterfaceInfo {
        let index = InterfaceIndex::new(index).unwrap();
        let mut info = InterfaceInfo::new(name.parse().unwrap(), index, Layer::Tun, Mtu::from_kernel(1500));
        info.carrier = Some(true);
        info
    }

    fn lines(tracker: &mut EventTracker) -> Vec<String> {
        std::iter::from_fn(|| tracker.next_event()).map(|event| event.to_string()).collect()
    }

    fn watched(index: u32, name: &str) -> WatchedInterface {
        WatchedInterface::new(info(index, name), Vec::new())
    }

    #[test]
    fn several_differences_of_one_report_come_in_a_fixed_order() {
        let mut tracker = EventTracker::of_interface(watched(4, "a"));
        let mut changed = info(4, "b");
        (changed.state, changed.mtu) = (State::Up, Mtu::from_kernel(1400));
        changed.carrier = Some(false);
        let link = Notification::Link(changed);
        tracker.apply(link.clone());
        assert_eq!(lines(&mut tracker), ["b: renamed from a", "b: MTU 1400", "b: carrier off", "b: up"]);
        tracker.apply(link);
        assert!(lines(&mut tracker).is_empty(), "nothing has changed");
    }

    #[test]
    fn an_address_that_is_reported_again_is_no_event() {
        let mut tracker = EventTracker::of_interface(watched(4, "a"));
        let index = InterfaceIndex::new(4).unwrap();
        let address = "10.1.1.1/24".parse().unwrap();
        let (added, removed) =
            (Notification::Address { index, address }, Notification::NoAddress { index, address });
        for notification in [removed.clone(), added.clone(), added, removed.clone(), removed] {
            tracker.apply(notification);
        }
        assert_eq!(lines(&mut tracker), ["a: address 10.1.1.1/24 added", "a: address 10.1.1.1/24 removed"]);
    }

    #[test]
    fn the_stream_of_one_interface_ends_with_it_and_ignores_its_successor() {
        let mut tracker = EventTracker::of_interface(watched(4, "a"));
        let index = InterfaceIndex::new(4).unwrap();
        tracker.apply(Notification::Link(info(5, "b")));
        tracker.apply(Notification::Gone { index, moved: true });
        assert!(!tracker.has_ended(), "an event waits");
        tracker.apply(Notification::Link(info(4, "a")));
        assert_eq!(lines(&mut tracker), ["a: moved to another namespace"]);
        assert!(tracker.has_ended());
    }

    #[test]
    fn a_new_interface_is_reported_with_what_it_is_besides_new() {
        let mut tracker = EventTracker::of_all(vec![watched(4, "a")]);
        let index = InterfaceIndex::new(4).unwrap();
        tracker.apply(Notification::Gone { index, moved: false });
        let mut up = info(4, "b");
        up.state = State::Up;
        tracker.apply(Notification::Link(up));
        assert_eq!(lines(&mut tracker), ["a: deleted", "b: created", "b: up"]);
        assert!(!tracker.has_ended());
    }

    #[test]
    fn after_an_overrun_events_continue_from_the_fresh_state() {
        let mut tracker = EventTracker::of_all(vec![watched(4, "a")]);
        tracker.overrun(vec![watched(5, "b")]);
        tracker.apply(Notification::Link(info(5, "c")));
        let seen = lines(&mut tracker);
        assert_eq!(seen, ["events were lost; now b down, carrier on, MTU 1500", "c: renamed from b"]);
    }

    #[test]
    fn an_overrun_in_which_the_only_interface_went_ends_the_stream() {
        let mut tracker = EventTracker::of_interface(watched(4, "a"));
        tracker.overrun(vec![watched(5, "b")]);
        assert_eq!(lines(&mut tracker), ["events were lost; there is no interface now", "a: deleted"]);
        assert!(tracker.has_ended());
    }
}
