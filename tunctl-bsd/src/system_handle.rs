//! A system's calls together with its rules.

use std::io;

use tunctl_sys::bsd::Name;

use crate::syscalls::{Family, ListedInterface, Syscalls};
use crate::system::Rules;

/// A system's calls and its rules.
#[derive(Debug)]
pub(crate) struct SystemHandle<C> {
    pub(crate) syscalls: C,
    pub(crate) rules: &'static Rules,
}

impl<C: Syscalls> SystemHandle<C> {
    /// Returns the first listed interface that matches.
    pub(crate) fn find(
        &self,
        matches: impl Fn(&ListedInterface) -> bool,
    ) -> io::Result<Option<ListedInterface>> {
        Ok(self.syscalls.interfaces()?.into_iter().find(matches))
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
