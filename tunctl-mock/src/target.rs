//! Whom the test means.

use std::sync::Arc;

use tunctl_core::{Cause, Error, InterfaceName, Operation, Reason, Result, TunDevice};

use crate::kernel::{self, InterfaceId, Kernel, NO_DEVICE, NamespaceId, NetDevice, World};
use crate::{MockBackend, MockDevice, MockInterface};

/// Whom the test means: a device, an interface, or the name that an interface has in the backend's namespace.
///
/// A device means its interface wherever that was moved, and under whatever name. By a name the test can ask for an
/// interface whose device the program under test has.
pub trait Target {
    #[doc(hidden)]
    fn whom(&self) -> Whom<'_>;
}

/// A target, whatever it was.
#[doc(hidden)]
#[derive(Debug)]
pub struct Whom<'a>(Which<'a>);

#[derive(Debug)]
enum Which<'a> {
    Device(&'a MockDevice),
    Interface(&'a MockInterface),
    Name(&'a [u8]),
}

impl Target for MockDevice {
    fn whom(&self) -> Whom<'_> {
        Whom(Which::Device(self))
    }
}

impl Target for MockInterface {
    fn whom(&self) -> Whom<'_> {
        Whom(Which::Interface(self))
    }
}

impl Target for InterfaceName {
    fn whom(&self) -> Whom<'_> {
        Whom(Which::Name(self.as_bytes()))
    }
}

impl Target for str {
    fn whom(&self) -> Whom<'_> {
        Whom(Which::Name(self.as_bytes()))
    }
}

impl Target for String {
    fn whom(&self) -> Whom<'_> {
        self.as_str().whom()
    }
}

impl<T: Target + ?Sized> Target for &T {
    fn whom(&self) -> Whom<'_> {
        (**self).whom()
    }
}

impl<T: Target + ?Sized> Target for Arc<T> {
    fn whom(&self) -> Whom<'_> {
        (**self).whom()
    }
}

impl<T: Target + ?Sized> Target for Box<T> {
    fn whom(&self) -> Whom<'_> {
        (**self).whom()
    }
}

impl Whom<'_> {
    /// What was meant, if it is there.
    pub(crate) fn resolve(&self, backend: &MockBackend, world: &World) -> Option<InterfaceId> {
        match self.0 {
            Which::Device(device) => {
                backend.same(device.kernel()).then(|| world.interface_of(device.file()))?
            }
            Which::Interface(interface) => backend
                .same(interface.kernel())
                .then(|| world.at(interface.place()).ok().map(NetDevice::id))?,
            Which::Name(name) => {
                let name = InterfaceName::from_kernel(name).ok()?;
                world.named(backend.namespace, &name).map(NetDevice::id)
            }
        }
    }

    /// What was meant, also if it is deleted.
    pub(crate) fn remember(&self, backend: &MockBackend, world: &World) -> Option<InterfaceId> {
        let bearer = |namespace: NamespaceId, name: InterfaceName| world.bearer(namespace, name);
        self.resolve(backend, world).or_else(|| match self.0 {
            Which::Device(device) => {
                backend.same(device.kernel()).then(|| world.last_interface_of(device.file()))?
            }
            Which::Interface(interface) => bearer(interface.place().namespace, interface.last_name()),
            Which::Name(name) => bearer(backend.namespace, InterfaceName::from_kernel(name).ok()?),
        })
    }

    fn name(&self) -> Option<InterfaceName> {
        match self.0 {
            Which::Device(device) => Some(device.interface().last_name()),
            Which::Interface(interface) => Some(interface.last_name()),
            Which::Name(name) => InterfaceName::from_kernel(name).ok(),
        }
    }

    fn named(&self, error: Error) -> Error {
        match self.name() {
            Some(name) => error.with_name(name),
            None => error,
        }
    }
}

// Targets are borrowed while the kernel is locked: to drop a device is to close it, which takes the lock.
impl MockBackend {
    /// Whether a handle is of this system.
    pub(crate) fn same(&self, kernel: &Arc<Kernel>) -> bool {
        Arc::ptr_eq(&self.kernel, kernel)
    }

    pub(crate) fn find(
        &self,
        world: &World,
        target: &impl Target,
        operation: Operation,
    ) -> Result<InterfaceId> {
        let whom = target.whom();
        let found = whom.resolve(self, world);
        found.ok_or_else(|| whom.named(Reason::new(Cause::NotFound).of(operation)))
    }

    /// Something that the kernel may refuse.
    pub(crate) fn try_with<T>(
        &self,
        target: &impl Target,
        operation: Operation,
        step: impl FnOnce(&mut World, InterfaceId) -> kernel::Result<T>,
    ) -> Result<T> {
        let mut world = self.kernel.enter();
        let id = self.find(&world, target, operation)?;
        step(&mut world, id).map_err(|reason| target.whom().named(reason.of(operation)))
    }

    /// Something that only fails if there is no such interface.
    #[track_caller]
    pub(crate) fn with<T>(&self, target: &impl Target, step: impl FnOnce(&mut World, InterfaceId) -> T) -> T {
        match self.try_with(target, Operation::Lookup, |world, id| Ok(step(world, id))) {
            Ok(done) => done,
            Err(error) => panic!("the test means an interface that is not there: {error}"),
        }
    }

    /// A question, also about an interface that is deleted.
    #[track_caller]
    pub(crate) fn ask<T>(&self, target: &impl Target, answer: impl FnOnce(&World, &NetDevice) -> T) -> T {
        let whom = target.whom();
        let world = self.kernel.enter();
        let device = whom.remember(self, &world).and_then(|id| world.remembered(id));
        match device.ok_or(NO_DEVICE) {
            Ok(device) => answer(&world, device),
            Err(reason) => {
                let error = whom.named(reason.of(Operation::Lookup));
                drop(world);
                panic!("the test means an interface that never was: {error}")
            }
        }
    }
}
