//! The processes that have an interface open, on systems that report them.

use tunctl::{Holder, Result};

use tunctl::NativeInterface;

#[cfg(target_os = "linux")]
pub(super) fn of(interface: &NativeInterface) -> Result<Vec<Holder>> {
    interface.holders()
}

/// These systems do not report holders. Their `fstat` lists which process has which node open.
#[cfg(not(target_os = "linux"))]
pub(super) fn of(_: &NativeInterface) -> Result<Vec<Holder>> {
    Ok(Vec::new())
}
