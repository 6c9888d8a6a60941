//! How the kernel tests of this workspace run, and where their evidence comes from.
//!
//! A test binary with `harness = false` lists its [cases](Case) and hands them to [`main`]. Each case runs in
//! a process of its own, which starts single-threaded and enters a new user, network and mount namespace
//! before it does anything else: so a case never meets the machine's interfaces, nor another case's, and
//! chooses names freely.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use tunctl_testing::{case, link};
//!
//! fn loopback_is_up() {
//!     let lo = link("lo").expect("every namespace has one");
//!     assert_eq!(lo["operstate"], "UNKNOWN");
//! }
//!
//! fn main() -> ExitCode {
//!     tunctl_testing::main(vec![case!(loopback_is_up)])
//! }
//! ```
//!
//! # What cannot run
//!
//! A case that the machine does not allow is *skipped*: its line says why, and the reasons stand once more at
//! the end. With `TUNCTL_REQUIRE_KERNEL=1` in the environment each skip is a failure instead.
//!
//! # Evidence
//!
//! What a library did is not to be read from the library's own getters: [`link`], [`addresses`] ask iproute2,
//! [`Strace`] asks the kernel about system calls, [`Snapshot`] counts what is left behind.
//!
//! # The conformance suite
//!
//! [`LinuxHarness`] puts the Linux backend and the running kernel under the suite of `tunctl-conformance`,
//! and [`conformance_cases`] makes cases of it. It runs no program, so that it is fast, and works where none
//! is installed: its evidence comes from [`sysfs`], [`rtnetlink`] and [`packets`].
//!
//! # The comparison
//!
//! [`differential`] runs random sequences of operations on the mock and on the kernel.
//!
//! # Faults
//!
//! [`faults`] makes each system call of the command and of the library fail, and looks what is left.
//!
//! # Filters
//!
//! [`filters`] holds filter expressions to tcpdump's.
//!
//! # Segmentation
//!
//! [`oracle`] holds the segmentation of large packets to the kernel's.
//!
//! # Platform
//!
//! Linux. On another system the crate is empty.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::missing_panics_doc, reason = "a panic is how a case fails")]

pub mod caller;
mod campaign;
mod case;
mod child;
pub mod differential;
mod elsewhere;
pub mod faults;
pub mod filters;
mod harness;
mod helper;
mod ip;
mod launcher;
pub mod oracle;
pub mod packets;
mod process;
mod profile;
pub mod programs;
pub mod rtnetlink;
mod skip;
mod slow_link;
mod snapshot;
mod strace;
pub mod sysfs;

use std::env;
use std::process::ExitCode;

pub use case::{Case, name, on_both};
pub use child::{CLOSED_NODE, DRIVERLESS_NODE, OPEN_NODE, mount_nodes};
pub use elsewhere::OtherNamespace;
pub use harness::{LinuxHarness, conformance_cases, poll_state};
pub use helper::{HelperHarness, built_helper, grant, helper_conformance_cases, install_helper};
pub use ip::{addresses, driver_report, exists, has_flag, ip, ip_json, link, links, others};
pub use process::{Background, entry, finish};
pub use skip::skip;
pub use slow_link::{set_link_rate, tap_with_slow_link, wait_until_forwarding};
pub use snapshot::{Snapshot, is_close_on_exec, open_files};
pub use strace::{Call, Strace, Trace, mark};

/// Runs the cases as the command line says, which is that of every Rust test: `cargo test -- FILTER`,
/// `--list`, …
///
/// In a process that was started for one case it runs that case.
#[must_use]
pub fn main(cases: Vec<Case>) -> ExitCode {
    match env::var(process::CASE) {
        Ok(name) => child::run(&cases, &name),
        Err(_) => launcher::run(cases),
    }
}
