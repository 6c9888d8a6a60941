//! A model as the harness of the suite.

use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_bsd::{BsdBackend, BsdDevice, BsdInterface, ListedAddress, Syscalls};
use tunctl_conformance::{Harness, Names, Observation, PollState, Profile};
use tunctl_core::{
    Adopt, AdoptError, CreateFlags, Error, EventWatcher, Events, InterfaceAddress, InterfaceIndex,
    InterfaceInfo, InterfaceName, Layer, MacAddress, Mtu, Operation, Result, State,
};

use super::models::{Handle, Kind, Model, Report, System};

pub(crate) struct ModelHarness {
    model: Model,
    backend: BsdBackend<Model>,
    /// Evidence and actions are limited to those of a system's own tools.
    from_outside: bool,
    /// The tuns that macOS makes for itself.
    _others: Vec<Handle>,
}

impl ModelHarness {
    pub(crate) fn new(system: System) -> Self {
        let model = Model::new(system);
        // The suite brings interfaces up without an address. NetBSD's tuns need one first; syscall_tests
        // cover that.
        model.set_additions_until_ready(0);
        let backend = BsdBackend::with_syscalls(system, model.clone());
        Self { backend, model, from_outside: false, _others: Vec::new() }
    }

    /// macOS with the third-party kernel extension.
    pub(crate) fn with_third_party_driver() -> Self {
        let model = Model::with_third_party_driver();
        // The suite's numbers are higher.
        model.set_third_party_nodes(100);
        let backend = BsdBackend::with_syscalls(System::MacOs, model.clone());
        Self { backend, model, from_outside: false, _others: Vec::new() }
    }

    /// With only the evidence of the system's own harness, to know in advance what that cannot observe.
    pub(crate) fn from_outside(system: System) -> Self {
        let model = Model::new(system);
        let is_macos = system == System::MacOs;
        let others = if is_macos { 0..2 } else { 0..0 };
        let others = others.map(|_| model.connect("com.apple.net.utun_control", 0).unwrap()).collect();
        let backend = BsdBackend::with_syscalls(system, model.clone());
        Self { backend, model, from_outside: true, _others: others }
    }

    pub(crate) fn system(&self) -> System {
        self.model.system()
    }

    /// FreeBSD waits if what is open is destroyed.
    fn check_is_closed(&self, name: &InterfaceName) {
        let is_open = self.model.report(&text(name)).is_some_and(|report| report.is_open);
        let minds = self.model.system() == System::FreeBsd;
        assert!(
            !(self.from_outside && minds && is_open),
            "{name} is open, and this system would not survive that"
        );
    }
}

fn text(name: &InterfaceName) -> String {
    String::from_utf8_lossy(name.as_bytes()).into_owned()
}

fn info(system: System, report: &Report) -> InterfaceInfo {
    let layer = if report.kind == Kind::Tap { Layer::Tap } else { Layer::Tun };
    let name = InterfaceName::from_kernel(report.name.as_bytes()).unwrap();
    let index = InterfaceIndex::new(report.index).unwrap();
    let mut info = InterfaceInfo::new(name, index, layer, Mtu::from_kernel(report.mtu));
    info.flags |= CreateFlags::NO_PI;
    info.mac = report.mac.map(MacAddress::from_kernel);
    // Of what keeps an interface, only FreeBSD's kernel knows.
    info.persistent = system == System::FreeBsd && !report.transient;
    info.state = if report.is_up { State::Up } else { State::Down };
    info
}

fn address(found: ListedAddress) -> InterfaceAddress {
    let peer = found.destination.filter(|&destination| destination != found.address);
    let broadcast = match found.broadcast {
        Some(std::net::IpAddr::V4(broadcast)) => Some(broadcast),
        _ => None,
    };
    InterfaceAddress::from_kernel(found.address, found.prefix_length, peer, broadcast)
}

struct Received {
    model: Model,
    index: u32,
}

impl Observation for Received {
    fn take(&mut self) -> Option<Vec<u8>> {
        self.model.taken_by_index(self.index)
    }
}

impl Harness for ModelHarness {
    type Backend = BsdBackend<Model>;

    fn backend(&self) -> &BsdBackend<Model> {
        &self.backend
    }

    /// What of Linux's concerns these systems is the same.
    fn profile(&self) -> Profile {
        let profile = Profile::LINUX_6_18.with_own_errnos();
        match self.model.system() {
            System::FreeBsd => profile,
            System::MacOs if !self.model.has_third_party_driver() => {
                profile.with_names(Names::Units { tun: "utun", tap: "feth" })
            }
            _ => profile.with_names(Names::Units { tun: "tun", tap: "tap" }),
        }
    }

    fn report(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        let report = self.model.report(&text(name)).filter(|report| report.kind != Kind::Loopback)?;
        let mut info = info(self.model.system(), &report);
        info.persistent &= !self.from_outside;
        Some(info)
    }

    fn reported_addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress> {
        self.model.addresses(&text(name)).into_iter().map(address).collect()
    }

    fn dropped(&self, name: &InterfaceName) -> u64 {
        assert!(!self.from_outside, "{name}: what was dropped is told to nobody else");
        self.model.dropped(&text(name))
    }

    fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool {
        let text = text(name);
        let report = self.model.report(&text).filter(|report| report.kind == Kind::Tun);
        let counts = matches!(self.model.system(), System::NetBsd | System::DragonFly);
        // The packet filter counts the four bytes in front of a packet of a tun (`bpf_movein`).
        if report.is_some_and(|report| self.from_outside && counts && packet.len() + 4 > report.mtu as usize)
        {
            return false;
        }
        self.model.inject(&text, packet)
    }

    fn observe(&self, name: &InterfaceName) -> Box<dyn Observation> {
        let index = self.model.report(&text(name)).unwrap().index;
        while self.model.taken_by_index(index).is_some() {}
        Box::new(Received { model: self.model.clone(), index })
    }

    fn delete(&self, name: &InterfaceName) {
        self.check_is_closed(name);
        self.model.destroy_by_another(&text(name)).unwrap();
    }

    /// No program chooses, but the next interface gets the first index that is free.
    fn make_with_index(&self, name: &InterfaceName, index: InterfaceIndex) -> bool {
        !self.from_outside && self.model.make_stranger(&text(name)) == index.get()
    }

    fn rename(&self, from: &InterfaceName, to: &InterfaceName) -> bool {
        self.model.rename_by_another(&text(from), &text(to))
    }

    fn move_to_namespace(&self, _: &InterfaceName) {
        panic!("these systems have no network namespaces");
    }

    fn report_elsewhere(&self, _: &InterfaceName) -> Option<InterfaceInfo> {
        None
    }

    fn set_up(&self, name: &InterfaceName, up: bool) {
        if up && self.from_outside {
            self.model.had_an_address(&text(name));
        }
        self.model.set_up(&text(name), up);
    }

    fn as_caller(&self, uid: u32, _: u32, capable: bool, work: &mut dyn FnMut()) {
        assert!(capable || uid != 0 || !self.from_outside, "root without rights is nobody there");
        self.model.set_caller(capable);
        work();
        self.model.set_caller(true);
    }

    fn poll_state(&self, device: &BsdDevice<Model>) -> PollState {
        if self.model.system() == System::MacOs {
            // A tap's frames have a thread to pass.
            let _ = poll(&mut [PollFd::new(device.as_fd(), PollFlags::POLLIN)], 50_u8);
        }
        let mut polled = [PollFd::new(device.as_fd(), PollFlags::POLLIN | PollFlags::POLLOUT)];
        poll(&mut polled, PollTimeout::ZERO).unwrap();
        let told = polled[0].revents().unwrap();
        PollState {
            readable: told.contains(PollFlags::POLLIN),
            writable: told.contains(PollFlags::POLLOUT),
            error: told.contains(PollFlags::POLLERR),
        }
    }

    fn other_interface(&self) -> InterfaceName {
        "lo0".parse().unwrap()
    }

    fn set_queue(&self, _: &BsdDevice<Model>, _: bool) -> Option<Result<()>> {
        None
    }

    fn hand_over(&self, device: BsdDevice<Model>) -> Option<OwnedFd> {
        Some(device.into())
    }

    fn adopt(&self, fd: OwnedFd) -> Option<Result<BsdDevice<Model>, AdoptError>> {
        Some(self.backend.adopt(fd))
    }

    fn events(&self, of: Option<&BsdInterface<Model>>) -> Option<Result<Box<dyn EventWatcher>>> {
        let boxed = |watcher| Box::new(watcher) as Box<dyn EventWatcher>;
        Some(match of {
            Some(interface) => interface.events().map(boxed),
            None => self.backend.events().map(boxed),
        })
    }

    fn attempt(&self, _: Operation) -> Option<std::result::Result<(), Error>> {
        None
    }
}
