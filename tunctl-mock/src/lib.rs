//! A TUN/TAP driver in memory, for tests of programs that use one: no device node, no privilege, any Unix.
//!
//! [`MockBackend`] is a [`TunBackend`](tunctl_core::TunBackend) that models a kernel: it follows the rules of
//! Linux's driver, and fails with the same errnos. Tests hold it to that: one conformance suite runs on both,
//! and long random sequences of operations are compared step by step.
//!
//! ```
//! use tunctl_core::{CreateOptions, Result, TunBackend, TunDevice};
//! use tunctl_mock::MockBackend;
//!
//! /// The program: it turns packets around, and ends when the interface is gone.
//! fn echo<B: TunBackend>(backend: &B) -> Result<()> {
//!     let tun = backend.create(&CreateOptions::tun().name("vpn0").address("10.1.1.1/24").up())?;
//!     let mut packet = [0; 1500];
//!     loop {
//!         match tun.recv(&mut packet) {
//!             Err(error) if error.is_gone() => return Ok(()),
//!             length => tun.send(&packet[..length?])?,
//!         };
//!     }
//! }
//!
//! // Its test, which plays the system.
//! let kernel = MockBackend::new();
//! let soon = std::time::Duration::from_secs(10);
//! std::thread::scope(|scope| {
//!     let program = scope.spawn(|| echo(&kernel));
//!     assert!(kernel.wait_until_up("vpn0", soon));
//!     kernel.inject("vpn0", [0x45; 20]);
//!     assert_eq!(kernel.take_within("vpn0", soon).unwrap(), [0x45; 20]);
//!     kernel.delete("vpn0");
//!     program.join().unwrap()
//! })?;
//! # Ok::<(), tunctl_core::Error>(())
//! ```
//!
//! # Platform
//!
//! Any Unix: only the rules and the errnos are Linux's. So far it was compiled and run on Linux only.
//!
//! # What it does not model
//!
//! Routing, sockets and neighbours: the test plays the system's IP stack, and decides what it sends. IPv6
//! link-local addresses, which Linux adds by itself. Packets to be cut that are in a UDP tunnel, and
//! fragments of UDP: they are checked and taken, and then [lost](MockBackend::lost), but for
//! [`take_large`](MockBackend::take_large). Time, except for packets on an [impaired](Impairment) wire, and
//! for [flows](MockBackend::advance). Which of several queues a flow goes to before the program has sent in
//! it is arbitrary, as in Linux.

#![forbid(unsafe_code)]

mod adopt;
mod backend;
mod caller;
#[cfg(feature = "conformance")]
pub mod conformance;
mod delivery;
mod device;
mod errno;
mod interface;
mod kernel;
mod offload;
mod open_file;
mod profile;
mod rig;
#[cfg(feature = "proptest")]
pub mod strategy;
mod system;
mod target;
mod watcher;
mod wiring;

pub use backend::MockBackend;
pub use caller::Caller;
pub use delivery::Delivery;
pub use device::MockDevice;
pub use errno::Errno;
pub use interface::MockInterface;
pub use profile::KernelProfile;
pub use rig::fault::Fault;
pub use rig::impairment::Impairment;
pub use rig::wire::Direction;
pub use target::Target;
pub use watcher::MockWatcher;
