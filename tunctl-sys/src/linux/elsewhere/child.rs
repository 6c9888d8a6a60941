//! A child that takes steps, passes on the descriptors that they opened, and ends.

use std::ffi::{c_int, c_long};
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Step, errno};

/// The most descriptors that one child may open.
pub const MOST: usize = 4;

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
        #[allow(clippy::cast_possible_truncation, reason = "its type differs between C libraries")]
        let control_length = length as _;
        message.msg_controllen = control_length;
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
    #[allow(clippy::cast_possible_truncation, reason = "its type differs between C libraries")]
    let control_length = length as _;
    rights.header.cmsg_len = control_length;
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
