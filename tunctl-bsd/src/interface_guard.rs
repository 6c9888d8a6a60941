//! How long an interface is there.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tunctl_core::InterfaceIndex;
use tunctl_sys::bsd::Name;

use crate::syscalls::Syscalls;
use crate::system_handle::Of;

/// What keeps an interface there: all devices of one `create` or `open`, clones included.
pub(crate) struct Life<C: Syscalls> {
    pub(crate) system: Arc<Of<C>>,
    index: InterfaceIndex,
    /// What is connected to the interface, and goes with it.
    far_end: Option<Name>,
    /// The interface is ours to remove when the last device is closed.
    ends_by_request: AtomicBool,
}

impl<C: Syscalls> Life<C> {
    /// Of an interface that is called so by now.
    pub(crate) fn new(system: Arc<Of<C>>, index: InterfaceIndex, name: &Name, ends_by_request: bool) -> Self {
        let far_end = system.rules.far_end(name);
        Self { system, index, far_end, ends_by_request: AtomicBool::new(ends_by_request) }
    }

    pub(crate) fn set_ends_by_request(&self, ends: bool) {
        self.ends_by_request.store(ends, Ordering::Relaxed);
    }

    /// What the interface is called now, if it is there.
    pub(crate) fn name(&self) -> io::Result<Option<Name>> {
        Ok(self.system.find(|found| found.index == self.index.get())?.map(|found| found.name))
    }

    /// What there is to remove: where the interface was deleted, its far end, if it has any.
    pub(crate) fn remains(&self) -> io::Result<Option<Name>> {
        Ok(self.name()?.or(self.far_end))
    }
}

impl<C: Syscalls> Drop for Life<C> {
    fn drop(&mut self) {
        if *self.ends_by_request.get_mut() {
            // Nobody is there to be told: `destroy` tells.
            if let Ok(Some(name)) = self.remains() {
                let _ = self.system.destroy(&name);
            }
        }
    }
}
