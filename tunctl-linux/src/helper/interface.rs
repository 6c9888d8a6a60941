//! The interface: what takes no right is Linux's, and the rest is refused.

use std::ffi::{CStr, CString};

use tunctl_core::{
    Events, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, MacAddress, Mtu,
    Operation, Result, State, Statistics,
};

use super::absent;
use crate::{LinuxInterface, LinuxWatcher};

/// An interface, as a program without privilege has it.
///
/// It is found and asked as a [`LinuxInterface`]. What takes a right is refused, and says what to do.
#[derive(Clone, Debug)]
pub struct HelperInterface {
    linux: LinuxInterface,
}

impl HelperInterface {
    pub(super) const fn new(linux: LinuxInterface) -> Self {
        Self { linux }
    }

    /// The same interface with all that Linux has, such as [`snapshot`](LinuxInterface::snapshot) and
    /// [`holders`](LinuxInterface::holders). What takes a right answers `MissingCapability` there.
    #[must_use]
    pub const fn as_linux(&self) -> &LinuxInterface {
        &self.linux
    }

    fn refuse<T>(&self, operation: Operation) -> Result<T> {
        Err(absent(operation, self.linux.last_name()))
    }
}

impl Interface for HelperInterface {
    fn index(&self) -> InterfaceIndex {
        self.linux.index()
    }

    fn unchecked(&self) -> Self {
        Self::new(self.linux.unchecked())
    }

    fn info(&self) -> Result<InterfaceInfo> {
        self.linux.info()
    }

    fn statistics(&self) -> Result<Statistics> {
        self.linux.statistics()
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        self.linux.addresses()
    }

    /// # Platform
    ///
    /// On Linux, the interface of an open device takes no capability.
    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        self.linux.set_mac(mac)
    }

    /// # Platform
    ///
    /// On Linux, the interface of an open device takes no capability.
    fn set_carrier(&self, on: bool) -> Result<()> {
        self.linux.set_carrier(on)
    }

    fn add_address(&self, _address: InterfaceAddress) -> Result<bool> {
        self.refuse(Operation::AddAddress)
    }

    fn add_address_without_dad(&self, _address: InterfaceAddress) -> Result<bool> {
        self.refuse(Operation::AddAddress)
    }

    fn remove_address(&self, _address: InterfaceAddress) -> Result<()> {
        self.refuse(Operation::RemoveAddress)
    }

    fn set_state(&self, state: State) -> Result<()> {
        self.refuse(match state {
            State::Up => Operation::Up,
            State::Down => Operation::Down,
        })
    }

    fn set_mtu(&self, _mtu: Mtu) -> Result<()> {
        self.refuse(Operation::SetMtu)
    }

    fn set_queue_length(&self, _packets: u32) -> Result<()> {
        self.refuse(Operation::SetQueueLength)
    }

    fn description(&self) -> Result<CString> {
        self.refuse(Operation::Describe)
    }

    fn set_description(&self, _description: &CStr) -> Result<()> {
        self.refuse(Operation::Describe)
    }

    fn rename(&self, _name: &InterfaceName) -> Result<()> {
        self.refuse(Operation::Rename)
    }

    fn delete(&self) -> Result<()> {
        self.refuse(Operation::Delete)
    }
}

impl Events for HelperInterface {
    type Watcher = LinuxWatcher;

    fn events(&self) -> Result<LinuxWatcher> {
        self.linux.events()
    }
}
