//! The backend: a kernel in memory.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use tunctl_core::{
    AttachMode, Capabilities, Cause, CreateFlags, CreateOptions, Error, InterfaceName, NamePattern,
    Namespaces, Operation, Reason, Result, TunBackend,
};

use crate::device::{MockDevice, this_process};
use crate::interface::MockInterface;
use crate::kernel::{self, AttachRequest, Attached, Kernel, NamespaceId, is_loopback};
use crate::rig::{SharedWorld, Signal, World};
use crate::{Errno, KernelProfile, offload};

/// A kernel in memory, whose TUN/TAP driver behaves as Linux's does.
///
/// Each [`new`](Self::new) is a system of its own, with one network namespace; a clone is the same system.
/// The program under test uses it as its backend. The test keeps a clone and plays the system: it
/// [injects](Self::inject) packets, [takes](Self::take) those that were sent, deletes interfaces, and
/// [scripts](Self::script) faults.
///
/// ```
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
/// use tunctl_mock::MockBackend;
///
/// let kernel = MockBackend::new();
/// let tun = kernel.create(&CreateOptions::tun().name("vpn%d").address("10.1.1.1/24").up())?;
///
/// kernel.inject(&tun, [0x45; 20]);
/// let mut packet = [0; 1500];
/// assert_eq!(tun.recv(&mut packet)?, 20);
/// tun.send(&packet[..20])?;
/// assert_eq!(kernel.take(&tun).unwrap(), [0x45; 20]);
///
/// kernel.delete("vpn0");
/// assert!(tun.recv(&mut packet).unwrap_err().is_gone());
/// # Ok::<(), tunctl_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MockBackend {
    pub(crate) world: Arc<SharedWorld>,
    pub(crate) namespace: NamespaceId,
}

impl MockBackend {
    /// A system like Linux 6.18, used by root.
    #[must_use]
    pub fn new() -> Self {
        Self::with_profile(KernelProfile::default())
    }

    /// A system like another kernel.
    #[must_use]
    pub fn with_profile(profile: KernelProfile) -> Self {
        Self { world: Arc::new(SharedWorld::new(profile)), namespace: NamespaceId::FIRST }
    }
}

impl Default for MockBackend {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) fn signal() -> kernel::Result<(Arc<Signal>, Arc<UnixStream>)> {
    let (signal, lent) = Signal::new().map_err(|_| Errno::EMFILE.reason(Cause::TooManyOpenFiles))?;
    Ok((Arc::new(signal), lent))
}

/// One call of `attach`: what the Linux backend does from the options to the attached device.
struct Step<'a> {
    world: &'a mut World,
    namespace: NamespaceId,
    options: &'a CreateOptions,
    signal: Arc<Signal>,
}

impl Step<'_> {
    fn run(self, mode: AttachMode) -> kernel::Result<Attached> {
        let exclusive = self.options.get_flags().contains(CreateFlags::TUN_EXCL);
        match self.options.get_exact_name() {
            Some(name) if mode != AttachMode::New && !exclusive => {
                if self.is_there(&name)? {
                    self.attach_to(&name)
                } else if mode == AttachMode::Existing {
                    Err(Reason::new(Cause::NotFound))
                } else {
                    self.attach(CreateFlags::TUN_EXCL)
                }
            }
            _ => self.attach(CreateFlags::TUN_EXCL),
        }
    }

    fn is_there(&self, name: &InterfaceName) -> kernel::Result<bool> {
        if is_loopback(name) {
            return Err(Reason::new(Cause::NotATun));
        }
        Ok(self.world.kernel().named(self.namespace, name).is_some())
    }

    /// A rule of the library, which the kernel does not have: a further queue must not change the headers of
    /// packets that other queues read.
    fn attach_to(self, name: &InterfaceName) -> kernel::Result<Attached> {
        let existing = self.world.kernel().named(self.namespace, name);
        let joins = self.options.get_flags().contains(CreateFlags::MULTI_QUEUE);
        let shared = existing.filter(|device| {
            joins
                && device.is_multi_queue()
                && device.layer() == self.options.get_layer()
                && device.queues() > 0
        });
        let (theirs, ours) =
            (shared.map(|device| headers(device.info().flags)), headers(self.options.get_flags()));
        if let Some(theirs) = theirs.filter(|theirs| *theirs != ours) {
            return Err(
                Reason::new(Cause::HeaderMismatch).with_detail(format!("its other queues use: {theirs}"))
            );
        }
        self.attach(CreateFlags::empty())
    }

    fn attach(self, extra: CreateFlags) -> kernel::Result<Attached> {
        let wanted = AttachRequest {
            index: self.options.get_index(),
            namespace: self.namespace,
            name: self.options.get_name().map(NamePattern::as_bytes),
            flags: self.options.get_flags() | extra,
            layer: self.options.get_layer(),
        };
        let name = self.options.get_exact_name();
        let attached = self.world.attach(&wanted, self.signal).map_err(|reason| match reason.cause() {
            Cause::Busy | Cause::Exists
                if name.is_some_and(|name| is_held(self.world.kernel(), self.namespace, &name)) =>
            {
                reason.with_holders(vec![this_process()])
            }
            _ => reason,
        })?;
        self.world.step(|kernel| kernel.forget_mac_filter(&attached));
        let is_shared =
            self.world.kernel().device(attached.interface).is_some_and(|device| device.queues() > 1);
        let checked = match is_shared {
            true => offload::check_shared(self.world, attached.file, self.options),
            false => offload::set_header(self.world, attached.file, self.options),
        };
        match checked {
            Ok(()) => Ok(attached),
            Err(reason) => {
                self.world.close(attached.file);
                Err(reason)
            }
        }
    }
}

fn is_held(kernel: &Kernel, namespace: NamespaceId, name: &InterfaceName) -> bool {
    kernel.named(namespace, name).is_some_and(|device| device.queues() > 0)
}

/// The flags that decide which headers stand in front of each packet.
fn headers(flags: CreateFlags) -> CreateFlags {
    flags & (CreateFlags::NO_PI | CreateFlags::VNET_HDR)
}

/// A namespace is a backend in it, as [`MockBackend::new_namespace`] returns.
impl Namespaces for MockBackend {
    type Namespace = Self;

    fn make_namespace(&self) -> Result<Self> {
        let fail = |reason: Reason| reason.of(Operation::Namespace);
        self.world.lock().apply_fault(Operation::Namespace, None).map_err(fail)?;
        Ok(self.new_namespace())
    }

    /// # Panics
    ///
    /// `namespace` belongs to another system.
    #[track_caller]
    fn in_namespace(&self, namespace: &Self) -> Result<Self> {
        assert!(self.is_same_system(&namespace.world), "a backend stays within its system");
        Ok(namespace.clone())
    }

    #[track_caller]
    fn move_to(&self, interface: &MockInterface, namespace: &Self) -> Result<()> {
        interface.move_to(namespace)
    }
}

impl TunBackend for MockBackend {
    type Device = MockDevice;
    type Interface = MockInterface;

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL.without(&[
            Operation::Interrupt,
            Operation::SetMaster,
            Operation::SetSendBuffer,
            Operation::SetLinkType,
            Operation::SetFilterProgram,
            Operation::SetSteeringProgram,
            Operation::Connect,
            Operation::Observe,
            Operation::Probe,
            Operation::EnterNamespace,
            Operation::Parse,
        ])
    }

    fn attach(&self, mode: AttachMode, options: &CreateOptions) -> Result<MockDevice> {
        let operation = mode.operation();
        let named = |error: Error| match options.get_name() {
            Some(&pattern) => error.with_name(pattern),
            None => error,
        };
        let fail = |reason: Reason| named(reason.of(operation));
        let (signal, lent) = signal().map_err(fail)?;
        let mut world = self.world.lock();
        world.apply_fault(operation, None).map_err(fail)?;
        let step = Step { world: &mut world, namespace: self.namespace, options, signal: signal.clone() };
        let Attached { file, info, .. } = step.run(mode).map_err(fail)?;
        let file = world.share(&self.world, file, signal, lent);
        drop(world);
        let interface = MockInterface::new(self.world.clone(), self.namespace, &info);
        Ok(MockDevice::new(file, interface, options.get_flags(), options.get_header_kind()))
    }

    fn interface(&self, name: &InterfaceName) -> Result<MockInterface> {
        let fail = |reason: Reason| reason.of(Operation::Lookup).with_name(*name);
        let mut world = self.world.lock();
        world.apply_fault(Operation::Lookup, None).map_err(fail)?;
        if is_loopback(name) {
            return Err(fail(Reason::new(Cause::NotATun)));
        }
        let found = world.kernel().named(self.namespace, name).map(kernel::NetDevice::info);
        let info = found.ok_or_else(|| fail(Reason::new(Cause::NotFound)))?;
        Ok(MockInterface::new(self.world.clone(), self.namespace, &info))
    }

    fn interfaces(&self) -> Result<Vec<MockInterface>> {
        let mut world = self.world.lock();
        world.apply_fault(Operation::List, None).map_err(|reason| reason.of(Operation::List))?;
        let handle = |info| MockInterface::new(self.world.clone(), self.namespace, info);
        Ok(world.kernel().list(self.namespace).iter().map(handle).collect())
    }
}
