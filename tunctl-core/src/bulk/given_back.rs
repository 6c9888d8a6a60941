//! What is given back when a conversion fails.

use std::fmt;

use crate::Error;

/// A conversion that failed: why, and what was to be converted, as usable as before.
#[derive(Debug)]
pub struct GivenBack<T> {
    // Boxed, so that the result of a conversion is small.
    parts: Box<(Error, T)>,
}

impl<T> GivenBack<T> {
    pub(super) fn new(error: Error, value: T) -> Self {
        Self { parts: Box::new((error, value)) }
    }

    /// Why it failed.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.parts.0
    }

    /// What was to be converted.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.parts.1
    }
}

impl<T> GivenBack<Vec<T>> {
    /// For a single device, which was converted as a list of one.
    pub(super) fn only(self) -> GivenBack<T> {
        let (error, mut values) = *self.parts;
        GivenBack::new(error, values.swap_remove(0))
    }
}

impl<T> From<GivenBack<T>> for Error {
    /// Keeps the reason and drops the rest.
    fn from(failed: GivenBack<T>) -> Self {
        failed.parts.0
    }
}

impl<T> fmt::Display for GivenBack<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl<T: fmt::Debug> std::error::Error for GivenBack<T> {}
