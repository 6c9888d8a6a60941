//! Descriptors that a program is started with, by number: taken over, or closed. Manual page:
//! `sd_listen_fds(3)`.
#![allow(
    unsafe_code,
    reason = "who owns a descriptor that was open at the start is known by its number and flag alone"
)]

use std::ffi::c_int;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use super::tun::TunDriver;
use crate::exec::FIRST;
use crate::ioctl::Driver;

/// Takes over a descriptor of the TUN driver with which the program was started, and makes it close-on-exec.
///
/// `None` if there is none of that number, if it is another file's, or if it is close-on-exec. The last says
/// that it is somebody's: whatever a program opens or has taken over is to be close-on-exec, and of the
/// descriptors that it was started with, none can be. So nothing is taken twice, not even by another library.
///
/// # Errors
///
/// `EBADF` for a number below [`FIRST`]; those of `fstat(2)`.
pub fn take_tun(number: c_int) -> io::Result<Option<OwnedFd>> {
    // Held from the look at the flag to its change.
    static TAKING: Mutex<()> = Mutex::new(());
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if number < FIRST {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the request takes no argument, and a number that is not open is an error.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return Ok(None);
    }
    // SAFETY: it is open, as seen above, and borrowed only to look at it. As it has stayed open across
    // execve(2), no code of this program has opened it, and none has taken it over: nobody closes it.
    if !TunDriver::answers(unsafe { BorrowedFd::borrow_raw(number) })? {
        return Ok(None);
    }
    // SAFETY: the request takes an integer.
    if unsafe { libc::fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open and nobody's, as said above. From here on its flag says that it is somebody's, and
    // the lock keeps another thread from having seen it without.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(number) }))
}

/// Closes every descriptor with which the program was started, but the standard streams.
///
/// A descriptor that is close-on-exec stays: see [`take_tun`]. Call this first, and never in a program that
/// has cleared that flag of a descriptor of its own: it could not be told from one that was inherited.
///
/// # Errors
///
/// `ENOENT`: there is no `/proc`, which lists the descriptors.
#[doc(alias = "close_range")]
pub fn close_all() -> io::Result<()> {
    /// Closed without the list, so that there is room for the descriptor that reads it.
    const ROOM: c_int = 8;
    (FIRST..FIRST + ROOM).for_each(close);
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd")? {
        numbers.extend(entry?.file_name().to_str().and_then(|number| number.parse::<c_int>().ok()));
    }
    numbers.into_iter().filter(|&number| number >= FIRST).for_each(close);
    Ok(())
}

/// Closes a descriptor if the program was started with it.
fn close(number: c_int) {
    // SAFETY: the request takes no argument, and a number that is not open is an error.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
        // SAFETY: it has stayed open across execve(2), so no code of this program has opened it, and none has
        // taken it over, which would have made it close-on-exec: nobody uses it.
        unsafe { libc::close(number) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    use super::*;

    fn without_close_on_exec(file: &File) {
        // SAFETY: the request takes an integer.
        assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) }, 0);
    }

    #[test]
    fn only_an_inherited_descriptor_of_the_driver_is_taken_and_only_once() {
        assert_eq!(take_tun(2).unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert!(take_tun(999_999).unwrap().is_none());
        let other = File::open("/dev/null").unwrap();
        without_close_on_exec(&other);
        assert!(take_tun(other.as_raw_fd()).unwrap().is_none());
        let Ok(node) = File::open("/dev/net/tun") else { return };
        assert!(take_tun(node.as_raw_fd()).unwrap().is_none(), "this program has opened it");
        without_close_on_exec(&node);
        let node = std::mem::ManuallyDrop::new(node);
        let taken = take_tun(node.as_raw_fd()).unwrap().expect("as if the program was started with it");
        assert_eq!(taken.as_raw_fd(), node.as_raw_fd());
        assert!(take_tun(node.as_raw_fd()).unwrap().is_none());
    }
}
