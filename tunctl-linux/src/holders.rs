//! Who holds an interface open: the kernel tells in `/proc/PID/fdinfo/FD`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tunctl_core::{Holder, InterfaceName};
use tunctl_sys::linux::process;

/// One open descriptor of the driver that is attached to the interface.
pub(crate) struct Attached {
    pub(crate) pid: u32,
    pub(crate) fd: i32,
}

/// The descriptors attached to `name` in the network namespace that `/proc/PID/ns/net` links to as
/// `namespace`, as far as the caller may look: without `CAP_SYS_PTRACE`, into processes of its own.
///
/// The same name may exist in another namespace, and a descriptor does not tell which it means: so a process
/// counts if it is in that namespace itself, or is this one. One that created the device and then went
/// elsewhere is missed.
pub(crate) fn attached(name: &InterfaceName, namespace: &Path) -> Vec<Attached> {
    let this = this_process();
    attached_where(name, |pid| Some(pid) == this || namespace_of(pid).is_none_or(|its| its == namespace))
}

/// As [`attached`], to an interface of that name in whatever namespace.
pub(crate) fn attached_anywhere(name: &InterfaceName) -> Vec<Attached> {
    attached_where(name, |_| true)
}

/// Those among them that are the very file of `fd`: duplicates, and what other processes inherited. Where the
/// system does not tell, they are taken for it.
pub(crate) fn duplicates(attached: Vec<Attached>, fd: i32) -> Vec<Attached> {
    let Some(this) = this_process() else { return attached };
    let is_same = |one: &Attached| process::is_same_file((this, fd), (one.pid, one.fd)).unwrap_or(true);
    attached.into_iter().filter(is_same).collect()
}

fn attached_where(name: &InterfaceName, counts: impl Fn(u32) -> bool) -> Vec<Attached> {
    numeric_entries(Path::new("/proc"))
        .filter(|&pid| counts(pid))
        .flat_map(|pid| descriptors(pid, name))
        .collect()
}

/// This process, by the number that it has in `/proc`, which may be of another pid namespace than the
/// process.
pub(crate) fn this_process() -> Option<u32> {
    fs::read_link("/proc/self").ok()?.to_str()?.parse().ok()
}

/// The processes behind descriptors, each once.
pub(crate) fn processes(attached: &[Attached]) -> Vec<Holder> {
    let mut pids: Vec<u32> = attached.iter().map(|one| one.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().map(|pid| Holder::new(pid, &command(pid))).collect()
}

fn namespace_of(pid: u32) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

fn descriptors(pid: u32, name: &InterfaceName) -> Vec<Attached> {
    numeric_entries(Path::new(&format!("/proc/{pid}/fd")))
        .filter(|&fd| is_attached(pid, fd, name))
        .filter_map(|fd| Some(Attached { pid, fd: i32::try_from(fd).ok()? }))
        .collect()
}

fn is_attached(pid: u32, fd: u32, name: &InterfaceName) -> bool {
    // Sockets and pipes, which most descriptors are, have links that begin with no slash.
    let is_file = fs::read_link(format!("/proc/{pid}/fd/{fd}")).is_ok_and(|target| target.has_root());
    is_file
        && fs::read(format!("/proc/{pid}/fdinfo/{fd}"))
            .is_ok_and(|info| interface_of(&info).is_some_and(|its| its == name.as_bytes()))
}

fn interface_of(fdinfo: &[u8]) -> Option<&[u8]> {
    fdinfo.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"iff:\t"))
}

fn command(pid: u32) -> String {
    fs::read(format!("/proc/{pid}/comm")).map_or_else(
        |_| "?".into(),
        |name| OsStr::from_bytes(name.trim_ascii_end()).to_string_lossy().into_owned(),
    )
}

fn numeric_entries(directory: &Path) -> impl Iterator<Item = u32> + use<> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_stands_in_a_line_of_its_own() {
        assert_eq!(interface_of(b"pos:\t0\nflags:\t02\niff:\tvpn0\n"), Some(&b"vpn0"[..]));
        assert_eq!(interface_of(b"pos:\t0\nflags:\t02\n"), None);
    }
}
