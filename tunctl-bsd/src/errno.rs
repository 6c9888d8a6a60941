//! The errors of these systems, by their numbers.

use std::io;

pub(crate) use tunctl_sys::bsd::errno::*;

/// The number of an error; 0 if it has none, which is no errno.
pub(crate) fn of(error: &io::Error) -> i32 {
    error.raw_os_error().unwrap_or(0)
}

/// An error of the system that a model, or this crate itself, answers with.
pub(crate) fn error(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
