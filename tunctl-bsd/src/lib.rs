//! TUN/TAP devices of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS.
//!
//! | | tun | tap | names |
//! |---|---|---|---|
//! | FreeBSD | opens `/dev/tun` or `/dev/tunN` | opens `/dev/tap` or `/dev/tapN` | any |
//! | NetBSD | opens `/dev/tunN` | `SIOCIFCREATE`, then opens `/dev/tapN` | `tunN`, `tapN` |
//! | OpenBSD | opens `/dev/tunN` | opens `/dev/tapN` | `tunN`, `tapN` |
//! | DragonFly | `SIOCIFCREATE`, then opens `/dev/tunN` | `SIOCIFCREATE`, then opens `/dev/tapN` | any |
//! | macOS | connects a utun socket | two `feth` Ethernets and a packet filter | `utunN`, `fethN` |
//!
//! | | what removes the interface | persistent |
//! |---|---|---|
//! | FreeBSD | the kernel, when the last descriptor closes; before FreeBSD 15, this program after that | yes |
//! | NetBSD | this program, after it closes the last descriptor | yes |
//! | OpenBSD | the kernel, when the last descriptor closes | no |
//! | DragonFly | this program, after it closes the last descriptor | yes |
//! | macOS | a tun: the kernel; a tap: this program | no |
//!
//! # Packets
//!
//! Packets are bare, as on Linux. These kernels put a 4-byte address family (the AF header) before each
//! packet of a tun; this crate strips and adds it with the same system call, and without a copy.
//!
//! macOS has no taps. A tap is a pair of connected `feth` Ethernets: one end is the interface; a thread reads
//! and writes the frames at the other end, whose unit is greater by 5000, through a packet filter
//! (`/dev/bpf`). Where the third-party kernel extension `tuntaposx` is loaded, the names `tunN` and `tapN`
//! belong to it.
//!
//! Owners, groups, several queues and packet information are `Unsupported` here, and absent from the
//! backend's capabilities. Virtio-net headers exist on FreeBSD's taps only.
//!
//! # How this is verified
//!
//! **No release of this crate has run on FreeBSD, NetBSD, OpenBSD, DragonFly or macOS yet.**
//! This is how each part is verified instead:
//!
//! | | numbers and layouts | rules of the driver | system calls | logic |
//! |---|---|---|---|---|
//! | FreeBSD | compiled against its headers | source and manual | compiled and linked | tested over a model |
//! | NetBSD | compiled against its headers | driver run in 2016; source | compiled and linked | same |
//! | OpenBSD | compiled against its headers | source and manual | compiled and linked | same |
//! | DragonFly | read in its source | source | compiled | same |
//! | macOS | compiled against the headers available | source | compiled and linked | same |
//!
//! All logic sits above one small trait, [`Syscalls`], and runs on any Unix over a model of each driver.

#![forbid(unsafe_code)]

mod adopt;
mod af_header;
mod attach;
mod attach_plan;
mod backend;
mod capture;
mod channel;
mod device;
mod errno;
mod feth;
mod identity;
mod interface;
mod interface_guard;
pub mod native;
mod remedy;
mod subscription;
mod syscalls;
mod system;
mod system_handle;
mod wait;
mod watcher;

pub use backend::BsdBackend;
pub use device::BsdDevice;
pub use interface::BsdInterface;
pub use syscalls::{Family, ListedAddress, ListedInterface, Syscalls};
pub use tunctl_packet::header::System;
pub use watcher::BsdWatcher;
