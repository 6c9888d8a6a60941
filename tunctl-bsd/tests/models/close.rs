//! What happens when a device is closed.

use super::System;
use super::numbers::{LINK0, RUNNING, UP};
use super::world::{Interface, Kind, Made, World};

impl World {
    pub(crate) fn drop_handle(&mut self, id: u64) {
        let Some(device) = self.devices.get_mut(&id) else { return };
        device.handles -= 1;
        if device.handles > 0 {
            return;
        }
        let path = device.path.clone();
        self.devices.remove(&id);
        let system = self.system;
        let Some(interface) = self.of_device_mut(id) else {
            self.trace.note(format!("close {path}"));
            return;
        };
        interface.device = None;
        let (name, index) = (interface.name.clone(), interface.index);
        let goes = goes(system, interface);
        if !goes {
            settle(system, interface);
        }
        self.trace.note(format!("close {name}"));
        if goes {
            self.remove(index);
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
        // Fact: units 0 to 3 stay; above, a tap goes whoever made it, and a tun unless it was made by hand.
        (System::DragonFly, Kind::Tap) => interface.unit >= 4,
        (System::DragonFly, _) => interface.unit >= 4 && interface.made != Made::Request,
        // Source: a filter is not what it is bound to.
        _ if interface.is_of_pair(system) => false,
        // Fact: the socket is the interface. Source: so is the node of the extension's.
        _ => true,
    }
}

/// What becomes of an interface that stays.
fn settle(system: System, interface: &mut Interface) {
    let was_running = interface.flags & RUNNING != 0;
    let is_tap = interface.kind == Kind::Tap;
    match system {
        System::MacOs => {}
        // Source: a tap whose LINK0 is set is left as it is.
        System::FreeBsd if is_tap && interface.flags & LINK0 != 0 => {}
        System::FreeBsd => {
            interface.flags &= !(UP | RUNNING);
            // Fact: addresses go if it was running.
            if was_running {
                interface.addresses.clear();
            }
        }
        // Source: a tap of NetBSD is left as it is. Fact: a tun stays with its addresses, and UP is cleared.
        System::NetBsd if is_tap => {}
        System::NetBsd => interface.flags &= !UP,
        // Source: what was made by request keeps its addresses; a tap stays up, too.
        System::DragonFly if interface.made == Made::Request && is_tap => {}
        System::DragonFly if interface.made == Made::Request => interface.flags &= !(UP | RUNNING),
        System::DragonFly => {
            interface.flags &= !(UP | RUNNING);
            interface.addresses.clear();
        }
        // Source: OpenBSD's is down, and keeps its addresses.
        _ => interface.flags &= !(UP | RUNNING),
    }
    // Source: a virtio-net header does not outlast its device. An address family in front does.
    interface.vnet = 0;
}
