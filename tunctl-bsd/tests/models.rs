//! The models of the drivers, held against what is known of the systems: a rule that they have wrong makes every test over them wrong.
#![allow(clippy::expect_used, reason = "tests")]

#[path = "models/mod.rs"]
mod models;

#[path = "checks/arguments.rs"]
mod arguments;
#[path = "checks/dragonfly.rs"]
mod dragonfly;
#[path = "checks/every.rs"]
mod every;
#[path = "checks/freebsd.rs"]
mod freebsd;
#[path = "checks/macos.rs"]
mod macos;
#[path = "checks/netbsd.rs"]
mod netbsd;
#[path = "checks/openbsd.rs"]
mod openbsd;
#[path = "checks/rig.rs"]
mod rig;
