//! The driver of the system that this was compiled for, under the names that are the same for every system.

use crate::{LinuxBackend, LinuxDevice, LinuxInterface};

/// The backend of the system that this was compiled for.
pub type Native = LinuxBackend;
/// A device of [`Native`].
pub type NativeDevice = LinuxDevice;
/// An interface of [`Native`].
pub type NativeInterface = LinuxInterface;

/// The backend of the system that this was compiled for: on Linux, the driver behind `/dev/net/tun`.
#[must_use]
pub fn native() -> Native {
    Native::new()
}
