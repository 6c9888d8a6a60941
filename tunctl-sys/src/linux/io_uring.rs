//! A ring of `io_uring(7)`, as a descriptor that is no file and no socket.
#![allow(unsafe_code, reason = "io_uring_setup(2) has no safe wrapper")]

use std::ffi::{c_int, c_long, c_uint};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// `struct io_uring_params`: ten words, and the offsets of the two rings with 40 bytes each.
const PARAMETERS: usize = 10 * 4 + 2 * 40;

/// A new ring with room for this many entries, close-on-exec. It is of no use but to be passed on: its memory
/// is not mapped.
///
/// # Errors
///
/// `ENOSYS`, `EPERM`: the system has no such rings, or doesn't allow them. `EINVAL`: no entries, or too many.
#[doc(alias = "io_uring_setup")]
pub fn ring(entries: u32) -> io::Result<OwnedFd> {
    let mut parameters = [0_u64; PARAMETERS / 8];
    let call: c_long = libc::SYS_io_uring_setup;
    // SAFETY: the call reads and writes one `io_uring_params`, which is as long as the array, aligned to a
    // word, and valid if all its bytes are zero: no flags, no offsets. The array outlives the call.
    let answer = unsafe { libc::syscall(call, c_uint::from(entries), parameters.as_mut_ptr()) };
    match c_int::try_from(answer) {
        // SAFETY: the call has just opened the descriptor, and nothing else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_ring_is_one_where_the_system_has_them() {
        assert!(ring(0).is_err());
        let Ok(ring) = ring(1) else { return };
        let link = fs::read_link(format!("/proc/self/fd/{}", ring.as_raw_fd())).unwrap();
        assert_eq!(link.to_str(), Some("anon_inode:[io_uring]"));
    }
}
