//! Opening files and sockets in another namespace, and starting programs there, from a process with threads.
//!
//! A process with several threads cannot enter a user namespace, and after a `fork(2)` its copy may only make
//! calls that are async-signal-safe. So what is to be done elsewhere is prepared as data: a list of
//! [`Step`]s, each of which is one or a few system calls on memory that was made before. The same list can be
//! taken by a thread, by a short-lived child that passes on what it opened, or by a program's process before
//! it becomes the program.
//!
//! Manual pages: `namespaces(7)`, `user_namespaces(7)`, `unix(7)`, `signal-safety(7)`.
#![allow(unsafe_code, reason = "namespaces, mounts, and what runs between fork(2) and execve(2)")]

mod child;

use std::ffi::{CStr, CString, c_int, c_ulong};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::Arc;

pub use child::{Failure, MOST, in_child};

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Users, groups and capabilities: `user_namespaces(7)`.
    #[doc(alias = "CLONE_NEWUSER")]
    User,
    /// Network interfaces: `network_namespaces(7)`.
    #[doc(alias = "CLONE_NEWNET")]
    Network,
}

impl Kind {
    const fn flag(self) -> c_int {
        match self {
            Self::User => libc::CLONE_NEWUSER,
            Self::Network => libc::CLONE_NEWNET,
        }
    }
}

/// One thing to do, prepared so that it takes system calls alone: no allocation and no lock.
#[derive(Clone, Debug)]
pub enum Step {
    /// Enters an existing namespace.
    #[doc(alias = "setns")]
    Enter(Kind, Arc<OwnedFd>),
    /// Enters a new namespace.
    #[doc(alias = "unshare")]
    Leave(Kind),
    /// Makes the ids of a new user namespace, from lines as `uid_map` and `gid_map` have them.
    ///
    /// Of a process that has changed its user since it started, these files belong to root, unless it may be
    /// inspected by others of its user (`PR_SET_DUMPABLE`). It may, while the ids are written.
    MapIds {
        /// The line of `/proc/self/uid_map`.
        users: CString,
        /// The line of `/proc/self/gid_map`.
        groups: CString,
    },
    /// Opens a file, to read and write if `write` is set; never waits for it. The descriptor is
    /// close-on-exec, and non-blocking.
    Open {
        /// The file.
        path: CString,
        /// Whether to write as well.
        write: bool,
    },
    /// Opens a socket, close-on-exec.
    Socket {
        /// `AF_…`.
        family: c_int,
        /// `SOCK_…`.
        kind: c_int,
        /// The family's protocol.
        protocol: c_int,
    },
    /// Mounts `/sys` anew in a mount namespace of its own, so that it shows the network namespace that was
    /// entered. Where the system does not permit that, `/sys` stays as it was.
    MountSysfs,
}

impl Step {
    /// Takes the step in the calling thread: the descriptor that it opened, if it opens one.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    pub fn take(&self) -> io::Result<Option<OwnedFd>> {
        match self.call() {
            // SAFETY: the step has just opened the descriptor, and nothing else owns it.
            Ok(opened) => Ok(opened.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })),
            Err(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    /// As [`take`](Self::take), of a step that opens something.
    ///
    /// # Errors
    ///
    /// Those of the system call; `InvalidInput` if the step opens nothing.
    pub fn open(&self) -> io::Result<OwnedFd> {
        self.take()?.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// The system calls: an opened descriptor, or the errno. Allocates nothing, takes no lock, cannot panic.
    fn call(&self) -> Result<Option<c_int>, c_int> {
        match self {
            Self::Enter(kind, namespace) => {
                // SAFETY: setns() takes integers only; the descriptor is open, since `namespace` owns it.
                check(unsafe { libc::setns(namespace.as_raw_fd(), kind.flag()) })?;
            }
            Self::Leave(kind) => {
                // SAFETY: unshare() takes an integer only.
                check(unsafe { libc::unshare(kind.flag()) })?;
            }
            Self::MapIds { users, groups } => map_ids(users, groups)?,
            Self::Open { path, write } => {
                let access = if *write { libc::O_RDWR } else { libc::O_RDONLY };
                return open(path, access | libc::O_NONBLOCK).map(Some);
            }
            Self::Socket { family, kind, protocol } => {
                // SAFETY: socket() takes integers only.
                let opened = unsafe { libc::socket(*family, *kind | libc::SOCK_CLOEXEC, *protocol) };
                return check(opened).map(Some);
            }
            Self::MountSysfs => mount_sysfs(),
        }
        Ok(None)
    }
}

fn check(answer: c_int) -> Result<c_int, c_int> {
    if answer < 0 { Err(errno()) } else { Ok(answer) }
}

/// The thread's last errno. An `io::Error` of an errno allocates nothing.
fn errno() -> c_int {
    io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO)
}

fn open(path: &CStr, access: c_int) -> Result<c_int, c_int> {
    loop {
        // SAFETY: the path is a string with its NUL that lives until the call returns; the kernel only reads
        // it.
        match check(unsafe { libc::open(path.as_ptr(), access | libc::O_CLOEXEC) }) {
            Err(libc::EINTR) => {}
            outcome => return outcome,
        }
    }
}

fn map_ids(users: &CStr, groups: &CStr) -> Result<(), c_int> {
    let protected = dumpable(libc::PR_GET_DUMPABLE, 0) != 1;
    if protected {
        dumpable(libc::PR_SET_DUMPABLE, 1);
    }
    let mapped = write(c"/proc/self/setgroups", c"deny")
        .and_then(|()| write(c"/proc/self/uid_map", users))
        .and_then(|()| write(c"/proc/self/gid_map", groups));
    if protected {
        dumpable(libc::PR_SET_DUMPABLE, 0);
    }
    mapped
}

fn dumpable(request: c_int, value: c_ulong) -> c_int {
    // SAFETY: both requests take an integer, and touch no memory.
    unsafe { libc::prctl(request, value, 0, 0, 0) }
}

fn write(path: &CStr, text: &CStr) -> Result<(), c_int> {
    let file = open(path, libc::O_WRONLY)?;
    let bytes = text.to_bytes();
    // SAFETY: the kernel reads that many bytes, which live until the call returns.
    let written = unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) };
    // These files take a text whole or not at all (`map_write`, `proc_setgroups_write`).
    let outcome = if written < 0 { Err(errno()) } else { Ok(()) };
    // SAFETY: `file` was opened above and is not used again.
    unsafe { libc::close(file) };
    outcome
}

fn mount_sysfs() {
    // SAFETY: unshare() takes an integer only.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } < 0 {
        return;
    }
    // Mounts outside still come in; none gets out.
    if mount(c"none", c"/", c"none", libc::MS_REC | libc::MS_SLAVE) {
        mount(c"sysfs", c"/sys", c"sysfs", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
    }
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: c_ulong) -> bool {
    // SAFETY: the three strings have their NUL and live until the call returns; the kernel only reads them,
    // and there is no data.
    let answer = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, ptr::null()) };
    answer == 0
}

/// Has a program take these steps in its process, before the process becomes the program. What a step opens
/// is closed then.
///
/// The system calls are made as the user that the command was given. If a step fails, starting the program
/// fails with its errno.
pub fn before_exec(command: &mut Command, steps: Vec<Step>) {
    let take =
        move || steps.iter().try_for_each(|step| step.call().map(drop)).map_err(io::Error::from_raw_os_error);
    // SAFETY: between fork and exec the closure makes system calls alone, by functions that take no lock and
    // allocate nothing (`Step::call`), and the steps were made before. The closure owns them, so their
    // descriptors are open.
    unsafe { command.pre_exec(take) };
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;

    use super::*;

    fn steps_to_open(path: &CStr) -> Step {
        Step::Open { path: path.to_owned(), write: false }
    }

    #[test]
    fn a_child_passes_on_what_it_opened_in_order() {
        let steps = [steps_to_open(c"/proc/self/comm"), steps_to_open(c"/proc/self/status")];
        let opened = in_child(&steps).unwrap();
        let [comm, status] = opened.try_into().unwrap();
        // The files are of the child's process, which has ended.
        assert_eq!(fs::File::from(comm).read(&mut [0; 64]).unwrap_err().raw_os_error(), Some(libc::ESRCH));
        assert_eq!(fs::File::from(status).read(&mut [0; 64]).unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn a_failed_step_is_named_with_its_errno() {
        let steps = [steps_to_open(c"/proc/self/comm"), steps_to_open(c"/proc/self/nothing")];
        let Failure { step, error } = in_child(&steps).unwrap_err();
        assert_eq!((step, error.raw_os_error()), (Some(1), Some(libc::ENOENT)));
    }

    #[test]
    fn more_descriptors_than_fit_are_refused_before_anything_is_opened() {
        let steps = vec![steps_to_open(c"/proc/self/comm"); MOST + 1];
        let Failure { step, error } = in_child(&steps).unwrap_err();
        assert_eq!((step, error.raw_os_error()), (None, Some(libc::EINVAL)));
        assert_eq!(in_child(&steps[1..]).unwrap().len(), MOST);
    }

    #[test]
    fn a_program_takes_the_steps_first() {
        let mut command = Command::new("true");
        before_exec(&mut command, vec![steps_to_open(c"/proc/self/nothing")]);
        assert_eq!(command.status().unwrap_err().raw_os_error(), Some(libc::ENOENT));
        let mut command = Command::new("true");
        before_exec(&mut command, vec![steps_to_open(c"/proc/self/comm")]);
        assert!(command.status().unwrap().success());
    }

    #[test]
    fn signals_are_as_before() {
        let blocked = || {
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            status.lines().find(|line| line.starts_with("SigBlk:")).unwrap().to_owned()
        };
        let before = blocked();
        in_child(&[]).unwrap();
        assert_eq!(blocked(), before);
    }
}
