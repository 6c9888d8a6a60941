//! The seam: what a backend asks of each system, byte by byte and in which order, over the models of their drivers.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "../models/mod.rs"]
mod models;

mod absent;
mod bytes;
mod cleanup;
mod configure;
mod ends;
mod errors;
mod feth;
mod fixture;
mod loops;
mod order;
mod packets;
mod third_party;
mod vnet;
mod waiting;
