//! TUN/TAP numbers, layouts and system calls.
//!
//! This is the one crate of the workspace that contains `unsafe` code; every other crate forbids it at its
//! root. It knows neither the errors with remedies, nor the validated names, nor the traits of the crates
//! above: it turns each system call that they need into a safe function, named after what it does.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ioctl`] | the typed seam: each request is declared once, with its argument, direction and driver |
//! | [`linux`] | Linux: numbers and layouts (on every host), the calls (only there) |
//! | [`bsd`] | the BSD systems and macOS: numbers and layouts (on every host), the calls (only there) |
//! | [`checksum`] | a loop over bytes, compiled for the processor at hand |
//! | `signal` | what the process does at a signal, on any Unix system |
//! | `exec` | what a program is started with, on any Unix system |
//!
//! # Safety policy
//!
//! - `unsafe_code` is denied for the workspace. A module of this crate that needs it lifts the lint for
//!   itself, with the reason, so one search finds the modules to audit.
//! - Every `unsafe` block holds one operation, and its `SAFETY` comment proves that call: which memory the
//!   kernel touches, in which direction, how much of it, that it is initialised, and that it lives long
//!   enough.
//! - The dangerous half of an `ioctl`, that its number and its argument belong together, is proved once,
//!   where the request is declared: for one driver on Linux, for one system among the BSDs. Each call checks
//!   that, and so it is safe.
//! - What a proof needs of a value is in the value's type, or is checked: no proof relies on what the callers
//!   do.
//! - Numbers and layouts are data: they compile on every host, and constant assertions hold them, against
//!   `libc`'s own where it has them.

pub mod bsd;
pub mod checksum;
#[cfg(unix)]
pub mod exec;
pub mod ioctl;
pub mod linux;
#[cfg(unix)]
pub mod signal;
