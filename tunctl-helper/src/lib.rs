//! What a program says to `tunctl-helper`, the privileged program that creates TUN/TAP interfaces for others,
//! and what the helper answers.
//!
//! No stability is promised: both ends are released together.
//!
//! # Platform
//!
//! Linux only; on another system the crate is empty.
#![cfg(any(target_os = "linux", target_os = "android"))]
#![forbid(unsafe_code)]

pub mod protocol;
