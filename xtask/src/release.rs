//! `cargo xtask release`: checks what a release would publish: that the packages can be made, and that the
//! libraries' public items are those in the snapshot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::apt::capture;
use crate::msrv::OTHERS;
use crate::tool::{self, Tool};
use crate::{Outcome, root, tidy};

/// Lists the public items of a crate.
const TOOL: Tool = Tool::new("cargo-public-api", "0.52.0");
/// Where the snapshot is, from the root of the workspace: a file for each library.
const SNAPSHOT: &str = "docs/api";

/// Checks the packages and the snapshot, or renews the snapshot.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let renew = match options {
        [] => false,
        ["--renew"] => true,
        _ => return Err(format!("{} is no option of this task: there is --renew", options.join(" "))),
    };
    if !renew {
        package()?;
    }
    let tool = TOOL.provide()?;
    let documented = document(&tool::folder("published"))?;
    let mut changed = Vec::new();
    for library in libraries() {
        let json = documented.join(library.replace('-', "_")).with_extension("json");
        let items = list(&tool, &json)?;
        let file = root().join(SNAPSHOT).join(library).with_extension("txt");
        if renew {
            fs::write(&file, items).map_err(|error| format!("write {}: {error}", file.display()))?;
            continue;
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        if kept != items {
            println!("\n{library}\n{}", differences(&kept, &items));
            changed.push(library);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the public items of {} have changed: if that is meant, `cargo xtask release --renew`",
        changed.join(", ")
    ))
}

fn libraries() -> impl Iterator<Item = &'static str> {
    tidy::crates().filter(|name| !OTHERS.contains(name))
}

/// Makes all packages, and compiles none. cargo keeps what it has unpacked of a package by its version alone,
/// so it would compile a changed crate with the siblings of an earlier run.
fn package() -> Outcome {
    let unpublished = ["--exclude", "tunctl-testing", "--exclude", "xtask"];
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["package", "--workspace", "--no-verify", "--allow-dirty", "--locked", "--quiet"])
        .args(unpublished);
    capture(cargo.current_dir(root())).map(drop)
}

/// Describes the libraries in rustdoc's JSON, which is not stable; returns where the descriptions are.
fn document(folder: &Path) -> Outcome<PathBuf> {
    let build = folder.join("build");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["doc", "--workspace", "--lib", "--no-deps", "--all-features", "--locked", "--quiet"])
        .args(OTHERS.iter().flat_map(|other| ["--exclude", other]))
        .arg("--target-dir")
        .arg(&build)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTDOCFLAGS", "-Zunstable-options --output-format json");
    capture(cargo.current_dir(root()))?;
    Ok(build.join("doc"))
}

/// The public items, one a line, without the implementations that follow from a type's fields and derives.
fn list(tool: &Path, json: &Path) -> Outcome<String> {
    let mut command = Command::new(tool);
    command.args(["public-api", "-sss", "--rustdoc-json"]).arg(json);
    capture(&mut command).map(|printed| String::from_utf8_lossy(&printed).into_owned())
}

/// The lines that only one of two texts has.
fn differences(before: &str, after: &str) -> String {
    let only = |sign: char, one: &str, other: &str| -> String {
        let lines = one.lines().filter(|line| !other.lines().any(|known| known == *line));
        lines.map(|line| format!("{sign} {line}\n")).collect()
    };
    only('-', before, after) + &only('+', after, before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_what_went_and_what_came() {
        assert_eq!(differences("a\nb\n", "b\nc\n"), "- a\n+ c\n");
        assert_eq!(differences("a\n", "a\n"), "");
    }

    #[test]
    fn each_library_has_a_snapshot_and_each_snapshot_a_library() {
        let files = fs::read_dir(root().join(SNAPSHOT)).unwrap();
        let mut kept: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        let mut wanted: Vec<_> = libraries().map(|library| format!("{library}.txt")).collect();
        kept.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(kept, wanted);
    }
}
