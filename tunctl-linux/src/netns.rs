//! A network namespace of one's own: TUN/TAP without privilege, for tests, trials and labs.
//!
//! In a new user namespace an unprivileged process has every capability over a network namespace that was made with it,
//! so it can create, configure and use devices there, if `/dev/net/tun` is open to it (mode 0666, the usual default).

use std::fs;
use std::io;
use std::sync::Arc;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use tunctl_core::{Cause, InterfaceName, Operation, Result, State};

use crate::diagnose::{self, errno};
use crate::netlink::Netlink;
use crate::remedy::{self, Verdict};

/// Moves the process into a new user, network and mount namespace, as root there, with the loopback interface up.
///
/// `/sys` is mounted anew where the system permits it; where it does not, `/sys/class/net` goes on to show the interfaces
/// outside. A process with the capability to make namespaces enters them even where user namespaces are switched off. Its
/// user and group ids all stay valid if it may map them; else only its own do, as 0.
///
/// Only the calling process moves, and its children; it cannot come back. Call it first thing in `main`: a process that
/// has started a thread cannot enter a user namespace.
///
/// # Errors
///
/// `SeveralThreads`; `NamespacesRefused`, with what switched them off.
///
/// # Platform
///
/// Linux only: `user_namespaces(7)`, `network_namespaces(7)`.
#[doc(alias = "unshare")]
pub fn enter_new() -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    let before = Maps::read();
    match unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS) {
        Ok(()) => before.write(uid.as_raw(), gid.as_raw()).map_err(|error| refused(errno(&error)))?,
        // Who is privileged needs no user namespace.
        Err(Errno::EPERM | Errno::ENOSPC | Errno::EINVAL)
            if unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).is_ok() => {}
        Err(errno) => return Err(refused(errno)),
    }
    mount_sysfs();
    bring_loopback_up().map_err(|error| {
        let errno = errno(&error);
        let verdict = remedy::configure(errno, Operation::Up, &diagnose::situation());
        verdict.into_error(Operation::EnterNamespace).with_errno(errno as i32)
    })
}

/// The ids that exist outside, to be made to exist inside.
struct Maps {
    users: String,
    groups: String,
}

impl Maps {
    fn read() -> Self {
        let identity = |path| identity_map(&fs::read_to_string(path).unwrap_or_default());
        Self { users: identity("/proc/self/uid_map"), groups: identity("/proc/self/gid_map") }
    }

    fn write(&self, uid: u32, gid: u32) -> io::Result<()> {
        // All ids, for who may; else the caller's own as 0, for which the kernel first wants setgroups switched off.
        if fs::write("/proc/self/uid_map", &self.users).is_ok() {
            return fs::write("/proc/self/gid_map", &self.groups);
        }
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
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
    // Both are refused in many containers, where the documented consequence is to be lived with.
    let none: Option<&str> = None;
    let private = mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none);
    if private.is_ok() {
        let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), safe, none);
    }
}

fn bring_loopback_up() -> io::Result<()> {
    let netlink = Arc::new(Netlink::open()?);
    let name = InterfaceName::from_kernel(b"lo").map_err(io::Error::other)?;
    match netlink.link_by_name(&name)? {
        Some(lo) => netlink.set_state(lo.index(), State::Up),
        None => Err(io::Error::from_raw_os_error(Errno::ENODEV as i32)),
    }
}

fn refused(errno: Errno) -> tunctl_core::Error {
    verdict(errno).into_error(Operation::EnterNamespace).with_errno(errno as i32)
}

fn verdict(errno: Errno) -> Verdict {
    match errno {
        Errno::EINVAL => Verdict::new(Cause::SeveralThreads)
            .because("the process has several threads (or the kernel has no namespaces)")
            .remedy("Enter the namespace first thing in main(), before any thread is started."),
        Errno::ENOSPC | Errno::EUSERS => Verdict::new(Cause::NamespacesRefused)
            .because("a limit on namespaces is reached, or set to 0")
            .remedy("Raise it: sudo sysctl user.max_user_namespaces=10000 user.max_net_namespaces=10000. Or run it with sudo."),
        Errno::EPERM | Errno::EACCES => Verdict::new(Cause::NamespacesRefused).remedy(
            "Run it with sudo, or permit them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu) or \
             kernel.unprivileged_userns_clone=1 (older Debian); in a container, start it with --cap-add SYS_ADMIN, or \
             with a seccomp profile that permits unshare.",
        ),
        errno => remedy::general(errno),
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
