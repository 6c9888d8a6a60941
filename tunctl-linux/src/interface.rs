//! The interface: configured by netlink, by index, in the namespace where it was found.

mod moving;

use std::ffi::{CStr, CString};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::LinkAttribute;
use nix::errno::Errno;
use tunctl_core::{
    Cause, Changes, Error, Holders, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo,
    InterfaceName, Layer, MacAddress, Mtu, Operation, Reason, Result, State, Statistics,
};
use tunctl_sys::linux::netlink::ifla;
use tunctl_sys::linux::tun::{self, TunFile};

use crate::LinuxSnapshot;
use crate::attach::attached_name;
use crate::diagnose;
use crate::errno;
use crate::holders;
use crate::netlink::{Answer, DuplicateDetection, Link, Netlink, name_attribute};
use crate::remedy;

/// How often the name of an interface is asked for again because it has changed in between.
const ATTEMPTS: usize = 8;

/// The last pause before a new address is left to itself; all pauses together are twice as long at most.
const SETTLED: Duration = Duration::from_millis(500);

/// A TUN/TAP interface of Linux: a handle by index, in the namespace where it was found.
///
/// The kernel may give the index of an interface that was deleted or moved away to another one. A handle from
/// an open device recognises that, and answers `Gone`; so does any handle if the other interface belongs to
/// another driver, or has the other layer. But a handle without an open device takes another TUN/TAP
/// interface of the same layer for its own: keep one only as long as you know the interface to be there.
#[derive(Clone, Debug)]
pub struct LinuxInterface {
    netlink: Arc<Netlink>,
    index: InterfaceIndex,
    layer: Layer,
    /// As it was when it was found, for errors.
    name: InterfaceName,
    /// The descriptor of the device that lent this handle, as long as it is open.
    descriptor: Weak<TunFile>,
    /// Why it is not known which interface it is. The socket and the index are then none.
    unknown: Option<Arc<Reason>>,
    /// It was just seen to be the same interface, and a change need not ask again. Never so if it is unknown.
    is_checked: bool,
}

impl LinuxInterface {
    pub(crate) fn new(netlink: Arc<Netlink>, found: &InterfaceInfo) -> Self {
        let descriptor = Weak::new();
        let InterfaceInfo { index, layer, name, .. } = *found;
        Self { netlink, index, layer, name, descriptor, unknown: None, is_checked: false }
    }

    /// The interface of an adopted device, which cannot be reached for this reason.
    pub(crate) fn unknown(name: InterfaceName, layer: Layer, reason: Reason) -> Self {
        let (netlink, index) = (Arc::new(Netlink::none()), InterfaceIndex::UNKNOWN);
        let (descriptor, unknown) = (Weak::new(), Some(Arc::new(reason)));
        Self { netlink, index, layer, name, descriptor, unknown, is_checked: false }
    }

    pub(crate) const fn is_unknown(&self) -> bool {
        self.unknown.is_some()
    }

    /// The same interface, as the one that this descriptor is attached to.
    pub(crate) fn of_device(self, descriptor: &Arc<TunFile>) -> Self {
        Self { descriptor: Arc::downgrade(descriptor), ..self }
    }

    /// The processes that have the interface open, as far as the caller may look: without privilege, into its
    /// own. The kernel counts the open queues, so that it is known whether there are others.
    ///
    /// # Errors
    ///
    /// `Gone`.
    ///
    /// # Platform
    ///
    /// Linux only: from `/proc/PID/fdinfo`, which does not tell the namespace. So another process that is in
    /// another network namespace than the interface is not seen, and is one of the others.
    pub fn holders(&self) -> Result<Holders> {
        let info = self.info()?;
        Ok(holders::of(&info.name, self.netlink.namespace()).of(info.queues))
    }

    /// Everything that the kernel reports about it, in two questions: what `ip -d -s link` and `ip address`
    /// show.
    ///
    /// ```no_run
    /// # use tunctl_core::{Interface, Result, TunBackend};
    /// # use tunctl_linux::LinuxBackend;
    /// # fn main() -> Result<()> {
    /// let vpn = LinuxBackend::new().interface(&"vpn0".parse()?)?.snapshot()?;
    /// let sent = vpn.statistics.from_program.packets;
    /// println!("{} is {}, {sent} packets sent", vpn.info.name, vpn.operational_state);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "RTM_GETLINK")]
    pub fn snapshot(&self) -> Result<LinuxSnapshot> {
        const OPERATION: Operation = Operation::Inspect;
        let (info, answer) = self.report(OPERATION)?;
        let failed = |error| self.fail(OPERATION, &error);
        let addresses = self.netlink.addresses(self.index).map_err(failed)?;
        let master = answer.master().map(|index| self.netlink.name_of(index)).transpose().map_err(failed)?;
        Ok(LinuxSnapshot::new(info, &answer, addresses, master.flatten()))
    }

    pub(crate) fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    pub(crate) const fn last_name(&self) -> InterfaceName {
        self.name
    }

    /// Waits until the kernel takes packets to a new IPv6 address, which it arranges in the background, most
    /// often within a millisecond: those that come earlier are dropped, and the first answer to a program
    /// that has just set up its interface would be among them.
    pub(crate) fn settle(&self, address: InterfaceAddress, detection: DuplicateDetection) {
        let (IpAddr::V6(address), DuplicateDetection::Off) = (address.address(), detection) else { return };
        let mut pause = Duration::from_micros(50);
        while pause < SETTLED && !self.netlink.is_local(address).unwrap_or(true) {
            thread::sleep(pause);
            pause *= 2;
        }
    }

    /// Linux would not ask on a tun either, but would find that out only later.
    const fn detection(&self) -> DuplicateDetection {
        match self.layer {
            Layer::Tun => DuplicateDetection::Off,
            Layer::Tap => DuplicateDetection::On,
        }
    }

    fn has(&self, address: InterfaceAddress, operation: Operation) -> Result<bool> {
        let present = self.addresses().map_err(|error| error.with_operation(operation))?;
        Ok(present.iter().any(|present| present.same_as(&address)))
    }

    /// Adds it first, and looks only at a refusal whether it is held: it then succeeds, without any right.
    fn add_with(&self, address: InterfaceAddress, detection: DuplicateDetection) -> Result<bool> {
        self.check(Operation::AddAddress)?;
        match self.netlink.add_address(self.index, address, detection) {
            Ok(()) => {
                self.settle(address, detection);
                Ok(true)
            }
            // It is there already; or it is there in another form, or another was faster.
            Err(error) => match self.netlink.has_address(self.index, address) {
                Ok(true) => Ok(false),
                _ => Err(self.fail(Operation::AddAddress, &error)),
            },
        }
    }

    /// Asks whether it is still the same interface, unless that was just asked.
    fn check(&self, operation: Operation) -> Result<()> {
        if self.is_checked { Ok(()) } else { self.ours(operation).map(drop) }
    }

    /// What the kernel reports of the interface, if it is still the same one. Every operation asks this
    /// first, because the index of an interface that was deleted or moved away may be another's by now.
    ///
    /// A descriptor knows which interface it is attached to, by its present name. Without one, another
    /// TUN/TAP interface of the same layer cannot be told from this one.
    fn ours(&self, operation: Operation) -> Result<InterfaceInfo> {
        Ok(self.report(operation)?.0)
    }

    /// The same, with all else that the kernel reports of it.
    pub(crate) fn report(&self, operation: Operation) -> Result<(InterfaceInfo, Answer)> {
        if let Some(reason) = &self.unknown {
            return Err(self.named(Reason::clone(reason).of(operation)));
        }
        let descriptor = if self.is_checked { None } else { self.descriptor.upgrade() };
        let attached = || match &descriptor {
            Some(descriptor) => {
                attached_name(descriptor).map(Some).map_err(|error| self.fail(operation, &error))
            }
            None => Ok(None),
        };
        for _ in 0..ATTEMPTS {
            let name = attached()?;
            let found = self.netlink.report(self.index).map_err(|error| self.fail(operation, &error))?;
            match found {
                Some((Link::Tun(mut info), answer))
                    if info.layer == self.layer && name.is_none_or(|name| name == info.name) =>
                {
                    // The descriptor is attached: its queue is the one that nobody counts.
                    info.queues = info.queues.or(descriptor.as_ref().map(|_| 1));
                    return Ok((info, answer));
                }
                // It was renamed between the two questions.
                Some((Link::Tun(_), _)) if attached()? != name => {}
                Some(_) => break,
                None => return Err(self.fail(operation, &Errno::ENODEV.into())),
            }
        }
        Err(self.named(remedy::gone().of(operation)))
    }

    /// Changes a property, if the interface is still ours and the property is not so already: that takes no
    /// right.
    fn change(
        &self,
        operation: Operation,
        is_so: impl FnOnce(&InterfaceInfo) -> bool,
        change: impl FnOnce(&Netlink) -> io::Result<()>,
    ) -> Result<()> {
        // A handle that is checked belongs to a series of changes, of what is not so already.
        if !self.is_checked && is_so(&self.ours(operation)?) {
            return Ok(());
        }
        change(&self.netlink).map_err(|error| self.fail(operation, &error))
    }

    /// The same, for a property that is an attribute of the link.
    fn change_link(
        &self,
        operation: Operation,
        is_so: impl FnOnce(&InterfaceInfo) -> bool,
        property: LinkAttribute,
    ) -> Result<()> {
        self.change(operation, is_so, |netlink| netlink.change_link(self.index, property))
    }

    pub(crate) fn fail(&self, operation: Operation, error: &io::Error) -> Error {
        if error.raw_os_error().is_none() {
            return self.named(diagnose::reason(error).of(operation));
        }
        let errno = errno::of(error);
        let context = self.netlink.caller();
        let reason = match (errno, operation) {
            (Errno::EACCES, Operation::AddAddress) => remedy::ipv6_is_off(&self.name),
            // By a descriptor it takes no capability: the answer is the driver's (tun_net_change_carrier).
            (Errno::EPERM, Operation::SetCarrier) if self.descriptor.upgrade().is_some() => {
                Reason::new(Cause::NoQueue)
            }
            _ => remedy::configure(errno, operation, &context),
        };
        self.named(reason.with_errno(errno as i32).of(operation))
    }

    pub(crate) fn named(&self, error: Error) -> Error {
        error.with_name(self.name)
    }
}

impl Interface for LinuxInterface {
    fn index(&self) -> InterfaceIndex {
        self.index
    }

    fn unchecked(&self) -> Self {
        Self { is_checked: !self.is_unknown(), ..self.clone() }
    }

    fn change_together(&self, changes: &Changes) -> bool {
        let detection = if changes.without_dad { DuplicateDetection::Off } else { self.detection() };
        let are_made = self.check(Operation::Configure).is_ok()
            && self.netlink.change_together(self.index, changes, detection).is_ok();
        if are_made {
            changes.addresses.iter().for_each(|&address| self.settle(address, detection));
        }
        are_made
    }

    fn info(&self) -> Result<InterfaceInfo> {
        self.ours(Operation::Inspect)
    }

    fn statistics(&self) -> Result<Statistics> {
        Ok(self.report(Operation::ReadStatistics)?.1.statistics())
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        const OPERATION: Operation = Operation::ListAddresses;
        // An interface without addresses looks like one that does not exist.
        self.check(OPERATION)?;
        self.netlink.addresses(self.index).map_err(|error| self.fail(OPERATION, &error))
    }

    /// On a tun, which has no neighbours to ask, an IPv6 address is in service when this returns. On a tap,
    /// Linux first asks on the link whether another has it, and for about a second a socket cannot be bound
    /// to it.
    fn add_address(&self, address: InterfaceAddress) -> Result<bool> {
        self.add_with(address, self.detection())
    }

    fn add_address_without_dad(&self, address: InterfaceAddress) -> Result<bool> {
        self.add_with(address, DuplicateDetection::Off)
    }

    fn remove_address(&self, address: InterfaceAddress) -> Result<()> {
        // The kernel would take any peer of the same network for this one.
        let removed = if self.has(address, Operation::RemoveAddress)? {
            self.netlink.remove_address(self.index, address)
        } else {
            Err(Errno::EADDRNOTAVAIL.into())
        };
        removed.map_err(|error| self.fail(Operation::RemoveAddress, &error))
    }

    fn set_state(&self, state: State) -> Result<()> {
        let operation = match state {
            State::Up => Operation::Up,
            State::Down => Operation::Down,
        };
        self.change(operation, |info| info.state == state, |netlink| netlink.set_state(self.index, state))
    }

    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        self.change_link(Operation::SetMtu, |info| info.mtu == mtu, LinkAttribute::Mtu(mtu.get()))
    }

    /// # Platform
    ///
    /// On Linux, the interface of an open device takes no capability.
    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        self.change(
            Operation::SetMac,
            |info| info.mac == Some(mac),
            |netlink| match self.descriptor.upgrade() {
                Some(descriptor) => tun::set_mac(&*descriptor, mac.octets()),
                None => netlink.change_link(self.index, LinkAttribute::Address(mac.octets().to_vec())),
            },
        )
    }

    fn set_queue_length(&self, packets: u32) -> Result<()> {
        let is_so = |info: &InterfaceInfo| info.queue_length == Some(packets);
        self.change_link(Operation::SetQueueLength, is_so, LinkAttribute::TxQueueLen(packets))
    }

    /// # Platform
    ///
    /// On Linux, the interface of an open device takes no capability.
    fn set_carrier(&self, on: bool) -> Result<()> {
        self.change(
            Operation::SetCarrier,
            |info| info.carrier == Some(on),
            |netlink| {
                match self.descriptor.upgrade() {
                    Some(descriptor) => tun::set_carrier(&*descriptor, on)?,
                    None => netlink.change_link(self.index, LinkAttribute::Carrier(on.into()))?,
                }
                // The kernel stops or begins to send in the background, and catches up before it answers
                // (rtnl_getlink calls linkwatch_sync_dev, Linux 6.18).
                netlink.link_by_index(self.index).map(drop)
            },
        )
    }

    fn description(&self) -> Result<CString> {
        Ok(self.report(Operation::Describe)?.1.description())
    }

    fn set_description(&self, description: &CStr) -> Result<()> {
        let is_so = !self.is_checked && self.description()?.as_c_str() == description;
        let text = DefaultNla::new(ifla::IFALIAS, description.to_bytes().to_vec());
        self.change_link(Operation::Describe, |_| is_so, LinkAttribute::Other(text))
    }

    fn rename(&self, name: &InterfaceName) -> Result<()> {
        self.change_link(Operation::Rename, |info| info.name == *name, name_attribute(name))
    }

    fn delete(&self) -> Result<()> {
        self.change(Operation::Delete, |_| false, |netlink| netlink.delete_link(self.index))
    }
}
