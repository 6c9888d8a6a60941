//! Holds the segmentation of `tunctl-packet` to the kernel's.
//!
//! Random packets that stand for several are cut twice: by the library, and by the kernel. The kernel gets
//! them through a packet socket with a virtio-net header, out of a device without offload, so that it has to
//! cut them itself; its segments are read from the device. They must be the same bytes, and what the kernel
//! refuses or drops, the library must refuse. Then the library merges the kernel's segments, and the kernel
//! cuts what comes out: that must be the same segments again.
//!
//! What is in a UDP tunnel takes another way, since a packet socket takes no such header: in by one tap, over
//! a bridge, and out of another. Where the kernel has no tunnels (before Linux 6.17), they are left out.
//!
//! A run fails if too few packets have some property, so that what it shows is known.
//!
//! # Platform
//!
//! Linux, in namespaces of its own.

mod bridge;
mod compare;
mod draw;
mod kernel;
mod settings;
mod tunnel;

use std::process::ExitCode;

use settings::{HELP, Settings};

use crate::campaign;

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    campaign::main("oracle", HELP, |words| Settings::parse(words), compare::run)
}
