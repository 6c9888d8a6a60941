//! What a test can still ask about later: packets that the system received, and deleted interfaces.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tunctl_core::InterfaceName;

use super::World;
use crate::kernel::{InterfaceId, NamespaceId, NetDevice};

/// An inbox keeps this many packets that no test has taken, so that a program which sends for ever does not
/// fill the memory. Later packets are counted.
const MAX_UNTAKEN: usize = 65_536;

/// The packets that the system received from one interface.
#[derive(Default)]
struct Inbox {
    packets: VecDeque<Vec<u8>>,
    missed: u64,
}

/// What is remembered.
#[derive(Default)]
pub(crate) struct Memory {
    inboxes: BTreeMap<InterfaceId, Inbox>,
    /// Deleted interfaces, while a device that was attached to one is open, and until another interface has
    /// its name.
    deleted: HashMap<InterfaceId, NetDevice>,
    /// The interface that has a name, or had it last.
    name_owners: HashMap<(NamespaceId, InterfaceName), InterfaceId>,
}

impl Memory {
    /// Takes the oldest packet that the system received from an interface.
    pub(crate) fn take_received(&mut self, id: InterfaceId) -> Option<Vec<u8>> {
        self.inboxes.get_mut(&id)?.packets.pop_front()
    }

    /// How many packets came while the inbox was full.
    pub(crate) fn missed(&self, id: InterfaceId) -> u64 {
        self.inboxes.get(&id).map_or(0, |inbox| inbox.missed)
    }

    /// The interface that has a name in a namespace, or had it last.
    pub(crate) fn name_owner(&self, namespace: NamespaceId, name: InterfaceName) -> Option<InterfaceId> {
        self.name_owners.get(&(namespace, name)).copied()
    }

    pub(super) fn remember(&mut self, device: NetDevice) {
        self.deleted.insert(device.id(), device);
    }
}

impl World {
    /// An interface, also a deleted one.
    pub(crate) fn remembered(&self, id: InterfaceId) -> Option<&NetDevice> {
        self.kernel.device(id).or_else(|| self.memory.deleted.get(&id))
    }

    /// The system receives a packet that came from an interface.
    pub(super) fn receive_from(&mut self, id: InterfaceId, packet: Vec<u8>) {
        let inbox = self.memory.inboxes.entry(id).or_default();
        if inbox.packets.len() < MAX_UNTAKEN {
            inbox.packets.push_back(packet);
            self.test_waiters.wake();
        } else {
            inbox.missed += 1;
        }
    }

    /// An interface has a name from now on.
    pub(super) fn own_name(&mut self, namespace: NamespaceId, name: InterfaceName, id: InterfaceId) {
        if let Some(before) = self.memory.name_owners.insert((namespace, name), id) {
            self.forget_if_unreachable(before);
        }
        self.test_waiters.wake();
    }

    /// A test reaches a deleted interface by its last name or through an open device. Without either, it is
    /// forgotten.
    pub(super) fn forget_if_unreachable(&mut self, id: InterfaceId) {
        let Some(device) = self.memory.deleted.get(&id) else { return };
        let is_named = self.memory.name_owner(device.key().namespace, device.name()) == Some(id);
        let is_open = self.files.values().any(|file| file.interface == id);
        if !is_named && !is_open {
            self.memory.deleted.remove(&id);
            self.memory.inboxes.remove(&id);
            self.wires.forget_losses(id);
        }
    }
}
