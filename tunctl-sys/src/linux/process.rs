//! Other processes: a copy of this one, and programs that it starts. And what a thread may do.
#![allow(
    unsafe_code,
    reason = "fork(2), what runs between it and execve(2), and capset(2) have no safe wrappers"
)]

use std::ffi::{c_int, c_long};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::CommandExt;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::ptr;

/// As which exit status the standard library tells a panic.
const PANICKED: c_int = 101;

/// Starts a copy of this process that does `work` and ends with what it returns as its exit status; the id of the copy,
/// which the caller must wait for.
///
/// The copy ends without running destructors or writing out buffers: these are the original's. If `work` panics, its exit status
/// is 101.
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
            // A panic would go on into what is the original's.
            let status = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(PANICKED);
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

/// The number of the capability to configure networks.
pub const CAP_NET_ADMIN: u32 = 12;

/// The capabilities of a thread: bit `n` stands for capability number `n`.
///
/// Manual page: `capabilities(7)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// What it may do now.
    pub effective: u64,
    /// What it may make effective.
    pub permitted: u64,
    /// What a program that it starts may keep.
    pub inheritable: u64,
}

/// `struct __user_cap_header_struct` of `<linux/capability.h>`.
#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: c_int,
}

/// `struct __user_cap_data_struct`: 32 of the bits of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapabilityWords {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const _: () = assert!(size_of::<CapabilityHeader>() == 8 && size_of::<CapabilityWords>() == 12);

impl CapabilityHeader {
    /// `_LINUX_CAPABILITY_VERSION_3`, which has two words for each set, and the calling thread.
    const THIS_THREAD: Self = Self { version: 0x2008_0522, pid: 0 };
}

/// The capabilities of the calling thread.
///
/// # Errors
///
/// None that are known, on Linux 2.6.26 and later.
#[doc(alias = "capget")]
pub fn capabilities() -> io::Result<CapabilitySets> {
    let mut header = CapabilityHeader::THIS_THREAD;
    let mut words = [CapabilityWords::default(); 2];
    // SAFETY: the kernel reads the header, which is initialised, and may write its version; version 3 has it write two
    // data structures at most, which is what `words` holds, and any bytes are valid ones. Both are exclusively borrowed
    // until the call returns.
    let answer = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let join = |of: fn(&CapabilityWords) -> u32| u64::from(of(&words[1])) << 32 | u64::from(of(&words[0]));
    Ok(CapabilitySets {
        effective: join(|word| word.effective),
        permitted: join(|word| word.permitted),
        inheritable: join(|word| word.inheritable),
    })
}

/// Gives the calling thread these capabilities; the process's other threads keep theirs.
///
/// # Errors
///
/// `EPERM`: a set holds more than the thread may have.
#[doc(alias = "capset")]
pub fn set_capabilities(sets: CapabilitySets) -> io::Result<()> {
    let mut header = CapabilityHeader::THIS_THREAD;
    let word = |shift: u32| {
        #[allow(clippy::cast_possible_truncation, reason = "the other half is the other word's")]
        let half = |set: u64| (set >> shift) as u32;
        CapabilityWords {
            effective: half(sets.effective),
            permitted: half(sets.permitted),
            inheritable: half(sets.inheritable),
        }
    };
    let words = [word(0), word(32)];
    // SAFETY: the kernel reads the header, which is initialised, exclusively borrowed, and may have its version written;
    // version 3 has it read two data structures, which is what `words` holds, and write none. Both live until the call
    // returns.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether two descriptors, each of a process, are of one open file: one is a duplicate of the other, or was inherited.
///
/// # Errors
///
/// `EPERM`: the caller may not look into one of the processes. `ENOSYS`: the kernel was built without it. `ESRCH`, `EBADF`:
/// one of them is gone.
#[doc(alias = "kcmp")]
pub fn is_same_file((pid, fd): (u32, c_int), (other_pid, other_fd): (u32, c_int)) -> io::Result<bool> {
    /// `KCMP_FILE`, from <linux/kcmp.h>.
    const FILE: c_int = 0;
    // kcmp() takes the descriptors as longs; of a shorter argument, syscall(2) would pass on only the lower half.
    let (fd, other_fd) = (fd as c_long, other_fd as c_long);
    // SAFETY: kcmp() with KCMP_FILE takes integers only, and changes nothing.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, pid, other_pid, FILE, fd, other_fd) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer == 0) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn the_kernel_agrees_with_its_own_status_file() {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let told = |set: &str| {
            let digits = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
            u64::from_str_radix(digits.trim(), 16).unwrap()
        };
        let sets = capabilities().unwrap();
        assert_eq!(sets.effective, told("CapEff:"));
        assert_eq!(sets.permitted, told("CapPrm:"));
        assert_eq!(sets.inheritable, told("CapInh:"));
        // To have what one has, one needs no permission.
        set_capabilities(sets).unwrap();
        assert_eq!(capabilities().unwrap(), sets);
        // Nobody may do what he is not permitted.
        let senseless = CapabilitySets { permitted: 0, effective: 1, ..sets };
        assert_eq!(set_capabilities(senseless).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn a_duplicate_is_the_same_file_and_another_open_is_not() {
        let file = fs::File::open("/dev/null").unwrap();
        let (duplicate, other) = (file.try_clone().unwrap(), fs::File::open("/dev/null").unwrap());
        let is_same = |one: &fs::File, two: &fs::File| {
            let pid = std::process::id();
            is_same_file((pid, one.as_raw_fd()), (pid, two.as_raw_fd()))
        };
        match is_same(&file, &duplicate) {
            // A kernel without kcmp(), or a container that forbids it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
            outcome => {
                assert!(outcome.unwrap());
                assert!(!is_same(&file, &other).unwrap());
            }
        }
    }
}
