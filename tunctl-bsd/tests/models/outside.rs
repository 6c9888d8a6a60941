//! What the system, and other programs, do; and what a test wants to know.

use std::net::IpAddr;

use tunctl_bsd::ListedAddress;

use super::numbers::UP;
use super::world::{Interface, Kind, Made, NodeMode};
use super::{Model, System};

/// What the system says of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) made: Made,
    pub(crate) flags: u32,
    pub(crate) mtu: u32,
    pub(crate) mac: Option<[u8; 6]>,
    /// Whether packets have their address family in front, where that can be chosen.
    pub(crate) af_header: bool,
    pub(crate) transient: bool,
    pub(crate) is_up: bool,
    pub(crate) is_open: bool,
}

fn report(interface: &Interface) -> Report {
    Report {
        index: interface.index,
        name: interface.name.clone(),
        kind: interface.kind,
        made: interface.made,
        flags: interface.flags,
        mtu: interface.mtu,
        mac: interface.mac,
        af_header: interface.af_header,
        transient: interface.transient,
        is_up: interface.is_up(),
        is_open: interface.device.is_some(),
    }
}

/// The caller, and what exists.
impl Model {
    pub(crate) fn system(&self) -> System {
        self.enter().system
    }

    /// How many nodes of each kind that one makes, which are 16.
    pub(crate) fn set_third_party_nodes(&self, count: u32) {
        self.enter().third_party_nodes = count;
    }

    pub(crate) fn has_third_party_driver(&self) -> bool {
        self.enter().third_party
    }

    pub(crate) fn set_caller(&self, root: bool) {
        self.enter().root = root;
    }

    /// The sysctl `net.link.tap.user_open` of FreeBSD and DragonFly.
    pub(crate) fn set_user_open(&self, user_open: bool) {
        self.enter().user_open = user_open;
    }

    pub(crate) fn set_loaded(&self, loaded: bool) {
        self.enter().loaded = loaded;
    }

    pub(crate) fn set_node(&self, path: &str, mode: NodeMode) {
        self.enter().nodes.insert(path.into(), mode);
    }

    /// All nodes that were not set by themselves.
    pub(crate) fn set_nodes(&self, mode: NodeMode) {
        self.enter().other_nodes = mode;
    }

    pub(crate) fn set_queue_length(&self, packets: usize) {
        self.enter().queue_length = packets;
    }

    /// How many bytes of messages the routing sockets that are opened from now on keep.
    pub(crate) fn set_route_room(&self, bytes: usize) {
        self.enter().route_room = bytes;
    }

    /// NetBSD and DragonFly: how often an address must be added before a tun is ready. 1 on NetBSD (2 was
    /// seen in 2016), 0 on DragonFly.
    pub(crate) fn set_additions_until_ready(&self, additions: u32) {
        self.enter().additions_until_ready = additions;
    }

    /// How many times a new IPv6 address says that it is not in service yet.
    pub(crate) fn set_tentative_for(&self, queries: u32) {
        self.enter().tentative_for = queries;
    }

    /// Whether an address sets a tap UP, as it does unless the driver is that of macOS's extension.
    pub(crate) fn set_address_ups_tap(&self, ups: bool) {
        self.enter().address_ups_tap = ups;
    }

    /// Another host has this address: duplicate detection will find it.
    pub(crate) fn will_be_duplicate(&self, address: IpAddr) {
        self.enter().others_address = Some(address);
    }

    /// Whether an address is not in service yet.
    pub(crate) fn is_tentative(&self, address: IpAddr) -> bool {
        let world = self.enter();
        let mut all = world.interfaces.iter().flat_map(|interface| &interface.addresses);
        all.any(|one| one.found.address == address && one.tentative > 0)
    }

    /// Another host has this address: duplicate detection finds it.
    pub(crate) fn duplicate_found(&self, address: IpAddr) {
        let mut world = self.enter();
        let all = world.interfaces.iter_mut().flat_map(|interface| &mut interface.addresses);
        all.filter(|one| one.found.address == address).for_each(|one| one.duplicated = true);
    }
}

/// The system's side.
impl Model {
    /// Sends a packet out of an interface, or a frame; whether it has reached the queue of a device.
    pub(crate) fn inject(&self, name: &str, packet: &[u8]) -> bool {
        self.send(name, packet).is_ok()
    }

    /// The same, with the errno that the sender gets.
    pub(crate) fn send(&self, name: &str, packet: &[u8]) -> Result<(), i32> {
        self.enter().send(name, packet)
    }

    /// The oldest packet that a program has sent, without what stood in front, and that was not taken yet.
    pub(crate) fn taken(&self, name: &str) -> Option<Vec<u8>> {
        self.enter().named_mut(name)?.taken.pop_front()
    }

    /// The same, of an interface whatever it is called.
    pub(crate) fn taken_by_index(&self, index: u32) -> Option<Vec<u8>> {
        self.enter().indexed_mut(index)?.taken.pop_front()
    }

    /// How many packets have reached no queue, though the interface was up.
    pub(crate) fn dropped(&self, name: &str) -> u64 {
        self.enter().named(name).map_or(0, |interface| interface.dropped)
    }

    pub(crate) fn report(&self, name: &str) -> Option<Report> {
        self.enter().named(name).map(report)
    }

    pub(crate) fn reports(&self) -> Vec<Report> {
        self.enter().interfaces.iter().map(report).collect()
    }

    pub(crate) fn addresses(&self, name: &str) -> Vec<ListedAddress> {
        let world = self.enter();
        let addresses =
            world.named(name).map(|interface| interface.addresses.iter().map(|one| one.found).collect());
        addresses.unwrap_or_default()
    }

    /// Another program, which is root, destroys an interface.
    ///
    /// On FreeBSD it waits while a program has it open, and the interface goes when that closes it.
    pub(crate) fn destroy_by_another(&self, name: &str) -> Result<(), i32> {
        let mut world = self.enter();
        if world.system == System::FreeBsd
            && let Some(interface) = world.named_mut(name)
            && interface.device.is_some()
        {
            interface.dying = true;
            return Ok(());
        }
        let root = std::mem::replace(&mut world.root, true);
        let destroyed = world.destroy(name);
        world.root = root;
        destroyed
    }

    /// Another program, which is root, makes an interface, which it may call as it likes; returns its index.
    pub(crate) fn make_stranger(&self, name: &str) -> u32 {
        self.enter().make_stranger(name)
    }

    /// Another program, which is root, makes an interface as soon as the next device was closed.
    pub(crate) fn make_after_close(&self, name: &str) {
        self.enter().successor = Some(name.into());
    }

    /// Another program, which is root, destroys an interface just before the next node is opened.
    pub(crate) fn destroy_before_open(&self, name: &str) {
        self.enter().doomed = Some(name.into());
    }

    /// OpenBSD: the next opens of a node meet the end of another program's close.
    pub(crate) fn revoke_next_opens(&self, opens: u32) {
        self.enter().revocations = opens;
    }

    /// Another program, which is root, switches an interface on or off.
    pub(crate) fn set_up(&self, name: &str, up: bool) {
        let mut world = self.enter();
        if let Some(interface) = world.named(name) {
            let flags = if up { interface.flags | UP } else { interface.flags & !UP };
            let index = interface.index;
            world.set_flags(index, flags);
        }
    }

    /// Another program, which is root, gives an interface an address, twice, and takes it away.
    pub(crate) fn had_an_address(&self, name: &str) {
        if let Some(interface) = self.enter().named_mut(name) {
            interface.additions += 2;
        }
    }

    /// Another program has a tun open, and packets without their address family in front.
    pub(crate) fn forget_af_headers(&self) {
        self.enter().interfaces.iter_mut().for_each(|interface| interface.af_header = false);
    }

    /// Another program has a tap of FreeBSD open, and chooses another virtio-net header.
    pub(crate) fn set_vnet_header(&self, name: &str, bytes: u32) {
        if let Some(interface) = self.enter().named_mut(name) {
            interface.vnet = bytes;
        }
    }

    /// Another program, which is root, renames an interface; whether the system permits it.
    pub(crate) fn rename_by_another(&self, old: &str, new: &str) -> bool {
        let mut world = self.enter();
        let root = std::mem::replace(&mut world.root, true);
        let renamed = world.rename(old, new).is_ok();
        world.root = root;
        renamed
    }
}

/// What was called, and what fails.
impl Model {
    /// All calls so far, in order, those that failed too.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.enter().trace.calls.clone()
    }

    pub(crate) fn forget_calls(&self) {
        self.enter().trace.calls.clear();
    }

    /// The next call that begins so fails.
    pub(crate) fn fail(&self, call: &str, errno: i32) {
        self.fail_nth(call, 1, errno);
    }

    /// The nth call from now that begins so fails; the first is 1.
    pub(crate) fn fail_nth(&self, call: &str, nth: usize, errno: i32) {
        self.enter().trace.fail(call, nth.saturating_sub(1), errno, true);
    }

    /// All calls that begin so fail, until [`heal`](Self::heal).
    pub(crate) fn fail_always(&self, call: &str, errno: i32) {
        self.enter().trace.fail(call, 0, errno, false);
    }

    /// Nothing that was scripted fails any more.
    pub(crate) fn heal(&self) {
        self.enter().trace.heal();
    }
}
