//! One request of a user at a time, so that two do not both take the last interface that the policy allows.
//!
//! The lock is an interface of a name that only the helper makes, which the kernel creates for one process
//! alone, and removes when that process ends. A lock on a file would not do: whoever may read a file may lock
//! it, and the policy is readable for all. It is a lock per user, since a user can stop a helper of theirs
//! while it holds the lock (`SIGSTOP`).

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};
use tunctl_sys::ioctl::DriverFile;

use nix::errno::Errno;
use tunctl_sys::linux::{InterfaceRequest, iff, tun};

use crate::protocol::{Refusal, Step};
use crate::rights::{refused, with_right};

/// What the name of a lock begins with, behind which the uid follows. No rule of a policy allows it.
pub(crate) const PREFIX: &str = "tunlock";

const PAUSE: Duration = Duration::from_millis(4);
/// Less than the program may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The lock of a user, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _interface: DriverFile<tun::TunDriver>,
}

impl Lock {
    /// Takes the lock with a descriptor of the driver that is attached to nothing.
    pub(crate) fn take(node: DriverFile<tun::TunDriver>, uid: u32) -> Result<Self, Refusal> {
        let name = format!("{PREFIX}{uid:08x}");
        let flags = iff::TUN | iff::NO_PI | iff::TUN_EXCL;
        let invalid = || refused(Step::Create, &Errno::EINVAL.into());
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            let mut request = InterfaceRequest::new(name.as_bytes(), flags).ok_or_else(invalid)?;
            let taken = with_right(Step::Create, || match tun::set_iff(&node, &mut request) {
                Err(error) if is_taken(&error) => Ok(false),
                outcome => outcome.map(|()| true),
            })?;
            if taken {
                return Ok(Self { _interface: node });
            }
            sleep(PAUSE);
        }
        Err(Refusal::Busy)
    }
}

/// Another has it. One that is about to go is found by its name for a moment, and then not attached to.
fn is_taken(error: &io::Error) -> bool {
    matches!(
        Errno::from_raw(error.raw_os_error().unwrap_or_default()),
        Errno::EBUSY | Errno::EEXIST | Errno::EINVAL
    )
}
