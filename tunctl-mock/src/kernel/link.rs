//! What netlink changes in an interface: state, MTU, MAC address, name, namespace, deletion.

use std::ffi::{CStr, CString};

use tunctl_core::{Cause, InterfaceInfo, InterfaceName, Layer, MacAddress, Mtu, State};

use super::name::check_reserved;
use super::{DETACHED, Event, FileId, InterfaceId, Kernel, LinkKey, NamespaceId, NetDevice};
use crate::Errno;
use crate::kernel::{NO_DEVICE, Result, incapable};

/// The longest queue of an open file: `__ptr_ring_init_queue_alloc` refuses more than `KMALLOC_MAX_SIZE`
/// bytes of pointers, 4 MiB on x86-64.
pub(super) const MAX_RING_SIZE: u32 = 1 << 19;

/// The least MTU of IPv6 (RFC 8200). The kernel switches IPv6 off on an interface with less.
const IPV6_MIN_MTU: u32 = 1280;

/// The bounds of the driver for an MTU; the upper one includes the link-layer header.
const MIN_MTU: u32 = 68;
const MAX_MTU: u32 = 65_535;
/// The Ethernet header of a tap, for which `MAX_MTU` must leave room.
const ETH_HLEN: u32 = 14;

/// The queue length of a new tun (`tun_setup`).
const TUN_READQ_SIZE: u32 = 500;
/// The queue length of a new tap, which `ether_setup` sets as for any Ethernet device.
const DEFAULT_TX_QUEUE_LEN: u32 = 1000;

/// The bytes of an alias, including its NUL.
const IFALIASZ: usize = 256;

/// The properties of an interface that netlink reports and changes one by one.
#[derive(Debug)]
pub(super) struct LinkProperties {
    pub(super) mtu: Mtu,
    /// `None` for a tun, which has no link layer.
    mac: Option<MacAddress>,
    pub(super) queue_length: u32,
    /// The alias; empty if there is none.
    description: CString,
}

impl LinkProperties {
    /// The properties of a new interface (`tun_net_initialize`).
    pub(super) fn new(layer: Layer, id: InterfaceId) -> Self {
        let (mac, queue_length) = match layer {
            Layer::Tun => (None, TUN_READQ_SIZE),
            Layer::Tap => (Some(first_mac(id)), DEFAULT_TX_QUEUE_LEN),
        };
        Self { mtu: Mtu::from_kernel(1500), mac, queue_length, description: CString::default() }
    }

    /// Writes them into the report about the interface (`rtnl_fill_ifinfo`).
    pub(super) fn fill(&self, info: &mut InterfaceInfo) {
        info.mtu = self.mtu;
        info.mac = self.mac;
        info.queue_length = Some(self.queue_length);
    }
}

/// The MAC address of a new tap. Linux draws a random one (`eth_hw_addr_random`). This one counts, so that
/// each run of a test sees the same; like Linux's, it is locally administered.
fn first_mac(id: InterfaceId) -> MacAddress {
    let [.., a, b, c, d] = id.0.to_be_bytes();
    MacAddress::from_kernel([0x02, 0x74, a, b, c, d])
}

impl NetDevice {
    /// Sets the MAC address of a tap, also while it is up (`IFF_LIVE_ADDR_CHANGE`), and also to an address
    /// that another interface has. A tun has none (`dev_set_mac_address` finds no operation for it). No
    /// interface can have a group's address or the one of zeros (`eth_prepare_mac_addr_change`, Linux 6.18).
    fn set_mac(&mut self, mac: MacAddress) -> Result {
        if self.layer == Layer::Tun {
            let refused = Errno::EOPNOTSUPP.reason(Cause::LayerMismatch);
            return Err(refused.with_detail("a tun has no MAC address"));
        }
        if MacAddress::new(mac.octets()).is_err() {
            return Err(Errno::EADDRNOTAVAIL.reason(Cause::InvalidMac));
        }
        self.link.mac = Some(mac);
        Ok(())
    }

    pub(crate) fn description(&self) -> CString {
        self.link.description.clone()
    }
}

impl Kernel {
    /// Checks the permission for a change. `rtnetlink_rcv_msg` does so before it looks at the request, so
    /// without permission an interface that does not exist is reported as `EPERM`.
    ///
    /// The opener of a socket need not have it: `__netlink_ns_capable` asks for that only where a request
    /// names no destination (Linux 6.18), and those of the backend do.
    pub(super) fn may_configure(&self) -> Result {
        if self.caller.is_capable() { Ok(()) } else { Err(incapable()) }
    }

    pub(crate) fn change_state(&mut self, key: LinkKey, state: State) -> Result {
        self.may_configure()?;
        let id = self.at(key)?.id;
        self.set_state(id, state);
        Ok(())
    }

    /// Brings the interface up or down. Going down removes the IPv6 addresses (`addrconf_ifdown`); IPv4
    /// addresses and the packets in the queues stay.
    pub(crate) fn set_state(&mut self, id: InterfaceId, state: State) {
        let Some(device) = self.device_mut(id) else { return };
        if device.state == state {
            return;
        }
        device.state = state;
        let files = device.files();
        self.report_link(id);
        if state == State::Down {
            self.clear_ipv6(id);
        }
        self.events.push_back(Event::StateChanged);
        self.events.extend(files.into_iter().map(Event::PollChanged));
    }

    /// Sets the length of each queue. Open queues are resized at once (`tun_queue_resize`). If that fails for
    /// lack of memory, the errno is `EPERM` and not `ENOMEM`: the resizing happens in a notifier
    /// (`tun_device_event`), which can only report that it objects (`NOTIFY_BAD`).
    pub(crate) fn change_queue_length(&mut self, key: LinkKey, packets: u32) -> Result {
        self.may_configure()?;
        if packets > self.profile.longest_queue() {
            return Err(Errno::ERANGE.reason(Cause::InvalidValue));
        }
        let device = self.at_mut(key)?;
        let files = device.files();
        if device.link.queue_length == packets {
            return Ok(());
        }
        if packets > MAX_RING_SIZE && !files.is_empty() {
            let detail = "the kernel has no memory for open queues of that length";
            return Err(Errno::EPERM.reason(Cause::InvalidValue).with_detail(detail));
        }
        device.link.queue_length = packets;
        let id = device.id;
        self.report_link(id);
        for file in files {
            if let Some(open) = self.file_mut(file) {
                open.queue.resize(usize::try_from(packets).unwrap_or(usize::MAX));
            }
            self.events.push_back(Event::PollChanged(file));
        }
        Ok(())
    }

    /// Sets the MTU, within the bounds that `tun_net_initialize` sets: from `MIN_MTU` to `MAX_MTU` less the
    /// link-layer header, so on a tap to 65,521. An MTU too small for IPv6 removes the IPv6 addresses
    /// (`addrconf_notify`).
    pub(crate) fn change_mtu(&mut self, key: LinkKey, mtu: Mtu) -> Result {
        self.may_configure()?;
        let device = self.at_mut(key)?;
        let most = match device.layer {
            Layer::Tun => MAX_MTU,
            Layer::Tap => MAX_MTU - ETH_HLEN,
        };
        if !(MIN_MTU..=most).contains(&mtu.get()) {
            return Err(Errno::EINVAL
                .reason(Cause::InvalidMtu)
                .with_remedy("A tun takes 68 to 65535 bytes, a tap at most 65521."));
        }
        if device.link.mtu == mtu {
            return Ok(());
        }
        device.link.mtu = mtu;
        let id = device.id;
        self.report_link(id);
        if mtu.get() < IPV6_MIN_MTU {
            self.clear_ipv6(id);
        }
        Ok(())
    }

    pub(crate) fn change_mac(&mut self, key: LinkKey, mac: MacAddress) -> Result {
        self.may_configure()?;
        let device = self.at_mut(key)?;
        device.set_mac(mac)?;
        let id = device.id;
        self.report_link(id);
        Ok(())
    }

    /// Sets the MAC address by an attached descriptor, which takes no capability (`__tun_chr_ioctl`).
    pub(crate) fn set_mac(&mut self, file: FileId, mac: MacAddress) -> Result {
        let id = self.interface_of(file).ok_or(DETACHED)?;
        self.device_mut(id).ok_or(DETACHED)?.set_mac(mac)?;
        self.report_link(id);
        Ok(())
    }

    pub(crate) fn change_carrier(&mut self, key: LinkKey, on: bool) -> Result {
        self.may_configure()?;
        let id = self.at(key)?.id;
        self.set_carrier(id, on)
    }

    /// Switches the carrier by an attached descriptor (`TUNSETCARRIER`), which takes no capability.
    pub(crate) fn set_carrier_of(&mut self, file: FileId, on: bool) -> Result {
        let id = self.attached_mut(file)?.id;
        self.set_carrier(id, on)
    }

    /// Switches the carrier (`tun_net_change_carrier`): on only if a queue is in service.
    pub(crate) fn set_carrier(&mut self, id: InterfaceId, on: bool) -> Result {
        let device = self.device(id).ok_or(NO_DEVICE)?;
        if on && device.attached.is_empty() {
            return Err(Errno::EPERM.reason(Cause::NoQueue));
        }
        self.switch_carrier(id, on);
        Ok(())
    }

    /// Sets the alias (`dev_set_alias`). The attribute's policy (`ifla_policy`) bounds its length.
    pub(crate) fn change_description(&mut self, key: LinkKey, text: &CStr) -> Result {
        self.may_configure()?;
        if text.count_bytes() >= IFALIASZ {
            return Err(Errno::ERANGE.reason(Cause::InvalidValue));
        }
        self.at_mut(key)?.link.description = text.to_owned();
        Ok(())
    }

    pub(crate) fn delete_link(&mut self, key: LinkKey) -> Result {
        self.may_configure()?;
        let id = self.at(key)?.id;
        self.unregister(id);
        Ok(())
    }

    pub(crate) fn change_name(&mut self, key: LinkKey, to: InterfaceName) -> Result {
        self.may_configure()?;
        self.rename(key, to)
    }

    /// Renames the interface (`dev_change_name`), once the permission is checked. Before Linux 6.2, an
    /// interface that is up refused.
    pub(crate) fn rename(&mut self, key: LinkKey, to: InterfaceName) -> Result {
        let live = self.profile.rename_while_up();
        let device = self.at(key)?;
        if device.state == State::Up && !live {
            return Err(Errno::EBUSY.reason(Cause::Busy).with_detail("the interface is up"));
        }
        if device.name == to {
            return Ok(());
        }
        // The kernel expands a pattern here too.
        let to = self.choose_name(key.namespace, Some(to.as_bytes()), device.layer)?;
        // On a rename, only IPv6 reports that it cannot name a directory of settings so (`addrconf_notify`).
        // With an MTU too small for IPv6, there is no such directory.
        if device.link.mtu.get() >= IPV6_MIN_MTU {
            check_reserved(&to)?;
        }
        if self.is_taken(key.namespace, &to) {
            return Err(Errno::EEXIST.reason(Cause::Exists));
        }
        let device = self.at_mut(key)?;
        device.name = to;
        let id = device.id;
        self.events.push_back(Event::Named { interface: id, namespace: key.namespace, name: to });
        self.report_link(id);
        Ok(())
    }

    /// Asks for the right over both namespaces (`rtnetlink_rcv_msg`, `rtnl_link_get_net_capable`), which the
    /// caller has over all or none.
    pub(crate) fn change_namespace(&mut self, key: LinkKey, namespace: NamespaceId) -> Result {
        self.may_configure()?;
        self.move_to(key, namespace)
    }

    /// Moves the interface to another namespace (`dev_change_net_namespace`). It goes down and loses its
    /// addresses. It keeps its name, which must be free there, and its index if that is free, or else gets a
    /// new one.
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
        self.leave(id, true);
        let device = self.device_mut(id).ok_or(NO_DEVICE)?;
        device.namespace = namespace;
        device.index = index;
        self.events.push_back(Event::Named { interface: id, namespace, name });
        self.report_link(id);
        Ok(())
    }

    /// Whether the system uses IPv6 on an interface.
    pub(crate) fn has_ipv6(&self, device: &NetDevice) -> bool {
        self.ipv6_is_on(device.namespace, device.link.mtu).is_ok()
    }

    /// Checks that an interface may have IPv6 addresses (`addrconf_add_dev`).
    pub(super) fn ipv6_is_on(&self, namespace: NamespaceId, mtu: Mtu) -> Result {
        if mtu.get() < IPV6_MIN_MTU {
            let remedy = "IPv6 is off on an interface whose MTU is less than 1280 bytes.";
            return Err(Errno::EINVAL.reason(Cause::InvalidAddress).with_remedy(remedy));
        }
        if !self.namespaces[namespace.0].ipv6 {
            return Err(Errno::EACCES
                .reason(Cause::NoIpv6)
                .with_remedy("Switch it on (in a test: MockBackend::set_ipv6)."));
        }
        Ok(())
    }
}
