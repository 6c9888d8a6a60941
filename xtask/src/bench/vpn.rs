//! The programs that speak WireGuard: ours, and those that it is compared with.

use std::fs;
use std::path::PathBuf;

use crate::apt::{Apt, Source};
use crate::tool::{Tool, cargo};
use crate::{Outcome, cache, target};

/// A Debian package, and the program in it.
const WIREGUARD_GO: &str = "wireguard-go";
/// Debian 12 has one from before it merged packets.
const SUITE: &str = "sid";
const CRATES: [Tool; 2] =
    [Tool::new("boringtun-cli", "0.7.1"), Tool { program: "gotatun", ..Tool::new("gotatun-cli", "0.10.2") }];

/// Builds ours, and returns the folders of all that can be had.
pub(super) fn provide() -> Outcome<Vec<PathBuf>> {
    cargo(&["build", "--release", "--quiet", "--package", "tunctl-vpn"])?;
    let mut folders = vec![target().join("release")];
    let mut add = |name, folder: Outcome<PathBuf>| match folder {
        Ok(folder) => folders.push(folder),
        Err(why) => println!("{name} is not there to be compared with: {why}"),
    };
    add(WIREGUARD_GO, wireguard_go());
    for tool in CRATES {
        let folder = |program: PathBuf| program.parent().map(PathBuf::from).unwrap_or_default();
        add(tool.name, tool.provide().map(folder));
    }
    Ok(folders)
}

/// The folder of Debian's current one; that of an earlier run, if there was one.
fn wireguard_go() -> Outcome<PathBuf> {
    let folder = cache().join(WIREGUARD_GO);
    let unpacked = folder.join(SUITE);
    if unpacked.exists() {
        println!("{WIREGUARD_GO}: as it was; for a newer one, remove {}", folder.display());
    } else {
        println!("{WIREGUARD_GO} of {SUITE}: unpacking");
        let unfinished = folder.join("unfinished");
        // What an earlier run has left unfinished goes.
        let _ = fs::remove_dir_all(&unfinished);
        Apt::new(&folder, &[Source::release(SUITE)?])?.unpack(&[WIREGUARD_GO], &unfinished)?;
        fs::rename(&unfinished, &unpacked)
            .map_err(|error| format!("rename {}: {error}", unfinished.display()))?;
    }
    Ok(unpacked.join("usr/bin"))
}
