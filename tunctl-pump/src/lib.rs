//! Forwards packets between two devices, with segmentation offload where they have it.
//!
//! [`Pump`] is a wire between two interfaces: what the system sends out of one arrives at the other. A
//! [`Wire`] says what it does to packets on the way: nothing, or loss, delay, reordering and a bounded rate,
//! by a seed. A program may look at each packet, change it or drop it.
//!
//! ```
//! use tunctl_core::{Result, TunDevice};
//! use tunctl_pump::{Pump, Verdict};
//!
//! /// Joins two interfaces until the pump is stopped; no packet longer than 1,280 bytes passes.
//! fn join<D: TunDevice>(one: D, other: D) -> Result<()> {
//!     let pump = Pump::new(vec![one.into_bulk()?], vec![other.into_bulk()?])?;
//!     pump.run_with(&|_, packet: &mut [u8]| {
//!         if packet.len() > 1280 { Verdict::Drop } else { Verdict::Pass }
//!     })
//! }
//! ```
//!
//! # Platform
//!
//! Any backend's devices. Only Linux has offload; elsewhere each call is for one packet.

#![forbid(unsafe_code)]

mod link;
mod pump;
mod statistics;
mod way;
mod wire;

pub use pump::{Direction, Hook, Pump, Verdict};
pub use statistics::Traffic;
pub use wire::Wire;
