//! What a program is started with: its signals, and a descriptor of a given number. Manual page:
//! `sd_listen_fds(3)`.
#![allow(unsafe_code, reason = "what runs before execve(2) has no safe wrapper, and neither has dup2(2)")]

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{self, Command};
use std::ptr;

/// The first descriptor that a supervisor passes on.
#[doc(alias = "SD_LISTEN_FDS_START")]
pub const FIRST: c_int = 3;

/// Makes a program start with no signal blocked, whichever signals the starting thread has blocked.
///
/// The standard library passes the signal mask on, and a program that does not expect one could not be
/// interrupted.
#[doc(alias = "sigprocmask")]
pub fn unblock_signals(command: &mut Command) {
    let unblock = || {
        let mut none = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset() writes one whole set, for which there is room at the address.
        unsafe { libc::sigemptyset(none.as_mut_ptr()) };
        // SAFETY: sigprocmask() reads the set, which is initialised above; as the third argument is null, it
        // writes nothing.
        match unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec the closure makes two calls that POSIX lists as async-signal-safe, and
    // reads errno; it allocates nothing and takes no lock.
    unsafe { command.pre_exec(unblock) };
}

/// Becomes a program that starts with a descriptor of this number, [`FIRST`] or more; whatever this process
/// has under that number is closed. No signal is blocked in it.
///
/// If it cannot be started, `failed` gets the error, and the process exits with the status that it returns.
/// It may use no descriptor but the standard streams.
#[doc(alias = "execve")]
pub fn become_program(
    mut command: Command,
    fd: OwnedFd,
    number: c_int,
    failed: impl FnOnce(&io::Error) -> c_int,
) -> ! {
    let place = move || {
        if number < FIRST {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let placed = if fd.as_raw_fd() == number {
            // SAFETY: the request takes an integer.
            unsafe { libc::fcntl(number, libc::F_SETFD, 0) }
        } else {
            // SAFETY: dup2(2) takes integers. What it closes under the number is used by nobody afterwards:
            // the process becomes another program, or calls `failed`, which uses none, and exits.
            unsafe { libc::dup2(fd.as_raw_fd(), number) }
        };
        if placed < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    };
    unblock_signals(&mut command);
    // SAFETY: this runs in the process that calls exec below, and not between a fork and an exec. It makes
    // one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(place) };
    let error = command.exec();
    process::exit(failed(&error))
}
