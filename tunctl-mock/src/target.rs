//! How a test refers to an interface.

use std::sync::Arc;

use tunctl_core::{Cause, Error, InterfaceName, Operation, Reason, Result, TunDevice};

use crate::kernel::{self, InterfaceId, NO_DEVICE, NamespaceId, NetDevice};
use crate::rig::{SharedWorld, World};
use crate::{MockBackend, MockDevice, MockInterface};

/// How a test refers to an interface: by a device, by an interface handle, or by the name of an interface in
/// the backend's namespace.
///
/// A device refers to its interface wherever that is moved, and whatever it is called. A name is for an
/// interface whose device the program under test has.
pub trait Target {
    #[doc(hidden)]
    fn target_ref(&self) -> TargetRef<'_>;
}

/// A borrowed target of any type.
#[doc(hidden)]
#[derive(Debug)]
pub struct TargetRef<'a>(Kind<'a>);

#[derive(Debug)]
enum Kind<'a> {
    Device(&'a MockDevice),
    Interface(&'a MockInterface),
    Name(&'a [u8]),
}

impl Target for MockDevice {
    fn target_ref(&self) -> TargetRef<'_> {
        TargetRef(Kind::Device(self))
    }
}

impl Target for MockInterface {
    fn target_ref(&self) -> TargetRef<'_> {
        TargetRef(Kind::Interface(self))
    }
}

impl Target for InterfaceName {
    fn target_ref(&self) -> TargetRef<'_> {
        TargetRef(Kind::Name(self.as_bytes()))
    }
}

impl Target for str {
    fn target_ref(&self) -> TargetRef<'_> {
        TargetRef(Kind::Name(self.as_bytes()))
    }
}

impl Target for String {
    fn target_ref(&self) -> TargetRef<'_> {
        self.as_str().target_ref()
    }
}

impl<T: Target + ?Sized> Target for &T {
    fn target_ref(&self) -> TargetRef<'_> {
        (**self).target_ref()
    }
}

impl<T: Target + ?Sized> Target for Arc<T> {
    fn target_ref(&self) -> TargetRef<'_> {
        (**self).target_ref()
    }
}

impl<T: Target + ?Sized> Target for Box<T> {
    fn target_ref(&self) -> TargetRef<'_> {
        (**self).target_ref()
    }
}

impl TargetRef<'_> {
    /// The interface that is meant, if it exists.
    pub(crate) fn resolve(&self, backend: &MockBackend, world: &World) -> Option<InterfaceId> {
        match self.0 {
            Kind::Device(device) => {
                backend.is_same_system(device.world()).then(|| world.kernel().interface_of(device.file()))?
            }
            Kind::Interface(interface) => backend
                .is_same_system(interface.world())
                .then(|| world.kernel().at(interface.key()).ok().map(NetDevice::id))?,
            Kind::Name(name) => {
                let name = InterfaceName::from_kernel(name).ok()?;
                world.kernel().named(backend.namespace, &name).map(NetDevice::id)
            }
        }
    }

    /// The interface that is meant, also if it is deleted.
    pub(crate) fn resolve_remembered(&self, backend: &MockBackend, world: &World) -> Option<InterfaceId> {
        let name_owner =
            |namespace: NamespaceId, name: InterfaceName| world.memory.name_owner(namespace, name);
        self.resolve(backend, world).or_else(|| match self.0 {
            Kind::Device(device) => {
                backend.is_same_system(device.world()).then(|| world.last_interface_of(device.file()))?
            }
            Kind::Interface(interface) => name_owner(interface.key().namespace, interface.last_name()),
            Kind::Name(name) => name_owner(backend.namespace, InterfaceName::from_kernel(name).ok()?),
        })
    }

    fn name(&self) -> Option<InterfaceName> {
        match self.0 {
            Kind::Device(device) => Some(device.interface().last_name()),
            Kind::Interface(interface) => Some(interface.last_name()),
            Kind::Name(name) => InterfaceName::from_kernel(name).ok(),
        }
    }

    fn named(&self, error: Error) -> Error {
        match self.name() {
            Some(name) => error.with_name(name),
            None => error,
        }
    }
}

// Targets are only borrowed while the world is locked: dropping a device closes it, which takes the lock.
impl MockBackend {
    /// Whether a handle belongs to this system.
    pub(crate) fn is_same_system(&self, world: &Arc<SharedWorld>) -> bool {
        Arc::ptr_eq(&self.world, world)
    }

    pub(crate) fn find(
        &self,
        world: &World,
        target: &impl Target,
        operation: Operation,
    ) -> Result<InterfaceId> {
        let target = target.target_ref();
        let found = target.resolve(self, world);
        found.ok_or_else(|| target.named(Reason::new(Cause::NotFound).of(operation)))
    }

    /// A step that the kernel may refuse.
    pub(crate) fn try_with<T>(
        &self,
        target: &impl Target,
        operation: Operation,
        step: impl FnOnce(&mut World, InterfaceId) -> kernel::Result<T>,
    ) -> Result<T> {
        let mut world = self.world.lock();
        let id = self.find(&world, target, operation)?;
        step(&mut world, id).map_err(|reason| target.target_ref().named(reason.of(operation)))
    }

    /// A step that only fails if there is no such interface, which is a mistake of the test.
    #[track_caller]
    pub(crate) fn with<T>(&self, target: &impl Target, step: impl FnOnce(&mut World, InterfaceId) -> T) -> T {
        match self.try_with(target, Operation::Lookup, |world, id| Ok(step(world, id))) {
            Ok(done) => done,
            Err(error) => panic!("the test refers to an interface that does not exist: {error}"),
        }
    }

    /// A question about an interface, also a deleted one.
    #[track_caller]
    pub(crate) fn ask<T>(&self, target: &impl Target, answer: impl FnOnce(&World, &NetDevice) -> T) -> T {
        let target = target.target_ref();
        let world = self.world.lock();
        let device = target.resolve_remembered(self, &world).and_then(|id| world.remembered(id));
        match device.ok_or(NO_DEVICE) {
            Ok(device) => answer(&world, device),
            Err(reason) => {
                let error = target.named(reason.of(Operation::Lookup));
                drop(world);
                panic!("the test refers to an interface that never was: {error}")
            }
        }
    }
}
