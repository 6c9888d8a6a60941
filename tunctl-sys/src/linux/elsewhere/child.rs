//! A child that takes steps, passes on the descriptors that they opened, and ends.

use std::ffi::{c_int, c_long};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{Step, errno};
use crate::linux::rights::{self, Rights};

/// The most descriptors that one child may open.
pub const MOST: usize = rights::MOST;

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

/// What the child says: the step, and an errno that is 0 if all steps were taken.
#[derive(Clone, Copy)]
struct Report {
    step: u32,
    errno: c_int,
}

impl Report {
    const SIZE: usize = 8;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..4].copy_from_slice(&self.step.to_ne_bytes());
        bytes[4..].copy_from_slice(&self.errno.to_ne_bytes());
        bytes
    }

    fn from_bytes([a, b, c, d, e, f, g, h]: [u8; Self::SIZE]) -> Self {
        Self { step: u32::from_ne_bytes([a, b, c, d]), errno: c_int::from_ne_bytes([e, f, g, h]) }
    }
}

/// The child: it takes the steps, passes on what they opened, and ends. It makes system calls alone.
fn serve(socket: &OwnedFd, steps: &[Step]) -> ! {
    let mut report = Report { step: 0, errno: 0 };
    let mut rights = Rights::none();
    let mut count = 0;
    for step in steps {
        match step.call() {
            Ok(None) => {}
            Ok(Some(fd)) => count += usize::from(rights.put(count, fd)),
            Err(errno) => {
                (report.errno, count) = (errno, 0);
                break;
            }
        }
        report.step += 1;
    }
    rights::send(socket.as_fd(), &report.to_bytes(), &mut rights, count);
    // SAFETY: _exit() takes an integer and does not return; it runs no code of the process.
    unsafe { libc::_exit(0) }
}

fn receive(socket: &OwnedFd) -> Result<Vec<OwnedFd>, Failure> {
    let mut bytes = [0; Report::SIZE];
    let received = match rights::receive(socket.as_fd(), &mut bytes) {
        Ok(received) if received.length == Report::SIZE => received,
        _ => {
            return Err(Failure::early(io::Error::other(
                "the child that was to enter a namespace was killed",
            )));
        }
    };
    let report = Report::from_bytes(bytes);
    if report.errno != 0 {
        let error = io::Error::from_raw_os_error(report.errno);
        return Err(Failure { step: usize::try_from(report.step).ok(), error });
    }
    if received.lacks_descriptors {
        return Err(Failure::early(io::Error::from_raw_os_error(libc::EMFILE)));
    }
    Ok(received.descriptors)
}
