//! How devices are opened, and sockets connected.

use super::System;
use super::numbers::{EACCES, EAFNOSUPPORT, EBUSY, ENOENT, ENXIO, EPERM};
use super::world::{Kind, Made, NodeMode, World, unit};

/// What a node stands for.
enum Node {
    Any(Kind),
    Unit(Kind, u32),
}

impl World {
    /// The interface that opening a node leads to, by its index.
    pub(crate) fn open(&mut self, path: &str) -> Result<u32, i32> {
        let node = self.node(path)?;
        match self.nodes.get(path).copied().unwrap_or(self.other_nodes) {
            NodeMode::Missing => return Err(ENOENT),
            NodeMode::Root if !self.root => return Err(EACCES),
            _ => {}
        }
        if !self.loaded {
            // Fact: without if_tuntap there is no node on FreeBSD. Assumed: DragonFly's are made alike; NetBSD and OpenBSD have nodes
            // on disk, behind which there is nothing.
            return Err(if matches!(self.system, System::NetBsd | System::OpenBsd) { ENXIO } else { ENOENT });
        }
        let (kind, unit) = match node {
            // Assumed: a clone node gives a new interface, never one that is there and that nobody holds.
            Node::Any(kind) => (kind, self.free_unit(kind)),
            Node::Unit(kind, unit) => (kind, unit),
        };
        let existing =
            self.of_unit(kind, unit).map(|interface| (interface.index, interface.device.is_some()));
        self.may_open(kind, existing.is_some())?;
        match existing {
            // Fact: a device is opened exclusively.
            Some((_, true)) => Err(EBUSY),
            Some((index, false)) => Ok(index),
            // Fact: NetBSD has a tap of a number only once SIOCIFCREATE has made it; its clone node makes one.
            None if self.system == System::NetBsd && matches!(node, Node::Unit(Kind::Tap, _)) => Err(ENXIO),
            None => self.make(kind, unit, Made::Open),
        }
    }

    /// Which nodes there are.
    fn node(&self, path: &str) -> Result<Node, i32> {
        let name = path.strip_prefix("/dev/").ok_or(ENOENT)?;
        // Fact: macOS has no nodes.
        let kind = match name.get(..3) {
            Some("tun") if self.system != System::MacOs => Kind::Tun,
            Some("tap") if self.system != System::MacOs => Kind::Tap,
            _ => return Err(ENOENT),
        };
        let has_clone = match self.system {
            System::NetBsd => kind == Kind::Tap,
            System::OpenBsd => false,
            _ => true,
        };
        match (&name[3..], unit(&name[3..])) {
            ("", _) if has_clone => Ok(Node::Any(kind)),
            (_, Some(unit)) => Ok(Node::Unit(kind, unit)),
            _ => Err(ENOENT),
        }
    }

    /// What the driver itself asks of the caller, behind the node's mode.
    fn may_open(&self, kind: Kind, exists: bool) -> Result<(), i32> {
        let user_open = kind == Kind::Tap && self.user_open;
        let is_permitted = self.root
            || match self.system {
                // Fact: an interface is made with PRIV_NET_IFCREATE, or a tap if the sysctl says so.
                System::FreeBsd => exists || user_open,
                // Fact: root, or a tap if the sysctl says so.
                System::DragonFly => user_open,
                // Fact: there is a check at the open of a tun. Assumed: none at that of a tap.
                System::NetBsd => kind == Kind::Tap,
                // Fact: the node's mode is all.
                _ => true,
            };
        if is_permitted { Ok(()) } else { Err(EPERM) }
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
        // Fact: the interface's number is the unit less one, and 0 asks for any.
        let unit = unit.checked_sub(1).unwrap_or_else(|| self.free_unit(Kind::Tun));
        if self.of_unit(Kind::Tun, unit).is_some() {
            return Err(EBUSY);
        }
        self.make(Kind::Tun, unit, Made::Open)
    }
}
