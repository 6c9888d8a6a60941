//! What happens when a device is closed.

use super::System;
use super::numbers::{LINK0, RUNNING, UP};
use super::world::{Interface, Kind, Made, World};

impl World {
    pub(crate) fn drop_handle(&mut self, id: u64) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        device.handles -= 1;
        // Of one that was handed over, the next look shows whether it is open.
        if device.handles == 0 && !device.was_handed_over() {
            self.close(id);
        }
    }

    /// The last descriptor was closed.
    pub(crate) fn close(&mut self, id: u64) {
        let Some(device) = self.devices.remove(&id) else { return };
        let path = device.path;
        let system = self.system;
        let Some(interface) = self.of_device_mut(id) else {
            self.trace.note(format!("close {path}"));
            return;
        };
        interface.device = None;
        let (name, index) = (interface.name.clone(), interface.index);
        let goes = goes(system, interface);
        self.trace.note(format!("close {name}"));
        if goes {
            self.remove(index);
        } else {
            self.settle(index);
        }
        if let Some(name) = self.successor.take() {
            self.make_stranger(&name);
        }
    }
}

/// Whether an interface goes with its last descriptor.
fn goes(system: System, interface: &Interface) -> bool {
    match (system, interface.kind) {
        // Fact: it stays, unless it is transient or a caller of SIOCIFDESTROY waits for it.
        (System::FreeBsd, _) => interface.transient || interface.dying,
        // Fact: a tun stays, and a tap that was created; one of the clone node goes.
        (System::NetBsd, Kind::Tun) => false,
        (System::NetBsd, _) => interface.made == Made::Open,
        // Fact: what open has made goes.
        (System::OpenBsd, _) => interface.made == Made::Open,
        // Source: units 0 to 3 stay once they were opened; above, what was not made by hand goes (`tunopen`,
        // `tunclose`, `tapclose`: TUN_MANUALMAKE, TAP_MANUALMAKE, TUN_PREALLOCATED_UNITS).
        (System::DragonFly, _) => interface.unit >= 4 && interface.made != Made::Request,
        // Source: a filter is not what it is bound to (`bpfclose`).
        _ if interface.is_of_pair(system) => false,
        // Fact: the socket is the interface. Source: so is the node of the extension's
        // (`tuntap_interface::cdev_close`).
        _ => true,
    }
}

impl World {
    /// What becomes of an interface that stays.
    fn settle(&mut self, index: u32) {
        let system = self.system;
        let Some(interface) = self.indexed_mut(index) else { return };
        // Source: a virtio-net header does not outlast its device (`tundtor`). An address family in front
        // does.
        interface.vnet = 0;
        let down = interface.flags & !(UP | RUNNING);
        let is_tap = interface.kind == Kind::Tap;
        let (flags, keeps_addresses) = match system {
            System::MacOs => return,
            // Source: a tap whose LINK0 is set is left as it is (`tundtor`).
            System::FreeBsd if is_tap && interface.flags & LINK0 != 0 => return,
            // Fact: addresses go if it was running.
            System::FreeBsd => (down, interface.flags & RUNNING == 0),
            // Source: a tap of NetBSD is left as it is (`tap_dev_close`). Fact: a tun stays with its
            // addresses, and UP is cleared.
            System::NetBsd if is_tap => return,
            System::NetBsd => (interface.flags & !UP, true),
            // Source: what was made by request keeps its addresses (`tunclose`: TUN_MANUALMAKE); a tap stays
            // up, too (`tapclose`: TAP_CLONE).
            System::DragonFly if interface.made == Made::Request && is_tap => return,
            System::DragonFly if interface.made == Made::Request => (down, true),
            System::DragonFly => (down, false),
            // Source: OpenBSD's is down, and keeps its addresses (`tun_dev_close`).
            _ => (down, true),
        };
        self.set_flags(index, flags);
        if !keeps_addresses {
            self.remove_addresses(index, |_| true);
        }
    }
}
