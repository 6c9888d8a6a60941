//! The interface: found by its index, and configured by ioctls on sockets.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tunctl_core::{
    Cause, Error, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Layer,
    MacAddress, Mtu, Operation, Reason, Result, State,
};
use tunctl_sys::bsd::{Abi, Name, Request, iff};

use crate::attach_plan::new_name;
use crate::errno;
use crate::remedy;
use crate::syscalls::{Family, ListedAddress, ListedInterface, Syscalls};
use crate::system::{CreateMethod, Kind};
use crate::system_handle::SystemHandle;

/// A handle of a TUN/TAP interface of these systems, by index.
///
/// # Platform
///
/// Tuns with a peer are point-to-point, and macOS's tuns always are. On a point-to-point interface, an
/// address without a peer gets itself as its peer, and adds no route to its network.
pub struct BsdInterface<C> {
    system: Arc<SystemHandle<C>>,
    index: InterfaceIndex,
    kind: &'static Kind,
    /// The name when the handle was made, for errors.
    name: InterfaceName,
}

impl<C: Syscalls> BsdInterface<C> {
    /// Returns `None` if the listed name or index is invalid.
    pub(crate) fn new(
        system: Arc<SystemHandle<C>>,
        found: &ListedInterface,
        kind: &'static Kind,
    ) -> Option<Self> {
        let name = InterfaceName::from_kernel(found.name.as_bytes()).ok()?;
        Some(Self { system, index: InterfaceIndex::new(found.index)?, kind, name })
    }

    /// Returns the handle with a new name.
    pub(crate) fn with_name(&self, name: InterfaceName) -> Self {
        Self { name, ..self.clone() }
    }

    pub(crate) const fn kind(&self) -> &'static Kind {
        self.kind
    }

    pub(crate) const fn layer(&self) -> Layer {
        self.kind.layer
    }

    pub(crate) const fn last_name(&self) -> InterfaceName {
        self.name
    }

    /// Returns what the system lists under the index now.
    fn found(&self, operation: Operation) -> Result<ListedInterface> {
        let found = self.system.find(|found| found.index == self.index.get());
        let found = found.map_err(|error| self.refused(operation, &error))?;
        found.ok_or_else(|| Error::new(operation, Cause::Gone).with_name(self.name))
    }

    /// Fails with `Gone` if the interface no longer exists.
    pub(crate) fn is_there(&self, operation: Operation) -> Result<()> {
        self.found(operation).map(drop)
    }

    fn refused(&self, operation: Operation, error: &io::Error) -> Error {
        remedy::with_errno(remedy::configure(errno::of(error), operation), error)
            .of(operation)
            .with_name(self.name)
    }

    fn configure(
        &self,
        operation: Operation,
        family: Family,
        request: Request,
        mut argument: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let outcome = self.system.syscalls.configure(family, request, &mut argument);
        outcome.map_err(|error| self.refused(operation, &error))?;
        Ok(argument)
    }

    fn flags(&self, operation: Operation, name: &Name) -> Result<u32> {
        let abi = self.system.rules.abi;
        let answer = self.configure(operation, Family::V4, abi.requests.get_flags, abi.ifreq(name))?;
        // The buffer has the request's length, so the field is there.
        Ok(abi.flags(&answer).unwrap_or_default())
    }

    fn mtu_of(&self, operation: Operation, name: &Name) -> Result<u32> {
        let abi = self.system.rules.abi;
        let answer = self.configure(operation, Family::V4, abi.requests.get_mtu, abi.ifreq(name))?;
        // The buffer has the request's length, so the field is there.
        Ok(abi.mtu(&answer).unwrap_or_default())
    }

    /// Checks the caller's privilege before anything changes: setting the flags to their current value has no
    /// effect, but requires the same privilege as deleting.
    fn check_privilege(&self, name: &Name) -> Result<()> {
        let abi = self.system.rules.abi;
        let flags = self.flags(Operation::Delete, name)?;
        let same = abi.ifreq_flags(name, flags);
        self.configure(Operation::Delete, Family::V4, abi.requests.set_flags, same).map(drop)
    }

    fn add_v6(&self, name: &Name, address: std::net::Ipv6Addr, wanted: InterfaceAddress) -> Result<()> {
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

    /// Adds an address, twice where the system needs that.
    fn add(&self, family: Family, request: Request, argument: &[u8]) -> Result<()> {
        let again = self.system.rules.adds_addresses_twice && self.layer() == Layer::Tun;
        for _ in 0..=usize::from(again) {
            self.configure(Operation::AddAddress, family, request, argument.to_vec())?;
        }
        Ok(())
    }

    fn add_v4(&self, name: &Name, address: std::net::Ipv4Addr, wanted: InterfaceAddress) -> Result<()> {
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

/// The operations that only systems with a request for them have.
pub(crate) fn optional(abi: &Abi) -> Vec<Operation> {
    let operations = [abi.rename.map(|_| Operation::Rename)];
    operations.into_iter().flatten().collect()
}

/// Converts a listed address. A peer that equals the interface's own address means no peer.
fn translated(found: &ListedAddress) -> InterfaceAddress {
    let peer = found.destination.filter(|&destination| destination != found.address);
    let broadcast = match found.broadcast {
        Some(IpAddr::V4(broadcast)) if found.destination.is_none() => Some(broadcast),
        _ => None,
    };
    InterfaceAddress::from_kernel(found.address, found.prefix_length, peer, broadcast)
}

impl<C: Syscalls> Interface for BsdInterface<C> {
    fn index(&self) -> InterfaceIndex {
        self.index
    }

    /// # Platform
    ///
    /// `persistent` is always false: these systems do not report it.
    fn info(&self) -> Result<InterfaceInfo> {
        const OPERATION: Operation = Operation::Inspect;
        let found = self.found(OPERATION)?;
        let name = InterfaceName::from_kernel(found.name.as_bytes()).unwrap_or(self.name);
        let mtu = Mtu::from_kernel(self.mtu_of(OPERATION, &found.name)?);
        let mut info = InterfaceInfo::new(name, self.index, self.layer(), mtu);
        info.flags |= tunctl_core::CreateFlags::NO_PI;
        info.mac = match self.layer() {
            Layer::Tun => None,
            Layer::Tap => found.mac.map(MacAddress::from_kernel),
        };
        info.state = match self.flags(OPERATION, &found.name)? & iff::UP {
            0 => State::Down,
            _ => State::Up,
        };
        Ok(info)
    }

    /// # Platform
    ///
    /// FreeBSD and OpenBSD count the packets that the interface's full queue dropped, but not those sent
    /// while no device has it open. `Unsupported` on the other systems.
    fn dropped(&self) -> Result<u64> {
        const OPERATION: Operation = Operation::Inspect;
        let found = self.found(OPERATION)?;
        let dropped =
            self.system.syscalls.dropped(&found.name).map_err(|error| self.refused(OPERATION, &error))?;
        dropped.ok_or_else(|| {
            let reason = Reason::new(Cause::Unsupported);
            let reason = reason.with_detail("this system does not count what an interface has dropped");
            reason.of(OPERATION).with_name(self.name)
        })
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        Ok(self.found(Operation::ListAddresses)?.addresses.iter().map(translated).collect())
    }

    fn add_address(&self, address: InterfaceAddress) -> Result<bool> {
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
        // Adding an address brings a tun up, which the caller did not request.
        let done = added.and_then(|()| if was_up { Ok(()) } else { self.set_state(State::Down) });
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

    fn remove_address(&self, address: InterfaceAddress) -> Result<()> {
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

    fn set_state(&self, state: State) -> Result<()> {
        let operation = match state {
            State::Up => Operation::Up,
            State::Down => Operation::Down,
        };
        let abi = self.system.rules.abi;
        let found = self.found(operation)?;
        let before = self.flags(operation, &found.name)?;
        let after = match state {
            State::Up => before | iff::UP,
            State::Down => before & !iff::UP,
        };
        self.configure(operation, Family::V4, abi.requests.set_flags, abi.ifreq_flags(&found.name, after))
            .map(drop)
    }

    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        const OPERATION: Operation = Operation::SetMtu;
        let abi = self.system.rules.abi;
        let found = self.found(OPERATION)?;
        let set = |name: &Name, mtu: u32| {
            self.configure(OPERATION, Family::V4, abi.requests.set_mtu, abi.ifreq_mtu(name, mtu)).map(drop)
        };
        let Some(far) = self.system.rules.far_end(&found.name) else { return set(&found.name, mtu.get()) };
        // The far end sends nothing longer than its own MTU, so both ends get the same.
        let before = match self.mtu_of(OPERATION, &far) {
            // A `feth` that another program created may have no far end.
            Err(error) if error.is_gone() => return set(&found.name, mtu.get()),
            before => before?,
        };
        set(&far, mtu.get())?;
        set(&found.name, mtu.get()).inspect_err(|_| {
            // Report the first error.
            let _ = set(&far, before);
        })
    }

    /// # Platform
    ///
    /// A frame that the program sends must have the interface's MAC address or a multicast address as its
    /// destination: FreeBSD's tap drops others unless the interface is promiscuous.
    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        const OPERATION: Operation = Operation::SetMac;
        let abi = self.system.rules.abi;
        let unsupported = || Error::new(OPERATION, Cause::Unsupported).with_name(self.name);
        let found = self.found(OPERATION)?;
        if self.layer() == Layer::Tun {
            let reason = Reason::new(Cause::LayerMismatch).with_detail("a tun has no MAC address");
            return Err(reason.with_remedy("Create a tap.").of(OPERATION).with_name(self.name));
        }
        if let Some(request) = abi.requests.set_mac {
            let argument = abi.ifreq_mac(&found.name, mac.octets());
            return self.configure(OPERATION, Family::V4, request, argument).map(drop);
        }
        let request = abi.requests.set_link_address.ok_or_else(unsupported)?;
        let argument = tunctl_sys::bsd::netbsd::link_address(&found.name, mac.octets());
        self.configure(OPERATION, Family::Link, request, argument.to_vec()).map(drop)
    }

    /// # Platform
    ///
    /// FreeBSD and DragonFly only; `Unsupported` elsewhere.
    fn rename(&self, name: &InterfaceName) -> Result<()> {
        const OPERATION: Operation = Operation::Rename;
        let Some(request) = self.system.rules.abi.rename else {
            return Err(Error::new(OPERATION, Cause::Unsupported).with_name(self.name));
        };
        let found = self.found(OPERATION)?;
        let refused = || Error::new(OPERATION, Cause::InvalidName).with_name(self.name);
        let new = new_name(name).ok_or_else(refused)?;
        if found.name == new {
            return Ok(());
        }
        self.system
            .syscalls
            .rename(request, &found.name, &new)
            .map_err(|error| self.refused(OPERATION, &error))
    }

    /// # Platform
    ///
    /// `Busy` while a program has the interface open. FreeBSD's SIOCIFDESTROY would wait for that program, so
    /// this opens the node first, which only one program can. On macOS a tun is always `Busy`, since only
    /// closing its socket removes it; a tap is deleted even while it is open.
    fn delete(&self) -> Result<()> {
        let found = self.found(Operation::Delete)?;
        self.check_privilege(&found.name)?;
        let opened = match self.kind.create_method {
            CreateMethod::Socket { .. } => Err(errno::error(errno::EBUSY)),
            CreateMethod::Pair(_) => Ok(()),
            _ => {
                let node = format!("/dev/{}", found.original_name.as_bytes().escape_ascii());
                self.system.syscalls.open(&node).map(drop)
            }
        };
        if let Err(error) = &opened
            && errno::of(error) == errno::EBUSY
        {
            return Err(self.refused(Operation::Delete, error));
        }
        let Err(error) = self.system.destroy(&found.name) else { return Ok(()) };
        match self.found(Operation::Delete) {
            Ok(_) => Err(remedy::with_errno(remedy::destroy(errno::of(&error), Operation::Delete), &error)
                .of(Operation::Delete)
                .with_name(self.name)),
            // Closing the node removed it, as with DragonFly's taps.
            Err(gone) if gone.is_gone() && opened.is_ok() => Ok(()),
            Err(_) => Err(self.refused(Operation::Delete, &error)),
        }
    }
}

// Derived implementations would require `C: Clone` and `C: Debug`.
impl<C> Clone for BsdInterface<C> {
    fn clone(&self) -> Self {
        Self { system: self.system.clone(), index: self.index, kind: self.kind, name: self.name }
    }
}

impl<C> fmt::Debug for BsdInterface<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, name, .. } = self;
        f.debug_struct("BsdInterface")
            .field("index", index)
            .field("layer", &self.kind.layer)
            .field("name", name)
            .finish_non_exhaustive()
    }
}
