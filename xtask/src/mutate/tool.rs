//! cargo-mutants, in the one release whose names of mutants the list has.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, root};

const CRATE: &str = "cargo-mutants";
const RELEASE: &str = "27.1.0";

/// Where it is, and what it writes.
pub(super) fn folder() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    root().join(target).join("mutants")
}

/// Installs it unless it is there.
pub(super) fn provide() -> Outcome<PathBuf> {
    let folder = folder();
    let program = folder.join("bin").join(CRATE).with_extension(env::consts::EXE_EXTENSION);
    let told = Command::new(&program).args(["mutants", "--version"]).stderr(Stdio::null()).output();
    if told.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).trim_end().ends_with(RELEASE)) {
        return Ok(program);
    }
    println!("installing {CRATE} {RELEASE}: once");
    let status = Command::new(env!("CARGO"))
        .args(["install", CRATE, "--version", RELEASE, "--locked", "--quiet", "--root"])
        .arg(&folder)
        .current_dir(root())
        .status()
        .map_err(|error| format!("run cargo: {error}"))?;
    if status.success() { Ok(program) } else { Err(format!("{CRATE} was not installed")) }
}
