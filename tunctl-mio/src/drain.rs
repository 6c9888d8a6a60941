//! What a drain returns.

use std::{error, fmt, io};

use tunctl_core::Error;

/// What is left after [`TunSource::drain`](crate::TunSource::drain).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "after `Gone`, no event follows"]
pub enum Drained {
    /// No packet: an event announces the next one.
    Empty,
    /// Perhaps more packets: the next poll returns an event at once if the source is registered.
    More,
    /// The interface was deleted: no packet and no event follows.
    Gone,
}

/// Why [`TunSource::try_drain`](crate::TunSource::try_drain) stopped early.
///
/// The device's failures and those of the closure are kept apart, also where both are of the type [`Error`]:
/// a closure that sends to another device may fail with `Gone`, which says nothing about the device that is
/// drained.
///
/// `?` converts it in a function that returns [`tunctl_core::Result`] or [`io::Result`] where the closure
/// fails with [`Error`]. For other types there is [`flatten`](Self::flatten).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DrainError<E> {
    /// The device could not be read, or its registration could not be renewed.
    Device(Error),
    /// The closure returned this error.
    Each(E),
}

impl<E: From<Error>> DrainError<E> {
    /// The failure alone, as the closure's type: for `try_drain(…).map_err(DrainError::flatten)?`.
    pub fn flatten(self) -> E {
        match self {
            Self::Device(error) => error.into(),
            Self::Each(error) => error,
        }
    }
}

impl<E: fmt::Display> fmt::Display for DrainError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(error) => error.fmt(f),
            Self::Each(error) => error.fmt(f),
        }
    }
}

impl<E: error::Error> error::Error for DrainError<E> {
    // It prints as the failure itself, which is therefore not its source as well.
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Device(error) => error.source(),
            Self::Each(error) => error.source(),
        }
    }
}

// Each target has one conversion only: from it, the compiler infers the error of a closure that ends with
// `Ok(())`.
impl From<DrainError<Self>> for Error {
    fn from(error: DrainError<Self>) -> Self {
        error.flatten()
    }
}

impl From<DrainError<Error>> for io::Error {
    fn from(error: DrainError<Error>) -> Self {
        error.flatten().into()
    }
}
