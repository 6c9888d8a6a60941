//! Creation by the privileged helper, where the caller lacks the right.

use std::os::fd::OwnedFd;

use tunctl::linux::HelperBackend;
use tunctl::{Adopt, Cause, CreateOptions, Error, Native, NativeDevice, Result, TunBackend};

use super::advice;

/// How the helper is installed, to follow an error.
const INSTALL: &str = "Or have root install the helper, which creates interfaces for users as a policy allows: \
                       sudo tunctl helper install.";

/// Creates an interface. Where the right to do so is missing and the helper is installed, the helper does it,
/// and its errors are those of the operation. `elsewhere`: the backend is in another network namespace than
/// this process, which is the helper's.
pub(super) fn create(backend: &Native, options: &CreateOptions, elsewhere: bool) -> Result<NativeDevice> {
    let lacks_the_right = |error: &Error| error.cause() == Cause::MissingCapability && !elsewhere;
    match backend.create(options) {
        Err(error) if lacks_the_right(&error) && HelperBackend::new().program().is_some() => {
            let fd = OwnedFd::from(HelperBackend::new().create(options)?);
            // From here on it is a device as any other, of which this program may do what its descriptor
            // permits.
            backend.adopt(fd).map_err(|failed| failed.error().clone())
        }
        created => created,
    }
}

/// The message of a failure to create an interface. If the right is missing, there is no helper, or the
/// namespace is another than the helper's.
pub(super) fn message(error: &Error, elsewhere: bool) -> String {
    let message = advice::message(error);
    if error.cause() == Cause::MissingCapability && !elsewhere {
        advice::with_sentence(&message, INSTALL)
    } else {
        message
    }
}
