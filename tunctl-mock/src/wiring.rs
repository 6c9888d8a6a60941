//! The test's side: cables, switches, impaired wires, and time.

use std::time::Duration;

use tunctl_core::{Cause, Operation, Reason, Result};

use crate::kernel::{InterfaceId, NetDevice};
use crate::rig::World;
use crate::{Direction, Impairment, MockBackend, Target};

/// What stands at the other end of interfaces.
impl MockBackend {
    /// Links two interfaces: what the program sends on one, it receives on the other. A cable between tuns
    /// carries packets, one between taps carries frames. Both are unplugged from what they were plugged into
    /// before. [`unplug`](Self::unplug) gives both back to the system.
    ///
    /// A packet that stands for several arrives whole where the offloads of the interface are for it, as from
    /// one interface of a kernel to another. Elsewhere, and on an [impaired](Self::impair) wire, it is cut.
    ///
    /// # Errors
    ///
    /// `LayerMismatch`; `NotFound`; `InvalidOptions` if both ends are the same interface.
    pub fn cable(&self, one: impl Target, other: impl Target) -> Result<()> {
        let mut world = self.world.lock();
        let first = self.find(&world, &one, Operation::Connect)?;
        let second = self.find(&world, &other, Operation::Connect)?;
        if first == second {
            let reason = Reason::new(Cause::InvalidOptions);
            let reason = reason.with_detail("the ends of a cable must be at two different interfaces");
            return Err(reason.of(Operation::Connect));
        }
        same_layer(&world, &[first, second])?;
        world.wires.plug(first, second);
        Ok(())
    }

    /// Plugs interfaces into a new switch, which learns where each station is, by MAC address on taps and by
    /// IP address on tuns. A packet to a station that was never heard leaves by all other ports.
    ///
    /// # Errors
    ///
    /// `LayerMismatch`: all must be taps, or all tuns. `NotFound`.
    pub fn switch<T: Target>(&self, ports: impl IntoIterator<Item = T>) -> Result<()> {
        let ports: Vec<T> = ports.into_iter().collect();
        let mut world = self.world.lock();
        let found: Result<Vec<_>> =
            ports.iter().map(|port| self.find(&world, port, Operation::Connect)).collect();
        let found = found?;
        same_layer(&world, &found)?;
        let switch = world.wires.new_switch();
        for port in found {
            world.wires.plug_into(switch, port);
        }
        Ok(())
    }

    /// Unplugs an interface from its cable or switch: the system receives what it sends again.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn unplug(&self, which: impl Target) {
        self.with(&which, |world, id| world.wires.unplug(id));
    }

    /// Impairs a wire in one direction; see [`Impairment`]. Packets that an impairment before it held back
    /// arrive.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn impair(&self, which: impl Target, direction: Direction, plan: Impairment) {
        self.with(&which, |world, id| world.impair(id, direction, Some(plan)));
    }

    /// Makes the wire perfect again. Packets that it held back arrive.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn repair(&self, which: impl Target, direction: Direction) {
        self.with(&which, |world, id| world.impair(id, direction, None));
    }

    /// Lets time pass. Delayed packets arrive when they are due; packets that are held back set out; and the
    /// system forgets a flow in which the program has not sent for three to four seconds, so that its packets
    /// may go to another of several queues.
    pub fn advance(&self, by: Duration) {
        self.world.lock().advance(by);
    }

    /// How much time has passed.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world.lock().wires.now()
    }

    /// Starts to record what impaired wires do, for [`trace`](Self::trace).
    pub fn record_trace(&self) {
        self.world.lock().wires.record();
    }

    /// What impaired wires did to each packet since [`record_trace`](Self::record_trace), one line for each.
    /// The same seeds and packets give the same text.
    #[must_use]
    pub fn trace(&self) -> String {
        self.world.lock().wires.trace()
    }
}

fn same_layer(world: &World, interfaces: &[InterfaceId]) -> Result<()> {
    let mut layers = interfaces.iter().filter_map(|&id| world.kernel().device(id)).map(NetDevice::layer);
    let first = layers.next();
    if layers.all(|layer| Some(layer) == first) {
        return Ok(());
    }
    let reason = Reason::new(Cause::LayerMismatch);
    Err(reason.with_detail("a wire carries IP packets or Ethernet frames, not both").of(Operation::Connect))
}
