//! TUN/TAP devices of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS.

#![forbid(unsafe_code)]

mod backend;
mod calls;
mod device;
mod errno;
mod head;
#[cfg(any(
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "macos"
))]
mod host;
mod interface;
mod plan;
mod remedy;
mod system;

pub use backend::BsdBackend;
pub use calls::{Calls, Found, FoundAddress};
pub use device::BsdDevice;
#[cfg(any(
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
    target_os = "macos"
))]
pub use host::Host;
pub use interface::BsdInterface;
pub use tunctl_packet::header::System;
