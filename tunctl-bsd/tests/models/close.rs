//! What happens when a device is closed.

use super::System;
use super::numbers::{RUNNING, UP};
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
        // Fact: it stays, unless it is transient; or unless somebody has been waiting to destroy it.
        (System::FreeBsd, _) => interface.transient || interface.dying,
        // Fact: a tun stays, and a tap that was created; one of the clone node goes.
        (System::NetBsd, Kind::Tun) => false,
        (System::NetBsd, _) => interface.made == Made::Open,
        // Fact: what open has made goes.
        (System::OpenBsd, _) => interface.made == Made::Open,
        // Fact: units 0 to 3 stay; above, a tap goes whoever made it, and a tun unless it was made by hand.
        (System::DragonFly, Kind::Tap) => interface.unit >= 4,
        (System::DragonFly, _) => interface.unit >= 4 && interface.made != Made::Request,
        // Fact: the socket is the interface.
        _ => true,
    }
}

/// What becomes of an interface that stays.
fn settle(system: System, interface: &mut Interface) {
    let was_running = interface.flags & RUNNING != 0;
    interface.flags &= !(UP | RUNNING);
    match system {
        // Fact: addresses go if it was running. Assumed of DragonFly, whose driver has the same origin.
        System::FreeBsd | System::DragonFly if was_running => {
            interface.addresses.clear();
            interface.additions = 0;
        }
        // Fact: NetBSD's stays with its addresses, and UP is cleared. Assumed of OpenBSD's.
        _ => {}
    }
}
