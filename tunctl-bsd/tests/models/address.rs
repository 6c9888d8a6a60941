//! Addresses: added, removed, asked for.

use std::net::IpAddr;

use tunctl_bsd::ListedAddress;

use super::System;
use super::argument::Alias;
use super::numbers::{
    DUPLICATED, EADDRNOTAVAIL, EDESTADDRREQ, EEXIST, EINVAL, NODAD, RUNNING, TENTATIVE, UP,
};
use super::world::{Address, Interface, Kind, World};

impl World {
    pub(crate) fn add_address(&mut self, name: &str, alias: Alias) -> Result<(), i32> {
        let (system, tentative_for, ups_tap) = (self.system, self.tentative_for, self.address_ups_tap);
        let interface = self.asked_mut(name)?;
        let found = placed(system, interface, alias)?;
        // Fact: OpenBSD has no flag to do without duplicate detection, and NetBSD's is read-only
        // (`in6_control`).
        let known = if matches!(system, System::OpenBsd | System::NetBsd) { 0 } else { NODAD };
        if alias.flags & !known != 0 {
            return Err(EINVAL);
        }
        // Source: it happens while the interface is up (`in6if_do_dad`), on point-to-point interfaces, too.
        // FreeBSD's `nd6_dad_start` looks at ND6_IFF_NO_DAD and not at this flag. utuns of macOS never do it.
        // Assumed of DragonFly: it looks at the flag.
        let is_left_out = match system {
            System::FreeBsd => false,
            System::MacOs if interface.kind == Kind::Tun => true,
            _ => alias.flags & NODAD != 0,
        };
        let is_detected = alias.address.is_ipv6() && interface.is_up() && !is_left_out;
        let tentative = if is_detected { tentative_for } else { 0 };
        let old = interface.addresses.iter().find(|one| one.found.address == alias.address);
        if let (Some(old), System::NetBsd, true) = (old, system, alias.address.is_ipv6()) {
            // Fact: another prefix is refused, and so is a peer that is there (`in6_update_ifa`).
            if old.found.prefix_length != found.prefix_length {
                return Err(EINVAL);
            }
            if found.destination.is_some() {
                return Err(EEXIST);
            }
        }
        // Assumed: what is there already is replaced.
        interface.addresses.retain(|address| address.found.address != alias.address);
        interface.addresses.push(Address { found, tentative, duplicated: false });
        // Fact: on a tun an address sets UP too. Source: not on macOS, whose `utun_ioctl` does not know
        // SIOCSIFADDR, which `in_ifinit` ignores.
        let ups = if interface.kind == Kind::Tun { system != System::MacOs } else { ups_tap };
        let (index, flags) = (interface.index, interface.flags);
        interface.additions += u32::from(ups);
        self.report_address(index, name, &found, true);
        let is_unreported = match system {
            System::OpenBsd => true,
            System::DragonFly => alias.address.is_ipv6(),
            _ => false,
        };
        match (ups, is_unreported) {
            (false, _) => {}
            // Source: OpenBSD's `ifioctl` reports no change of UP that `if_up` has not made. DragonFly's
            // calls `in6_if_up` alone; for IPv4, `in_control_internal` has called `if_up`.
            (true, true) => {
                if let Some(interface) = self.indexed_mut(index) {
                    interface.flags |= UP | RUNNING;
                }
            }
            // Source: others' `ifioctl` calls `if_up` once the driver has set UP.
            (true, false) => self.set_flags(index, flags | UP | RUNNING),
        }
        Ok(())
    }

    pub(crate) fn delete_address(&mut self, name: &str, address: Option<IpAddr>) -> Result<(), i32> {
        let interface = self.asked_mut(name)?;
        let index = interface.index;
        let is_it = |one: &Address| Some(one.found.address) == address;
        if !interface.addresses.iter().any(is_it) {
            return Err(EADDRNOTAVAIL);
        }
        self.remove_addresses(index, is_it);
        Ok(())
    }

    /// The flags of an IPv6 address. Whoever asks lets time pass.
    pub(crate) fn address_flags(&mut self, name: &str, address: Option<IpAddr>) -> Result<u32, i32> {
        let others = self.others_address;
        let interface = self.existing_mut(name)?;
        let found = interface.addresses.iter_mut().find(|one| Some(one.found.address) == address);
        let found = found.ok_or(EADDRNOTAVAIL)?;
        if found.duplicated || others.is_some_and(|other| other == found.found.address) {
            return Ok(DUPLICATED);
        }
        if found.tentative == 0 {
            return Ok(0);
        }
        found.tentative -= 1;
        Ok(TENTATIVE)
    }
}

/// The address as the interface will have it.
fn placed(system: System, interface: &Interface, alias: Alias) -> Result<ListedAddress, i32> {
    let Alias { address, other, prefix, .. } = alias;
    let mut found = ListedAddress { address, prefix_length: prefix, destination: None, broadcast: None };
    match (address, interface.is_point_to_point()) {
        // Fact: NetBSD's `in_control` takes one without, and then lists none. Source: so does OpenBSD's
        // `in_ioctl_change_ifaddr`.
        (IpAddr::V4(_), true) if matches!(system, System::NetBsd | System::OpenBsd) => {
            found.destination = other;
        }
        (IpAddr::V4(_), true) => found.destination = Some(other.ok_or(EDESTADDRREQ)?),
        (IpAddr::V4(_), false) => found.broadcast = Some(other.unwrap_or_else(|| last_of(address, prefix))),
        // A peer is all there is of its network; an interface to many has none.
        (IpAddr::V6(_), true) if other.is_some() && prefix != 128 => return Err(EINVAL),
        (IpAddr::V6(_), false) if other.is_some() => return Err(EINVAL),
        (IpAddr::V6(_), _) => found.destination = other,
    }
    Ok(found)
}

/// The last address of a network: for all.
fn last_of(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            IpAddr::V4((address.to_bits() | host).into())
        }
        IpAddr::V6(_) => address,
    }
}
