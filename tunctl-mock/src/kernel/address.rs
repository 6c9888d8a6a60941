//! Addresses: which go together, in which order they stand, and which go with others.

use std::net::IpAddr;

use tunctl_core::{Cause, InterfaceAddress, Reason};

use super::link::SocketCapabilities;
use super::{Kernel, LinkKey, NetDevice};
use crate::Errno;
use crate::kernel::Result;

const EXISTS: Reason = Errno::EEXIST.reason(Cause::AddressExists);
const NOT_FOUND: Reason = Errno::EADDRNOTAVAIL.reason(Cause::AddressNotFound);

impl Kernel {
    /// IPv4: the same address may be there once a network; IPv6: once.
    pub(crate) fn add_address(
        &mut self,
        key: LinkKey,
        socket: SocketCapabilities,
        address: InterfaceAddress,
    ) -> Result {
        self.may_configure(socket)?;
        let address = without_own_peer(address);
        let device = self.at(key)?;
        if address.address().is_ipv6() {
            self.ipv6_is_on(key.namespace, device.mtu)?;
        }
        let device = self.at_mut(key)?;
        match address.address() {
            IpAddr::V4(_) => device.add_ipv4(address),
            IpAddr::V6(_) => device.add_ipv6(address),
        }
    }

    pub(crate) fn remove_address(
        &mut self,
        key: LinkKey,
        socket: SocketCapabilities,
        address: InterfaceAddress,
    ) -> Result {
        self.may_configure(socket)?;
        let device = self.at_mut(key)?;
        match address.address() {
            IpAddr::V4(_) => device.remove_ipv4(address),
            IpAddr::V6(_) => {
                let before = device.ipv6.len();
                device.ipv6.retain(|present| !present.same_as(&address));
                if device.ipv6.len() < before { Ok(()) } else { Err(NOT_FOUND) }
            }
        }
    }
}

impl NetDevice {
    /// IPv4 ones first, each family in the kernel's order.
    pub(crate) fn addresses(&self) -> Vec<InterfaceAddress> {
        [&self.ipv4[..], &self.ipv6].concat()
    }

    /// The first address of a network is its primary one, the later ones are secondary. Primary ones stand first.
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

    /// With a primary address go the secondary ones of its network.
    fn remove_ipv4(&mut self, address: InterfaceAddress) -> Result {
        let position = self.ipv4.iter().position(|present| present.same_as(&address)).ok_or(NOT_FOUND)?;
        let is_primary = self.primaries()[position];
        self.ipv4.remove(position);
        if is_primary {
            self.ipv4.retain(|present| network(present) != network(&address));
        }
        Ok(())
    }

    /// Which of the IPv4 addresses are the first of their network.
    fn primaries(&self) -> Vec<bool> {
        let first = |position: usize| {
            self.ipv4[..position].iter().all(|before| network(before) != network(&self.ipv4[position]))
        };
        (0..self.ipv4.len()).map(first).collect()
    }

    /// The newest first, behind those of a wider scope.
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

/// What an IPv4 address is held to belong to: the network of its far end, which without a peer is its own.
fn network(address: &InterfaceAddress) -> (u8, u32) {
    let bits = match address.peer().unwrap_or(address.address()) {
        IpAddr::V4(far) => far.to_bits(),
        IpAddr::V6(_) => 0,
    };
    let prefix = address.prefix_length();
    (prefix, bits & u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0))
}

/// How far an IPv6 address is valid: the link, the site, the world.
fn scope(address: &InterfaceAddress) -> u8 {
    match address.address() {
        IpAddr::V6(v6) if v6.is_unicast_link_local() => 2,
        IpAddr::V6(v6) if v6.segments()[0] & 0xffc0 == 0xfec0 => 5,
        _ => 14,
    }
}

/// A peer that is the address itself is none.
fn without_own_peer(address: InterfaceAddress) -> InterfaceAddress {
    let peer = address.peer().filter(|&peer| peer != address.address());
    InterfaceAddress::from_kernel(address.address(), address.prefix_length(), peer, address.broadcast())
}
