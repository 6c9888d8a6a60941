//! The test's side: cables, switches, bad wires, and time.

use std::time::Duration;

use tunctl_core::{Cause, Operation, Reason, Result};

use crate::kernel::{InterfaceId, NetDevice};
use crate::rig::World;
use crate::{Direction, Impairment, MockBackend, Target};

/// What stands at the other end.
impl MockBackend {
    /// Links two interfaces: what the program sends on one, it receives on the other. A tun cable carries packets, a tap
    /// cable frames. What was plugged in before is unplugged; [`unplug`](Self::unplug) gives both back to the system.
    ///
    /// # Errors
    ///
    /// `LayerMismatch`; `NotFound`; `InvalidOptions` for the two ends of one cable at the same interface.
    pub fn cable(&self, one: impl Target, other: impl Target) -> Result<()> {
        let mut world = self.world.lock();
        let first = self.find(&world, &one, Operation::Connect)?;
        let second = self.find(&world, &other, Operation::Connect)?;
        if first == second {
            let reason = Reason::new(Cause::InvalidOptions);
            let reason = reason.with_detail("a cable has its ends at two interfaces");
            return Err(reason.of(Operation::Connect));
        }
        same_layer(&world, &[first, second])?;
        world.wires.plug(first, second);
        Ok(())
    }

    /// Plugs interfaces into a new switch, which learns where each station is: by MAC address on taps, by IP address on
    /// tuns. What goes to a station that was never heard comes out everywhere else.
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

    /// Unplugs an interface from its cable or switch: the system receives what it sends, as at first.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn unplug(&self, which: impl Target) {
        self.with(&which, |world, id| world.wires.unplug(id));
    }

    /// Makes a wire treat packets badly, in one direction; see [`Impairment`]. What a bad wire before it held back arrives.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn impair(&self, which: impl Target, direction: Direction, plan: Impairment) {
        self.with(&which, |world, id| world.impair(id, direction, Some(plan)));
    }

    /// Makes the wire perfect again; what it held back arrives.
    ///
    /// # Panics
    ///
    /// There is no such interface.
    #[track_caller]
    pub fn repair(&self, which: impl Target, direction: Direction) {
        self.with(&which, |world, id| world.impair(id, direction, None));
    }

    /// Lets time pass on the wires: packets that are late arrive when they are due. Those that were held back set out.
    pub fn advance(&self, by: Duration) {
        self.world.lock().advance(by);
    }

    /// How much time has passed on the wires.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.world.lock().wires.now()
    }

    /// From now on, [`trace`](Self::trace) tells what the wires do.
    pub fn record_trace(&self) {
        self.world.lock().wires.record();
    }

    /// What bad wires did to each packet, a line each. With the same seeds and packets it is the same text.
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
