//! The device: an open node, or on macOS a utun socket or the far end of a `feth` pair.

mod mode;
mod packets;

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tunctl_core::{
    Cause, CreateFlags, DestroyError, Error, Interface, InterfaceAddress, InterfaceName, Interrupter,
    Operation, Readiness, Reason, Result, TunDevice, WaitOutcome,
};
use tunctl_sys::bsd::{Name, Request};

use crate::BsdInterface;
use crate::af_header::{AF_HEADER_LENGTH, with_af_header, with_af_header_mut};
use crate::channel::Channel;
use crate::errno;
use crate::interface_guard::InterfaceGuard;
use crate::remedy;
use crate::syscalls::Syscalls;
use crate::system::RemovePolicy;
use crate::system_handle::SystemHandle;
use crate::wait::wait;

/// The length of an Ethernet header. Some of these drivers accept a shorter frame and silently drop it.
const ETHERNET_HEADER_LENGTH: usize = 14;
/// The most pieces of a vectored call, on each of these systems (`UIO_MAXIOV`, `IOV_MAX`).
const MOST_PIECES: usize = 1024;
/// The length of a virtio-net header without `num_buffers`, which is also Linux's default.
pub(crate) const VNET_HEADER_LENGTH: i32 = 10;
/// How many packets wait at the socket of a utun, whose buffer has 512 KiB (`utun_register_control`, XNU): as
/// many of 8 KiB. What finds no room there is lost, while in the interface's queue it would wait.
const PENDING_PACKETS: u32 = 64;
const VNET_HEADER: usize = VNET_HEADER_LENGTH.unsigned_abs() as usize;

/// An open TUN/TAP device of these systems.
///
/// Packets of a tun are bare, as on Linux. A vectored read strips the AF header that the kernel puts before
/// each packet, and a vectored write adds it, without a copy.
pub struct BsdDevice<C: Syscalls> {
    // Declared before `guard`, so that it closes before the interface is removed: on FreeBSD, SIOCIFDESTROY
    // waits until the device is closed.
    channel: Channel<C>,
    guard: Arc<InterfaceGuard<C>>,
    interface: BsdInterface<C>,
    /// Each frame starts with a virtio-net header, which the program reads and writes itself.
    vnet_header: bool,
}

impl<C: Syscalls> BsdDevice<C> {
    pub(crate) fn new(
        channel: Channel<C>,
        guard: InterfaceGuard<C>,
        interface: BsdInterface<C>,
        vnet_header: bool,
    ) -> Self {
        Self { channel, guard: Arc::new(guard), interface, vnet_header }
    }

    /// Sends a request with an integer argument to the open device.
    pub(crate) fn request(&self, request: Request, value: i32) -> io::Result<()> {
        self.channel.ioctl(&self.system().syscalls, request, &mut value.to_ne_bytes())
    }

    pub(crate) fn make_nonblocking(&self) -> io::Result<()> {
        self.channel.set_nonblocking(&self.system().syscalls)
    }

    /// Has the kernel keep more than one packet at the socket of a utun, as far as it can.
    pub(crate) fn make_room_at_socket(&self) -> io::Result<()> {
        match self.channel.set_pending_packets(&self.system().syscalls, PENDING_PACKETS) {
            // An older kernel has no such option, and keeps one.
            Err(error) if remedy::is_foreign(errno::of(&error)) => Ok(()),
            outcome => outcome,
        }
    }

    /// Records that the kernel removes the interface with its last descriptor.
    pub(crate) fn leave_removal_to_kernel(&self) {
        self.guard.set_remove_on_drop(false);
    }

    /// Returns the interface's current name, if the interface still exists.
    pub(crate) fn kernel_name(&self) -> Option<Name> {
        self.guard.name().ok().flatten()
    }

    /// Updates the name in the interface handle after a rename.
    pub(crate) fn with_current_name(self) -> Self {
        let renamed = self.kernel_name().and_then(|name| InterfaceName::from_kernel(name.as_bytes()).ok());
        match renamed {
            Some(name) => Self { interface: self.interface.with_name(name), ..self },
            None => self,
        }
    }

    fn system(&self) -> &SystemHandle<C> {
        &self.guard.system
    }

    #[cold]
    fn error(&self, operation: Operation, reason: Reason, error: &io::Error) -> Error {
        let name = self.kernel_name().and_then(|name| InterfaceName::from_kernel(name.as_bytes()).ok());
        remedy::with_errno(reason, error).of(operation).with_name(name.unwrap_or(self.interface.last_name()))
    }

    fn unsupported(&self, operation: Operation) -> Error {
        Error::new(operation, Cause::Unsupported).with_name(self.interface.last_name())
    }

    fn request_for(&self, operation: Operation, request: Request, value: i32) -> Result<()> {
        self.request(request, value)
            .map_err(|error| self.error(operation, remedy::configure(errno::of(&error), operation), &error))
    }
}

impl<C: Syscalls> From<BsdDevice<C>> for OwnedFd {
    /// Hands the descriptor over: to another program, by `SCM_RIGHTS` or inheritance, which
    /// [adopts](tunctl_core::Adopt::adopt) it; or to code of the caller's own. It stays as it is:
    /// non-blocking and close-on-exec, with the AF header in front of a tun's packets.
    ///
    /// # Platform
    ///
    /// This program no longer removes the interface where the kernel keeps it (NetBSD, DragonFly): the one
    /// that has the descriptor does, by [`destroy`](TunDevice::destroy).
    ///
    /// A tap of macOS cannot be handed over: what is returned is the descriptor that such a device lends,
    /// which carries no frames. Its interface is removed unless a clone of the device is left.
    fn from(device: BsdDevice<C>) -> Self {
        let BsdDevice { channel, guard, .. } = device;
        match channel {
            Channel::Direct(handle) => {
                guard.set_remove_on_drop(false);
                handle.into()
            }
            Channel::Far(_, ready) => ready.into(),
        }
    }
}

impl<C: Syscalls> AsFd for BsdDevice<C> {
    /// Lends the descriptor for an event loop to wait on.
    ///
    /// Packets of a tun read or written through it carry the AF header. The descriptor of a macOS tap is for
    /// waiting only: no packets pass through it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl<C: Syscalls> TunDevice for BsdDevice<C> {
    type Interface = BsdInterface<C>;

    fn interface(&self) -> &BsdInterface<C> {
        &self.interface
    }

    fn name(&self) -> Result<InterfaceName> {
        let name = self.interface.name();
        name.map_err(|error| error.with_operation(Operation::Name))
    }

    fn flags(&self) -> CreateFlags {
        let flags = CreateFlags::from(self.interface.layer()) | CreateFlags::NO_PI;
        if self.vnet_header { flags | CreateFlags::VNET_HDR } else { flags }
    }

    #[inline]
    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        // A read into an empty buffer would lose the packet.
        if buffer.is_empty() {
            return Ok(0);
        }
        if !self.interface.kind().has_af_header {
            return self.receive(&mut [IoSliceMut::new(buffer)]);
        }
        let mut af_header = [0; AF_HEADER_LENGTH];
        self.receive_after_af_header(&mut [IoSliceMut::new(&mut af_header), IoSliceMut::new(buffer)])
    }

    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.check_pieces(Operation::Receive, buffers.len())?;
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        if !self.interface.kind().has_af_header {
            return self.receive(buffers);
        }
        with_af_header_mut(buffers, |all| self.receive_after_af_header(all))
    }

    #[inline]
    fn try_send(&self, packet: &[u8]) -> Result<usize> {
        let syscalls = &self.system().syscalls;
        let af_header = self.af_header_for(packet.first().copied(), packet.len())?;
        let Some(af_header) = af_header else {
            return self.sent(self.channel.write(syscalls, &[IoSlice::new(packet)]), 0, packet.len());
        };
        let outcome = self.channel.write(syscalls, &[IoSlice::new(&af_header), IoSlice::new(packet)]);
        self.sent(outcome, AF_HEADER_LENGTH, packet.len())
    }

    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.check_pieces(Operation::Send, pieces.len())?;
        let syscalls = &self.system().syscalls;
        let first = pieces.iter().find_map(|piece| piece.first().copied());
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let Some(af_header) = self.af_header_for(first, length)? else {
            return self.sent(self.channel.write(syscalls, pieces), 0, length);
        };
        self.sent(
            with_af_header(&af_header, pieces, |all| self.channel.write(syscalls, all)),
            AF_HEADER_LENGTH,
            length,
        )
    }

    /// # Platform
    ///
    /// NetBSD wakes nobody when an interface is destroyed. There it is looked for four times a second, so
    /// that a wait ends up to 250 ms later; an event loop does not notice. A tap of macOS is looked for as
    /// often.
    fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome> {
        let method = self.interface.kind().wait_method;
        let is_gone = || self.interface.is_there(Operation::Wait).is_err_and(|error| error.is_gone());
        wait(method, self.channel.as_fd(), readiness, timeout, interrupter, &is_gone).map_err(|errno| {
            let error = io::Error::from(errno);
            self.error(Operation::Wait, remedy::from_errno(errno::of(&error)), &error)
        })
    }

    /// # Platform
    ///
    /// On FreeBSD the kernel keeps or removes the interface. On NetBSD and DragonFly this program removes it
    /// when the last device closes, unless it is persistent; a killed program leaves it. `Unsupported` on
    /// OpenBSD and macOS.
    fn set_persist(&self, persistent: bool) -> Result<()> {
        let rules = self.system().rules;
        if !rules.sets_persistence {
            return Err(self.unsupported(Operation::SetPersist));
        }
        match self.interface.kind().remove_policy {
            RemovePolicy::Transient(request) => {
                match self.request_for(Operation::SetPersist, request, (!persistent).into()) {
                    // This kernel predates TUNSTRANSIENT.
                    Err(error) if error.raw_os_error() == Some(errno::ENOTTY) => {
                        self.guard.set_remove_on_drop(!persistent);
                        Ok(())
                    }
                    outcome => outcome,
                }
            }
            _ => {
                // No request reaches the kernel, so check that the interface still exists.
                self.interface.is_there(Operation::SetPersist)?;
                self.guard.set_remove_on_drop(!persistent);
                Ok(())
            }
        }
    }

    fn try_clone(&self) -> Result<Self> {
        let channel = self.channel.duplicate(&self.system().syscalls);
        let channel = channel.map_err(|error| {
            self.error(Operation::Duplicate, remedy::from_errno(errno::of(&error)), &error)
        })?;
        Ok(Self {
            channel,
            guard: self.guard.clone(),
            interface: self.interface.clone(),
            vnet_header: self.vnet_header,
        })
    }

    /// # Platform
    ///
    /// `Busy` while a clone of the device is open, and the error returns the device: the interface can be
    /// removed only after the last one closes. On OpenBSD, DragonFly and macOS an interface created by hand
    /// stays, and the error says so.
    fn destroy(self) -> Result<(), DestroyError<Self>> {
        if Arc::strong_count(&self.guard) > 1 {
            let busy = Reason::new(Cause::Busy).with_detail("clones of the device are open");
            let busy = busy.with_remedy("Drop them first.").of(Operation::Destroy);
            return Err(DestroyError::new(busy.with_name(self.interface.last_name()), Some(self)));
        }
        let Self { channel, guard, interface, .. } = self;
        let failed = |error: &io::Error| {
            let reason = remedy::destroy(errno::of(error), Operation::Destroy);
            let error = remedy::with_errno(reason, error).of(Operation::Destroy);
            DestroyError::new(error.with_name(interface.last_name()), None)
        };
        if let RemovePolicy::Transient(request) = interface.kind().remove_policy {
            // No SIOCIFDESTROY where the kernel can do it: that waits while any descriptor is open, and holds
            // up everybody who destroys an interface meanwhile (`tun_destroy`), or it hits a successor.
            let asked = channel.ioctl(&guard.system.syscalls, request, &mut 1_i32.to_ne_bytes());
            match asked.as_ref().map_err(errno::of) {
                Ok(()) => {
                    guard.set_remove_on_drop(false);
                    drop(channel);
                    return match guard.name().map_err(|error| failed(&error))? {
                        Some(_) => Err(DestroyError::new(held_elsewhere(&interface), None)),
                        None => Ok(()),
                    };
                }
                // This kernel predates the request, or the interface is gone.
                Err(errno::ENOTTY | errno::ENXIO | errno::EBADF) => {}
                Err(_) => {
                    drop(channel);
                    return asked.map_err(|error| failed(&error));
                }
            }
        }
        drop(channel);
        // A failure leaves the guard as it is, so the interface is still removed if it was to be.
        let name = guard.name().map_err(|error| failed(&error))?;
        match guard.remove(name) {
            // If the interface is gone, another program was faster.
            Err(error) if !matches!(guard.name(), Ok(None)) => return Err(failed(&error)),
            _ => {}
        }
        guard.set_remove_on_drop(false);
        Ok(())
    }

    /// # Platform
    ///
    /// Where the system allows it, a tun that is down becomes point-to-point for an address with a peer or of
    /// IPv6, and a broadcast interface for one of IPv4 without. OpenBSD's and macOS's tuns always are
    /// point-to-point.
    ///
    /// An IPv6 address of a tun is usable when this returns, which takes up to a second on the BSDs.
    fn up(&self, address: InterfaceAddress) -> Result<()> {
        let before = self.set_mode(address)?;
        self.interface.up(address).inspect_err(|_| {
            if let Some(mode) = before {
                self.restore_mode(mode);
            }
        })
    }
}

/// The kernel removes the interface once the descriptors of another program are closed.
fn held_elsewhere<C: Syscalls>(interface: &BsdInterface<C>) -> Error {
    let busy = Reason::new(Cause::Busy)
        .with_detail("another program has a descriptor of the device, and the interface goes with that one");
    busy.of(Operation::Destroy).with_name(interface.last_name())
}

impl<C: Syscalls> fmt::Debug for BsdDevice<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { channel, interface, .. } = self;
        f.debug_struct("BsdDevice")
            .field("channel", channel)
            .field("interface", interface)
            .finish_non_exhaustive()
    }
}
