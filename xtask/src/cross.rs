//! `cargo xtask cross`: compiles and lints the workspace for the systems that this one is not.

use crate::toolchain::{self, Toolchain};
use crate::{Outcome, targets};

/// Systems that have TUN interfaces, and that Rust knows.
const TARGETS: &[&str] = &[
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
    "x86_64-unknown-openbsd",
    "x86_64-unknown-dragonfly",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
];

/// Lints for the targets that are named, or for all.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let targets = targets::named(options, TARGETS)?;
    let toolchain = toolchain::provide()?;
    targets::together(&targets, |targets| lint(&toolchain, targets), |target| lint(&toolchain, &[target]))
}

/// All code, tests and examples too. All features, because those that Linux's tests turn on are off elsewhere.
fn lint(toolchain: &Toolchain, targets: &[&str]) -> Outcome {
    let status = toolchain
        .cargo("clippy", targets)
        .args(["--workspace", "--all-targets", "--all-features", "--keep-going", "--", "-D", "warnings"])
        .status()
        .map_err(|error| format!("run clippy: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("it does not pass ({status})")) }
}
