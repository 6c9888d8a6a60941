//! What a process does at a signal: asked, and set back to the default.
#![allow(unsafe_code, reason = "sigaction(2) has no safe wrapper: any function may be installed")]

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Whether the process ignores a signal. A program inherits from its caller which signals it ignores: `nohup`
/// starts a program that ignores `SIGHUP`.
///
/// # Errors
///
/// `EINVAL`: there is no signal of this number.
#[doc(alias = "sigaction")]
pub fn is_ignored(signal: c_int) -> io::Result<bool> {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: as the second argument is null, sigaction() changes nothing. It writes one whole action, for
    // which there is room at the address.
    if unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has written the action.
    let action = unsafe { action.assume_init() };
    Ok(action.sa_sigaction == libc::SIG_IGN)
}

/// Makes the process do at a signal what a process does by default.
///
/// For `SIGCHLD` that means that the process can wait for its children: where a caller has it ignored, the
/// kernel forgets how they ended.
///
/// # Errors
///
/// `EINVAL`: there is no signal of this number, or nobody may change what it does.
#[doc(alias = "sigaction")]
pub fn set_default(signal: c_int) -> io::Result<()> {
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask, no restorer. SIG_DFL is zero, too.
    let action = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    const { assert!(libc::SIG_DFL == 0) };
    // SAFETY: `action` is initialised and outlives the call; as the third argument is null, the call writes
    // nothing. The default action runs no code of the process.
    match unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_ignored_until_it_is_set_to_its_default() {
        // Rust's runtime has each program ignore it.
        assert!(is_ignored(libc::SIGPIPE).unwrap());
        set_default(libc::SIGPIPE).unwrap();
        assert!(!is_ignored(libc::SIGPIPE).unwrap());
    }

    #[test]
    fn what_is_no_signal_is_an_error() {
        for signal in [0, -1, 1000] {
            assert_eq!(is_ignored(signal).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{signal}");
        }
        assert_eq!(set_default(libc::SIGKILL).unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }
}
