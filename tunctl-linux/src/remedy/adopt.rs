//! Why a descriptor could not be adopted, and why the interface of one that was is not known.

use std::io;

use nix::errno::Errno;
use tunctl_core::{Cause, Operation, Reason};

use super::from_errno;
use crate::errno;

/// The driver refused a question about a descriptor.
pub(crate) fn adopt(errno: Errno) -> Reason {
    match errno {
        Errno::ENOTTY => Reason::new(Cause::ForeignDescriptor),
        Errno::EBADFD => Reason::new(Cause::NotAttached),
        // The driver itself answers none of these; without the compatible calls of another word size, ENOSYS.
        Errno::EPERM | Errno::EACCES | Errno::ENOSYS => Reason::new(Cause::Sandboxed)
            .with_detail("a sandbox forbids requests to the TUN/TAP driver")
            .with_remedy(
                "Let the seccomp filter of the service or container pass ioctl(2) on a TUN descriptor \
                 (TUNGETIFF, TUNGETVNETHDRSZ, TUNGETVNETLE, TUNGETVNETBE).",
            ),
        errno => from_errno(errno),
    }
}

/// Packets have a virtio-net header of a length that is none of those that virtio defines.
pub(crate) fn unknown_header_size(bytes: i32) -> Reason {
    Reason::new(Cause::HeaderMismatch)
        .with_detail(format!(
            "packets have a virtio-net header of {bytes} bytes, and this library knows those of 10, 12, 20 \
             and 24"
        ))
        .with_remedy("Have the program that set it choose one of these (TUNSETVNETHDRSZ).")
}

/// No socket can be opened that could ask for the interface.
pub(crate) fn unknown_without_netlink(reason: Reason) -> Reason {
    let errno = reason.clone().of(Operation::Adopt).raw_os_error();
    let unknown = match reason.cause() {
        Cause::TooManyOpenFiles => return reason,
        Cause::Sandboxed => unknown(
            "a sandbox forbids AF_NETLINK sockets, by which it is asked for",
            "Packets, name and flags need none. For the rest, add AF_NETLINK to RestrictAddressFamilies= \
             of a systemd service, or to the seccomp profile of a container.",
        ),
        Cause::MissingCapability | Cause::ForeignNamespace => unknown(
            "it is in another network namespace, which this program may not enter",
            "Adopt the descriptor in a thread that is in the interface's namespace, or with CAP_SYS_ADMIN.",
        ),
        _ => unasked(),
    };
    errno.into_iter().fold(unknown, Reason::with_errno)
}

/// The system has failed to answer. Too many open files, or a deleted interface, is no reason to go on.
pub(crate) fn unknown_after(error: &io::Error) -> Reason {
    let errno = errno::of(error);
    match adopt(errno).cause() {
        Cause::TooManyOpenFiles | Cause::NotAttached => adopt(errno),
        _ => unasked(),
    }
    .with_errno(errno as i32)
}

fn unasked() -> Reason {
    unknown("the system could not be asked for it", "Try again, by adopting the descriptor anew.")
}

/// No interface of the thread's namespace was recognised as it.
pub(crate) fn unknown_elsewhere() -> Reason {
    unknown(
        "no interface of this network namespace could be shown to be it",
        "Adopt the descriptor in a thread that is in the interface's namespace, or with CAP_NET_ADMIN and \
         CAP_SYS_ADMIN over that.",
    )
}

fn unknown(why: &str, remedy: &'static str) -> Reason {
    Reason::new(Cause::UnknownInterface)
        .with_detail(format!("{}: {why}", Cause::UnknownInterface))
        .with_remedy(remedy)
}
