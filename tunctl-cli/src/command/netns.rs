//! `--netns`: another network namespace than the caller's.

use std::ffi::OsStr;
use std::path::Path;

use tunctl::linux::Namespace;
use tunctl::{Native, Result};

/// Where `ip netns add` puts its names.
const NAMES: &str = "/run/netns";

/// The backend in a namespace, by the rules of `ip link set NAME netns`: a path as it is; else a name, if
/// there is one; else, if it is a number, a process.
pub(super) fn backend(netns: &OsStr) -> Result<Native> {
    let named = Path::new(NAMES).join(netns);
    let number = netns.to_str().and_then(|text| text.parse().ok());
    let namespace = match number {
        Some(pid) if !named.exists() => Namespace::of_process(pid),
        _ => Namespace::open(named),
    };
    tunctl::native().in_namespace(&namespace?)
}
