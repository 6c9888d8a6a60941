//! The capabilities of a file, which a program has when it is started from it.
//!
//! They are the file's extended attribute `security.capability` (`struct vfs_cap_data` of
//! `<linux/capability.h>`). Manual pages: `capabilities(7)`, `xattr(7)`.
#![allow(unsafe_code, reason = "fsetxattr(2), fgetxattr(2) and fremovexattr(2) have no safe wrapper")]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The right to configure networks.
pub const CAP_NET_ADMIN: u32 = 12;

const NAME: &CStr = c"security.capability";
/// `VFS_CAP_REVISION_2`.
const REVISION: u32 = 0x0200_0000;
/// `VFS_CAP_FLAGS_EFFECTIVE`.
const EFFECTIVE: u32 = 1;
/// `XATTR_CAPS_SZ_2`: the revision, and two words each of the permitted and of the inheritable set.
const SIZE: usize = 20;

/// The capabilities of a file, each set as a mask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileCapabilities {
    /// What a program started from it may make effective.
    pub permitted: u64,
    /// What it may make effective if its caller hands it on.
    pub inheritable: u64,
    /// Whether all of it is effective from the start.
    pub effective: bool,
}

impl FileCapabilities {
    /// One capability, permitted and not effective: `cap_…=p`.
    #[must_use]
    pub const fn permitted(capability: u32) -> Self {
        Self { permitted: 1 << capability, inheritable: 0, effective: false }
    }

    #[allow(clippy::cast_possible_truncation, reason = "each set is two words: first the lower one")]
    fn to_bytes(self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        let head = REVISION | if self.effective { EFFECTIVE } else { 0 };
        let Self { permitted, inheritable, .. } = self;
        let words = [
            head,
            permitted as u32,
            inheritable as u32,
            (permitted >> 32) as u32,
            (inheritable >> 32) as u32,
        ];
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// `None` if they are of another revision.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
        let word = |number: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[4 * number..4 * number + 4]);
            u32::from_le_bytes(word)
        };
        let set = |low: usize| u64::from(word(low)) | u64::from(word(low + 2)) << 32;
        let effective = word(0) & EFFECTIVE != 0;
        (word(0) & !EFFECTIVE == REVISION).then(|| Self { permitted: set(1), inheritable: set(2), effective })
    }
}

/// The capabilities of a file. `None` if it has none.
///
/// # Errors
///
/// `EINVAL`: they are of another revision, as those are that belong to root of another user namespace.
/// `ENOTSUP`: the file system has no such attributes. `EBADF`: the descriptor was opened with `O_PATH`.
#[doc(alias = "fgetxattr")]
pub fn get(file: BorrowedFd<'_>) -> io::Result<Option<FileCapabilities>> {
    // Room for those of revision 3, so that these are recognised as others.
    let mut bytes = [0_u8; 24];
    // SAFETY: `file` is open for the length of the borrow, and the name ends with a NUL. The kernel writes at
    // most as many bytes as the length says, which is that of `bytes`.
    let length =
        unsafe { libc::fgetxattr(file.as_raw_fd(), NAME.as_ptr(), bytes.as_mut_ptr().cast(), bytes.len()) };
    match usize::try_from(length) {
        Ok(length) => {
            let found = bytes.get(..length).and_then(FileCapabilities::from_bytes);
            Ok(Some(found.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?))
        }
        Err(_) => none_if_absent(io::Error::last_os_error()).map(|()| None),
    }
}

/// Gives a file these capabilities in place of those that it has.
///
/// A change of the file's owner takes them away again, and so does a write.
///
/// # Errors
///
/// `EPERM`: `CAP_SETFCAP` is missing. `ENOTSUP`: the file system has no such attributes.
#[doc(alias = "fsetxattr")]
pub fn set(file: BorrowedFd<'_>, capabilities: FileCapabilities) -> io::Result<()> {
    let bytes = capabilities.to_bytes();
    // SAFETY: `file` is open for the length of the borrow, and the name ends with a NUL. The kernel reads as
    // many bytes as the length says, which are those of the initialised array, and writes nothing.
    let answer =
        unsafe { libc::fsetxattr(file.as_raw_fd(), NAME.as_ptr(), bytes.as_ptr().cast(), bytes.len(), 0) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes a file's capabilities away. A file without any stays as it is.
///
/// # Errors
///
/// `EPERM`: `CAP_SETFCAP` is missing.
#[doc(alias = "fremovexattr")]
pub fn remove(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `file` is open for the length of the borrow. The kernel reads the name up to its NUL.
    let answer = unsafe { libc::fremovexattr(file.as_raw_fd(), NAME.as_ptr()) };
    if answer == 0 { Ok(()) } else { none_if_absent(io::Error::last_os_error()) }
}

/// That there is no such attribute is no failure.
fn none_if_absent(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(libc::ENODATA) { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_bytes_are_those_that_setcap_writes() {
        // `setcap cap_net_admin=p FILE; getfattr -d -m - -e hex FILE`.
        let written = b"\0\0\0\x02\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        assert_eq!(FileCapabilities::permitted(CAP_NET_ADMIN).to_bytes(), *written);
        // The same of cap_net_admin,cap_bpf=ep.
        let written = b"\x01\0\0\x02\0\x10\0\0\0\0\0\0\x80\0\0\0\0\0\0\0";
        let both = FileCapabilities { permitted: 1 << 39 | 1 << 12, inheritable: 0, effective: true };
        assert_eq!(both.to_bytes(), *written);
        assert_eq!(FileCapabilities::from_bytes(written), Some(both));
        let inheritable = FileCapabilities { inheritable: 1 << 40, ..FileCapabilities::default() };
        assert_eq!(FileCapabilities::from_bytes(&inheritable.to_bytes()), Some(inheritable));
    }

    #[test]
    fn other_revisions_are_recognised() {
        assert_eq!(FileCapabilities::from_bytes(&[0; SIZE]), None);
        let mut of_a_namespace = [0; 24];
        of_a_namespace[3] = 3;
        assert_eq!(FileCapabilities::from_bytes(&of_a_namespace), None);
        assert_eq!(FileCapabilities::from_bytes(b"\0\0\0\x02"), None);
    }

    #[test]
    fn a_file_system_without_such_attributes_is_an_error() {
        let status = File::open("/proc/self/status").unwrap();
        assert_eq!(get(status.as_fd()).unwrap_err().raw_os_error(), Some(libc::EOPNOTSUPP));
        assert!(set(status.as_fd(), FileCapabilities::permitted(CAP_NET_ADMIN)).is_err());
    }

    #[test]
    fn what_is_set_is_read_and_removed() {
        let path = std::env::temp_dir().join(format!("tunctl-sys-capability-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        let given = FileCapabilities::permitted(CAP_NET_ADMIN);
        assert_eq!(get(file.as_fd()).unwrap(), None);
        remove(file.as_fd()).unwrap_or_else(|error| assert_eq!(error.raw_os_error(), Some(libc::EPERM)));
        // It takes CAP_SETFCAP.
        match set(file.as_fd(), given) {
            Ok(()) => {
                assert_eq!(get(file.as_fd()).unwrap(), Some(given));
                remove(file.as_fd()).unwrap();
                assert_eq!(get(file.as_fd()).unwrap(), None);
            }
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        }
        std::fs::remove_file(path).unwrap();
    }
}
