//! Removal of an interface when its last device closes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tunctl_sys::bsd::Name;

use crate::identity::Identity;
use crate::syscalls::Syscalls;
use crate::system_handle::SystemHandle;

/// Shared by all devices of one `create` or `open`, clones included; the last one to drop it removes the
/// interface, where the kernel would keep it.
pub(crate) struct InterfaceGuard<C: Syscalls> {
    pub(crate) system: Arc<SystemHandle<C>>,
    identity: Identity,
    /// The other end of a pair, which is removed together with the interface.
    far_end: Option<Name>,
    /// Whether the pair was this one until its filter was closed. macOS gives both names and indices to the
    /// next pair (`dlil_if_acquire`), so that nothing else shows it.
    was_bound: Option<Arc<AtomicBool>>,
    remove_on_drop: AtomicBool,
}

impl<C: Syscalls> InterfaceGuard<C> {
    pub(crate) fn new(
        system: Arc<SystemHandle<C>>,
        identity: Identity,
        was_bound: Option<Arc<AtomicBool>>,
        remove_on_drop: bool,
    ) -> Self {
        let far_end = system.rules.far_end(&identity.original_name());
        Self { system, identity, far_end, was_bound, remove_on_drop: AtomicBool::new(remove_on_drop) }
    }

    pub(crate) fn set_remove_on_drop(&self, remove: bool) {
        self.remove_on_drop.store(remove, Ordering::Relaxed);
    }

    /// Returns the interface's current name, or `None` if the interface is gone.
    pub(crate) fn name(&self) -> io::Result<Option<Name>> {
        Ok(self.system.find(|listed| self.identity.is(self.system.rules, listed))?.map(|listed| listed.name))
    }

    /// Removes what is left of the interface, if anything is: itself, which has this name, or, if it is gone,
    /// its far end.
    pub(crate) fn remove(&self, name: Option<Name>) -> io::Result<()> {
        if self.was_bound.as_ref().is_some_and(|was_bound| !was_bound.load(Ordering::Relaxed)) {
            return Ok(());
        }
        match name {
            Some(name) => self.system.destroy(&self.destroyable(&name)),
            None => self.far_end.map_or(Ok(()), |far| self.system.destroy(&far)),
        }
    }

    /// Gives a renamed interface of DragonFly its first name back, by which alone it can be destroyed
    /// (`if_clone_lookup`). Returns the name that it has then.
    fn destroyable(&self, name: &Name) -> Name {
        let first = self.identity.original_name();
        let rules = self.system.rules;
        let Some(rename) = rules.abi.rename.filter(|_| !rules.lists_original_names && *name != first) else {
            return *name;
        };
        match self.system.syscalls.set_text(rename, name, first.as_c_str()) {
            Ok(()) => {
                self.identity.renamed(first);
                first
            }
            // Destroying it then fails, or not.
            Err(_) => *name,
        }
    }
}

impl<C: Syscalls> Drop for InterfaceGuard<C> {
    fn drop(&mut self) {
        if *self.remove_on_drop.get_mut() {
            // A drop cannot report an error; `destroy` does.
            let _ = self.name().and_then(|name| self.remove(name));
        }
    }
}
