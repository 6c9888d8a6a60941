//! The device: an open file of the driver in memory.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use tunctl_core::{
    Cause, CreateFlags, DestroyError, Error, Filters, Gid, Holder, InterfaceName, Interrupter, MacFilter,
    Offloads, Operation, Queues, Readiness, Reason, Result, TunDevice, Uid, WaitOutcome,
};

use tunctl_packet::bpf::Program;
use tunctl_packet::header::{HeaderKind, VnetFormat};

use crate::Errno;
use crate::interface::MockInterface;
use crate::kernel::{self, FileId, Kernel, NetDevice};
use crate::open_file::OpenFile;
use crate::rig::{SharedWorld, World};

/// The most pieces of a vectored call (`UIO_MAXIOV`).
const MOST_PIECES: usize = 1024;

/// An open device of a [`MockBackend`](crate::MockBackend): one queue of an interface.
///
/// # The lent descriptor
///
/// [`AsFd`] lends a descriptor that epoll, kqueue, mio and tokio can wait on. It is readable exactly when
/// `recv` would not block, which includes the deletion of the interface, and writable while the interface is
/// up. It differs from Linux's in two ways, which the conformance harness shows as Linux does: after a
/// deletion it is readable and writable, where Linux reports an error alone; and an edge comes with the first
/// packet of a burst and not with each.
#[derive(Debug)]
pub struct MockDevice {
    /// Shared with the interface, which refers to it. It comes before the file, so that it goes before the
    /// number of the file can be another's.
    descriptor: Arc<FileId>,
    /// The descriptor that a clone, or an adopted device, lends: its own, as a duplicate has on a real
    /// system. It is closed before the file, which looks whether others are open.
    lent: Option<UnixStream>,
    file: Arc<OpenFile>,
    interface: MockInterface,
    flags: CreateFlags,
    pub(crate) headers: HeaderKind,
}

/// What ends a wait for a device that is not ready.
#[derive(Default)]
struct WaitLimits<'a> {
    deadline: Option<Instant>,
    interrupter: Option<&'a Interrupter>,
}

impl<'a> WaitLimits<'a> {
    /// A deadline past `Instant`'s range means no deadline.
    fn new(timeout: Option<Duration>, interrupter: Option<&'a Interrupter>) -> Self {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self { deadline, interrupter }
    }
}

impl MockDevice {
    pub(crate) fn new(
        file: Arc<OpenFile>,
        interface: MockInterface,
        flags: CreateFlags,
        headers: HeaderKind,
    ) -> Self {
        let descriptor = Arc::new(file.id);
        let interface = interface.of_device(&descriptor);
        Self { interface, descriptor, file, flags, headers, lent: None }
    }

    /// The same device, with a descriptor of its own.
    pub(crate) fn lending(self, lent: UnixStream) -> Self {
        Self { lent: Some(lent), ..self }
    }

    fn lent(&self) -> BorrowedFd<'_> {
        self.lent.as_ref().map_or_else(|| self.file.lent(), AsFd::as_fd)
    }

    pub(crate) fn file(&self) -> FileId {
        *self.descriptor
    }

    pub(crate) const fn world(&self) -> &Arc<SharedWorld> {
        self.interface.world()
    }

    /// What a poll of a real device's descriptor would report, as on Linux.
    #[cfg(feature = "conformance")]
    #[doc(alias = "poll")]
    #[must_use]
    pub fn poll_state(&self) -> tunctl_conformance::PollState {
        let (readable, writable, error) = self.world().lock().kernel().poll(self.file.id);
        tunctl_conformance::PollState { readable, writable, error }
    }

    #[inline]
    fn step<T>(
        &self,
        operation: Operation,
        step: impl FnOnce(&mut World, FileId) -> kernel::Result<T>,
    ) -> Result<T> {
        let mut world = self.world().lock();
        let interface = world.kernel().interface_of(self.file.id);
        let outcome = world.apply_fault(operation, interface).and_then(|()| step(&mut world, self.file.id));
        outcome.map_err(|reason| self.error(&world, operation, reason))
    }

    /// A step that is a single rule of the kernel.
    pub(crate) fn apply<T>(
        &self,
        operation: Operation,
        rule: impl FnOnce(&mut Kernel, FileId) -> kernel::Result<T>,
    ) -> Result<T> {
        self.step(operation, |world, file| world.step(|kernel| rule(kernel, file)))
    }

    /// A step that waits as long as it would block.
    fn until_done<T>(
        &self,
        operation: Operation,
        readiness: Readiness,
        limits: &WaitLimits<'_>,
        mut step: impl FnMut(&mut World, FileId) -> kernel::Result<T>,
    ) -> Result<T> {
        if limits.interrupter.is_some_and(Interrupter::is_interrupted) {
            return Err(Error::new(operation, Cause::Interrupted));
        }
        let file = self.file.id;
        let mut world = self.world().lock();
        let interface = world.kernel().interface_of(file);
        match world.apply_fault(operation, interface) {
            // A scripted `EAGAIN` means that nothing was there at first: a blocking call waits.
            Err(reason) if reason.cause() == Cause::WouldBlock => {}
            met => met.map_err(|reason| self.error(&world, operation, reason))?,
        }
        loop {
            match step(&mut world, file) {
                Err(reason) if reason.cause() == Cause::WouldBlock => {}
                outcome => return outcome.map_err(|reason| self.error(&world, operation, reason)),
            }
            let (again, wake) = self.sleep(world, readiness, limits);
            match wake {
                WaitOutcome::Ready => world = again,
                WaitOutcome::TimedOut => return Err(Error::new(operation, Cause::TimedOut)),
                WaitOutcome::Interrupted => return Err(Error::new(operation, Cause::Interrupted)),
            }
        }
    }

    /// Sleeps until the device is ready or a limit of the wait is reached.
    fn sleep<'a>(
        &'a self,
        mut world: MutexGuard<'a, World>,
        readiness: Readiness,
        limits: &WaitLimits<'_>,
    ) -> (MutexGuard<'a, World>, WaitOutcome) {
        let signal = &self.file.signal;
        loop {
            if limits.interrupter.is_some_and(Interrupter::is_interrupted) {
                return (world, WaitOutcome::Interrupted);
            }
            if world.kernel().is_ready(self.file.id, readiness) {
                return (world, WaitOutcome::Ready);
            }
            let left = limits.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return (world, WaitOutcome::TimedOut);
            }
            world = match limits.interrupter {
                None => signal.waiters.wait(world, left),
                Some(interrupter) => {
                    signal.wait_until(self.world(), world, self.lent(), readiness, left, interrupter)
                }
            };
        }
    }

    fn receive(&self, buffer: &mut [u8], limits: &WaitLimits<'_>) -> Result<usize> {
        self.until_done(Operation::Receive, Readiness::Readable, limits, |world, file| {
            world.receive(file, &mut [IoSliceMut::new(buffer)])
        })
    }

    /// Refuses more pieces than a vectored call takes. `import_iovec` counts them before the call reaches the
    /// driver, so it does not matter what the device would say (Linux 6.18).
    fn check_pieces(&self, operation: Operation, count: usize) -> Result<()> {
        if count <= MOST_PIECES {
            return Ok(());
        }
        let detail = format!("there are {count} pieces, and a call takes {MOST_PIECES}");
        let refuse = |_: &mut World, _| Err(Errno::EINVAL.reason(Cause::TooManyPieces).with_detail(detail));
        self.step(operation, refuse)
    }

    #[cold]
    pub(crate) fn error(&self, world: &World, operation: Operation, reason: Reason) -> Error {
        match reason.cause() {
            Cause::WouldBlock => reason.of(operation),
            _ => {
                let name = world.kernel().name_of(self.file.id).unwrap_or(self.interface.last_name());
                reason.of(operation).with_name(name)
            }
        }
    }

    /// Destroys the interface without the right to delete it: it is deleted with its last descriptor, if that
    /// is ours.
    fn destroy_by_closing(self, is_here: bool) -> Result<(), DestroyError<Self>> {
        let mut world = self.world().lock();
        let device = world.kernel().interface_of(self.file.id).and_then(|id| world.kernel().device(id));
        let queues = device.map_or(0, NetDevice::queues);
        // The Linux backend finds holders by the interface's name. For an interface in another namespace it
        // cannot tell its other queues from those of another interface of that name, so it assumes they are
        // its own.
        let may_have_others =
            !is_here && device.is_some_and(|device| has_held_namesake(world.kernel(), device));
        if queues > 1 || may_have_others || Arc::strong_count(&self.file) > 1 {
            let name = world.kernel().name_of(self.file.id).unwrap_or(self.interface.last_name());
            let reason = Reason::new(Cause::Busy)
                .with_detail("other descriptors keep the interface alive")
                .with_holders(vec![this_process()]);
            drop(world);
            return Err(DestroyError::new(reason.of(Operation::Destroy).with_name(name), Some(self)));
        }
        // It cannot fail: the file is attached, and the lock was held since that was checked.
        let _ = world.step(|kernel| kernel.set_persist(self.file.id, false));
        let (id, name) = (world.kernel().interface_of(self.file.id), world.kernel().name_of(self.file.id));
        drop(world);
        let shared = self.world().clone();
        drop(self);
        let is_left = id.is_some_and(|id| shared.lock().kernel().device(id).is_some());
        match name {
            Ok(name) if is_left => {
                // A descriptor that was handed over is open.
                let reason =
                    Reason::new(Cause::Busy).with_detail("other descriptors keep the interface alive");
                Err(DestroyError::new(reason.of(Operation::Destroy).with_name(name), None))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a device is attached to another interface of the same name, and this one can have several queues.
fn has_held_namesake(kernel: &Kernel, device: &NetDevice) -> bool {
    let is_namesake = |other: &NetDevice| other.id() != device.id() && other.name() == device.name();
    device.is_multi_queue() && kernel.devices().any(|other| is_namesake(other) && other.queues() > 0)
}

/// The holder of every interface of the mock: this process.
pub(crate) fn this_process() -> Holder {
    let program = std::env::current_exe().ok();
    let name = program.as_deref().and_then(std::path::Path::file_name).unwrap_or_default();
    Holder::new(std::process::id(), name.as_encoded_bytes())
}

impl AsFd for MockDevice {
    /// Lends a descriptor that is readable while there is something to receive, and writable while the
    /// interface is up. After a deletion it is both.
    fn as_fd(&self) -> BorrowedFd<'_> {
        let _world = self.world().lock();
        self.file.signal.descriptor.begin_lending();
        self.lent()
    }
}

impl From<MockDevice> for OwnedFd {
    /// Hands over the descriptor that the device lends. While it or a duplicate of it is open, so is the
    /// file; the model sees that the last one is closed when it is used next.
    fn from(mut device: MockDevice) -> Self {
        let shared = device.world().clone();
        let mut world = shared.lock();
        device.file.signal.descriptor.begin_lending();
        let lent = device.lent.take().or_else(|| world.hand_over(&mut device.file));
        drop(world);
        match lent {
            Some(lent) => lent.into(),
            None => unreachable!("a file of several devices has a descriptor for each of them"),
        }
    }
}

impl TunDevice for MockDevice {
    type Interface = MockInterface;

    fn interface(&self) -> &MockInterface {
        &self.interface
    }

    fn name(&self) -> Result<InterfaceName> {
        self.apply(Operation::Name, |kernel, file| kernel.name_of(file))
    }

    fn flags(&self) -> CreateFlags {
        self.flags
    }

    fn header_kind(&self) -> HeaderKind {
        self.headers
    }

    fn try_recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.step(Operation::Receive, |world, file| world.receive(file, &mut [IoSliceMut::new(buffer)]))
    }

    fn try_recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.check_pieces(Operation::Receive, buffers.len())?;
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            // The kernel completes a read into no bytes before it reaches the driver
            // (`do_iter_readv_writev`).
            return Ok(0);
        }
        self.step(Operation::Receive, |world, file| world.receive(file, buffers))
    }

    fn try_send(&self, packet: &[u8]) -> Result<usize> {
        self.step(Operation::Send, |world, file| world.send(file, &[IoSlice::new(packet)]))
    }

    fn try_send_vectored(&self, pieces: &[IoSlice<'_>]) -> Result<usize> {
        self.check_pieces(Operation::Send, pieces.len())?;
        if pieces.iter().all(|piece| piece.is_empty()) {
            // The kernel completes a write of no bytes before it reaches the driver, which would refuse it.
            return self.step(Operation::Send, |_, _| Err(Errno::EINVAL.reason(Cause::TooShort)));
        }
        self.step(Operation::Send, |world, file| world.send(file, pieces))
    }

    // A fault is applied once per call, however long the call waits, so that timing does not decide which
    // call has it.
    fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        self.receive(buffer, &WaitLimits::default())
    }

    fn recv_until(
        &self,
        buffer: &mut [u8],
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<usize> {
        self.receive(buffer, &WaitLimits::new(timeout, interrupter))
    }

    fn recv_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        self.check_pieces(Operation::Receive, buffers.len())?;
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        self.until_done(Operation::Receive, Readiness::Readable, &WaitLimits::default(), |world, file| {
            world.receive(file, buffers)
        })
    }

    fn wait_until(
        &self,
        readiness: Readiness,
        timeout: Option<Duration>,
        interrupter: Option<&Interrupter>,
    ) -> Result<WaitOutcome> {
        let limits = WaitLimits::new(timeout, interrupter);
        self.step(Operation::Wait, |_, _| Ok(()))?;
        Ok(self.sleep(self.world().lock(), readiness, &limits).1)
    }

    fn set_persist(&self, persistent: bool) -> Result<()> {
        self.apply(Operation::SetPersist, |kernel, file| kernel.set_persist(file, persistent))
    }

    fn set_owner(&self, owner: Uid) -> Result<()> {
        self.apply(Operation::SetOwner, |kernel, file| kernel.set_owner(file, owner))
    }

    fn set_group(&self, group: Gid) -> Result<()> {
        self.apply(Operation::SetGroup, |kernel, file| kernel.set_group(file, group))
    }

    fn offloads(&self) -> Result<Offloads> {
        self.offloads_now()
    }

    fn set_offloads(&self, offloads: Offloads) -> Result<()> {
        self.choose_offloads(offloads)
    }

    fn set_vnet_format(&mut self, format: VnetFormat) -> Result<()> {
        self.choose_vnet_format(format)
    }

    fn try_clone(&self) -> Result<Self> {
        let lent = self.step(Operation::Duplicate, |_, _| {
            let full = |_| Errno::EMFILE.reason(Cause::TooManyOpenFiles);
            self.file.duplicate().map_err(full)
        })?;
        Ok(Self::new(self.file.clone(), self.interface.clone(), self.flags, self.headers).lending(lent))
    }

    /// With the capability, the interface is deleted even if others have it open. Without it, it is deleted
    /// with its last descriptor, which must be this one.
    fn destroy(self) -> Result<(), DestroyError<Self>> {
        if let Err(error) = self.step(Operation::Destroy, |_, _| Ok(())) {
            return Err(DestroyError::new(error, Some(self)));
        }
        let mut world = self.world().lock();
        let Ok(name) = world.kernel().name_of(self.file.id) else {
            // It is deleted already, which is what the caller wants.
            return Ok(());
        };
        let key = self.interface.key();
        let is_here = world.kernel().at(key).is_ok_and(|device| device.name() == name);
        if is_here && world.step(|kernel| kernel.delete_link(key)).is_ok() {
            return Ok(());
        }
        drop(world);
        self.destroy_by_closing(is_here)
    }
}

impl Queues for MockDevice {
    fn attach_queue(&self) -> Result<()> {
        self.apply(Operation::AttachQueue, Kernel::attach_queue)
    }

    fn detach_queue(&self) -> Result<()> {
        self.apply(Operation::DetachQueue, Kernel::detach_queue)
    }
}

impl Filters for MockDevice {
    fn attach_filter(&self, program: &Program) -> Result<()> {
        self.apply(Operation::AttachFilter, |kernel, file| kernel.attach_filter(file, program))
    }

    fn detach_filter(&self) -> Result<()> {
        self.apply(Operation::DetachFilter, Kernel::detach_filter)
    }

    fn set_mac_filter(&self, filter: Option<&MacFilter>) -> Result<()> {
        self.apply(Operation::SetMacFilter, |kernel, file| kernel.set_mac_filter(file, filter))
    }
}
