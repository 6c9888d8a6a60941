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
//! `B: TunBackend`; [`native`] is the one of the system that they run on.
//!
//! # How do I…
//!
//! | | see |
//! |---|---|
//! | make an interface with addresses and an MTU | [guide](guide#a-tun-with-addresses-up) |
//! | make a tap for a bridge or a virtual machine | [guide](guide#a-tap-for-a-bridge) |
//! | receive and send, and how long is a packet? | [guide](guide#receive-and-send) |
//! | use it in async code | [guide](guide#async), [`tunctl::tokio`](tokio/index.html) |
//! | use it in an event loop | [`tunctl::mio`](mio/index.html); any other: [`TunDevice`] lends its descriptor ([`AsFd`](std::os::fd::AsFd)) |
//! | change an interface that exists, without opening it | [guide](guide#an-interface-that-exists) |
//! | end on Ctrl-C; receive in one thread and send in another | [guide](guide#two-threads-and-a-stop), [`Interrupter`] |
//! | use several queues | [guide](guide#a-queue-for-each-thread) |
//! | have packets come to me as messages | [`active`] |
//! | test my program without root | [guide](guide#generic-code-and-its-test), [`tunctl::mock`](mock/index.html), the repository's `docs/testing.md` |
//! | use IPv6 | as IPv4: `.address("fd77::1/64")`. The MTU must be 1280 or more |
//! | change the MTU, the MAC address, the name, … of an interface | [`Interface::apply`], all or nothing |
//! | keep an interface when my program ends; let a user open it | [`CreateOptions::persistent`], [`CreateOptions::owner`] |
//! | run without root | [guide](guide#an-interface-for-an-unprivileged-program), `tunctl::linux::HelperBackend`; have root make a persistent interface with an owner; or `setcap`, as the error says |
//! | look into packets, answer a ping, make an ICMP error | [`packet`] |
//! | join two interfaces; lose, delay and reorder packets for a test | [`tunctl::pump`](pump/index.html) |
//! | capture what passes, for Wireshark | [`tunctl::capture`](capture/index.html); an interface of another program's: `tunctl::linux::Observer` |
//! | write a backend of my own | [`TunBackend`](TunBackend#a-whole-backend) |
//! | set routes or DNS | not here: a crate such as `rtnetlink`, with [`interface().index()`](Interface::index) |
//! | firewall rules, NAT | not here: `nft` |
//! | run in a container | `--device /dev/net/tun --cap-add NET_ADMIN`; `docs/testing.md` has the traps |
//! | hear of changes: up, down, an address, deleted, … | [guide](guide#what-happens-to-an-interface), [`Events`] |
//! | work in another network namespace | [guide](guide#another-network-namespace) |
//! | open an interface in one program, and use it in another without any right | [guide](guide#open-here-use-there), [`Adopt`] |
//! | take packets with unfinished checksums or in segments (offload), as a virtual machine does | [`CreateOptions::offloads`], [`TunDevice::set_offloads`] |
//! | send and receive many packets a call, with segmentation offload | [guide](guide#many-packets-a-call), [`Bulk`]; in tasks [`AsyncBulk`](tokio/struct.AsyncBulk.html), in mio's loop [`TunSource`](mio/struct.TunSource.html) |
//! | run on Windows | no: it has no descriptor that this interface could lend, and Wintun is another kind of thing |
//!
//! The documentation of an item shows it under the name of the crate that defines it, such as `tunctl_core`:
//! a program that depends on `tunctl` alone writes `tunctl` for it.
//!
//! Every failure is an [`Error`] that says what was asked, why it failed, and what to do about it:
//!
//! ```text
//! create vpn%d: CAP_NET_ADMIN is missing (Operation not permitted, os error 1). Run it with sudo, or give
//! the program the capability: sudo setcap cap_net_admin=ep /usr/bin/vpn. …
//! ```
//!
//! # Features
//!
//! | feature | on by default | what it brings |
//! |---|---|---|
//! | `mock` | no | [`tunctl::mock`](mock/index.html): a driver in memory, for the tests of your program |
//! | `capture` | no | [`tunctl::capture`](capture/index.html): what passes a device, recorded to pcapng and replayed |
//! | `mio` | no | [`tunctl::mio`](mio/index.html): devices in event loops of mio's |
//! | `tokio` | no | [`tunctl::tokio`](tokio/index.html): devices in tasks |
//! | `pump` | no | [`tunctl::pump`](pump/index.html): a wire between two interfaces, with loss and delay |
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
//! Linux; Android, where it compiles and was not run yet; FreeBSD, NetBSD, OpenBSD, DragonFly and macOS,
//! tested over models of their drivers and not run there yet: `tunctl_bsd` says what is known of each. On
//! other Unix systems there are the traits, the types and the mock, and no [`native`] backend.

#![forbid(unsafe_code)]

pub mod guide;

/// Records what passes a device to pcapng, and replays it.
#[cfg(feature = "capture")]
#[doc(inline)]
pub use tunctl_capture as capture;
#[doc(inline)]
pub use tunctl_core::*;
/// Devices in event loops of mio's.
#[cfg(feature = "mio")]
#[doc(inline)]
pub use tunctl_mio as mio;
/// A driver in memory, for the tests of your program.
#[cfg(feature = "mock")]
#[doc(inline)]
pub use tunctl_mock as mock;
/// Packets as bytes: headers, a decoded view, replies.
#[doc(inline)]
pub use tunctl_packet as packet;
/// A wire between two interfaces.
#[cfg(feature = "pump")]
#[doc(inline)]
pub use tunctl_pump as pump;
/// Devices in tokio's tasks.
#[cfg(feature = "tokio")]
#[doc(inline)]
pub use tunctl_tokio as tokio;

/// The backend of the BSDs and macOS, and what they have beyond the traits.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[doc(inline)]
pub use tunctl_bsd as bsd;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[doc(inline)]
pub use tunctl_bsd::native::*;
/// The backend of Linux, and what Linux has beyond the traits.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[doc(inline)]
pub use tunctl_linux as linux;
#[cfg(any(target_os = "linux", target_os = "android"))]
#[doc(inline)]
pub use tunctl_linux::native::*;

/// What programs need of this library: `use tunctl::prelude::*`.
///
/// Glob this, not the crate's root: `use tunctl::*` would bring modules called `mio` and `tokio`, which hide
/// the crates.
pub mod prelude {
    pub use tunctl_core::{
        Adopt, Bulk, Cause, CreateOptions, Error, EventWatcher, Events, Filters, Gid, Holder, Interface,
        InterfaceAddress, InterfaceChange, InterfaceConfig, InterfaceEvent, InterfaceInfo, InterfaceName,
        Interrupter, Layer, MacAddress, MacFilter, Mtu, NamePattern, Namespaces, Offloads, Operation, Queues,
        Readiness, Result, State, TunBackend, TunDevice, Uid, WaitOutcome,
    };
    pub use tunctl_packet::{Filter, Packet};
}

/// The README's examples, compiled.
#[cfg(all(doctest, target_os = "linux", feature = "mock"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The example of the page about privileges, compiled.
#[cfg(all(doctest, target_os = "linux"))]
#[doc = include_str!("../../docs/privileges.md")]
struct Privileges;

/// The testing guide's examples, run.
#[cfg(all(doctest, target_os = "linux", feature = "proptest"))]
#[doc = include_str!("../../docs/testing.md")]
struct Testing;
