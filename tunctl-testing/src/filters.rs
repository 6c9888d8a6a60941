//! Holds the filter expressions of `tunctl-packet` to libpcap.
//!
//! Random expressions are compiled by tcpdump, for Ethernet frames and for IP packets. Over random and real
//! packets, the verdicts must agree: those of tcpdump's programs in our interpreter, that of our own program,
//! and that of our tree.
//!
//! Among the packets are some that are cut off. A load past the end drops a packet, so they show in which
//! order an expression's conditions are tested. libpcap's optimizer removes loads that decide nothing, and so
//! changes the fate of some of these packets: where tcpdump's own programs, with the optimizer and without
//! it, disagree, ours is free. Where they disagree about a whole packet, the optimizer is mistaken.
//!
//! # Platform
//!
//! Linux, with tcpdump. It needs no right.

mod compare;
mod expressions;
mod packets;
mod settings;
mod tcpdump;

use std::process::ExitCode;

use settings::{HELP, Settings};

use crate::campaign;

/// Runs what the command line asks for.
#[must_use]
pub fn main() -> ExitCode {
    campaign::main("filters", HELP, |words| Settings::parse(words), compare::run)
}
