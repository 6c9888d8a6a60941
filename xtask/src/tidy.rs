//! `cargo xtask tidy`: what the architecture promises, checked.

mod arrows;
mod linux;
mod map;
mod models;
mod outsiders;
mod targets;
mod traps;
mod unsafety;
mod width;

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Outcome, root};

pub(crate) use targets::{KERNEL_TESTS, NATIVE_TEST, PURE_TESTS};

/// The crates of the workspace, from the bottom up: each may depend on what stands before it, where the
/// arrows of ARCHITECTURE.md say so.
const CRATES: &[Crate] = &[
    Crate { name: "tunctl-sys", below: &[] },
    Crate { name: "tunctl-packet", below: &[] },
    Crate { name: "tunctl-core", below: &["tunctl-packet", "tunctl-sys"] },
    Crate { name: "tunctl-conformance", below: &["tunctl-core", "tunctl-packet"] },
    Crate { name: "tunctl-helper", below: &["tunctl-sys"] },
    Crate { name: "tunctl-linux", below: &["tunctl-core", "tunctl-helper", "tunctl-packet", "tunctl-sys"] },
    Crate { name: "tunctl-bsd", below: &["tunctl-core", "tunctl-packet", "tunctl-sys"] },
    Crate { name: "tunctl-mock", below: &["tunctl-core", "tunctl-packet", "tunctl-conformance"] },
    Crate { name: "tunctl-capture", below: &["tunctl-core", "tunctl-packet"] },
    Crate { name: "tunctl-mio", below: &["tunctl-core"] },
    Crate { name: "tunctl-tokio", below: &["tunctl-core"] },
    Crate { name: "tunctl-pump", below: &["tunctl-core"] },
    Crate {
        name: "tunctl",
        below: &[
            "tunctl-core",
            "tunctl-packet",
            "tunctl-linux",
            "tunctl-bsd",
            "tunctl-mock",
            "tunctl-capture",
            "tunctl-mio",
            "tunctl-tokio",
            "tunctl-pump",
        ],
    },
    Crate { name: "tunctl-cli", below: &["tunctl", "tunctl-helper", "tunctl-sys"] },
    Crate { name: "tunctl-vpn", below: &["tunctl"] },
    // For tests alone; they stand outside of the layers, and nothing but tests depends on them.
    Crate {
        name: "tunctl-testing",
        below: &[
            "tunctl-core",
            "tunctl-conformance",
            "tunctl-linux",
            "tunctl-mock",
            "tunctl-packet",
            "tunctl-sys",
        ],
    },
    Crate { name: "xtask", below: &["tunctl-sys"] },
];

/// Their names.
pub(crate) fn crates() -> impl Iterator<Item = &'static str> {
    CRATES.iter().map(|one| one.name)
}

struct Crate {
    name: &'static str,
    below: &'static [&'static str],
}

impl Crate {
    /// Where it is: whole programs that show the library stand apart.
    fn folder(&self) -> &'static str {
        match self.name {
            "tunctl-vpn" => "examples/vpn",
            name => name,
        }
    }
}

pub(crate) fn run() -> Outcome {
    let checks = [
        map::check()?,
        unsafety::check()?,
        arrows::check()?,
        targets::check()?,
        outsiders::check()?,
        width::check()?,
        linux::check()?,
        models::check()?,
        traps::check()?,
    ];
    let problems: Vec<String> = checks.into_iter().flatten().collect();
    for problem in &problems {
        println!("tidy: {problem}");
    }
    match problems.len() {
        0 => {
            println!(
                "the map is true and whole, unsafe code is in tunctl-sys only, no arrow points up, every test target \
                 is run, a backend is little work, comments fit, the table of Linux's driver is true, each trap of \
                 offload has a test, and what was read in a kernel's source names the function"
            );
            Ok(())
        }
        count => Err(format!("{count} things are not tidy")),
    }
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))
}

/// Whether a file has a test, or a case of a suite, of this name.
fn has_case(file: &str, case: &str) -> bool {
    let has = |text: String| ["(", "<"].iter().any(|next| text.contains(&format!("fn {case}{next}")));
    read(&root().join(file)).is_ok_and(has)
}

/// The Rust files below a folder of the workspace.
fn sources(folder: &str) -> Outcome<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| format!("list {}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| format!("list {}: {error}", folder.display()))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
