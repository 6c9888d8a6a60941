//! No arrow points up: a crate depends on those below it only. Dev-dependencies are free.

use std::fs;

use super::{CRATES, read};
use crate::{Outcome, root};

pub(super) fn check() -> Outcome<Vec<String>> {
    let mut problems = Vec::new();
    for package in CRATES {
        let manifest = read(&root().join(package.folder()).join("Cargo.toml"))?;
        for dependency in dependencies(&manifest) {
            let ours = CRATES.iter().any(|other| other.name == dependency);
            if ours && !package.below.contains(&dependency.as_str()) {
                problems.push(format!("{} depends on {dependency}, which is not below it", package.name));
            }
        }
    }
    problems.extend(unknown_crates()?);
    Ok(problems)
}

/// The names under `[dependencies]`, also those of one target only.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            inside = section == "dependencies" || section.ends_with(".dependencies");
            if let Some(name) = section.strip_prefix("dependencies.") {
                found.push(name.to_owned());
            }
        } else if inside && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if !name.is_empty() {
                found.push(name.trim_matches('"').to_owned());
            }
        }
    }
    found
}

/// Workspaces of their own, on which nothing depends.
const APART: &[&str] = &["bench", "fuzz"];

/// Crates that the picture does not have.
fn unknown_crates() -> Outcome<Vec<String>> {
    let entries = fs::read_dir(root()).map_err(|error| format!("list the workspace: {error}"))?;
    let folders = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").exists());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let unknown = names
        .filter(|name| !APART.contains(&name.as_str()) && !CRATES.iter().any(|package| package.name == name));
    Ok(unknown.map(|name| format!("{name} has no place in the layers (xtask/src/tidy.rs)")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_told_from_dev_dependencies() {
        let manifest = "[dependencies.z]\n[package]\nname = \"x\"\n[dependencies]\n# why\na.workspace = true\nb = \"1\"\n\
                        [target.'cfg(unix)'.dependencies]\nc = { version = \"1\" }\n[dev-dependencies]\nd = \"1\"\n";
        assert_eq!(dependencies(manifest), ["z", "a", "b", "c"]);
    }
}
