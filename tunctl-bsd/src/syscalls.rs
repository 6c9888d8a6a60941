//! The seam: what of the system is used, and nothing else.
//!
//! All logic of this crate stands above it, the same for five systems, and is tested on any of them, or on Linux, over models of
//! their drivers. Below it there is [`Host`](crate::Host), the system itself.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::AsFd;

use tunctl_sys::bsd::{Name, Pair, Rename, Request};

/// What a backend asks of its system.
///
/// Errors carry the system's own errno, as [`io::Error::from_raw_os_error`] has it, also where the host is another system.
pub trait Syscalls: fmt::Debug + Send + Sync + 'static {
    /// An open device, or a socket. Dropping it closes it.
    type Handle: AsFd + fmt::Debug + Send + Sync;

    /// Opens a device node to read and write, close-on-exec, and *blocking*: on NetBSD a tun that was opened non-blocking blocks all
    /// the same, and cannot be told otherwise afterwards.
    ///
    /// # Errors
    ///
    /// Those of `open(2)`, and the driver's.
    fn open(&self, path: &str) -> io::Result<Self::Handle>;

    /// A second handle of the same open device.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)` with `F_DUPFD_CLOEXEC`.
    fn duplicate(&self, handle: &Self::Handle) -> io::Result<Self::Handle>;

    /// Has reads and writes fail instead of wait.
    ///
    /// # Errors
    ///
    /// Those of `fcntl(2)` with `F_SETFL`.
    fn set_nonblocking(&self, handle: &Self::Handle) -> io::Result<()>;

    /// Makes a request to an open device. What the kernel fills in is left in `argument`.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn ioctl(&self, handle: &Self::Handle, request: Request, argument: &mut [u8]) -> io::Result<()>;

    /// Makes a request about an interface, through a socket of the family for addresses of which it is.
    ///
    /// # Errors
    ///
    /// The system's: of opening a socket, or of the request.
    fn configure(&self, family: Family, request: Request, argument: &mut [u8]) -> io::Result<()>;

    /// Renames an interface.
    ///
    /// # Errors
    ///
    /// The system's.
    fn rename(&self, request: Rename, old: &Name, new: &Name) -> io::Result<()>;

    /// Connects two Ethernets of macOS's: what leaves one arrives at the other.
    ///
    /// # Errors
    ///
    /// The system's.
    fn pair(&self, request: Pair, one: &Name, other: &Name) -> io::Result<()>;

    /// Makes a tun of macOS: a socket of the kernel control that is called so, connected to a unit, or to any if it is 0. The interface
    /// of unit 1 is `utun0`.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`, `ioctl(2)` and `connect(2)`.
    fn connect(&self, control: &str, unit: u32) -> io::Result<Self::Handle>;

    /// The name of the interface of such a socket.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt(2)`.
    fn socket_name(&self, handle: &Self::Handle) -> io::Result<Name>;

    /// Reads one packet; from a packet filter, all that have come.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn read(&self, handle: &Self::Handle, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;

    /// Writes one packet.
    ///
    /// # Errors
    ///
    /// The driver's.
    fn write(&self, handle: &Self::Handle, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// All interfaces of the system, with their addresses.
    ///
    /// # Errors
    ///
    /// Those of `getifaddrs(3)`.
    fn interfaces(&self) -> io::Result<Vec<ListedInterface>>;

    /// How many packets an interface's queue had no room for; `None`: the system does not count them.
    ///
    /// # Errors
    ///
    /// Those of `getifaddrs(3)`.
    fn dropped(&self, name: &Name) -> io::Result<Option<u64>>;
}

/// Of what family a socket is through which an interface is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4; also for what is about no address.
    V4,
    /// IPv6.
    V6,
    /// The link level, which NetBSD alone is asked through.
    Link,
}

/// An interface as the system lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedInterface {
    /// What it is called now.
    pub name: Name,
    /// What it was called when it was made: by that its kind is known, and its node. The same where nothing is renamed.
    pub original_name: Name,
    /// Its index.
    pub index: u32,
    /// Its MAC address, if it has one.
    pub mac: Option<[u8; 6]>,
    /// Its addresses.
    pub addresses: Vec<ListedAddress>,
}

/// An address as the system lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedAddress {
    /// The interface's own.
    pub address: IpAddr,
    /// How many bits of it are the network's.
    pub prefix_length: u8,
    /// The peer's, on a point-to-point interface.
    pub destination: Option<IpAddr>,
    /// Where packets to all go, on another.
    pub broadcast: Option<IpAddr>,
}
