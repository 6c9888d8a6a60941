//! Models of the TUN/TAP drivers of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS, and of the parts of their
//! network stacks that the crate uses. They implement [`tunctl_bsd::Syscalls`] on any Unix.
//!
//! Each rule is where the system enforces it. *Fact*: known from headers or manuals, or observed. *Source*:
//! read in the named function. *Assumed*: without evidence; a test that relies on it proves little.
//!
//! Unless a comment says otherwise, the functions are those of these versions:
//!
//! | system | files |
//! |---|---|
//! | FreeBSD | `if_tuntap.c` of 14; of main, with TUNSTRANSIENT; `if_mib.c` |
//! | NetBSD | `if_tun.c` 1.176 (of 2024), `if_tap.c` 1.127 (10); asked: 1.127 and 1.84 (7.99.34) |
//! | OpenBSD | `if_tun.c` 1.252 |
//! | DragonFly | `if_tun.c` and `if_tap.c` after the rework of `if_clone.c` (`TUN_MANUALMAKE`) |
//! | macOS | XNU 11417.101.15: `if_utun.c`, `if_fake.c`, `bpf.c`, `dlil.c`; the extension is tuntaposx |
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
            // Source: an address does not bring the interface up (`tuntap_interface::if_ioctl`).
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
