//! Requests about an interface, through a socket.

use std::ffi::CStr;

use tunctl_bsd::Family;

use super::System;
use super::argument::{
    Alias, UNION, alias_v4, alias_v6, bytes, flags, has_length, link_mac, mac, name, named_v4, named_v6,
    number, put, put_flags, put_name,
};
use super::numbers::{
    Ask, EBUSY, EEXIST, EINVAL, ENAMETOOLONG, ENODEV, ENOMSG, ENOTTY, ENXIO, EOPNOTSUPP, EPERM, For, Row,
    UNCHANGEABLE, af_inet6, requests,
};
use super::world::{Interface, Kind, Made, World, unit};

/// The request that a number is to a socket.
pub(crate) fn of_socket(system: System, opcode: u32) -> Option<&'static Row> {
    requests(system, opcode).find(|row| row.2 == For::Socket)
}

/// A request in words, for the trace.
pub(crate) fn in_words(system: System, opcode: u32, argument: &[u8]) -> String {
    let Some(&(_, called, _, ask)) = of_socket(system, opcode) else {
        return format!("configure {opcode:#x}");
    };
    let of = name(argument).unwrap_or_default();
    let detail = match ask {
        Ask::SetFlags => flags(system, argument).map(|flags| format!(" {flags:#x}")),
        Ask::SetMtu => number(argument, UNION).map(|mtu| format!(" {mtu}")),
        Ask::AddV4 => alias_v4(argument).map(alias_in_words),
        Ask::AddV6 => alias_v6(system, argument).map(alias_in_words),
        Ask::DeleteV4 => {
            named_v4(argument).map(|address| address.map(|address| format!(" {address}")).unwrap_or_default())
        }
        Ask::DeleteV6 => named_v6(system, argument)
            .map(|address| address.map(|address| format!(" {address}")).unwrap_or_default()),
        _ => Ok(String::new()),
    };
    format!("configure {called} {of}{}", detail.unwrap_or_default())
}

fn alias_in_words(alias: Alias) -> String {
    let other = alias.other.map(|other| format!(" {other}")).unwrap_or_default();
    format!(" {}/{}{other}", alias.address, alias.prefix)
}

/// What the request of a text does, for the trace.
pub(crate) fn text_verb(system: System, opcode: u32) -> &'static str {
    match of_text(system, opcode) {
        Some(Ask::Rename) => "rename",
        Some(Ask::SetDescription) => "describe",
        Some(Ask::GetDescription) => "description",
        _ => "unknown text",
    }
}

/// The request of a text that a number is.
fn of_text(system: System, opcode: u32) -> Option<Ask> {
    requests(system, opcode).find(|row| row.2 == For::Text).map(|row| row.3)
}

impl World {
    /// A request that sets a text of an interface.
    pub(crate) fn set_text(&mut self, opcode: u32, interface: &str, text: &CStr) -> Result<(), i32> {
        match of_text(self.system, opcode) {
            Some(Ask::Rename) => self.rename(interface, &text.to_string_lossy()),
            Some(Ask::SetDescription) => self.set_description(interface, text),
            _ => Err(ENOTTY),
        }
    }

    /// A request that gets a text of an interface.
    pub(crate) fn text(&mut self, opcode: u32, interface: &str) -> Result<Vec<u8>, i32> {
        if of_text(self.system, opcode) != Some(Ask::GetDescription) {
            return Err(ENOTTY);
        }
        let is_freebsd = self.system == System::FreeBsd;
        match &self.existing_mut(interface)?.description {
            // Source: FreeBSD's `ifhwioctl`; OpenBSD's `ifioctl_get` has an empty text then.
            None if is_freebsd => Err(ENOMSG),
            description => Ok(description.clone().unwrap_or_default().into_bytes()),
        }
    }

    /// Source: FreeBSD's `ifhwioctl`, with its `ifdescr_maxlen`, and OpenBSD's `ifioctl`, with its
    /// `IFDESCRSIZE`. Both count the NUL.
    fn set_description(&mut self, name: &str, text: &CStr) -> Result<(), i32> {
        let most = if self.system == System::FreeBsd { 1024 } else { 64 };
        let interface = self.asked_mut(name)?;
        if text.count_bytes() >= most {
            return Err(ENAMETOOLONG);
        }
        interface.description = Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(())
    }

    pub(crate) fn configure(&mut self, family: Family, opcode: u32, argument: &mut [u8]) -> Result<(), i32> {
        let row = of_socket(self.system, opcode).ok_or(ENOTTY)?;
        has_length(opcode, argument)?;
        let name = name(argument)?;
        let system = self.system;
        let only = match row.3 {
            Ask::AddV4 | Ask::DeleteV4 => Some(Family::V4),
            Ask::AddV6 | Ask::DeleteV6 | Ask::GetAddressFlags => Some(Family::V6),
            Ask::AddLink => Some(Family::Link),
            // Fact: any socket of NetBSD gets to `ifioctl` with what is the interface's own.
            _ => None,
        };
        if only.is_some_and(|only| only != family) {
            // Fact: NetBSD's. Assumed of the others: a socket knows the addresses of its own family only.
            return Err(if system == System::NetBsd { ENOTTY } else { EOPNOTSUPP });
        }
        match row.3 {
            Ask::Create => {
                let made = self.create(&name)?;
                // Where the argument travels both ways, the name that was chosen comes back.
                if has_answer(opcode) { put_name(argument, &made) } else { Ok(()) }
            }
            Ask::Destroy => self.destroy(&name),
            Ask::GetFlags => put_flags(system, argument, self.existing_mut(&name)?.flags),
            Ask::SetFlags => {
                let (new, interface) = (flags(system, argument)?, self.asked_mut(&name)?);
                let (index, kept) = (interface.index, interface.flags & UNCHANGEABLE);
                self.set_flags(index, kept | (new & !UNCHANGEABLE));
                Ok(())
            }
            Ask::GetMtu => put(argument, UNION, &self.existing_mut(&name)?.mtu.to_ne_bytes()),
            Ask::SetMtu => self.set_mtu(&name, number(argument, UNION)?),
            Ask::SetMac => self.set_mac(&name, mac(argument)?),
            Ask::AddLink => self.set_mac(&name, link_mac(argument)?),
            Ask::AddV4 => self.add_address(&name, alias_v4(argument)?),
            Ask::AddV6 => self.add_address(&name, alias_v6(system, argument)?),
            Ask::DeleteV4 => self.delete_address(&name, named_v4(argument)?),
            Ask::DeleteV6 => self.delete_address(&name, named_v6(system, argument)?),
            Ask::GetAddressFlags => {
                let flags = self.address_flags(&name, named_v6(system, argument)?)?;
                put(argument, UNION, &flags.to_ne_bytes())
            }
            Ask::AttachFamily => {
                let [family] = bytes::<1>(argument, UNION)?;
                self.asked_mut(&name)?;
                if u32::from(family) == af_inet6(system) { Ok(()) } else { Err(super::numbers::EAFNOSUPPORT) }
            }
            _ => Err(ENOTTY),
        }
    }

    /// The interface that anybody may ask of.
    pub(crate) fn existing_mut(&mut self, name: &str) -> Result<&mut Interface, i32> {
        self.named_mut(name).ok_or(ENXIO)
    }

    /// The interface that root alone may change.
    pub(crate) fn asked_mut(&mut self, name: &str) -> Result<&mut Interface, i32> {
        if self.root { self.existing_mut(name) } else { Err(EPERM) }
    }

    fn create(&mut self, name: &str) -> Result<String, i32> {
        if !self.root {
            return Err(EPERM);
        }
        // Fact: macOS makes its tuns by connecting sockets.
        let kinds = if self.system == System::MacOs { &[Kind::Tap][..] } else { &[Kind::Tun, Kind::Tap] };
        let named = |&kind: &Kind| Some((kind, name.strip_prefix(self.prefix(kind))?));
        // Assumed: no driver, no such interface.
        let digits = kinds.iter().find_map(named).filter(|_| self.loaded && !self.third_party);
        let (kind, digits) = digits.ok_or(EINVAL)?;
        let unit = match digits {
            // Fact: NetBSD needs a unit. Assumed of OpenBSD, where no name comes back either.
            "" if matches!(self.system, System::NetBsd | System::OpenBsd) => return Err(EINVAL),
            "" => self.free_unit(kind),
            digits => unit(digits).ok_or(EINVAL)?,
        };
        if self.of_unit(kind, unit).is_some() {
            return Err(EEXIST);
        }
        let index = self.make(kind, unit, Made::Request)?;
        // Fact: of NetBSD's tap that was deleted under its device, the descriptor works on (asked of if_tap.c
        // 1.84, whose `tap_dev_read` and others look the unit up).
        if let Some(orphan) = self.orphan(kind, unit).filter(|_| self.system == System::NetBsd) {
            self.take_over(index, orphan);
        }
        Ok(self.indexed(index).map(|interface| interface.name.clone()).unwrap_or_default())
    }

    pub(crate) fn destroy(&mut self, name: &str) -> Result<(), i32> {
        let system = self.system;
        let interface = self.asked_mut(name)?;
        let (index, is_open) = (interface.index, interface.device.is_some());
        match (system, interface.kind) {
            // Fact: NetBSD's `if_clone_destroy` lets `loop_clone_destroy` say that.
            (System::NetBsd, Kind::Loopback) => return Err(EPERM),
            // Assumed: what no cloner made, no cloner destroys.
            (_, Kind::Loopback) => return Err(EINVAL),
            (System::MacOs, _) if !interface.is_of_pair(system) => return Err(EINVAL),
            // Fact: the request waits for the last descriptor, which is the caller's own.
            (System::FreeBsd, _) if is_open => panic!("SIOCIFDESTROY of {name} would hang: it is open"),
            // Fact: only what SIOCIFCREATE has made.
            (System::DragonFly, _) if interface.made != Made::Request => return Err(ENXIO),
            // Source: `tun_clone_destroy` and `tap_clone_destroy`. Before the cloner was reworked, the driver
            // went on with memory that it had given back.
            (System::DragonFly, _) if is_open => return Err(EBUSY),
            // Source: NetBSD and OpenBSD destroy it even while it is open (`tun_clone_destroy`); the open
            // device then finds nothing.
            _ => {}
        }
        self.remove(index);
        Ok(())
    }

    fn set_mtu(&mut self, name: &str, mtu: u32) -> Result<(), i32> {
        let system = self.system;
        let interface = self.asked_mut(name)?;
        let bounds = if interface.third_party { 72..=65535 } else { mtus(system, interface.kind) };
        if !bounds.contains(&mtu) {
            return Err(EINVAL);
        }
        interface.mtu = mtu;
        let index = interface.index;
        // Source: NetBSD's `ifioctl_common` reports nothing; others' `ifhwioctl` and `ifioctl` do.
        if system != System::NetBsd {
            self.report_interface(index);
        }
        Ok(())
    }

    fn set_mac(&mut self, name: &str, mac: [u8; 6]) -> Result<(), i32> {
        let interface = self.asked_mut(name)?;
        // Assumed: where there is no MAC, none can be set.
        *interface.mac.as_mut().ok_or(ENODEV)? = mac;
        Ok(())
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) -> Result<(), i32> {
        // Fact: FreeBSD and DragonFly alone have the request.
        if !matches!(self.system, System::FreeBsd | System::DragonFly) {
            return Err(ENOTTY);
        }
        self.asked_mut(old)?;
        if old != new && self.named(new).is_some() {
            return Err(EEXIST);
        }
        let index = self.existing_mut(old)?.index;
        // Source: `ifhwioctl` and `ifioctl` announce that the one goes and the other comes.
        self.announce(index, old, false);
        new.clone_into(&mut self.existing_mut(old)?.name);
        self.announce(index, new, true);
        Ok(())
    }
}

/// The MTUs that an interface can have.
pub(crate) fn mtus(system: System, kind: Kind) -> std::ops::RangeInclusive<u32> {
    match (system, kind) {
        // Fact: 576 to 1500, and 9000 for a tap. Assumed: nothing above, and no less than Ethernet's least.
        (System::NetBsd, Kind::Tun) => 576..=1500,
        (System::NetBsd, _) => 46..=9000,
        // Fact: up to 16384. Source: no less than Ethernet's least (`tun_ioctl`: ETHERMIN, TUNMRU).
        (System::OpenBsd, _) => 46..=16384,
        // Source: the sysctl net.link.fake.max_mtu, as it comes (`feth_clone_create`, `feth_ioctl`).
        (System::MacOs, Kind::Tap) => 72..=2048,
        // Source: `ether_ioctl`.
        (System::DragonFly, Kind::Tap) => 72..=1500,
        // Fact: the driver has no bounds. Assumed: those of the network stack, IF_MINMTU and IF_MAXMTU.
        _ => 72..=65535,
    }
}

/// Whether a number says that the kernel writes the argument.
const fn has_answer(opcode: u32) -> bool {
    opcode & 0x4000_0000 != 0
}
