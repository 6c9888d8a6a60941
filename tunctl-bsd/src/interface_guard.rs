//! How long an interface is there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tunctl_core::InterfaceIndex;
use tunctl_sys::bsd::Name;

use crate::syscalls::Syscalls;
use crate::system_handle::SystemHandle;

/// What keeps an interface there: all devices of one `create` or `open`, clones included.
pub(crate) struct InterfaceGuard<C: Syscalls> {
    pub(crate) system: Arc<SystemHandle<C>>,
    index: InterfaceIndex,
    /// What is connected to the interface, and goes with it.
    far_end: Option<Name>,
    /// The interface is ours to remove when the last device is closed.
    remove_on_drop: AtomicBool,
}

impl<C: Syscalls> InterfaceGuard<C> {
    /// Of an interface that is called so by now.
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

    /// What the interface is called now, if it is there.
    pub(crate) fn name(&self) -> io::Result<Option<Name>> {
        Ok(self.system.find(|found| found.index == self.index.get())?.map(|found| found.name))
    }

    /// What there is to remove: where the interface was deleted, its far end, if it has any.
    pub(crate) fn name_to_remove(&self) -> io::Result<Option<Name>> {
        Ok(self.name()?.or(self.far_end))
    }
}

impl<C: Syscalls> Drop for InterfaceGuard<C> {
    fn drop(&mut self) {
        if *self.remove_on_drop.get_mut() {
            // Nobody is there to be told: `destroy` tells.
            if let Ok(Some(name)) = self.name_to_remove() {
                let _ = self.system.destroy(&name);
            }
        }
    }
}
