//! `cargo xtask faults`: makes each system call of the command and of the library fail.

use crate::{Outcome, differential, tool};

/// Builds the command and the task beside each other, and runs it.
pub(crate) fn run(options: &[&str]) -> Outcome {
    if let Some(why) = differential::obstacle() {
        return Err(why);
    }
    tool::cargo(&["build", "--quiet", "--package", "tunctl-cli", "--package", "tunctl-testing", "--bins"])?;
    tool::campaign(tool::Build::AsTests, "faults", options)
        .map_err(|_| "a fault does harm, or the task did not run: see above".to_owned())
}
