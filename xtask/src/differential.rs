//! `cargo xtask differential`: holds the mock to the running kernel.

use std::fs;

use crate::Outcome;
use crate::tool::{self, Build};

/// Why it cannot run here: it takes other users' ids and device nodes of its own.
pub(crate) fn obstacle() -> Option<String> {
    let ids = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let is_whole = ids.split_whitespace().eq(["0", "0", "4294967295"]);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap_or_default();
    // Real, effective, saved, of the file system.
    let is_root = uids.split_whitespace().nth(1) == Some("0");
    (!(is_root && is_whole)).then(|| "it needs root".to_owned())
}

/// Builds the comparison, and runs it.
pub(crate) fn run(build: Build, options: &[&str]) -> Outcome {
    tool::campaign(build, "differential", options)
        .map_err(|_| "the mock and the kernel are not shown to agree".to_owned())
}
