//! The system calls that this crate needs, as a trait.
//!
//! All logic sits above it and is the same for the five systems, so Linux can test it over models of their
//! drivers. Below it is [`Host`](crate::native), the running system.

use std::ffi::CStr;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

use tunctl_sys::bsd::{GetText, Name, Pair, Request, SetText};

/// The system calls of one of these systems.
///
/// Errors carry that system's errno, as in [`io::Error::from_raw_os_error`], even where a model runs on
/// another system.
pub trait Syscalls: fmt::Debug + Send + Sync + 'static {
    /// An open device or socket. Dropping it closes it. As an `OwnedFd`, it can be handed to another program.
    type Handle: AsFd + Into<OwnedFd> + fmt::Debug + Send + Sync;

    /// Opens a device node for reading and writing, close-on-exec and *blocking*.
    ///
    /// A NetBSD tun opened with `O_NONBLOCK` still blocks, and a later `F_SETFL` has no effect because the
    /// bit is already set.
    ///
    /// # Errors
    ///
    /// Those of `open(2)` and of the driver.
    fn open(&self, path: &str) -> io::Result<Self::Handle>;

    /// Returns a second handle of the same open device.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)` with `F_DUPFD_CLOEXEC`.
    fn duplicate(&self, handle: &Self::Handle) -> io::Result<Self::Handle>;

    /// Takes over a descriptor that was handed over. A model knows only its own.
    ///
    /// # Errors
    ///
    /// The descriptor, if it is none of the system's.
    fn adopt(&self, fd: OwnedFd) -> Result<Self::Handle, OwnedFd>;

    /// Returns the unit of an open device node: its minor number, or on FreeBSD the number in its name.
    ///
    /// # Errors
    ///
    /// Those of `fstat(2)`, or of `fdevname(3)`; `ENOTTY` where neither shows a unit.
    fn unit(&self, handle: &Self::Handle) -> io::Result<u32>;

    /// Makes reads and writes fail with `EAGAIN` instead of blocking.
    ///
    /// # Errors
    ///
    /// Those of `ioctl(2)` with `FIONBIO`.
    fn set_nonblocking(&self, handle: &Self::Handle) -> io::Result<()>;

    /// Sends a request to an open device. What the kernel returns replaces `argument`.
    ///
    /// # Errors
    ///
    /// Those of the driver.
    fn ioctl(&self, handle: &Self::Handle, request: Request, argument: &mut [u8]) -> io::Result<()>;

    /// Sends a request about an interface through a socket of `family`.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)` and of the request.
    fn configure(&self, family: Family, request: Request, argument: &mut [u8]) -> io::Result<()>;

    /// Sets a text of an interface: its name, its description.
    ///
    /// # Errors
    ///
    /// Those of the request.
    fn set_text(&self, request: SetText, interface: &Name, text: &CStr) -> io::Result<()>;

    /// Gets a text of an interface, without its NUL.
    ///
    /// # Errors
    ///
    /// Those of the request.
    fn text(&self, request: GetText, interface: &Name) -> io::Result<Vec<u8>>;

    /// Connects two Ethernets of macOS: what leaves one arrives at the other.
    ///
    /// # Errors
    ///
    /// Those of the request.
    fn pair(&self, request: Pair, one: &Name, other: &Name) -> io::Result<()>;

    /// Creates a tun of macOS: a socket connected to a unit of the kernel control with this name.
    ///
    /// Unit 1 is `utun0`. Unit 0 lets the kernel choose.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `ioctl(2)` and `connect(2)`.
    fn connect(&self, control: &str, unit: u32) -> io::Result<Self::Handle>;

    /// Returns the interface name of such a socket.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    fn socket_name(&self, handle: &Self::Handle) -> io::Result<Name>;

    /// Sets how many packets wait at such a socket itself.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt(2)`.
    fn set_pending_packets(&self, handle: &Self::Handle, packets: u32) -> io::Result<()>;

    /// Reads one packet from a device, all captured frames from a packet filter, or one report from a routing
    /// socket.
    ///
    /// # Errors
    ///
    /// Those of the driver.
    fn read(&self, handle: &Self::Handle, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// Writes one packet.
    ///
    /// # Errors
    ///
    /// Those of the driver.
    fn write(&self, handle: &Self::Handle, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Opens a routing socket, on which the kernel reports changes of interfaces, close-on-exec and
    /// non-blocking. Also returns how many bytes of reports it keeps.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    fn watch(&self) -> io::Result<(Self::Handle, usize)>;

    /// Lists all interfaces of the system with their addresses.
    ///
    /// # Errors
    ///
    /// Those of `getifaddrs(3)`.
    fn interfaces(&self) -> io::Result<Vec<ListedInterface>>;

    /// Returns how many packets the interface's output queue dropped, or `None` where the system does not
    /// count them.
    ///
    /// # Errors
    ///
    /// Those of `getifaddrs(3)`.
    fn dropped(&self, name: &Name) -> io::Result<Option<u64>>;
}

/// The family of the socket that configures an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, and everything that concerns no address.
    V4,
    /// IPv6.
    V6,
    /// The link level; only NetBSD's MAC address requests use it.
    Link,
}

/// An interface as the system lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedInterface {
    /// The current name.
    pub name: Name,
    /// The name at creation, which determines the interface's kind and its device node. Equals `name` unless
    /// the interface was renamed.
    pub original_name: Name,
    /// The interface index, which another interface may have had before.
    pub index: u32,
    /// When it was created, in a unit of the system's, where the system lists that.
    pub created: Option<u64>,
    /// The MAC address, if there is one.
    pub mac: Option<[u8; 6]>,
    /// The addresses.
    pub addresses: Vec<ListedAddress>,
}

/// An address as the system lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedAddress {
    /// The interface's own address.
    pub address: IpAddr,
    /// The length of the network prefix, in bits.
    pub prefix_length: u8,
    /// The peer's address, on a point-to-point interface.
    pub destination: Option<IpAddr>,
    /// The broadcast address, on a broadcast interface.
    pub broadcast: Option<IpAddr>,
}
