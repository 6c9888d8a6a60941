//! The packets of a TUN or TAP device, as bytes: headers, a decoded view, the answer to a ping, small probes.
//!
//! Nothing here opens a device, a socket or a file. Every parser takes a slice and gives a view that borrows
//! from it; none panics, whatever the bytes.
//!
//! The crate is `no_std`. It needs an allocator for the packets that it builds, which are `Vec`s, and for the
//! bounded list of an [`EchoResponder`]; parsers and the other replies allocate nothing.
//!
//! | you want | see |
//! |---|---|
//! | to know what a packet of the device starts with | [`Layer`] |
//! | the four bytes in front of a packet when the device has packet information | [`header::PacketInfo`] |
//! | the virtio-net header, with offloaded checksums and segmentation | [`header::VnetHeader`] |
//! | the four bytes that BSD systems and macOS put there | [`header::AddressFamily`] |
//! | addresses, ports and a line to print, as a sniffer would | [`Packet`] |
//! | a packet with the device's headers in front, read or to be written | [`Framed`], [`header::HeaderKind`] |
//! | to tell flows apart | [`FlowKey`] |
//! | to answer pings from user space | [`echo_reply`], and [`EchoResponder`] where they come in fragments |
//! | to answer that nothing is there | [`unreachable()`], and [`reset`] to TCP |
//! | to answer as a router that cannot forward | [`packet_too_big`], [`time_exceeded`], [`unreachable()`] |
//! | to send a ping or a datagram, without a stack | [`ping_packet`], [`udp_packet`], [`ethernet_frame`] |
//! | to ping through a raw socket | [`icmp_echo_request`], [`icmpv6_echo_request`], [`parse_echo_reply`] |
//!
//! # Example
//!
//! What a program does that reads a TUN device and answers the pings it finds there:
//!
//! ```
//! use tunctl_packet::{Layer, Packet, echo_reply, ping_packet};
//!
//! // In a program, these bytes come from the device.
//! let request = ping_packet("10.0.0.1".parse()?, "10.0.0.2".parse()?, 7, 1, b"hello")?;
//!
//! let packet = Packet::parse(Layer::Tun, &request)?;
//! assert_eq!(packet.source(), Some("10.0.0.1".parse()?));
//! assert_eq!(packet.protocol().to_string(), "ICMP");
//! assert_eq!(packet.summary().to_string(), "echo request id 7 seq 1");
//!
//! let mut answer = [0; 1500];
//! let length = echo_reply(&request, &mut answer)?;
//!
//! // And these go back to it.
//! let packet = Packet::parse(Layer::Tun, &answer[..length])?;
//! assert_eq!(packet.destination(), Some("10.0.0.1".parse()?));
//! assert_eq!(packet.summary().to_string(), "echo reply id 7 seq 1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Lax and strict
//!
//! [`Packet`] is lax, because one looks at packets when something is wrong with them: what can be decoded is,
//! the rest is payload. What answers is strict: lengths must fit and checksums must be right, or it says why
//! it didn't answer ([`NoReply`]).

#![no_std]
#![forbid(unsafe_code)]
// Packets come from strangers: no byte of theirs may end the program.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

extern crate alloc;

mod build;
mod checksum;
mod echo;
mod error;
mod framed;
pub mod header;
mod ip;
mod layer;
mod reply;
mod view;

pub use build::{
    BuildError, ethernet_frame, icmp_echo_request, icmpv6_echo_request, ping_packet, udp_packet,
};
pub use echo::{EchoMessage, parse_echo_reply};
pub use error::{ParseError, Truncated};
pub use framed::Framed;
pub use header::{EtherType, PacketInfo};
pub use layer::Layer;
pub use reply::{
    EchoResponder, NoReply, Unreachable, echo_reply, packet_too_big, reset, time_exceeded, unreachable,
};
pub use view::{FlowKey, Packet, Protocol};
