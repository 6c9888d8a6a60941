//! From an errno and the caller's context to a reason: pure functions, so that tests cover every row.
//!
//! Where one errno has several causes, [`diagnose`](crate::diagnose) asks the system which one applies. A
//! remedy that is the same on every system stands beside the cause, in tunctl-core. This file has those that
//! name a command of Linux.

mod adopt;
mod helper;
mod namespace;
mod node;
mod packet;
mod permission;

use nix::errno::Errno;
use tunctl_core::{
    Cause, CreateFlags, Holder, InterfaceIndex, InterfaceName, Layer, Offloads, Operation, Reason,
};
use tunctl_packet::header::Endian;

use crate::netlink::Link;

pub(crate) use adopt::{
    adopt, unknown_after, unknown_elsewhere, unknown_header_size, unknown_without_netlink,
};
pub(crate) use helper::{Helped, helper_refused, unusable_helper};
use namespace::may_not_move;
pub(crate) use namespace::{
    may_not_enter, no_namespace_at, no_namespace_of, no_thread_enters, not_a_namespace,
};
pub(crate) use node::{node, other_driver};
pub(crate) use packet::{pieces, receive, send};
use permission::{fragments_refused, may_not_create, not_owner, unprivileged};
pub(crate) use permission::{observe, socket};

/// What the system reports about the caller after a failure.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallerContext {
    /// The process runs in a container, as far as the marks of container engines show.
    pub(crate) container: bool,
    /// The thread has `CAP_NET_ADMIN` in its effective set.
    pub(crate) net_admin: bool,
    /// The thread has `CAP_NET_RAW` in its effective set.
    pub(crate) net_raw: bool,
    /// Its capabilities count in its network namespace: its user namespace, or one below, owns that.
    pub(crate) governs: bool,
    /// `CAP_NET_ADMIN` is in the bounding set: root, or a program with a file capability, can have it here.
    pub(crate) net_admin_in_reach: bool,
    /// The caller's effective uid.
    pub(crate) uid: u32,
    /// The program, for `setcap`.
    pub(crate) program: String,
}

impl CallerContext {
    /// Whether the kernel itself would refuse no change of the network.
    pub(crate) fn is_privileged(&self) -> bool {
        self.net_admin && self.governs
    }
}

/// What an attempt to attach asked for, and found.
pub(crate) struct Attempt<'a> {
    pub(crate) operation: Operation,
    pub(crate) flags: CreateFlags,
    pub(crate) name: Option<InterfaceName>,
    pub(crate) index: Option<InterfaceIndex>,
    /// The interface that has the name.
    pub(crate) existing: Option<&'a Link>,
    /// The processes that are seen to hold it.
    pub(crate) holders: Vec<Holder>,
}

/// `TUNSETIFF` failed on an open node.
pub(crate) fn attach(errno: Errno, attempt: Attempt<'_>, context: &CallerContext) -> Reason {
    let Attempt { operation, flags, name, index, existing, holders } = attempt;
    match (errno, existing) {
        (Errno::ENOTTY | Errno::ENOSYS, _) => other_driver(errno),
        (_, None) if operation == Operation::Open => not_found(),
        // The name is free, so the index is not.
        (Errno::EBUSY, None) if index.is_some() => index_taken(index),
        (Errno::EBUSY | Errno::EINVAL, Some(Link::Other(_))) => not_a_tun(),
        (Errno::EBUSY, _) if flags.contains(CreateFlags::TUN_EXCL) => {
            exists(existing, flags).with_holders(holders)
        }
        (Errno::EBUSY, _) => busy(holders, context),
        (Errno::EINVAL, Some(Link::Tun(info))) if Some(info.layer) != flags.layer() => {
            layer_mismatch(info.layer)
        }
        (Errno::EINVAL, Some(Link::Tun(info))) => {
            let several = info.flags.contains(CreateFlags::MULTI_QUEUE);
            if several == flags.contains(CreateFlags::MULTI_QUEUE) {
                from_errno(errno)
            } else {
                queue_mismatch(several)
            }
        }
        (Errno::EINVAL, None) => Reason::new(Cause::InvalidName).with_detail("the kernel refuses the name"),
        (Errno::E2BIG, _) => Reason::new(Cause::TooManyQueues),
        // With one more digit the name would have 16 bytes. The kernel cuts it to 15, and that name exists.
        (Errno::ENFILE | Errno::EEXIST, None) => Reason::new(Cause::Exists)
            .with_detail("every number that the pattern could take is taken")
            .with_remedy("Choose another pattern, or delete interfaces that are not needed."),
        // The kernel asks for this right before it looks whose the interface is.
        (Errno::EPERM, _) if flags.contains(CreateFlags::NAPI_FRAGS) => {
            if context.is_privileged() {
                fragments_refused()
            } else {
                unprivileged(context)
            }
        }
        (Errno::EPERM, Some(Link::Tun(info)))
            if (info.owner.is_some() || info.group.is_some()) && !context.is_privileged() =>
        {
            not_owner(info, context)
        }
        (Errno::EPERM, None) => may_not_create(flags, name, context),
        (Errno::EPERM, _) => unprivileged(context),
        (errno, _) => from_errno(errno),
    }
}

/// The chosen index is that of another interface.
fn index_taken(index: Option<InterfaceIndex>) -> Reason {
    let index = index.map(|index| format!(" {index}")).unwrap_or_default();
    Reason::new(Cause::Busy)
        .with_detail(format!("another interface has the index{index}"))
        .with_remedy("Choose another index, or leave it to the kernel.")
}

/// The name is taken, and a new interface was asked for.
fn exists(existing: Option<&Link>, flags: CreateFlags) -> Reason {
    match existing {
        Some(Link::Tun(info)) if Some(info.layer) != flags.layer() => Reason::new(Cause::Exists)
            .with_detail(format!("an interface of that name exists already, as a {}", kind(info.layer)))
            .with_remedy("Choose another name, or delete it first."),
        _ => Reason::new(Cause::Exists),
    }
}

/// A change of an interface, by netlink or on a descriptor, failed.
pub(crate) fn configure(errno: Errno, operation: Operation, context: &CallerContext) -> Reason {
    match (errno, operation) {
        // The driver (tun_device_event) returns NOTIFY_BAD when it cannot resize its queues, and the kernel
        // turns that into EPERM.
        (Errno::EPERM, Operation::SetQueueLength) if context.is_privileged() => {
            Reason::new(Cause::InvalidValue)
                .with_detail("the kernel has no memory for open queues of that length")
        }
        (Errno::EPERM, Operation::Move) => may_not_move(),
        // The driver's own answer (tun_net_change_carrier).
        (Errno::EPERM, Operation::SetCarrier) if context.is_privileged() => Reason::new(Cause::NoQueue),
        (Errno::EPERM, _) => unprivileged(context),
        (Errno::ENODEV | Errno::EBADFD, _) => gone(),
        (Errno::EEXIST, Operation::Move) => Reason::new(Cause::Exists)
            .with_detail("the other namespace has an interface of that name")
            .with_remedy("Rename one of the two first."),
        (Errno::EINVAL, Operation::SetOwner | Operation::SetGroup) => Reason::new(Cause::UnmappedId)
            .with_remedy("In a user namespace, only the ids that /proc/self/uid_map and gid_map list exist."),
        (Errno::EINVAL, Operation::AttachQueue | Operation::DetachQueue) => Reason::new(Cause::InvalidQueue),
        (Errno::EINVAL | Errno::ERANGE, Operation::SetMtu) => {
            Reason::new(Cause::InvalidMtu).with_remedy("A tun takes 68 to 65535 bytes, a tap at most 65521.")
        }
        (Errno::EOPNOTSUPP, Operation::SetMac) => Reason::new(Cause::LayerMismatch)
            .with_detail("a tun has no MAC address")
            .with_remedy("Create a tap."),
        // A program is checked before it comes here, so that only the layer is left.
        (Errno::EINVAL, Operation::AttachFilter | Operation::DetachFilter | Operation::SetMacFilter) => {
            Reason::new(Cause::LayerMismatch)
                .with_detail("a tun has no such filter")
                .with_remedy("Create a tap, or filter packets where they are received.")
        }
        // The limit of sk_attach_filter.
        (Errno::ENOMEM, Operation::AttachFilter) => Reason::new(Cause::InvalidValue)
            .with_detail("the program is longer than the system permits")
            .with_remedy("Shorten it, or raise the sysctl net.core.optmem_max."),
        (Errno::EINVAL | Errno::EBADF, Operation::SetFilterProgram | Operation::SetSteeringProgram) => {
            Reason::new(Cause::InvalidValue)
                .with_detail("the descriptor is not one of an eBPF program for socket filters")
                .with_remedy("Load a program of the type BPF_PROG_TYPE_SOCKET_FILTER.")
        }
        // An attribute's policy (nla_validate) says how long or large it may be.
        (Errno::ERANGE, _) => Reason::new(Cause::InvalidValue),
        (Errno::EADDRNOTAVAIL, Operation::SetMac) => Reason::new(Cause::InvalidMac),
        (Errno::EEXIST, Operation::Rename) => Reason::new(Cause::Exists),
        (Errno::EINVAL, Operation::Rename) => Reason::new(Cause::InvalidName),
        (Errno::EBUSY, Operation::Rename) => Reason::new(Cause::Busy)
            .with_detail("the interface is up, and this kernel renames only interfaces that are down")
            .with_remedy("Take it down first."),
        (Errno::EBUSY, Operation::SetLinkType) => Reason::new(Cause::Busy)
            .with_detail("the interface is up, and its link type changes only while it is down")
            .with_remedy("Take it down first."),
        (Errno::EADDRNOTAVAIL, Operation::RemoveAddress) => Reason::new(Cause::AddressNotFound),
        (Errno::EEXIST, Operation::AddAddress) => Reason::new(Cause::AddressExists),
        (Errno::EINVAL, Operation::AddAddress) => Reason::new(Cause::InvalidAddress).with_remedy(
            "If it is an IPv6 address: IPv6 is off on an interface with an MTU of less than 1280 bytes.",
        ),
        (Errno::EADDRNOTAVAIL, Operation::AddAddress) => Reason::new(Cause::InvalidAddress),
        // No module of the kernel takes the message (rtnetlink_rcv_msg).
        (Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, Operation::AddAddress) => Reason::new(Cause::NoIpv6)
            .with_detail("this kernel has no IPv6, or was started with ipv6.disable=1")
            .with_remedy("No sysctl switches it on: use IPv4, or start another kernel."),
        (errno, _) => from_errno(errno),
    }
}

/// IPv6 is switched off for the interface, as `addrconf_add_dev` (Linux 6.18) checks. The setting `all` would
/// switch it on for every interface of the namespace, and says nothing of this one.
pub(crate) fn ipv6_is_off(name: &InterfaceName) -> Reason {
    // In a key with dots, a slash stands for a dot of the name.
    let key = name.to_string().replace('.', "/");
    Reason::new(Cause::NoIpv6).with_detail("IPv6 is switched off for this interface").with_remedy(format!(
        "Switch it on: sudo sysctl net.ipv6.conf.{key}.disable_ipv6=0. A new interface begins with the \
         setting net.ipv6.conf.default.disable_ipv6."
    ))
}

/// Asking which interface a descriptor is attached to failed.
pub(crate) fn attached(errno: Errno) -> Reason {
    match errno {
        Errno::EBADFD => gone(),
        errno => from_errno(errno),
    }
}

pub(crate) fn gone() -> Reason {
    Reason::new(Cause::Gone)
}

pub(crate) fn not_found() -> Reason {
    Reason::new(Cause::NotFound).with_remedy(
        "Each network namespace has its own interfaces: look with ip link where this program runs.",
    )
}

pub(crate) fn not_a_tun() -> Reason {
    Reason::new(Cause::NotATun)
        .with_remedy("It is of another kind (ip -d link shows which): choose another name.")
}

const fn kind(layer: Layer) -> &'static str {
    match layer {
        Layer::Tun => "tun (IP packets)",
        Layer::Tap => "tap (Ethernet frames)",
    }
}

pub(crate) fn layer_mismatch(existing: Layer) -> Reason {
    let is = kind(existing);
    let wanted = match existing {
        Layer::Tun => "tap",
        Layer::Tap => "tun",
    };
    Reason::new(Cause::LayerMismatch)
        .with_detail(format!("the interface exists as a {is}, and a {wanted} was requested"))
}

fn queue_mismatch(existing_has_several: bool) -> Reason {
    let (is, advice) = if existing_has_several {
        ("with several queues", "Ask for multi_queue")
    } else {
        ("with a single queue", "Ask without multi_queue")
    };
    Reason::new(Cause::QueueMismatch)
        .with_detail(format!("the interface exists, and was created {is}"))
        .with_remedy(format!("{advice}, choose another name, or delete it first."))
}

pub(crate) fn header_mismatch(existing: CreateFlags) -> Reason {
    Reason::new(Cause::HeaderMismatch).with_detail(format!("its other queues use: {existing}"))
}

/// The running kernel's driver does not know these flags.
pub(crate) fn unknown_flags(flags: CreateFlags) -> Reason {
    Reason::new(Cause::Unsupported)
        .with_detail(format!("this kernel's driver does not know: {flags}"))
        .with_remedy("Leave it out, or boot a newer kernel: `tunctl features` shows what the driver knows.")
}

/// The other queues of the interface have a virtio-net header of that many bytes.
pub(crate) fn header_format(bytes: usize, endian: Option<Endian>) -> Reason {
    let order = match endian {
        Some(Endian::Little) => ", little endian",
        Some(Endian::Big) => ", big endian",
        Some(Endian::Native) | None => "",
    };
    Reason::new(Cause::HeaderMismatch)
        .with_detail(format!("its other queues use a virtio-net header of {bytes} bytes{order}"))
        .with_remedy("Ask for the same one (vnet_format), or use another interface.")
}

/// The other queues of the interface take these offloads.
pub(crate) fn other_offloads(offloads: Offloads) -> Reason {
    let theirs = if offloads.is_empty() { "none".to_owned() } else { offloads.to_string() };
    Reason::new(Cause::Busy)
        .with_detail(format!("its other queues share their offloads, which are: {theirs}"))
        .with_remedy("Ask for the same ones, or for none: the queue then takes what the others do.")
}

/// The only queue of the interface is taken.
fn busy(holders: Vec<Holder>, context: &CallerContext) -> Reason {
    let advice = if !holders.is_empty() {
        "A single queue takes one open device at a time: stop the program that holds it, or create the \
         interface with multi_queue."
    } else if context.uid == 0 {
        "Its holder is not visible here: it has just ended, or is in another namespace. Try again."
    } else {
        "A single queue takes one open device at a time. Its holder is not visible: it has just ended, so \
         try again; or it is a program of another user, which only root sees."
    };
    Reason::new(Cause::Busy).with_remedy(advice).with_holders(holders)
}

/// Other descriptors keep an interface alive that was to be destroyed.
pub(crate) fn kept_alive(holders: Vec<Holder>, context: &CallerContext) -> Reason {
    let advice = "Close them, or destroy it with CAP_NET_ADMIN, which deletes the interface under them.";
    let hidden = if context.uid == 0 { "" } else { " (Only root can see the programs of other users.)" };
    Reason::new(Cause::Busy)
        .with_detail("other descriptors keep the interface alive")
        .with_remedy(format!("{advice}{hidden}"))
        .with_holders(holders)
}

/// What an errno means in any operation.
pub(crate) fn from_errno(errno: Errno) -> Reason {
    match errno {
        Errno::EAGAIN => Reason::new(Cause::WouldBlock),
        Errno::EMFILE => {
            Reason::new(Cause::TooManyOpenFiles).with_detail("this process has as many files open as it may")
        }
        Errno::ENFILE => Reason::new(Cause::TooManyOpenFiles)
            .with_detail("the system has as many files open as it may")
            .with_remedy("Raise the sysctl fs.file-max, or close some files."),
        _ => Reason::new(Cause::Other),
    }
}

#[cfg(test)]
mod tests;
