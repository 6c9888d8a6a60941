//! Those who watch interfaces, and the events that wait for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use tunctl_core::{EventTracker, InterfaceEvent, Notification, WatchedInterface};

use super::{Signal, World};
use crate::kernel::{LinkKey, NamespaceId, NetDevice};

/// So many events wait for a watcher; if there are more, it gets an overrun. Linux bounds the bytes of its
/// reports, of which about as many fit.
pub(crate) const MOST_WAITING: usize = 900;

/// Identifies a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WatcherId(u64);

/// The watchers of all namespaces.
#[derive(Default)]
pub(crate) struct Watchers {
    watchers: BTreeMap<WatcherId, Watcher>,
    next: u64,
}

struct Watcher {
    namespace: NamespaceId,
    tracker: EventTracker,
    /// Events were lost since the last one was taken.
    is_behind: bool,
    signal: Arc<Signal>,
}

/// What a watcher finds.
pub(crate) enum Found {
    Event(Box<InterfaceEvent>),
    /// Events were lost: the present state is to take their place.
    Overrun,
    Nothing,
    End,
}

impl Watcher {
    fn is_ready(&self) -> bool {
        self.is_behind || self.tracker.waiting() > 0 || self.tracker.has_ended()
    }

    fn notify(&self) {
        self.signal.notify(self.is_ready(), true);
    }

    fn lose(&mut self) {
        if !self.tracker.has_ended() {
            self.is_behind = true;
        }
    }
}

impl World {
    /// Begins to watch one interface, or all of a namespace.
    pub(crate) fn watch(
        &mut self,
        namespace: NamespaceId,
        only: Option<LinkKey>,
        signal: Arc<Signal>,
    ) -> WatcherId {
        let mut present = self.present(namespace, only);
        let tracker = match (only, present.pop()) {
            (Some(_), Some(interface)) => EventTracker::of_interface(interface),
            (_, last) => EventTracker::of_all(present.into_iter().chain(last).collect()),
        };
        let id = WatcherId(self.watchers.next);
        self.watchers.next += 1;
        self.watchers.watchers.insert(id, Watcher { namespace, tracker, is_behind: false, signal });
        id
    }

    pub(crate) fn stop_watching(&mut self, id: WatcherId) {
        self.watchers.watchers.remove(&id);
    }

    /// Takes the next event.
    pub(crate) fn take_event(&mut self, id: WatcherId) -> Found {
        let Some(watcher) = self.watchers.watchers.get_mut(&id) else { return Found::End };
        if watcher.is_behind {
            return Found::Overrun;
        }
        let found = match watcher.tracker.next_event() {
            Some(event) => Found::Event(Box::new(event)),
            None if watcher.tracker.has_ended() => Found::End,
            None => Found::Nothing,
        };
        watcher.notify();
        found
    }

    pub(crate) fn has_event(&self, id: WatcherId) -> bool {
        self.watchers.watchers.get(&id).is_none_or(Watcher::is_ready)
    }

    /// Gives a watcher that lost events the present state. Without it, its only interface is gone.
    pub(crate) fn catch_up(&mut self, id: WatcherId, is_gone: bool) {
        let Some(watcher) = self.watchers.watchers.get(&id) else { return };
        let namespace = watcher.namespace;
        let only = watcher.tracker.only().map(|index| LinkKey { namespace, index });
        let present = if is_gone { Vec::new() } else { self.present(namespace, only) };
        if let Some(watcher) = self.watchers.watchers.get_mut(&id) {
            watcher.tracker.overrun(present);
            watcher.is_behind = false;
            watcher.notify();
        }
    }

    /// The kernel has reported something in a namespace.
    pub(super) fn pass_on_report(&mut self, namespace: NamespaceId, notification: &Notification) {
        let here = |watcher: &&mut Watcher| watcher.namespace == namespace && !watcher.is_behind;
        for watcher in self.watchers.watchers.values_mut().filter(here) {
            watcher.tracker.apply(notification.clone());
            if watcher.tracker.waiting() > MOST_WAITING {
                watcher.lose();
            }
            watcher.notify();
        }
    }

    /// Each watcher of the namespace loses the events that wait.
    pub(crate) fn lose_events(&mut self, namespace: NamespaceId) {
        for watcher in self.watchers.watchers.values_mut().filter(|watcher| watcher.namespace == namespace) {
            watcher.lose();
            watcher.notify();
        }
    }

    fn present(&self, namespace: NamespaceId, only: Option<LinkKey>) -> Vec<WatchedInterface> {
        let is_meant = |device: &&NetDevice| {
            device.key().namespace == namespace && only.is_none_or(|key| device.key() == key)
        };
        let watched = |device: &NetDevice| WatchedInterface::new(device.info(), device.addresses());
        let mut present: Vec<_> = self.kernel.devices().filter(is_meant).map(watched).collect();
        present.sort_by_key(|interface| interface.info.index);
        present
    }
}
