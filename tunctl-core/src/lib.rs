//! TUN/TAP for programs that do not care which system they run on: the traits, the types that go through
//! them, and the error.
//!
//! There are three nouns, because a kernel has three:
//!
//! | noun | kernel object | lives | trait |
//! |---|---|---|---|
//! | backend | the system that makes devices | as long as you like | [`TunBackend`] |
//! | device | one open descriptor, attached to one queue | until it is dropped | [`TunDevice`] |
//! | interface | a network interface: name, index, addresses, MTU, state | until deleted | [`Interface`] |
//!
//! Several devices may share one interface, as its queues; a persistent interface may have none.
//!
//! Whatever goes through the traits is parsed first, into a type that cannot hold nonsense:
//! [`CreateOptions`], [`InterfaceName`], [`InterfaceAddress`], [`Mtu`], [`MacAddress`], [`Uid`]. Whatever
//! fails is an [`Error`] that says what, why and what to do.
//!
//! A program that wants packets to come to it, as events, uses [active mode](active).

#![forbid(unsafe_code)]

pub mod active;
mod address;
mod adopt;
mod apply;
mod backend;
pub mod bulk;
mod capabilities;
mod cause;
mod config;
mod destroy_error;
mod device;
mod error;
mod escaped;
mod events;
mod filters;
mod flags;
mod holder;
mod id;
mod interface;
mod interface_info;
mod interrupter;
mod invalid_options;
mod mac;
mod mac_filter;
mod mtu;
mod name;
mod namespaces;
mod offload;
mod operation;
mod options;
mod queues;
mod reason;
mod statistics;
mod text;

pub use address::{InterfaceAddress, InvalidAddress};
pub use adopt::{Adopt, AdoptError};
pub use apply::Changes;
pub use backend::{AttachMode, TunBackend};
pub use bulk::Bulk;
pub use capabilities::Capabilities;
pub use cause::Cause;
pub use config::InterfaceConfig;
pub use destroy_error::DestroyError;
pub use device::{Readiness, TunDevice};
pub use error::{Error, Result};
pub use escaped::Escaped;
pub use events::{
    EventTracker, EventWatcher, Events, InterfaceChange, InterfaceEvent, Notification, WatchedInterface,
};
pub use filters::Filters;
pub use flags::CreateFlags;
pub use holder::{Holder, Holders};
pub use id::{Gid, InterfaceIndex, Uid};
pub use interface::Interface;
pub use interface_info::{InterfaceInfo, State};
pub use interrupter::{Interrupter, WaitOutcome};
pub use invalid_options::InvalidOptions;
pub use mac::{InvalidMac, MacAddress};
pub use mac_filter::{InvalidMacFilter, MacFilter};
pub use mtu::{InvalidMtu, Mtu};
pub use name::{InterfaceName, InvalidName, NamePattern};
pub use namespaces::Namespaces;
pub use offload::Offloads;
pub use operation::Operation;
pub use options::CreateOptions;
pub use queues::Queues;
pub use reason::Reason;
pub use statistics::{Counters, Statistics};
pub use tunctl_packet::Layer;
