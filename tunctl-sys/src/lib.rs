//! TUN/TAP numbers, layouts and system calls.
//!
//! This is the one crate of the workspace that contains `unsafe` code; every other crate forbids it at its root.
//! It knows nothing of errors with remedies, of names that are valid, or of traits: it turns each system call
//! that the crates above need into a safe function that says in its name what it does.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ioctl`] | the typed seam: an `ioctl` request is declared once, with its argument and its direction |
//! | [`linux`] | Linux: numbers and layouts (compiled on every host), and the calls (on Linux) |
//! | [`bsd`] | the BSD systems and macOS: numbers and layouts (compiled on every host), and the calls (on these systems) |
//!
//! # Safety policy
//!
//! - `unsafe_code` is denied for the workspace. A module of this crate that needs it lifts the lint for itself,
//!   with the reason, so the modules to audit are found by one search.
//! - Every `unsafe` block holds one operation, and its `SAFETY` comment proves that very call: which memory the
//!   kernel touches, in which direction, how much of it, that it is initialised, and that it lives long enough.
//! - The dangerous half of an `ioctl`, that its number and its argument belong together, is proved once, where
//!   the request is declared; calling a declared request is safe.
//! - Numbers and layouts are data: they compile on every host and are held by constant assertions, against
//!   `libc`'s own where it has them.

pub mod bsd;
pub mod ioctl;
pub mod linux;
