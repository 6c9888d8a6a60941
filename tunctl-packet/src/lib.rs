//! The packets of a TUN or TAP device, as bytes: headers, a decoded view, replies, small probes.
//!
//! The crate opens no device, socket or file. Every parser takes a slice and returns a view that borrows from
//! it. No parser panics, whatever the bytes.
//!
//! The crate is `no_std`. It needs an allocator for the packets that it builds, which are `Vec`s, and for the
//! bounded list of an [`EchoResponder`]; parsers and the other replies allocate nothing.
//!
//! | you want | see |
//! |---|---|
//! | what a packet of the device starts with | [`Layer`] |
//! | the four bytes in front of a packet when the device has packet information | [`header::PacketInfo`] |
//! | the virtio-net header, with offloaded checksums and segmentation | [`header::VnetHeader`] |
//! | to cut a large packet into those that it stands for, and to merge packets | [`offload`] |
//! | the four bytes in front of a packet on BSD systems and macOS | [`header::AddressFamily`] |
//! | addresses, ports and a line to print, as a sniffer would | [`Packet`] |
//! | a packet with the device's headers, read or to be written | [`Framed`], [`header::HeaderKind`] |
//! | the packets that an expression such as `tcp port 443` matches | [`Filter`] |
//! | to run a program of classic BPF | [`bpf::Program`] |
//! | to tell flows apart | [`FlowKey`] |
//! | to answer pings from user space | [`echo_reply`], or [`EchoResponder`] for fragmented pings too |
//! | to answer that nothing is there | [`unreachable()`], or [`reset`] for TCP |
//! | to answer as a router that cannot forward | [`packet_too_big`], [`time_exceeded`], [`unreachable()`] |
//! | to send a ping or a datagram, without a stack | [`ping_packet`], [`udp_packet`], [`ethernet_frame`] |
//! | to ping through a raw socket | [`icmp_echo_request`], [`icmpv6_echo_request`], [`parse_echo_reply`] |
//!
//! # Example
//!
//! A program that reads a TUN device answers the pings among the packets:
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
//! // The program writes these bytes to the device.
//! let packet = Packet::parse(Layer::Tun, &answer[..length])?;
//! assert_eq!(packet.destination(), Some("10.0.0.1".parse()?));
//! assert_eq!(packet.summary().to_string(), "echo reply id 7 seq 1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Lax and strict
//!
//! [`Packet`] is lax, because people look at packets when something is wrong with them: it decodes what it
//! can, and the rest is payload. The functions that reply are strict: lengths must fit and checksums must be
//! right. Otherwise they return the reason for no reply ([`NoReply`]).

#![no_std]
#![forbid(unsafe_code)]
// Packets come from strangers, so no byte of a packet may end the program.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

extern crate alloc;

pub mod bpf;
mod build;
mod checksum;
mod echo;
mod error;
mod filter;
mod framed;
pub mod header;
mod ip;
mod layer;
pub mod offload;
mod reply;
mod view;

pub use build::{
    BuildError, ethernet_frame, icmp_echo_request, icmpv6_echo_request, ping_packet, udp_packet,
};
pub use echo::{EchoMessage, parse_echo_reply};
pub use error::{ParseError, Truncated};
pub use filter::{Filter, FilterError};
pub use framed::Framed;
pub use header::{EtherType, PacketInfo};
pub use layer::Layer;
pub use reply::{
    EchoResponder, NoReply, Unreachable, echo_reply, packet_too_big, reset, time_exceeded, unreachable,
};
pub use view::{FlowKey, Packet, Protocol};
