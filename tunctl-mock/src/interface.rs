//! The interface: a handle by index, in the namespace where it was found.

use std::ffi::{CStr, CString};
use std::sync::{Arc, Weak};

use tunctl_core::{
    Cause, Changes, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Layer,
    MacAddress, Mtu, Operation, Reason, Result, State, Statistics,
};

use crate::kernel::{self, DETACHED, FileId, Kernel, LinkKey, NamespaceId, NetDevice};
use crate::rig::SharedWorld;
use crate::{Errno, MockBackend};

/// An interface of a [`MockBackend`](crate::MockBackend): a handle by index, in the namespace where it was
/// found.
#[derive(Clone, Debug)]
pub struct MockInterface {
    world: Arc<SharedWorld>,
    key: LinkKey,
    layer: Layer,
    /// The name when the handle was made, for errors.
    name: InterfaceName,
    /// The descriptor of the device that lent this handle, as long as it is open.
    descriptor: Weak<FileId>,
    /// Why it is not known which interface it is. The index is then that of none.
    unknown: Option<Arc<Reason>>,
}

impl MockInterface {
    pub(crate) fn new(world: Arc<SharedWorld>, namespace: NamespaceId, info: &InterfaceInfo) -> Self {
        let key = LinkKey { namespace, index: info.index };
        let descriptor = Weak::new();
        Self { world, key, layer: info.layer, name: info.name, descriptor, unknown: None }
    }

    /// The interface of an adopted device, which cannot be reached for this reason.
    pub(crate) fn unknown(
        world: Arc<SharedWorld>,
        namespace: NamespaceId,
        info: &InterfaceInfo,
        reason: Reason,
    ) -> Self {
        let key = LinkKey { namespace, index: InterfaceIndex::UNKNOWN };
        Self { key, unknown: Some(Arc::new(reason)), ..Self::new(world, namespace, info) }
    }

    /// The same interface, as the one that this descriptor is attached to.
    pub(crate) fn of_device(self, descriptor: &Arc<FileId>) -> Self {
        Self { descriptor: Arc::downgrade(descriptor), ..self }
    }

    /// Moves the interface to another namespace of its system: see
    /// [`Namespaces::move_to`](tunctl_core::Namespaces::move_to).
    ///
    /// # Errors
    ///
    /// `Gone`; `Exists` if the other namespace has an interface of that name; `MissingCapability`.
    ///
    /// # Panics
    ///
    /// `namespace` belongs to another system.
    #[track_caller]
    pub fn move_to(&self, namespace: &MockBackend) -> Result<()> {
        assert!(namespace.is_same_system(&self.world), "an interface can move within one system only");
        let to = namespace.namespace;
        self.step(Operation::Move, |kernel| {
            self.ours(kernel)?;
            if to == self.key.namespace {
                return Ok(());
            }
            kernel.change_namespace(self.key, to)
        })
    }

    pub(crate) const fn world(&self) -> &Arc<SharedWorld> {
        &self.world
    }

    pub(crate) const fn key(&self) -> LinkKey {
        self.key
    }

    pub(crate) const fn last_name(&self) -> InterfaceName {
        self.name
    }

    fn step<T>(
        &self,
        operation: Operation,
        rule: impl FnOnce(&mut Kernel) -> kernel::Result<T>,
    ) -> Result<T> {
        if let Some(reason) = &self.unknown {
            return Err(Reason::clone(reason).of(operation).with_name(self.name));
        }
        let mut world = self.world.lock();
        let id = world.kernel().at(self.key).ok().map(NetDevice::id);
        let outcome = world.apply_fault(operation, id).and_then(|()| world.step(rule));
        outcome.map_err(|reason| reason.of(operation).with_name(self.name))
    }

    /// The interface, if it is still the same one, as far as the Linux backend can tell: it asks the
    /// descriptor first, then netlink.
    pub(crate) fn ours<'a>(&self, kernel: &'a Kernel) -> kernel::Result<&'a NetDevice> {
        // The caller holds the world's lock, which closing a descriptor takes: so the number is still its
        // own.
        let attached = match self.descriptor.upgrade() {
            Some(file) => Some(kernel.interface_of(*file).ok_or(DETACHED)?),
            None => None,
        };
        let device = kernel.at(self.key)?;
        let is_ours = device.layer() == self.layer && attached.is_none_or(|id| id == device.id());
        // Nothing has failed that would have an errno.
        if is_ours { Ok(device) } else { Err(Reason::new(Cause::Gone)) }
    }

    /// Asks something about the interface.
    fn ask<T>(&self, operation: Operation, answer: impl FnOnce(&NetDevice) -> T) -> Result<T> {
        self.step(operation, |kernel| self.ours(kernel).map(answer))
    }

    /// Changes a property, if the interface is still the same one and the property is not so already: that
    /// takes no right.
    fn change(
        &self,
        operation: Operation,
        is_so: impl FnOnce(&InterfaceInfo) -> bool,
        rule: impl FnOnce(&mut Kernel) -> kernel::Result<()>,
    ) -> Result<()> {
        self.step(operation, |kernel| if is_so(&self.ours(kernel)?.info()) { Ok(()) } else { rule(kernel) })
    }

    fn has(&self, address: InterfaceAddress, operation: Operation) -> Result<bool> {
        let present = self.addresses().map_err(|error| error.with_operation(operation))?;
        Ok(present.iter().any(|present| present.same_as(&address)))
    }
}

impl MockInterface {
    /// One request for MTU, queue length and state, of which the first refusal ends it (`do_setlink`).
    fn change_link(&self, kernel: &mut Kernel, changes: &Changes) -> kernel::Result {
        if let Some(mtu) = changes.mtu {
            kernel.change_mtu(self.key, mtu)?;
        }
        if let Some(packets) = changes.queue_length {
            kernel.change_queue_length(self.key, packets)?;
        }
        changes.state.map_or(Ok(()), |state| kernel.change_state(self.key, state))
    }
}

impl Interface for MockInterface {
    fn index(&self) -> InterfaceIndex {
        self.key.index
    }

    fn info(&self) -> Result<InterfaceInfo> {
        let is_attached = self.descriptor.strong_count() > 0;
        self.ask(Operation::Inspect, |device| {
            let mut info = device.info();
            // A single queue that the kernel does not count is this one's.
            info.queues = info.queues.or(is_attached.then_some(1));
            info
        })
    }

    fn statistics(&self) -> Result<Statistics> {
        self.ask(Operation::ReadStatistics, NetDevice::statistics)
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        self.ask(Operation::ListAddresses, NetDevice::addresses)
    }

    fn add_address(&self, address: InterfaceAddress) -> Result<bool> {
        if self.has(address, Operation::AddAddress)? {
            return Ok(false);
        }
        self.step(Operation::AddAddress, |kernel| kernel.add_address(self.key, address))?;
        Ok(true)
    }

    /// The mock detects no duplicates: an address is there at once.
    fn add_address_without_dad(&self, address: InterfaceAddress) -> Result<bool> {
        self.add_address(address)
    }

    /// As the kernel does it with several requests in a datagram: each is carried out, whatever became of
    /// those before it (`netlink_rcv_skb`, Linux 6.18). A scripted fault wants its own operation.
    fn change_together(&self, changes: &Changes) -> bool {
        if !self.world.lock().faults.is_empty() {
            return false;
        }
        let made = self.step(Operation::Configure, |kernel| {
            self.ours(kernel)?;
            let mut made = self.change_link(kernel, changes);
            for &address in &changes.addresses {
                made = made.and(kernel.add_address(self.key, address).map(drop));
            }
            made
        });
        made.is_ok()
    }

    fn remove_address(&self, address: InterfaceAddress) -> Result<()> {
        let there = self.has(address, Operation::RemoveAddress)?;
        self.step(Operation::RemoveAddress, |kernel| {
            if there {
                kernel.remove_address(self.key, address)
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
        self.change(operation, |info| info.state == state, |kernel| kernel.change_state(self.key, state))
    }

    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        self.change(Operation::SetMtu, |info| info.mtu == mtu, |kernel| kernel.change_mtu(self.key, mtu))
    }

    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        self.change(
            Operation::SetMac,
            |info| info.mac == Some(mac),
            |kernel| match self.descriptor.upgrade() {
                Some(file) => kernel.set_mac(*file, mac),
                None => kernel.change_mac(self.key, mac),
            },
        )
    }

    fn set_queue_length(&self, packets: u32) -> Result<()> {
        self.change(
            Operation::SetQueueLength,
            |info| info.queue_length == Some(packets),
            |kernel| kernel.change_queue_length(self.key, packets),
        )
    }

    fn set_carrier(&self, on: bool) -> Result<()> {
        self.change(
            Operation::SetCarrier,
            |info| info.carrier == Some(on),
            |kernel| match self.descriptor.upgrade() {
                Some(file) => kernel.set_carrier_of(*file, on),
                None => kernel.change_carrier(self.key, on),
            },
        )
    }

    fn description(&self) -> Result<CString> {
        self.ask(Operation::Describe, NetDevice::description)
    }

    fn set_description(&self, description: &CStr) -> Result<()> {
        self.step(Operation::Describe, |kernel| {
            let is_so = self.ours(kernel)?.description().as_c_str() == description;
            if is_so { Ok(()) } else { kernel.change_description(self.key, description) }
        })
    }

    fn rename(&self, name: &InterfaceName) -> Result<()> {
        self.change(
            Operation::Rename,
            |info| info.name == *name,
            |kernel| kernel.change_name(self.key, *name),
        )
    }

    fn delete(&self) -> Result<()> {
        self.change(Operation::Delete, |_| false, |kernel| kernel.delete_link(self.key))
    }
}
