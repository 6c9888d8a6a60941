//! A VPN that speaks WireGuard: the parts of the program `tunctl-vpn`.
//!
//! [`Vpn`] is all of it that handles packets. It is generic over the device and over the datagram socket, is
//! told the time, and never waits: see its documentation for how to drive it. The rest is what a program
//! needs around it.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

pub mod config;
pub mod datagrams;
pub mod routes;
pub mod uapi;
pub mod udp;
mod vpn;

pub use vpn::{Dropped, Peer, Vpn};
