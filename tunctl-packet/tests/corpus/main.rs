//! Every input of the corpus that the fuzz targets start from holds.
//!
//! The corpus is in `fuzz/corpus`, in a folder for each target: the [`seeds`], and what fuzzing found since
//! (`cargo xtask fuzz --keep`), named by its hash. An input for which a property did not hold also belongs
//! there, under a name that describes it, so that it stays tested.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../properties/mod.rs"]
mod properties;
mod seeds;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Seeds are written where they are missing if this is set, instead of failing.
const WRITE: &str = "TUNCTL_WRITE_SEEDS";
/// What a corpus may have at most: it is read by every test run, and kept for ever.
const FILES_MAX: usize = 200;
const BYTES_MAX: usize = 100 * 1024;

fn fuzz() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz"))
}

/// What is in a folder, in order.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_input_holds() {
    for (name, property) in properties::ALL {
        let inputs = entries(&fuzz().join("corpus").join(name));
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for path in inputs {
            println!("{}", path.display());
            property(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn each_property_has_a_target_and_a_corpus_and_nothing_else_has() {
    let properties = properties::ALL.map(|(name, _)| name.to_owned());
    let stems = |folder| {
        let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
        // Those of the helper are that crate's.
        let ours = |name: &String| !name.starts_with("helper_");
        entries(&fuzz().join(folder)).iter().map(name).filter(ours).collect::<Vec<_>>()
    };
    assert_eq!(stems("fuzz_targets"), properties);
    assert_eq!(stems("corpus"), properties);
}

#[test]
fn a_corpus_is_small() {
    for (name, _) in properties::ALL {
        let files = entries(&fuzz().join("corpus").join(name));
        let bytes: usize = files.iter().map(|path| fs::read(path).unwrap().len()).sum();
        assert!(files.len() <= FILES_MAX, "{name} has {} files", files.len());
        assert!(bytes <= BYTES_MAX, "{name} has {bytes} bytes");
    }
}

#[test]
fn the_seeds_are_in_the_corpus() {
    let write = std::env::var_os(WRITE).is_some();
    let targets: BTreeSet<_> = seeds::all().into_iter().map(|seed| seed.target).collect();
    assert_eq!(Vec::from_iter(targets), properties::ALL.map(|(name, _)| name));
    for seeds::Seed { target, name, bytes } in seeds::all() {
        let path = fuzz().join("corpus").join(target).join(format!("seed-{name}"));
        if write {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let kept = fs::read(&path).ok();
        assert!(kept == Some(bytes), "{} is another: set {WRITE}=1 to write it", path.display());
    }
}
