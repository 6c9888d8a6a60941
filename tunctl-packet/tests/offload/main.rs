//! Segmentation offload in user space.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod batch;
mod coalesce;
#[path = "../common/mod.rs"]
mod common;
mod large;
mod parts;
mod split;
mod split_random;
mod tunnel;
