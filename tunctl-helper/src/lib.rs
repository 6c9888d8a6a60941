//! The privileged helper of tunctl: it creates a TUN/TAP interface for a program that may not, if a policy
//! allows it, and hands the program the device.
//!
//! The helper is a program, `tunctl-helper`, and this library is what it is made of. The command `tunctl`
//! uses [`policy`] and [`netlink`], to explain the policy. A program that asks for an interface needs
//! [`protocol`] alone, and has it without the feature `program`; `HelperBackend` of `tunctl-linux` speaks it.
//!
//! No stability is promised: the helper, the command and the backend are released together.
//!
//! # Platform
//!
//! Linux only; on another system the crate is empty.
#![cfg(any(target_os = "linux", target_os = "android"))]
#![forbid(unsafe_code)]

pub mod protocol;

#[cfg(feature = "program")]
mod create;
#[cfg(feature = "program")]
mod lock;
#[cfg(feature = "program")]
pub mod netlink;
#[cfg(feature = "program")]
pub mod policy;
#[cfg(feature = "program")]
mod rights;
#[cfg(feature = "program")]
mod routers;
#[cfg(feature = "program")]
mod sandbox;
#[cfg(feature = "program")]
mod serve;
#[cfg(feature = "program")]
mod state;

#[cfg(feature = "program")]
pub use serve::serve;
#[cfg(feature = "program")]
pub use state::{is_asked, limit_time};
