//! Descriptors that a supervisor started this program with.

use std::env;
use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use tunctl_core::{Cause, Operation, Reason, Result};
use tunctl_sys::exec::FIRST;
use tunctl_sys::linux::inherited::take_tun;

use crate::{errno, remedy};

/// The descriptors of the TUN/TAP driver with which a supervisor has started this program, in their order:
/// those of systemd's convention (`sd_listen_fds(3)`), by which also `tunctl run` passes one on. Empty if
/// there are none, or they were meant for another process.
///
/// ```no_run
/// use tunctl_core::{Adopt, TunDevice};
/// use tunctl_linux::{LinuxBackend, inherited};
///
/// for fd in inherited()? {
///     let tun = LinuxBackend::new().adopt(fd)?;
///     println!("{}: {:?}", tun.name()?, tun.layer());
/// }
/// # Ok::<(), tunctl_core::Error>(())
/// ```
///
/// Each is returned once: they become close-on-exec, and what is close-on-exec belongs to somebody.
/// Descriptors of other files, such as sockets, are left to other code. Call it early: a part of the program
/// that opens files without close-on-exec, which Rust's standard library never does, could have opened one in
/// their place if the supervisor passed on fewer than it says.
///
/// # Errors
///
/// `InvalidValue` if `LISTEN_PID` or `LISTEN_FDS` is no number.
#[doc(alias = "LISTEN_FDS")]
#[doc(alias = "sd_listen_fds")]
pub fn inherited() -> Result<Vec<OwnedFd>> {
    if number("LISTEN_PID")? != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = number("LISTEN_FDS")?.and_then(|count| i32::try_from(count).ok()).unwrap_or(0);
    let mut taken = Vec::new();
    // No process has more, and a wrong count must not cost minutes.
    for position in 0..count.min(LIMIT) {
        taken.extend(take_tun(FIRST + position).map_err(|error| failed(&error))?);
    }
    Ok(taken)
}

/// The most descriptors that a process may have, unless root changes that (`fs.nr_open`).
const LIMIT: i32 = 1 << 20;

/// The number in a variable of the environment, if it is there.
fn number(variable: &str) -> Result<Option<u32>> {
    let Some(text) = env::var_os(variable) else { return Ok(None) };
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    parsed.map(Some).ok_or_else(|| {
        Reason::new(Cause::InvalidValue)
            .with_detail(format!("{variable} is no number: {}", text.to_string_lossy()))
            .with_remedy("It is for the supervisor to set, or to leave out: see sd_listen_fds(3).")
            .of(Operation::Adopt)
    })
}

fn failed(error: &io::Error) -> tunctl_core::Error {
    let errno: Errno = errno::of(error);
    remedy::from_errno(errno).with_errno(errno as i32).of(Operation::Adopt)
}
