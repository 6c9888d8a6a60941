//! Where the helper is installed, and whether that place can be trusted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use tunctl_sys::linux::file_capability::{self, CAP_NET_ADMIN, FileCapabilities};

/// Where `tunctl helper install` puts it.
pub(super) const INSTALLED: &str = "/usr/local/libexec/tunctl-helper";
/// Where a package of the system puts it.
const PACKAGED: &str = "/usr/libexec/tunctl-helper";

/// The rights that it has, and no others.
pub(super) const RIGHTS: FileCapabilities = FileCapabilities::permitted(CAP_NET_ADMIN);

/// The bits of a mode by which others than the owner may write.
const WRITABLE: u32 = 0o022;
/// The set-user-ID and set-group-ID bits.
const SET_ID: u32 = 0o6000;

/// The helper that programs find. `None` if it is not installed.
pub(in super::super) fn installed() -> Option<&'static Path> {
    let places = [INSTALLED, PACKAGED].map(Path::new);
    places.into_iter().find(|place| place.symlink_metadata().is_ok())
}

/// Checks that nobody but root could replace what is in a folder, neither in it nor in one above it, and that
/// users reach it.
pub(super) fn check_folders(folder: &Path) -> Result<(), String> {
    for folder in folder.ancestors() {
        let shown = folder.display();
        let found = folder.symlink_metadata().map_err(|error| format!("{shown}: {error}"))?;
        if found.is_symlink() {
            return Err(format!(
                "{shown} is a symbolic link, and the folders of the helper must be none. \
                 Replace it by a folder"
            ));
        }
        if !found.is_dir() {
            return Err(format!("{shown} is no folder"));
        }
        if found.uid() != 0 {
            return Err(format!(
                "{shown} belongs to user {}, who could replace what is in it. Give it to root: chown root {shown}",
                found.uid()
            ));
        }
        if found.mode() & WRITABLE != 0 {
            return Err(format!(
                "others than root may write to {shown} (mode {:04o}), and could replace what is in it. Forbid \
                 it: chmod go-w {shown}",
                found.mode() & 0o7777
            ));
        }
        if found.mode() & 0o001 == 0 {
            return Err(format!(
                "users cannot reach what is in {shown} (mode {:04o}). Let them: chmod a+x {shown}",
                found.mode() & 0o7777
            ));
        }
    }
    Ok(())
}

/// Opens a file itself, and nothing that a link leads to, and waits for nobody.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path)
}

/// Checks an installed helper, and everything above it. The first problem is returned, with what to do.
pub(in super::super) fn check(path: &Path) -> Result<(), String> {
    path.parent().map_or(Ok(()), check_folders)?;
    let shown = path.display();
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            return Err(format!("{shown} is a symbolic link. Remove it, and install the helper again"));
        }
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    check_file(&file).map_err(|problem| format!("{shown} {problem}"))
}

/// Checks the file of a helper, wherever it is. The problem follows its path.
pub(super) fn check_file(file: &File) -> Result<(), String> {
    const AGAIN: &str = "Install the helper again: sudo tunctl helper install";
    let found = file.metadata().map_err(|error| format!("cannot be examined: {error}"))?;
    if !found.is_file() {
        return Err("is no file. Remove it, and install the helper again".into());
    }
    if found.uid() != 0 || found.mode() & WRITABLE != 0 {
        return Err(format!(
            "can be changed by others than root (user {}, mode {:04o}). {AGAIN}",
            found.uid(),
            found.mode() & 0o7777
        ));
    }
    if found.mode() & SET_ID != 0 {
        return Err(format!(
            "has a set-user-ID or set-group-ID bit (mode {:04o}), with which it refuses to work. {AGAIN}",
            found.mode() & 0o7777
        ));
    }
    if found.mode() & 0o111 != 0o111 {
        return Err(format!("cannot be started by everybody (mode {:04o}). {AGAIN}", found.mode() & 0o7777));
    }
    check_mount(file)?;
    match file_capability::get(file.as_fd()) {
        Ok(Some(RIGHTS)) => Ok(()),
        Ok(None) => Err(format!("has no capability. {AGAIN}")),
        Ok(Some(_)) => Err(format!("has other capabilities than cap_net_admin=p. {AGAIN}")),
        Err(error) => Err(format!("shows no capability that is in force here: {error}. {AGAIN}")),
    }
}

/// Checks that the file system lets a program gain rights.
fn check_mount(file: &File) -> Result<(), String> {
    let flags = fstatvfs(file).map_err(|errno| format!("cannot be examined: {errno}"))?.flags();
    for (flag, name, effect) in [
        (FsFlags::ST_NOSUID, "nosuid", "no program on it gains rights"),
        (FsFlags::ST_NOEXEC, "noexec", "no program on it can be started"),
    ] {
        if flags.contains(flag) {
            return Err(format!(
                "is on a file system that is mounted with {name}: {effect}. Mount it without, or leave the \
                 helper out and choose another way (docs/privileges.md)"
            ));
        }
    }
    Ok(())
}

/// Has the folder of a file keep what was done in it, also if the machine stops.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// What the names of files begin with that are not finished, or no longer needed. The number of the process
/// whose they are follows.
const TEMPORARY: &str = ".tunctl-helper.";

/// The name of such a file of this process.
pub(super) fn temporary(folder: &Path, kind: &str) -> PathBuf {
    folder.join(format!("{TEMPORARY}{kind}.{}", std::process::id()))
}

/// Removes what an installation that was killed has left in a folder.
pub(super) fn remove_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(TEMPORARY));
        let pid: Option<u32> = rest.and_then(|rest| rest.rsplit('.').next()?.parse().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // If it stays, it is in nobody's way.
            let _ = fs::remove_file(entry.path());
        }
    }
}
