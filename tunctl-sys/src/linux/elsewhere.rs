//! Opening files and sockets in another namespace, and starting programs there, from a process with threads.
//!
//! A process with several threads cannot enter a user namespace, and after a `fork(2)` its copy may only make
//! calls that are async-signal-safe. So what is to be done elsewhere is prepared as data: a list of
//! [`Step`]s, each of which is one or a few system calls on memory that was made before. The same list can be
//! taken by a thread, by a short-lived child that passes on what it opened, or by a program's process before
//! it becomes the program.
//!
//! Manual pages: `namespaces(7)`, `user_namespaces(7)`, `unix(7)`, `signal-safety(7)`.
#![allow(unsafe_code, reason = "clone(2), what runs in the child, and the passing of descriptors")]

use std::ffi::{CStr, CString, c_int, c_long, c_ulong};
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::sync::Arc;

/// The most descriptors that one child may open.
pub const MOST: usize = 4;

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

/// Why a child opened nothing.
#[derive(Debug)]
pub struct Failure {
    /// The step that failed, by its place in the list. `None`: the child did not get that far.
    pub step: Option<usize>,
    /// What the system call said.
    pub error: io::Error,
}

impl Failure {
    fn early(error: io::Error) -> Self {
        Self { step: None, error }
    }
}

/// Takes the steps in a child with a single thread, which then ends. The descriptors that the steps opened,
/// in their order: they belong to the namespaces where the child was, and are close-on-exec.
///
/// The calling process stays where it is, and may have any number of threads. It gets no `SIGCHLD`, whatever
/// it does at one, and none of its signal handlers runs in the child.
///
/// # Errors
///
/// Of a step, with its place. Of the child: `EAGAIN` (a limit of processes), `ENOMEM`, `EMFILE`, `ENFILE`.
/// `EINVAL`: the steps would open more than [`MOST`] descriptors.
#[doc(alias = "SCM_RIGHTS")]
pub fn in_child(steps: &[Step]) -> Result<Vec<OwnedFd>, Failure> {
    let opening = steps.iter().filter(|step| matches!(step, Step::Open { .. } | Step::Socket { .. }));
    if opening.count() > MOST {
        return Err(Failure::early(io::Error::from_raw_os_error(libc::EINVAL)));
    }
    let (near, far) = pair().map_err(Failure::early)?;
    let blocked = Blocked::all();
    // Without flags, without a stack of its own and without a signal for its end, every argument is 0, so
    // that their order, which differs between machines, does not matter.
    const NONE: c_long = 0;
    // SAFETY: this is a fork() whose child sends no signal at its end. The child has a copy of the memory and
    // goes on here, with this thread alone: locks that other threads held stay locked there. `serve` takes
    // none, and does not return.
    let pid = unsafe { libc::syscall(libc::SYS_clone, NONE, NONE, NONE, NONE, NONE) };
    if pid == 0 {
        serve(&far, steps);
    }
    let refused = (pid < 0).then(io::Error::last_os_error);
    drop(blocked);
    if let Some(error) = refused {
        return Err(Failure::early(error));
    }
    #[allow(clippy::cast_possible_truncation, reason = "a process id is an int")]
    await_end(pid as libc::pid_t);
    // It has sent what it had to send. Not to wait matters: a copy of the socket's other end may be in a
    // process that another thread has just started.
    receive(&near)
}

/// Waits for a child that sends no signal at its end.
fn await_end(pid: libc::pid_t) {
    loop {
        // SAFETY: with a null pointer the kernel writes no status.
        let answer = unsafe { libc::waitpid(pid, ptr::null_mut(), libc::__WALL) };
        if answer >= 0 || errno() != libc::EINTR {
            return;
        }
    }
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [c_int; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes two integers, for which there is room.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has opened both descriptors, and nothing else owns the first.
    let near = unsafe { OwnedFd::from_raw_fd(fds[0]) };
    // SAFETY: as above, nothing else owns the second.
    let far = unsafe { OwnedFd::from_raw_fd(fds[1]) };
    Ok((near, far))
}

/// Blocks all signals in this thread, until it is dropped.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn all() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: sigfillset() writes one whole set, for which there is room at the address.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: the first set is initialised above, and read; the second has room for the set that is
        // written. With these arguments the call cannot fail.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: the call above has written it.
        Self { before: unsafe { before.assume_init() } }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the set is initialised, and read; with a null pointer nothing is written.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

/// What the child says.
#[repr(C)]
#[derive(Clone, Copy)]
struct Report {
    step: u32,
    /// 0 if all steps were taken.
    errno: c_int,
}

/// A message's descriptors, as the kernel lays them out.
#[repr(C)]
#[derive(Clone, Copy)]
struct Rights {
    header: libc::cmsghdr,
    fds: [c_int; MOST],
}

const _: () = {
    // SAFETY: CMSG_LEN() only computes.
    let header = unsafe { libc::CMSG_LEN(0) };
    assert!(offset_of!(Rights, fds) == header as usize);
};

impl Rights {
    /// The bytes of a message with that many descriptors.
    const fn length(count: usize) -> usize {
        offset_of!(Rights, fds) + count * size_of::<c_int>()
    }
}

/// A message of one report and of descriptors, to send it or to be filled in.
fn message(part: &mut libc::iovec, rights: *mut Rights, length: usize) -> libc::msghdr {
    // SAFETY: `msghdr` is integers and pointers, for which zeros are valid. Some C libraries add padding,
    // which a literal could not name.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = ptr::from_mut(part);
    message.msg_iovlen = 1;
    if length > 0 {
        message.msg_control = rights.cast();
        message.msg_controllen = length as _;
    }
    message
}

fn part_of(report: *mut Report) -> libc::iovec {
    libc::iovec { iov_base: report.cast(), iov_len: size_of::<Report>() }
}

/// The child: it takes the steps, passes on what they opened, and ends. It makes system calls alone.
fn serve(socket: &OwnedFd, steps: &[Step]) -> ! {
    let mut report = Report { step: 0, errno: 0 };
    // SAFETY: `Rights` is integers only, for which zeros are valid.
    let mut rights: Rights = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut count = 0;
    for step in steps {
        match step.call() {
            Ok(None) => {}
            Ok(Some(fd)) => {
                if let Some(place) = rights.fds.get_mut(count) {
                    *place = fd;
                    count += 1;
                }
            }
            Err(errno) => {
                (report.errno, count) = (errno, 0);
                break;
            }
        }
        report.step += 1;
    }
    rights.header.cmsg_level = libc::SOL_SOCKET;
    rights.header.cmsg_type = libc::SCM_RIGHTS;
    let length = if count == 0 { 0 } else { Rights::length(count) };
    rights.header.cmsg_len = length as _;
    let mut part = part_of(&raw mut report);
    let message = message(&mut part, &raw mut rights, length);
    // SAFETY: the message points to one report and to one control message, each with its length; both are
    // initialised and live until the call returns, and the kernel only reads them.
    unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
    // SAFETY: _exit() takes an integer and does not return; it runs no code of the process.
    unsafe { libc::_exit(0) }
}

fn receive(socket: &OwnedFd) -> Result<Vec<OwnedFd>, Failure> {
    let mut report = Report { step: 0, errno: 0 };
    // SAFETY: `Rights` is integers only, for which zeros are valid.
    let mut rights: Rights = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut part = part_of(&raw mut report);
    let mut message = message(&mut part, &raw mut rights, size_of::<Rights>());
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the message points to room for one report and for control messages, each with its length; both
    // are exclusively borrowed until the call returns, any bytes are valid in them, and the kernel writes no
    // more than these lengths.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let came = (rights.header.cmsg_level, rights.header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS);
    #[allow(clippy::unnecessary_cast, reason = "its type differs between C libraries")]
    let length = rights.header.cmsg_len as usize;
    let count = if came { length.saturating_sub(Rights::length(0)) / size_of::<c_int>() } else { 0 };
    let own = |&fd: &c_int| {
        // SAFETY: the kernel has opened the descriptor for this process, and nothing else owns it.
        unsafe { OwnedFd::from_raw_fd(fd) }
    };
    let opened = rights.fds.iter().take(count).map(own).collect();
    if usize::try_from(received) != Ok(size_of::<Report>()) {
        return Err(Failure::early(io::Error::other("the child that was to enter a namespace was killed")));
    }
    if report.errno != 0 {
        let error = io::Error::from_raw_os_error(report.errno);
        return Err(Failure { step: usize::try_from(report.step).ok(), error });
    }
    // `scm_detach_fds` leaves out what finds no number in this process.
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Failure::early(io::Error::from_raw_os_error(libc::EMFILE)));
    }
    Ok(opened)
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
