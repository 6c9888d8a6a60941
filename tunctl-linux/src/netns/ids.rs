//! Which users and groups exist in a new user namespace.

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid, getegid, geteuid, pipe2, read, write};
use tunctl_sys::linux::process::{self, CAP_SETGID, CAP_SETUID};

/// The ids to map into a namespace that the process is about to enter.
pub(super) enum Ids {
    /// All of the current namespace.
    All(Mapper),
    /// The caller's own, as 0.
    Own { uid: Uid, gid: Gid },
}

impl Ids {
    /// Prepares to map all ids if the process is root with the rights to do so, otherwise its own. It takes
    /// descriptors and a process, so that what is missing shows before anything has changed.
    pub(super) fn prepare() -> io::Result<Self> {
        let (uid, gid) = (geteuid(), getegid());
        let may_map_all = |sets: process::CapabilitySets| {
            [CAP_SETUID, CAP_SETGID].iter().all(|capability| sets.effective & 1 << capability != 0)
        };
        if uid.is_root() && process::capabilities().is_ok_and(may_map_all) {
            Mapper::start().map(Self::All)
        } else {
            Ok(Self::Own { uid, gid })
        }
    }

    /// Maps them, once the process is in the new namespace.
    pub(super) fn map(self) -> io::Result<()> {
        match self {
            Self::All(mapper) => mapper.map(),
            // Every process may map its own ids, once it has switched `setgroups` off.
            Self::Own { uid, gid } => {
                fs::write("/proc/self/setgroups", "deny")?;
                fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
                fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
            }
        }
    }
}

/// A process that stays outside: only there does root have the right to map ids other than its own. It ends
/// when this is dropped.
pub(super) struct Mapper {
    pid: Pid,
    /// A written byte starts the mapping; closing it ends the process.
    go: Rc<Cell<Option<OwnedFd>>>,
    /// The process writes the errno of the mapping here, 0 if it succeeded. Its exit status would not do:
    /// where SIGCHLD is ignored, which a program inherits, the kernel keeps no status.
    outcome: OwnedFd,
}

impl Mapper {
    fn start() -> io::Result<Self> {
        let users = identity_map(&fs::read_to_string("/proc/self/uid_map")?);
        let groups = identity_map(&fs::read_to_string("/proc/self/gid_map")?);
        let target = std::process::id();
        let (started, go) = pipe2(OFlag::O_CLOEXEC)?;
        let (outcome, report) = pipe2(OFlag::O_CLOEXEC)?;
        let go = Rc::new(Cell::new(Some(go)));
        let inherited = go.clone();
        let pid = process::in_copy(move || {
            // Otherwise the copy would hold the writing end itself, and wait forever.
            drop(inherited.take());
            if !matches!(retry(|| read(&started, &mut [0])), Ok(1)) {
                return 0;
            }
            let map = |kind, map: &str| fs::write(format!("/proc/{target}/{kind}_map"), map);
            let mapped = map("uid", &users).and_then(|()| map("gid", &groups));
            let errno = mapped.map_or_else(|error| error.raw_os_error().unwrap_or(Errno::EIO as i32), |()| 0);
            i32::from(retry(|| write(&report, &errno.to_ne_bytes())).is_err())
        })?;
        Ok(Self { pid: Pid::from_raw(pid), go, outcome })
    }

    /// Maps all ids onto themselves.
    fn map(self) -> io::Result<()> {
        if let Some(go) = self.go.take() {
            // A failed write means that the process has ended, which the missing outcome reports.
            let _ = retry(|| write(&go, &[1]));
        }
        let mut errno = [0; 4];
        match retry(|| read(&self.outcome, &mut errno))? {
            4 => match i32::from_ne_bytes(errno) {
                0 => Ok(()),
                errno => Err(io::Error::from_raw_os_error(errno)),
            },
            _ => Err(io::Error::other("the process that was to map the ids ended early")),
        }
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        drop(self.go.take());
        // Where SIGCHLD is ignored, this waits as well, and fails then.
        let _ = retry(|| waitpid(self.pid, None));
    }
}

/// Makes a system call again that a signal handler of the program's has interrupted.
fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_maps_onto_itself() {
        assert_eq!(identity_map("         0          0 4294967295\n"), "0 0 4294967295\n");
        assert_eq!(identity_map(" 0 1000 1\n 1 100000 65536\n"), "0 0 1\n1 1 65536\n");
    }
}
