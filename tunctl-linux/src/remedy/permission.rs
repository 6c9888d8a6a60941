//! Which right is missing.

use nix::errno::Errno;
use tunctl_core::{Cause, CreateFlags, InterfaceInfo, InterfaceName, Reason};

use super::{CallerContext, from_errno};

/// The interface is somebody else's.
pub(super) fn not_owner(info: &InterfaceInfo, context: &CallerContext) -> Reason {
    let belongs = [info.owner.map(|uid| format!("user {uid}")), info.group.map(|gid| format!("group {gid}"))];
    let belongs = belongs.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    Reason::new(Cause::NotOwner)
        .with_detail(format!(
            "the interface belongs to {belongs}, and this process runs as uid {}",
            context.uid
        ))
        .with_remedy("Run it as that user and group, or with sudo.")
}

/// `EPERM` where the kernel itself asks for `CAP_NET_ADMIN`.
pub(super) fn unprivileged(context: &CallerContext) -> Reason {
    if context.net_admin && context.governs {
        return Reason::new(Cause::Sandboxed)
            .with_detail("CAP_NET_ADMIN is in force, so it is a sandbox that forbids this system call")
            .with_remedy(
                "Look for a seccomp filter (Seccomp: 2 in /proc/self/status; of a systemd service, \
                 SystemCallFilter=; of a container, its seccomp profile) or a security module.",
            );
    }
    if context.net_admin {
        return foreign("CAP_NET_ADMIN");
    }
    missing(context, "")
}

/// `EPERM` where a new interface was asked for. Then there is a third way: to open one that root has made.
pub(super) fn may_not_create(
    flags: CreateFlags,
    name: Option<InterfaceName>,
    context: &CallerContext,
) -> Reason {
    if context.net_admin {
        return unprivileged(context);
    }
    let mode = if flags.contains(CreateFlags::TAP) { "tap" } else { "tun" };
    let queues = if flags.contains(CreateFlags::MULTI_QUEUE) { " multi_queue" } else { "" };
    let name = name.map_or_else(|| "NAME".to_owned(), |name| name.to_string());
    let uid = context.uid;
    missing(
        context,
        &format!(
            " Or let root make the interface, for this user to open: sudo ip tuntap add dev {name} mode \
             {mode} user {uid}{queues}."
        ),
    )
}

fn missing(context: &CallerContext, more: &str) -> Reason {
    let missing = Reason::new(Cause::MissingCapability).with_detail("CAP_NET_ADMIN is missing");
    if context.container && !context.net_admin_in_reach {
        return missing.with_remedy("Start the container with --cap-add NET_ADMIN.");
    }
    missing.with_remedy(format!(
        "Run it with sudo, or give the program the capability: sudo setcap cap_net_admin=ep {}.{more} To \
         try it without privilege, enter a new namespace: unshare --user --map-root-user --net.",
        context.program
    ))
}

fn foreign(capability: &str) -> Reason {
    Reason::new(Cause::ForeignNamespace)
        .with_detail(format!(
            "{capability} is held in another user namespace, not in the one that owns this network namespace"
        ))
        .with_remedy(
            "Enter a network namespace together with the user namespace: \
             unshare --user --map-root-user --net.",
        )
}

/// `EPERM` where NAPI fragments were asked for (`tun_set_iff`, Linux 6.18).
pub(super) fn fragments_refused() -> Reason {
    Reason::new(Cause::ForeignNamespace)
        .with_detail(
            "NAPI fragments take CAP_NET_ADMIN in the first user namespace, and it is held in another one",
        )
        .with_remedy("Run it as root of the machine, or leave them out.")
}

/// A packet socket could not be opened.
pub(crate) fn observe(errno: Errno, context: &CallerContext) -> Reason {
    match errno {
        Errno::EPERM if context.net_raw && !context.governs => foreign("CAP_NET_RAW"),
        Errno::EPERM if !context.net_raw => Reason::new(Cause::MissingCapability)
            .with_detail("CAP_NET_RAW is missing")
            .with_remedy("Run it with sudo, or in a new namespace: unshare --user --map-root-user --net."),
        errno => socket(errno, "AF_PACKET"),
    }
}

/// A socket of this family could not be opened, although its opening takes no right that is missing.
pub(crate) fn socket(errno: Errno, family: &str) -> Reason {
    match errno {
        // A kernel that was built without the family answers as systemd's filter does.
        Errno::EAFNOSUPPORT | Errno::EPERM | Errno::EACCES => Reason::new(Cause::Sandboxed)
            .with_detail(format!("a sandbox forbids {family} sockets"))
            .with_remedy(format!(
                "Add {family} to RestrictAddressFamilies= of a systemd service, or to the seccomp profile of \
                 a container."
            )),
        errno => from_errno(errno),
    }
}
