//! Programs of crates that a task needs: each in one release, in a folder of its own in the user's cache, so
//! that nothing else of the user's changes.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, cache, root, target};

/// A program that cargo installs: a subcommand of cargo, if it is named so.
pub(crate) struct Tool {
    /// The crate; of a subcommand, `cargo-` and the subcommand.
    pub(crate) name: &'static str,
    pub(crate) program: &'static str,
    /// The one release that is used.
    pub(crate) release: &'static str,
}

impl Tool {
    /// One whose program is named after the crate.
    pub(crate) const fn new(name: &'static str, release: &'static str) -> Self {
        Self { name, program: name, release }
    }

    /// Installs it, unless it is there; returns its program.
    pub(crate) fn provide(&self) -> Outcome<PathBuf> {
        let Self { name, program, release } = self;
        let folder = cache().join(format!("{name}-{release}"));
        let program = folder.join("bin").join(program).with_extension(env::consts::EXE_EXTENSION);
        let subcommand = name.strip_prefix("cargo-");
        let told = Command::new(&program).args(subcommand).arg("--version").stderr(Stdio::null()).output();
        if told.is_ok_and(|told| is_release(release, &String::from_utf8_lossy(&told.stdout))) {
            return Ok(program);
        }
        println!("installing {name} {release}: once");
        let status = Command::new(env!("CARGO"))
            .args(["install", name, "--version", release, "--locked", "--quiet", "--root"])
            .arg(&folder)
            .current_dir(root())
            .status()
            .map_err(|error| format!("run cargo: {error}"))?;
        if status.success() { Ok(program) } else { Err(format!("{name} was not installed")) }
    }
}

/// How a program of the tests is built for a run.
#[derive(Clone, Copy)]
pub(crate) enum Build {
    /// For a long run.
    Optimised,
    /// As the tests are, of which most is compiled by then: for a run that takes less time than optimisation.
    AsTests,
}

/// Builds one of the programs that tunctl-testing has, and runs it.
pub(crate) fn campaign(build: Build, name: &str, options: &[&str]) -> Outcome {
    let optimised: &[&str] = match build {
        Build::Optimised => &["--release"],
        Build::AsTests => &[],
    };
    let program = ["--quiet", "--package", "tunctl-testing", "--bin", name, "--"];
    cargo(&[&["run"], optimised, &program, options].concat())
}

/// Runs cargo from the root of the workspace, and shows what it prints.
pub(crate) fn cargo(arguments: &[&str]) -> Outcome {
    let status = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(root())
        .status()
        .map_err(|error| format!("run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
}

/// The target that is this machine's.
pub(crate) fn host() -> Outcome<String> {
    let told = Command::new("rustc").arg("-vV").output().map_err(|error| format!("run rustc: {error}"))?;
    let told = String::from_utf8_lossy(&told.stdout);
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc doesn't tell its host".to_owned())
}

/// Whether that is the release which a program tells.
fn is_release(release: &str, told: &str) -> bool {
    told.split_whitespace().next_back() == Some(release)
}

/// A folder for what a task makes, among what cargo builds.
pub(crate) fn folder(task: &str) -> PathBuf {
    target().join(task)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_the_whole_last_word() {
        assert!(is_release("27.1.0", "cargo-mutants 27.1.0\n"));
        assert!(!is_release("7.1.0", "cargo-mutants 27.1.0\n"));
        assert!(!is_release("27.1.0", ""));
    }
}
