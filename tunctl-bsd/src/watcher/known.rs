//! What a watcher knows of one interface.

use std::net::IpAddr;

use tunctl_core::{
    CreateFlags, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Mtu, Operation, Result,
    State, WatchedInterface,
};
use tunctl_sys::bsd::{Name, iff};

use crate::BsdInterface;
use crate::interface::translated;
use crate::syscalls::{ListedAddress, ListedInterface, Syscalls};
use crate::system::{Kind, Rules};

/// The MTU with which all of these drivers make an interface.
const FIRST_MTU: u32 = 1500;

/// An interface, as the reports that were read have left it.
pub(super) struct Known {
    pub(super) info: InterfaceInfo,
    pub(super) addresses: Vec<InterfaceAddress>,
    original_name: Name,
    is_point_to_point: bool,
}

impl Known {
    /// A listed interface, as it is now.
    pub(super) fn of<C: Syscalls>(interface: &BsdInterface<C>, found: &ListedInterface) -> Result<Self> {
        let (info, flags) = interface.info_of(Operation::Watch, found)?;
        let is_point_to_point = flags & iff::POINTOPOINT != 0;
        let addresses = found.addresses.iter().map(translated).collect();
        Ok(Self { info, addresses, original_name: found.original_name, is_point_to_point })
    }

    /// A new interface, before anything else was reported of it.
    pub(super) fn new(
        index: InterfaceIndex,
        name: InterfaceName,
        original_name: Name,
        kind: &Kind,
        mtu: Option<Mtu>,
    ) -> Self {
        // The drivers' own, unless it has been seen.
        let mtu = mtu.unwrap_or(Mtu::from_kernel(FIRST_MTU));
        let mut info = InterfaceInfo::new(name, index, kind.layer, mtu);
        info.flags |= CreateFlags::NO_PI;
        Self { info, addresses: Vec::new(), original_name, is_point_to_point: false }
    }

    pub(super) fn watched(&self) -> WatchedInterface {
        WatchedInterface::new(self.info.clone(), self.addresses.clone())
    }

    pub(super) fn set_flags(&mut self, flags: u32) {
        self.is_point_to_point = flags & iff::POINTOPOINT != 0;
        self.info.state = if flags & iff::UP != 0 { State::Up } else { State::Down };
    }

    /// A reported address, as the system would list it.
    pub(super) fn listed_address(
        &self,
        address: IpAddr,
        prefix_length: u8,
        other: Option<IpAddr>,
    ) -> ListedAddress {
        let (destination, broadcast) = if self.is_point_to_point { (other, None) } else { (None, other) };
        ListedAddress { address, prefix_length, destination, broadcast }
    }

    /// Adds an address, and returns the one that it takes the place of: these systems have one prefix and one
    /// peer for each.
    pub(super) fn add(&mut self, new: InterfaceAddress) -> Option<InterfaceAddress> {
        let same = self.addresses.iter_mut().find(|known| known.address() == new.address());
        let Some(known) = same else {
            self.addresses.push(new);
            return None;
        };
        let old = std::mem::replace(known, new);
        (!old.same_as(&new)).then_some(old)
    }

    pub(super) fn remove(&mut self, address: IpAddr) -> Option<InterfaceAddress> {
        let at = self.addresses.iter().position(|known| known.address() == address)?;
        Some(self.addresses.remove(at))
    }

    /// Whether an interface with this name and this index is this one, whose departure was announced.
    pub(super) fn is_renamed(&self, rules: &Rules, name: &Name, found: Option<&ListedInterface>) -> bool {
        if rules.abi.rename.is_none() || *name == self.name() {
            return false;
        }
        // Before a deletion, it is reported that it is down, and that its addresses are gone.
        if self.info.state == State::Up || !self.addresses.is_empty() {
            return true;
        }
        if rules.lists_original_names {
            return found.is_some_and(|found| found.original_name == self.original_name);
        }
        rules.kind_of(name.as_bytes()).is_none()
    }

    /// Whether this is how it was listed before its departure was announced.
    pub(super) fn is_listed_as(&self, found: &ListedInterface) -> bool {
        (found.name, found.original_name) == (self.name(), self.original_name)
    }

    fn name(&self) -> Name {
        // A name that the kernel reported fits.
        Name::new(self.info.name.as_bytes()).unwrap_or(self.original_name)
    }
}
