//! The device: an open node, or on macOS a utun socket or the far end of a `feth` pair.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tunctl_core::{
    Cause, CreateFlags, DestroyError, Error, Interface, InterfaceAddress, InterfaceName, Interrupter, Layer,
    Operation, Readiness, Reason, Result, State, TunDevice, WaitOutcome,
};
use tunctl_packet::header::AddressFamily;
use tunctl_sys::bsd::{Name, Request, iff};

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

    fn receive_error(&self, error: &io::Error) -> Error {
        match errno::of(error) {
            errno::EAGAIN => remedy::with_errno(remedy::receive(errno::EAGAIN), error).of(Operation::Receive),
            errno => self.error(Operation::Receive, remedy::receive(self.normalized_errno(errno)), error),
        }
    }

    /// Maps the driver's own errno for "the interface is down" to `ENETDOWN`.
    #[cold]
    fn normalized_errno(&self, errno: i32) -> i32 {
        let may_be_down = self.interface.kind().errno_when_down == Some(errno);
        let is_down = may_be_down && matches!(self.interface.state(), Ok(State::Down));
        if is_down { errno::ENETDOWN } else { errno }
    }

    fn receive(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.channel.read(&self.system().syscalls, buffers).map_err(|error| self.receive_error(&error))
    }

    /// Receives an AF header and a packet; returns the packet's length.
    fn receive_after_af_header(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let length = self.receive(buffers)?;
        length.checked_sub(AF_HEADER_LENGTH).ok_or_else(|| {
            let truncated = Reason::new(Cause::Other);
            let truncated = truncated.with_detail("the driver returned less than an address family header");
            truncated.of(Operation::Receive).with_name(self.interface.last_name())
        })
    }

    /// Refuses more pieces than a vectored call takes, one of which may be the AF header. The systems refuse
    /// them too, with an errno that says nothing of their number (`EINVAL`).
    fn check_pieces(&self, operation: Operation, count: usize) -> Result<()> {
        let most = if self.interface.kind().has_af_header { MOST_PIECES - 1 } else { MOST_PIECES };
        if count <= most {
            return Ok(());
        }
        let reason = Reason::new(Cause::TooManyPieces)
            .with_detail(format!("there are {count} pieces, and a call takes {most}"));
        Err(reason.of(operation).with_name(self.interface.last_name()))
    }

    fn send_refused(&self, reason: impl Into<Reason>) -> Error {
        Error::new(Operation::Send, reason).with_name(self.interface.last_name())
    }

    /// Checks the outcome of writing `length` bytes of the program's after `header_length` bytes of this
    /// crate's.
    fn sent(&self, outcome: io::Result<usize>, header_length: usize, length: usize) -> Result<usize> {
        match outcome {
            Ok(written) if written == header_length + length => Ok(length),
            // While the interface is down, FreeBSD's `tunwrite` returns 0 and reports no error.
            Ok(written) if written <= header_length => Err(self.send_refused(Cause::Down)),
            Ok(_) => {
                let cut = Reason::new(Cause::MalformedPacket);
                Err(self.send_refused(
                    cut.with_detail("the packet is longer than the MTU, and the driver truncated it"),
                ))
            }
            Err(error) if errno::of(&error) == errno::EAGAIN => {
                Err(remedy::with_errno(remedy::send(errno::EAGAIN), &error).of(Operation::Send))
            }
            Err(error) => {
                let errno = self.normalized_errno(errno::of(&error));
                Err(self.error(Operation::Send, remedy::send(errno), &error))
            }
        }
    }

    /// Returns the AF header for a packet with this first byte and length, if this kind of interface needs
    /// one. Refuses bytes that are not a packet.
    fn af_header_for(&self, first: Option<u8>, length: usize) -> Result<Option<[u8; AF_HEADER_LENGTH]>> {
        let kind = self.interface.kind();
        if kind.layer == Layer::Tap {
            let least =
                if self.vnet_header { VNET_HEADER + ETHERNET_HEADER_LENGTH } else { ETHERNET_HEADER_LENGTH };
            return if length < least { Err(self.send_refused(Cause::TooShort)) } else { Ok(None) };
        }
        let first = first.ok_or_else(|| self.send_refused(Cause::TooShort))?;
        let family =
            AddressFamily::for_packet(&[first]).ok_or_else(|| self.send_refused(Cause::MalformedPacket))?;
        Ok(kind.has_af_header.then(|| family.to_bytes(self.system().rules.system)))
    }

    /// Makes a tun point-to-point if `address` has a peer or is one of IPv6, and a broadcast interface
    /// otherwise. Returns the mode to restore, if it was another one.
    ///
    /// On a broadcast tun, NetBSD sends packets to IPv6 neighbours only after solicitations that nobody
    /// answers (`nd6_need_cache`). The drivers allow this only while the tun is down (TUNSIFMODE: `EBUSY`
    /// while up). An up tun keeps its mode, and adding an address that does not fit reports the error.
    fn set_mode(&self, address: InterfaceAddress) -> Result<Option<u32>> {
        const MODE: u32 = iff::POINTOPOINT | iff::BROADCAST | iff::MULTICAST;
        let rules = self.system().rules;
        let request = rules.abi.requests.tun_set_mode.filter(|_| rules.sets_mode);
        let (Layer::Tun, Some(request)) = (self.interface.layer(), request) else { return Ok(None) };
        let leads_to_peer = address.peer().is_some() || address.address().is_ipv6();
        let mode = iff::MULTICAST | if leads_to_peer { iff::POINTOPOINT } else { iff::BROADCAST };
        let found = self.interface.found(Operation::Up)?;
        let flags = self.interface.flags(Operation::Up, &found.name)?;
        let before = flags & MODE;
        if before == mode || flags & iff::UP != 0 {
            return Ok(None);
        }
        // This request takes no right, and what follows it does. So the right is asked for first.
        self.interface.check_privilege(Operation::Up, &found.name, flags)?;
        match self.request(request, mode as i32) {
            Ok(()) => Ok(Some(before)),
            Err(error) if errno::of(&error) == errno::EBUSY => Ok(None),
            Err(error) => {
                Err(self.error(Operation::Up, remedy::configure(errno::of(&error), Operation::Up), &error))
            }
        }
    }

    /// Sets a mode again that `set_mode` has changed. It is all that a failed `up` leaves, so nobody is told.
    fn restore_mode(&self, mode: u32) {
        if let Some(request) = self.system().rules.abi.requests.tun_set_mode {
            let _ = self.request(request, mode as i32);
        }
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
    /// On FreeBSD the kernel keeps or removes the interface. On NetBSD this program removes it when the last
    /// device closes, unless it is persistent; a killed program leaves it. `Unsupported` on the other
    /// systems.
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
