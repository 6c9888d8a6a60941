//! Other processes: a copy of this one, and programs that it starts.
#![allow(unsafe_code, reason = "fork(2), and what runs between it and execve(2), have no safe wrappers")]

use std::ffi::c_int;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

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

/// Has a program start with no signal blocked, whatever the thread that starts it has blocked.
///
/// The standard library hands the mask on, and a program that knows nothing of it could not be interrupted.
#[doc(alias = "sigprocmask")]
pub fn unblock_signals(command: &mut Command) {
    let unblock = || {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset() initialises the set that it is given the address of.
        unsafe { libc::sigemptyset(none.as_mut_ptr()) };
        // SAFETY: it reads the set, which was initialised above, and a null third argument asks for nothing back.
        match unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes two calls that POSIX lists as safe in a signal handler, and
    // reads errno; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(unblock) };
}
