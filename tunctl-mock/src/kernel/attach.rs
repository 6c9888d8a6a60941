//! Creating and attaching: the `TUNSETIFF` request (`tun_set_iff`).

use tunctl_core::{
    Cause, CreateFlags, Gid, InterfaceIndex, InterfaceInfo, InterfaceName, Layer, Offloads, Reason, State,
    Statistics, Uid,
};
use tunctl_packet::header::VnetFormat;

use super::flow::FlowTable;
use super::link::{LinkProperties, MAX_RING_SIZE};
use super::name::{check_reserved, exhausted, is_loopback};
use super::ring::Ring;
use super::{Event, FileId, InterfaceId, Kernel, NamespaceId, NetDevice, TunFile};
use crate::Errno;
use crate::kernel::{NO_DEVICE, Result, incapable};

/// The most queues that an interface may have, also detached ones.
const MAX_TAP_QUEUES: usize = 256;

/// The arguments of `TUNSETIFF`, and the namespace in which the file was opened.
pub(crate) struct AttachRequest<'a> {
    pub(crate) namespace: NamespaceId,
    /// A name or a pattern; `None` lets the kernel choose.
    pub(crate) name: Option<&'a [u8]>,
    /// The index of a new interface, if the program has chosen it (`TUNSETIFINDEX`).
    pub(crate) index: Option<InterfaceIndex>,
    pub(crate) flags: CreateFlags,
    pub(crate) layer: Layer,
}

/// The result of `TUNSETIFF`: a file that is attached.
pub(crate) struct Attached {
    pub(crate) file: FileId,
    pub(crate) interface: InterfaceId,
    pub(crate) info: InterfaceInfo,
}

/// The flags of a request that the interface keeps (`TUN_FEATURES`).
const KEPT_FLAGS: CreateFlags = CreateFlags::NO_PI
    .union(CreateFlags::NAPI)
    .union(CreateFlags::NAPI_FRAGS)
    .union(CreateFlags::ONE_QUEUE)
    .union(CreateFlags::VNET_HDR)
    .union(CreateFlags::MULTI_QUEUE);

impl Kernel {
    /// Attaches a new file to the interface that has the name, or creates the interface (`tun_set_iff`).
    pub(crate) fn set_iff(&mut self, wanted: &AttachRequest<'_>) -> Result<Attached> {
        self.may_have_flags(wanted)?;
        let name = wanted.name.and_then(|name| InterfaceName::from_kernel(name).ok());
        let existing = name.and_then(|name| self.named(wanted.namespace, &name)).map(|device| device.id);
        let id = match existing {
            Some(id) => {
                self.may_attach(id, wanted)?;
                id
            }
            None if name.is_some_and(|name| is_loopback(&name)) => return Err(other_kind(wanted.flags)),
            None => self.register(wanted)?,
        };
        let file = self.open_file(id, wanted.flags & (CreateFlags::NAPI | CreateFlags::NAPI_FRAGS))?;
        let device = self.interfaces.get_mut(&id).ok_or(NO_DEVICE)?;
        device.attached.push(file);
        // The first queue of an interface sets its headers, and switches the carrier on. A further queue
        // leaves both, since the other readers rely on them.
        if device.queues() == 1 {
            device.flags = wanted.flags & KEPT_FLAGS;
            self.switch_carrier(id, !wanted.flags.contains(CreateFlags::NO_CARRIER));
        }
        let info = self.device(id).ok_or(NO_DEVICE)?.info();
        Ok(Attached { file, interface: id, info })
    }

    /// Flags that the kernel does not know are refused by the library, which asks for those that it knows.
    /// Fragments take the capability in the first user namespace (`tun_set_iff`, Linux 6.18), which is the
    /// model's only one.
    fn may_have_flags(&self, wanted: &AttachRequest<'_>) -> Result {
        let unknown = (wanted.flags & CreateFlags::OPTIONAL) - self.profile.flags();
        if !unknown.is_empty() {
            let detail = format!("this kernel's driver does not know: {unknown}");
            return Err(Reason::new(Cause::Unsupported).with_detail(detail));
        }
        if wanted.flags.contains(CreateFlags::NAPI_FRAGS) && !self.caller.is_capable() {
            return Err(incapable());
        }
        Ok(())
    }

    /// The rules for an interface that exists, in the order of `tun_set_iff` and `tun_attach`: the first that
    /// refuses decides the errno.
    fn may_attach(&self, id: InterfaceId, wanted: &AttachRequest<'_>) -> Result {
        let device = self.device(id).ok_or(NO_DEVICE)?;
        if wanted.flags.contains(CreateFlags::TUN_EXCL) {
            return Err(Errno::EBUSY.reason(Cause::Exists));
        }
        if device.layer != wanted.layer {
            return Err(Errno::EINVAL
                .reason(Cause::LayerMismatch)
                .with_detail(format!("the interface exists as a {}", word(device.layer))));
        }
        if device.is_multi_queue() != wanted.flags.contains(CreateFlags::MULTI_QUEUE) {
            return Err(Errno::EINVAL.reason(Cause::QueueMismatch));
        }
        self.may_use(device)?;
        if !device.is_multi_queue() && !device.attached.is_empty() {
            return Err(Errno::EBUSY.reason(Cause::Busy));
        }
        if device.queues() >= MAX_TAP_QUEUES {
            return Err(Errno::E2BIG.reason(Cause::TooManyQueues));
        }
        Ok(())
    }

    /// Without `CAP_NET_ADMIN`, the caller must match the owner and the group, as far as they are set
    /// (`tun_not_capable`). The driver asks the caller and not the opener of the file: the ioctl is how an
    /// administrator lends an interface to a user, who opens the node and attaches. If neither owner nor
    /// group is set, kernels differ.
    fn may_use(&self, device: &NetDevice) -> Result {
        let other_user = device.owner.is_some_and(|owner| !self.caller.is(owner));
        let other_group = device.group.is_some_and(|group| !self.caller.is_in(group));
        let ownerless = device.owner.is_none() && device.group.is_none();
        if self.caller.is_capable() || !(other_user || other_group || ownerless) {
            return Ok(());
        }
        if ownerless {
            return if self.profile.ownerless_attach() { Ok(()) } else { Err(incapable()) };
        }
        Err(Errno::EPERM.reason(Cause::NotOwner).with_detail(format!(
            "the interface belongs to {}, and this process runs as uid {}",
            belongs(device.owner, device.group),
            self.caller.uid()
        )))
    }

    /// Creates an interface: down, not persistent, without an owner. The capability is required in the
    /// namespace of the file, since a new interface belongs to nobody who could permit it.
    fn register(&mut self, wanted: &AttachRequest<'_>) -> Result<InterfaceId> {
        if !self.caller.is_capable() {
            return Err(incapable());
        }
        let name = self.choose_name(wanted.namespace, wanted.name, wanted.layer)?;
        let index = match wanted.index {
            Some(index) if !self.is_free(wanted.namespace, index) => {
                return Err(Errno::EBUSY
                    .reason(Cause::Busy)
                    .with_detail(format!("another interface has the index {index}"))
                    .with_remedy("Choose another index, or leave it to the kernel."));
            }
            Some(index) => index,
            None => self.next_index(wanted.namespace),
        };
        // As in `register_netdevice`, the index is consumed even if the name is then refused: the index is
        // reserved first, and only the notifiers that follow (`inetdev_event`, `addrconf_notify`) look at
        // these names.
        check_reserved(&name)?;
        // Only the last number of a pattern can be taken: other names are looked up before. So the index is
        // consumed here as well.
        if self.is_taken(wanted.namespace, &name) {
            return Err(exhausted(self.profile.exhausted()));
        }
        let id = InterfaceId(self.next_interface);
        self.next_interface += 1;
        let device = NetDevice {
            id,
            namespace: wanted.namespace,
            index,
            name,
            layer: wanted.layer,
            // The first queue sets them, in `set_iff`.
            flags: CreateFlags::empty(),
            link: LinkProperties::new(wanted.layer, id),
            state: State::Down,
            carrier: true,
            persistent: false,
            owner: None,
            group: None,
            offloads: Offloads::NONE,
            vnet_format: VnetFormat::default(),
            ipv4: Vec::new(),
            ipv6: Vec::new(),
            attached: Vec::new(),
            detached: Vec::new(),
            flows: FlowTable::default(),
            mac_filter: None,
            statistics: Statistics::default(),
        };
        self.interfaces.insert(id, device);
        self.events.push_back(Event::Named { interface: id, namespace: wanted.namespace, name });
        self.report_link(id);
        Ok(id)
    }

    /// Allocates an index (`dev_index_reserve`). It skips indices that interfaces brought along from other
    /// namespaces.
    pub(super) fn next_index(&mut self, namespace: NamespaceId) -> InterfaceIndex {
        loop {
            let number = &mut self.namespaces[namespace.0].next_index;
            let candidate = *number;
            *number += 1;
            if let Some(index) =
                InterfaceIndex::new(candidate).filter(|&index| self.is_free(namespace, index))
            {
                return index;
            }
        }
    }

    pub(super) fn is_free(&self, namespace: NamespaceId, index: InterfaceIndex) -> bool {
        let taken = |device: &NetDevice| device.namespace == namespace && device.index == index;
        index.get() != super::LOOPBACK_INDEX && !self.interfaces.values().any(taken)
    }

    fn open_file(&mut self, id: InterfaceId, napi: CreateFlags) -> Result<FileId> {
        let size = self.device(id).map_or(0, |device| device.link.queue_length);
        if size > MAX_RING_SIZE {
            return Err(Errno::ENOMEM.reason(Cause::Other));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let queue = Ring::new(size);
        let file = Some(TunFile { interface: Some(id), detached: false, napi, queue, filter: None });
        match self.files.iter().position(Option::is_none) {
            Some(free) => {
                self.files[free] = file;
                Ok(FileId(free))
            }
            None => {
                self.files.push(file);
                Ok(FileId(self.files.len() - 1))
            }
        }
    }
}

/// The name belongs to an interface of another driver. `tun_set_iff` checks `IFF_TUN_EXCL` before the driver.
fn other_kind(flags: CreateFlags) -> Reason {
    let errno = if flags.contains(CreateFlags::TUN_EXCL) { Errno::EBUSY } else { Errno::EINVAL };
    errno.reason(Cause::NotATun)
}

const fn word(layer: Layer) -> &'static str {
    match layer {
        Layer::Tun => "tun (IP packets)",
        Layer::Tap => "tap (Ethernet frames)",
    }
}

fn belongs(owner: Option<Uid>, group: Option<Gid>) -> String {
    let parts = [owner.map(|uid| format!("user {uid}")), group.map(|gid| format!("group {gid}"))];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}
