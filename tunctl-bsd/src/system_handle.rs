//! A system: its calls and its rules together.

use std::io;

use tunctl_sys::bsd::Name;

use crate::syscalls::{Family, ListedInterface, Syscalls};
use crate::system::Rules;

/// A system, and its rules.
#[derive(Debug)]
pub(crate) struct SystemHandle<C> {
    pub(crate) syscalls: C,
    pub(crate) rules: &'static Rules,
}

impl<C: Syscalls> SystemHandle<C> {
    pub(crate) fn find(
        &self,
        is_it: impl Fn(&ListedInterface) -> bool,
    ) -> io::Result<Option<ListedInterface>> {
        Ok(self.syscalls.interfaces()?.into_iter().find(is_it))
    }

    pub(crate) fn by_name(&self, name: &[u8]) -> io::Result<Option<ListedInterface>> {
        self.find(|found| found.name.as_bytes() == name)
    }

    /// Removes an interface, and what is connected to it.
    pub(crate) fn destroy(&self, name: &Name) -> io::Result<()> {
        let abi = self.rules.abi;
        let remove =
            |name: &Name| self.syscalls.configure(Family::V4, abi.requests.destroy, &mut abi.ifreq(name));
        let removed = remove(name);
        // Whatever has become of the one, the other is of no use.
        let far = self.rules.far_end(name).map_or(Ok(()), |far| remove(&far));
        removed.and(far)
    }
}
