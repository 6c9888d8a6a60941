//! What a test can still ask about later: packets that the system received, and deleted interfaces.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tunctl_core::{InterfaceName, Layer};

use super::World;
use crate::kernel::{InterfaceId, NamespaceId, NetDevice, Skb};

/// An inbox keeps this many packets that no test has taken, so that a program which sends for ever does not
/// fill the memory. Later packets are counted.
const MAX_UNTAKEN: usize = 65_536;

/// So many deleted interfaces are remembered without a device that was attached to them: more than a test
/// asks about, and a program that makes interfaces for ever does not fill the memory.
const MAX_REMEMBERED: usize = 1024;

/// The packets that the system received from one interface.
#[derive(Default)]
struct Inbox {
    packets: VecDeque<Skb>,
    /// What is left of a packet that stood for several, of which some were taken.
    rest: VecDeque<Vec<u8>>,
    missed: u64,
}

impl Inbox {
    /// The oldest packet as the interface had it, or what is left of it.
    fn take_large(&mut self) -> Option<Skb> {
        self.rest.pop_front().map(Skb::from).or_else(|| self.packets.pop_front())
    }

    /// The oldest packet as a wire would carry it. Those that no wire carries are passed over.
    fn take(&mut self, layer: Layer) -> Option<Vec<u8>> {
        while self.rest.is_empty() {
            let oldest = self.packets.pop_front()?;
            self.rest.extend(oldest.finish(layer).unwrap_or_default());
        }
        self.rest.pop_front()
    }
}

/// What is remembered.
#[derive(Default)]
pub(crate) struct Memory {
    inboxes: BTreeMap<InterfaceId, Inbox>,
    /// Deleted interfaces, while a device that was attached to one is open, and until another interface has
    /// its name or more have been deleted than are remembered. Beside each, the number of its deletion.
    deleted: HashMap<InterfaceId, (u64, NetDevice)>,
    deletions: u64,
    /// The interface that has a name, or had it last.
    name_owners: HashMap<(NamespaceId, InterfaceName), InterfaceId>,
}

impl Memory {
    /// Takes the oldest packet that the system received from an interface, as it came out of the driver.
    pub(crate) fn take_large(&mut self, id: InterfaceId) -> Option<Skb> {
        self.inboxes.get_mut(&id)?.take_large()
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
        self.deletions += 1;
        self.deleted.insert(device.id(), (self.deletions, device));
    }
}

impl World {
    /// An interface, also a deleted one.
    pub(crate) fn remembered(&self, id: InterfaceId) -> Option<&NetDevice> {
        self.kernel.device(id).or_else(|| self.memory.deleted.get(&id).map(|(_, device)| device))
    }

    /// Takes the oldest packet that the system received from an interface, as a wire would carry it.
    pub(crate) fn take_received(&mut self, id: InterfaceId) -> Option<Vec<u8>> {
        let layer = self.remembered(id)?.layer();
        self.memory.inboxes.get_mut(&id)?.take(layer)
    }

    /// The system receives a packet that came from an interface. One that it can neither forward nor give to
    /// a socket is lost, but a packet socket has seen it.
    pub(super) fn receive_from(&mut self, id: InterfaceId, packet: Skb) {
        let layer = self.remembered(id).map(NetDevice::layer);
        if !packet.is_finished() && layer.is_none_or(|layer| packet.clone().finish(layer).is_err()) {
            self.wires.count_lost(id);
        }
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
    /// forgotten; and so is the one that was deleted first, if there are too many.
    pub(super) fn forget_if_unreachable(&mut self, id: InterfaceId) {
        let Some((_, device)) = self.memory.deleted.get(&id) else { return };
        let is_named = self.memory.name_owner(device.key().namespace, device.name()) == Some(id);
        if !is_named && !self.files.values().any(|file| file.interface == id) {
            self.forget(id);
        }
        if self.memory.deleted.len() > MAX_REMEMBERED {
            let open: BTreeSet<_> = self.files.values().map(|file| file.interface).collect();
            let closed = self.memory.deleted.iter().filter(|(id, _)| !open.contains(*id));
            if let Some((&oldest, _)) = closed.min_by_key(|(_, (deletion, _))| *deletion) {
                self.forget(oldest);
            }
        }
    }

    fn forget(&mut self, id: InterfaceId) {
        self.memory.deleted.remove(&id);
        self.memory.inboxes.remove(&id);
        self.memory.name_owners.retain(|_, owner| *owner != id);
        self.wires.forget_losses(id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

    use tunctl_core::{CreateOptions, Interface, State, TunBackend, TunDevice};

    use crate::{MockBackend, MockDevice};

    const MANY: usize = 3000;

    fn tun(kernel: &MockBackend, name: &str) -> MockDevice {
        let device = kernel.create(&CreateOptions::tun().name(name)).unwrap();
        device.interface().set_state(State::Up).unwrap();
        device
    }

    /// Very many interfaces that sent a packet and are deleted. The device of the first is still open.
    fn after_many() -> (MockBackend, MockDevice) {
        let kernel = MockBackend::new();
        let held = tun(&kernel, "held");
        held.send(&[0x45; 20]).unwrap();
        kernel.delete("held");
        for number in 0..MANY {
            tun(&kernel, &format!("n{number}")).send(&[0x45; 20]).unwrap();
        }
        (kernel, held)
    }

    #[test]
    fn of_very_many_deleted_interfaces_the_last_are_remembered() {
        let (kernel, _held) = after_many();
        let memory = &kernel.world.lock().memory;
        let sizes = [memory.deleted.len(), memory.inboxes.len(), memory.name_owners.len()];
        assert!(sizes.iter().all(|&size| size <= 1100), "{sizes:?} are kept");
    }

    #[test]
    fn the_last_deleted_interfaces_and_those_that_a_device_had_are_remembered() {
        let (kernel, _held) = after_many();
        for name in ["held", "n2999", "n2500"] {
            assert!(kernel.take(name).is_some(), "{name}");
        }
        assert!(kernel.take("n0").is_none());
    }

    #[test]
    fn a_switch_without_ports_is_forgotten() {
        let kernel = MockBackend::new();
        for _ in 0..10 {
            let ports = [tun(&kernel, "one"), tun(&kernel, "two")];
            kernel.switch(&ports).unwrap();
            kernel.unplug("one");
        }
        assert_eq!(kernel.world.lock().wires.switches(), 0);
    }
}
