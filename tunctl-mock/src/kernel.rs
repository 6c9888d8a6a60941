//! The kernel: what exists, and the rules by which it changes.
//!
//! This folder reads as the specification of a TUN/TAP driver, and of what the kernel around it does with its
//! interfaces. Each rule stands where it is enforced, and names its function in Linux's source:
//!
//! | rules | file |
//! |---|---|
//! | creating and attaching (`tun_set_iff`, `tun_attach`) | `attach.rs` |
//! | names, and numbers for patterns (`dev_alloc_name`, `dev_valid_name`) | `name.rs` |
//! | descriptors: settings, poll, close (`tun_set_queue`, `tun_chr_poll`, `__tun_detach`) | `queue.rs` |
//! | packets to the program (`tun_net_xmit`, `tun_do_read`, `tun_put_user`) | `receive.rs` |
//! | a queue, and when it is full (`ptr_ring`) | `ring.rs` |
//! | which queue a flow goes to (`tun_flow_update`, `tun_automq_select_queue`) | `flow.rs` |
//! | filters of taps (`tun_attach_filter`, `run_filter`) | `filter.rs` |
//! | packets from the program (`tun_get_user`) | `send.rs` |
//! | frames from the program in fragments (`tun_napi_alloc_frags`) | `fragments.rs` |
//! | virtio-net headers (`tun_vnet_hdr_get`, `virtio_net_hdr_to_skb`) | `vnet.rs` |
//! | packets to be finished, and for which device (`validate_xmit_skb`) | `skb.rs` |
//! | state, MTU, MAC address, name, namespace (`do_setlink`, `dev_change_name`) | `link.rs` |
//! | what netlink reports unasked, and the carrier (`rtmsg_ifinfo`, `rtmsg_ifa`, `linkwatch_do_dev`) | `report.rs` |
//! | addresses (`__inet_insert_ifa`, `inet_del_ifa`, `inet6_addr_add`) | `address.rs` |
//!
//! The rules were seen on Linux 6.18, the default [`KernelProfile`]. Where kernels differ, a rule asks the
//! profile, and the suite that holds the model to a kernel runs on the others as well.
//!
//! A rule that refuses returns a [`Reason`]: the kernel's errno, and the cause that the Linux backend would
//! derive from it. Beside its result, a rule reports what it changed, as [`Event`]s.

mod address;
mod attach;
mod filter;
mod flow;
mod fragments;
mod link;
mod name;
mod queue;
mod receive;
mod report;
mod ring;
mod send;
mod skb;
mod vnet;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tunctl_core::{
    Cause, CreateFlags, Gid, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Layer,
    MacFilter, Notification, Offloads, Reason, State, Statistics, Uid,
};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::VnetFormat;

use flow::FlowTable;
use link::LinkProperties;
use ring::Ring;

use crate::{Caller, Errno, KernelProfile};

pub(crate) use attach::{AttachRequest, Attached};
pub(crate) use name::is_loopback;
pub(crate) use skb::Skb;

/// The result of a rule; its error is the reason for a refusal.
pub(crate) type Result<T = (), E = Reason> = std::result::Result<T, E>;

/// The descriptor is no longer attached: its interface is deleted.
pub(crate) const DETACHED: Reason = Errno::EBADFD.reason(Cause::Gone);
/// No interface of the namespace has the index.
pub(crate) const NO_DEVICE: Reason = Errno::ENODEV.reason(Cause::Gone);

/// Refuses a change for which the caller needs `CAP_NET_ADMIN`.
pub(crate) fn incapable() -> Reason {
    let remedy = "Run it with sudo, or give the program the capability (in a test: Caller::capable).";
    Errno::EPERM.reason(Cause::MissingCapability).with_detail("CAP_NET_ADMIN is missing").with_remedy(remedy)
}

/// Identifies an interface for ever. Unlike an index, it is never given to another interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InterfaceId(u64);

/// Identifies an open file of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileId(usize);

/// Identifies a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NamespaceId(usize);

impl NamespaceId {
    /// The namespace in which the system starts.
    pub(crate) const FIRST: Self = Self(0);
}

/// What a netlink request addresses: the interface that has this index in this namespace at the time of the
/// request. After a move or a deletion that may be another interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkKey {
    pub(crate) namespace: NamespaceId,
    pub(crate) index: InterfaceIndex,
}

/// What exists, and the rules by which it changes.
pub(crate) struct Kernel {
    pub(crate) profile: KernelProfile,
    /// The credentials of the process that makes system calls.
    pub(crate) caller: Caller,
    namespaces: Vec<Namespace>,
    interfaces: BTreeMap<InterfaceId, NetDevice>,
    next_interface: u64,
    files: Vec<Option<TunFile>>,
    events: VecDeque<Event>,
    /// The time since the system started.
    pub(crate) now: Duration,
}

/// What a rule reports beside its result, to those who wait for a change.
pub(crate) enum Event {
    /// An interface has this name from now on: it is registered, renamed, or moved to the namespace
    /// (`NETDEV_REGISTER`, `NETDEV_CHANGENAME`).
    Named { interface: InterfaceId, namespace: NamespaceId, name: InterfaceName },
    /// An interface went up or down (`NETDEV_UP`, `NETDEV_DOWN`).
    StateChanged,
    /// An interface is deleted, and its files are detached (`NETDEV_UNREGISTER`).
    Deleted(Box<NetDevice>),
    /// Netlink reports something to those who listen in the namespace (`rtmsg_ifinfo`, `rtmsg_ifa`).
    Reported { namespace: NamespaceId, notification: Notification },
    /// A poll of the file may report something else than before (`sk_data_ready`, `wake_up_interruptible`).
    PollChanged(FileId),
}

/// A network namespace.
struct Namespace {
    /// The index of the next interface. Indices are not reused (`dev_index_reserve` allocates cyclically).
    next_index: u32,
    ipv6: bool,
}

/// The name and index of the loopback interface. Every namespace has it, so it stands for interfaces of other
/// drivers.
pub(crate) const LOOPBACK: &str = "lo";
const LOOPBACK_INDEX: u32 = 1;

/// An interface (`struct net_device`, `struct tun_struct`).
pub(crate) struct NetDevice {
    id: InterfaceId,
    namespace: NamespaceId,
    index: InterfaceIndex,
    name: InterfaceName,
    layer: Layer,
    /// The flags that belong to the interface and not to one descriptor: headers, several queues.
    flags: CreateFlags,
    link: LinkProperties,
    state: State,
    /// The carrier (`netif_carrier_ok`).
    carrier: bool,
    persistent: bool,
    owner: Option<Uid>,
    group: Option<Gid>,
    offloads: Offloads,
    vnet_format: VnetFormat,
    ipv4: Vec<InterfaceAddress>,
    ipv6: Vec<InterfaceAddress>,
    /// Files whose queue is in service (`tun->tfiles`), and files whose queue is detached (`tun->disabled`).
    attached: Vec<FileId>,
    detached: Vec<FileId>,
    flows: FlowTable,
    /// The MAC addresses whose frames pass (`tun->txflt`); `None` lets all pass.
    mac_filter: Option<MacFilter>,
    /// The counters (`dev_get_tstats64`, and `dev->core_stats`). The kernel's "rx" is from the program.
    statistics: Statistics,
}

/// An open file of the driver (`struct tun_file`).
struct TunFile {
    /// `None` once the interface is deleted.
    interface: Option<InterfaceId>,
    detached: bool,
    /// Whether packets from the program take the way of a network card's, and in fragments
    /// (`tfile->napi_enabled`, `tfile->napi_frags_enabled`).
    napi: CreateFlags,
    queue: Ring,
    /// The program that drops or cuts frames (`sk->sk_filter`).
    filter: Option<Program>,
}

impl Kernel {
    pub(crate) fn new(profile: KernelProfile) -> Self {
        Self {
            profile,
            caller: Caller::root(),
            namespaces: vec![Namespace::new()],
            interfaces: BTreeMap::new(),
            next_interface: 0,
            files: Vec::new(),
            events: VecDeque::new(),
            now: Duration::ZERO,
        }
    }

    /// Takes the oldest event that is left.
    pub(crate) fn take_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn new_namespace(&mut self) -> NamespaceId {
        self.namespaces.push(Namespace::new());
        NamespaceId(self.namespaces.len() - 1)
    }

    pub(crate) fn set_ipv6(&mut self, namespace: NamespaceId, on: bool) {
        self.namespaces[namespace.0].ipv6 = on;
        let here = self.interfaces.values().filter(|device| !on && device.namespace == namespace);
        for id in here.map(NetDevice::id).collect::<Vec<_>>() {
            self.clear_ipv6(id);
        }
    }

    pub(crate) fn device(&self, id: InterfaceId) -> Option<&NetDevice> {
        self.interfaces.get(&id)
    }

    pub(crate) fn device_mut(&mut self, id: InterfaceId) -> Option<&mut NetDevice> {
        self.interfaces.get_mut(&id)
    }

    /// The interface that a netlink request addresses.
    pub(crate) fn at(&self, key: LinkKey) -> Result<&NetDevice> {
        let mut here = self.interfaces.values().filter(|device| device.namespace == key.namespace);
        here.find(|device| device.index == key.index).ok_or(NO_DEVICE)
    }

    fn at_mut(&mut self, key: LinkKey) -> Result<&mut NetDevice> {
        let mut here = self.interfaces.values_mut().filter(|device| device.namespace == key.namespace);
        here.find(|device| device.index == key.index).ok_or(NO_DEVICE)
    }

    pub(crate) fn named(&self, namespace: NamespaceId, name: &InterfaceName) -> Option<&NetDevice> {
        self.interfaces.values().find(|device| device.namespace == namespace && device.name == *name)
    }

    pub(crate) fn devices(&self) -> impl Iterator<Item = &NetDevice> {
        self.interfaces.values()
    }

    /// All interfaces of a namespace, in the order of their indices.
    pub(crate) fn list(&self, namespace: NamespaceId) -> Vec<InterfaceInfo> {
        let here = self.interfaces.values().filter(|device| device.namespace == namespace);
        let mut found: Vec<_> = here.map(NetDevice::info).collect();
        found.sort_by_key(|info| info.index);
        found
    }

    /// The interface that an open file is attached to; `None` once it is deleted.
    pub(crate) fn interface_of(&self, file: FileId) -> Option<InterfaceId> {
        self.file(file)?.interface
    }

    fn file(&self, file: FileId) -> Option<&TunFile> {
        self.files.get(file.0)?.as_ref()
    }

    fn file_mut(&mut self, file: FileId) -> Option<&mut TunFile> {
        self.files.get_mut(file.0)?.as_mut()
    }
}

impl Namespace {
    const fn new() -> Self {
        Self { next_index: LOOPBACK_INDEX + 1, ipv6: true }
    }
}

impl NetDevice {
    pub(crate) const fn id(&self) -> InterfaceId {
        self.id
    }

    pub(crate) const fn name(&self) -> InterfaceName {
        self.name
    }

    pub(crate) const fn layer(&self) -> Layer {
        self.layer
    }

    pub(crate) const fn key(&self) -> LinkKey {
        LinkKey { namespace: self.namespace, index: self.index }
    }

    pub(crate) const fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// All files that are attached to it, also those whose queue is detached.
    pub(crate) fn files(&self) -> Vec<FileId> {
        [&self.attached[..], &self.detached].concat()
    }

    /// How many queues it has, also detached ones.
    pub(crate) fn queues(&self) -> usize {
        self.attached.len() + self.detached.len()
    }

    /// Whether a descriptor that is attached to the one could be attached to the other, by what the driver
    /// reports of it (`TUNGETIFF`).
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let reported = |device: &Self| {
            let flags = device.flags & (CreateFlags::VNET_HDR | CreateFlags::MULTI_QUEUE);
            (device.layer, flags, device.persistent)
        };
        reported(self) == reported(other)
    }

    pub(crate) const fn is_multi_queue(&self) -> bool {
        self.flags.contains(CreateFlags::MULTI_QUEUE)
    }

    /// How many queues the kernel reports. It counts them if there may be several (`tun_fill_info`). A single
    /// one shows by the carrier, and by the existence of an interface that is not persistent.
    fn reported_queues(&self) -> Option<u32> {
        if self.is_multi_queue() {
            return u32::try_from(self.queues()).ok();
        }
        (self.carrier || !self.persistent).then_some(1)
    }

    /// What the kernel reports about it by netlink.
    pub(crate) fn info(&self) -> InterfaceInfo {
        let mut info = InterfaceInfo::new(self.name, self.index, self.layer, self.link.mtu);
        info.flags |= self.flags - CreateFlags::ONE_QUEUE - CreateFlags::OPTIONAL;
        self.link.fill(&mut info);
        info.state = self.state;
        info.persistent = self.persistent;
        info.owner = self.owner;
        info.group = self.group;
        info.carrier = Some(self.carrier);
        info.queues = self.reported_queues();
        info.detached_queues =
            if self.is_multi_queue() { u32::try_from(self.detached.len()).ok() } else { None };
        info
    }
}
