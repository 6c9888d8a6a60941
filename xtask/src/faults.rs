//! `cargo xtask faults`: makes each system call of the command and of the library fail.

use std::process::Command;

use crate::{Outcome, differential, root};

/// Builds the command and the task beside each other, and runs it.
pub(crate) fn run(options: &[&str]) -> Outcome {
    if let Some(why) = differential::obstacle() {
        return Err(why);
    }
    let cargo = |arguments: &[&str]| {
        let status = Command::new(env!("CARGO")).args(arguments).current_dir(root()).status();
        status.map_err(|error| format!("run cargo: {error}"))
    };
    let built =
        cargo(&["build", "--quiet", "--package", "tunctl-cli", "--package", "tunctl-testing", "--bins"])?;
    if !built.success() {
        return Err("the programs to disturb could not be built".into());
    }
    let run = ["run", "--quiet", "--package", "tunctl-testing", "--bin", "faults", "--"];
    let status = cargo(&[&run[..], options].concat())?;
    if status.success() { Ok(()) } else { Err("a fault does harm".into()) }
}
