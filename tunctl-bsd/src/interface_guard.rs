//! Removal of an interface when its last device closes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tunctl_core::InterfaceIndex;
use tunctl_sys::bsd::Name;

use crate::syscalls::Syscalls;
use crate::system_handle::SystemHandle;

/// Shared by all devices of one `create` or `open`, clones included; the last one to drop it removes the
/// interface, where the kernel would keep it.
pub(crate) struct InterfaceGuard<C: Syscalls> {
    pub(crate) system: Arc<SystemHandle<C>>,
    index: InterfaceIndex,
    /// The other end of a pair, which is removed together with the interface.
    far_end: Option<Name>,
    remove_on_drop: AtomicBool,
}

impl<C: Syscalls> InterfaceGuard<C> {
    /// Guards the interface with this index, whose current name is `name`.
    pub(crate) fn new(
        system: Arc<SystemHandle<C>>,
        index: InterfaceIndex,
        name: &Name,
        remove_on_drop: bool,
    ) -> Self {
        let far_end = system.rules.far_end(name);
        Self { system, index, far_end, remove_on_drop: AtomicBool::new(remove_on_drop) }
    }

    pub(crate) fn set_remove_on_drop(&self, remove: bool) {
        self.remove_on_drop.store(remove, Ordering::Relaxed);
    }

    /// Returns the interface's current name, or `None` if the interface is gone.
    pub(crate) fn name(&self) -> io::Result<Option<Name>> {
        Ok(self.system.find(|listed| listed.index == self.index.get())?.map(|listed| listed.name))
    }

    /// Returns what is left to remove: the interface or, once that is gone, its far
    /// end.
    pub(crate) fn name_to_remove(&self) -> io::Result<Option<Name>> {
        Ok(self.name()?.or(self.far_end))
    }
}

impl<C: Syscalls> Drop for InterfaceGuard<C> {
    fn drop(&mut self) {
        if *self.remove_on_drop.get_mut() {
            // A drop cannot report an error; `destroy` does.
            if let Ok(Some(name)) = self.name_to_remove() {
                let _ = self.system.destroy(&name);
            }
        }
    }
}
