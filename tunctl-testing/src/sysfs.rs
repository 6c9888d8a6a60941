//! sysfs's view of the interfaces of the network namespace for which `/sys` was mounted.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use nix::mount::{MsFlags, mount};
use nix::net::if_::if_nameindex;
use nix::sched::{CloneFlags, unshare};
use tunctl_core::{
    CreateFlags, Gid, InterfaceIndex, InterfaceInfo, InterfaceName, Mtu, State, Statistics, Uid,
};

use crate::rtnetlink;

const INTERFACES: &str = "/sys/class/net";
const IFF_UP: u32 = 1;
const IFF_PERSIST: u32 = 0x800;

/// The creation flags that an interface, rather than one descriptor, has.
const KEPT: CreateFlags = CreateFlags::TUN
    .union(CreateFlags::TAP)
    .union(CreateFlags::NO_PI)
    .union(CreateFlags::VNET_HDR)
    .union(CreateFlags::MULTI_QUEUE);

/// What sysfs reports of a TUN/TAP interface; `None` if there is none of that name. It does not count queues.
#[must_use]
pub fn report(name: &InterfaceName) -> Option<InterfaceInfo> {
    let told = number(name, "tun_flags")?;
    let flags = CreateFlags::from_bits_truncate(u16::try_from(told).expect("the flags have 16 bits")) & KEPT;
    let layer = flags.layer().expect("an interface has a layer");
    let index = InterfaceIndex::new(number(name, "ifindex")?).expect("0 is no index");
    let mut info = InterfaceInfo::new(*name, index, layer, Mtu::from_kernel(number(name, "mtu")?));
    info.flags = flags;
    // An empty line of a tun.
    info.mac = text(name, "address").and_then(|text| text.parse().ok());
    info.state = if number(name, "flags")? & IFF_UP == 0 { State::Down } else { State::Up };
    info.queue_length = number(name, "tx_queue_len");
    // sysfs has it only while the interface is up.
    info.carrier = rtnetlink::carrier(name);
    info.persistent = told & IFF_PERSIST != 0;
    // Nobody is -1, which is no number here.
    info.owner = number(name, "owner").and_then(Uid::new);
    info.group = number(name, "group").and_then(Gid::new);
    Some(info)
}

/// How many packets were dropped on the way to a device.
#[must_use]
pub fn dropped(name: &InterfaceName) -> u64 {
    counter(name, "tx_dropped")
}

/// All counters. The kernel's "rx" is what programs send.
#[must_use]
pub fn statistics(name: &InterfaceName) -> Statistics {
    let mut statistics = Statistics::default();
    for (counters, direction) in [(&mut statistics.from_program, "rx"), (&mut statistics.to_program, "tx")] {
        let counter = |kind: &str| counter(name, &format!("{direction}_{kind}"));
        counters.packets = counter("packets");
        counters.bytes = counter("bytes");
        counters.errors = counter("errors");
        counters.dropped = counter("dropped");
    }
    // The driver counts these in no sum.
    statistics.from_program.errors += counter(name, "rx_frame_errors");
    statistics
}

fn counter(name: &InterfaceName, file: &str) -> u64 {
    let counted = text(name, &format!("statistics/{file}")).and_then(|text| text.parse().ok());
    counted.unwrap_or_else(|| panic!("{name} has a counter {file}"))
}

/// Whether `/sys` shows the interfaces of the calling thread's network namespace: where mounting is refused,
/// it goes on to show those of another.
#[must_use]
pub fn is_ours() -> bool {
    let listed = fs::read_dir(INTERFACES).into_iter().flatten().flatten();
    let mut listed: Vec<_> =
        listed.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name()).collect();
    let ours = if_nameindex().expect("interfaces can be listed");
    let mut ours: Vec<_> =
        ours.iter().map(|interface| OsStr::from_bytes(interface.name().to_bytes()).to_owned()).collect();
    listed.sort();
    ours.sort();
    listed == ours
}

/// Mounts `/sys` anew, for the calling thread alone: it shows the network namespace where the thread is now.
pub fn mount_for_thread() {
    let none: Option<&Path> = None;
    let mounted = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none))
        .and_then(|()| {
            let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
            mount(Some("sysfs"), "/sys", Some("sysfs"), safe, none)
        });
    mounted.unwrap_or_else(|errno| panic!("mount /sys for another network namespace: {errno}"));
}

pub(crate) fn os_str(name: &InterfaceName) -> &OsStr {
    OsStr::from_bytes(name.as_bytes())
}

/// A file of an interface, if both exist.
fn text(name: &InterfaceName, file: &str) -> Option<String> {
    let path: PathBuf = Path::new(INTERFACES).join(os_str(name)).join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

fn number(name: &InterfaceName, file: &str) -> Option<u32> {
    let text = text(name, file)?;
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}
