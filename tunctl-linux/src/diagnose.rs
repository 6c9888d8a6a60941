//! What the system can say about itself once something was refused.

use std::fs;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use tunctl_core::{Error, Operation};

use crate::remedy::{self, Situation};

const CAP_NET_ADMIN: u32 = 12;

/// The errno of an I/O error; `EIO` if it is not the system's.
pub(crate) fn errno(error: &io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(Errno::EIO as i32))
}

/// An error of which nothing more is known than its errno.
pub(crate) fn plain(operation: Operation, error: &io::Error) -> Error {
    let errno = errno(error);
    remedy::general(errno).into_error(operation).with_errno(errno as i32)
}

/// Looks around.
pub(crate) fn situation() -> Situation {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    Situation {
        container: in_container(),
        net_admin: effective_capabilities(&status) & 1 << CAP_NET_ADMIN != 0,
        uid: nix::unistd::geteuid().as_raw(),
        program: std::env::current_exe().map_or_else(|_| "PROGRAM".into(), |path| path.display().to_string()),
    }
}

fn in_container() -> bool {
    // Docker's and Podman's own marks; systemd-nspawn and LXC tell by a variable of the first process.
    Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || fs::read("/proc/1/environ").is_ok_and(|environment| {
            environment.split(|&byte| byte == 0).any(|entry| entry.starts_with(b"container="))
        })
}

fn effective_capabilities(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_from_the_status_of_the_thread() {
        let status = "Name:\tvpn\nCapPrm:\t0000000000000000\nCapEff:\t0000000000003000\n";
        assert_eq!(effective_capabilities(status), 0x3000);
        assert_eq!(effective_capabilities("Name:\tvpn\n"), 0);
    }
}
