//! The backend: a system that makes devices.

use std::fmt;

use crate::apply::{check_ipv6, configure};
use crate::{
    Capabilities, Cause, CreateFlags, CreateOptions, Error, Interface, InterfaceInfo, InterfaceName,
    InvalidOptions, Operation, Result, TunDevice,
};

/// How often `open_or_create` begins, where another program deletes the interface each time.
const ATTEMPTS: usize = 8;

/// Which interface a device is to be attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttachMode {
    /// One that does not exist yet, and is created.
    New,
    /// One that exists, of the name that the options have.
    Existing,
    /// One that exists, if there is one of the name, and else a new one. Options without a whole name, or
    /// that are [exclusive](CreateOptions::exclusive), ask for a new one.
    Any,
}

impl AttachMode {
    /// The verb that asks for it.
    #[must_use]
    pub const fn operation(self) -> Operation {
        match self {
            Self::New => Operation::Create,
            Self::Existing => Operation::Open,
            Self::Any => Operation::OpenOrCreate,
        }
    }
}

/// A system that makes TUN/TAP devices: a kernel, or a model of one.
///
/// Programs are generic over it, and run unchanged on each:
///
/// ```
/// use tunctl_core::{CreateOptions, Result, TunBackend, TunDevice};
///
/// fn echo_one<B: TunBackend>(backend: &B) -> Result<()> {
///     let tun = backend.create(&CreateOptions::tun().name("vpn%d").address("10.1.1.1/24").up())?;
///     let mut packet = [0; 1500];
///     let length = tun.recv(&mut packet)?;
///     tun.send(&packet[..length])?;
///     Ok(())
/// }
/// ```
///
/// The operations of Erlang's `tunctl`, and where each is: on the noun whose kernel object it changes.
///
/// | operation | method |
/// |---|---|
/// | `create` | [`create`](Self::create), [`open`](Self::open), [`open_or_create`](Self::open_or_create) |
/// | `destroy` | [`TunDevice::destroy`] |
/// | `up`, `down` | [`TunDevice::up`], [`TunDevice::down`]; finer: [`Interface::apply`] |
/// | `persist`, `owner`, `group` | [`TunDevice::set_persist`], [`TunDevice::set_owner`], [`TunDevice::set_group`] |
/// | `read`, `write` | [`TunDevice::recv`], [`TunDevice::send`], and their `try_` and `_vectored` forms |
/// | `devname`, `flags` | [`TunDevice::name`], [`TunDevice::flags`] |
/// | `header` | [`tunctl_packet::header`] |
///
/// # A whole backend
///
/// Required of a backend is only what no default can do: three methods here, six of [`TunDevice`], nine of
/// [`Interface`]. What some systems lack answers `Unsupported` by default, so that an operation that is added
/// later breaks no backend.
///
/// ```
#[doc = include_str!("../doc/backend.rs")]
/// # fn main() -> Result<()> {
/// # let (near, far) = UnixDatagram::pair().unwrap();
/// # near.set_nonblocking(true).unwrap();
/// # let backend = SocketBackend(Arc::new(near), SocketInterface::default());
/// # let options = CreateOptions::tun().name("vpn0").mtu(1400).address("10.1.1.1/24").address("fd77::1/64").up();
/// # let tun = backend.create(&options)?;
/// # assert_eq!((tun.name()?.to_string(), tun.longest_packet()?), ("vpn0".to_owned(), 1400));
/// # assert_eq!(tun.interface().addresses()?.len(), 2);
/// # assert_eq!(backend.create(&options).unwrap_err().cause(), Cause::Busy);
/// # assert!(tun.try_recv(&mut [0; 100]).unwrap_err().is_would_block());
/// # far.send(&[0x45; 20]).unwrap();
/// # let mut packet = [0; 1400];
/// # assert_eq!(tun.recv(&mut packet)?, 20);
/// # assert_eq!(tun.send(&packet[..20])?, 20);
/// # assert_eq!(far.recv(&mut packet).unwrap(), 20);
/// # let soon = std::time::Duration::from_millis(1);
/// # assert!(tun.recv_timeout(&mut packet, soon).unwrap_err().is_timed_out());
/// # let stop = Interrupter::new()?;
/// # stop.interrupt();
/// # assert!(tun.recv_interruptible(&mut packet, &stop).unwrap_err().is_interrupted());
/// # tun.interface().apply(&InterfaceConfig::new().remove_address("10.1.1.1/24").mtu(1300))?;
/// # assert_eq!(tun.interface().mtu()?, 1300.try_into()?);
/// # assert_eq!(tun.set_persist(true).unwrap_err().cause(), Cause::Unsupported);
/// # let clone = tun.try_clone()?;
/// # drop(tun);
/// # assert_eq!(backend.interface(&"vpn0".parse()?)?.index(), INDEX);
/// # drop(clone);
/// # assert_eq!(backend.open(&options).unwrap_err().cause(), Cause::NotFound);
/// # backend.open_or_create(&options)?.destroy()?;
/// # assert!(backend.interfaces()?.is_empty());
/// # Ok(())
/// # }
/// ```
pub trait TunBackend: fmt::Debug + Send + Sync {
    /// The devices that it makes.
    type Device: TunDevice<Interface = Self::Interface>;
    /// The interfaces that it finds.
    type Interface: Interface;

    /// Which operations it supports.
    fn capabilities(&self) -> Capabilities;

    /// Attaches a device to an interface, and configures nothing: what [`create`](Self::create),
    /// [`open`](Self::open) and [`open_or_create`](Self::open_or_create) begin with. Programs call those;
    /// backends implement this.
    ///
    /// With [`AttachMode::Existing`], the options have a whole name and are not exclusive. If a step fails,
    /// nothing is left behind.
    ///
    /// # Errors
    ///
    /// Those of the three, under [the verb](AttachMode::operation).
    #[doc(alias = "TUNSETIFF")]
    fn attach(&self, mode: AttachMode, options: &CreateOptions) -> Result<Self::Device>;

    /// The same, with what the interface is like, if the backend has just asked the kernel: it then need not
    /// be asked again before the interface is configured.
    ///
    /// # Errors
    ///
    /// Those of [`attach`](Self::attach).
    fn attach_with_info(
        &self,
        mode: AttachMode,
        options: &CreateOptions,
    ) -> Result<(Self::Device, Option<InterfaceInfo>)> {
        Ok((self.attach(mode, options)?, None))
    }

    /// Whether a new interface has properties of the options already when [`attach`](Self::attach) returns.
    /// [`create`](Self::create) then asks what it is like, and changes what differs. No backend that
    /// configures interfaces itself has a reason to.
    fn attaches_configured(&self) -> bool {
        false
    }

    /// Finds all TUN/TAP interfaces, in the order of their indices, without attaching to them.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    fn interfaces(&self) -> Result<Vec<Self::Interface>>;

    /// Creates an interface that does not exist yet, attaches to it, and makes it what the options name. If a
    /// step fails, nothing is left behind.
    ///
    /// # Errors
    ///
    /// That of the first option that is wrong; `Exists`; `NotATun` if the name is that of another kind of
    /// interface; `InvalidName` if the kernel refuses it; `MissingCapability`, `ForeignNamespace`,
    /// `Sandboxed`; `MissingNode`, `MissingDriver`, `ClosedNode` and `ContainerRules` of the device node;
    /// `TooManyOpenFiles`; those of [`Interface::apply`].
    #[doc(alias = "TUNSETIFF")]
    fn create(&self, options: &CreateOptions) -> Result<Self::Device> {
        attach_and_configure(self, AttachMode::New, options)
    }

    /// Attaches to an interface that exists, and makes it what the options name. Packet headers become those
    /// of `options`. If a step fails, the interface is what it was.
    ///
    /// # Errors
    ///
    /// That of the first option that is wrong; `InvalidOptions` without a whole name, or if exclusive;
    /// `NotFound`; `NotATun`; `LayerMismatch`; `QueueMismatch`; `HeaderMismatch`; `TooManyQueues`; `Busy`,
    /// with the processes that hold it; `NotOwner`; `MissingCapability` and `ForeignNamespace` where a kernel
    /// wants the capability for an interface without owner; those of the device node; those of
    /// [`Interface::apply`].
    #[doc(alias = "TUNSETIFF")]
    fn open(&self, options: &CreateOptions) -> Result<Self::Device> {
        let invalid = if options.get_exact_name().is_none() {
            Some(InvalidOptions::NoName)
        } else if options.get_flags().contains(CreateFlags::TUN_EXCL) {
            Some(InvalidOptions::ExclusiveOpen)
        } else {
            None
        };
        match invalid {
            Some(invalid) if options.invalid().is_none() => {
                Err(named(Error::from(invalid).with_operation(Operation::Open), options))
            }
            _ => attach_and_configure(self, AttachMode::Existing, options),
        }
    }

    /// Attaches to the interface if it exists, and else creates it, and makes it what the options name. If
    /// another program deletes it before that is done, it begins again, up to eight times in all.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) but `NotFound`, and those of [`create`](Self::create).
    #[doc(alias = "TUNSETIFF")]
    fn open_or_create(&self, options: &CreateOptions) -> Result<Self::Device> {
        for _ in 1..ATTEMPTS {
            match attach_and_configure(self, AttachMode::Any, options) {
                Err(error) if error.is_gone() => {}
                outcome => return outcome,
            }
        }
        attach_and_configure(self, AttachMode::Any, options)
    }

    /// Creates an interface with several queues, and attaches a device to each: one for each thread. The
    /// options become [`multi_queue`](CreateOptions::multi_queue).
    ///
    /// ```
    /// # use tunctl_core::{CreateOptions, Result, TunBackend, TunDevice};
    /// # fn serve<D: TunDevice>(queue: D) {}
    /// # fn example<B: TunBackend>(backend: &B) -> Result<()> {
    /// for queue in backend.create_queues(&CreateOptions::tun().name("vpn%d").up(), 4)? {
    ///     std::thread::spawn(move || serve(queue));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create); `InvalidOptions` for no queue; `TooManyQueues`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux, up to 256 queues. On the other systems an interface has one: `Unsupported`.
    #[doc(alias = "IFF_MULTI_QUEUE")]
    fn create_queues(&self, options: &CreateOptions, queues: usize) -> Result<Vec<Self::Device>> {
        if queues == 0 {
            return Err(named(
                Error::from(InvalidOptions::NoQueues).with_operation(Operation::Create),
                options,
            ));
        }
        let options = options.clone().multi_queue(true);
        let first = self.create(&options)?;
        let others =
            CreateOptions::from_flags(options.get_flags() - CreateFlags::TUN_EXCL)?.name(first.name()?);
        let others = options.get_vnet_format().into_iter().fold(others, CreateOptions::vnet_format);
        let mut devices = vec![first];
        for _ in 1..queues {
            devices.push(self.open(&others).map_err(|error| error.with_operation(Operation::Create))?);
        }
        Ok(devices)
    }

    /// Finds a TUN/TAP interface by name, without attaching to it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `NotATun`.
    fn interface(&self, name: &InterfaceName) -> Result<Self::Interface> {
        let found =
            self.interfaces().map_err(|error| error.with_operation(Operation::Lookup).with_name(*name))?;
        let has_name = |interface: &Self::Interface| interface.name().is_ok_and(|other| other == *name);
        let not_found = || Error::new(Operation::Lookup, Cause::NotFound).with_name(*name);
        found.into_iter().find(has_name).ok_or_else(not_found)
    }
}

fn attach_and_configure<B: TunBackend + ?Sized>(
    backend: &B,
    mode: AttachMode,
    options: &CreateOptions,
) -> Result<B::Device> {
    if let Some(invalid) = options.invalid() {
        return Err(named(invalid.clone().with_operation(mode.operation()), options));
    }
    if let Some(contradiction) = options.contradiction() {
        return Err(named(Error::from(contradiction).with_operation(mode.operation()), options));
    }
    check_ipv6(options.get_config()).map_err(|error| named(error, options))?;
    let (device, info) = backend.attach_with_info(mode, options)?;
    let index = device.interface().index();
    if options.get_index().is_some_and(|wanted| wanted != index) {
        let invalid = Error::from(InvalidOptions::OtherIndex { index });
        return Err(named(invalid.with_operation(mode.operation()), options));
    }
    let is_bare = mode == AttachMode::New && !backend.attaches_configured();
    match configure(&device, options, is_bare, info) {
        Ok(()) => Ok(device),
        Err(error) => {
            let interface = device.interface().clone();
            drop(device);
            // Of a new interface, nothing is left with its only device.
            let is_gone = interface.info().is_err();
            Err(if is_gone { error.with_leftovers(None) } else { error })
        }
    }
}

fn named(error: Error, options: &CreateOptions) -> Error {
    match options.get_name() {
        Some(&pattern) => error.with_name(pattern),
        None => error,
    }
}
