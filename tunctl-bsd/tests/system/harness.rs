//! The system that this runs on, as the suite sees it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::process::Command;
use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Gid, Uid, setegid, seteuid};
use std::os::fd::{AsFd, OwnedFd};
use tunctl_bsd::{BsdBackend, BsdDevice, BsdInterface, System};
use tunctl_conformance::{Harness, Names, Observation, PollState, Profile};
use tunctl_core::{
    Adopt, AdoptError, CreateFlags, Error, EventWatcher, Events, InterfaceAddress, InterfaceIndex,
    InterfaceInfo, InterfaceName, Layer, Mtu, Operation, Result,
};

use crate::filter::Filter;
use crate::ifconfig;
use crate::quiet::Quiet;

/// What the interfaces of the driver are called here, before their numbers.
pub(crate) const PREFIXES: (&str, &str) =
    if cfg!(target_os = "macos") { ("utun", "feth") } else { ("tun", "tap") };

/// The system that this runs on.
const SYSTEM: System = if cfg!(target_os = "freebsd") {
    System::FreeBsd
} else if cfg!(target_os = "netbsd") {
    System::NetBsd
} else if cfg!(target_os = "openbsd") {
    System::OpenBsd
} else if cfg!(target_os = "dragonfly") {
    System::DragonFly
} else {
    System::MacOs
};

/// How long a frame may take from one end of a pair to the other.
const PASSAGE: Duration = Duration::from_millis(20);

/// The system, with nothing of the driver's but what was there before.
pub(crate) struct SystemHarness {
    backend: BsdBackend<Quiet>,
    before: Vec<String>,
    injectors: RefCell<HashMap<String, Filter>>,
    privileged: Cell<bool>,
}

impl SystemHarness {
    pub(crate) fn new() -> Self {
        Self {
            backend: BsdBackend::with_syscalls(SYSTEM, Quiet::default()),
            before: interfaces(),
            injectors: RefCell::default(),
            privileged: Cell::new(true),
        }
    }
}

impl Drop for SystemHarness {
    /// What a case that failed has left goes with it: never what was there before.
    fn drop(&mut self) {
        self.injectors.borrow_mut().clear();
        for name in interfaces().iter().filter(|name| !self.before.contains(name) && layer(name).is_some()) {
            // It may be open still, on a device that goes after this.
            let _ = attempt(&[name, "destroy"]);
        }
    }
}

fn attempt(words: &[&str]) -> std::result::Result<String, String> {
    let output = Command::new("/sbin/ifconfig").args(words).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn ifconfig(words: &[&str]) -> String {
    attempt(words).unwrap_or_else(|complaint| panic!("ifconfig {}: {complaint}", words.join(" ")))
}

/// The names of all interfaces.
pub(crate) fn interfaces() -> Vec<String> {
    ifconfig::names(&ifconfig(&["-a"]))
}

/// What an interface of that name carries, if it is the driver's; renamed ones by what the suite renames.
pub(crate) fn layer(name: &str) -> Option<Layer> {
    let is = |prefix: &str| {
        let digits = name.strip_prefix(prefix);
        digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if is(PREFIXES.0) {
        return Some(Layer::Tun);
    }
    if is(PREFIXES.1) {
        return Some(Layer::Tap);
    }
    // FreeBSD and DragonFly put the driver's interfaces into groups of these names, whatever they are called.
    let printed = attempt(&[name]).ok()?;
    let groups = printed.lines().find_map(|line| line.trim().strip_prefix("groups: "))?;
    let mut groups = groups.split_whitespace();
    groups.find_map(|group| match group {
        "tun" => Some(Layer::Tun),
        "tap" => Some(Layer::Tap),
        _ => None,
    })
}

struct Received(Rc<RefCell<Filter>>);

impl Observation for Received {
    fn take(&mut self) -> Option<Vec<u8>> {
        self.0.borrow_mut().take()
    }
}

impl SystemHarness {
    /// Does what the suite's other programs do: they are root, whoever the case is at the moment.
    fn as_root<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.privileged.get() {
            return work();
        }
        let (uid, gid) = (Uid::effective(), Gid::effective());
        seteuid(Uid::from_raw(0)).expect("the real user is root");
        setegid(Gid::from_raw(0)).expect("root may be in any group");
        let done = work();
        setegid(gid).expect("root may be in any group");
        seteuid(uid).expect("root may be anybody");
        done
    }

    fn filter(&self, name: &str) -> Filter {
        let layer = layer(name).unwrap_or_else(|| panic!("{name} is the driver's"));
        self.as_root(|| Filter::new(name, layer)).unwrap_or_else(|error| panic!("bpf of {name}: {error}"))
    }

    /// A tun of NetBSD carries nothing until it has had an address.
    fn make_ready(&self, name: &str) {
        const ADDRESS: &str = "198.18.255.1";
        if cfg!(target_os = "netbsd") && layer(name) == Some(Layer::Tun) {
            for _ in 0..2 {
                ifconfig(&[name, "inet", ADDRESS, "198.18.255.2", "alias"]);
            }
            ifconfig(&[name, "inet", ADDRESS, "delete"]);
        }
    }
}

impl Harness for SystemHarness {
    type Backend = BsdBackend<Quiet>;

    fn backend(&self) -> &BsdBackend<Quiet> {
        &self.backend
    }

    fn profile(&self) -> Profile {
        let profile = Profile::LINUX_6_18.with_own_errnos();
        if cfg!(target_os = "freebsd") {
            return profile;
        }
        profile.with_names(Names::Units { tun: PREFIXES.0, tap: PREFIXES.1 })
    }

    fn report(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        let text = name.to_string();
        let layer = layer(&text)?;
        let printed = ifconfig::parse(&attempt(&[&text]).ok()?)?;
        let index = if_nametoindex(text.as_str()).ok().and_then(InterfaceIndex::new)?;
        let mut info = InterfaceInfo::new(*name, index, layer, Mtu::from_kernel(printed.mtu));
        info.flags |= CreateFlags::NO_PI;
        info.mac = printed.mac.filter(|_| layer == Layer::Tap);
        info.state = printed.state;
        Some(info)
    }

    fn reported_addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress> {
        let printed = ifconfig::parse(&ifconfig(&[&name.to_string()]));
        printed.unwrap_or_else(|| panic!("ifconfig {name} prints what it always does")).addresses
    }

    fn dropped(&self, name: &InterfaceName) -> u64 {
        panic!("{name}: what was dropped is counted by the interface itself, and told to nobody else here")
    }

    fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool {
        let text = name.to_string();
        let mut injectors = self.injectors.borrow_mut();
        // A filter stays with the interface that had the name when it was bound.
        let filter = injectors.entry(text.clone()).or_insert_with(|| self.filter(&text));
        let sent = filter.send(packet);
        if cfg!(target_os = "macos") {
            // There a thread of the kernel's carries it to the other end of a pair.
            sleep(PASSAGE);
        }
        sent
    }

    fn observe(&self, name: &InterfaceName) -> Box<dyn Observation> {
        Box::new(Received(Rc::new(RefCell::new(self.filter(&name.to_string())))))
    }

    fn delete(&self, name: &InterfaceName) {
        self.injectors.borrow_mut().remove(&name.to_string());
        self.as_root(|| ifconfig(&[&name.to_string(), "destroy"]));
    }

    /// Only Linux lets a program choose.
    fn make_with_index(&self, _: &InterfaceName, _: InterfaceIndex) -> bool {
        false
    }

    fn rename(&self, from: &InterfaceName, to: &InterfaceName) -> bool {
        self.injectors.borrow_mut().remove(&from.to_string());
        self.as_root(|| attempt(&[&from.to_string(), "name", &to.to_string()]).is_ok())
    }

    fn move_to_namespace(&self, _: &InterfaceName) {
        panic!("these systems have no network namespaces");
    }

    fn report_elsewhere(&self, _: &InterfaceName) -> Option<InterfaceInfo> {
        None
    }

    fn set_up(&self, name: &InterfaceName, up: bool) {
        let text = name.to_string();
        self.as_root(|| {
            if up {
                self.make_ready(&text);
            }
            ifconfig(&[&text, if up { "up" } else { "down" }]);
        });
    }

    /// On these kernels the user belongs to the process, not to a thread, and only root may configure: a
    /// caller with that privilege stays root.
    fn as_caller(&self, uid: u32, gid: u32, capable: bool, work: &mut dyn FnMut()) {
        if capable {
            return work();
        }
        assert_ne!(uid, 0, "root without rights is nobody here");
        setegid(Gid::from_raw(gid)).expect("root may be in any group");
        seteuid(Uid::from_raw(uid)).expect("root may be anybody");
        self.privileged.set(false);
        let back = Back(&self.privileged);
        work();
        drop(back);
    }

    fn poll_state(&self, device: &BsdDevice<Quiet>) -> PollState {
        if cfg!(target_os = "macos") {
            // And one of the device's reads it there.
            sleep(PASSAGE);
        }
        let mut polled = [PollFd::new(device.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).expect("a descriptor can be polled");
        let told = polled[0].revents().unwrap_or(PollFlags::empty());
        PollState {
            readable: told.contains(PollFlags::POLLIN),
            writable: told.contains(PollFlags::POLLOUT),
            error: told.contains(PollFlags::POLLERR),
        }
    }

    fn other_interface(&self) -> InterfaceName {
        "lo0".parse().expect("it is a name")
    }

    fn set_queue(&self, _: &BsdDevice<Quiet>, _: bool) -> Option<Result<()>> {
        None
    }

    fn hand_over(&self, device: BsdDevice<Quiet>) -> Option<OwnedFd> {
        Some(device.into())
    }

    fn adopt(&self, fd: OwnedFd) -> Option<std::result::Result<BsdDevice<Quiet>, AdoptError>> {
        Some(self.backend.adopt(fd))
    }

    fn events(&self, of: Option<&BsdInterface<Quiet>>) -> Option<Result<Box<dyn EventWatcher>>> {
        let boxed = |watcher| Box::new(watcher) as Box<dyn EventWatcher>;
        Some(match of {
            Some(interface) => interface.events().map(boxed),
            None => self.backend.events().map(boxed),
        })
    }

    fn attempt(&self, _: Operation) -> Option<Result<(), Error>> {
        None
    }
}

/// Root again, also when a case has failed.
struct Back<'a>(&'a Cell<bool>);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        // The real user is root; if this failed, the next case would say so.
        let _ = seteuid(Uid::from_raw(0));
        let _ = setegid(Gid::from_raw(0));
        self.0.set(true);
    }
}
