//! A system's calls together with its rules.

use std::io;
use std::net::IpAddr;

use tunctl_sys::bsd::Name;
use tunctl_sys::bsd::route::without_scope;

use crate::syscalls::{Family, ListedInterface, Syscalls};
use crate::system::Rules;

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
