//! The device: an open descriptor of `/dev/net/tun`.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::uio::{readv, writev};
use tunctl_core::{
    Cause, CreateFlags, DestroyError, Error, Gid, Interface, InterfaceInfo, InterfaceName, Interrupter,
    Offloads, Operation, Queues, Readiness, Reason, Result, TunDevice, Uid, WaitOutcome,
};
use tunctl_packet::header::{HeaderKind, VnetFormat};
use tunctl_sys::linux::tun::{self, TunFile};

use crate::attach::attached_name;
use crate::diagnose;
use crate::errno;
use crate::netlink::Link;
use crate::remedy;
use crate::wait::wait;
use crate::{LinkType, LinuxInterface, Namespace, holders};

/// An open TUN/TAP device of Linux: one queue of an interface.
#[derive(Debug)]
pub struct LinuxDevice {
    /// Shared with the interface, which refers to it without keeping it open.
    pub(crate) fd: Arc<TunFile>,
    interface: LinuxInterface,
    flags: CreateFlags,
    /// Those of the flags, but for a virtio-net header in another format that the giver of an adopted
    /// descriptor has set.
    pub(crate) headers: HeaderKind,
}

impl LinuxDevice {
    pub(crate) fn new(
        fd: TunFile,
        interface: LinuxInterface,
        flags: CreateFlags,
        headers: HeaderKind,
    ) -> Self {
        let fd = Arc::new(fd);
        Self { interface: interface.of_device(&fd), fd, flags, headers }
    }

    /// The network namespace in which the interface is now: that of the device's creation, unless it was
    /// [moved](LinuxInterface::move_to).
    ///
    /// # Errors
    ///
    /// `MissingCapability` without `CAP_NET_ADMIN` over that namespace; `Gone`; `TooManyOpenFiles`.
    ///
    /// # Platform
    ///
    /// Linux 5.7 or later; `Unsupported` before.
    #[doc(alias = "TUNGETDEVNETNS")]
    pub fn namespace(&self) -> Result<Namespace> {
        let failed = |reason: Reason| reason.of(Operation::Namespace).with_name(self.interface.last_name());
        let file = tun::device_namespace(&*self.fd).map_err(|error| {
            let errno = errno::of(&error);
            let reason = match errno {
                Errno::EINVAL | Errno::ENOTTY => Reason::new(Cause::Unsupported),
                errno => remedy::configure(errno, Operation::Namespace, &diagnose::caller()),
            };
            failed(reason.with_errno(errno as i32))
        })?;
        let found = Namespace::from_file(file).map_err(failed)?;
        found.ok_or_else(|| failed(Cause::NotANamespace.into()))
    }

    pub(crate) fn file(&self) -> &TunFile {
        &self.fd
    }

    #[cold]
    pub(crate) fn error(&self, operation: Operation, errno: Errno, reason: Reason) -> Error {
        let name = attached_name(&self.fd).unwrap_or(self.interface.last_name());
        reason.with_errno(errno as i32).of(operation).with_name(name)
    }

    // Not cold: an event loop gets `EAGAIN` after each batch, so that case makes no further system call.
    fn receive_error(&self, errno: Errno, room: usize) -> Error {
        match errno {
            Errno::EAGAIN => would_block(Operation::Receive),
            errno => self.error(Operation::Receive, errno, remedy::receive(errno, self.headers, room)),
        }
    }

    fn send_error(&self, errno: Errno, length: usize) -> Error {
        match errno {
            Errno::EAGAIN => would_block(Operation::Send),
            errno => {
                self.error(Operation::Send, errno, remedy::send(errno, self.layer(), self.headers, length))
            }
        }
    }

    /// The error of a vectored call with this many pieces: if there are too many, the call did not reach the
    /// driver.
    fn vectored_error(&self, operation: Operation, errno: Errno, pieces: usize, length: usize) -> Error {
        match (remedy::pieces(errno, pieces), operation) {
            (Some(reason), _) => self.error(operation, errno, reason),
            (None, Operation::Receive) => self.receive_error(errno, length),
            (None, _) => self.send_error(errno, length),
        }
    }

    pub(crate) fn configured(&self, operation: Operation, outcome: io::Result<()>) -> Result<()> {
        outcome.map_err(|error| {
            let errno = errno::of(&error);
            self.error(operation, errno, remedy::configure(errno, operation, &diagnose::caller()))
        })
    }

    fn set_queue(&self, operation: Operation, attached: bool) -> Result<()> {
        let Err(error) = tun::set_queue(&*self.fd, attached) else { return Ok(()) };
        let errno = errno::of(&error);
        // The kernel reports the same errno for a deleted interface and for a queue already in that state.
        let is_gone = attached_name(&self.fd).is_err();
        let reason =
            if is_gone { remedy::gone() } else { remedy::configure(errno, operation, &diagnose::caller()) };
        Err(self.error(operation, errno, reason))
    }

    /// Sets how many bytes of the packets that it sent may be in flight. While there are as many or more, a
    /// send is refused with `WouldBlock`, or waits.
    ///
    /// A packet is in flight until the system has consumed it, and most are consumed before the send returns.
    /// One that is forwarded, as by a bridge, may wait at the other interface, where a slow link or a
    /// queueing discipline holds it. A send buffer then keeps a program from sending more than the link
    /// takes, which would be dropped there.
    ///
    /// A packet occupies more bytes than it has: about 800 if it is short, and about 2300 if it has 1500
    /// bytes (Linux 6.18 on x86-64). A wait ends when fewer than half of the bytes are in flight.
    ///
    /// It applies to all queues that are in service, and to none that is attached later. Opening a device
    /// resets it, to as good as no limit.
    ///
    /// # Errors
    ///
    /// `InvalidValue`: less than 2 bytes, with which no wait would ever end, or more than `i32::MAX`;
    /// `Gone`.
    #[doc(alias = "TUNSETSNDBUF")]
    pub fn set_send_buffer(&self, bytes: u32) -> Result<()> {
        const OPERATION: Operation = Operation::SetSendBuffer;
        match i32::try_from(bytes) {
            Ok(bytes @ 2..) => self.configured(OPERATION, tun::set_send_buffer(&*self.fd, bytes)),
            _ => {
                let reason = Reason::new(Cause::InvalidValue)
                    .with_detail(format!("a send buffer has from 2 to {} bytes", i32::MAX));
                Err(reason.of(OPERATION).with_name(self.interface.last_name()))
            }
        }
    }

    /// How many bytes of the packets that it sent may be in flight.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "TUNGETSNDBUF")]
    pub fn send_buffer(&self) -> Result<u32> {
        let bytes = tun::send_buffer(&*self.fd).map_err(|error| {
            let errno = errno::of(&error);
            self.error(Operation::Inspect, errno, remedy::attached(errno))
        })?;
        // The kernel has no negative ones.
        Ok(u32::try_from(bytes).unwrap_or_default())
    }

    /// Sets the link type of its interface, which tells programs that observe the interface what its packets
    /// start with. The driver itself does not use it. It takes no capability.
    ///
    /// # Errors
    ///
    /// `Busy`: the interface is up; `Gone`.
    #[doc(alias = "TUNSETLINK")]
    pub fn set_link_type(&self, link_type: LinkType) -> Result<()> {
        let set = tun::set_link_type(&*self.fd, link_type.get());
        self.configured(Operation::SetLinkType, set)
    }

    fn not_destroyed(self, errno: Errno) -> DestroyError<Self> {
        let reason = remedy::configure(errno, Operation::Destroy, &diagnose::caller());
        DestroyError::new(self.error(Operation::Destroy, errno, reason), Some(self))
    }

    /// The interface's report, if it is still in the namespace where the device was opened. In another one it
    /// cannot be queried, and its index may belong to another interface here.
    fn report_if_here(&self) -> Result<Option<InterfaceInfo>, Errno> {
        let name = attached_name(&self.fd).map_err(|error| errno::of(&error))?;
        if self.interface.is_unknown() {
            return Ok(None);
        }
        let found = self.interface.netlink().link_by_index(self.interface.index());
        match found.map_err(|error| errno::of(&error))? {
            Some(Link::Tun(info)) if info.name == name => Ok(Some(info)),
            _ => Ok(None),
        }
    }

    /// Destroys without the right to delete: the kernel removes the interface when its last descriptor
    /// closes, so this one must be the last.
    fn destroy_by_closing(self, here: Option<&InterfaceInfo>) -> Result<(), DestroyError<Self>> {
        let name = attached_name(&self.fd).unwrap_or(self.interface.last_name());
        let attached = match here {
            Some(info) => {
                let attached = holders::attached(&name, self.interface.netlink().namespace());
                // The kernel reports the number of queues. If this is the only one, only its duplicates
                // count: other descriptors of that name belong to interfaces in other namespaces.
                let is_only_queue = info.queues.is_none_or(|queues| queues <= 1);
                if is_only_queue { holders::duplicates(attached, self.fd.as_raw_fd()) } else { attached }
            }
            // After a move, a descriptor of that name may belong to another interface. It cannot be
            // distinguished from another queue of this one; a duplicate of this descriptor can.
            None if self.flags.contains(CreateFlags::MULTI_QUEUE) => holders::attached_anywhere(&name),
            None => holders::duplicates(holders::attached_anywhere(&name), self.fd.as_raw_fd()),
        };
        let this = (holders::this_process(), self.fd.as_raw_fd());
        let others: Vec<_> = attached.into_iter().filter(|one| (Some(one.pid), one.fd) != this).collect();
        if !others.is_empty() || here.and_then(|info| info.queues).is_some_and(|queues| queues > 1) {
            let reason = remedy::kept_alive(holders::processes(&others), &diagnose::caller());
            let error = reason.of(Operation::Destroy).with_name(name);
            return Err(DestroyError::new(error, Some(self)));
        }
        if let Err(error) = self.set_persist(false) {
            return Err(DestroyError::new(error, Some(self)));
        }
        let Self { fd, interface, .. } = self;
        let closed = Arc::downgrade(&fd);
        drop(fd);
        // An operation of the interface in another thread holds the descriptor for one request.
        while closed.strong_count() > 0 {
            thread::yield_now();
        }
        match interface.info() {
            Ok(left) if here.is_some() && left.name == name => {
                let reason = remedy::kept_alive(Vec::new(), &diagnose::caller());
                let error = reason.of(Operation::Destroy).with_name(name);
                Err(DestroyError::new(error, None))
            }
            _ => Ok(()),
        }
    }
}

fn would_block(operation: Operation) -> Error {
    Reason::new(Cause::WouldBlock).with_errno(Errno::EAGAIN as i32).of(operation)
}

impl From<LinuxDevice> for OwnedFd {
    /// Hands the descriptor over: to another program, by `SCM_RIGHTS` or inheritance, which
    /// [adopts](tunctl_core::Adopt::adopt) it; or to code of the caller's own. It stays attached,
    /// non-blocking and close-on-exec, and the interface as it is.
    fn from(device: LinuxDevice) -> Self {
        let LinuxDevice { mut fd, .. } = device;
        loop {
            match Arc::try_unwrap(fd) {
                Ok(file) => return file.into(),
                // An operation of the interface in another thread holds the descriptor for one request.
                Err(held) => fd = held,
            }
            thread::yield_now();
        }
    }
}

impl AsFd for LinuxDevice {
    /// Lends the descriptor, for an event loop to wait on.
    ///
    /// When the interface is deleted, Linux reports only an error, neither readable nor writable, and wakes
    /// only a poll for readability. So a loop must wait for readability and errors even if it only sends.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl TunDevice for LinuxDevice {
    type Interface = LinuxInterface;

    fn interface(&self) -> &LinuxInterface {
        &self.interface
    }

    fn name(&self) -> Result<InterfaceName> {
        attached_name(&self.fd).map_err(|error| {
            let errno = errno::of(&error);
            let reason = remedy::attached(errno);
            reason.with_errno(errno as i32).of(Operation::Name).with_name(self.interface.last_name())
        })
    }

    fn flags(&self) -> CreateFlags {
        self.flags
    }

    fn header_kind(&self) -> HeaderKind {
        self.headers
    }

    // Inlined, since each frame between the caller and the system call costs a percent of a packet.
    #[inline]
    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        nix::unistd::read(&self.fd, buffer).map_err(|errno| self.receive_error(errno, buffer.len()))
    }

    #[inline]
    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        readv(&self.fd, buffers).map_err(|errno| {
            let room = buffers.iter().map(|buffer| buffer.len()).sum();
            self.vectored_error(Operation::Receive, errno, buffers.len(), room)
        })
    }

    #[inline]
    fn try_send(&self, packet: &[u8]) -> Result<usize> {
        nix::unistd::write(&self.fd, packet).map_err(|errno| self.send_error(errno, packet.len()))
    }

    #[inline]
    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        match writev(&self.fd, pieces) {
            // An empty list does not reach the driver, which would refuse it.
            Ok(0) => Err(self.send_error(Errno::EINVAL, 0)),
            Ok(length) => Ok(length),
            Err(errno) => {
                let length = pieces.iter().map(|piece| piece.len()).sum();
                Err(self.vectored_error(Operation::Send, errno, pieces.len(), length))
            }
        }
    }

    fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome> {
        wait(self.fd.as_fd(), readiness, timeout, interrupter)
            .map_err(|errno| self.error(Operation::Wait, errno, remedy::from_errno(errno)))
    }

    fn set_persist(&self, persistent: bool) -> Result<()> {
        self.configured(Operation::SetPersist, tun::set_persist(&*self.fd, persistent))
    }

    fn set_owner(&self, owner: Uid) -> Result<()> {
        self.configured(Operation::SetOwner, tun::set_owner(&*self.fd, owner.get()))
    }

    fn set_group(&self, group: Gid) -> Result<()> {
        self.configured(Operation::SetGroup, tun::set_group(&*self.fd, group.get()))
    }

    fn offloads(&self) -> Result<Offloads> {
        self.offloads_of(Operation::Inspect)
    }

    fn set_offloads(&self, offloads: Offloads) -> Result<()> {
        self.choose_offloads(offloads)
    }

    fn set_vnet_format(&mut self, format: VnetFormat) -> Result<()> {
        self.choose_vnet_format(format)
    }

    fn try_clone(&self) -> Result<Self> {
        let fd = self.fd.try_clone().map_err(|error| {
            let errno = errno::of(&error);
            self.error(Operation::Duplicate, errno, remedy::from_errno(errno))
        })?;
        Ok(Self::new(fd, self.interface.clone(), self.flags, self.headers))
    }

    /// On Linux, with `CAP_NET_ADMIN` this deletes the interface even while others have it open. Without it,
    /// the kernel removes the interface when its last descriptor closes, so this one must be the last.
    fn destroy(self) -> Result<(), DestroyError<Self>> {
        let here = match self.report_if_here() {
            Ok(here) => here,
            Err(Errno::EBADFD) => return Ok(()),
            Err(errno) => return Err(self.not_destroyed(errno)),
        };
        let Some(info) = here else { return self.destroy_by_closing(None) };
        match self.interface.netlink().delete_link(info.index).map_err(|error| errno::of(&error)) {
            Ok(()) | Err(Errno::ENODEV) => Ok(()),
            Err(Errno::EPERM) => self.destroy_by_closing(Some(&info)),
            Err(errno) => Err(self.not_destroyed(errno)),
        }
    }
}

impl Queues for LinuxDevice {
    fn attach_queue(&self) -> Result<()> {
        self.set_queue(Operation::AttachQueue, true)
    }

    fn detach_queue(&self) -> Result<()> {
        self.set_queue(Operation::DetachQueue, false)
    }
}
