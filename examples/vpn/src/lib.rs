//! A VPN that speaks WireGuard: what the program `tunctl-vpn` is made of, but for its dealings with the
//! system.
//!
//! [`Vpn`] is the loop. It is generic over the device and over the datagram socket, takes the time as an
//! argument, and never waits to receive.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

pub mod config;
pub mod datagrams;
mod vpn;

pub use vpn::{Dropped, Peer, Vpn};
