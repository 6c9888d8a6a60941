//! A VPN that speaks WireGuard. [`Vpn`] is the loop: generic over the device and over the datagram socket,
//! with the time as an argument.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

pub mod config;
pub mod datagrams;
pub mod udp;
mod vpn;

pub use vpn::{Dropped, Peer, Vpn};
