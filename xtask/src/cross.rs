//! `cargo xtask cross`: compiles and lints the workspace for the systems that this one is not, and the crate
//! that needs no system for a machine without one.

use crate::toolchain::{self, Library, Toolchain};
use crate::{Outcome, targets};

/// Systems that have TUN interfaces, and that Rust knows; Linux on machines whose addresses have 32 bits, or
/// whose byte order is the other one, and with other C libraries; and [`BARE`].
const TARGETS: &[&str] = &[
    "x86_64-unknown-freebsd",
    "x86_64-unknown-netbsd",
    "x86_64-unknown-openbsd",
    "x86_64-unknown-dragonfly",
    "x86_64-apple-darwin",
    "armv7-unknown-linux-musleabihf",
    "aarch64-linux-android",
    "s390x-unknown-linux-gnu",
    BARE,
];

/// These have nothing that none of the above has, nor this machine. So a check of all does without them.
const ON_REQUEST: &[&str] =
    &["aarch64-apple-darwin", "x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu"];

/// A microcontroller: it has no operating system and no standard library, and its pointers have 32 bits.
const BARE: &str = "thumbv7em-none-eabihf";
/// The crate that is `no_std`. A host would hide a use of `std` in it or below it.
const NO_STD: &str = "tunctl-packet";

/// Lints for the targets that are named, or for all but those on request.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let targets = targets::named(options, TARGETS, ON_REQUEST)?;
    let toolchain = toolchain::provide()?;
    targets::together(
        &targets,
        |targets| lint_systems(&toolchain, targets),
        |target| if target == BARE { lint_bare(&toolchain) } else { lint_systems(&toolchain, &[target]) },
    )
}

/// All code, tests and examples too. All features, because those that Linux's tests turn on are off
/// elsewhere.
fn lint_systems(toolchain: &Toolchain, targets: &[&str]) -> Outcome {
    let systems: Vec<&str> = targets.iter().copied().filter(|target| *target != BARE).collect();
    if systems.is_empty() {
        return Ok(());
    }
    let options = ["--workspace", "--all-targets", "--all-features", "--keep-going"];
    lint(toolchain, Library::Std, &systems, &options)
}

/// The library alone: its tests take `std`.
fn lint_bare(toolchain: &Toolchain) -> Outcome {
    lint(toolchain, Library::Alloc, &[BARE], &["--package", NO_STD, "--lib"])
}

fn lint(toolchain: &Toolchain, library: Library, targets: &[&str], options: &[&str]) -> Outcome {
    let status = toolchain
        .cargo("clippy", library, targets)
        .args(options)
        .args(["--", "-D", "warnings"])
        .status()
        .map_err(|error| format!("run clippy: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("it does not pass ({status})")) }
}
