//! The VPN on simulated devices, a simulated network and simulated time. See `README.md` beside it.
//!
//! [`run`] simulates a server and its clients for some time, and checks what it sees. All that happens is
//! drawn from a seed, so that the same seed has the same trace, in each run and on each machine.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

mod ledger;
mod network;
mod node;
mod plan;
mod simulation;
mod socket;
mod trace;
mod traffic;

pub use simulation::{Failure, Summary, run};
