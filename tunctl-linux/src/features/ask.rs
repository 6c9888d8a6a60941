//! How the driver is asked.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use tunctl_core::Reason;
use tunctl_sys::linux::{InterfaceRequest, iff, tun};

use super::{Feature, Features, Presence};
use crate::opener::Opener;
use crate::{Namespace, diagnose, errno, remedy};

/// A question to the driver. It has the feature if it answers without an error.
#[derive(Clone, Copy)]
pub(super) enum Question {
    /// Whether this is among the flags that it knows, which it says to any descriptor.
    Flag(u16),
    /// A request on a descriptor that is not attached.
    Unattached(fn(BorrowedFd<'_>) -> io::Result<()>),
    /// Whether it takes these offloads, on an attached descriptor.
    Offload(u32),
    /// A request on an attached descriptor.
    Call(fn(BorrowedFd<'_>) -> io::Result<()>),
}

/// Asks all questions.
pub(super) fn features(node: &Path) -> Result<Features, Reason> {
    let file = open(node).map_err(|error| {
        let errno = errno::of(&error);
        remedy::node(errno, node, &diagnose::caller()).with_errno(errno as i32)
    })?;
    let flags = tun::features(file.as_fd()).map_err(|error| refused(&error))?;
    let temporary = temporary(node);
    let answers = Feature::ALL.iter().map(|feature| match (feature.question(), &temporary) {
        (Question::Flag(flag), _) => known(flags & u32::from(flag) != 0),
        (Question::Unattached(call), _) => presence(call(file.as_fd())),
        (Question::Offload(bits), Some(tap)) => presence(tun::set_offload(tap.as_fd(), bits)),
        (Question::Call(call), Some(tap)) => presence(call(tap.as_fd())),
        (Question::Offload(_) | Question::Call(_), None) => Presence::Unknown,
    });
    let mut features = Features([Presence::Unknown; Feature::ALL.len()]);
    features.0.iter_mut().zip(answers).for_each(|(place, answer)| *place = answer);
    Ok(features)
}

/// The creation flags that the driver knows; `None` if it cannot be asked.
pub(crate) fn flags(node: &Path) -> Option<u32> {
    tun::features(open(node).ok()?.as_fd()).ok()
}

fn open(node: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(node)
}

/// The node was opened, and is another driver's.
fn refused(error: &io::Error) -> Reason {
    let errno = errno::of(error);
    remedy::other_driver(errno).with_errno(errno as i32)
}

/// A descriptor that is attached to a new tap, in a namespace of its own. Both go with it. In the caller's
/// namespace an interface would be seen by every program that listens there, and udev would act on it.
fn temporary(node: &Path) -> Option<OwnedFd> {
    let opened = Opener::There(Namespace::make().ok()?).node(node).ok()?;
    let mut request = InterfaceRequest::new(b"", iff::TAP | iff::NO_PI | iff::VNET_HDR)?;
    tun::set_iff(opened.as_fd(), &mut request).ok()?;
    Some(opened)
}

const fn known(has: bool) -> Presence {
    if has { Presence::Present } else { Presence::Absent }
}

/// What an answer says. `__tun_chr_ioctl` (Linux 6.18) answers `EINVAL` to a request that it does not know;
/// other errors are about the caller, or about memory.
fn presence(answer: io::Result<()>) -> Presence {
    match answer.map_err(|error| errno::of(&error)) {
        Ok(()) => Presence::Present,
        Err(Errno::EINVAL | Errno::ENOTTY) => Presence::Absent,
        Err(_) => Presence::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_drivers_own_refusal_says_that_a_feature_is_absent() {
        let of = |errno: Errno| presence(Err(errno.into()));
        assert_eq!(presence(Ok(())), Presence::Present);
        assert_eq!(of(Errno::EINVAL), Presence::Absent);
        for errno in [Errno::EPERM, Errno::EBADFD, Errno::EMFILE, Errno::ENOMEM, Errno::EFAULT] {
            assert_eq!(of(errno), Presence::Unknown, "{errno}");
        }
    }
}
