//! The programs for a guest, linked so that they need nothing of the system that they run on.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, root};

/// Named, so that cargo gives the flags to this target only, and not to build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC: &str = "-C target-feature=+crt-static";

/// Where the programs are.
pub(super) struct Programs {
    /// The conformance suite.
    pub(super) suite: PathBuf,
    /// The command `tunctl`.
    pub(super) command: PathBuf,
}

/// Builds them.
pub(super) fn build() -> Outcome<Programs> {
    Ok(Programs {
        suite: build_one(
            &["test", "--no-run", "--package", "tunctl-linux", "--test", "conformance"],
            "test",
        )?,
        command: build_one(&["build", "--package", "tunctl-cli", "--bin", "tunctl"], "bin")?,
    })
}

fn build_one(what: &[&str], kind: &str) -> Outcome<PathBuf> {
    let shown = format!("cargo {}", what.join(" "));
    println!("\n── {shown}, statically linked");
    let output = Command::new(env!("CARGO"))
        .args(what)
        .args(["--target", TARGET, "--message-format=json-render-diagnostics"])
        .env("RUSTFLAGS", STATIC)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .current_dir(root())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("run cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("{shown} failed"));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let path = messages.lines().find_map(|message| executable(message, kind));
    path.map(PathBuf::from).ok_or_else(|| format!("{shown} does not say where the program is"))
}

/// The path in cargo's message about a program of this kind. (A path that JSON would have to escape is not
/// expected.)
fn executable<'a>(message: &'a str, kind: &str) -> Option<&'a str> {
    let is_of_kind = message.contains(&format!("\"kind\":[\"{kind}\"]"));
    let (_, rest) = message.split_once("\"executable\":\"").filter(|_| is_of_kind)?;
    rest.split_once('"').map(|(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_that_of_the_kind() {
        let test = r#"{"target":{"kind":["test"],"name":"x"},"executable":"/target/x-1","fresh":true}"#;
        assert_eq!(executable(test, "test"), Some("/target/x-1"));
        assert_eq!(executable(r#"{"target":{"kind":["bin"]},"executable":"/target/y"}"#, "test"), None);
        assert_eq!(executable(r#"{"target":{"kind":["test"]},"executable":null}"#, "test"), None);
    }
}
