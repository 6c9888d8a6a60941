//! The kernel: what exists, and the rules by which it changes.
//!
//! This folder reads as the specification of a TUN/TAP driver. Each rule stands where it is enforced:
//!
//! | rules | file |
//! |---|---|
//! | creating and attaching: what `TUNSETIFF` answers | `attach.rs` |
//! | names, and numbers for patterns | `name.rs` |
//! | queues: attached, detached, closed; when an interface goes | `queue.rs` |
//! | packets to the program: dropping, headers, truncation | `receive.rs` |
//! | a queue, and when it is full | `ring.rs` |
//! | packets from the program: what is malformed, who gets them | `send.rs` |
//! | virtio-net headers | `vnet.rs` |
//! | state, MTU, MAC address, name, namespace, deletion | `link.rs` |
//! | addresses | `address.rs` |
//!
//! A rule that refuses answers with a [`Reason`]: the number of the kernel's, and the cause that the Linux
//! backend would make of it. Everything happens under one lock, so each operation is a step that none other divides.

mod address;
mod attach;
mod link;
mod name;
mod queue;
mod receive;
mod ring;
mod send;
mod vnet;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tunctl_core::{
    Cause, CreateFlags, Gid, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Layer,
    MacAddress, Mtu, Operation, Reason, State, Uid,
};

use ring::Ring;

use crate::rig::fault::{Effect, Faults};
use crate::rig::wire::Wires;
use crate::rig::{Signal, Waiters};
use crate::{Caller, Errno, KernelProfile};

pub(crate) use attach::{AttachRequest, Attached};
pub(crate) use link::SocketCapabilities;
pub(crate) use name::is_loopback;
pub use receive::Delivery;

/// What a rule answers: why it refuses, if it does.
pub(crate) type Result<T = (), E = Reason> = std::result::Result<T, E>;

/// The descriptor is attached to nothing any more.
pub(crate) const DETACHED: Reason = Errno::EBADFD.reason(Cause::Gone);
/// No interface of the namespace has the index.
pub(crate) const NO_DEVICE: Reason = Errno::ENODEV.reason(Cause::Gone);

/// Configuring takes the capability.
pub(crate) fn incapable() -> Reason {
    let remedy =
        "Run it with sudo, or give the program the capability (here: let the mock's caller have it).";
    Errno::EPERM.reason(Cause::MissingCapability).with_detail("CAP_NET_ADMIN is missing").with_remedy(remedy)
}

/// Which interface, for ever: unlike an index, it is never given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InterfaceId(u64);

/// Which open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileId(usize);

/// Which network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NamespaceId(usize);

impl NamespaceId {
    /// The one in which the system starts.
    pub(crate) const FIRST: Self = Self(0);
}

/// What an interface handle addresses: whoever has that index in that namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinkKey {
    pub(crate) namespace: NamespaceId,
    pub(crate) index: InterfaceIndex,
}

/// The kernel, shared by all handles.
pub(crate) struct Kernel {
    world: Mutex<World>,
}

impl Kernel {
    pub(crate) fn new(profile: KernelProfile) -> Self {
        Self { world: Mutex::new(World::new(profile)) }
    }

    /// One step.
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        // A thread that panicked in here, in a test that failed, has left a world as whole as before its step.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").finish_non_exhaustive()
    }
}

/// Everything that exists.
pub(crate) struct World {
    pub(crate) profile: KernelProfile,
    pub(crate) caller: Caller,
    pub(crate) faults: Faults,
    pub(crate) wires: Wires,
    namespaces: Vec<Namespace>,
    interfaces: BTreeMap<InterfaceId, NetDevice>,
    next_interface: u64,
    files: Vec<Option<TunFile>>,
    /// Interfaces that are deleted, which the test may still ask about: while a device that was attached is open, and until
    /// another interface has the name.
    deleted: HashMap<InterfaceId, NetDevice>,
    /// Who has a name, or had it last.
    name_owners: HashMap<(NamespaceId, InterfaceName), InterfaceId>,
    /// Notified at each change that a test may wait for.
    pub(crate) tests: Arc<Waiters>,
}

/// A network namespace.
struct Namespace {
    /// What the next interface gets: numbers are not given again.
    next_index: u32,
    ipv6: bool,
}

/// The loopback interface's name and index: it is in every namespace, and no TUN/TAP interface.
pub(crate) const LOOPBACK: &str = "lo";
const LOOPBACK_INDEX: u32 = 1;

/// An interface (`struct net_device`, `struct tun_struct`).
pub(crate) struct NetDevice {
    id: InterfaceId,
    namespace: NamespaceId,
    index: InterfaceIndex,
    name: InterfaceName,
    layer: Layer,
    /// Of [`CreateFlags`], those that belong to the interface: headers, several queues.
    flags: CreateFlags,
    mtu: Mtu,
    /// Of a tap.
    mac: Option<MacAddress>,
    state: State,
    persistent: bool,
    owner: Option<Uid>,
    group: Option<Gid>,
    offloads: u32,
    ipv4: Vec<InterfaceAddress>,
    ipv6: Vec<InterfaceAddress>,
    queue_length: u32,
    /// The files whose queues are in service, and those whose queues are not.
    attached: Vec<FileId>,
    detached: Vec<FileId>,
    /// Packets that were to go to the program, and did not.
    dropped: u64,
    /// Packets that came from the program, for the test to take.
    received: VecDeque<Vec<u8>>,
    missed: u64,
}

/// An open file of the driver's (`struct tun_file`).
struct TunFile {
    /// `None` once the interface is deleted.
    interface: Option<InterfaceId>,
    last: InterfaceId,
    detached: bool,
    queue: Ring,
    signal: Arc<Signal>,
}

impl World {
    fn new(profile: KernelProfile) -> Self {
        Self {
            profile,
            caller: Caller::root(),
            faults: Faults::default(),
            wires: Wires::default(),
            namespaces: vec![Namespace::new()],
            interfaces: BTreeMap::new(),
            next_interface: 0,
            files: Vec::new(),
            deleted: HashMap::new(),
            name_owners: HashMap::new(),
            tests: Arc::default(),
        }
    }

    pub(crate) fn new_namespace(&mut self) -> NamespaceId {
        self.namespaces.push(Namespace::new());
        NamespaceId(self.namespaces.len() - 1)
    }

    pub(crate) fn set_ipv6(&mut self, namespace: NamespaceId, on: bool) {
        self.namespaces[namespace.0].ipv6 = on;
        if !on {
            for device in self.interfaces.values_mut().filter(|device| device.namespace == namespace) {
                device.ipv6.clear();
            }
        }
    }

    /// One call of an operation begins: what the test has scripted for it happens first.
    #[inline]
    pub(crate) fn apply_fault(&mut self, operation: Operation, interface: Option<InterfaceId>) -> Result {
        if self.faults.is_empty() {
            return Ok(());
        }
        let Some(effect) = self.faults.take_due(operation) else { return Ok(()) };
        match (effect, interface) {
            (Effect::Deletes, Some(id)) => self.unregister(id),
            (Effect::TakesDown, Some(id)) => self.set_state(id, State::Down),
            _ => {}
        }
        effect.reason().map_or(Ok(()), Err)
    }

    pub(crate) fn device(&self, id: InterfaceId) -> Option<&NetDevice> {
        self.interfaces.get(&id)
    }

    pub(crate) fn device_mut(&mut self, id: InterfaceId) -> Option<&mut NetDevice> {
        self.interfaces.get_mut(&id)
    }

    /// The interface at a place.
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

    /// All of a namespace, in the order of their indices.
    pub(crate) fn list(&self, namespace: NamespaceId) -> Vec<InterfaceInfo> {
        let here = self.interfaces.values().filter(|device| device.namespace == namespace);
        let mut found: Vec<_> = here.map(NetDevice::info).collect();
        found.sort_by_key(|info| info.index);
        found
    }

    /// As [`device`](Self::device), also of one that is deleted.
    pub(crate) fn remembered(&self, id: InterfaceId) -> Option<&NetDevice> {
        self.interfaces.get(&id).or_else(|| self.deleted.get(&id))
    }

    /// As [`remembered`](Self::remembered), to take from it what the system received.
    pub(crate) fn take_received(&mut self, id: InterfaceId) -> Option<Vec<u8>> {
        let device = self.interfaces.get_mut(&id).or_else(|| self.deleted.get_mut(&id))?;
        device.received.pop_front()
    }

    /// Who has a name in a namespace, or had it last.
    pub(crate) fn name_owner(&self, namespace: NamespaceId, name: InterfaceName) -> Option<InterfaceId> {
        self.name_owners.get(&(namespace, name)).copied()
    }

    /// An interface has a name from now on.
    fn own_name(&mut self, namespace: NamespaceId, name: InterfaceName, id: InterfaceId) {
        if let Some(before) = self.name_owners.insert((namespace, name), id) {
            self.forget_if_unknown(before);
        }
        self.tests.wake();
    }

    /// A deleted interface that neither its last name nor an open device leads to cannot be asked about.
    fn forget_if_unknown(&mut self, id: InterfaceId) {
        let Some(device) = self.deleted.get(&id) else { return };
        let is_named = self.name_owner(device.namespace, device.name) == Some(id);
        let is_open = self.files.iter().flatten().any(|file| file.last == id);
        if !is_named && !is_open {
            self.deleted.remove(&id);
            self.wires.forget_losses(id);
        }
    }

    /// The interface that an open file is, or was, attached to.
    pub(crate) fn last_interface_of(&self, file: FileId) -> Option<InterfaceId> {
        Some(self.file(file)?.last)
    }

    /// What an open file is attached to; the model gives up a file only when nobody can ask any more.
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

    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) const fn missed(&self) -> u64 {
        self.missed
    }

    /// How many queues there are, in service or not.
    pub(crate) fn queues(&self) -> usize {
        self.attached.len() + self.detached.len()
    }

    pub(crate) const fn is_multi_queue(&self) -> bool {
        self.flags.contains(CreateFlags::MULTI_QUEUE)
    }

    /// What the kernel reports of it.
    pub(crate) fn info(&self) -> InterfaceInfo {
        let mut info = InterfaceInfo::new(self.name, self.index, self.layer, self.mtu);
        info.flags |= self.flags.difference(CreateFlags::ONE_QUEUE);
        info.mac = self.mac;
        info.state = self.state;
        info.persistent = self.persistent;
        info.queue_length = Some(self.queue_length);
        info.owner = self.owner;
        info.group = self.group;
        info.queues = u32::try_from(self.queues()).ok();
        info
    }
}
