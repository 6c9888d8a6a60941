//! A device that is not destroyed is given back.

use std::fmt;

use crate::Error;

/// A device that could not be destroyed: why, and the device.
#[derive(Debug)]
pub struct DestroyError<D> {
    // Boxed, so that the result of `destroy` is small.
    parts: Box<(Error, Option<D>)>,
}

impl<D> DestroyError<D> {
    /// An error that gives the device back, unless its descriptor had to be closed to learn of it.
    #[must_use]
    pub fn new(error: Error, device: Option<D>) -> Self {
        Self { parts: Box::new((error, device)) }
    }

    /// Why the interface is still there.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.parts.0
    }

    /// The device, as usable as before. `None` if it was closed, and a process that the caller may not look
    /// into turned out to hold the interface.
    #[must_use]
    pub fn into_device(self) -> Option<D> {
        self.parts.1
    }
}

impl<D> From<DestroyError<D>> for Error {
    /// Keeps the reason and closes the device.
    fn from(failed: DestroyError<D>) -> Self {
        failed.parts.0
    }
}

impl<D> fmt::Display for DestroyError<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl<D: fmt::Debug> std::error::Error for DestroyError<D> {}
