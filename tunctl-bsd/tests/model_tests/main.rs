//! The models of the drivers, against what is known of the systems: a wrong rule would invalidate every test
//! over the models.
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
