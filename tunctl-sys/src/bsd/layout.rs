//! Structures that the systems share, as C lays them out on 64-bit systems.
//!
//! They are here for their sizes and offsets. The arguments themselves are bytes, because the system, and so
//! the layout, is chosen at run time. Where C has a union, the structure has room for its widest member.

use core::mem::offset_of;

/// The bytes of an interface name, including its terminating NUL.
#[doc(alias = "IFNAMSIZ")]
pub const NAME_SIZE: usize = 16;

/// The bytes of a `long`, a `size_t` and an address there, whatever this host has.
pub(super) const WORD: usize = 8;

/// An address of any family, or the beginning of one.
#[doc(alias = "sockaddr")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddress {
    /// The bytes in use, including this one.
    pub length: u8,
    /// The family.
    pub family: u8,
    /// The address itself, in the family's layout.
    pub data: [u8; 14],
}

/// An IPv4 address.
#[doc(alias = "sockaddr_in")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddressV4 {
    /// The bytes in use: all of them.
    pub length: u8,
    /// [`AF_INET`](super::AF_INET).
    pub family: u8,
    /// The port, big endian.
    pub port: u16,
    /// The address, in network byte order.
    pub address: [u8; 4],
    /// Unused.
    pub zero: [u8; 8],
}

/// An IPv6 address.
#[doc(alias = "sockaddr_in6")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddressV6 {
    /// The bytes in use: all of them.
    pub length: u8,
    /// The system's `AF_INET6`.
    pub family: u8,
    /// The port, big endian.
    pub port: u16,
    /// The flow label, big endian.
    pub flow: u32,
    /// The address, in network byte order.
    pub address: [u8; 16],
    /// The index of the interface that a link-local address belongs to.
    pub scope: u32,
}

/// A link-level address, with `DATA` bytes of room for the interface's name and the address itself.
#[doc(alias = "sockaddr_dl")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddressLink<const DATA: usize> {
    /// The bytes in use.
    pub length: u8,
    /// [`AF_LINK`](super::AF_LINK).
    pub family: u8,
    /// The index of the interface.
    pub index: u16,
    /// The kind of interface (`IFT_…`).
    pub kind: u8,
    /// The length of the name, which stands at the beginning of the data.
    pub name_length: u8,
    /// The length of the address, which follows the name.
    pub address_length: u8,
    /// The length of the selector, which follows the address.
    pub selector_length: u8,
    /// Name, address, selector.
    pub data: [u8; DATA],
}

/// The argument of requests that name an interface, with `ARGUMENT` bytes for the union behind the name.
#[doc(alias = "ifreq")]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct InterfaceRequest<const ARGUMENT: usize> {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// The union: a socket address, flags, an MTU, or a pointer.
    pub argument: [u8; ARGUMENT],
}

/// The offset of the union in an [`InterfaceRequest`], on all systems.
#[doc(alias = "ifr_ifru")]
pub const IFR_ARGUMENT: usize = offset_of!(InterfaceRequest<16>, argument);

/// The offset of the upper half of the flags, on systems that have 32 flags.
#[doc(alias = "ifr_flagshigh")]
pub const IFR_FLAGS_HIGH: usize = IFR_ARGUMENT + size_of::<u16>();

/// The argument of the request that adds an IPv4 address, on all systems except FreeBSD.
#[doc(alias = "ifaliasreq")]
#[doc(alias = "in_aliasreq")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AliasRequest {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// The address.
    pub address: SocketAddressV4,
    /// The peer's address, or the broadcast address.
    pub destination: SocketAddressV4,
    /// The netmask.
    pub mask: SocketAddressV4,
}

/// A time in seconds.
#[doc(alias = "time_t")]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct Time(pub i64);

/// The lifetimes of an IPv6 address.
#[doc(alias = "in6_addrlifetime")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LifetimesV6 {
    /// The time when the address expires; the kernel fills it in.
    pub expire: Time,
    /// The time until which the address is preferred; the kernel fills it in.
    pub preferred_until: Time,
    /// How many seconds the address is valid.
    pub valid: u32,
    /// How many seconds the address is preferred.
    pub preferred: u32,
}

/// The argument of the request that adds an IPv6 address, on all systems except FreeBSD.
#[doc(alias = "in6_aliasreq")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AliasRequestV6 {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// The address.
    pub address: SocketAddressV6,
    /// The peer's address.
    pub destination: SocketAddressV6,
    /// The netmask.
    pub mask: SocketAddressV6,
    /// `IN6_IFF_…`.
    pub flags: i32,
    /// The lifetimes.
    pub lifetimes: LifetimesV6,
}

/// The argument of requests that name an interface and one of its IPv6 addresses.
#[doc(alias = "in6_ifreq")]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct RequestV6 {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// The union: an address or flags. Its widest member is a set of 34 counters.
    pub argument: [u8; 34 * 8],
}

/// The configuration of a tun, on FreeBSD and DragonFly.
#[doc(alias = "tuninfo")]
#[doc(alias = "tapinfo")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TunInfoNarrow {
    /// Bits a second.
    pub baudrate: i32,
    /// The MTU.
    pub mtu: u16,
    /// The kind of interface (`IFT_…`).
    pub kind: u8,
    /// Unused.
    pub dummy: u8,
}
