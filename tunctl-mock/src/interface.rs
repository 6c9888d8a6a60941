//! The interface: a handle by index, in the namespace where it was found.

use std::sync::Arc;

use tunctl_core::{
    Cause, Error, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, MacAddress, Mtu,
    Operation, Reason, Result, State,
};

use crate::Errno;
use crate::kernel::{self, Kernel, LinkKey, NO_DEVICE, NamespaceId, NetDevice, SocketCapabilities, World};

/// An interface of a [`MockBackend`](crate::MockBackend): a handle by index, in the namespace where it was found.
#[derive(Clone, Debug)]
pub struct MockInterface {
    kernel: Arc<Kernel>,
    key: LinkKey,
    socket: SocketCapabilities,
    /// As it was when it was found, for errors.
    name: InterfaceName,
}

impl MockInterface {
    pub(crate) fn new(
        kernel: Arc<Kernel>,
        namespace: NamespaceId,
        info: &InterfaceInfo,
        socket: SocketCapabilities,
    ) -> Self {
        Self { kernel, key: LinkKey { namespace, index: info.index }, socket, name: info.name }
    }

    pub(crate) const fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
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

    fn step<T>(&self, operation: Operation, step: impl FnOnce(&mut World) -> kernel::Result<T>) -> Result<T> {
        let mut world = self.kernel.lock();
        let id = world.at(self.key).ok().map(NetDevice::id);
        let outcome = world.apply_fault(operation, id).and_then(|()| step(&mut world));
        outcome.map_err(|reason| reason.of(operation).with_name(self.name))
    }

    /// A question about it. That it is gone is no error of the kernel's, which answers with nothing.
    fn ask<T>(&self, operation: Operation, answer: impl FnOnce(&NetDevice) -> T) -> Result<T> {
        self.step(operation, |world| match world.at(self.key) {
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
        let found = self.step(Operation::ListAddresses, |world| {
            Ok(world.at(self.key).map(NetDevice::addresses).unwrap_or_default())
        })?;
        if found.is_empty() {
            // An interface without addresses looks like one that does not exist.
            self.info().map_err(|error| error.with_operation(Operation::ListAddresses))?;
        }
        Ok(found)
    }

    fn add_address(&self, address: InterfaceAddress) -> Result<bool> {
        if self.has(address, Operation::AddAddress)? {
            return Ok(false);
        }
        let socket = self.socket;
        self.step(Operation::AddAddress, |world| world.add_address(self.key, socket, address))?;
        Ok(true)
    }

    fn remove_address(&self, address: InterfaceAddress) -> Result<()> {
        let there = self.has(address, Operation::RemoveAddress)?;
        self.step(Operation::RemoveAddress, |world| {
            if there {
                world.remove_address(self.key, self.socket, address)
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
        self.step(operation, |world| world.change_state(self.key, self.socket, state))
    }

    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        self.step(Operation::SetMtu, |world| world.change_mtu(self.key, self.socket, mtu))
    }

    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        self.step(Operation::SetMac, |world| world.change_mac(self.key, self.socket, mac))
    }

    fn set_queue_length(&self, packets: u32) -> Result<()> {
        self.step(Operation::SetQueueLength, |world| {
            world.change_queue_length(self.key, self.socket, packets)
        })
    }

    fn rename(&self, name: &InterfaceName) -> Result<()> {
        self.step(Operation::Rename, |world| {
            // As in the Linux backend, which must not rename an interface of another kind.
            world.at(self.key).map_err(|_| Reason::new(Cause::Gone))?;
            world.change_name(self.key, self.socket, *name)
        })
    }

    fn delete(&self) -> Result<()> {
        self.step(Operation::Delete, |world| {
            // As in the Linux backend, which must not delete an interface of another kind.
            world.at(self.key).map_err(|_| Reason::new(Cause::Gone))?;
            world.delete_link(self.key, self.socket)
        })
    }
}

/// The errors of what a handle cannot reach.
pub(crate) fn out_of_reach(operation: Operation, name: InterfaceName) -> Error {
    Reason::new(NO_DEVICE.cause()).of(operation).with_name(name)
}
