//! TUN/TAP devices of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS.
//!
//! | | FreeBSD | NetBSD | OpenBSD | DragonFly | macOS |
//! |---|---|---|---|---|---|
//! | a tun is made by | opening `/dev/tun`, `/dev/tunN` | opening `/dev/tunN` | opening `/dev/tunN` | request, `/dev/tunN` | a utun socket |
//! | a tap is made by | opening `/dev/tap`, `/dev/tapN` | request, `/dev/tapN` | opening `/dev/tapN` | request, `/dev/tapN` | two `feth`, a packet filter |
//! | names | any | `tunN`, `tapN` | `tunN`, `tapN` | any | `utunN`, `fethN` |
//! | it ends | with its descriptor, by the kernel | when this program closes it | with its descriptor, by the kernel | when this program closes it | with its socket; a tap, when this program closes it |
//! | it can be persistent | yes | yes | no | no | no |
//!
//! Packets are bare, as on Linux: of a tun, the address family that these kernels put in front of each is taken off and put on by this
//! crate, with one system call and without a copy. macOS has no taps: of two Ethernets that are connected, one is the interface, and past the
//! other, whose number is greater by 5000, frames are read by a thread, and written, through a packet filter (`/dev/bpf`).
//! Where an older driver of its is loaded, `tunN` and `tapN` are that one's. Owners, groups, several queues and packet information are
//! `Unsupported` here, and absent from the backend's capabilities; so are virtio-net headers, but on FreeBSD's taps.
//!
//! # How sure it is
//!
//! **No release of this crate was run on FreeBSD, OpenBSD, DragonFly or macOS yet, nor on NetBSD.** What is known of them, and how:
//!
//! | | FreeBSD | NetBSD | OpenBSD | DragonFly | macOS |
//! |---|---|---|---|---|---|
//! | numbers and layouts | the system's headers, by a compiler | the same | the same | its source, by hand | the same, where the headers are to be had |
//! | what its driver does | its source and manual | its own driver, run in 2016, and source | its source and manual | its source | its source |
//! | this crate's calls | compiled and linked for it | the same | the same | compiled for it | compiled and linked for it |
//! | this crate's logic | tested over a model of its driver | the same | the same | the same | the same |
//!
//! All logic stands above a small seam, [`Syscalls`], and runs on any Unix over a model.

#![forbid(unsafe_code)]

mod af_header;
mod attach;
mod attach_plan;
mod backend;
mod capture;
mod channel;
mod device;
mod errno;
mod feth;
mod interface;
mod interface_guard;
pub mod native;
mod remedy;
mod syscalls;
mod system;
mod system_handle;
mod wait;

pub use backend::BsdBackend;
pub use device::BsdDevice;
pub use interface::BsdInterface;
pub use syscalls::{Family, ListedAddress, ListedInterface, Syscalls};
pub use tunctl_packet::header::System;
