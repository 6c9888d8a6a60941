//! The suite that every backend must pass: a kernel's, and a model's that claims to stand for it.
//!
//! Each [`Case`] states one behaviour of the driver and is written once, over a [`Harness`]. What a case sees
//! comes from outside of the backend under test wherever the harness can look: the system's own report, what
//! its side of the wire received, the poll bits of the descriptor.
//!
//! A test binary of a backend runs them all, each over a harness of its own:
//!
//! ```
//! use tunctl_conformance::Harness;
//!
//! fn run_all<H: Harness>(fresh: impl Fn() -> H) {
//!     for case in tunctl_conformance::cases::<H>() {
//!         let outcome = case.run(&fresh());
//!         if let Some(why) = outcome.not_applicable {
//!             println!("skipped: {}: {why}", case.name());
//!         }
//!     }
//! }
//! ```
//!
//! # Panics
//!
//! A case panics if the backend does not do as it says.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a panic is how a case fails"
)]

mod addresses;
mod adopting;
mod all;
mod applying;
mod buffers;
mod bulk;
mod carrier;
mod case;
mod configuration;
mod events;
mod expect;
mod filtering;
mod gone;
mod harness;
mod indices;
mod interface_handles;
mod joining;
mod large;
mod lifetime;
mod longer_headers;
mod lookup;
mod mac;
mod mac_filtering;
mod names;
mod names_and_errnos;
mod namespaces;
mod napi;
mod offloads;
mod permission;
mod persistence;
mod queues;
mod readiness;
mod reading;
mod refusal_order;
mod renaming;
mod replacing;
mod segments;
mod statistics;
mod steering;
mod stopping;
mod strangers;
mod unasked;
mod virtio_net;
mod watching;
mod writing;

pub use all::cases;
pub use case::{Case, Need, Subject};
pub use expect::{Outcome, Refusal, refused};
pub use harness::{DeviceOf, Harness, InterfaceOf, Names, Observation, PollState, Profile};
