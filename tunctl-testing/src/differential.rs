//! Holds the model of `tunctl-mock` to the running kernel.
//!
//! Random sequences of operations run on both, and after each operation everything that a program could see
//! is compared: the answer with its errno and cause, the bytes of packets, the poll bits of every open
//! device, and what the system received. A difference is shrunk, and printed as a test.
//!
//! Then virtio-net headers by themselves, each type of segmentation in front of each protocol, are compared
//! in the same way, and with the check that programs have.
//!
//! # What is switched off
//!
//! Of what the kernel does in its own time, nothing is masked: it is prevented. Interfaces get no IPv6
//! address of their own and look for no routers ([`crate::LinuxHarness`]), packets are injected past the
//! queueing discipline, taps get no IPv6 addresses, which the kernel would announce, and no packet is
//! addressed to the system, which would answer.
//!
//! One choice is the kernel's alone: which of several queues an injected packet goes to, unless the program
//! has just sent in its flow. See `world/outside.rs`.
//!
//! # Platform
//!
//! Linux, as root of the machine.

mod generate;
mod headers;
mod interface_call;
mod kernel;
mod message;
mod op;
mod packets;
mod pair;
mod parent;
mod pools;
pub(crate) mod random;
mod rust_test;
mod seen;
mod settings;
mod shrink;
mod table;
mod worker;
mod world;

use std::process::ExitCode;

use settings::{HELP, Settings};

use crate::campaign;

/// Runs what the command line asks for, or, in a process that was started as a worker, the worker's share of
/// it.
#[must_use]
pub fn main() -> ExitCode {
    let run = |settings: &Settings| match settings.worker {
        Some(number) => worker::run(settings, number),
        None => parent::run(settings),
    };
    campaign::main("differential", HELP, |words| Settings::parse(words), run)
}
