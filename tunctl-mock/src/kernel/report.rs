//! What netlink reports unasked, to those who listen: in which order, and what it leaves out.

use tunctl_core::{InterfaceAddress, Notification, State};

use super::{Event, InterfaceId, Kernel, NamespaceId, NetDevice};

impl NetDevice {
    /// What netlink reports about it.
    pub(crate) fn notification(&self) -> Notification {
        Notification::Link(self.info())
    }
}

impl Kernel {
    /// Reports an interface as it is (`rtmsg_ifinfo`).
    pub(super) fn report_link(&mut self, id: InterfaceId) {
        let Some(device) = self.device(id) else { return };
        let (namespace, notification) = (device.namespace, device.notification());
        self.report(namespace, notification);
    }

    /// Reports an address that an interface has, or has not any more (`rtmsg_ifa`, `inet6_ifa_notify`).
    pub(super) fn report_address(&mut self, id: InterfaceId, address: InterfaceAddress, is_there: bool) {
        let Some(device) = self.device(id) else { return };
        let (namespace, index) = (device.namespace, device.index);
        self.report(
            namespace,
            match is_there {
                true => Notification::Address { index, address },
                false => Notification::NoAddress { index, address },
            },
        );
    }

    /// Switches the carrier (`netif_carrier_on`, `netif_carrier_off`). The change of an interface that is up
    /// is reported, in the background and soon (`linkwatch_do_dev`); of one that is down, it is not: the next
    /// report of something else shows it.
    pub(super) fn switch_carrier(&mut self, id: InterfaceId, carrier: bool) {
        let Some(device) = self.device_mut(id).filter(|device| device.carrier != carrier) else { return };
        device.carrier = carrier;
        if device.state == State::Up {
            self.report_link(id);
        }
    }

    /// Removes all IPv6 addresses (`addrconf_ifdown`).
    pub(super) fn clear_ipv6(&mut self, id: InterfaceId) {
        let Some(device) = self.device_mut(id) else { return };
        for address in std::mem::take(&mut device.ipv6) {
            self.report_address(id, address, false);
        }
    }

    /// Takes an interface out of its namespace, because it is deleted or moved: it goes down, loses its
    /// addresses, and is reported as gone (`unregister_netdevice_many`, `dev_change_net_namespace`). IPv4
    /// hears of it before IPv6 (`inetdev_event`, `addrconf_notify`); but with going down, IPv6 addresses have
    /// gone before.
    pub(super) fn leave(&mut self, id: InterfaceId, moved: bool) {
        self.set_state(id, State::Down);
        let Some(device) = self.device_mut(id) else { return };
        let (namespace, index) = (device.namespace, device.index);
        for address in std::mem::take(&mut device.ipv4) {
            self.report_address(id, address, false);
        }
        self.clear_ipv6(id);
        self.report(namespace, Notification::Gone { index, moved });
    }

    fn report(&mut self, namespace: NamespaceId, notification: Notification) {
        self.events.push_back(Event::Reported { namespace, notification });
    }
}
