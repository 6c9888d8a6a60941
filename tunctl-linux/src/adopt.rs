//! Adopting: from an attached descriptor to a device. Everything is asked of the kernel, and nothing of it
//! changes before it is known that the descriptor can be adopted.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use tunctl_core::{
    Adopt, AdoptError, Cause, CreateFlags, Error, InterfaceInfo, InterfaceName, Layer, Operation, Reason, Uid,
};
use tunctl_packet::header::{HeaderKind, VnetFormat};
use tunctl_sys::linux::iff;
use tunctl_sys::linux::tun::{self, TunFile};
use tunctl_sys::linux::tun_probe::offer_unreadable;

use crate::attach::attached_link;
use crate::errno;
use crate::netlink::{Link, Netlink};
use crate::offload;
use crate::opener::Opener;
use crate::{LinuxBackend, LinuxDevice, LinuxInterface, Namespace, remedy};

impl Adopt for LinuxBackend {
    /// # Platform
    ///
    /// With `CAP_NET_ADMIN` over the interface's network namespace, the kernel says which namespace that is.
    /// If it is not the backend's, its interface is configured by a socket that is opened there, as
    /// [`Namespace`] documents. Without `CAP_NET_ADMIN`, the interface is looked for in the backend's
    /// namespace, and is taken for it only if packets that the driver refuses on the descriptor are counted
    /// there: it has dropped (`rx_dropped`) five more packets afterwards. If it is not found, and on a tun
    /// without packet information or virtio-net header, it has dropped one more. A program that knows better
    /// uses the interface of that name:
    /// [`backend.interface(&tun.name()?)`](tunctl_core::TunBackend::interface).
    ///
    /// What the kernel does not report stays as it is, and is the giver's to say: the offloads that are
    /// switched on, filters, and the send buffer. A queue that is [detached](tunctl_core::Queues) stays so.
    fn adopt(&self, fd: OwnedFd) -> Result<LinuxDevice, AdoptError> {
        let file = TunFile::new(fd)
            .map_err(|(fd, error)| AdoptError::new(refused(&error).of(Operation::Adopt), fd))?;
        match Adoption::of(&file, self.opener(), Proof::Counters) {
            Ok(Adoption { interface, flags, headers }) => {
                Ok(LinuxDevice::new(file, interface, flags, headers))
            }
            Err((reason, name)) => {
                let error = reason.of(Operation::Adopt);
                Err(AdoptError::new(name.into_iter().fold(error, Error::with_name), file.into()))
            }
        }
    }
}

/// Why a descriptor cannot be adopted, and the interface's name as far as it is known.
type Refusal = (Reason, Option<InterfaceName>);

/// How an interface is shown to be the one that a descriptor is attached to, if the kernel does not say so
/// for lack of a right.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// It counts packets that the driver refuses on the descriptor. Nothing else changes.
    Counters,
    /// It belongs to this user, and to root for a moment if the descriptor says so. Root may attach to it in
    /// any case. Nothing is counted, which is for an interface that nobody else has used yet.
    Owner(Uid),
}

/// What is known of a descriptor that can be adopted.
pub(crate) struct Adoption {
    pub(crate) interface: LinuxInterface,
    pub(crate) flags: CreateFlags,
    pub(crate) headers: HeaderKind,
}

impl Adoption {
    /// Asks the driver first. The packets that show the rest must not wait for room, so the descriptor's own
    /// flags come before them; if it cannot be adopted after all, it gets back those that it had.
    pub(crate) fn of(fd: &TunFile, opener: &Opener, proof: Proof) -> Result<Self, Refusal> {
        let seen = Seen::of(fd).map_err(|reason| (reason, None))?;
        let refuse = |reason: Reason| (reason, Some(seen.name));
        let format = seen.vnet_format(fd).map_err(refuse)?;
        let before = set_flags(fd).map_err(|errno| refuse(with_errno(errno, remedy::from_errno(errno))))?;
        Self::of_seen(&seen, format, fd, opener, proof).map_err(|reason| {
            // Nothing forbids to set what was set before.
            let _ = fcntl(fd, FcntlArg::F_SETFL(before.0));
            let _ = fcntl(fd, FcntlArg::F_SETFD(before.1));
            refuse(reason)
        })
    }

    fn of_seen(
        seen: &Seen,
        format: Option<VnetFormat>,
        fd: &TunFile,
        opener: &Opener,
        proof: Proof,
    ) -> Result<Self, Reason> {
        let (interface, has_packet_info) = match seen.locate(fd, opener, proof) {
            Ok((netlink, info)) => {
                (LinuxInterface::new(netlink, &info), !info.flags.contains(CreateFlags::NO_PI))
            }
            Err(reason) if reason.cause() == Cause::UnknownInterface => {
                (LinuxInterface::unknown(seen.name, seen.layer, reason), seen.has_packet_info(fd)?)
            }
            Err(reason) => return Err(reason),
        };
        let mut flags = seen.flags;
        flags.set(CreateFlags::NO_PI, !has_packet_info);
        let headers = match (has_packet_info, format) {
            (false, None) => HeaderKind::Bare,
            (true, None) => HeaderKind::PacketInfo,
            (false, Some(format)) => HeaderKind::Vnet(format),
            (true, Some(format)) => HeaderKind::PacketInfoAndVnet(format),
        };
        Ok(Self { interface, flags, headers })
    }
}

/// What the driver reports of an attached descriptor.
struct Seen {
    name: InterfaceName,
    layer: Layer,
    /// Without `NO_PI`, which the driver also reports where no filter is attached.
    flags: CreateFlags,
    persistent: bool,
}

impl Seen {
    fn of(fd: &TunFile) -> Result<Self, Reason> {
        let request = tun::iff(fd).map_err(|error| refused(&error))?;
        let name = InterfaceName::from_kernel(request.name())
            .map_err(|invalid| Reason::new(Cause::Other).with_detail(invalid.to_string()))?;
        let layer = if request.flags() & iff::TUN != 0 { Layer::Tun } else { Layer::Tap };
        let flags = CreateFlags::from_bits_truncate(request.flags()) - CreateFlags::NO_PI;
        Ok(Self { name, layer, flags, persistent: request.flags() & iff::PERSIST != 0 })
    }

    /// The format of the virtio-net headers, if packets have one.
    fn vnet_format(&self, fd: &TunFile) -> Result<Option<VnetFormat>, Reason> {
        if !self.flags.contains(CreateFlags::VNET_HDR) {
            return Ok(None);
        }
        let format = offload::format_of(fd).map_err(|error| refused(&error))?;
        format.map(Some).map_err(remedy::unknown_header_size)
    }

    /// Whether packets have packet information, by packets that the driver cannot read (`tun_get_user`, Linux
    /// 6.18). It copies packet information before it looks at the length of the rest, and looks whether there
    /// is room for it before that.
    fn has_packet_info(&self, fd: &TunFile) -> Result<bool, Reason> {
        let is_bare_tun = self.layer == Layer::Tun && !self.flags.contains(CreateFlags::VNET_HDR);
        let unreadable = if is_bare_tun { 3 } else { 4 };
        let errno = offer_unreadable(fd.as_fd(), 0, unreadable).map_err(|error| refused(&error))?;
        match Errno::from_raw(errno) {
            Errno::EBADFD => Err(refused(&Errno::EBADFD.into())),
            // Without packet information, three bytes are a packet, which cannot be copied, or for which
            // there is no room.
            Errno::EINVAL => Ok(is_bare_tun),
            _ if is_bare_tun => Ok(false),
            // Without it, four are too few for a virtio-net header or a frame.
            Errno::EFAULT => Ok(true),
            errno => Err(with_errno(errno, remedy::from_errno(errno))),
        }
    }

    /// Finds the interface, and a socket that can configure it.
    fn locate(
        &self,
        fd: &TunFile,
        opener: &Opener,
        proof: Proof,
    ) -> Result<(Arc<Netlink>, InterfaceInfo), Reason> {
        let proven = match tun::device_namespace(fd) {
            Ok(namespace) => Some(namespace),
            Err(error) => match errno::of(&error) {
                errno @ (Errno::EMFILE | Errno::ENFILE | Errno::EBADFD) => {
                    return Err(refused(&errno.into()));
                }
                // No right to ask, a kernel that does not know the request, or a sandbox.
                _ => None,
            },
        };
        let is_proven = proven.is_some();
        let elsewhere = match proven.map(Namespace::from_file).transpose()?.flatten() {
            Some(namespace) if namespace.link() != opener.namespace() => Some(Opener::There(namespace)),
            _ => None,
        };
        let opener = elsewhere.as_ref().unwrap_or(opener);
        let netlink = Netlink::open(opener).map_err(remedy::unknown_without_netlink)?;
        let info = attached_link(fd, self.name, &netlink).map_err(|error| remedy::unknown_after(&error))?;
        let found = info.filter(|info| is_proven || self.is_proven(fd, &netlink, info, proof));
        found.map(|info| (netlink, info)).ok_or_else(remedy::unknown_elsewhere)
    }

    /// Whether an interface of the same name is the one that the descriptor is attached to.
    fn is_proven(&self, fd: &TunFile, netlink: &Netlink, info: &InterfaceInfo, proof: Proof) -> bool {
        let theirs = info.flags - CreateFlags::NO_PI;
        // Netlink does not report the others.
        let ours = self.flags - CreateFlags::ONE_QUEUE - CreateFlags::OPTIONAL;
        let is_alike = (info.layer, theirs, info.persistent) == (self.layer, ours, self.persistent);
        is_alike
            && match proof {
                Proof::Owner(owner) if info.owner == Some(owner) && owner != ROOT => {
                    changes_owner(fd, netlink, info, owner)
                }
                _ => [2, 3].into_iter().all(|packets| counts(fd, netlink, info, packets)),
            }
    }
}

/// How often a count is begun again into which other packets came.
const ATTEMPTS: usize = 8;

/// More than all headers of a packet, of which zeros make valid ones.
const HEADERS: usize = 64;
/// More than the least that the driver wants behind the headers.
const BEHIND_HEADERS: usize = 14;

/// Whether an interface has dropped exactly that many more packets after that many were refused.
fn counts(fd: &TunFile, netlink: &Netlink, info: &InterfaceInfo, packets: u64) -> bool {
    for _ in 0..ATTEMPTS {
        let Some(before) = netlink.dropped_from_program(info.index) else { return false };
        let refuse = || offer_unreadable(fd.as_fd(), HEADERS, BEHIND_HEADERS);
        let is_refused = |_| refuse().is_ok_and(|errno| errno == Errno::EFAULT as i32);
        if !(0..packets).all(is_refused) {
            return false;
        }
        match netlink.dropped_from_program(info.index).and_then(|after| after.checked_sub(before)) {
            Some(counted) if counted == packets => return true,
            Some(counted) if counted > packets => {}
            _ => return false,
        }
    }
    false
}

const ROOT: Uid = match Uid::new(0) {
    Some(root) => root,
    None => unreachable!(),
};

/// Whether an interface has the owner that is set by a descriptor. In a user namespace without root, none
/// other can be set.
fn changes_owner(fd: &TunFile, netlink: &Netlink, info: &InterfaceInfo, owner: Uid) -> bool {
    let has = |owner: Uid| {
        tun::set_owner(fd, owner.get()).is_ok()
            && matches!(
                netlink.link_by_index(info.index),
                Ok(Some(Link::Tun(now))) if now.owner == Some(owner)
            )
    };
    // It gets its owner back, whatever is seen.
    [has(ROOT), has(owner)] == [true; 2]
}

/// Makes the descriptor close-on-exec, and its open file non-blocking. Returns what they were.
fn set_flags(fd: &TunFile) -> nix::Result<(OFlag, FdFlag)> {
    let file = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    let descriptor = FdFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFD)?);
    fcntl(fd, FcntlArg::F_SETFL(file | OFlag::O_NONBLOCK))?;
    fcntl(fd, FcntlArg::F_SETFD(descriptor | FdFlag::FD_CLOEXEC))?;
    Ok((file, descriptor))
}

/// The driver refused a question about a descriptor.
fn refused(error: &io::Error) -> Reason {
    let errno = errno::of(error);
    with_errno(errno, remedy::adopt(errno))
}

fn with_errno(errno: Errno, reason: Reason) -> Reason {
    reason.with_errno(errno as i32)
}
