//! How devices are opened, and sockets connected.

use super::System;
use super::numbers::{EACCES, EAFNOSUPPORT, EBUSY, EINVAL, ENOENT, ENXIO, EPERM, RUNNING, UP};
use super::world::{Kind, Made, NodeMode, World, unit};

/// What a node stands for.
enum Node {
    Any(Kind),
    Unit(Kind, u32),
}

impl World {
    /// The interface that opening a node leads to, by its index.
    pub(crate) fn open(&mut self, path: &str) -> Result<u32, i32> {
        if let Some(name) = self.doomed.take() {
            let root = std::mem::replace(&mut self.root, true);
            let destroyed = self.destroy(&name);
            self.root = root;
            destroyed?;
        }
        let node = self.node(path)?;
        let mode = self.nodes.get(path).copied().unwrap_or(self.other_nodes);
        if mode == NodeMode::Missing || !self.has_node(&node) {
            return Err(ENOENT);
        }
        let (kind, unit) = match node {
            // Assumed: a cloning node creates a new interface, and never returns an existing one that is
            // closed.
            // Source: the units with nodes are none of DragonFly's cloning node (`tunclone`,
            // `devfs_clone_bitmap_get`).
            Node::Any(kind) if self.system == System::DragonFly => (kind, self.free_unit_from(4, kind)),
            Node::Any(kind) => (kind, self.free_unit(kind)),
            Node::Unit(kind, unit) => (kind, unit),
        };
        let existing =
            self.of_unit(kind, unit).map(|interface| (interface.index, interface.device.is_some()));
        let user_open = kind == Kind::Tap && self.user_open;
        // Fact: FreeBSD creates an interface for PRIV_NET_IFCREATE, or a tap if the sysctl allows it. Source:
        // other callers find no node (`tunclone`).
        if self.system == System::FreeBsd && existing.is_none() && !self.root && !user_open {
            return Err(ENOENT);
        }
        if mode == NodeMode::Root && !self.root {
            return Err(EACCES);
        }
        // Assumed: NetBSD and OpenBSD have nodes on disk, behind which there may be nothing.
        if !self.loaded {
            return Err(ENXIO);
        }
        let is_permitted = match self.system {
            // Fact: root, or for a tap the sysctl.
            System::DragonFly => user_open,
            // Fact: there is a check at the open of a tun. Source: none at that of a tap (`tap_cdev_open`).
            System::NetBsd => kind == Kind::Tap,
            _ => true,
        };
        if !is_permitted && !self.root {
            return Err(EPERM);
        }
        let index = match existing {
            // Fact: a device is opened exclusively.
            Some((_, true)) => return Err(EBUSY),
            Some((index, false)) => index,
            // Fact: NetBSD has a numbered tap only after SIOCIFCREATE; its cloning node creates one.
            None if self.system == System::NetBsd && matches!(node, Node::Unit(Kind::Tap, _)) => {
                return Err(ENXIO);
            }
            None => self.make(kind, unit, Made::Open)?,
        };
        // Fact: a tun of NetBSD that was deleted under its device comes back, and is that device's (asked of
        // `tunopen`, if_tun.c 1.127).
        if let Some(orphan) = self.orphan(kind, unit).filter(|_| self.system == System::NetBsd) {
            self.take_over(index, orphan);
            return Err(EBUSY);
        }
        self.opened(index);
        Ok(index)
    }

    /// From now on the device of a deleted interface is that of another, with what it was set to
    /// (`tun_recycle`; `tap_attach` does not keep it, and a tap has no address family in front).
    pub(crate) fn take_over(&mut self, index: u32, device: u64) {
        let left = self.devices.get(&device).map(|device| device.left).unwrap_or_default();
        if let Some(interface) = self.indexed_mut(index) {
            interface.device = Some(device);
            if interface.kind == Kind::Tun {
                (interface.af_header, interface.nonblocking) = left;
            }
        }
    }

    /// Source: OpenBSD's `tun_dev_close` gives the device up, and then destroys the interface by its name, so
    /// that `tun_clone_destroy` revokes the node of whoever opens it in between (`if_tun.c` 1.252).
    pub(crate) fn revoke_if_asked(&mut self, index: u32) {
        if self.revocations > 0 {
            self.revocations -= 1;
            self.remove(index);
        }
    }

    /// What opening does to an interface.
    fn opened(&mut self, index: u32) {
        let system = self.system;
        let Some(interface) = self.indexed(index) else { return };
        let flags = match (system, interface.kind) {
            // Source: a tap of FreeBSD runs once it is open (`tunopen`).
            (System::FreeBsd, Kind::Tap) => interface.flags | RUNNING,
            // Source: OpenBSD's are up once they are open (`tun_dev_open`), which its link state reports.
            (System::OpenBsd, _) => interface.flags | UP | RUNNING,
            _ => return,
        };
        self.set_flags(index, flags);
    }

    /// Whether a node is there that the driver makes.
    fn has_node(&self, node: &Node) -> bool {
        match (self.system, node) {
            // Nodes on disk, whatever is behind them.
            (System::NetBsd | System::OpenBsd, _) => true,
            // Fact: without if_tuntap there is no node on FreeBSD. Assumed: DragonFly's are made alike.
            _ if !self.loaded => false,
            (System::MacOs, Node::Unit(_, unit)) => *unit < self.third_party_nodes,
            // Source: DragonFly has nodes for units 0 to 3, behind which there is nothing at first
            // (`tunmodevent`, `tapmodevent`: TUN_PREALLOCATED_UNITS, TAP_PREALLOCATED_UNITS), and for
            // existing interfaces; opening creates no other.
            (System::DragonFly, Node::Unit(kind, unit)) => *unit < 4 || self.of_unit(*kind, *unit).is_some(),
            _ => true,
        }
    }

    /// Which nodes there are.
    fn node(&self, path: &str) -> Result<Node, i32> {
        let name = path.strip_prefix("/dev/").ok_or(ENOENT)?;
        // Source: on FreeBSD a renamed interface has a node of its new name, too (`tunrename`).
        let renamed = self.named(name).filter(|_| self.system == System::FreeBsd && self.loaded);
        if let Some(interface) = renamed.filter(|interface| interface.kind != Kind::Loopback) {
            return Ok(Node::Unit(interface.kind, interface.unit));
        }
        // Fact: macOS has no nodes of its own.
        let has_nodes = self.system != System::MacOs || self.third_party;
        let kind = match name.get(..3) {
            Some("tun") if has_nodes => Kind::Tun,
            Some("tap") if has_nodes => Kind::Tap,
            _ => return Err(ENOENT),
        };
        let has_clone = match self.system {
            System::NetBsd => kind == Kind::Tap,
            System::OpenBsd | System::MacOs => false,
            _ => true,
        };
        match (&name[3..], unit(&name[3..])) {
            ("", _) if has_clone => Ok(Node::Any(kind)),
            (_, Some(unit)) => Ok(Node::Unit(kind, unit)),
            _ => Err(ENOENT),
        }
    }

    /// The interface that connecting a socket makes, by its index.
    pub(crate) fn connect(&mut self, control: &str, unit: u32) -> Result<u32, i32> {
        if self.system != System::MacOs {
            return Err(EAFNOSUPPORT);
        }
        if control != "com.apple.net.utun_control" {
            return Err(ENOENT);
        }
        if !self.root {
            return Err(EPERM);
        }
        assert!(!self.third_party, "tuns of macOS's own beside those of the extension are not modelled");
        // Source: XNU refuses units from 32768 (`utun_ctl_connect`). Assumed: it counts as the names do.
        if unit > 32768 {
            return Err(EINVAL);
        }
        // Fact: the interface's number is the unit less one, and 0 asks for any.
        let unit = unit.checked_sub(1).unwrap_or_else(|| self.free_unit(Kind::Tun));
        if self.of_unit(Kind::Tun, unit).is_some() {
            return Err(EBUSY);
        }
        self.make(Kind::Tun, unit, Made::Open)
    }
}
