//! The interface: found by its index, and configured by ioctls on sockets.

mod addresses;

use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::sync::Arc;

use tunctl_core::{
    Cause, Error, Interface, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName, Layer,
    MacAddress, Mtu, Operation, Reason, Result, State,
};
use tunctl_sys::bsd::text::Description;
use tunctl_sys::bsd::{Abi, Name, Request, iff};

pub(crate) use addresses::translated;

use crate::attach_plan::new_name;
use crate::errno;
use crate::identity::Identity;
use crate::remedy;
use crate::syscalls::{Family, ListedInterface, Syscalls};
use crate::system::{CreateMethod, Kind};
use crate::system_handle::SystemHandle;

/// A handle of a TUN/TAP interface of these systems.
///
/// An index is given again as soon as its interface is gone. So a handle also looks at the name or, on
/// FreeBSD, at the name and the time of creation, and answers `Gone` for another interface. NetBSD, OpenBSD
/// and macOS cannot tell a successor that has the same name, too. On DragonFly an interface that another
/// program has renamed counts as gone.
///
/// # Platform
///
/// Tuns with a peer are point-to-point, and macOS's tuns always are. On a point-to-point interface, an
/// address without a peer gets itself as its peer, and adds no route to its network. On macOS, what this
/// computer then sends to that address goes to the program (`in_ifinit` makes a host route to the peer).
pub struct BsdInterface<C> {
    system: Arc<SystemHandle<C>>,
    identity: Identity,
    kind: &'static Kind,
    /// The name when the handle was made, for errors.
    name: InterfaceName,
}

impl<C: Syscalls> BsdInterface<C> {
    /// Returns `None` if the listed name or index is invalid.
    pub(crate) fn new(
        system: Arc<SystemHandle<C>>,
        found: &ListedInterface,
        kind: &'static Kind,
    ) -> Option<Self> {
        let name = InterfaceName::from_kernel(found.name.as_bytes()).ok()?;
        Some(Self { system, identity: Identity::of(found)?, kind, name })
    }

    /// Returns the handle with a new name.
    pub(crate) fn with_name(&self, name: InterfaceName) -> Self {
        Self { name, ..self.clone() }
    }

    pub(crate) const fn kind(&self) -> &'static Kind {
        self.kind
    }

    pub(crate) const fn layer(&self) -> Layer {
        self.kind.layer
    }

    pub(crate) const fn last_name(&self) -> InterfaceName {
        self.name
    }

    pub(crate) const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns what the system lists of the interface now.
    pub(crate) fn found(&self, operation: Operation) -> Result<ListedInterface> {
        let found = self.system.find(|found| self.identity.is(self.system.rules, found));
        let found = found.map_err(|error| self.refused(operation, &error))?;
        found.ok_or_else(|| Error::new(operation, Cause::Gone).with_name(self.name))
    }

    pub(crate) const fn system(&self) -> &Arc<SystemHandle<C>> {
        &self.system
    }

    /// Returns what the system reports of the interface that it lists so, and its flags.
    pub(crate) fn info_of(
        &self,
        operation: Operation,
        found: &ListedInterface,
    ) -> Result<(InterfaceInfo, u32)> {
        let name = InterfaceName::from_kernel(found.name.as_bytes()).unwrap_or(self.name);
        let mtu = Mtu::from_kernel(self.mtu_of(operation, &found.name)?);
        let mut info = InterfaceInfo::new(name, self.identity.index(), self.layer(), mtu);
        info.flags |= tunctl_core::CreateFlags::NO_PI;
        info.mac = match self.layer() {
            Layer::Tun => None,
            Layer::Tap => found.mac.map(MacAddress::from_kernel),
        };
        let flags = self.flags(operation, &found.name)?;
        info.state = if flags & iff::UP == 0 { State::Down } else { State::Up };
        Ok((info, flags))
    }

    /// Fails with `Gone` if the interface no longer exists.
    pub(crate) fn is_there(&self, operation: Operation) -> Result<()> {
        self.found(operation).map(drop)
    }

    fn refused(&self, operation: Operation, error: &io::Error) -> Error {
        remedy::with_errno(remedy::configure(errno::of(error), operation), error)
            .of(operation)
            .with_name(self.name)
    }

    fn configure(
        &self,
        operation: Operation,
        family: Family,
        request: Request,
        mut argument: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let outcome = self.system.syscalls.configure(family, request, &mut argument);
        outcome.map_err(|error| self.refused(operation, &error))?;
        Ok(argument)
    }

    fn description_requests(&self) -> Result<Description> {
        let unsupported = || Error::new(Operation::Describe, Cause::Unsupported).with_name(self.name);
        self.system.rules.abi.description.ok_or_else(unsupported)
    }

    pub(crate) fn flags(&self, operation: Operation, name: &Name) -> Result<u32> {
        let abi = self.system.rules.abi;
        let answer = self.configure(operation, Family::V4, abi.requests.get_flags, abi.ifreq(name))?;
        // The buffer has the request's length, so the field is there.
        Ok(abi.flags(&answer).unwrap_or_default())
    }

    fn mtu_of(&self, operation: Operation, name: &Name) -> Result<u32> {
        let abi = self.system.rules.abi;
        let answer = self.configure(operation, Family::V4, abi.requests.get_mtu, abi.ifreq(name))?;
        // The buffer has the request's length, so the field is there.
        Ok(abi.mtu(&answer).unwrap_or_default())
    }

    /// Checks the caller's privilege before anything changes: setting the flags to their current value has no
    /// effect, but requires the same privilege as configuring and deleting.
    pub(crate) fn check_privilege(&self, operation: Operation, name: &Name, flags: u32) -> Result<()> {
        let abi = self.system.rules.abi;
        let same = abi.ifreq_flags(name, flags);
        self.configure(operation, Family::V4, abi.requests.set_flags, same).map(drop)
    }
}

/// The operations that only systems with a request for them have.
pub(crate) fn optional(abi: &Abi) -> Vec<Operation> {
    let operations = [abi.rename.map(|_| Operation::Rename), abi.description.map(|_| Operation::Describe)];
    operations.into_iter().flatten().collect()
}

impl<C: Syscalls> Interface for BsdInterface<C> {
    fn index(&self) -> InterfaceIndex {
        self.identity.index()
    }

    /// # Platform
    ///
    /// `persistent` is always false: these systems do not report it.
    fn info(&self) -> Result<InterfaceInfo> {
        let found = self.found(Operation::Inspect)?;
        self.info_of(Operation::Inspect, &found).map(|(info, _)| info)
    }

    /// # Platform
    ///
    /// FreeBSD and OpenBSD count the packets that the interface's full queue dropped, but not those sent
    /// while no device has it open. `Unsupported` on the other systems.
    fn dropped(&self) -> Result<u64> {
        const OPERATION: Operation = Operation::Inspect;
        let found = self.found(OPERATION)?;
        let dropped =
            self.system.syscalls.dropped(&found.name).map_err(|error| self.refused(OPERATION, &error))?;
        dropped.ok_or_else(|| {
            let reason = Reason::new(Cause::Unsupported);
            let reason = reason.with_detail("this system does not count what an interface has dropped");
            reason.of(OPERATION).with_name(self.name)
        })
    }

    fn addresses(&self) -> Result<Vec<InterfaceAddress>> {
        Ok(self.found(Operation::ListAddresses)?.addresses.iter().map(translated).collect())
    }

    fn add_address(&self, address: InterfaceAddress) -> Result<bool> {
        self.add_if_missing(address)
    }

    fn remove_address(&self, address: InterfaceAddress) -> Result<()> {
        self.remove_listed(address)
    }

    fn set_state(&self, state: State) -> Result<()> {
        let operation = match state {
            State::Up => Operation::Up,
            State::Down => Operation::Down,
        };
        let abi = self.system.rules.abi;
        let found = self.found(operation)?;
        let before = self.flags(operation, &found.name)?;
        let after = match state {
            State::Up => before | iff::UP,
            State::Down => before & !iff::UP,
        };
        if after == before {
            return Ok(());
        }
        self.configure(operation, Family::V4, abi.requests.set_flags, abi.ifreq_flags(&found.name, after))
            .map(drop)
    }

    fn set_mtu(&self, mtu: Mtu) -> Result<()> {
        const OPERATION: Operation = Operation::SetMtu;
        let abi = self.system.rules.abi;
        let found = self.found(OPERATION)?;
        let set = |name: &Name, mtu: u32| {
            if self.mtu_of(OPERATION, name)? == mtu {
                return Ok(());
            }
            self.configure(OPERATION, Family::V4, abi.requests.set_mtu, abi.ifreq_mtu(name, mtu)).map(drop)
        };
        let Some(far) = self.system.rules.far_end(&found.name) else { return set(&found.name, mtu.get()) };
        // The far end sends nothing longer than its own MTU, so both ends get the same.
        let before = match self.mtu_of(OPERATION, &far) {
            // A `feth` that another program created may have no far end.
            Err(error) if error.is_gone() => return set(&found.name, mtu.get()),
            before => before?,
        };
        set(&far, mtu.get())?;
        set(&found.name, mtu.get()).inspect_err(|_| {
            // Report the first error.
            let _ = set(&far, before);
        })
    }

    /// # Platform
    ///
    /// A frame that the program sends must have the interface's MAC address or a multicast address as its
    /// destination: FreeBSD's tap drops others unless the interface is promiscuous.
    fn set_mac(&self, mac: MacAddress) -> Result<()> {
        const OPERATION: Operation = Operation::SetMac;
        let abi = self.system.rules.abi;
        let unsupported = || Error::new(OPERATION, Cause::Unsupported).with_name(self.name);
        let found = self.found(OPERATION)?;
        if self.layer() == Layer::Tun {
            let reason = Reason::new(Cause::LayerMismatch).with_detail("a tun has no MAC address");
            return Err(reason.with_remedy("Create a tap.").of(OPERATION).with_name(self.name));
        }
        // Such an address can come from a kernel's report. The systems differ in whether they refuse it.
        if MacAddress::new(mac.octets()).is_err() {
            return Err(Error::new(OPERATION, Cause::InvalidMac).with_name(self.name));
        }
        if found.mac == Some(mac.octets()) {
            return Ok(());
        }
        if let Some(request) = abi.requests.set_mac {
            let argument = abi.ifreq_mac(&found.name, mac.octets());
            return self.configure(OPERATION, Family::V4, request, argument).map(drop);
        }
        let request = abi.requests.set_link_address.ok_or_else(unsupported)?;
        let argument = tunctl_sys::bsd::netbsd::link_address(&found.name, mac.octets());
        self.configure(OPERATION, Family::Link, request, argument.to_vec()).map(drop)
    }

    /// # Platform
    ///
    /// FreeBSD and DragonFly only; `Unsupported` elsewhere.
    fn rename(&self, name: &InterfaceName) -> Result<()> {
        const OPERATION: Operation = Operation::Rename;
        let Some(request) = self.system.rules.abi.rename else {
            return Err(Error::new(OPERATION, Cause::Unsupported).with_name(self.name));
        };
        let found = self.found(OPERATION)?;
        let refused = || Error::new(OPERATION, Cause::InvalidName).with_name(self.name);
        let new = new_name(name).ok_or_else(refused)?;
        if found.name == new {
            return Ok(());
        }
        let renamed = self.system.syscalls.set_text(request, &found.name, new.as_c_str());
        renamed.map_err(|error| self.refused(OPERATION, &error))?;
        self.identity.renamed(new);
        Ok(())
    }

    fn description(&self) -> Result<CString> {
        const OPERATION: Operation = Operation::Describe;
        let requests = self.description_requests()?;
        let found = self.found(OPERATION)?;
        match self.system.syscalls.text(requests.get, &found.name) {
            Ok(text) => Ok(CString::new(text).unwrap_or_default()),
            Err(error) if requests.errno_of_none == Some(errno::of(&error)) => Ok(CString::default()),
            Err(error) => Err(self.refused(OPERATION, &error)),
        }
    }

    fn set_description(&self, description: &CStr) -> Result<()> {
        const OPERATION: Operation = Operation::Describe;
        if self.description()?.as_c_str() == description {
            return Ok(());
        }
        let (requests, found) = (self.description_requests()?, self.found(OPERATION)?);
        let done = self.system.syscalls.set_text(requests.set, &found.name, description);
        done.map_err(|error| self.refused(OPERATION, &error))
    }

    /// # Platform
    ///
    /// `Busy` while a program has the interface open. FreeBSD's SIOCIFDESTROY would wait for that program, so
    /// this opens the node first, which only one program can. On macOS a tun is always `Busy`, since only
    /// closing its socket removes it; a tap is deleted even while it is open.
    fn delete(&self) -> Result<()> {
        let found = self.found(Operation::Delete)?;
        let flags = self.flags(Operation::Delete, &found.name)?;
        self.check_privilege(Operation::Delete, &found.name, flags)?;
        let opened = match self.kind.create_method {
            CreateMethod::Socket { .. } => Err(errno::error(errno::EBUSY)),
            CreateMethod::Pair(_) => Ok(true),
            _ => self.system.open_node(&found).map(|opened| opened.is_some()),
        };
        if let Ok(false) = opened {
            return Err(Error::new(Operation::Delete, Cause::Gone).with_name(self.name));
        }
        if let Some(error) = opened.as_ref().err().filter(|error| errno::of(error) == errno::EBUSY) {
            return Err(self.refused(Operation::Delete, error));
        }
        let Err(error) = self.system.destroy(&found.name) else { return Ok(()) };
        match self.found(Operation::Delete) {
            Ok(_) => Err(remedy::with_errno(remedy::destroy(errno::of(&error), Operation::Delete), &error)
                .of(Operation::Delete)
                .with_name(self.name)),
            // Closing the node removed it, as with DragonFly's taps.
            Err(gone) if gone.is_gone() && opened.is_ok() => Ok(()),
            Err(_) => Err(self.refused(Operation::Delete, &error)),
        }
    }
}

// Derived implementations would require `C: Clone` and `C: Debug`.
impl<C> Clone for BsdInterface<C> {
    fn clone(&self) -> Self {
        let Self { system, identity, kind, name } = self;
        Self { system: system.clone(), identity: identity.clone(), kind, name: *name }
    }
}

impl<C> fmt::Debug for BsdInterface<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, name, .. } = self;
        f.debug_struct("BsdInterface")
            .field("index", &identity.index())
            .field("layer", &self.kind.layer)
            .field("name", name)
            .finish_non_exhaustive()
    }
}
