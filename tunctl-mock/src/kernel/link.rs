//! State, MTU, MAC address, name, namespace, deletion.

use tunctl_core::{Cause, InterfaceName, Layer, MacAddress, Mtu, State};

use super::name::check_reserved;
use super::{Event, InterfaceId, Kernel, LinkKey, NamespaceId};
use crate::Errno;
use crate::kernel::{NO_DEVICE, Result, incapable};

/// The most packets that an open queue can hold: as many pointers as one allocation of 4 MiB has room for (`ptr_ring`, seen on
/// Linux 6.18).
pub(super) const MAX_RING_SIZE: u32 = 1 << 19;

/// With less, IPv6 is off on an interface.
const IPV6_MIN_MTU: u32 = 1280;

/// How a handle asks for changes: a netlink socket acts with the rights of whoever opened it, as far as the caller has
/// them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SocketCapabilities {
    pub(crate) opener_was_capable: bool,
}

impl Kernel {
    pub(crate) fn socket_capabilities(&self) -> SocketCapabilities {
        SocketCapabilities { opener_was_capable: self.caller.is_capable() }
    }

    /// Permission is checked before the interface is looked up.
    pub(super) fn may_configure(&self, socket: SocketCapabilities) -> Result {
        if socket.opener_was_capable && self.caller.is_capable() { Ok(()) } else { Err(incapable()) }
    }

    pub(crate) fn change_state(&mut self, key: LinkKey, socket: SocketCapabilities, state: State) -> Result {
        self.may_configure(socket)?;
        let id = self.at(key)?.id;
        self.set_state(id, state);
        Ok(())
    }

    /// Going down takes the IPv6 addresses, leaves the IPv4 ones, and leaves the packets in the queues.
    pub(crate) fn set_state(&mut self, id: InterfaceId, state: State) {
        let Some(device) = self.device_mut(id) else { return };
        if device.state == state {
            return;
        }
        device.state = state;
        if state == State::Down {
            device.ipv6.clear();
        }
        let files = device.files();
        self.events.push_back(Event::StateChanged);
        self.events.extend(files.into_iter().map(Event::PollChanged));
    }

    /// The length is that of each queue; those that are open get a new one (`tun_queue_resize`). If the kernel has no memory for
    /// them, the answer is `EPERM`, since the driver only says that it refuses (`tun_device_event`).
    pub(crate) fn change_queue_length(
        &mut self,
        key: LinkKey,
        socket: SocketCapabilities,
        packets: u32,
    ) -> Result {
        self.may_configure(socket)?;
        let device = self.at_mut(key)?;
        let files = device.files();
        if device.queue_length == packets {
            return Ok(());
        }
        if packets > MAX_RING_SIZE && !files.is_empty() {
            let detail = "the kernel has no memory for open queues of that length";
            return Err(Errno::EPERM
                .reason(Cause::Other)
                .with_detail(detail)
                .with_remedy("Choose a shorter one."));
        }
        device.queue_length = packets;
        for file in files {
            if let Some(open) = self.file_mut(file) {
                open.queue.resize(usize::try_from(packets).unwrap_or(usize::MAX));
            }
            self.events.push_back(Event::PollChanged(file));
        }
        Ok(())
    }

    /// The greatest MTU leaves room for the link-layer header in 65535 bytes.
    pub(crate) fn change_mtu(&mut self, key: LinkKey, socket: SocketCapabilities, mtu: Mtu) -> Result {
        self.may_configure(socket)?;
        let device = self.at_mut(key)?;
        let most = match device.layer {
            Layer::Tun => 65_535,
            Layer::Tap => 65_521,
        };
        if !(68..=most).contains(&mtu.get()) {
            return Err(Errno::EINVAL
                .reason(Cause::InvalidMtu)
                .with_remedy("A tun takes 68 to 65535 bytes, a tap at most 65521."));
        }
        device.mtu = mtu;
        if mtu.get() < IPV6_MIN_MTU {
            device.ipv6.clear();
        }
        Ok(())
    }

    /// A tap takes any, up or down, and also one that another has; a tun has none.
    pub(crate) fn change_mac(&mut self, key: LinkKey, socket: SocketCapabilities, mac: MacAddress) -> Result {
        self.may_configure(socket)?;
        let device = self.at_mut(key)?;
        if device.layer == Layer::Tun {
            let refused = Errno::EOPNOTSUPP.reason(Cause::LayerMismatch);
            return Err(refused.with_detail("a tun has no MAC address"));
        }
        device.mac = Some(mac);
        Ok(())
    }

    pub(crate) fn delete_link(&mut self, key: LinkKey, socket: SocketCapabilities) -> Result {
        self.may_configure(socket)?;
        let id = self.at(key)?.id;
        self.unregister(id);
        Ok(())
    }

    pub(crate) fn change_name(
        &mut self,
        key: LinkKey,
        socket: SocketCapabilities,
        to: InterfaceName,
    ) -> Result {
        self.may_configure(socket)?;
        self.rename(key, to)
    }

    /// Somebody who may renames it: to a name that is free, and while it is up only on kernels that permit that.
    pub(crate) fn rename(&mut self, key: LinkKey, to: InterfaceName) -> Result {
        let live = self.profile.rename_while_up();
        let device = self.at(key)?;
        if device.state == State::Up && !live {
            return Err(Errno::EBUSY.reason(Cause::Busy).with_detail("the interface is up"));
        }
        if device.name == to {
            return Ok(());
        }
        // A pattern is one here, too.
        let to = self.choose_name(key.namespace, Some(to.as_bytes()), device.layer)?;
        // It is IPv6 that keeps settings by name; where the MTU leaves it no room, nobody minds.
        if device.mtu.get() >= IPV6_MIN_MTU {
            check_reserved(&to)?;
        }
        if self.is_taken(key.namespace, &to) {
            return Err(Errno::EEXIST.reason(Cause::Exists));
        }
        let device = self.at_mut(key)?;
        device.name = to;
        let id = device.id;
        self.events.push_back(Event::Named { interface: id, namespace: key.namespace, name: to });
        Ok(())
    }

    /// Another program moves it to another namespace: it goes down, loses its addresses, and keeps its name, which must be
    /// free there, and its index if that is.
    pub(crate) fn move_to(&mut self, key: LinkKey, namespace: NamespaceId) -> Result {
        let device = self.at(key)?;
        let (id, name, index) = (device.id, device.name, device.index);
        if namespace == key.namespace {
            return Ok(());
        }
        if self.is_taken(namespace, &name) {
            return Err(Errno::EEXIST.reason(Cause::Exists));
        }
        let index = if self.is_free(namespace, index) { index } else { self.next_index(namespace) };
        let device = self.device_mut(id).ok_or(NO_DEVICE)?;
        device.namespace = namespace;
        device.index = index;
        device.ipv4.clear();
        device.ipv6.clear();
        self.set_state(id, State::Down);
        self.events.push_back(Event::Named { interface: id, namespace, name });
        Ok(())
    }

    /// Whether an interface may have IPv6 addresses.
    pub(super) fn ipv6_is_on(&self, namespace: NamespaceId, mtu: Mtu) -> Result {
        if mtu.get() < IPV6_MIN_MTU {
            let remedy = "IPv6 is off on an interface whose MTU is less than 1280 bytes.";
            return Err(Errno::EINVAL.reason(Cause::InvalidAddress).with_remedy(remedy));
        }
        if !self.namespaces[namespace.0].ipv6 {
            return Err(Errno::EACCES
                .reason(Cause::NoIpv6)
                .with_remedy("Switch it on (here: the mock's set_ipv6)."));
        }
        Ok(())
    }
}
