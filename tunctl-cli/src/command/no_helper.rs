//! Systems without a helper: whoever lacks the right creates nothing.

use tunctl::{CreateOptions, Error, Native, NativeDevice, Result, TunBackend};

use super::advice;

pub(super) fn create(backend: &Native, options: &CreateOptions, _elsewhere: bool) -> Result<NativeDevice> {
    backend.create(options)
}

pub(super) fn message(error: &Error, _elsewhere: bool) -> String {
    advice::message(error)
}
