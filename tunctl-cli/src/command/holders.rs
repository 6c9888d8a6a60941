//! Who has an interface open, where the system tells.

use tunctl::{Holder, Result};

use tunctl::NativeInterface;

#[cfg(target_os = "linux")]
pub(super) fn of(interface: &NativeInterface) -> Result<Vec<Holder>> {
    interface.holders()
}

/// These systems have no such question; `fstat` lists who has which node open.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_: &NativeInterface) -> Result<Vec<Holder>> {
    Ok(Vec::new())
}
