//! What the system can say about itself once something was refused.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use tunctl_core::{Cause, Reason};
use tunctl_sys::linux::namespace::is_governed;
use tunctl_sys::linux::process::{self, CAP_NET_ADMIN, CAP_NET_RAW};

use crate::remedy::{self, CallerContext};

/// A reason of which nothing more is known than its errno, or, where no system call failed, its text.
pub(crate) fn reason(error: &io::Error) -> Reason {
    match error.raw_os_error() {
        Some(number) => remedy::from_errno(Errno::from_raw(number)).with_errno(number),
        None => Reason::new(Cause::Other).with_detail(error.to_string()),
    }
}

/// Whether the thread has this capability in its effective set.
pub(crate) fn has_capability(number: u32) -> bool {
    process::capabilities().is_ok_and(|sets| sets.effective & 1 << number != 0)
}

/// Asks the system about the caller.
pub(crate) fn caller() -> CallerContext {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    CallerContext {
        container: in_container(),
        net_admin: has(&status, "CapEff:", CAP_NET_ADMIN),
        net_admin_in_reach: has(&status, "CapBnd:", CAP_NET_ADMIN),
        net_raw: has(&status, "CapEff:", CAP_NET_RAW),
        governs: governs(),
        uid: nix::unistd::geteuid().as_raw(),
        program: std::env::current_exe().map_or_else(|_| "PROGRAM".into(), |path| path.display().to_string()),
    }
}

/// Whether the program runs in a container, as far as the marks of container engines show: Docker, Podman,
/// systemd-nspawn and LXC leave some.
///
/// Remedies differ by it: a container cannot load the driver, nor make its node. A machine whose files were
/// made from a container's image has the marks, too. It is told apart by its namespaces: they are the
/// system's first, and no container shares all of them.
#[must_use]
pub fn in_container() -> bool {
    is_marked() && !FIRST.iter().all(|(kind, number)| is_in(kind, *number))
}

/// The system's first namespaces, which have the same numbers on each system (`include/linux/proc_ns.h`,
/// Linux 6.18), without those that programs make for other purposes, too.
const FIRST: [(&str, u32); 4] =
    [("cgroup", 0xefff_fffb), ("pid", 0xefff_fffc), ("uts", 0xefff_fffe), ("ipc", 0xefff_ffff)];
/// The first user namespace, above all others.
const FIRST_USER: u32 = 0xefff_fffd;

fn is_marked() -> bool {
    // Docker's and Podman's own marks; systemd-nspawn and LXC tell by a variable of the first process.
    Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || fs::read("/proc/1/environ").is_ok_and(|environment| {
            environment.split(|&byte| byte == 0).any(|entry| entry.starts_with(b"container="))
        })
}

/// Whether the calling thread is in the namespace of this kind and number.
fn is_in(kind: &str, number: u32) -> bool {
    let link = fs::read_link(format!("/proc/thread-self/ns/{kind}"));
    link.is_ok_and(|link| link == Path::new(&format!("{kind}:[{number}]")))
}

/// Whether the thread's capabilities count in its network namespace. Where the system does not say, they do.
fn governs() -> bool {
    // A sandbox may forbid the question below.
    if is_in("user", FIRST_USER) {
        return true;
    }
    let namespace = fs::File::open("/proc/thread-self/ns/net");
    namespace.and_then(|namespace| is_governed(namespace.as_fd())).unwrap_or(true)
}

fn has(status: &str, set: &str, capability: u32) -> bool {
    let line = status.lines().find_map(|line| line.strip_prefix(set));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .is_some_and(|set| set & 1 << capability != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_of_the_thread() {
        let status =
            "Name:\tvpn\nCapPrm:\t0000000000001000\nCapEff:\t0000000000002000\nCapBnd:\t000001ffffffffff\n";
        assert!(!has(status, "CapEff:", CAP_NET_ADMIN));
        assert!(has(status, "CapBnd:", CAP_NET_ADMIN));
        assert!(!has("Name:\tvpn\n", "CapEff:", CAP_NET_ADMIN));
    }
}
