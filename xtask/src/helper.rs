//! `cargo xtask helper`: the privileged helper as it is installed.
//!
//! It is one file without a loader or libraries, so that nobody can have it load others: linked statically,
//! which cargo does only for a target that is named, or else to procedural macros, too.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, root, target, tool};

const PROFILE: &str = "helper";

pub(crate) fn run() -> Outcome {
    let program = build()?;
    println!("{}", program.strip_prefix(root()).unwrap_or(&program).display());
    println!("install it as root: tunctl helper install --program FILE");
    Ok(())
}

/// Builds it, and returns where it is.
pub(crate) fn build() -> Outcome<PathBuf> {
    let status = command(root())?.status().map_err(|error| format!("run cargo: {error}"))?;
    if !status.success() {
        return Err("the helper was not built".into());
    }
    Ok(target().join(tool::host()?).join(PROFILE).join("tunctl-helper"))
}

/// The command that builds the helper of a checkout, in the target folder of that one.
pub(crate) fn command(checkout: &Path) -> Outcome<Command> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args([
            "build",
            "--quiet",
            "--package",
            "tunctl-helper",
            "--profile",
            PROFILE,
            "--target",
            &tool::host()?,
        ])
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(checkout);
    if checkout != root() {
        command.env("CARGO_TARGET_DIR", checkout.join("target"));
    }
    Ok(command)
}
