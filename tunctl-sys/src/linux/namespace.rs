//! Namespaces: of what kind one is, who owns it, and whether a thread's capabilities count there.
//!
//! Manual page: `ioctl_ns(2)`.
#![allow(unsafe_code, reason = "fstatfs(2), and a descriptor that an ioctl request returns")]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::SIOCGSKNS;
use crate::ioctl::{ByValue, Driver, Opcode};

/// The file system of namespaces, `fs/nsfs.c`.
enum NamespaceFiles {}

// SAFETY: the kernel takes the requests of a file from its inode's file system, and no other than nsfs has
// this number (`<linux/magic.h>`). The one that fstatfs(2) reports is the open inode's own: a FUSE file
// system cannot choose it.
unsafe impl Driver for NamespaceFiles {
    fn answers(fd: BorrowedFd<'_>) -> io::Result<bool> {
        const NSFS_MAGIC: i64 = 0x6e73_6673;
        Ok(file_system(fd)? == NSFS_MAGIC)
    }
}

/// The number of the file system that a file is on.
fn file_system(fd: BorrowedFd<'_>) -> io::Result<i64> {
    let mut status = MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: `fd` is open for the length of the borrow. The call writes one `statfs`, for which there is
    // room.
    if unsafe { libc::fstatfs(fd.as_raw_fd(), status.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled in the whole `statfs`.
    let status = unsafe { status.assume_init() };
    #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
    let kind = status.f_type as i64;
    Ok(kind)
}

/// `NS_GET_USERNS` of `<linux/nsfs.h>`, `_IO(0xb7, 0x1)`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "`Ioctl` is a long or an int"
)]
const NS_GET_USERNS: Opcode = libc::_IO(0xb7, 1) as Opcode;

/// `NS_GET_NSTYPE` of `<linux/nsfs.h>`, `_IO(0xb7, 0x3)`.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unnecessary_cast,
    reason = "`Ioctl` is a long or an int"
)]
const NS_GET_NSTYPE: Opcode = libc::_IO(0xb7, 3) as Opcode;

// SAFETY: `ns_ioctl` ignores the argument of this request.
const GET_OWNER: ByValue<NamespaceFiles> = unsafe { ByValue::new(NS_GET_USERNS) };
// SAFETY: `ns_ioctl` ignores the argument of this request.
const GET_KIND: ByValue<NamespaceFiles> = unsafe { ByValue::new(NS_GET_NSTYPE) };

/// Whether the file is a network namespace.
///
/// # Errors
///
/// Those of `fstatfs(2)`, and `ENOTTY` of a namespace where Linux is older than 4.11.
#[doc(alias = "NS_GET_NSTYPE")]
pub fn is_network(file: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(NamespaceFiles::answers(file)? && GET_KIND.call(file, 0)? == libc::CLONE_NEWNET)
}

/// The user namespace that owns this namespace. `None` if it is not the calling thread's own or below it.
///
/// # Errors
///
/// `ENOTTY`: the file is no namespace, or Linux is older than 4.9.
#[doc(alias = "NS_GET_USERNS")]
pub fn owner(namespace: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    match GET_OWNER.call(namespace, 0) {
        // SAFETY: the request returns a new descriptor (`open_related_ns`), which nothing else owns.
        Ok(owner) => Ok(Some(unsafe { OwnedFd::from_raw_fd(owner) })),
        // `ns_get_owner` answers so where the owner is none of the two.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sockets, of whatever family.
enum Sockets {}

// SAFETY: `sock_ioctl` answers `SIOCGSKNS` for each socket. The kernel takes the requests of a file from its
// inode's file system, and no other than sockfs has this number (`<linux/magic.h>`).
unsafe impl Driver for Sockets {
    fn answers(fd: BorrowedFd<'_>) -> io::Result<bool> {
        const SOCKFS_MAGIC: i64 = 0x534f_434b;
        Ok(file_system(fd)? == SOCKFS_MAGIC)
    }
}

// SAFETY: `sock_ioctl` ignores the argument of this request.
const GET_NAMESPACE: ByValue<Sockets> = unsafe { ByValue::new(SIOCGSKNS) };

/// The network namespace of a socket.
///
/// # Errors
///
/// `EPERM`: `CAP_NET_ADMIN` over that namespace is missing. `ENOTTY`: the file is no socket.
#[doc(alias = "SIOCGSKNS")]
pub fn of_socket(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let namespace = GET_NAMESPACE.call(socket, 0)?;
    // SAFETY: the request returns a new descriptor (`open_related_ns`), which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(namespace) })
}

/// Whether the user namespace that owns this namespace is the calling thread's own, or below it. If it is,
/// the thread's capabilities count there.
///
/// # Errors
///
/// `ENOTTY`: the file is no namespace, or Linux is older than 4.9.
#[doc(alias = "NS_GET_USERNS")]
pub fn is_governed(namespace: BorrowedFd<'_>) -> io::Result<bool> {
    owner(namespace).map(|owner| owner.is_some())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_process_governs_its_own_namespaces_and_a_file_is_none() {
        // But for a network namespace whose owner is above, where the tests may run.
        let user = File::open("/proc/thread-self/ns/user").unwrap();
        assert!(is_governed(user.as_fd()).is_ok());
        let file = File::open("/proc/thread-self/status").unwrap();
        assert_eq!(is_governed(file.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
        let net = File::open("/proc/thread-self/ns/net").unwrap();
        assert_eq!(of_socket(file.as_fd()).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
        assert_eq!([&user, &file, &net].map(|file| is_network(file.as_fd()).unwrap()), [false, false, true]);
    }
}
