//! The backend: a system that makes devices.

use std::fmt;

use crate::{Capabilities, CreateOptions, Interface, InterfaceName, Result, TunDevice};

/// A system that makes TUN/TAP devices: a kernel, or a model of one.
///
/// Programs are generic over it, and run unchanged on each:
///
/// ```
/// use tunctl_core::{CreateOptions, Result, TunBackend, TunDevice};
///
/// fn echo_one<B: TunBackend>(backend: &B) -> Result<()> {
///     let tun = backend.create(&CreateOptions::tun().name("vpn%d")?)?;
///     tun.up("10.1.1.1/24".parse()?)?;
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
/// | `up`, `down` | [`TunDevice::up`], [`TunDevice::down`]; finer: [`Interface::add_address`], [`Interface::set_state`] |
/// | `persist`, `owner`, `group` | [`TunDevice::set_persist`], [`TunDevice::set_owner`], [`TunDevice::set_group`] |
/// | `read`, `write` | [`TunDevice::recv`], [`TunDevice::send`], and their `try_` and `_vectored` forms |
/// | `devname`, `flags` | [`TunDevice::name`], [`TunDevice::flags`] |
/// | `header` | [`tunctl_packet::header`] |
pub trait TunBackend: fmt::Debug + Send + Sync {
    /// The devices that it makes.
    type Device: TunDevice<Interface = Self::Interface>;
    /// The interfaces that it finds.
    type Interface: Interface;

    /// Which operations it supports.
    fn capabilities(&self) -> Capabilities;

    /// Creates an interface that does not exist yet, and attaches to it. If a step fails, nothing is left behind.
    ///
    /// # Errors
    ///
    /// `Exists`; `NotATun` if the name is that of another kind of interface; `InvalidName` if the kernel refuses it;
    /// `MissingCapability`, `ForeignNamespace`; `MissingNode`, `MissingDriver`, `ClosedNode` and `ContainerRules` of the
    /// device node; `TooManyOpenFiles`.
    #[doc(alias = "TUNSETIFF")]
    fn create(&self, options: &CreateOptions) -> Result<Self::Device>;

    /// Attaches to an interface that exists. Packet headers become those of `options`.
    ///
    /// # Errors
    ///
    /// `InvalidOptions` without a whole name, or if exclusive; `NotFound`; `NotATun`; `LayerMismatch`;
    /// `QueueMismatch`; `HeaderMismatch`; `TooManyQueues`; `Busy`, with who holds it; `NotOwner`;
    /// `MissingCapability` and `ForeignNamespace` where a kernel wants the capability for an interface without owner; and
    /// those of the device node.
    #[doc(alias = "TUNSETIFF")]
    fn open(&self, options: &CreateOptions) -> Result<Self::Device>;

    /// Attaches to the interface if it exists, and else creates it.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open) but `NotFound`, and those of [`create`](Self::create).
    #[doc(alias = "TUNSETIFF")]
    fn open_or_create(&self, options: &CreateOptions) -> Result<Self::Device>;

    /// Finds a TUN/TAP interface by name, without attaching to it.
    ///
    /// # Errors
    ///
    /// `NotFound`; `NotATun`.
    fn interface(&self, name: &InterfaceName) -> Result<Self::Interface>;

    /// Finds all TUN/TAP interfaces, in the order of their indices, without attaching to them.
    ///
    /// # Errors
    ///
    /// Those of the system call.
    fn interfaces(&self) -> Result<Vec<Self::Interface>>;
}
