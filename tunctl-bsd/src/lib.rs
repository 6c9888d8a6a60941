//! TUN/TAP devices of FreeBSD, NetBSD, OpenBSD, DragonFly and macOS.

#![forbid(unsafe_code)]

mod calls;
mod errno;
mod system;

pub use calls::{Calls, Found, FoundAddress};
pub use tunctl_packet::header::System;
