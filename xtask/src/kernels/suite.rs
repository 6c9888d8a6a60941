//! The test binary, linked so that it needs nothing of the system that it runs on.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, root};

const PACKAGE: &str = "tunctl-linux";
const TEST: &str = "conformance";
/// Named, so that cargo gives the flags to this target only, and not to build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC: &str = "-C target-feature=+crt-static";

/// Builds it, and returns where it is.
pub(super) fn build() -> Outcome<PathBuf> {
    println!("\n── {TEST} of {PACKAGE}, statically linked");
    let output = Command::new(env!("CARGO"))
        .args(["test", "--no-run", "--package", PACKAGE, "--test", TEST, "--target", TARGET])
        .arg("--message-format=json-render-diagnostics")
        .env("RUSTFLAGS", STATIC)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("the test {TEST} of {PACKAGE} does not build"));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let path = messages.lines().find_map(executable);
    path.map(PathBuf::from).ok_or_else(|| format!("cargo does not say where the test {TEST} is"))
}

/// The path in cargo's message about a test binary. (A path that JSON would have to escape is not expected.)
fn executable(message: &str) -> Option<&str> {
    let is_test = message.contains("\"kind\":[\"test\"]");
    let (_, rest) = message.split_once("\"executable\":\"").filter(|_| is_test)?;
    rest.split_once('"').map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_that_of_the_test() {
        let test = r#"{"target":{"kind":["test"],"name":"x"},"executable":"/target/x-1","fresh":true}"#;
        assert_eq!(executable(test), Some("/target/x-1"));
        assert_eq!(executable(r#"{"target":{"kind":["bin"]},"executable":"/target/y"}"#), None);
        assert_eq!(executable(r#"{"target":{"kind":["test"]},"executable":null}"#), None);
    }
}
