//! The mock as a harness of the conformance suite: for the tests of this crate, and for the comparison with a
//! kernel.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tunctl_conformance::{DeviceOf, Harness, Observation, PollState, Profile};
use tunctl_core::{
    Adopt, AdoptError, CreateFlags, Error, EventWatcher, Events, Filters, InterfaceAddress, InterfaceIndex,
    InterfaceInfo, InterfaceName, Layer, MacFilter, Namespaces, Offloads, Operation, Queues, State,
    Statistics, TunBackend, TunDevice,
};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::{VnetFormat, VnetHeader};

use crate::kernel::{self, AttachRequest, Attached, InterfaceId, NetDevice};
use crate::{Caller, Delivery, Errno, KernelProfile, MockBackend, MockDevice, MockInterface};

/// A system in memory, and another namespace of it.
#[derive(Debug)]
pub struct MockHarness {
    backend: MockBackend,
    elsewhere: MockBackend,
}

impl MockHarness {
    /// A new system like this kernel.
    #[must_use]
    pub fn new(profile: KernelProfile) -> Self {
        let backend = MockBackend::with_profile(profile);
        let elsewhere = backend.new_namespace();
        Self { backend, elsewhere }
    }
}

impl Default for MockHarness {
    fn default() -> Self {
        Self::new(KernelProfile::default())
    }
}

/// It follows the interface by its identity, whatever it is called.
struct Received {
    backend: MockBackend,
    id: InterfaceId,
}

impl Observation for Received {
    fn take(&mut self) -> Option<Vec<u8>> {
        self.backend.world.lock().memory.take_large(self.id).map(|packet| packet.bytes)
    }
}

fn report(backend: &MockBackend, name: &InterfaceName) -> Option<InterfaceInfo> {
    backend.world.lock().kernel().named(backend.namespace, name).map(NetDevice::info)
}

impl Harness for MockHarness {
    type Backend = MockBackend;

    fn backend(&self) -> &MockBackend {
        &self.backend
    }

    fn profile(&self) -> Profile {
        self.backend.profile().conformance()
    }

    fn report(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        report(&self.backend, name)
    }

    fn reported_addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress> {
        let world = self.backend.world.lock();
        world.kernel().named(self.backend.namespace, name).map(NetDevice::addresses).unwrap_or_default()
    }

    fn dropped(&self, name: &InterfaceName) -> u64 {
        self.backend.dropped(*name)
    }

    fn statistics(&self, name: &InterfaceName) -> Option<Statistics> {
        let world = self.backend.world.lock();
        world.kernel().named(self.backend.namespace, name).map(NetDevice::statistics)
    }

    fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool {
        self.backend.inject(*name, packet) == Delivery::Queued
    }

    fn inject_large(&self, name: &InterfaceName, header: &VnetHeader, packet: &[u8]) -> bool {
        self.backend.inject_large(*name, header, packet);
        true
    }

    fn observe(&self, name: &InterfaceName) -> Box<dyn Observation> {
        drop(self.backend.packets(*name));
        let found = self.backend.world.lock().kernel().named(self.backend.namespace, name).map(NetDevice::id);
        let Some(id) = found else { panic!("there is no {name} to observe") };
        Box::new(Received { backend: self.backend.clone(), id })
    }

    fn delete(&self, name: &InterfaceName) {
        self.backend.delete(*name);
    }

    fn make_with_index(&self, name: &InterfaceName, index: InterfaceIndex) -> bool {
        let mut world = self.backend.world.lock();
        let made: kernel::Result = world.step(|kernel| {
            let Attached { file, .. } = kernel.set_iff(&AttachRequest {
                namespace: self.backend.namespace,
                name: Some(name.as_bytes()),
                index: Some(index),
                flags: CreateFlags::TAP | CreateFlags::NO_PI | CreateFlags::TUN_EXCL,
                layer: Layer::Tap,
            })?;
            kernel.set_persist(file, true)?;
            kernel.close(file);
            Ok(())
        });
        if let Err(reason) = made {
            panic!("{}", reason.of(Operation::Create));
        }
        true
    }

    fn rename(&self, from: &InterfaceName, to: &InterfaceName) -> bool {
        match self.backend.rename(*from, *to) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY.number()) => false,
            Err(error) => panic!("{error}"),
        }
    }

    fn move_to_namespace(&self, name: &InterfaceName) {
        if let Err(error) = self.backend.move_to_namespace(*name, &self.elsewhere) {
            panic!("{error}");
        }
    }

    fn report_elsewhere(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        report(&self.elsewhere, name)
    }

    fn backend_elsewhere(&self) -> Option<tunctl_core::Result<MockBackend>> {
        Some(self.backend.in_namespace(&self.elsewhere))
    }

    fn move_by_handle(&self, interface: &MockInterface) -> Option<tunctl_core::Result<()>> {
        Some(self.backend.move_to(interface, &self.elsewhere))
    }

    fn set_up(&self, name: &InterfaceName, up: bool) {
        self.backend.set_state(*name, if up { State::Up } else { State::Down });
    }

    fn set_carrier(&self, name: &InterfaceName, on: bool) -> Option<bool> {
        Some(self.backend.set_carrier(*name, on).is_ok())
    }

    fn as_caller(&self, uid: u32, gid: u32, capable: bool, work: &mut dyn FnMut()) {
        self.backend.as_caller(Caller::user(uid, gid).capable(capable), work);
    }

    fn look_for_routers(&self, name: &InterfaceName) -> bool {
        self.backend.set_state(*name, State::Up);
        self.backend.solicit_routers(*name);
        true
    }

    fn pass_time(&self, duration: Duration) {
        self.backend.advance(duration);
    }

    fn poll_state(&self, device: &MockDevice) -> PollState {
        device.poll_state()
    }

    fn other_interface(&self) -> InterfaceName {
        match InterfaceName::new(kernel::LOOPBACK) {
            Ok(name) => name,
            Err(invalid) => panic!("{invalid}"),
        }
    }

    fn set_filter(&self, device: &MockDevice, program: Option<&Program>) -> Option<tunctl_core::Result<()>> {
        Some(match program {
            Some(program) => device.attach_filter(program),
            None => device.detach_filter(),
        })
    }

    fn set_mac_filter(
        &self,
        device: &MockDevice,
        filter: Option<&MacFilter>,
    ) -> Option<tunctl_core::Result<()>> {
        Some(device.set_mac_filter(filter))
    }

    fn set_queue(&self, device: &MockDevice, attached: bool) -> Option<tunctl_core::Result<()>> {
        Some(if attached { device.attach_queue() } else { device.detach_queue() })
    }

    fn events(&self, of: Option<&MockInterface>) -> Option<tunctl_core::Result<Box<dyn EventWatcher>>> {
        let watcher = match of {
            Some(interface) => interface.events(),
            None => self.backend.events(),
        };
        Some(watcher.map(|watcher| Box::new(watcher) as Box<dyn EventWatcher>))
    }

    fn hand_over(&self, device: DeviceOf<Self>) -> Option<OwnedFd> {
        Some(device.into())
    }

    fn adopt(&self, fd: OwnedFd) -> Option<Result<DeviceOf<Self>, AdoptError>> {
        Some(self.backend.adopt(fd))
    }

    fn attempt(&self, operation: Operation) -> Option<Result<(), Error>> {
        match operation {
            Operation::SetOffloads | Operation::SetVnetFormat => {
                let options = tunctl_core::CreateOptions::tun().vnet_header(true);
                let device = self.backend.create(&options);
                Some(device.and_then(|mut device| match operation {
                    Operation::SetOffloads => device.set_offloads(Offloads::NONE),
                    _ => device.set_vnet_format(VnetFormat::default()),
                }))
            }
            Operation::Namespace => Some(self.backend.make_namespace().map(drop)),
            Operation::Move => {
                let device = self.backend.create(&tunctl_core::CreateOptions::tun());
                Some(device.and_then(|device| self.backend.move_to(device.interface(), &self.elsewhere)))
            }
            _ => None,
        }
    }
}
