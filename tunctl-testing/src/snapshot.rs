//! What a process holds and a namespace contains, to be compared with what it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};

use crate::ip::ip_json;

/// The open files of the process, and the interfaces and addresses of the network namespace.
///
/// Taken before and after, the two must be equal if nothing was left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    files: BTreeMap<i32, String>,
    interfaces: Vec<String>,
}

impl Snapshot {
    /// Looks around now.
    #[must_use]
    pub fn take() -> Self {
        let interfaces = ip_json("address show").into_iter().map(|interface| {
            let mut addresses: Vec<String> = interface["addr_info"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|address| format!("{}/{}", address["local"], address["prefixlen"]))
                .collect();
            addresses.sort();
            format!("{} {}", interface["ifname"], addresses.join(" "))
        });
        Self { interfaces: interfaces.collect(), files: open_files() }
    }

    /// How many files are open.
    #[must_use]
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// How many interfaces there are.
    #[must_use]
    pub fn interface_count(&self) -> usize {
        self.interfaces.len()
    }
}

/// The open files of this process, by number, from `/proc/self/fd`.
#[must_use]
pub fn open_files() -> BTreeMap<i32, String> {
    let own_listing = format!("/proc/{}/fd", std::process::id());
    fs::read_dir("/proc/self/fd")
        .expect("/proc is mounted")
        .filter_map(|file| {
            let file = file.expect("/proc/self/fd can be read");
            let target = fs::read_link(file.path()).ok()?.to_string_lossy().into_owned();
            let number = file.file_name().to_str()?.parse().ok()?;
            (target != own_listing).then_some((number, target))
        })
        .collect()
}

/// Whether the kernel closes a file of this process on exec, from `/proc/self/fdinfo`.
#[must_use]
pub fn is_close_on_exec(file: impl AsFd) -> bool {
    /// `O_CLOEXEC`, which is the same number on every architecture that Linux has but three old ones.
    const CLOSE_ON_EXEC: u32 = nix::fcntl::OFlag::O_CLOEXEC.bits().cast_unsigned();
    let number = file.as_fd().as_raw_fd();
    let report = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).expect("the file is open");
    let flags = report
        .lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok())
        .expect("fdinfo has the flags, in octal");
    flags & CLOSE_ON_EXEC != 0
}
