//! The model's state: interfaces, open devices and the caller.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::CString;

use tunctl_bsd::ListedAddress;

use super::System;
use super::device::Device;
use super::numbers::{BROADCAST, EEXIST, LOOPBACK, MULTICAST, POINTOPOINT, RUNNING, UP};
use super::trace::Trace;

/// The unit of interfaces of other drivers.
const STRANGER: u32 = 999;

/// A tun, a tap, or what is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Loopback,
    Tun,
    Tap,
}

/// How an interface came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// It was there from the start.
    Start,
    /// By opening a node, or connecting a socket.
    Open,
    /// By SIOCIFCREATE.
    Request,
}

/// The access mode of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NodeMode {
    /// There is none.
    Missing,
    /// Root: what all these systems come with.
    Root,
    /// Everybody.
    All,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) system: System,
    /// macOS: the interfaces are those of the kernel extension `tuntaposx`, and no others are modelled.
    pub(crate) third_party: bool,
    /// How many nodes of each kind that one makes.
    pub(crate) third_party_nodes: u32,
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) devices: BTreeMap<u64, Device>,
    /// Passes with each interface that is made.
    clock: u64,
    next_device: u64,
    next_mac: u8,
    pub(crate) root: bool,
    /// FreeBSD's and DragonFly's sysctl `net.link.tap.user_open`.
    pub(crate) user_open: bool,
    pub(crate) loaded: bool,
    pub(crate) nodes: HashMap<String, NodeMode>,
    /// Of those that were not said.
    pub(crate) other_nodes: NodeMode,
    pub(crate) queue_length: usize,
    /// How many bytes of messages a routing socket keeps.
    pub(crate) route_room: usize,
    /// How many times an address is added before a tun of NetBSD or DragonFly is ready.
    pub(crate) additions_until_ready: u32,
    /// How many times the flags of a new IPv6 address are asked for before it is in service.
    pub(crate) tentative_for: u32,
    /// Whether an address sets a tap UP, as it does a tun but macOS's.
    pub(crate) address_ups_tap: bool,
    pub(crate) trace: Trace,
    /// The address of another host.
    pub(crate) others_address: Option<std::net::IpAddr>,
    /// What another program makes as soon as a device was closed.
    pub(crate) successor: Option<String>,
    /// What another program destroys before the next node is opened.
    pub(crate) doomed: Option<String>,
    /// How many of the next opens meet the end of another's close.
    pub(crate) revocations: u32,
}

#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) created: u64,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) unit: u32,
    pub(crate) made: Made,
    pub(crate) flags: u32,
    pub(crate) mtu: u32,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) description: Option<CString>,
    pub(crate) addresses: Vec<Address>,
    /// FreeBSD, NetBSD and DragonFly: whether packets have their address family in front.
    pub(crate) af_header: bool,
    /// FreeBSD: bytes of the virtio-net header of a tap.
    pub(crate) vnet: u32,
    pub(crate) transient: bool,
    /// FreeBSD: a caller of SIOCIFDESTROY waits for the last descriptor to close.
    pub(crate) dying: bool,
    /// NetBSD: reads do not wait, whoever has it open.
    pub(crate) nonblocking: bool,
    /// How many times an address was added since the driver last forgot.
    pub(crate) additions: u32,
    pub(crate) baudrate: u32,
    pub(crate) device: Option<u64>,
    /// macOS: the Ethernet that what leaves this one arrives at.
    pub(crate) peer: Option<u32>,
    /// macOS: it is of the kernel extension `tuntaposx`.
    pub(crate) third_party: bool,
    /// What programs sent, until a test takes it.
    pub(crate) taken: VecDeque<Vec<u8>>,
    pub(crate) dropped: u64,
    /// Those that the queue had no room for.
    pub(crate) queue_drops: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    pub(crate) found: ListedAddress,
    /// How many times it still says that duplicate detection is not over.
    pub(crate) tentative: u32,
    pub(crate) duplicated: bool,
}

impl World {
    pub(crate) fn new(system: System) -> Self {
        let mut world = Self {
            system,
            third_party: false,
            // Source.
            third_party_nodes: 16,
            interfaces: Vec::new(),
            devices: BTreeMap::new(),
            clock: 0,
            next_device: 1,
            next_mac: 1,
            root: true,
            user_open: false,
            loaded: true,
            nodes: HashMap::new(),
            other_nodes: NodeMode::Root,
            queue_length: match system {
                // Fact: NetBSD's is longer.
                System::NetBsd => 256,
                // Source: XNU's `if_sndq_maxlen`, as it comes.
                System::MacOs => 128,
                _ => 50,
            },
            // What the crate asks the systems for.
            route_room: 256 * 1024,
            // Fact: a NetBSD tun needs an address. Source: a DragonFly tun is ready once it is open
            // (`tunread`: TUN_READY).
            additions_until_ready: u32::from(system == System::NetBsd),
            tentative_for: 3,
            // Fact: NetBSD's `ether_ioctl` sets UP, for any family. Source: so do those of FreeBSD and
            // DragonFly, OpenBSD's `tun_ioctl` and macOS's `feth_ioctl`.
            address_ups_tap: true,
            trace: Trace::default(),
            others_address: None,
            successor: None,
            doomed: None,
            revocations: 0,
        };
        let flags = UP | LOOPBACK | RUNNING | MULTICAST;
        world.push("lo0".into(), Kind::Loopback, 0, Made::Start, flags, 16384);
        world
    }

    /// A new interface of the driver; it is down, but macOS's.
    pub(crate) fn make(&mut self, kind: Kind, unit: u32, made: Made) -> Result<u32, i32> {
        let name = format!("{}{unit}", self.prefix(kind));
        if self.named(&name).is_some() || self.of_unit(kind, unit).is_some() {
            return Err(EEXIST);
        }
        // Fact: a tun is point-to-point by default; macOS's is UP at connect.
        let flags = match (kind, self.system) {
            (Kind::Tap, _) => BROADCAST | MULTICAST,
            (_, System::MacOs) if self.third_party => POINTOPOINT | MULTICAST | RUNNING,
            (_, System::MacOs) => POINTOPOINT | MULTICAST | UP | RUNNING,
            // Source: NetBSD's does no multicast (`tunattach0`), unless TUNSIFMODE says so.
            (_, System::NetBsd) => POINTOPOINT,
            _ => POINTOPOINT | MULTICAST,
        };
        let index = self.push(name.clone(), kind, unit, made, flags, 1500);
        // Source: `if_attach`, on NetBSD `if_register`.
        self.announce(index, &name, true);
        Ok(index)
    }

    /// A new interface of a driver that is not modelled, an Ethernet, unless the name is one of this
    /// driver's.
    pub(crate) fn make_stranger(&mut self, name: &str) -> u32 {
        let of_driver = [Kind::Tun, Kind::Tap]
            .into_iter()
            .find_map(|kind| Some((kind, unit(name.strip_prefix(self.prefix(kind))?)?)));
        if let Some((kind, unit)) = of_driver {
            return self.make(kind, unit, Made::Request).unwrap_or(0);
        }
        let flags = BROADCAST | MULTICAST;
        let index = self.push(name.into(), Kind::Tap, STRANGER, Made::Request, flags, 1500);
        self.announce(index, name, true);
        index
    }

    fn push(&mut self, name: String, kind: Kind, unit: u32, made: Made, flags: u32, mtu: u32) -> u32 {
        // Source: the first that is free (FreeBSD's `ifindex_alloc`, NetBSD's `if_getindex`, OpenBSD's
        // `if_idxmap_insert`, DragonFly's `if_attach`). macOS gives it again with the same name alone.
        let index = (1..).find(|&index| self.indexed(index).is_none()).unwrap_or(u32::MAX);
        self.clock += 1;
        let mac = (kind == Kind::Tap).then(|| {
            if self.system == System::MacOs && !self.third_party {
                // Source: its name and its number (`feth_clone_create`).
                let [.., high, low] = unit.to_be_bytes();
                return [b'f', b'e', b't', b'h', high, low];
            }
            self.next_mac = self.next_mac.wrapping_add(1);
            [0x58, 0x9c, 0xfc, 0, 0, self.next_mac]
        });
        self.interfaces.push(Interface {
            index,
            created: self.clock,
            name,
            kind,
            unit,
            made,
            flags,
            mtu,
            mac,
            description: None,
            addresses: Vec::new(),
            af_header: false,
            vnet: 0,
            transient: false,
            dying: false,
            nonblocking: false,
            additions: 0,
            baudrate: 0,
            device: None,
            peer: None,
            third_party: self.third_party,
            taken: VecDeque::new(),
            dropped: 0,
            queue_drops: 0,
        });
        index
    }

    pub(crate) fn new_device_id(&mut self) -> u64 {
        self.next_device += 1;
        self.next_device
    }

    pub(crate) fn prefix(&self, kind: Kind) -> &'static str {
        match (kind, self.system) {
            (Kind::Loopback, _) => "lo",
            (Kind::Tun, System::MacOs) if !self.third_party => "utun",
            (Kind::Tap, System::MacOs) if !self.third_party => "feth",
            (Kind::Tun, _) => "tun",
            (Kind::Tap, _) => "tap",
        }
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name)
    }

    pub(crate) fn named_mut(&mut self, name: &str) -> Option<&mut Interface> {
        self.interfaces.iter_mut().find(|interface| interface.name == name)
    }

    pub(crate) fn indexed(&self, index: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.index == index)
    }

    pub(crate) fn indexed_mut(&mut self, index: u32) -> Option<&mut Interface> {
        self.interfaces.iter_mut().find(|interface| interface.index == index)
    }

    /// The interface of a unit, whatever it is called by now.
    pub(crate) fn of_unit(&self, kind: Kind, unit: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| (interface.kind, interface.unit) == (kind, unit))
    }

    /// The first unit that is free, and whose name is.
    pub(crate) fn free_unit(&self, kind: Kind) -> u32 {
        self.free_unit_from(0, kind)
    }

    /// The same, of those from one on.
    pub(crate) fn free_unit_from(&self, first: u32, kind: Kind) -> u32 {
        let is_free = |&unit: &u32| {
            self.of_unit(kind, unit).is_none()
                && self.named(&format!("{}{unit}", self.prefix(kind))).is_none()
        };
        (first..).find(is_free).unwrap_or(0)
    }

    /// The interface of an open device, unless it has gone.
    pub(crate) fn of_device(&self, device: u64) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.device == Some(device))
    }

    /// NetBSD: the device that was opened by a node, and whose interface was deleted under it.
    pub(crate) fn orphan(&self, kind: Kind, unit: u32) -> Option<u64> {
        let node = format!("/dev/{}{unit}", self.prefix(kind));
        let is_orphan =
            |&(id, device): &(&u64, &Device)| device.path == node && self.of_device(*id).is_none();
        self.devices.iter().find(is_orphan).map(|(&id, _)| id)
    }

    pub(crate) fn of_device_mut(&mut self, device: u64) -> Option<&mut Interface> {
        self.interfaces.iter_mut().find(|interface| interface.device == Some(device))
    }

    /// The interface goes, and whoever waits at its device is woken.
    pub(crate) fn remove(&mut self, index: u32) {
        let Some(at) = self.interfaces.iter().position(|interface| interface.index == index) else { return };
        let gone = self.interfaces.remove(at);
        self.report_gone(&gone);
        // Source: the other of a pair stays, connected to nothing (`feth_clone_destroy`).
        if let Some(peer) = gone.peer.and_then(|peer| self.indexed_mut(peer)) {
            peer.peer = None;
        }
        let system = self.system;
        if let Some(device) = gone.device.and_then(|device| self.devices.get_mut(&device)) {
            match (&mut device.filter, system) {
                // Source: `bpfdetach`; after it `filt_bpfread` is not ready.
                (Some(filter), _) => filter.unbind(),
                // Fact: a poll of a tun or a tap of NetBSD goes on (asked of if_tun.c 1.127, read in 1.176).
                (None, System::NetBsd) => {
                    device.left = (gone.af_header, gone.nonblocking);
                    device.purge();
                }
                // Source: OpenBSD's `tun_clone_destroy` takes the descriptor away and wakes who waits.
                _ => device.hang_up(),
            }
        }
    }

    /// Source: `if_detach` takes an interface down, takes its addresses away, and announces that it is gone;
    /// FreeBSD and NetBSD have taken it from the list by then. macOS (`ifnet_detach`) takes it from the list,
    /// and then down; its addresses go in the background.
    fn report_gone(&mut self, gone: &Interface) {
        self.report_down(gone.index, gone.flags, gone.mtu);
        for address in &gone.addresses {
            self.report_address(gone.index, &gone.name, &address.found, false);
        }
        self.announce(gone.index, &gone.name, false);
    }

    /// Changes the flags of an interface, and reports it if it goes up or down.
    pub(crate) fn set_flags(&mut self, index: u32, flags: u32) {
        let Some(interface) = self.indexed_mut(index) else { return };
        let changed = std::mem::replace(&mut interface.flags, flags) ^ flags;
        let device = interface.device;
        if changed & UP == 0 {
            return;
        }
        self.report_interface(index);
        // Source: the queue that the driver reads from is the interface's, which FreeBSD's and DragonFly's
        // `if_unroute` (`if_qflush`) and NetBSD's `if_down` (`IFQ_PURGE`; asked) empty.
        let is_down = flags & UP == 0;
        let is_utun = self.system == System::MacOs && !self.third_party;
        let Some(device) = device.and_then(|device| self.devices.get_mut(&device)) else { return };
        match self.system {
            System::FreeBsd | System::NetBsd | System::DragonFly if is_down => device.purge(),
            // Source: macOS's `if_updown` flushes the interface's queue both ways (`if_qflush_snd`). What is
            // at the socket of a utun stays. A filter's frames are its own.
            System::MacOs if is_utun && device.filter.is_none() => device.keep(device.at_socket),
            _ => {}
        }
    }

    /// Takes addresses away, and reports that.
    pub(crate) fn remove_addresses(&mut self, index: u32, which: impl Fn(&Address) -> bool) {
        let Some(interface) = self.indexed_mut(index) else { return };
        let name = interface.name.clone();
        let (gone, left) = std::mem::take(&mut interface.addresses).into_iter().partition(which);
        let gone: Vec<Address> = gone;
        interface.addresses = left;
        for address in gone {
            self.report_address(index, &name, &address.found, false);
        }
    }

    pub(crate) fn is_route(&self, device: u64) -> bool {
        self.devices.get(&device).is_some_and(|device| device.route.is_some())
    }

    /// Whether the driver lets programs read, and carries packets for the stack.
    pub(crate) fn is_ready(&self, interface: &Interface) -> bool {
        match (self.system, interface.kind) {
            (System::NetBsd | System::DragonFly, Kind::Tun) => {
                interface.additions >= self.additions_until_ready
            }
            // Source: a tap of NetBSD has to be up to be read (`tap_dev_read`).
            (System::NetBsd, Kind::Tap) => interface.is_up(),
            _ => true,
        }
    }
}

impl Interface {
    pub(crate) const fn is_up(&self) -> bool {
        self.flags & UP != 0
    }

    /// macOS: whether it is an Ethernet that comes in pairs.
    pub(crate) const fn is_of_pair(&self, system: System) -> bool {
        matches!((system, self.kind, self.third_party), (System::MacOs, Kind::Tap, false))
    }

    pub(crate) const fn is_point_to_point(&self) -> bool {
        self.flags & POINTOPOINT != 0
    }
}

/// The unit in a name behind a prefix: digits, without zeroes in front.
pub(crate) fn unit(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_plain = digits.len() == 1 || !digits.starts_with('0');
    if is_number && is_plain { digits.parse().ok() } else { None }
}
