//! The state that a process inherits from whoever starts it, brought to a known one.

use std::io;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::libc::{EACCES, EPERM, SIGALRM, SIGKILL, SIGSTOP};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::SigSet;
use nix::sys::socket::{SockType, UnixAddr, getsockname, getsockopt, sockopt};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{alarm, chdir, dup2_stderr, dup2_stdout};
use tunctl_sys::linux::{inherited, process};
use tunctl_sys::signal;

/// How long the program may take.
const SECONDS: u32 = 10;

/// The greatest number of a signal.
const LAST_SIGNAL: i32 = 64;

/// Whether the standard input is one end of a pair of sockets, by which a program asks.
#[must_use]
pub fn is_asked() -> bool {
    let socket = io::stdin();
    let is_unix = getsockname::<UnixAddr>(socket.as_raw_fd()).is_ok();
    is_unix && getsockopt(&socket, sockopt::SockType) == Ok(SockType::SeqPacket)
}

/// Brings the process into a known state.
///
/// The standard library has opened `/dev/null` for each of the standard streams that was closed, before
/// `main`.
pub(crate) fn reset() -> io::Result<()> {
    limit_time()?;
    raise_limits()?;
    inherited::close_all()?;
    let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
    dup2_stdout(&null)?;
    dup2_stderr(&null)?;
    drop(null);
    process::clear_environment()?;
    umask(Mode::from_bits_truncate(0o077));
    reset_signals()?;
    process::stop_timers()?;
    limit_time()?;
    chdir("/")?;
    match process::reset_priority() {
        // The caller has given itself a smaller share. That it waits longer is its own affair.
        Err(error) if matches!(error.raw_os_error(), Some(EACCES | EPERM)) => {}
        outcome => outcome?,
    }
    process::forbid_dumps()?;
    // The request may not have come yet.
    let flags = OFlag::from_bits_truncate(fcntl(io::stdin(), FcntlArg::F_GETFL)?);
    fcntl(io::stdin(), FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK))?;
    Ok(())
}

/// From here on, the process ends after ten seconds.
///
/// Two things last longer, and hold nothing that anybody else needs: to close an inherited file of a file
/// system in user space, which the kernel does not interrupt; and a helper that root starts as the first
/// process of a pid namespace, which the signal does not end.
///
/// # Errors
///
/// None that are known.
pub fn limit_time() -> io::Result<()> {
    signal::set_default(SIGALRM)?;
    SigSet::empty().thread_set_mask()?;
    alarm::set(SECONDS);
    Ok(())
}

fn reset_signals() -> io::Result<()> {
    for number in (1..=LAST_SIGNAL).filter(|&number| number != SIGKILL && number != SIGSTOP) {
        match signal::set_default(number) {
            // The C library keeps some numbers for itself.
            Err(error) if error.raw_os_error() == Some(nix::libc::EINVAL) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// What the caller has lowered, as far as it can be raised again; and no core dump.
fn raise_limits() -> Result<(), Errno> {
    for resource in
        [Resource::RLIMIT_NOFILE, Resource::RLIMIT_AS, Resource::RLIMIT_CPU, Resource::RLIMIT_FSIZE]
    {
        let (_, most) = getrlimit(resource)?;
        setrlimit(resource, most, most)?;
    }
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}
