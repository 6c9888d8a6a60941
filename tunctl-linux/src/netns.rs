//! New network namespaces: TUN/TAP without privilege, for tests, trials and labs.
//!
//! In a new user namespace an unprivileged process has every capability over a network namespace that it
//! created together with it. So the process can create, configure and use devices there, if it may open
//! `/dev/net/tun` (mode 0666, the usual default).

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, pipe2};
use tunctl_core::{Cause, InterfaceName, Operation, Reason, Result, State};
use tunctl_sys::linux::process;

use crate::diagnose::{self, errno};
use crate::netlink::Netlink;
use crate::remedy;

/// Moves the process into a new user, network and mount namespace, as root there, with the loopback interface
/// up.
///
/// If root calls it, all ids stay valid inside. Otherwise the caller's own ids become 0 inside, and no other
/// ids exist. `/sys` is mounted again where the system permits it; elsewhere `/sys/class/net` still shows the
/// interfaces outside. Where the system refuses user namespaces, a process that may create network namespaces
/// enters only a network namespace, and stays in its user namespace.
///
/// Only the calling process moves, with its later children, and it cannot come back. Call it first thing in
/// `main`: a process with several threads cannot enter a user namespace.
///
/// # Errors
///
/// `SeveralThreads`; `NamespacesRefused`, with the settings that may have switched them off.
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
    let own = Own { uid: geteuid(), gid: getegid() };
    let mapper = if own.uid.is_root() { Mapper::start().ok() } else { None };
    let entered = unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS);
    let mapped = mapper.is_some_and(|mapper| mapper.end(entered.is_ok()));
    match entered {
        Ok(()) if mapped => {}
        Ok(()) => own.map().map_err(|error| refused(errno(&error)))?,
        Err(_) if unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).is_ok() => {}
        Err(errno) => return Err(refused(errno)),
    }
    mount_sysfs();
    bring_loopback_up().map_err(|error| {
        let errno = errno(&error);
        let reason = remedy::configure(errno, Operation::Up, &diagnose::caller());
        reason.with_errno(errno as i32).of(Operation::EnterNamespace)
    })
}

fn has_several_threads() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1)
}

/// The caller's ids outside the namespace.
struct Own {
    uid: Uid,
    gid: Gid,
}

impl Own {
    /// Maps the ids to 0 inside. Every process may map its own ids, once it has switched `setgroups` off.
    fn map(&self) -> io::Result<()> {
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {} 1", self.uid))?;
        fs::write("/proc/self/gid_map", format!("0 {} 1", self.gid))
    }
}

/// A process that stays outside: only there does root have the right to map ids other than its own.
struct Mapper {
    pid: Pid,
    /// A written byte starts the mapping; closing it ends the process.
    go: Rc<Cell<Option<OwnedFd>>>,
}

impl Mapper {
    fn start() -> io::Result<Self> {
        let users = identity_map(&fs::read_to_string("/proc/self/uid_map")?);
        let groups = identity_map(&fs::read_to_string("/proc/self/gid_map")?);
        let target = std::process::id();
        let (started, go) = pipe2(OFlag::O_CLOEXEC)?;
        let go = Rc::new(Cell::new(Some(go)));
        let inherited = go.clone();
        let pid = process::in_copy(move || {
            // Otherwise the copy would hold the writing end itself, and wait forever.
            drop(inherited.take());
            let is_started = nix::unistd::read(&started, &mut [0]) == Ok(1);
            let write = |kind, map: &str| fs::write(format!("/proc/{target}/{kind}_map"), map).is_ok();
            i32::from(!(is_started && write("uid", &users) && write("gid", &groups)))
        })?;
        Ok(Self { pid: Pid::from_raw(pid), go })
    }

    /// Maps all ids onto themselves if `map`, and ends the process. Returns whether the ids are mapped.
    fn end(self, map: bool) -> bool {
        if let Some(go) = self.go.take().filter(|_| map) {
            // A failed write means that the process has died, which its exit status reports.
            let _ = nix::unistd::write(&go, &[1]);
        }
        waitpid(self.pid, None).is_ok_and(|status| status == WaitStatus::Exited(self.pid, 0))
    }
}

/// A map of all ids of the current namespace onto themselves.
fn identity_map(current: &str) -> String {
    let mut map = String::new();
    for line in current.lines() {
        let mut fields = line.split_whitespace();
        if let (Some(first), Some(_), Some(count)) = (fields.next(), fields.next(), fields.next()) {
            map.push_str(&format!("{first} {first} {count}\n"));
        }
    }
    map
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

fn bring_loopback_up() -> io::Result<()> {
    let netlink = Netlink::open()?;
    let name = InterfaceName::from_kernel(b"lo").map_err(io::Error::other)?;
    match netlink.link_by_name(&name)? {
        Some(lo) => netlink.set_state(lo.index(), State::Up),
        None => Err(io::Error::from_raw_os_error(Errno::ENODEV as i32)),
    }
}

fn refused(errno: Errno) -> tunctl_core::Error {
    reason(errno).with_errno(errno as i32).of(Operation::EnterNamespace)
}

/// Says which limits may have been reached.
fn limits() -> String {
    let limit = |kind| fs::read_to_string(format!("/proc/sys/user/max_{kind}_namespaces"));
    let shown = |kind| limit(kind).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned());
    let (user, net) = (shown("user"), shown("net"));
    format!("a limit is reached: the system permits {user} user namespaces and {net} network namespaces")
}

fn reason(errno: Errno) -> Reason {
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
        Errno::EPERM | Errno::EACCES => Reason::new(Cause::NamespacesRefused).with_remedy(
            "Run it with sudo, or permit them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 \
             (Ubuntu) or kernel.unprivileged_userns_clone=1 (older Debian); in a container, start it with \
             --cap-add SYS_ADMIN, or with a seccomp profile that permits unshare.",
        ),
        errno => remedy::from_errno(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_maps_onto_itself() {
        assert_eq!(identity_map("         0          0 4294967295\n"), "0 0 4294967295\n");
        assert_eq!(identity_map(" 0 1000 1\n 1 100000 65536\n"), "0 0 1\n1 1 65536\n");
    }

    #[test]
    fn each_refusal_says_how_to_go_on() {
        for (errno, cause, advice) in [
            (Errno::EINVAL, Cause::SeveralThreads, "first thing in main"),
            (Errno::ENOSPC, Cause::NamespacesRefused, "max_user_namespaces"),
            (Errno::EPERM, Cause::NamespacesRefused, "apparmor_restrict_unprivileged_userns"),
        ] {
            let error = refused(errno);
            assert_eq!(error.cause(), cause);
            assert!(error.to_string().contains(advice), "{error}");
        }
    }
}
