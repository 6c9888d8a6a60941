//! The targets, and what is kept of what was found.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::campaign::Campaign;
use crate::Outcome;

/// The names of the targets, in order.
pub(super) fn targets(folder: &Path) -> Outcome<Vec<String>> {
    let stem = |path: &PathBuf| path.file_stem().map(|name| name.to_string_lossy().into_owned());
    Ok(files(folder)?.iter().filter_map(stem).collect())
}

/// Makes the corpus anew: of what it has and what was found, the smallest inputs that together reach every
/// edge. Inputs that have a name of their own stay, and come first.
pub(super) fn keep(campaign: &Campaign) -> Outcome {
    let Campaign { name, program, corpus, found, .. } = campaign;
    let merged = found.with_extension("merged");
    // What an earlier run has left unfinished goes.
    let _ = fs::remove_dir_all(&merged);
    fs::create_dir_all(&merged).map_err(|error| format!("make {}: {error}", merged.display()))?;
    let (hashed, named): (Vec<_>, Vec<_>) = files(corpus)?.into_iter().partition(|path| is_hash(path));
    copy(&named, &merged)?;
    let status = Command::new(program)
        // Edges alone: how often each is passed would make it several times as large.
        .args(["-set_cover_merge=1", "-use_counters=0"])
        .args([&merged, corpus, found])
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("run {}: {error}", program.display()))?;
    if !status.success() {
        return Err(format!("{name}: what was found could not be merged: {status}"));
    }
    let kept: Vec<_> = files(&merged)?.into_iter().filter(|path| is_hash(path)).collect();
    for path in &hashed {
        fs::remove_file(path).map_err(|error| format!("remove {}: {error}", path.display()))?;
    }
    copy(&kept, corpus)?;
    println!("{name:<16} {} inputs that have a name, {} that were found", named.len(), kept.len());
    fs::remove_dir_all(&merged).map_err(|error| format!("remove {}: {error}", merged.display()))
}

fn copy(paths: &[PathBuf], to: &Path) -> Outcome {
    for path in paths {
        let file = path.file_name().unwrap_or_default();
        fs::copy(path, to.join(file)).map_err(|error| format!("copy {}: {error}", path.display()))?;
    }
    Ok(())
}

/// What is in a folder, in order.
fn files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| format!("list {}: {error}", folder.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Whether a file is called as libFuzzer does it: by the SHA-1 of what is in it.
fn is_hash(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.len() == 40 && name.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_has_a_name() {
        assert!(is_hash(Path::new("a/863e889b6d1005ce4ee36a7556c884597da34b22")));
        assert!(!is_hash(Path::new("a/seed-863e889b6d1005ce4ee36a7556c884597da")));
        assert!(!is_hash(Path::new("seed-ping-v4")));
    }
}
