//! The errnos of failed system calls.

use std::io;

use nix::errno::Errno;

/// The errno of an I/O error; `EIO` if it is not the system's.
pub(crate) fn of(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32))
}
