//! Processes: a copy of this one, and the capabilities of a thread.
#![allow(unsafe_code, reason = "fork(2), what runs after it, and capset(2) have no safe wrappers")]

use std::ffi::{c_int, c_long, c_ulong};
use std::fs;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// The exit status by which the standard library reports a panic.
const PANICKED: c_int = 101;

/// Starts a copy of this process, which runs `work` and exits with the status that `work` returns. Returns
/// the copy's process id, for which the caller must wait.
///
/// The copy exits without running destructors or flushing buffers, because these belong to the original. If
/// `work` panics, the exit status is 101.
///
/// # Errors
///
/// `EINVAL`: the process has several threads. The copy would have only one of them, and the locks that the
/// others held would stay locked. `EAGAIN`, `ENOMEM`.
#[doc(alias = "fork")]
pub fn in_copy(work: impl FnOnce() -> c_int) -> io::Result<c_int> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: this thread is the only one, so no other thread can start one in the meantime. The copy has all
    // threads that the process has, and no missing thread holds a lock. So the copy may do whatever a process
    // may.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => {
            // A panic would unwind into the frames of the caller, which belong to the original.
            let status = panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(PANICKED);
            // SAFETY: _exit() takes an integer and does not return; it runs no code of the process.
            unsafe { libc::_exit(status) }
        }
        1.. => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}

/// How many forks lie between this process and the first one that asked: what must not be shared with a child
/// notes the number, and compares. Unlike asking for the process id, it takes no system call.
///
/// A child that is made without the C library, by a bare `clone` system call, has the number of its parent.
#[doc(alias = "pthread_atfork")]
pub fn generation() -> u32 {
    static GENERATION: AtomicU32 = AtomicU32::new(0);
    static COUNTS: Once = Once::new();
    extern "C" fn count() {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
    COUNTS.call_once(|| {
        // SAFETY: the function lives as long as the program, takes nothing, and may run in the child of a
        // process with several threads: it adds to a number, and does nothing else. If it cannot be
        // registered for lack of memory, forks are not counted.
        unsafe { libc::pthread_atfork(None, None, Some(count)) };
    });
    GENERATION.load(Ordering::Relaxed)
}

/// The number of the capability to become any group.
pub const CAP_SETGID: u32 = 6;
/// The number of the capability to become any user.
pub const CAP_SETUID: u32 = 7;
/// The number of the capability to configure networks.
pub const CAP_NET_ADMIN: u32 = 12;
/// The number of the capability to open raw and packet sockets.
pub const CAP_NET_RAW: u32 = 13;

/// The number of the capability to change the bounding set.
pub const CAP_SETPCAP: u32 = 8;
/// The number of the capability to enter namespaces, among much else.
pub const CAP_SYS_ADMIN: u32 = 21;

/// The capabilities of a thread: bit `n` stands for capability number `n`.
///
/// Manual page: `capabilities(7)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// The capabilities that the thread uses now.
    pub effective: u64,
    /// The capabilities that the thread may make effective.
    pub permitted: u64,
    /// The capabilities that a program may keep when the thread starts it.
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
    // SAFETY: the kernel reads the header, which is initialised, and may write its version. For version 3 it
    // writes at most two data structures; `words` holds two, for which any bytes are valid. Both are
    // exclusively borrowed until the call returns.
    let answer = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, words.as_mut_ptr()) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    let join =
        |part: fn(&CapabilityWords) -> u32| u64::from(part(&words[1])) << 32 | u64::from(part(&words[0]));
    Ok(CapabilitySets {
        effective: join(|word| word.effective),
        permitted: join(|word| word.permitted),
        inheritable: join(|word| word.inheritable),
    })
}

/// Sets the capabilities of the calling thread; the process's other threads keep theirs.
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
    // SAFETY: the kernel reads the header, which is initialised and exclusively borrowed, and may write its
    // version. For version 3 it reads two data structures and writes none; `words` holds two, initialised.
    // Both live until the call returns.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, words.as_ptr()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The capabilities in the calling thread's bounding set, which no program that it starts can gain others
/// than. The bits are those of [`CapabilitySets`].
///
/// # Errors
///
/// None that are known.
#[doc(alias = "PR_CAPBSET_READ")]
pub fn bounding_set() -> io::Result<u64> {
    let mut set = 0;
    for number in 0..64_u32 {
        // SAFETY: the request takes an integer.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, c_ulong::from(number), NONE, NONE, NONE) } {
            0 => {}
            1.. => set |= 1 << number,
            // There is no capability of this number, and none of a greater one.
            _ => break,
        }
    }
    Ok(set)
}

/// Takes a capability out of the calling thread's bounding set.
///
/// # Errors
///
/// `EPERM`: `CAP_SETPCAP` is not effective. `EINVAL`: there is no capability of this number.
#[doc(alias = "PR_CAPBSET_DROP")]
pub fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    // SAFETY: the request takes an integer.
    match unsafe { libc::prctl(libc::PR_CAPBSET_DROP, c_ulong::from(capability), NONE, NONE, NONE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Empties the calling thread's ambient set, whose capabilities the programs that it starts would have.
///
/// # Errors
///
/// `EINVAL`: Linux is older than 4.3.
#[doc(alias = "PR_CAP_AMBIENT_CLEAR_ALL")]
pub fn clear_ambient_set() -> io::Result<()> {
    let all = libc::PR_CAP_AMBIENT_CLEAR_ALL as c_ulong;
    // SAFETY: the request takes integers.
    match unsafe { libc::prctl(libc::PR_CAP_AMBIENT, all, NONE, NONE, NONE) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether no program that the calling thread starts gains a right from its file.
///
/// # Errors
///
/// None that are known.
#[doc(alias = "PR_GET_NO_NEW_PRIVS")]
pub fn has_no_new_privileges() -> io::Result<bool> {
    prctl(libc::PR_GET_NO_NEW_PRIVS, 0).map(|set| set != 0)
}

/// Has no program that the calling thread starts gain a right from its file. There is no way back.
///
/// # Errors
///
/// None that are known.
#[doc(alias = "PR_SET_NO_NEW_PRIVS")]
pub fn forbid_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Keeps other processes of the user from tracing this one and from reading its memory, and the kernel from
/// writing it to a file.
///
/// # Errors
///
/// None that are known.
#[doc(alias = "PR_SET_DUMPABLE")]
pub fn forbid_dumps() -> io::Result<()> {
    prctl(libc::PR_SET_DUMPABLE, 0).map(drop)
}

/// A request with one integer.
fn prctl(request: c_int, argument: c_ulong) -> io::Result<c_int> {
    // SAFETY: this is private, and the callers' requests take integers.
    match unsafe { libc::prctl(request, argument, NONE, NONE, NONE) } {
        answer if answer < 0 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

/// An argument of prctl(2) that must be zero. As the function is variadic, it must have the width of a long.
const NONE: c_ulong = 0;

/// Makes the environment of the process empty, for this program and for the C library.
///
/// # Errors
///
/// `EINVAL`: the process has several threads, and another might read the environment.
#[doc(alias = "clearenv")]
pub fn clear_environment() -> io::Result<()> {
    if fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: this thread is the only one, so no other reads the environment meanwhile. The C library may
    // free the array of pointers to the texts; the standard library, through which Rust reads the
    // environment, keeps no pointer into it.
    match unsafe { libc::clearenv() } {
        0 => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::ENOMEM)),
    }
}

/// Stops the interval timers of the process, which it may have inherited: `alarm(2)` and `setitimer(2)`
/// outlive `execve(2)`.
///
/// # Errors
///
/// None that are known.
#[doc(alias = "setitimer")]
pub fn stop_timers() -> io::Result<()> {
    const NEVER: libc::timeval = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let never = libc::itimerval { it_interval: NEVER, it_value: NEVER };
    // ITIMER_REAL, ITIMER_VIRTUAL and ITIMER_PROF, from <linux/time.h>; libc lacks them on Android.
    for timer in [0, 1, 2] {
        // SAFETY: the call reads one initialised `itimerval`, which lives until it returns. As the third
        // argument is null, it writes nothing.
        if unsafe { libc::setitimer(timer, &raw const never, ptr::null_mut()) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Gives the process the usual share of the processor, if it may have it.
///
/// # Errors
///
/// `EACCES`: the process has a smaller share, and no right to a greater one.
#[doc(alias = "setpriority")]
#[doc(alias = "nice")]
pub fn reset_priority() -> io::Result<()> {
    // SAFETY: the call takes integers only.
    match unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether two descriptors, each of some process, refer to one open file: one is a duplicate of the other, or
/// was inherited.
///
/// # Errors
///
/// `EPERM`: the caller may not inspect one of the processes. `ENOSYS`: the kernel was built without `kcmp`.
/// `ESRCH`, `EBADF`: a process or a descriptor is gone.
#[doc(alias = "kcmp")]
pub fn is_same_file((pid, fd): (u32, c_int), (other_pid, other_fd): (u32, c_int)) -> io::Result<bool> {
    /// `KCMP_FILE`, from <linux/kcmp.h>.
    const FILE: c_int = 0;
    // kcmp() takes the descriptors as longs. syscall(2) is variadic: it would leave the upper half of an int
    // undefined.
    let (fd, other_fd) = (fd as c_long, other_fd as c_long);
    // SAFETY: kcmp() with KCMP_FILE takes integers only, and changes nothing.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, pid, other_pid, FILE, fd, other_fd) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer == 0) }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn the_kernel_agrees_with_its_own_status_file() {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let reported = |set: &str| {
            let digits = status.lines().find_map(|line| line.strip_prefix(set)).unwrap();
            u64::from_str_radix(digits.trim(), 16).unwrap()
        };
        let sets = capabilities().unwrap();
        assert_eq!(sets.effective, reported("CapEff:"));
        assert_eq!(sets.permitted, reported("CapPrm:"));
        assert_eq!(sets.inheritable, reported("CapInh:"));
        // Setting the present capabilities needs no permission.
        set_capabilities(sets).unwrap();
        assert_eq!(capabilities().unwrap(), sets);
        // An effective capability must be permitted.
        let senseless = CapabilitySets { permitted: 0, effective: 1, ..sets };
        assert_eq!(set_capabilities(senseless).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn the_bounding_set_is_the_one_of_the_status_file() {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let digits = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap();
        assert_eq!(bounding_set().unwrap(), u64::from_str_radix(digits.trim(), 16).unwrap());
        assert_eq!(drop_from_bounding_set(64).unwrap_err().kind(), drop_error());
    }

    /// What the kernel checks first is the right to change the set.
    fn drop_error() -> io::ErrorKind {
        let may = capabilities().unwrap().effective >> CAP_SETPCAP & 1 == 1;
        if may { io::ErrorKind::InvalidInput } else { io::ErrorKind::PermissionDenied }
    }

    #[test]
    fn with_other_threads_the_environment_stays() {
        // The harness itself is another thread.
        assert_eq!(clear_environment().unwrap_err().raw_os_error(), Some(libc::EINVAL));
    }

    #[test]
    fn a_fork_is_a_generation() {
        let before = generation();
        assert_eq!(generation(), before);
        // The tests have several threads, so the standard library forks: for a program that is not there, the
        // child reports that it could not be started.
        let mut command = Command::new("/no-such-program");
        // SAFETY: between fork and exec the closure reads two numbers, and makes an error without allocating.
        unsafe {
            command.pre_exec(move || {
                if generation() == before + 1 {
                    Err(io::Error::from_raw_os_error(libc::EDOM))
                } else {
                    Ok(())
                }
            });
        }
        assert_eq!(command.spawn().unwrap_err().raw_os_error(), Some(libc::EDOM));
        assert_eq!(generation(), before);
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
            // The kernel has no kcmp(), or a container forbids it.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {}
            outcome => {
                assert!(outcome.unwrap());
                assert!(!is_same(&file, &other).unwrap());
            }
        }
    }
}
