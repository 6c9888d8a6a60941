//! From an errno, and what was going on, to a cause and a remedy: pure functions, so that every row is tested.
//!
//! Where one errno has several causes, [`diagnose`](crate::diagnose) has asked the system which it is.

use std::path::Path;

use nix::errno::Errno;
use tunctl_core::{Cause, CreateFlags, Error, Holder, Layer, Operation};

use crate::netlink::Link;

/// What an error will say, apart from what was asked and of whom.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    cause: Cause,
    detail: Option<String>,
    remedy: Option<String>,
    holders: Vec<Holder>,
}

impl Verdict {
    pub(crate) fn new(cause: Cause) -> Self {
        Self { cause, detail: None, remedy: None, holders: Vec::new() }
    }

    pub(crate) fn because(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    pub(crate) fn held_by(mut self, holders: Vec<Holder>) -> Self {
        self.holders = holders;
        self
    }

    pub(crate) fn into_error(self, operation: Operation) -> Error {
        let mut error = Error::new(operation, self.cause).with_holders(self.holders);
        if let Some(detail) = self.detail {
            error = error.with_detail(detail);
        }
        match self.remedy {
            Some(remedy) => error.with_remedy(remedy),
            None => error,
        }
    }
}

/// What the system was asked about itself after a failure.
#[derive(Clone, Debug, Default)]
pub(crate) struct Situation {
    /// The process runs in a container, as far as container engines leave a mark.
    pub(crate) container: bool,
    /// The thread has `CAP_NET_ADMIN` in its effective set.
    pub(crate) net_admin: bool,
    /// The handle was made by a thread without `CAP_NET_ADMIN`.
    pub(crate) opened_without: bool,
    /// `CAP_NET_ADMIN` is in the bounding set: root, or a program with a file capability, can have it here.
    pub(crate) net_admin_in_reach: bool,
    /// The caller's effective uid.
    pub(crate) uid: u32,
    /// The program, for `setcap`.
    pub(crate) program: String,
}

/// The device node could not be opened.
pub(crate) fn node(errno: Errno, node: &Path, situation: &Situation) -> Verdict {
    let node = node.display();
    match errno {
        Errno::ENOENT | Errno::ENOTDIR if situation.container => Verdict::new(Cause::MissingNode)
            .because(format!("{node} does not exist in this container"))
            .remedy("Start the container with --device /dev/net/tun --cap-add NET_ADMIN."),
        Errno::ENOENT | Errno::ENOTDIR => {
            Verdict::new(Cause::MissingNode).because(format!("{node} does not exist")).remedy(
                "Load the driver: sudo modprobe tun. Where devices are made by hand: \
                 sudo mkdir -p /dev/net && sudo mknod -m 0666 /dev/net/tun c 10 200.",
            )
        }
        Errno::ENODEV | Errno::ENXIO => Verdict::new(Cause::MissingDriver)
            .because(format!("no driver answers behind {node}"))
            .remedy("Load the driver: sudo modprobe tun (a kernel built without CONFIG_TUN has none)."),
        Errno::EACCES if situation.uid == 0 => Verdict::new(Cause::ClosedNode)
            .because(format!(
                "{node} is closed to this user: by its mode, which root of a user namespace or container does not \
                 override, or by a nodev mount"
            ))
            .remedy(
                "Run it with sudo, or have root of the machine open the node: sudo chmod 0666 /dev/net/tun.",
            ),
        Errno::EACCES => Verdict::new(Cause::ClosedNode)
            .because(format!("the mode of {node} does not let this user open it"))
            .remedy(
                "Run it with sudo, or open the node, which still asks for the capability to create: \
                 sudo chmod 0666 /dev/net/tun.",
            ),
        Errno::EPERM => Verdict::new(Cause::ContainerRules)
            .because(format!("the device rules of this container, or service, forbid {node}"))
            .remedy(
                "Start the container with --device /dev/net/tun --cap-add NET_ADMIN; give a systemd service \
                 DeviceAllow=/dev/net/tun rw.",
            ),
        errno => general(errno),
    }
}

/// `TUNSETIFF` failed on an open node. `existing` is what has the name that was asked for.
pub(crate) fn attach(
    errno: Errno,
    operation: Operation,
    flags: CreateFlags,
    existing: Option<&Link>,
    situation: &Situation,
) -> Verdict {
    match (errno, existing) {
        (Errno::ENOTTY | Errno::ENOSYS, _) => Verdict::new(Cause::MissingDriver)
            .because("the node that was opened is not the TUN/TAP driver's")
            .remedy("The driver's node is /dev/net/tun (character device 10, 200)."),
        (_, None) if operation == Operation::Open => not_found(),
        (Errno::EBUSY | Errno::EINVAL, Some(Link::Other(_))) => not_a_tun(),
        (Errno::EBUSY, _) if flags.contains(CreateFlags::TUN_EXCL) => Verdict::new(Cause::Exists)
            .remedy("Choose another name, open the one that exists, or delete it first."),
        (Errno::EBUSY, _) => busy(),
        (Errno::EINVAL, Some(Link::Tun(info))) if Some(info.layer) != flags.layer() => {
            layer_mismatch(info.layer)
        }
        (Errno::EINVAL, Some(Link::Tun(info))) => {
            let several = info.flags.contains(CreateFlags::MULTI_QUEUE);
            if several == flags.contains(CreateFlags::MULTI_QUEUE) {
                general(errno)
            } else {
                queue_mismatch(several)
            }
        }
        (Errno::EINVAL, None) => Verdict::new(Cause::InvalidName).because("the kernel refuses the name"),
        (Errno::E2BIG, _) => Verdict::new(Cause::TooManyQueues)
            .remedy("A queue of yours that you no longer need makes room when it is closed."),
        // With a longer number the name would have 16 bytes; the kernel cuts it, and finds that one taken.
        (Errno::ENFILE | Errno::EEXIST, None) => Verdict::new(Cause::Exists)
            .because("every number that the pattern could take is taken")
            .remedy("Choose another pattern, or delete interfaces that nobody needs."),
        (Errno::EPERM, Some(Link::Tun(info))) if info.owner.is_some() || info.group.is_some() => {
            let belongs =
                [info.owner.map(|uid| format!("user {uid}")), info.group.map(|gid| format!("group {gid}"))];
            let belongs = belongs.into_iter().flatten().collect::<Vec<_>>().join(" and ");
            Verdict::new(Cause::NotOwner)
                .because(format!(
                    "the interface belongs to {belongs}, and this process runs as uid {}",
                    situation.uid
                ))
                .remedy("Run it as that user and group, or with sudo.")
        }
        (Errno::EPERM, _) => unprivileged(situation),
        (errno, _) => general(errno),
    }
}

/// A change of an interface, by netlink or on a descriptor, failed.
pub(crate) fn configure(errno: Errno, operation: Operation, situation: &Situation) -> Verdict {
    match (errno, operation) {
        (Errno::EPERM, _) => unprivileged(situation),
        (Errno::ENODEV | Errno::EBADFD, _) => gone(),
        (Errno::EINVAL, Operation::SetOwner | Operation::SetGroup) => Verdict::new(Cause::UnmappedId)
            .remedy("In a user namespace, only the ids that /proc/self/uid_map and gid_map list exist."),
        (Errno::EINVAL, Operation::AttachQueue | Operation::DetachQueue) => Verdict::new(Cause::InvalidQueue)
            .remedy("Queues come and go on an interface that was created with multi_queue."),
        (Errno::EINVAL | Errno::ERANGE, Operation::SetMtu) => {
            Verdict::new(Cause::InvalidMtu).remedy("A tun takes 68 to 65535 bytes, a tap at most 65521.")
        }
        (Errno::EOPNOTSUPP, Operation::SetMac) => {
            Verdict::new(Cause::LayerMismatch).because("a tun has no MAC address").remedy("Create a tap.")
        }
        (Errno::EADDRNOTAVAIL, Operation::SetMac) => Verdict::new(Cause::InvalidMac),
        (Errno::EEXIST, Operation::Rename) => Verdict::new(Cause::Exists),
        (Errno::EINVAL, Operation::Rename) => Verdict::new(Cause::InvalidName),
        (Errno::EBUSY, Operation::Rename) => Verdict::new(Cause::Busy)
            .because("the interface is up, and this kernel renames only what is down")
            .remedy("Take it down first."),
        (Errno::EADDRNOTAVAIL, Operation::RemoveAddress) => Verdict::new(Cause::AddressNotFound)
            .remedy("Prefix length and peer must be those of the address that is there."),
        (Errno::EEXIST, Operation::AddAddress) => Verdict::new(Cause::AddressExists)
            .remedy("Remove the old one first, or replace the addresses as a whole."),
        (Errno::EINVAL, Operation::AddAddress) => Verdict::new(Cause::InvalidAddress).remedy(
            "If it is an IPv6 address: IPv6 is off on an interface whose MTU is less than 1280 bytes.",
        ),
        (Errno::EADDRNOTAVAIL, Operation::AddAddress) => Verdict::new(Cause::InvalidAddress),
        (Errno::EACCES | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT, Operation::AddAddress) => {
            Verdict::new(Cause::NoIpv6)
                .remedy("Switch it on: sysctl net.ipv6.conf.all.disable_ipv6=0 (and that of the interface).")
        }
        (errno, _) => general(errno),
    }
}

/// A question about what a descriptor is attached to failed.
pub(crate) fn attached(errno: Errno) -> Verdict {
    match errno {
        Errno::EBADFD => gone(),
        errno => general(errno),
    }
}

/// `read` into `room` bytes failed on a device with `flags`.
pub(crate) fn receive(errno: Errno, flags: CreateFlags, room: usize) -> Verdict {
    let headers = headers_length(flags);
    match errno {
        Errno::EBADFD => gone(),
        Errno::EINVAL if room < headers => Verdict::new(Cause::TooShort)
            .because(format!(
                "the buffer has {room} bytes, and the headers in front of a packet have {headers}"
            ))
            .remedy("Receive into a buffer of the MTU and the headers. The packet is lost."),
        errno => general(errno),
    }
}

/// `write` of `length` bytes failed on a device with `flags`.
pub(crate) fn send(errno: Errno, flags: CreateFlags, length: usize) -> Verdict {
    let least = least_length(flags);
    match errno {
        Errno::EBADFD => gone(),
        Errno::EIO => {
            Verdict::new(Cause::Down).remedy("Bring it up first, with up() or: ip link set NAME up.")
        }
        Errno::EINVAL if length < least => Verdict::new(Cause::TooShort)
            .because(format!("the packet has {length} bytes, and the headers alone have {least}"))
            .remedy(
                "A write is one whole packet, beginning with the headers that the device was created with.",
            ),
        Errno::EINVAL if headers_length(flags) > 0 => Verdict::new(Cause::MalformedPacket)
            .because("the headers in front of the packet, or the packet behind them, make no sense")
            .remedy(
                "This device was created with packet information or a virtio-net header: each write begins with them, and \
                 then has an IP packet (tun) or an Ethernet frame (tap).",
            ),
        Errno::EINVAL if flags.contains(CreateFlags::TUN) => Verdict::new(Cause::MalformedPacket)
            .because("on a tun, a packet begins with an IPv4 or IPv6 header")
            .remedy(
                "Its first four bits must be 4 or 6. Ethernet frames need a tap; a packet information or \
                 virtio-net header in front needs a device created with that header.",
            ),
        Errno::EINVAL => Verdict::new(Cause::MalformedPacket),
        errno => general(errno),
    }
}

/// The bytes in front of every packet of such a device.
fn headers_length(flags: CreateFlags) -> usize {
    let information = if flags.contains(CreateFlags::NO_PI) { 0 } else { 4 };
    let vnet = if flags.contains(CreateFlags::VNET_HDR) { 10 } else { 0 };
    information + vnet
}

/// The bytes that every packet of such a device has at least.
fn least_length(flags: CreateFlags) -> usize {
    headers_length(flags) + if flags.contains(CreateFlags::TAP) { 14 } else { 1 }
}

pub(crate) fn gone() -> Verdict {
    Verdict::new(Cause::Gone)
        .remedy("It was deleted, or moved to another namespace: close this device and create a new one.")
}

pub(crate) fn not_found() -> Verdict {
    Verdict::new(Cause::NotFound).remedy(
        "Each network namespace has interfaces of its own: look with ip link in the one where this program runs.",
    )
}

pub(crate) fn not_a_tun() -> Verdict {
    Verdict::new(Cause::NotATun)
        .remedy("It is of another kind (ip -d link tells which): choose another name.")
}

pub(crate) fn layer_mismatch(existing: Layer) -> Verdict {
    let (is, wanted) = match existing {
        Layer::Tun => ("tun (IP packets)", "tap"),
        Layer::Tap => ("tap (Ethernet frames)", "tun"),
    };
    Verdict::new(Cause::LayerMismatch)
        .because(format!("the interface exists as a {is}, and a {wanted} was asked for"))
        .remedy("Ask for the layer that it has, choose another name, or delete it first.")
}

fn queue_mismatch(existing_has_several: bool) -> Verdict {
    let (is, advice) = if existing_has_several {
        ("with several queues", "Ask for multi_queue")
    } else {
        ("with a single queue", "Ask without multi_queue")
    };
    Verdict::new(Cause::QueueMismatch)
        .because(format!("the interface exists, made {is}"))
        .remedy(format!("{advice}, choose another name, or delete it first."))
}

pub(crate) fn header_mismatch(existing: CreateFlags) -> Verdict {
    Verdict::new(Cause::HeaderMismatch)
        .because(format!("its other queues use: {existing}"))
        .remedy("Packet headers belong to all queues of an interface: ask for the same.")
}

pub(crate) fn header_size(bytes: i32) -> Verdict {
    Verdict::new(Cause::HeaderMismatch)
        .because(format!(
            "its other queues use a virtio-net header of {bytes} bytes, and this library one of 10"
        ))
        .remedy("Have the program that holds them use the usual size, or use an interface of your own.")
}

fn busy() -> Verdict {
    Verdict::new(Cause::Busy).remedy(
        "A single queue takes one open device at a time: stop the program that holds it, or create the interface \
         with multi_queue. (Programs of other users are seen only as root.)",
    )
}

fn unprivileged(situation: &Situation) -> Verdict {
    if situation.net_admin && situation.opened_without {
        return Verdict::new(Cause::MissingCapability)
            .because("it was opened without CAP_NET_ADMIN, and is configured with no more rights than that")
            .remedy("Open it again, now that the program has the capability.");
    }
    if situation.net_admin {
        return Verdict::new(Cause::ForeignNamespace)
            .remedy("Enter a network namespace together with the user namespace: unshare --user --map-root-user --net.");
    }
    let verdict = Verdict::new(Cause::MissingCapability);
    if situation.container && !situation.net_admin_in_reach {
        return verdict.remedy("Start the container with --cap-add NET_ADMIN.");
    }
    verdict.remedy(format!(
        "Run it with sudo, or give the program the capability: sudo setcap cap_net_admin=ep {}. To only try it, a \
         namespace of your own needs no privilege: unshare --user --map-root-user --net.",
        situation.program
    ))
}

/// What an errno means whatever was asked.
pub(crate) fn general(errno: Errno) -> Verdict {
    match errno {
        Errno::EAGAIN => Verdict::new(Cause::WouldBlock),
        Errno::EMFILE => Verdict::new(Cause::TooManyOpenFiles)
            .because("this process has as many files open as it may")
            .remedy("Raise the limit (ulimit -n), or close some."),
        Errno::ENFILE => Verdict::new(Cause::TooManyOpenFiles)
            .because("the system has as many files open as it may")
            .remedy("Raise the sysctl fs.file-max, or close some."),
        _ => Verdict::new(Cause::Other),
    }
}

#[cfg(test)]
mod tests;
