//! TUN/TAP interfaces: create, configure, read and write them.
//!
//! ```no_run
//! use tunctl::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let tun = tunctl::native().create(&CreateOptions::tun().name("vpn%d").address("10.1.1.1/24").up())?;
//! let mut packet = [0; 1500];
//! loop {
//!     let length = tun.recv(&mut packet)?; // one packet, one system call
//!     let packet = Packet::parse(Layer::Tun, &packet[..length]);
//!     let summary = packet.map_or("not IP".into(), |packet| packet.summary().to_string());
//!     println!("{}: {summary}", tun.name()?);
//! }
//! # }
//! ```
//!
//! Three nouns carry everything: a [backend](TunBackend) makes [devices](TunDevice), and a device is attached
//! to an [interface](Interface). [`TunBackend`] has the table of all operations. Programs are generic over
//! `B: TunBackend`; [`native`] is the one of the system that they run on. In [active mode](active), packets
//! come to the program as events.
//!
//! Every failure is an [`Error`] that says what was asked, why it failed, and what to do about it:
//!
//! ```text
//! create vpn%d: Operation not permitted (os error 1): CAP_NET_ADMIN is missing. Run it with sudo, or give
//! the program the capability: sudo setcap cap_net_admin=ep /usr/bin/vpn. …
//! ```
//!
//! # Features
//!
//! | feature | on by default | what it brings |
//! |---|---|---|
//! | `mock` | no | `tunctl::mock`: a driver in memory, for the tests of your program |
//! | `capture` | no | `tunctl::capture`: what passes a device, recorded to pcapng and replayed |
//! | `mio` | no | `tunctl::mio`: devices in event loops of mio's |
//! | `tokio` | no | `tunctl::tokio`: devices in tasks |
//! | `stream` | no | `tokio`, and packets as streams and sinks |
//! | `proptest` | no | `mock`, and `tunctl::mock::strategy`: packets, names and events for property tests |
//!
//! With the mock in the tests of your program:
//!
//! ```toml
//! [dev-dependencies]
//! tunctl = { version = "0.1", features = ["mock"] }
//! ```
//!
//! How to test a program that uses it, in plain `cargo test` or on the real driver without root, is in the
//! repository's `docs/testing.md`.
//!
//! # Platform
//!
//! Linux; FreeBSD, NetBSD, OpenBSD, DragonFly and macOS, tested over models of their drivers and not run
//! there yet: `tunctl_bsd` says what is known of each. On other Unix systems there are the traits, the types
//! and the mock, and no [`native`] backend.

#![forbid(unsafe_code)]

#[cfg(not(target_os = "linux"))]
pub use tunctl_bsd as bsd;
#[cfg(not(target_os = "linux"))]
#[doc(inline)]
pub use tunctl_bsd::native::*;
#[cfg(feature = "capture")]
pub use tunctl_capture as capture;
pub use tunctl_core::*;
#[cfg(target_os = "linux")]
pub use tunctl_linux as linux;
#[cfg(target_os = "linux")]
#[doc(inline)]
pub use tunctl_linux::native::*;
#[cfg(feature = "mio")]
pub use tunctl_mio as mio;
#[cfg(feature = "mock")]
pub use tunctl_mock as mock;
pub use tunctl_packet as packet;
#[cfg(feature = "tokio")]
pub use tunctl_tokio as tokio;

/// What most programs need: `use tunctl::prelude::*`.
pub mod prelude {
    pub use tunctl_core::{
        CreateOptions, Error, Interface, InterfaceAddress, InterfaceName, Layer, Result, TunBackend,
        TunDevice,
    };
    pub use tunctl_packet::Packet;
}

/// The README's examples, compiled.
#[cfg(all(doctest, target_os = "linux", feature = "mock"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The testing guide's examples, run.
#[cfg(all(doctest, target_os = "linux", feature = "proptest"))]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;
