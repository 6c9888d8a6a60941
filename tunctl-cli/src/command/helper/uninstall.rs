//! `tunctl helper uninstall`.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use clap::Args;
use tunctl_helper::policy;
use tunctl_sys::linux::file_capability;

use super::place::{self, INSTALLED};
use super::{Done, report, require_root};
use crate::command::{Failure, Outcome};

/// Remove the helper again; as root
///
/// Its file loses its capability first, so that no other link to it keeps one. Interfaces that it has created
/// stay as long as they would anyway.
#[derive(Args)]
pub(super) struct Uninstall {
    /// Remove the policy, too
    #[arg(long)]
    policy: bool,
}

impl Uninstall {
    pub(super) fn run(&self) -> Outcome {
        require_root("remove the helper")?;
        let mut done = Vec::new();
        let removed = self.remove(&mut done);
        if let Err(problem) = removed {
            let before: String = done.iter().map(|done| format!(" Done before: {}.", done.text)).collect();
            return Err(Failure::Said(format!("remove the helper: {problem}.{before}")));
        }
        report(&done, "the helper is removed")
    }

    fn remove(&self, done: &mut Vec<Done>) -> Result<(), String> {
        let path = Path::new(INSTALLED);
        let has_policy = Path::new(policy::PATH).symlink_metadata().is_ok();
        match place::open(path) {
            Ok(file) => {
                let failed = |what: &str, error: io::Error| format!("{what} {INSTALLED}: {error}");
                file_capability::remove(file.as_fd())
                    .map_err(|error| failed("take the capability of", error))?;
                done.push(Done::new("capability", format!("{INSTALLED} has none any more")));
                fs::remove_file(path).map_err(|error| failed("remove", error))?;
                done.push(Done::new("helper", format!("{INSTALLED} was removed")));
                path.parent().map(place::remove_stale).unwrap_or_default();
                place::sync_folder(path).map_err(|error| failed("make sure of the removal of", error))?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && (self.policy && has_policy) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent()),
            Err(error) => return Err(format!("{INSTALLED}: {error}")),
        }
        if !has_policy {
            return Ok(());
        }
        if !self.policy {
            done.push(Done::new("policy", format!("{} stays; --policy removes it, too", policy::PATH)));
            return Ok(());
        }
        remove_policy().map_err(|error| format!("remove {}: {error}", policy::PATH))?;
        done.push(Done::new("policy", format!("{} was removed", policy::PATH)));
        Ok(())
    }
}

/// Removes the policy, and its folder if nothing else is in it.
fn remove_policy() -> io::Result<()> {
    let path = Path::new(policy::PATH);
    fs::remove_file(path)?;
    match path.parent().map(fs::remove_dir) {
        Some(Err(error)) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    }
}

/// That there is nothing to remove.
fn absent() -> String {
    match place::installed() {
        Some(other) => format!(
            "{INSTALLED} does not exist, and {} belongs to a package of the system: remove that",
            other.display()
        ),
        None => format!("it is not installed: {INSTALLED} does not exist"),
    }
}
