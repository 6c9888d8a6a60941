//! `cargo xtask msrv`: compiles the libraries with the oldest compiler that they promise to compile with.

use std::process::Command;

use crate::toolchain;
use crate::{Outcome, root, tool};

/// Not libraries: they may use a newer compiler, as tests may.
pub(crate) const OTHERS: [&str; 4] = ["tunctl-cli", "tunctl-vpn", "tunctl-testing", "xtask"];
/// The facade's features, except `proptest`: that is for tests, and its dependency may need a newer compiler.
const FEATURES: &str = "tunctl/mock,tunctl/capture,tunctl/mio,tunctl/tokio,tunctl/pump,tunctl/stream";

/// Checks the libraries with their features, and without.
pub(crate) fn run() -> Outcome {
    let compiler = toolchain::provide_oldest()?;
    let others: Vec<_> = OTHERS.iter().flat_map(|other| ["--exclude", other]).collect();
    for features in [&["--features", FEATURES][..], &[]] {
        let status = compiler
            .set_on(Command::new(env!("CARGO")).arg("check"))
            // The dependencies must be the ones in Cargo.lock, which are known to compile.
            .args(["--workspace", "--lib", "--locked", "--target-dir"])
            .arg(tool::folder("msrv").join("build"))
            .args(&others)
            .args(features)
            .current_dir(root())
            .status()
            .map_err(|error| format!("run cargo: {error}"))?;
        if !status.success() {
            return Err(format!("the libraries do not compile ({status})"));
        }
    }
    Ok(())
}
