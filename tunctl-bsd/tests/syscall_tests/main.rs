//! The backend's system calls, byte by byte and in order, over the models of the drivers.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../models/mod.rs"]
mod models;

mod absent;
mod adopt;
mod bytes;
mod cleanup;
mod configure;
mod ends;
mod errors;
mod events;
mod feth;
mod fixture;
mod identity;
mod ipv6;
mod loops;
mod marks;
mod order;
mod packets;
mod third_party;
mod vnet;
mod waiting;
