//! The test's side: it plays the system, and whoever is at the other end of the wire.

use std::sync::Arc;
use std::time::Duration;

use tunctl_core::{Cause, InterfaceName, Operation, Result, State, TunDevice};

use crate::kernel::{Delivery, InterfaceId, Kernel, NamespaceId, NetDevice, World};
use crate::refusal::{Answer, NO_DEVICE, Refusal};
use crate::{Caller, Fault, Impairment, KernelProfile, MockBackend, MockDevice, MockInterface, Way};

/// Whom the test means: a device, an interface, or the name that an interface has in the backend's namespace.
///
/// A device means its interface wherever that was moved, and under whatever name.
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

impl Whom<'_> {
    /// Where it was, and what it was called, if it is not there any more.
    fn last_known(&self, backend: &MockBackend) -> Option<(NamespaceId, InterfaceName)> {
        let handle = |interface: &MockInterface| (interface.place().namespace, interface.last_name());
        match self.0 {
            Which::Device(device) => Some(handle(device.interface())),
            Which::Interface(interface) => Some(handle(interface)),
            Which::Name(name) => Some((backend.namespace, InterfaceName::from_kernel(name).ok()?)),
        }
    }

    /// What was meant, if it is there.
    fn resolve(&self, backend: &MockBackend, world: &World) -> Option<InterfaceId> {
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
}

/// The system's side.
///
/// What cannot be done because there is no such interface panics, since the test means one that it knows to be there;
/// only [`inject`](Self::inject) says so in what it returns.
impl MockBackend {
    /// The system sends a packet out of an interface: it waits in a queue for the program to receive it, unless the system
    /// would not send it, or has to drop it. On a tun an IP packet, on a tap an Ethernet frame; the headers that the device
    /// was created with come on top.
    pub fn inject(&self, to: impl Target, packet: impl AsRef<[u8]>) -> Delivery {
        let mut world = self.kernel.enter();
        match to.whom().resolve(self, &world) {
            Some(id) => world.carry(id, packet.as_ref().to_vec()),
            None => Delivery::Refused,
        }
    }

    /// Takes the oldest packet that the system has received from the program, without headers in front; `None` if there is
    /// none. Up to 65,536 wait for each interface; see [`missed`](Self::missed). Those of an interface that is deleted can be
    /// taken until another gets its name.
    #[must_use]
    pub fn take(&self, from: impl Target) -> Option<Vec<u8>> {
        let mut world = self.kernel.enter();
        let whom = from.whom();
        match whom.resolve(self, &world) {
            Some(id) => world.device_mut(id)?.take_received(),
            None => {
                let (namespace, name) = whom.last_known(self)?;
                world.take_remains(namespace, name)
            }
        }
    }

    /// Takes all packets that the system has received from the program.
    #[must_use]
    pub fn packets(&self, from: impl Target) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| self.take(&from)).collect()
    }

    /// How many packets the system received and nobody took in time.
    #[must_use]
    pub fn missed(&self, from: impl Target) -> u64 {
        self.ask(from, NetDevice::missed)
    }

    /// How many packets the system dropped on the way to the program: the queue was full, or none was in service.
    #[doc(alias = "tx_dropped")]
    #[must_use]
    pub fn dropped(&self, on: impl Target) -> u64 {
        self.ask(on, NetDevice::dropped)
    }

    /// How many packets got lost on a wire of this interface: an impairment lost them, or they came from another end and
    /// the interface was down.
    #[must_use]
    pub fn lost(&self, on: impl Target) -> u64 {
        self.with(on, |world, id| Ok(world.wires.lost(id)))
    }

    /// Another program deletes the interface.
    pub fn delete(&self, which: impl Target) {
        self.with(which, |world, id| {
            world.unregister(id);
            Ok(())
        });
    }

    /// Another program renames the interface.
    ///
    /// # Errors
    ///
    /// As the kernel answers that program: `Exists`, `InvalidName`; `Other`, with `EBUSY`, if it is up and the kernel does
    /// not permit that.
    pub fn rename(&self, which: impl Target, to: InterfaceName) -> Result<()> {
        self.try_with(which, |world, id| {
            let place = world.device(id).ok_or(NO_DEVICE)?.place();
            world.rename(place, to)
        })
    }

    /// Another program moves the interface to another namespace of this system.
    ///
    /// # Errors
    ///
    /// `Exists`, if its name is taken there.
    ///
    /// # Panics
    ///
    /// `namespace` is of another system.
    pub fn move_to_namespace(&self, which: impl Target, namespace: &Self) -> Result<()> {
        assert!(self.same(&namespace.kernel), "an interface can move within one system only");
        self.try_with(which, |world, id| {
            let place = world.device(id).ok_or(NO_DEVICE)?.place();
            world.move_to(place, namespace.namespace)
        })
    }

    /// Another program switches the interface on or off.
    pub fn set_state(&self, of: impl Target, state: State) {
        self.with(of, |world, id| {
            world.set_state(id, state);
            Ok(())
        });
    }

    /// Sets how many packets a queue of the interface holds; at first 500 on a tun, 1000 on a tap. Packets
    /// that wait and have no room any more are gone.
    #[doc(alias = "txqueuelen")]
    pub fn set_queue_length(&self, of: impl Target, packets: usize) {
        self.with(of, |world, id| world.set_queue_length(id, packets));
    }

    /// A new network namespace of this system: a backend that makes and finds interfaces there.
    #[must_use]
    pub fn new_namespace(&self) -> Self {
        let namespace: NamespaceId = self.kernel.enter().new_namespace();
        Self { kernel: self.kernel.clone(), namespace }
    }

    /// Switches IPv6 on or off in this namespace; off, interfaces lose their IPv6 addresses, and get no new ones.
    #[doc(alias = "disable_ipv6")]
    pub fn set_ipv6(&self, on: bool) {
        self.kernel.enter().set_ipv6(self.namespace, on);
    }

    /// From now on, whom the system takes the program for: all of it, whichever handle it uses.
    pub fn set_caller(&self, caller: Caller) {
        self.kernel.enter().caller = caller;
    }

    /// Does something as somebody else, and then is who it was.
    pub fn as_caller<T>(&self, caller: Caller, work: impl FnOnce() -> T) -> T {
        struct Restore<'a>(&'a MockBackend, Caller);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                self.0.set_caller(self.1.clone());
            }
        }
        let before = std::mem::replace(&mut self.kernel.enter().caller, caller);
        let _restore = Restore(self, before);
        work()
    }

    /// In what the kernel differs from others.
    #[must_use]
    pub fn profile(&self) -> KernelProfile {
        self.kernel.enter().profile
    }

    /// Lets something go wrong; see [`Fault`].
    pub fn script(&self, fault: Fault) {
        self.kernel.enter().faults.add(fault);
    }

    /// Makes a wire treat packets badly, in one direction; see [`Impairment`].
    pub fn impair(&self, which: impl Target, way: Way, plan: Impairment) {
        self.with(which, |world, id| {
            world.impair(id, way, Some(plan));
            Ok(())
        });
    }

    /// Makes the wire perfect again; what it held back arrives.
    pub fn repair(&self, which: impl Target, way: Way) {
        self.with(which, |world, id| {
            world.impair(id, way, None);
            Ok(())
        });
    }

    /// Lets time pass on the wires: packets that are late arrive when they are due, those that were held back at once.
    pub fn advance(&self, by: Duration) {
        self.kernel.enter().advance(by);
    }

    /// How much time has passed on the wires.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.kernel.enter().wires.now()
    }

    /// From now on, [`trace`](Self::trace) tells what the wires do.
    pub fn record_trace(&self) {
        self.kernel.enter().wires.record();
    }

    /// What impaired wires did to each packet, a line each. With the same seeds and packets it is the same text.
    #[must_use]
    pub fn trace(&self) -> String {
        self.kernel.enter().wires.trace()
    }

    /// Links two interfaces: what the program sends on one, it receives on the other. A tun cable carries packets, a tap
    /// cable frames. What was plugged in before is unplugged; [`unplug`](Self::unplug) gives both back to the system.
    ///
    /// # Errors
    ///
    /// `LayerMismatch`.
    pub fn cable(&self, one: impl Target, other: impl Target) -> Result<()> {
        let mut world = self.kernel.enter();
        let (one, other) = (self.find(&world, one), self.find(&world, other));
        let (one, other) = (one?, other?);
        same_layer(&world, &[one, other])?;
        world.wires.plug(one, other);
        Ok(())
    }

    /// Plugs interfaces into a new switch, which learns where each station is: by MAC address on taps, by IP address on
    /// tuns. What goes to a station that was never heard comes out everywhere else.
    ///
    /// # Errors
    ///
    /// `LayerMismatch`: all must be taps, or all tuns.
    pub fn switch<T: Target>(&self, ports: impl IntoIterator<Item = T>) -> Result<()> {
        let mut world = self.kernel.enter();
        let found: Result<Vec<_>> = ports.into_iter().map(|port| self.find(&world, port)).collect();
        let found = found?;
        same_layer(&world, &found)?;
        let switch = world.wires.new_switch();
        for port in found {
            world.wires.plug_into(switch, port);
        }
        Ok(())
    }

    /// Unplugs an interface from its cable or switch: the system receives what it sends, as at first.
    pub fn unplug(&self, which: impl Target) {
        self.with(which, |world, id| {
            world.wires.unplug(id);
            Ok(())
        });
    }

    /// The system sends a router solicitation out of the interface, as Linux does on its own after `up` where IPv6 is on:
    /// a program must expect packets that nobody asked for. Only a tun's; on a tap it has an Ethernet header in front.
    pub fn solicit_routers(&self, on: impl Target) -> Delivery {
        let mut world = self.kernel.enter();
        match on.whom().resolve(self, &world) {
            Some(id) => {
                let packet = crate::solicitation::router_solicitation(world.device(id).map(NetDevice::layer));
                world.carry(id, packet)
            }
            None => Delivery::Refused,
        }
    }

    /// Whether a handle is of this system.
    fn same(&self, kernel: &Arc<Kernel>) -> bool {
        Arc::ptr_eq(&self.kernel, kernel)
    }

    fn find(&self, world: &World, target: impl Target) -> Result<InterfaceId> {
        target
            .whom()
            .resolve(self, world)
            .ok_or_else(|| Refusal::without_errno(Cause::NotFound).into_error(Operation::Lookup))
    }

    fn try_with<T>(
        &self,
        target: impl Target,
        step: impl FnOnce(&mut World, InterfaceId) -> Answer<T>,
    ) -> Result<T> {
        let mut world = self.kernel.enter();
        let id = self.find(&world, target)?;
        step(&mut world, id).map_err(|refusal| refusal.into_error(Operation::Inspect))
    }

    #[track_caller]
    fn with<T>(&self, target: impl Target, step: impl FnOnce(&mut World, InterfaceId) -> Answer<T>) -> T {
        self.try_with(target, step)
            .unwrap_or_else(|error| panic!("the mock was asked for what is not there: {error}"))
    }

    #[track_caller]
    fn ask<T>(&self, target: impl Target, answer: impl FnOnce(&NetDevice) -> T) -> T {
        self.with(target, |world, id| world.device(id).map(answer).ok_or(NO_DEVICE))
    }
}

fn same_layer(world: &World, interfaces: &[InterfaceId]) -> Result<()> {
    let mut layers = interfaces.iter().filter_map(|&id| world.device(id)).map(NetDevice::layer);
    let first = layers.next();
    if layers.all(|layer| Some(layer) == first) {
        return Ok(());
    }
    let refusal = Refusal::without_errno(Cause::LayerMismatch);
    Err(refusal
        .because("a wire carries IP packets or Ethernet frames, not both")
        .into_error(Operation::Inspect))
}
