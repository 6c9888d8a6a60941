//! Devices from descriptors that another program opened.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::{Error, TunBackend};

/// A backend that takes over open descriptors, and whose devices are handed over as such.
///
/// One program has the right to open a device, and another one works with it: a supervisor and its worker, a
/// container runtime and a virtual machine. The descriptor goes from one to the other over a Unix socket
/// (`SCM_RIGHTS`), or is inherited by a child process. [`OwnedFd::from`] makes one of a device, and
/// [`adopt`](Self::adopt) a device of one:
///
/// ```
/// use std::os::fd::OwnedFd;
/// use tunctl_core::{Adopt, CreateOptions, Result, TunDevice};
///
/// fn hand_over<B: Adopt>(backend: &B) -> Result<()> {
///     let tun = backend.create(&CreateOptions::tun().name("vpn0").address("10.1.1.1/24").up())?;
///     let fd: OwnedFd = tun.into();
///
///     let tun = backend.adopt(fd)?; // in the other program
///     assert_eq!(tun.name()?.to_string(), "vpn0");
///     Ok(())
/// }
/// ```
///
/// # Platform
///
/// All. On the BSDs and macOS as far as the system lets one tell what a descriptor is: on macOS only that of
/// a tun. Where this program removes an interface with its last device, because the kernel keeps it (NetBSD,
/// DragonFly), an interface whose descriptor was handed over stays until it is destroyed.
pub trait Adopt: TunBackend<Device: Into<OwnedFd>> {
    /// Makes a device of a descriptor that is attached to an interface. Everything about it is asked of the
    /// system: name, layer, headers and their length, whether it may have several queues. Nothing about it
    /// changes, but that the descriptor becomes close-on-exec, and the open file, which duplicates in other
    /// programs share, non-blocking.
    ///
    /// It takes no right: a program that may not configure networks receives, sends, and asks for name, flags
    /// and layer. Where it cannot be determined which interface of which network namespace the descriptor is
    /// attached to, the device has it as [`interface`](crate::TunDevice::interface) all the same, whose
    /// operations answer `UnknownInterface` and say why. They never reach another interface of the same name.
    ///
    /// # Errors
    ///
    /// Each gives the descriptor back, unchanged. `ForeignDescriptor` if it is another file than a device's;
    /// `NotAttached` if it is attached to nothing, or to an interface that was deleted; `HeaderMismatch` if
    /// its virtio-net header has a length that [`HeaderKind`](tunctl_packet::header::HeaderKind) cannot
    /// express, or its packets other headers than the backend reads; `TooManyOpenFiles`.
    #[doc(alias = "TUNGETIFF")]
    #[doc(alias = "SCM_RIGHTS")]
    #[doc(alias = "from_fd")]
    fn adopt(&self, fd: OwnedFd) -> Result<Self::Device, AdoptError>;
}

/// A descriptor that could not be adopted: why, and the descriptor.
#[derive(Debug)]
pub struct AdoptError {
    // Boxed, so that the result of `adopt` is small.
    error: Box<Error>,
    fd: OwnedFd,
}

impl AdoptError {
    /// An error that gives the descriptor back.
    #[must_use]
    pub fn new(error: Error, fd: OwnedFd) -> Self {
        Self { error: Box::new(error), fd }
    }

    /// Why it could not be adopted.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The descriptor, as it was.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl From<AdoptError> for Error {
    /// Keeps the reason and closes the descriptor.
    fn from(failed: AdoptError) -> Self {
        *failed.error
    }
}

impl fmt::Display for AdoptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for AdoptError {}
