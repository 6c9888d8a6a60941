//! New network namespaces: TUN/TAP without privilege, for tests, trials and labs.
//!
//! In a new user namespace an unprivileged process has every capability over a network namespace that it
//! created together with it. So the process can create, configure and use devices there, if it may open
//! `/dev/net/tun` (mode 0666, the usual default).

mod ids;
mod settings;

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tunctl_core::{Cause, InterfaceName, Operation, Reason, Result, State};

use crate::diagnose;
use crate::errno;
use crate::netlink::Netlink;
use crate::opener::Opener;
use crate::remedy;
use ids::Ids;

/// Moves the process into a new user, network and mount namespace, as root there, with the loopback interface
/// up.
///
/// If root calls it, with the capabilities to set users and groups (`CAP_SETUID`, `CAP_SETGID`), all ids stay
/// valid inside. Otherwise the caller's own ids become 0 inside, and no other ids exist. `/sys` is mounted
/// again where the system permits it; elsewhere `/sys/class/net` still shows the interfaces outside. Where
/// the system refuses user namespaces, a process that may create network namespaces enters only a network
/// namespace, and stays in its user namespace.
///
/// Only the calling process moves, with its later children, and it cannot come back. Call it first thing in
/// `main`: a process with several threads cannot enter a user namespace.
///
/// # Errors
///
/// `SeveralThreads`; `NamespacesRefused`, with the settings that may have switched them off;
/// `TooManyOpenFiles`, or `Other` where the system has no process left for root's ids to be mapped. These
/// leave the process where it is. If the mapping itself fails, the process is in the new namespace, where
/// some ids are missing.
///
/// # Platform
///
/// Linux only: `user_namespaces(7)`, `network_namespaces(7)`.
#[doc(alias = "unshare")]
pub fn enter_new() -> Result<()> {
    if has_several_threads() {
        // A privileged process would otherwise move this thread alone and leave the others behind.
        return Err(refused(Errno::EINVAL));
    }
    // Before anything changes: a process cannot leave a namespace in which ids are missing.
    let ids = Ids::prepare().map_err(|error| unmapped("cannot be prepared", &error))?;
    match unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
        Ok(()) => ids.map().map_err(|error| unmapped("failed", &error))?,
        Err(_) if unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).is_ok() => {}
        Err(errno) => return Err(refused(errno)),
    }
    mount_sysfs();
    bring_loopback_up(&Opener::Here).map_err(|reason| reason.of(Operation::EnterNamespace))
}

fn has_several_threads() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1)
}

fn mount_sysfs() {
    // Many containers refuse both mounts. `enter_new` documents the consequence.
    let none: Option<&str> = None;
    let private = mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none);
    if private.is_ok() {
        let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), safe, none);
    }
}

/// Brings the loopback interface up where this opens.
pub(crate) fn bring_loopback_up(opener: &Opener) -> std::result::Result<(), Reason> {
    let netlink = Netlink::open(opener)?;
    set_loopback_up(&netlink).map_err(|error| {
        let errno = errno::of(&error);
        remedy::configure(errno, Operation::Up, &diagnose::caller()).with_errno(errno as i32)
    })
}

fn set_loopback_up(netlink: &Netlink) -> io::Result<()> {
    let name = InterfaceName::from_kernel(b"lo").map_err(io::Error::other)?;
    match netlink.link_by_name(&name)? {
        Some(lo) => netlink.set_state(lo.index(), State::Up),
        None => Err(io::Error::from_raw_os_error(Errno::ENODEV as i32)),
    }
}

fn refused(errno: Errno) -> tunctl_core::Error {
    reason(errno).with_errno(errno as i32).of(Operation::EnterNamespace)
}

/// The ids could not be mapped. `step` says how far that came.
fn unmapped(step: &str, error: &io::Error) -> tunctl_core::Error {
    let detail = |why: &str| format!("mapping the users and groups into the new namespace {step}{why}");
    let reason = match error.raw_os_error().map(Errno::from_raw) {
        Some(errno @ (Errno::EPERM | Errno::EACCES)) => return refused(errno),
        Some(Errno::EMFILE | Errno::ENFILE) => diagnose::reason(error),
        Some(Errno::EAGAIN) => no_process(detail(": no further process may be started")),
        Some(errno) => Reason::new(Cause::Other).with_errno(errno as i32).with_detail(detail("")),
        None => Reason::new(Cause::Other).with_detail(detail(&format!(": {error}"))),
    };
    reason.of(Operation::EnterNamespace)
}

/// A process or thread could not be started.
pub(crate) fn no_process(detail: impl Into<Cow<'static, str>>) -> Reason {
    Reason::new(Cause::Other)
        .with_errno(Errno::EAGAIN as i32)
        .with_detail(detail)
        .with_remedy("Raise the limits (ulimit -u, and pids.max of the control group).")
}

/// Says which limits may have been reached.
fn limits() -> String {
    let limit = |kind| fs::read_to_string(format!("/proc/sys/user/max_{kind}_namespaces"));
    let shown = |kind| limit(kind).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
    let (user, net) = (shown("user"), shown("net"));
    format!("a limit is reached: the system permits {user} user namespaces and {net} network namespaces")
}

/// The system refuses new namespaces with this errno.
pub(crate) fn reason(errno: Errno) -> Reason {
    match errno {
        Errno::EINVAL => Reason::new(Cause::SeveralThreads)
            .with_detail("the process has several threads (or the kernel has no namespaces)")
            .with_remedy("Enter the namespace first thing in main(), before any thread is started."),
        Errno::ENOSPC | Errno::EUSERS => {
            Reason::new(Cause::NamespacesRefused).with_detail(limits()).with_remedy(
                "Raise the limit: sudo sysctl user.max_user_namespaces=10000 \
                 user.max_net_namespaces=10000. Or run it with sudo.",
            )
        }
        Errno::EPERM | Errno::EACCES => settings::refusal(Path::new("/proc")),
        errno => remedy::from_errno(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_how_to_go_on() {
        for (errno, cause, advice) in [
            (Errno::EINVAL, Cause::SeveralThreads, "first thing in main"),
            (Errno::ENOSPC, Cause::NamespacesRefused, "max_user_namespaces"),
            (Errno::EPERM, Cause::NamespacesRefused, "Run it with sudo, or permit them: "),
        ] {
            let error = refused(errno);
            assert_eq!(error.cause(), cause);
            assert!(error.to_string().contains(advice), "{error}");
        }
    }
}
