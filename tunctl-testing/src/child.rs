//! The process of one case.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::{env, io};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use tunctl_core::Cause;
use tunctl_linux::netns;

use crate::Case;
use crate::process::ENTRY;
use crate::skip::skip;

/// The device node, which a case that [needs root](Case::needs_root) finds open to everyone.
pub const OPEN_NODE: &str = "/dev/net/tun";
/// A device node that only root can open, for a case that [needs root](Case::needs_root).
pub const CLOSED_NODE: &str = "/dev/net/closed";

/// A device node without a driver, for a case that [needs root](Case::needs_root).
pub const DRIVERLESS_NODE: &str = "/dev/net/driverless";

pub(crate) fn run(cases: &[Case], name: &str) -> ExitCode {
    let case =
        cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no case {name}"));
    if let Ok(wanted) = env::var(ENTRY) {
        let (_, body) = case
            .entries
            .iter()
            .find(|(entry, _)| *entry == wanted)
            .unwrap_or_else(|| panic!("the case {name} has no entry {wanted}"));
        body();
        return ExitCode::SUCCESS;
    }
    if case.root {
        mount_nodes().expect("root can make device nodes in a mount namespace of its own");
    }
    if case.inside {
        enter();
    }
    (case.body)();
    ExitCode::SUCCESS
}

/// Enters the namespaces, and makes sure that devices can be made there.
fn enter() {
    if let Err(error) = netns::enter_new() {
        if error.cause() == Cause::NamespacesRefused {
            skip(&error.to_string());
        }
        panic!("{error}");
    }
    if let Err(error) = OpenOptions::new().read(true).write(true).open(OPEN_NODE) {
        skip(&format!("{OPEN_NODE}: {error}"));
    }
}

/// Covers `/dev/net`, for this process only, with a directory that holds device nodes of the case's own. It
/// is done before the user namespace is entered, because no device node works that was made in one.
///
/// # Errors
///
/// Those of `unshare(2)`, `mount(2)` and `mknod(2)`: it takes root of the machine.
pub fn mount_nodes() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&Path>, "/", None::<&Path>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&Path>)?;
    let driver = nix::sys::stat::fstat(File::open(OPEN_NODE)?)?.st_rdev;
    mount(Some("nodes"), "/dev/net", Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=0755"))?;
    // Of the miscellaneous devices, 254 is given to nobody.
    let nobody = makedev(10, 254);
    for (path, mode, device) in
        [(OPEN_NODE, 0o666, driver), (CLOSED_NODE, 0o600, driver), (DRIVERLESS_NODE, 0o666, nobody)]
    {
        mknod(path, SFlag::S_IFCHR, Mode::empty(), device)?;
        // mknod heeds the umask.
        fs::set_permissions(path, PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}
