//! The test rig: what a test needs around the kernel, under the kernel's lock.
//!
//! | what | file |
//! |---|---|
//! | cables, switches, late packets, the clock | `wire.rs` |
//! | what a bad wire does to a packet | `impairment.rs` |
//! | scripted faults | `fault.rs` |
//! | waking threads and event loops | `signal.rs`, `readable.rs` |
//! | a packet that the system sends unasked | `solicitation.rs` |

pub(crate) mod fault;
pub(crate) mod impairment;
mod readable;
mod signal;
pub(crate) mod solicitation;
pub(crate) mod wire;

pub(crate) use signal::{Signal, Waiters};
