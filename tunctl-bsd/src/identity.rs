//! By what an interface is recognised: these systems give the index of a deleted interface to the next one.

use std::sync::{Arc, Mutex, PoisonError};

use tunctl_core::InterfaceIndex;
use tunctl_sys::bsd::Name;

use crate::syscalls::ListedInterface;
use crate::system::Rules;

/// An interface, so that no other one is taken for it, as far as the system can tell.
///
/// NetBSD, OpenBSD and macOS cannot tell a successor with the same name and the same index. DragonFly cannot
/// tell that an interface was renamed by another program from its having a successor, so such an interface
/// counts as gone.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    index: InterfaceIndex,
    original_name: Name,
    created: Option<u64>,
    /// The name that it was found with or given since, where only that tells it from a successor.
    name: Arc<Mutex<Name>>,
}

impl Identity {
    /// `None` if the system lists an invalid index.
    pub(crate) fn of(found: &ListedInterface) -> Option<Self> {
        Some(Self {
            index: InterfaceIndex::new(found.index)?,
            original_name: found.original_name,
            created: found.created,
            name: Arc::new(Mutex::new(found.name)),
        })
    }

    pub(crate) const fn index(&self) -> InterfaceIndex {
        self.index
    }

    pub(crate) const fn original_name(&self) -> Name {
        self.original_name
    }

    /// Whether this is the interface.
    pub(crate) fn is(&self, rules: &Rules, found: &ListedInterface) -> bool {
        if found.index != self.index.get() {
            return false;
        }
        if rules.lists_original_names {
            return found.original_name == self.original_name && found.created == self.created;
        }
        found.name == self.name()
    }

    /// This program has renamed it.
    pub(crate) fn renamed(&self, name: Name) {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
    }

    fn name(&self) -> Name {
        *self.name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
