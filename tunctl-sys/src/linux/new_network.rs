//! Opening a file in a new network namespace, which no other program sees, and which the caller never enters.
//!
//! Manual pages: `clone(2)`, `network_namespaces(7)`.
#![allow(unsafe_code, reason = "clone(2), and what runs in the child, have no safe wrappers")]

use std::ffi::{CStr, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// Who owns the new network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The caller's user namespace. This takes `CAP_SYS_ADMIN`.
    Caller,
    /// A new user namespace. This takes no capability where the system permits it. The caller has all rights
    /// over it, as its maker (`cap_capable`), without entering it.
    NewUserNamespace,
}

/// Opens a file for reading and writing, non-blocking and close-on-exec, in a new network namespace. For the
/// node of a driver that asks where a file was opened, the file then belongs to that namespace. The namespace
/// ends with the last file that belongs to it.
///
/// The caller may have several threads, and none of them moves. A child process enters the namespace, opens
/// the file into a descriptor that it shares with the caller, and ends. No signal announces its end, and
/// nothing but this function can wait for it by accident.
///
/// # Errors
///
/// `EPERM`: the caller may not make such a namespace. `ENOSPC`: the limit of namespaces is reached. `EAGAIN`,
/// `ENOMEM`: of processes, or of memory. `EINVAL`: the kernel has no such namespaces. `EMFILE`. Else those of
/// `open(2)`.
#[doc(alias = "clone")]
#[doc(alias = "CLONE_NEWNET")]
pub fn open(path: &CStr, owner: Owner) -> io::Result<OwnedFd> {
    /// Enough for two system calls through the C library.
    const STACK: usize = 64 << 10;
    let namespaces = match owner {
        Owner::Caller => libc::CLONE_NEWNET,
        Owner::NewUserNamespace => libc::CLONE_NEWNET | libc::CLONE_NEWUSER,
    };
    let place = placeholder()?;
    let mut work = Work { path: path.as_ptr(), place: place.as_raw_fd() };
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    let signals = SignalsBlocked::new()?;
    // No signal is to be sent at its end, which the lowest byte would name: only a wait that asks for such
    // children finds it.
    let flags = namespaces | libc::CLONE_FILES;
    // SAFETY: the child has a copy of the memory (no CLONE_VM), so nothing that it does there reaches this
    // process. `top` is the end of an allocation for its stack, aligned to 16 bytes, and every system that
    // Rust supports on Linux has stacks that grow downwards. The function runs on that stack with a valid
    // `Work`, of which it has a copy, too; both live until the child has ended. What it calls is proved
    // there.
    let pid = unsafe { libc::clone(open_into_place, top.cast(), flags, (&raw mut work).cast()) };
    let failed = io::Error::last_os_error();
    drop(signals);
    if pid < 0 {
        return Err(failed);
    }
    match wait(pid)? {
        0 => Ok(place),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// What the child needs.
struct Work {
    path: *const libc::c_char,
    place: c_int,
}

/// Runs in the child. Its result, the errno or 0, is the exit status.
extern "C" fn open_into_place(work: *mut c_void) -> c_int {
    // SAFETY: `open` passes the address of a `Work`, which is initialised and outlives the child.
    let work = unsafe { &*work.cast::<Work>() };
    // The threads of the caller do not exist here, and whatever lock one of them held is held forever. So
    // nothing may be called but functions that are safe after a fork: they allocate nothing, and take no
    // lock. SAFETY: the path is a C string, as its type in `open` says. open(2) is async-signal-safe.
    let file = unsafe { libc::open(work.path, libc::O_RDWR | libc::O_NONBLOCK | libc::O_CLOEXEC) };
    if file < 0 {
        return errno();
    }
    // SAFETY: dup3() takes integers, and is one system call. The place is a descriptor of the caller's that
    // nothing else uses, and is replaced.
    let placed = unsafe { libc::dup3(file, work.place, libc::O_CLOEXEC) };
    let outcome = if placed < 0 { errno() } else { 0 };
    // SAFETY: close() takes an integer; the descriptor was opened above, and nobody else knows of it. The
    // table of descriptors is the caller's, too, so it would stay open there.
    unsafe { libc::close(file) };
    outcome
}

/// The errno of the last call; `EIO` if there is none, or none that an exit status can hold.
fn errno() -> c_int {
    // Neither allocates: the number is read from where the C library keeps it.
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    if (1..=255).contains(&errno) { errno } else { libc::EIO }
}

/// A descriptor to be replaced.
fn placeholder() -> io::Result<OwnedFd> {
    // SAFETY: eventfd() takes integers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Waits for the child; its exit status.
fn wait(pid: c_int) -> io::Result<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: waitpid() writes one `int`, to which `status` is exclusively borrowed for the call.
        // `__WALL` also finds children whose end no signal announces.
        let waited = unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) };
        match waited {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            _ if libc::WIFEXITED(status) => return Ok(libc::WEXITSTATUS(status)),
            // Somebody has killed it.
            _ => return Ok(libc::EINTR),
        }
    }
}

/// All signals are blocked in the calling thread, and in children that it makes, until this is dropped: a
/// handler of the program's must not run in a copy of it.
struct SignalsBlocked {
    before: libc::sigset_t,
}

impl SignalsBlocked {
    fn new() -> io::Result<Self> {
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset() writes one whole set, for which there is room at the address.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: pthread_sigmask() reads the first set, which is initialised above, and writes one whole
        // set, for which there is room.
        match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) } {
            // SAFETY: the call succeeded, so it has filled in the set.
            0 => Ok(Self { before: unsafe { before.assume_init() } }),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: pthread_sigmask() reads the set, which is initialised, and writes nothing as the third
        // argument is null. It cannot fail with these arguments.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_file_is_opened_and_a_missing_one_has_its_errno() {
        let owners = [Owner::Caller, Owner::NewUserNamespace];
        let null = owners.map(|owner| open(c"/dev/null", owner));
        let missing = owners.map(|owner| open(c"/dev/no-such-node", owner));
        for (null, missing) in null.iter().zip(missing) {
            // Where the system permits no namespace, there is nothing to open it in.
            let Ok(null) = null else { continue };
            let target = std::fs::read_link(format!("/proc/self/fd/{}", null.as_fd().as_raw_fd())).unwrap();
            assert_eq!(target.to_str(), Some("/dev/null"));
            assert_eq!(missing.unwrap_err().raw_os_error(), Some(libc::ENOENT));
        }
    }
}
