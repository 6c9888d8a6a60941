//! Why another network namespace cannot be found, entered, or moved to.

use std::path::Path;

use nix::errno::Errno;
use tunctl_core::{Cause, Reason};

use super::{CallerContext, from_errno};

/// The file of a namespace could not be opened.
pub(crate) fn no_namespace_at(path: &Path, errno: Errno) -> Reason {
    let path = path.display();
    match errno {
        Errno::ENOENT | Errno::ENOTDIR => Reason::new(Cause::NotFound)
            .with_detail(format!("there is no {path}"))
            .with_remedy("ip netns list shows the names; a name's file is /run/netns/NAME."),
        Errno::EACCES | Errno::EPERM => Reason::new(Cause::MissingCapability)
            .with_detail(format!("{path} is closed to this user"))
            .with_remedy("Run it with sudo."),
        errno => from_errno(errno),
    }
}

/// The file is of another kind.
pub(crate) fn not_a_namespace(path: &Path) -> Reason {
    Reason::new(Cause::NotANamespace)
        .with_detail(format!("{} is not a network namespace", path.display()))
        .with_remedy("A name in /run/netns without a namespace is left over: sudo ip netns delete NAME.")
}

/// The namespace of a process could not be opened.
pub(crate) fn no_namespace_of(pid: u32, errno: Errno) -> Reason {
    match errno {
        Errno::ENOENT | Errno::ESRCH => Reason::new(Cause::NotFound)
            .with_detail(format!("there is no process {pid}"))
            .with_remedy("A process that has ended has no namespace: look with ps."),
        Errno::EACCES | Errno::EPERM => Reason::new(Cause::MissingCapability)
            .with_detail(format!("process {pid} is not this user's, or is protected from inspection"))
            .with_remedy("Run it as the user of that process, or with sudo."),
        errno => from_errno(errno),
    }
}

/// A thread cannot enter the user namespace that owns a network namespace, which `userns_install` (Linux
/// 6.18) permits to a process with a single thread only.
pub(crate) fn no_thread_enters() -> Reason {
    Reason::new(Cause::SeveralThreads)
        .with_detail(
            "the namespace belongs to a user namespace below this one, which no thread can enter by itself",
        )
        .with_remedy(
            "Open devices there with LinuxBackend::in_namespace, and start programs with Namespace::command: \
             neither needs it.",
        )
}

/// The caller has no right to enter a network namespace.
pub(crate) fn may_not_enter(context: &CallerContext) -> Reason {
    Reason::new(Cause::MissingCapability)
        .with_detail(format!(
            "entering the namespace takes CAP_SYS_ADMIN where it belongs, and this process runs as uid {}",
            context.uid
        ))
        .with_remedy("Run it with sudo, or as the user who made the namespace.")
}

/// `rtnl_link_get_net_capable` (Linux 6.18) asks for the right in both namespaces, of the opener of the
/// netlink socket as well as of the caller.
pub(crate) fn may_not_move() -> Reason {
    Reason::new(Cause::MissingCapability)
        .with_detail("moving an interface takes CAP_NET_ADMIN over both namespaces")
        .with_remedy(
            "Run it with sudo. Without privilege, an interface moves only between namespaces that one \
             program has made.",
        )
}
