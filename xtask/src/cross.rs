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
/// An example for Linux alone. Its ciphers are C and assembler, and would take a compiler for each system.
const FOR_LINUX: &str = "tunctl-vpn";
/// The crate that is `no_std`. A host would hide a use of `std` in it or below it.
const NO_STD: &str = "tunctl-packet";

/// Lints for the targets that are named, or for all but those on request.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let targets = targets::named(options, TARGETS, ON_REQUEST)?;
    let toolchain = toolchain::provide()?;
    let (bare, systems): (Vec<_>, Vec<_>) = targets.into_iter().partition(|target| *target == BARE);
    let linted = lint_systems(&toolchain, &systems);
    if bare.is_empty() {
        return linted;
    }
    println!("\n── {BARE}");
    linted.and(lint_bare(&toolchain))
}

/// Lints for systems at once, and one by one if that fails: to tell whose failure it is. What has passed is
/// not linted by itself, too, which cargo would begin anew: the features of several targets together are
/// others than those of each.
fn lint_systems(toolchain: &Toolchain, systems: &[&'static str]) -> Outcome {
    // All code, tests and examples too. All features, because those that Linux's tests turn on are off
    // elsewhere.
    let options = ["--workspace", "--exclude", FOR_LINUX, "--all-targets", "--all-features", "--keep-going"];
    let work = |systems: &[&str]| lint(toolchain, Library::Std, systems, &options);
    match systems {
        [] => Ok(()),
        [system] => work(&[*system]),
        several => targets::at_once(several, work).or_else(|_| targets::each(several, |one| work(&[one]))),
    }
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
