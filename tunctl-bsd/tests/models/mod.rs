//! Models of the TUN/TAP drivers of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS, and of the parts of their
//! network stacks that the crate uses. They implement [`tunctl_bsd::Syscalls`] on any Unix.
//!
//! Each rule is where the system enforces it. *Fact*: known from headers or manuals, or observed. *Source*:
//! read in the driver's source, in a copy from about 2020. *Assumed*: without evidence; a test that relies on
//! it proves little.
//!
//! Every test binary includes them by `#[path]`.
#![allow(dead_code, unused_imports, reason = "several test binaries have these models, and each uses a part")]

mod address;
mod argument;
mod close;
mod configure;
mod device;
mod filter;
mod handle;
mod ioctl;
pub(crate) mod numbers;
mod open;
mod outside;
mod packets;
mod route;
mod syscalls;
mod trace;
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use handle::Handle;
pub(crate) use outside::Report;
pub(crate) use tunctl_bsd::System;
pub(crate) use world::{Kind, Made, NodeMode};

use world::World;

/// A system in memory. Clones are the same system.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    world: Arc<Mutex<World>>,
}

impl Model {
    /// A system as it has just started: the caller is root, the driver is loaded.
    pub(crate) fn new(system: System) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(system))) }
    }

    /// macOS with the third-party kernel extension `tuntaposx`.
    pub(crate) fn with_third_party_driver() -> Self {
        let model = Self::new(System::MacOs);
        {
            let mut world = model.enter();
            world.third_party = true;
            // Source: an address does not bring the interface up.
            world.address_ups_tap = false;
        }
        model
    }

    fn enter(&self) -> MutexGuard<'_, World> {
        let mut world = enter(&self.world);
        world.close_unseen();
        world
    }
}

/// A poisoned lock means that a test failed inside, which was already reported.
fn enter(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}
