//! Files that only root can have written: opened folder by folder, without following a link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::libc::{S_IFDIR, S_IFMT, S_IFREG};
use nix::sys::stat::{FileStat, Mode, fstat};

use super::PolicyError;

/// The most bytes of a policy.
pub(super) const MOST: u64 = 64 * 1024;

/// The bits of a mode that let the group, or anybody, write. Where a file has an access control list, those
/// of the group are the most that the list gives anybody.
const WRITABLE: u32 = 0o022;

/// The bytes of a file that only root can have written.
///
/// # Errors
///
/// Somebody else could have, or it is no regular file, has several names, is longer than `most` bytes, was
/// changed while it was read.
pub(super) fn read(path: &Path, most: u64) -> Result<Vec<u8>, PolicyError> {
    let (folder, name) = open_folder(path)?;
    let problem = |why| Err(PolicyError::Unsafe { path: path.to_owned(), why });
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // What the path is, is asked before it is opened: opening a pipe or a device may do something.
    let found = openat(&folder, name, flags | OFlag::O_PATH, Mode::empty());
    let found = found.map_err(|errno| unreadable(path, errno))?;
    let before = status(path, &found)?;
    if before.st_mode & S_IFMT != S_IFREG {
        return problem("is no regular file");
    }
    if !is_roots(&before) {
        return problem("can be written by others than root: chown root:root and chmod 644");
    }
    if before.st_nlink != 1 {
        return problem("has several names (hard links)");
    }
    let file = openat(&folder, name, flags | OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty());
    let file = file.map_err(|errno| unreadable(path, errno))?;
    let mut text = Vec::new();
    let mut file = File::from(file);
    let read = (&mut file).take(most + 1).read_to_end(&mut text);
    read.map_err(|error| unreadable(path, Errno::from_raw(error.raw_os_error().unwrap_or_default())))?;
    if text.len() as u64 > most {
        return problem("is too long");
    }
    if !is_unchanged(&before, &status(path, &file)?) {
        return problem("was changed while it was read: try again");
    }
    Ok(text)
}

/// What the file at a path is; the path itself leads through folders that only root can change.
///
/// # Errors
///
/// As for [`read`], but for what the file is.
pub(super) fn look(path: &Path) -> Result<FileStat, PolicyError> {
    let (folder, name) = open_folder(path)?;
    let flags = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_PATH;
    let found = openat(&folder, name, flags, Mode::empty()).map_err(|errno| unreadable(path, errno))?;
    status(path, &found)
}

/// The folder of a file, and the file's name in it.
fn open_folder(path: &Path) -> Result<(OwnedFd, &OsStr), PolicyError> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let refuse = |why| PolicyError::Unsafe { path: path.to_owned(), why };
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return Err(refuse("is no absolute path"));
    }
    let mut walked = Path::new("/").to_owned();
    let mut folder = open("/", flags, Mode::empty()).map_err(|errno| unreadable(&walked, errno))?;
    let mut name = None;
    for part in parts {
        let Component::Normal(part) = part else {
            return Err(refuse("is no plain path: it has `..`"));
        };
        if let Some(name) = name.replace(part) {
            check_folder(&walked, &folder)?;
            walked.push(name);
            folder = openat(&folder, name, flags, Mode::empty()).map_err(|errno| match errno {
                // A symbolic link among others.
                Errno::ENOTDIR | Errno::ELOOP => {
                    PolicyError::Unsafe { path: walked.clone(), why: "is no folder, or a link to one" }
                }
                errno => unreadable(&walked, errno),
            })?;
        }
    }
    check_folder(&walked, &folder)?;
    Ok((folder, name.ok_or_else(|| refuse("names no file"))?))
}

fn check_folder(path: &Path, folder: &OwnedFd) -> Result<(), PolicyError> {
    let status = status(path, folder)?;
    if status.st_mode & S_IFMT == S_IFDIR && is_roots(&status) {
        return Ok(());
    }
    let why = "is a folder in which others than root can write: chown root:root and chmod 755";
    Err(PolicyError::Unsafe { path: path.to_owned(), why })
}

fn is_roots(status: &FileStat) -> bool {
    status.st_uid == 0 && status.st_mode & WRITABLE == 0
}

fn is_unchanged(before: &FileStat, after: &FileStat) -> bool {
    let version = |of: &FileStat| {
        (of.st_dev, of.st_ino, of.st_size, of.st_mtime, of.st_mtime_nsec, of.st_ctime, of.st_ctime_nsec)
    };
    version(before) == version(after)
}

fn status(path: &Path, file: &impl AsFd) -> Result<FileStat, PolicyError> {
    fstat(file).map_err(|errno| unreadable(path, errno))
}

fn unreadable(path: &Path, errno: Errno) -> PolicyError {
    match errno {
        Errno::ENOENT => PolicyError::Missing,
        Errno::ELOOP => PolicyError::Unsafe { path: path.to_owned(), why: "is a symbolic link" },
        errno => PolicyError::Unreadable { path: path.to_owned(), errno: errno as i32 },
    }
}
