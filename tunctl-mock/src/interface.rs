//! The interface: a handle by index, in the namespace where it was found.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use tunctl_core::{
    Cause, Error, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, MacAddress, Mtu,
    Operation, Reason, Result, State,
};

use crate::Errno;
use crate::kernel::{self, Kernel, LinkKey, NO_DEVICE, NamespaceId, NetDevice, SocketCapabilities};
use crate::rig::SharedWorld;

/// An interface of a [`MockBackend`](crate::MockBackend): a handle by index, in the namespace where it was
/// found.
#[derive(Clone, Debug)]
pub struct MockInterface {
    world: Arc<SharedWorld>,
    key: LinkKey,
    socket: SocketCapabilities,
    /// The name when the handle was made, for errors.
    name: InterfaceName,
}

impl MockInterface {
    pub(crate) fn new(
        world: Arc<SharedWorld>,
        namespace: NamespaceId,
        info: &InterfaceInfo,
        socket: SocketCapabilities,
    ) -> Self {
        Self { world, key: LinkKey { namespace, index: info.index }, socket, name: info.name }
    }

    pub(crate) const fn world(&self) -> &Arc<SharedWorld> {
        &self.world
    }

    pub(crate) const fn key(&self) -> LinkKey {
        self.key
    }

    pub(crate) const fn socket(&self) -> SocketCapabilities {
        self.socket
    }

    pub(crate) const fn last_name(&self) -> InterfaceName {
        self.name
    }

    fn step<T>(
        &self,
        operation: Operation,
        rule: impl FnOnce(&mut Kernel) -> kernel::Result<T>,
    ) -> Result<T> {
        let mut world = self.world.lock();
        let id = world.kernel().at(self.key).ok().map(NetDevice::id);
        let outcome = world.apply_fault(operation, id).and_then(|()| world.step(rule));
        outcome.map_err(|reason| reason.of(operation).with_name(self.name))
    }

    /// Asks something about the interface. If it is gone, the kernel's answer is empty and has no errno, so
    /// neither has the error.
    fn ask<T>(&self, operation: Operation, answer: impl FnOnce(&NetDevice) -> T) -> Result<T> {
        self.step(operation, |kernel| match kernel.at(self.key) {
            Ok(device) => Ok(answer(device)),
            Err(_) => Err(Reason::new(Cause::Gone)),
        })
    }

    fn has(&self, address: InterfaceAddress, operation: Operation) -> Result<bool> {
        let present = self.addresses().map_err(|error| error.with_operation(operation))?;
        Ok(present.iter().any(|present| present.same_as(&address)))
    }
}

impl Interface for MockInterface {
    fn index(&self) -> InterfaceIndex {
        self.key.index
    }

    fn info(&self) -> Result<InterfaceInfo> {
        self.ask(Operation::Inspect, NetDevice::info)
    }

    fn dropped(&self) -> Result<u64> {
        self.ask(Operation::Inspect, NetDevice::dropped)
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        let found = self.step(Operation::ListAddresses, |kernel| {
            Ok(kernel.at(self.key).map(NetDevice::addresses).unwrap_or_default())
        })?;
        if found.is_empty() {
            // The kernel's list is empty both without addresses and without the interface.
            self.info().map_err(|error| error.with_operation(Operation::ListAddresses))?;
        }
        Ok(found)
    }

    fn add_address(&self, address: InterfaceAddress) -> Result<bool> {
        if self.has(address, Operation::AddAddress)? {
            return Ok(false);
        }
        let socket = self.socket;
        self.step(Operation::AddAddress, |kernel| kernel.add_address(self.key, socket, address))?;
        Ok(true)
    }

    fn remove_address(&self, address: InterfaceAddress) -> Result<()> {
        let there = self.has(address, Operation::RemoveAddress)?;
        self.step(Operation::RemoveAddress, |kernel| {
            if there {
                kernel.remove_address(self.key, self.socket, address)
            } else {
                Err(Errno::EADDRNOTAVAIL.reason(Cause::AddressNotFound))
            }
        })
    }

    fn set_state(&self, state: State) -> Result<()> {
        let operation = match state {
            State::Up => Operation::Up,
            State::Down => Operation::Down,
        };
        self.step(operation, |kernel| kernel.change_state(self.key, self.socket, state))
    }

    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        self.step(Operation::SetMtu, |kernel| kernel.change_mtu(self.key, self.socket, mtu))
    }

    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        self.step(Operation::SetMac, |kernel| kernel.change_mac(self.key, self.socket, mac))
    }

    fn set_queue_length(&self, packets: u32) -> Result<()> {
        self.step(Operation::SetQueueLength, |kernel| {
            kernel.change_queue_length(self.key, self.socket, packets)
        })
    }

    fn description(&self) -> Result<CString> {
        self.ask(Operation::Describe, NetDevice::description)
    }

    fn set_description(&self, description: &CStr) -> Result<()> {
        self.step(Operation::Describe, |kernel| kernel.change_description(self.key, self.socket, description))
    }

    fn rename(&self, name: &InterfaceName) -> Result<()> {
        self.step(Operation::Rename, |kernel| {
            // As in the Linux backend, which must not rename an interface of another driver.
            kernel.at(self.key).map_err(|_| Reason::new(Cause::Gone))?;
            kernel.change_name(self.key, self.socket, *name)
        })
    }

    fn delete(&self) -> Result<()> {
        self.step(Operation::Delete, |kernel| {
            // As in the Linux backend, which must not delete an interface of another driver.
            kernel.at(self.key).map_err(|_| Reason::new(Cause::Gone))?;
            kernel.delete_link(self.key, self.socket)
        })
    }
}

/// The error of a handle that does not reach its interface.
pub(crate) fn out_of_reach(operation: Operation, name: InterfaceName) -> Error {
    Reason::new(NO_DEVICE.cause()).of(operation).with_name(name)
}
