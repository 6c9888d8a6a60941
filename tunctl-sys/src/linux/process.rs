//! A second process, for what the first can no longer do once it has changed its own credentials.
#![allow(unsafe_code, reason = "fork(2) has no safe wrapper, since with threads it is not safe")]

use std::ffi::c_int;
use std::fs;
use std::io;

/// Starts a copy of this process that does `work` and ends with what it returns as its exit status; the id of the copy,
/// which the caller must wait for.
///
/// The copy ends without running destructors or writing out buffers: these are the original's.
///
/// # Errors
///
/// `EINVAL`: the process has several threads, of which the copy would lack all but one, with whatever locks the others
/// held. `EAGAIN`, `ENOMEM`.
#[doc(alias = "fork")]
pub fn in_copy(work: impl FnOnce() -> c_int) -> io::Result<c_int> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: there is one thread, this one, and so nobody who could start another meanwhile: the copy has all threads
    // that the process has, and no lock is held by one that it lacks. So it may do whatever a process may.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => {
            let status = work();
            // SAFETY: _exit() takes an integer and does not return; it runs nothing of the process's.
            unsafe { libc::_exit(status) }
        }
        1.. => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}
