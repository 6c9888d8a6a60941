//! The models of the drivers, held against what is known of the systems: a rule that they have wrong makes every test over them wrong.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, reason = "tests")]

#[path = "../models/mod.rs"]
mod models;

mod arguments;
mod dragonfly;
mod every;
mod fixture;
mod freebsd;
mod macos;
mod netbsd;
mod openbsd;
