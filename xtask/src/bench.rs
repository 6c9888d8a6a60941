//! `cargo xtask bench`: measures, in a package that nothing else builds.

mod vpn;

use std::env;
use std::process::Command;

use crate::{Outcome, root};

/// Tells the benchmark in which folders the programs are that it starts.
const PROGRAMS: &str = "TUNCTL_BENCH_PROGRAMS";

/// Builds the benchmark optimised, and runs it in a namespace that it makes itself.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO"));
    command.args(["run", "--release", "--manifest-path", "bench/Cargo.toml", "--"]).args(options);
    if has_vpn(options) {
        let folders = env::join_paths(vpn::provide()?).map_err(|error| error.to_string())?;
        command.env(PROGRAMS, folders);
    }
    let status = command.current_dir(root()).status().map_err(|error| format!("run cargo: {error}"))?;
    if status.success() { Ok(()) } else { Err("the benchmark failed".into()) }
}

/// Whether the section is measured: it is named, or nothing else is asked for than all.
fn has_vpn(options: &[&str]) -> bool {
    let is_of_all = |option: &&str| *option == "--seconds" || option.parse::<f64>().is_ok();
    options.contains(&"vpn") || options.iter().all(is_of_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_provided_for_those_who_start_them() {
        for options in [&[][..], &["--seconds", "2.5"], &["vpn"], &["--section", "flows", "--section", "vpn"]]
        {
            assert!(has_vpn(options), "{options:?}");
        }
        for options in [&["--mock"][..], &["--help"], &["flows", "--seconds", "2"], &["--section", "pump"]] {
            assert!(!has_vpn(options), "{options:?}");
        }
    }
}
