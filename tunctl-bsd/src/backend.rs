//! The backend: its capabilities, and looking interfaces up.

use std::sync::Arc;

use tunctl_core::{
    AttachMode, Capabilities, Cause, CreateOptions, Error, InterfaceName, Operation, Result, TunBackend,
};
use tunctl_packet::header::System;

use crate::errno;
use crate::remedy;
use crate::syscalls::{ListedInterface, Syscalls};
use crate::system::{Kind, rules};
use crate::system_handle::SystemHandle;
use crate::{BsdDevice, BsdInterface};

/// The TUN/TAP drivers of one of these systems.
///
/// `C` makes the system calls: the running system's ([`Host`](crate::native)), or those of a model.
#[derive(Debug)]
pub struct BsdBackend<C> {
    pub(crate) system: Arc<SystemHandle<C>>,
}

impl<C: Syscalls> BsdBackend<C> {
    /// A backend for `system` that makes its system calls through `syscalls`.
    #[must_use]
    pub fn with_syscalls(system: System, syscalls: C) -> Self {
        Self { system: Arc::new(SystemHandle { syscalls, rules: rules(system) }) }
    }

    /// Returns the kind of an interface, by its original name.
    pub(crate) fn kind_of(&self, listed: &ListedInterface) -> Option<&'static Kind> {
        self.system.rules.kind_of(listed.original_name.as_bytes())
    }

    pub(crate) fn find(&self, operation: Operation, name: &InterfaceName) -> Result<Option<ListedInterface>> {
        let found = self.system.by_name(name.as_bytes());
        found.map_err(|error| {
            remedy::with_errno(remedy::from_errno(errno::of(&error)), &error).of(operation).with_name(*name)
        })
    }
}

impl<C: Syscalls> TunBackend for BsdBackend<C> {
    type Device = BsdDevice<C>;
    type Interface = BsdInterface<C>;

    fn capabilities(&self) -> Capabilities {
        let rules = self.system.rules;
        let persistence: &[_] = if rules.sets_persistence { &[Operation::SetPersist] } else { &[] };
        let all = Capabilities::REQUIRED.with(&[Operation::Watch, Operation::Adopt]);
        all.with(persistence).with(&crate::interface::optional(rules.abi))
    }

    fn attach(&self, mode: AttachMode, options: &CreateOptions) -> Result<BsdDevice<C>> {
        self.create_or_open(mode, options)
    }

    fn interface(&self, name: &InterfaceName) -> Result<BsdInterface<C>> {
        let refused = |cause| Error::new(Operation::Lookup, cause).with_name(*name);
        let found = self.find(Operation::Lookup, name)?.ok_or_else(|| refused(Cause::NotFound))?;
        let kind = self.kind_of(&found).ok_or_else(|| refused(Cause::NotATun))?;
        BsdInterface::new(self.system.clone(), &found, kind).ok_or_else(|| refused(Cause::NotFound))
    }

    fn interfaces(&self) -> Result<Vec<BsdInterface<C>>> {
        let listed = self.system.interfaces();
        let mut listed = listed.map_err(|error| {
            remedy::with_errno(remedy::from_errno(errno::of(&error)), &error).of(Operation::List)
        })?;
        // `getifaddrs` promises no order.
        listed.sort_by_key(|listed| listed.index);
        let tun_or_tap =
            |listed: &ListedInterface| BsdInterface::new(self.system.clone(), listed, self.kind_of(listed)?);
        Ok(listed.iter().filter_map(tun_or_tap).collect())
    }
}

impl<C> Clone for BsdBackend<C> {
    fn clone(&self) -> Self {
        Self { system: self.system.clone() }
    }
}
