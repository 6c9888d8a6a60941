//! Every test binary beside the sources is one that `cargo xtask test` runs.

use std::path::PathBuf;

use super::CRATES;
use crate::{Outcome, root};

/// Test binaries that need a kernel, by package: they make their own namespaces, and skip what they may not
/// do.
pub(crate) const KERNEL_TESTS: &[(&str, &str)] = &[
    ("tunctl-testing", "launcher"),
    ("tunctl-linux", "kernel"),
    ("tunctl-linux", "conformance"),
    ("tunctl-helper", "attacks"),
    ("tunctl-mio", "adapter"),
    ("tunctl-tokio", "adapter"),
    ("tunctl-helper", "conformance"),
    ("tunctl-cli", "command"),
    ("tunctl", "examples"),
    ("tunctl-vpn", "kernel"),
];

/// Test binaries that need nothing of the system, by package.
pub(crate) const PURE_TESTS: &[(&str, &[&str])] = &[
    ("tunctl-sys", &["signal_handler"]),
    ("tunctl-helper", &["corpus"]),
    (
        "tunctl-packet",
        &[
            "bpf", "build", "corpus", "filter", "headers", "hostile", "offload", "refusal", "reply",
            "router", "view", "vnet",
        ],
    ),
    ("tunctl-bsd", &["conformance", "model_tests", "syscall_tests"]),
    ("tunctl-mock", &["conformance", "mock"]),
    ("tunctl-pump", &["pump"]),
];

/// The one that is at work where there is no kernel of Linux's. On Linux it has little to do.
pub(crate) const NATIVE_TEST: (&str, &str) = ("tunctl-bsd", "system");

pub(super) fn check() -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for package in CRATES {
        // A crate without tests of this kind has no such folder.
        let Ok(entries) = std::fs::read_dir(root().join(package.folder()).join("tests")) else {
            continue;
        };
        // A folder without a `main.rs` is the modules of one beside it.
        let is_target = |path: &PathBuf| {
            path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").exists()
        };
        for path in entries.flatten().map(|entry| entry.path()).filter(is_target) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !is_run(package.name, &name) {
                problems
                    .push(format!("{}/tests/{name} is run by no stage of `cargo xtask test`", package.name));
            }
        }
    }
    Ok(problems)
}

fn is_run(package: &str, test: &str) -> bool {
    let is_pure = PURE_TESTS.iter().any(|(of, tests)| *of == package && tests.contains(&test));
    is_pure || KERNEL_TESTS.contains(&(package, test)) || NATIVE_TEST == (package, test)
}
