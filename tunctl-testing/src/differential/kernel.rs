//! The running kernel, in a network namespace of each sequence's own.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use crate::harness::silence;
use crate::{LinuxHarness, rtnetlink};
use nix::sched::{CloneFlags, unshare};
use tunctl_conformance::{DeviceOf, Harness, InterfaceOf, Observation, PollState, Profile};
use tunctl_core::{
    AdoptError, Error, EventWatcher, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo,
    InterfaceName, MacFilter, Operation, Statistics, TunBackend,
};
use tunctl_linux::{LinuxBackend, LinuxInterface};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::VnetHeader;
use tunctl_sys::linux::packet_socket;

/// [`LinuxHarness`], but for what would cost a sequence too much: to close a packet socket, or to unmount a
/// sysfs, takes ten milliseconds. So one socket observes all interfaces, and counters come from netlink.
#[derive(Debug)]
pub(crate) struct Kernel {
    harness: LinuxHarness,
    tap: Rc<RefCell<Tap>>,
}

impl Kernel {
    /// Enters a new network namespace. The one before goes away by itself, in the background, with all that
    /// is in it.
    pub(crate) fn new() -> Self {
        let entered = unshare(CloneFlags::CLONE_NEWNET);
        entered.unwrap_or_else(|errno| panic!("enter a network namespace: {errno}"));
        silence().unwrap_or_else(|error| panic!("/proc/sys/net: {error}"));
        // Index 0 is all interfaces.
        let socket = packet_socket::open(0).unwrap_or_else(|error| panic!("observe: {error}"));
        let tap = Tap { socket, waiting: BTreeMap::new(), buffer: vec![0; 1 << 17] };
        Self { harness: LinuxHarness::default(), tap: Rc::new(RefCell::new(tap)) }
    }

    fn counted(&self, name: &InterfaceName) -> Statistics {
        let counted = self.backend().interface(name).and_then(|interface| interface.statistics());
        counted.unwrap_or_else(|error| panic!("{error}"))
    }
}

/// What the system receives from any interface, sorted by interface.
#[derive(Debug)]
struct Tap {
    socket: OwnedFd,
    waiting: BTreeMap<u32, VecDeque<Vec<u8>>>,
    buffer: Vec<u8>,
}

impl Tap {
    /// Takes what the socket has. Packets of interfaces that nobody observes are let go.
    fn sort(&mut self) {
        loop {
            let received = match packet_socket::receive(self.socket.as_fd(), &mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("observe: {error}"),
            };
            if received.direction == packet_socket::OUTGOING {
                continue;
            }
            if let Some(waiting) = self.waiting.get_mut(&received.index) {
                waiting.push_back(self.buffer[..received.length].to_vec());
            }
        }
    }
}

struct Observer {
    tap: Rc<RefCell<Tap>>,
    index: u32,
}

impl Observation for Observer {
    fn take(&mut self) -> Option<Vec<u8>> {
        let mut tap = self.tap.borrow_mut();
        tap.sort();
        tap.waiting.get_mut(&self.index)?.pop_front()
    }
}

impl Harness for Kernel {
    type Backend = LinuxBackend;

    fn backend(&self) -> &LinuxBackend {
        self.harness.backend()
    }

    fn profile(&self) -> Profile {
        self.harness.profile()
    }

    fn report(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        self.harness.report(name)
    }

    fn reported_addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress> {
        self.harness.reported_addresses(name)
    }

    fn dropped(&self, name: &InterfaceName) -> u64 {
        self.counted(name).to_program.dropped
    }

    fn statistics(&self, name: &InterfaceName) -> Option<Statistics> {
        Some(self.counted(name))
    }

    fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool {
        self.harness.inject(name, packet)
    }

    fn inject_large(&self, name: &InterfaceName, header: &VnetHeader, packet: &[u8]) -> bool {
        self.harness.inject_large(name, header, packet)
    }

    fn observe(&self, name: &InterfaceName) -> Box<dyn Observation> {
        let index = rtnetlink::index(name);
        let mut tap = self.tap.borrow_mut();
        tap.sort();
        tap.waiting.insert(index, VecDeque::new());
        Box::new(Observer { tap: self.tap.clone(), index })
    }

    fn delete(&self, name: &InterfaceName) {
        self.harness.delete(name);
    }

    fn make_with_index(&self, name: &InterfaceName, index: InterfaceIndex) -> bool {
        self.harness.make_with_index(name, index)
    }

    fn rename(&self, from: &InterfaceName, to: &InterfaceName) -> bool {
        self.harness.rename(from, to)
    }

    fn move_to_namespace(&self, name: &InterfaceName) {
        self.harness.move_to_namespace(name);
    }

    fn report_elsewhere(&self, name: &InterfaceName) -> Option<InterfaceInfo> {
        self.harness.report_elsewhere(name)
    }

    fn backend_elsewhere(&self) -> Option<tunctl_core::Result<LinuxBackend>> {
        self.harness.backend_elsewhere()
    }

    fn move_by_handle(&self, interface: &LinuxInterface) -> Option<tunctl_core::Result<()>> {
        self.harness.move_by_handle(interface)
    }

    fn set_up(&self, name: &InterfaceName, up: bool) {
        self.harness.set_up(name, up);
    }

    fn set_carrier(&self, name: &InterfaceName, on: bool) -> Option<bool> {
        self.harness.set_carrier(name, on)
    }

    fn as_caller(&self, uid: u32, gid: u32, capable: bool, work: &mut dyn FnMut()) {
        self.harness.as_caller(uid, gid, capable, work);
    }

    fn poll_state(&self, device: &DeviceOf<Self>) -> PollState {
        self.harness.poll_state(device)
    }

    fn other_interface(&self) -> InterfaceName {
        self.harness.other_interface()
    }

    fn set_filter(
        &self,
        device: &DeviceOf<Self>,
        program: Option<&Program>,
    ) -> Option<tunctl_core::Result<()>> {
        self.harness.set_filter(device, program)
    }

    fn set_mac_filter(
        &self,
        device: &DeviceOf<Self>,
        filter: Option<&MacFilter>,
    ) -> Option<tunctl_core::Result<()>> {
        self.harness.set_mac_filter(device, filter)
    }

    fn set_queue(&self, device: &DeviceOf<Self>, attached: bool) -> Option<tunctl_core::Result<()>> {
        self.harness.set_queue(device, attached)
    }

    fn events(&self, of: Option<&InterfaceOf<Self>>) -> Option<tunctl_core::Result<Box<dyn EventWatcher>>> {
        self.harness.events(of)
    }

    fn hand_over(&self, device: DeviceOf<Self>) -> Option<OwnedFd> {
        self.harness.hand_over(device)
    }

    fn adopt(&self, fd: OwnedFd) -> Option<Result<DeviceOf<Self>, AdoptError>> {
        self.harness.adopt(fd)
    }

    fn attempt(&self, operation: Operation) -> Option<Result<(), Error>> {
        self.harness.attempt(operation)
    }
}
