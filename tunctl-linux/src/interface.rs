//! The interface: configured by netlink, by index, in the namespace where it was found.

use std::ffi::{CStr, CString};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use netlink_packet_core::DefaultNla;
use netlink_packet_route::link::LinkAttribute;
use nix::errno::Errno;
use tunctl_core::{
    Cause, Error, Holder, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Layer,
    MacAddress, Mtu, Operation, Result, State,
};
use tunctl_sys::linux::netlink::{STATS64_TX_DROPPED, ifla};

use crate::diagnose::{self, errno};
use crate::holders;
use crate::netlink::{DuplicateDetection, Link, Netlink, name_attribute};
use crate::remedy::{self, CallerContext};

/// The last pause before a new address is left to itself; all pauses together are twice as long at most.
const SETTLED: Duration = Duration::from_millis(500);

/// A TUN/TAP interface of Linux: a handle by index, in the namespace where it was found.
///
/// The kernel gives the index of an interface that was deleted or moved away to another at some time. Then
/// the handle means that one, if it is a TUN/TAP interface: so do not keep a handle for longer than you know
/// the interface to be there. A [`LinuxDevice`](crate::LinuxDevice) knows, and answers `Gone`.
#[derive(Clone, Debug)]
pub struct LinuxInterface {
    netlink: Arc<Netlink>,
    index: InterfaceIndex,
    layer: Layer,
    /// As it was when it was found, for errors.
    name: InterfaceName,
}

impl LinuxInterface {
    pub(crate) fn new(netlink: Arc<Netlink>, found: &InterfaceInfo) -> Self {
        Self { netlink, index: found.index, layer: found.layer, name: found.name }
    }

    /// The processes that have the interface open, as far as the caller may look: without privilege, into its
    /// own.
    ///
    /// # Errors
    ///
    /// `Gone`.
    ///
    /// # Platform
    ///
    /// Linux only: from `/proc/PID/fdinfo`. A process that opened the device and then left for another
    /// network namespace is not found.
    pub fn holders(&self) -> Result<Vec<Holder>> {
        let attached = holders::attached(&self.info()?.name, self.netlink.namespace());
        Ok(holders::processes(&attached))
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
    fn settle(&self, address: Ipv6Addr) {
        let mut pause = Duration::from_micros(50);
        while pause < SETTLED && !self.netlink.is_local(address).unwrap_or(true) {
            thread::sleep(pause);
            pause *= 2;
        }
    }

    fn has(&self, address: InterfaceAddress, operation: Operation) -> Result<bool> {
        let present = self.addresses().map_err(|error| error.with_operation(operation))?;
        Ok(present.iter().any(|present| present.same_as(&address)))
    }

    /// An index may have been given to another kind of interface since: that one is not ours to change for
    /// good.
    fn check_is_ours(&self, operation: Operation) -> Result<()> {
        let info = self.info();
        info.map(drop).map_err(|error| match error.cause() {
            Cause::Gone => self.named(remedy::gone().of(operation)),
            _ => error,
        })
    }

    fn attribute(&self, operation: Operation, kind: u16) -> Result<Vec<u8>> {
        let found = self.netlink.link_attribute(self.index, kind);
        let found = found.map_err(|error| self.fail(operation, &error))?;
        found.ok_or_else(|| self.named(remedy::gone().of(operation)))
    }

    fn change(&self, operation: Operation, property: LinkAttribute) -> Result<()> {
        self.netlink.change_link(self.index, property).map_err(|error| self.fail(operation, &error))
    }

    fn fail(&self, operation: Operation, error: &io::Error) -> Error {
        if error.raw_os_error().is_none() {
            return self.named(diagnose::reason(error).of(operation));
        }
        let errno = errno(error);
        let opened_without = !self.netlink.opener_was_capable();
        let context = CallerContext { opened_without, ..diagnose::caller() };
        let reason = remedy::configure(errno, operation, &context);
        self.named(reason.with_errno(errno as i32).of(operation))
    }

    fn named(&self, error: Error) -> Error {
        error.with_name(self.name)
    }
}

impl Interface for LinuxInterface {
    fn index(&self) -> InterfaceIndex {
        self.index
    }

    fn info(&self) -> Result<InterfaceInfo> {
        let answer =
            self.netlink.link_by_index(self.index).map_err(|error| self.fail(Operation::Inspect, &error))?;
        match answer {
            Some(Link::Tun(info)) => Ok(info),
            // Another interface may have been given the index since.
            Some(Link::Other(_)) | None => Err(self.named(remedy::gone().of(Operation::Inspect))),
        }
    }

    fn dropped(&self) -> Result<u64> {
        let counters = self.attribute(Operation::Inspect, ifla::STATS64)?;
        let dropped = counters.as_chunks().0.get(STATS64_TX_DROPPED).copied();
        dropped.map(u64::from_ne_bytes).ok_or_else(|| Error::new(Operation::Inspect, Cause::Unsupported))
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        let listed = self.netlink.addresses(self.index);
        let addresses = listed.map_err(|error| self.fail(Operation::ListAddresses, &error))?;
        if addresses.is_empty() {
            // An interface without addresses looks like one that does not exist.
            self.info().map_err(|error| error.with_operation(Operation::ListAddresses))?;
        }
        Ok(addresses)
    }

    /// On a tun, which has no neighbours to ask, an IPv6 address is in service when this returns. On a tap,
    /// Linux first asks on the link whether another has it, and for about a second a socket cannot be bound
    /// to it.
    fn add_address(&self, address: InterfaceAddress) -> Result<bool> {
        if self.has(address, Operation::AddAddress)? {
            return Ok(false);
        }
        // Linux would not ask on a tun either, but would find that out only later.
        let detection = match self.layer {
            Layer::Tun => DuplicateDetection::Off,
            Layer::Tap => DuplicateDetection::On,
        };
        match self.netlink.add_address(self.index, address, detection) {
            Ok(()) => {
                if let (IpAddr::V6(address), DuplicateDetection::Off) = (address.address(), detection) {
                    self.settle(address);
                }
                Ok(true)
            }
            // Another was faster, or it is there in another form.
            Err(error) if errno(&error) == Errno::EEXIST => {
                if self.has(address, Operation::AddAddress)? {
                    Ok(false)
                } else {
                    Err(self.fail(Operation::AddAddress, &error))
                }
            }
            Err(error) => {
                // If it was the kernel's answer that got lost, the address is there.
                let _ = self.netlink.remove_address(self.index, address);
                Err(self.fail(Operation::AddAddress, &error))
            }
        }
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
        self.netlink.set_state(self.index, state).map_err(|error| self.fail(operation, &error))
    }

    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        self.change(Operation::SetMtu, LinkAttribute::Mtu(mtu.get()))
    }

    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        self.change(Operation::SetMac, LinkAttribute::Address(mac.octets().to_vec()))
    }

    fn set_queue_length(&self, packets: u32) -> Result<()> {
        self.change(Operation::SetQueueLength, LinkAttribute::TxQueueLen(packets))
    }

    fn description(&self) -> Result<CString> {
        let text = self.attribute(Operation::Describe, ifla::IFALIAS)?;
        // It ends at its NUL, or at the attribute's end.
        Ok(CString::new(text.split(|&byte| byte == 0).next().unwrap_or_default()).unwrap_or_default())
    }

    fn set_description(&self, description: &CStr) -> Result<()> {
        let text = DefaultNla::new(ifla::IFALIAS, description.to_bytes().to_vec());
        self.change(Operation::Describe, LinkAttribute::Other(text))
    }

    fn rename(&self, name: &InterfaceName) -> Result<()> {
        self.check_is_ours(Operation::Rename)?;
        self.change(Operation::Rename, name_attribute(name))
    }

    fn delete(&self) -> Result<()> {
        self.check_is_ours(Operation::Delete)?;
        self.netlink.delete_link(self.index).map_err(|error| self.fail(Operation::Delete, &error))
    }
}
