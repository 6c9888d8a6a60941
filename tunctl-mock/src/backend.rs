//! The backend: a kernel in memory.

use std::sync::Arc;

use tunctl_core::{
    Capabilities, Cause, CreateFlags, CreateOptions, Error, InterfaceName, InvalidOptions, NamePattern,
    Operation, Reason, Result, TunBackend,
};

use crate::device::{MockDevice, OpenFile, this_process};
use crate::interface::MockInterface;
use crate::kernel::{self, Attached, Kernel, NamespaceId, Signal, Wanted, World, is_other};
use crate::{Errno, KernelProfile};

/// A kernel in memory, whose TUN/TAP driver answers as Linux's does.
///
/// Each [`new`](Self::new) is a system of its own, with one network namespace; a clone is the same system. The program
/// under test gets it as its backend; the test keeps a clone and plays the system: it [injects](Self::inject) packets,
/// [takes](Self::take) those that were sent, deletes interfaces, and makes things go wrong.
///
/// ```
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
/// use tunctl_mock::MockBackend;
///
/// let kernel = MockBackend::new();
/// let tun = kernel.create(&CreateOptions::tun().name("vpn%d")?)?;
/// tun.up("10.1.1.1/24".parse()?)?;
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
    pub(crate) kernel: Arc<Kernel>,
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
        Self { kernel: Arc::new(Kernel::new(profile)), namespace: NamespaceId::FIRST }
    }

    fn verb(&self, operation: Operation, options: &CreateOptions) -> Result<MockDevice> {
        let named = |error: Error| match options.name_pattern() {
            Some(&pattern) => error.with_name(pattern),
            None => error,
        };
        let fail = |reason: Reason| named(reason.of(operation));
        let signal = signal().map_err(fail)?;
        let mut world = self.kernel.enter();
        world.meet_fault(operation, None).map_err(fail)?;
        let step = Step { world: &mut world, namespace: self.namespace, options, signal: signal.clone() };
        let attached = match operation {
            Operation::Open => step.open(),
            Operation::OpenOrCreate => step.open_or_create(),
            _ => step.create(),
        };
        let Attached { file, info } = attached.map_err(fail)?;
        let rights = world.rights();
        drop(world);
        let interface = MockInterface::new(self.kernel.clone(), self.namespace, &info, rights);
        let file = OpenFile { kernel: self.kernel.clone(), id: file, signal };
        Ok(MockDevice::new(Arc::new(file), interface, options.flags()))
    }
}

impl Default for MockBackend {
    fn default() -> Self {
        Self::new()
    }
}

fn signal() -> kernel::Result<Arc<Signal>> {
    let signal = Signal::new().map_err(|_| Errno::EMFILE.reason(Cause::TooManyOpenFiles))?;
    Ok(Arc::new(signal))
}

/// One call of `create`, `open` or `open_or_create`: what the Linux backend does between options and device.
struct Step<'a> {
    world: &'a mut World,
    namespace: NamespaceId,
    options: &'a CreateOptions,
    signal: Arc<Signal>,
}

impl Step<'_> {
    fn create(self) -> kernel::Result<Attached> {
        self.attach(CreateFlags::TUN_EXCL)
    }

    fn open(self) -> kernel::Result<Attached> {
        let refuse =
            |invalid: InvalidOptions| Reason::new(Cause::InvalidOptions).with_detail(invalid.to_string());
        let name = self.whole_name().ok_or_else(|| refuse(InvalidOptions::NoName))?;
        if self.options.flags().contains(CreateFlags::TUN_EXCL) {
            return Err(refuse(InvalidOptions::ExclusiveOpen));
        }
        if self.is_there(&name)? { self.attach_to(&name) } else { Err(Reason::new(Cause::NotFound)) }
    }

    fn open_or_create(self) -> kernel::Result<Attached> {
        match self.whole_name().filter(|_| !self.options.flags().contains(CreateFlags::TUN_EXCL)) {
            Some(name) if self.is_there(&name)? => self.attach_to(&name),
            _ => self.create(),
        }
    }

    fn whole_name(&self) -> Option<InterfaceName> {
        self.options.name_pattern().and_then(NamePattern::exact)
    }

    fn is_there(&self, name: &InterfaceName) -> kernel::Result<bool> {
        if is_other(name) {
            return Err(Reason::new(Cause::NotATun));
        }
        Ok(self.world.named(self.namespace, name).is_some())
    }

    /// The library's own rule: nobody changes the headers of packets that others read.
    fn attach_to(self, name: &InterfaceName) -> kernel::Result<Attached> {
        let existing = self.world.named(self.namespace, name);
        let joins = self.options.flags().contains(CreateFlags::MULTI_QUEUE);
        let shared = existing.filter(|device| {
            joins && device.is_multi_queue() && device.layer() == self.options.layer() && device.queues() > 0
        });
        if let Some(theirs) = shared.map(|device| headers(device.info().flags))
            && theirs != headers(self.options.flags())
        {
            return Err(
                Reason::new(Cause::HeaderMismatch).with_detail(format!("its other queues use: {theirs}"))
            );
        }
        self.attach(CreateFlags::empty())
    }

    fn attach(self, extra: CreateFlags) -> kernel::Result<Attached> {
        let wanted = Wanted {
            namespace: self.namespace,
            name: self.options.name_pattern().map(NamePattern::as_bytes),
            flags: self.options.flags() | extra,
            layer: self.options.layer(),
        };
        let name = self.whole_name();
        self.world.set_iff(&wanted, self.signal).map_err(|reason| match reason.cause() {
            Cause::Busy | Cause::Exists
                if name.is_some_and(|name| self.world.is_held(self.namespace, &name)) =>
            {
                reason.with_holders(vec![this_process()])
            }
            _ => reason,
        })
    }
}

impl World {
    fn is_held(&self, namespace: NamespaceId, name: &InterfaceName) -> bool {
        self.named(namespace, name).is_some_and(|device| device.queues() > 0)
    }
}

/// The flags that decide what stands in front of each packet.
fn headers(flags: CreateFlags) -> CreateFlags {
    flags & (CreateFlags::NO_PI | CreateFlags::VNET_HDR)
}

impl TunBackend for MockBackend {
    type Device = MockDevice;
    type Interface = MockInterface;

    fn capabilities(&self) -> Capabilities {
        const SUPPORTED: Capabilities = Capabilities::of(&[
            Operation::Create,
            Operation::Open,
            Operation::OpenOrCreate,
            Operation::Lookup,
            Operation::List,
            Operation::Destroy,
            Operation::SetPersist,
            Operation::SetOwner,
            Operation::SetGroup,
            Operation::Duplicate,
            Operation::AttachQueue,
            Operation::DetachQueue,
            Operation::SetOffloads,
            Operation::Receive,
            Operation::Send,
            Operation::Wait,
            Operation::Name,
            Operation::Inspect,
            Operation::Up,
            Operation::Down,
            Operation::SetMtu,
            Operation::SetMac,
            Operation::ListAddresses,
            Operation::AddAddress,
            Operation::RemoveAddress,
            Operation::Delete,
            Operation::Rename,
        ]);
        SUPPORTED
    }

    fn create(&self, options: &CreateOptions) -> Result<MockDevice> {
        self.verb(Operation::Create, options)
    }

    fn open(&self, options: &CreateOptions) -> Result<MockDevice> {
        self.verb(Operation::Open, options)
    }

    fn open_or_create(&self, options: &CreateOptions) -> Result<MockDevice> {
        self.verb(Operation::OpenOrCreate, options)
    }

    fn interface(&self, name: &InterfaceName) -> Result<MockInterface> {
        let fail = |reason: Reason| reason.of(Operation::Lookup).with_name(*name);
        let mut world = self.kernel.enter();
        world.meet_fault(Operation::Lookup, None).map_err(fail)?;
        if is_other(name) {
            return Err(fail(Reason::new(Cause::NotATun)));
        }
        let rights = world.rights();
        let found = world.named(self.namespace, name).map(kernel::NetDevice::info);
        let info = found.ok_or_else(|| fail(Reason::new(Cause::NotFound)))?;
        Ok(MockInterface::new(self.kernel.clone(), self.namespace, &info, rights))
    }

    fn interfaces(&self) -> Result<Vec<MockInterface>> {
        let mut world = self.kernel.enter();
        world.meet_fault(Operation::List, None).map_err(|reason| reason.of(Operation::List))?;
        let rights = world.rights();
        let handle = |info| MockInterface::new(self.kernel.clone(), self.namespace, info, rights);
        Ok(world.list(self.namespace).iter().map(handle).collect())
    }
}
