//! Who holds an interface open: the kernel tells in `/proc/PID/fdinfo/FD`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc::{AT_STATX_DONT_SYNC, makedev};
use nix::sys::stat::{SFlag, fstatat};
use tunctl_core::{Holder, Holders, InterfaceName};
use tunctl_sys::linux::{NODE_MAJOR, NODE_MINOR, process};

/// More than the kernel writes about a descriptor of the driver, or for the name of a process.
const ENTRY_SIZE: usize = 512;

/// One open descriptor of the driver, and the interface that it is attached to.
pub(crate) struct Attached {
    pub(crate) pid: u32,
    pub(crate) fd: i32,
    pub(crate) name: InterfaceName,
}

/// The descriptors attached to `name` in the network namespace that `/proc/PID/ns/net` links to as
/// `namespace`, as far as the caller may look: without `CAP_SYS_PTRACE`, into processes of its own.
///
/// The same name may exist in another namespace, and a descriptor does not tell which it means: so a process
/// counts if it is in that namespace itself, or is this one. One that created the device and then went
/// elsewhere is missed.
pub(crate) fn attached(name: &InterfaceName, namespace: &Path) -> Vec<Attached> {
    walk(|its| its == name, in_namespace(namespace)).flatten().collect()
}

/// As [`attached`], to an interface of that name in whatever namespace.
pub(crate) fn attached_anywhere(name: &InterfaceName) -> Vec<Attached> {
    walk(|its| its == name, |_| true).flatten().collect()
}

fn in_namespace(namespace: &Path) -> impl Fn(u32) -> bool {
    let this = this_process();
    move |pid| Some(pid) == this || namespace_of(pid).is_none_or(|its| its == namespace)
}

/// Those among them that are the very file of `fd`: duplicates, and what other processes inherited. Where the
/// system does not tell, they are taken for it.
pub(crate) fn duplicates(attached: Vec<Attached>, fd: i32) -> Vec<Attached> {
    let Some(this) = this_process() else { return attached };
    let is_same = |one: &Attached| process::is_same_file((this, fd), (one.pid, one.fd)).unwrap_or(true);
    attached.into_iter().filter(is_same).collect()
}

/// What a walk finds of one interface.
#[derive(Default)]
pub(crate) struct Found {
    holders: Vec<Holder>,
    descriptors: u32,
}

impl Found {
    /// The holders of an interface that has that many queues. Each queue is a descriptor of someone's; those
    /// that were not found belong to processes that the caller may not look into, or that went to another
    /// namespace.
    pub(crate) fn of(self, queues: Option<u32>) -> Holders {
        // Without a carrier, nobody counts a single queue. Then it has most likely been closed.
        Holders::new(self.holders, queues.unwrap_or(0) > self.descriptors)
    }
}

/// The holders of one interface in a namespace.
pub(crate) fn of(name: &InterfaceName, namespace: &Path) -> Found {
    let attached = attached(name, namespace);
    Found { holders: processes(&attached), descriptors: u32::try_from(attached.len()).unwrap_or(u32::MAX) }
}

/// The holders of all interfaces in a namespace, in one walk.
pub(crate) fn of_all(namespace: &Path) -> HashMap<InterfaceName, Found> {
    let mut all: HashMap<_, Found> = HashMap::new();
    for mut own in walk(|_| true, in_namespace(namespace)) {
        let holder = processes(&own);
        own.sort_unstable_by_key(|one| one.name);
        for same in own.chunk_by(|one, other| one.name == other.name) {
            let found = all.entry(same[0].name).or_default();
            found.holders.extend_from_slice(&holder);
            found.descriptors += u32::try_from(same.len()).unwrap_or(u32::MAX);
        }
    }
    all
}

/// Walks through all processes once, and yields the wanted descriptors of each that has some. The others,
/// which are almost all, are not asked for more than their descriptors.
fn walk(
    wanted: impl Fn(&InterfaceName) -> bool,
    counts: impl Fn(u32) -> bool,
) -> impl Iterator<Item = Vec<Attached>> {
    numeric_entries(Path::new("/proc")).filter_map(move |pid| {
        let own: Vec<_> = descriptors(pid).filter(|one| wanted(&one.name)).collect();
        (!own.is_empty() && counts(pid)).then_some(own)
    })
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
    pids.into_iter().map(holder).collect()
}

fn namespace_of(pid: u32) -> Option<std::path::PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/net")).ok()
}

fn descriptors(pid: u32) -> impl Iterator<Item = Attached> {
    numeric_entries(Path::new(&format!("/proc/{pid}/fd"))).filter_map(move |fd| {
        if !is_the_drivers(&format!("/proc/{pid}/fd/{fd}")) {
            return None;
        }
        let mut buffer = [0; ENTRY_SIZE];
        let info = read_entry(&format!("/proc/{pid}/fdinfo/{fd}"), &mut buffer).ok()?;
        let name = InterfaceName::from_kernel(interface_of(info)?).ok()?;
        Some(Attached { pid, fd: i32::try_from(fd).ok()?, name })
    })
}

/// Whether a descriptor is the driver's, in one system call: most are not.
fn is_the_drivers(path: &str) -> bool {
    // The file may be of a network file system whose server does not answer. Its attributes from the cache
    // will do.
    let cached = AtFlags::from_bits_retain(AT_STATX_DONT_SYNC);
    fstatat(AT_FDCWD, path, cached).is_ok_and(|status| {
        status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits()
            && status.st_rdev == makedev(NODE_MAJOR, NODE_MINOR)
    })
}

/// A short file of `/proc`, which the kernel hands over in one read.
fn read_entry<'a>(path: &str, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let length = File::open(path)?.read(buffer)?;
    Ok(&buffer[..length])
}

fn interface_of(fdinfo: &[u8]) -> Option<&[u8]> {
    fdinfo.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"iff:\t"))
}

fn holder(pid: u32) -> Holder {
    let mut buffer = [0; ENTRY_SIZE];
    let command = read_entry(&format!("/proc/{pid}/comm"), &mut buffer);
    Holder::new(pid, command.map_or(&b"?"[..], <[u8]>::trim_ascii_end))
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
