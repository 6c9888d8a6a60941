//! `cargo xtask filters`: holds filter expressions to what tcpdump makes of them.

use crate::Outcome;
use crate::apt::{as_root, is_installed};
use crate::tool::{self, Build};

const TCPDUMP: &str = "tcpdump";

/// Why it cannot run here.
pub(crate) fn obstacle() -> Option<String> {
    (!is_installed(TCPDUMP)).then(|| format!("it needs {TCPDUMP}"))
}

/// Builds the comparison, and runs it.
pub(crate) fn run(build: Build, options: &[&str]) -> Outcome {
    provide_tcpdump()?;
    tool::campaign(build, "filters", options)
        .map_err(|_| "our filters and tcpdump's are not shown to agree: see above".to_owned())
}

/// Installs tcpdump, if it isn't.
fn provide_tcpdump() -> Outcome {
    if is_installed(TCPDUMP) {
        return Ok(());
    }
    println!("{TCPDUMP} is missing: installing it");
    as_root(&["apt-get", "--quiet=2", "update"])
        .and_then(|()| {
            as_root(&["apt-get", "--quiet=2", "install", "--yes", "--no-install-recommends", TCPDUMP])
        })
        .map_err(|why| format!("{TCPDUMP} is missing: install it ({why})"))
}
