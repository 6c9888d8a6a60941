//! A system's calls together with its rules.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use tunctl_sys::bsd::Name;
use tunctl_sys::bsd::route::without_scope;

use crate::identity::Identity;
use crate::interface_guard::InterfaceGuard;
use crate::syscalls::{Family, ListedInterface, Syscalls};
use crate::system::{RemovePolicy, Rules};

/// A system's calls and its rules.
#[derive(Debug)]
pub(crate) struct SystemHandle<C> {
    pub(crate) syscalls: C,
    pub(crate) rules: &'static Rules,
}

impl<C: Syscalls> SystemHandle<C> {
    /// Lists all interfaces, and link-local addresses without the index that the kernels keep in them.
    pub(crate) fn interfaces(&self) -> io::Result<Vec<ListedInterface>> {
        let mut listed = self.syscalls.interfaces()?;
        for address in listed.iter_mut().flat_map(|interface| &mut interface.addresses) {
            let plain = |address: &mut IpAddr| {
                if let IpAddr::V6(scoped) = address {
                    *address = without_scope(*scoped).into();
                }
            };
            plain(&mut address.address);
            address.destination.as_mut().map(plain);
        }
        Ok(listed)
    }

    /// Returns the first listed interface that matches.
    pub(crate) fn find(
        &self,
        matches: impl Fn(&ListedInterface) -> bool,
    ) -> io::Result<Option<ListedInterface>> {
        Ok(self.interfaces()?.into_iter().find(matches))
    }

    pub(crate) fn by_name(&self, name: &[u8]) -> io::Result<Option<ListedInterface>> {
        self.find(|listed| listed.name.as_bytes() == name)
    }

    /// Opens the node of an interface, and lists it anew. `None` if the interface has gone since it was
    /// listed: opening its node has then made another one (FreeBSD's `tunclone`, NetBSD's `tunopen`,
    /// OpenBSD's `tun_dev_open`), which is removed again.
    pub(crate) fn open_node(
        self: &Arc<Self>,
        found: &ListedInterface,
    ) -> io::Result<Option<(C::Handle, ListedInterface)>> {
        let handle =
            self.syscalls.open(&format!("/dev/{}", found.original_name.as_bytes().escape_ascii()))?;
        let listed = self.interfaces()?;
        let is_it =
            |one: &&ListedInterface| Identity::of(found).is_some_and(|identity| identity.is(self.rules, one));
        if let Some(still) = listed.iter().find(is_it) {
            return Ok(Some((handle, still.clone())));
        }
        let made = listed.iter().find(|one| one.name == found.original_name);
        let policy = self.rules.kind_of(found.original_name.as_bytes()).map(|kind| kind.remove_policy);
        let goes_by_itself = match policy {
            Some(RemovePolicy::Transient(request)) => {
                self.syscalls.ioctl(&handle, request, &mut 1_i32.to_ne_bytes()).is_ok()
            }
            policy => policy != Some(RemovePolicy::ByRequest),
        };
        let identity = made.and_then(Identity::of).filter(|_| !goes_by_itself);
        let guard = identity.map(|identity| InterfaceGuard::new(self.clone(), identity, None, true));
        // The interface is removed after its device is closed.
        drop(handle);
        drop(guard);
        Ok(None)
    }

    /// Removes an interface and, if it is one end of a pair, the far end too.
    pub(crate) fn destroy(&self, name: &Name) -> io::Result<()> {
        let abi = self.rules.abi;
        let remove =
            |name: &Name| self.syscalls.configure(Family::V4, abi.requests.destroy, &mut abi.ifreq(name));
        let removed = remove(name);
        // Removed even if the near end was not: the far end is useless without it.
        let far = self.rules.far_end(name).map_or(Ok(()), |far| remove(&far));
        removed.and(far)
    }
}
