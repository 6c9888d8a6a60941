//! The kept inputs of the fuzz targets hold.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod properties;

use std::fs;
use std::path::Path;

#[test]
fn every_kept_input_holds() {
    let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus"));
    for (name, property) in properties::ALL {
        let listed = fs::read_dir(corpus.join(name)).unwrap();
        let inputs: Vec<_> = listed.map(|entry| entry.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{name} has no corpus");
        for path in inputs {
            println!("{}", path.display());
            property(&fs::read(path).unwrap());
        }
    }
}
