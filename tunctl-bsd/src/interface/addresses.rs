//! The addresses of an interface: added and removed by ioctls, listed with the interface.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::{Cause, Error, Interface, InterfaceAddress, Layer, Operation, Reason, Result, State};
use tunctl_sys::bsd::{Name, Request, iff, in6_iff};

use super::BsdInterface;
use crate::syscalls::{Family, ListedAddress, Syscalls};

/// How long duplicate detection may take, which takes a second, and how often it is looked whether it is
/// over.
const DETECTION: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// Converts a listed address. A peer that equals the interface's own address means no peer.
pub(crate) fn translated(found: &ListedAddress) -> InterfaceAddress {
    let peer = found.destination.filter(|&destination| destination != found.address);
    let broadcast = match found.broadcast {
        Some(IpAddr::V4(broadcast)) if found.destination.is_none() => Some(broadcast),
        _ => None,
    };
    InterfaceAddress::from_kernel(found.address, found.prefix_length, peer, broadcast)
}

impl<C: Syscalls> BsdInterface<C> {
    pub(super) fn add_if_missing(&self, address: InterfaceAddress) -> Result<bool> {
        let found = self.found(Operation::AddAddress)?;
        if found.addresses.iter().any(|present| translated(present).same_as(&address)) {
            return Ok(false);
        }
        if found.addresses.iter().any(|present| present.address == address.address()) {
            // SIOCAIFADDR would change the existing address.
            return Err(Error::new(Operation::AddAddress, Cause::AddressExists).with_name(self.name));
        }
        let was_up = self.flags(Operation::AddAddress, &found.name)? & iff::UP != 0;
        let added = match address.address() {
            IpAddr::V4(own) => self.add_v4(&found.name, own, address),
            IpAddr::V6(own) => self.add_v6(&found.name, own, address),
        };
        let done = added.and_then(|()| match address.address() {
            // Adding an address brings the interface up, which the caller did not request.
            _ if !was_up => self.set_state(State::Down),
            IpAddr::V6(own) if self.layer() == Layer::Tun => self.wait_for_service(&found.name, own),
            _ => Ok(()),
        });
        match done {
            Ok(()) => Ok(true),
            Err(error) => {
                // Report the first error. If the address was not added, there is nothing to undo.
                if self.remove_address(address).is_ok() && !was_up {
                    let _ = self.set_state(State::Down);
                }
                Err(error.with_operation(Operation::AddAddress))
            }
        }
    }

    pub(super) fn remove_listed(&self, address: InterfaceAddress) -> Result<()> {
        const OPERATION: Operation = Operation::RemoveAddress;
        let abi = self.system.rules.abi;
        let found = self.found(OPERATION)?;
        if !found.addresses.iter().any(|present| translated(present).same_as(&address)) {
            return Err(Error::new(OPERATION, Cause::AddressNotFound).with_name(self.name));
        }
        match address.address() {
            IpAddr::V4(own) => {
                let argument = abi.delete_v4(&found.name, own);
                self.configure(OPERATION, Family::V4, abi.requests.delete_address, argument)
            }
            IpAddr::V6(own) => {
                let argument = abi.delete_v6(&found.name, own);
                self.configure(OPERATION, Family::V6, abi.requests.delete_address_v6, argument)
            }
        }
        .map(drop)
    }

    /// Waits until duplicate detection is over, which takes a second on an interface that is up; the address
    /// cannot be used before. A tun has nobody who could have it, but the kernels ask all the same
    /// (`in6if_do_dad`).
    fn wait_for_service(&self, name: &Name, address: Ipv6Addr) -> Result<()> {
        const OPERATION: Operation = Operation::AddAddress;
        let abi = self.system.rules.abi;
        let deadline = Instant::now() + DETECTION;
        loop {
            let request = abi.requests.get_address_flags_v6;
            let answer = self.configure(OPERATION, Family::V6, request, abi.query_v6(name, address))?;
            let flags = abi.address_flags(&answer).unwrap_or_default();
            if flags & in6_iff::DUPLICATED != 0 {
                let reason = Reason::new(Cause::AddressExists)
                    .with_detail("another host has this address, as duplicate detection has found");
                return Err(reason.of(OPERATION).with_name(self.name));
            }
            if flags & in6_iff::TENTATIVE == 0 || deadline <= Instant::now() {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
    }

    fn add_v6(&self, name: &Name, address: Ipv6Addr, wanted: InterfaceAddress) -> Result<()> {
        const OPERATION: Operation = Operation::AddAddress;
        let abi = self.system.rules.abi;
        if let Some(request) = abi.requests.attach_family {
            let argument = tunctl_sys::bsd::openbsd::attach_v6(name);
            self.configure(OPERATION, Family::V6, request, argument.to_vec())?;
        }
        let peer = match wanted.peer() {
            Some(IpAddr::V6(peer)) => Some(peer),
            _ => None,
        };
        // A tun has no neighbours that duplicate detection could ask.
        let flags = match self.layer() {
            Layer::Tun => abi.no_duplicate_detection.unwrap_or(0),
            Layer::Tap => 0,
        };
        let argument = abi.alias_v6(name, address, peer, wanted.prefix_length(), flags);
        self.add(Family::V6, abi.requests.add_address_v6, &argument)
    }

    /// Adds an address, an IPv4 one twice where the system needs that. The second time, one of IPv6 would
    /// exist.
    fn add(&self, family: Family, request: Request, argument: &[u8]) -> Result<()> {
        let is_v4 = family == Family::V4;
        let again = self.system.rules.adds_addresses_twice && self.layer() == Layer::Tun && is_v4;
        for _ in 0..=usize::from(again) {
            self.configure(Operation::AddAddress, family, request, argument.to_vec())?;
        }
        Ok(())
    }

    fn add_v4(&self, name: &Name, address: Ipv4Addr, wanted: InterfaceAddress) -> Result<()> {
        const OPERATION: Operation = Operation::AddAddress;
        let abi = self.system.rules.abi;
        let point_to_point = self.flags(OPERATION, name)? & iff::POINTOPOINT != 0;
        let destination = match wanted.peer() {
            Some(IpAddr::V4(peer)) if point_to_point => Some(peer),
            Some(_) => {
                let reason = Reason::new(Cause::InvalidAddress)
                    .with_detail("a broadcast interface has no peers")
                    .with_remedy("Use a tun that is down and has no other address.");
                return Err(reason.of(OPERATION).with_name(self.name));
            }
            None if point_to_point => Some(address),
            None => wanted.broadcast(),
        };
        let mask = u32::MAX.checked_shl(32 - u32::from(wanted.prefix_length().min(32))).unwrap_or(0);
        let argument = abi.alias_v4(name, address, destination, mask.into());
        self.add(Family::V4, abi.requests.add_address, &argument)
    }
}
