//! The Linux backend of tunctl: devices from `/dev/net/tun`, interfaces by netlink.
//!
//! ```no_run
//! use tunctl_core::{CreateOptions, TunBackend, TunDevice};
//! use tunctl_linux::LinuxBackend;
//!
//! let tun = LinuxBackend::new().create(&CreateOptions::tun().name("vpn%d").address("10.1.1.1/24").up())?;
//! let mut packet = [0; 1500];
//! let length = tun.recv(&mut packet)?;
//! println!("{} brought {length} bytes", tun.name()?);
//! # Ok::<(), tunctl_core::Error>(())
//! ```
//!
//! A program without privilege uses [`HelperBackend`]: a privileged helper creates its interfaces, as far as
//! a policy allows.
//!
//! What Linux has beyond the traits is on the types of this crate: who holds an interface
//! ([`LinuxInterface::holders`]), all interfaces at once ([`LinuxBackend::survey`]), what passes one
//! ([`Observer`]), other network namespaces ([`Namespace`]), one that the whole process enters
//! ([`netns`]), and what the kernel's driver can do ([`LinuxBackend::features`]).
//!
//! # Namespaces
//!
//! A device, and an interface that was found, belong to the network namespace in which the calling thread was
//! at that moment, or to that of [`LinuxBackend::in_namespace`], and stay with it: they are configured
//! through a netlink socket that was opened there, by index. So it does not matter where a thread that uses
//! them later is.
//!
//! # Platform
//!
//! Linux 4.11 or later, and Android, for a program that may open `/dev/tun`: it compiles there, and was never
//! run. On another system the crate is empty.
#![cfg(any(target_os = "linux", target_os = "android"))]
#![forbid(unsafe_code)]

mod adopt;
mod attach;
mod backend;
mod device;
mod diagnose;
mod errno;
mod features;
mod filters;
mod helper;
mod holders;
mod inherited;
mod interface;
mod master;
mod namespace;
pub mod native;
mod netlink;
pub mod netns;
mod observe;
mod obstacles;
mod offload;
mod opener;
mod remedy;
mod snapshot;
mod survey;
mod visit;
mod wait;
mod watcher;

pub use backend::LinuxBackend;
pub use device::LinuxDevice;
pub use diagnose::in_container;
pub use features::{Feature, Features, Presence};
pub use helper::{HelperBackend, HelperDevice, HelperInterface};
pub use inherited::inherited;
pub use interface::LinuxInterface;
pub use namespace::Namespace;
pub use observe::{Direction, Observed, Observer};
pub use snapshot::{LinkType, LinuxSnapshot, OperationalState};
pub use survey::SurveyedInterface;
pub use watcher::LinuxWatcher;
