//! Every test binary beside the sources is one that `cargo xtask test` runs.

use super::CRATES;
use crate::{Outcome, root};

/// Test binaries that need a kernel, by package: they make their own namespaces, and skip what they may not do.
pub(crate) const KERNEL_TESTS: &[(&str, &str)] = &[
    ("tunctl-testing", "launcher"),
    ("tunctl-linux", "kernel"),
    ("tunctl-linux", "conformance"),
    ("tunctl-mio", "adapter"),
    ("tunctl-tokio", "adapter"),
    ("tunctl", "command"),
    ("tunctl", "examples"),
];

/// Other test binaries beside the sources.
pub(crate) const PURE_TESTS: &[&str] = &["tunctl-sys", "tunctl-packet", "tunctl-bsd", "tunctl-mock"];

pub(super) fn check() -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for package in CRATES.iter().filter(|package| !PURE_TESTS.contains(&package.name)) {
        // A crate without tests of this kind has no such folder.
        let Ok(entries) = std::fs::read_dir(root().join(package.name).join("tests")) else {
            continue;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !KERNEL_TESTS.contains(&(package.name, name.as_str())) {
                problems
                    .push(format!("{}/tests/{name} is run by no stage of `cargo xtask test`", package.name));
            }
        }
    }
    Ok(problems)
}
