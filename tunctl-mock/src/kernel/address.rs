//! Addresses: which are refused as duplicates, in which order they stand, and which are removed with others.

use std::net::IpAddr;

use tunctl_core::{Cause, InterfaceAddress, Reason};

use super::{Kernel, LinkKey, NetDevice};
use crate::Errno;
use crate::kernel::Result;

const EXISTS: Reason = Errno::EEXIST.reason(Cause::AddressExists);
const NOT_FOUND: Reason = Errno::EADDRNOTAVAIL.reason(Cause::AddressNotFound);

impl Kernel {
    /// Adds an address. The same IPv4 address may stand once in each network, an IPv6 address only once.
    pub(crate) fn add_address(&mut self, key: LinkKey, address: InterfaceAddress) -> Result {
        self.may_configure()?;
        let address = without_own_peer(address);
        let device = self.at(key)?;
        if address.address().is_ipv6() {
            self.ipv6_is_on(key.namespace, device.link.mtu)?;
        }
        let device = self.at_mut(key)?;
        match address.address() {
            IpAddr::V4(_) => device.add_ipv4(address)?,
            IpAddr::V6(_) => device.add_ipv6(address)?,
        }
        let id = device.id;
        self.report_address(id, address, true);
        Ok(())
    }

    pub(crate) fn remove_address(&mut self, key: LinkKey, address: InterfaceAddress) -> Result {
        self.may_configure()?;
        let device = self.at_mut(key)?;
        let removed = match address.address() {
            IpAddr::V4(_) => device.remove_ipv4(address)?,
            IpAddr::V6(_) => {
                let position = device.ipv6.iter().position(|present| present.same_as(&address));
                vec![device.ipv6.remove(position.ok_or(NOT_FOUND)?)]
            }
        };
        let id = device.id;
        for address in removed {
            self.report_address(id, address, false);
        }
        Ok(())
    }
}

impl NetDevice {
    /// All addresses, IPv4 first, each family in the kernel's order.
    pub(crate) fn addresses(&self) -> Vec<InterfaceAddress> {
        [&self.ipv4[..], &self.ipv6].concat()
    }

    /// Adds an IPv4 address (`__inet_insert_ifa`). The first address of a network is its primary one, later
    /// ones are secondary. Primary addresses stand before secondary ones.
    fn add_ipv4(&mut self, address: InterfaceAddress) -> Result {
        let same_network = |present: &&InterfaceAddress| network(present) == network(&address);
        if self.ipv4.iter().filter(same_network).any(|present| present.address() == address.address()) {
            return Err(EXISTS);
        }
        if self.ipv4.iter().any(|present| same_network(&present)) {
            self.ipv4.push(address);
        } else {
            let primaries = self.primaries();
            let position = primaries.iter().rposition(|&primary| primary).map_or(0, |last| last + 1);
            self.ipv4.insert(position, address);
        }
        Ok(())
    }

    /// Removes an IPv4 address (`inet_del_ifa`), and returns what was removed, in that order. Before a
    /// primary address, the secondary ones of its network are removed, unless `promote_secondaries` is on,
    /// which by default it is not.
    fn remove_ipv4(&mut self, address: InterfaceAddress) -> Result<Vec<InterfaceAddress>> {
        let position = self.ipv4.iter().position(|present| present.same_as(&address)).ok_or(NOT_FOUND)?;
        let is_primary = self.primaries()[position];
        let own = self.ipv4.remove(position);
        let goes_too = |present: &InterfaceAddress| is_primary && network(present) == network(&own);
        let (mut removed, left): (Vec<_>, _) = std::mem::take(&mut self.ipv4).into_iter().partition(goes_too);
        self.ipv4 = left;
        removed.push(own);
        Ok(removed)
    }

    /// Which of the IPv4 addresses are primary: the first of their network.
    fn primaries(&self) -> Vec<bool> {
        let first = |position: usize| {
            self.ipv4[..position].iter().all(|before| network(before) != network(&self.ipv4[position]))
        };
        (0..self.ipv4.len()).map(first).collect()
    }

    /// Adds an IPv6 address (`inet6_addr_add`). The list is sorted by scope, the widest first, and within a
    /// scope the newest is first (`ipv6_link_dev_addr`).
    fn add_ipv6(&mut self, address: InterfaceAddress) -> Result {
        if self.ipv6.iter().any(|present| present.address() == address.address()) {
            return Err(EXISTS);
        }
        let narrower = |present: &InterfaceAddress| scope(present) <= scope(&address);
        let position = self.ipv6.iter().position(narrower).unwrap_or(self.ipv6.len());
        self.ipv6.insert(position, address);
        Ok(())
    }
}

/// The network of an IPv4 address, as `__inet_insert_ifa` compares it: that of its peer, which without a peer
/// is the address itself.
fn network(address: &InterfaceAddress) -> (u8, u32) {
    let bits = match address.peer().unwrap_or(address.address()) {
        IpAddr::V4(far) => far.to_bits(),
        IpAddr::V6(_) => 0,
    };
    let prefix = address.prefix_length();
    (prefix, bits & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0))
}

/// The scope of an IPv6 address (`ipv6_addr_src_scope`): link-local, site-local, global.
fn scope(address: &InterfaceAddress) -> u8 {
    match address.address() {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => 2,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => 5,
        _ => 14,
    }
}

/// The kernel treats a peer that equals the address as no peer (`inet6_rtm_newaddr`, `rtm_to_ifaddr`).
fn without_own_peer(address: InterfaceAddress) -> InterfaceAddress {
    let peer = address.peer().filter(|&peer| peer != address.address());
    InterfaceAddress::from_kernel(address.address(), address.prefix_length(), peer, address.broadcast())
}
