//! The seam: what a backend asks of each system, byte by byte and in which order, over the models of their drivers.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

#[path = "models/mod.rs"]
mod models;

#[path = "seam/absent.rs"]
mod absent;
#[path = "seam/bytes.rs"]
mod bytes;
#[path = "seam/cleanup.rs"]
mod cleanup;
#[path = "seam/configure.rs"]
mod configure;
#[path = "seam/ends.rs"]
mod ends;
#[path = "seam/errors.rs"]
mod errors;
#[path = "seam/loops.rs"]
mod loops;
#[path = "seam/older.rs"]
mod older;
#[path = "seam/order.rs"]
mod order;
#[path = "seam/packets.rs"]
mod packets;
#[path = "seam/pair.rs"]
mod pair;
#[path = "seam/rig.rs"]
mod rig;
#[path = "seam/vnet.rs"]
mod vnet;
#[path = "seam/waiting.rs"]
mod waiting;
