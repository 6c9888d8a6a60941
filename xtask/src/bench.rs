//! `cargo xtask bench`: measures, in a package that nothing else builds.

use std::process::Command;

use crate::{Outcome, root};

/// Builds the benchmark optimised, and runs it in a namespace that it makes itself.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--release", "--manifest-path", "bench/Cargo.toml", "--"])
        .args(options)
        .current_dir(root())
        .status()
        .map_err(|error| format!("run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the benchmark failed".into()) }
}
