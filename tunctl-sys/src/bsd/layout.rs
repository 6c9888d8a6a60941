//! Structures that the systems share, as C lays them out where pointers have 64 bits.
//!
//! They give sizes and offsets: arguments travel as bytes, because which bytes they are is known at run time only, by
//! the system that is asked for. Where C has a union, the structure here has room for its widest member.

use core::mem::offset_of;

/// The bytes of an interface name, its terminating NUL included.
#[doc(alias = "IFNAMSIZ")]
pub const NAME_SIZE: usize = 16;

/// An address of any family, or its beginning.
#[doc(alias = "sockaddr")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddress {
    /// The bytes in use, this one included.
    pub length: u8,
    /// The family.
    pub family: u8,
    /// What the family makes of it.
    pub data: [u8; 14],
}

/// An IPv4 address.
#[doc(alias = "sockaddr_in")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddressV4 {
    /// The bytes in use: all.
    pub length: u8,
    /// [`AF_INET`](super::AF_INET).
    pub family: u8,
    /// The port, big endian.
    pub port: u16,
    /// The address, as in a packet.
    pub address: [u8; 4],
    /// Nothing.
    pub zero: [u8; 8],
}

/// An IPv6 address.
#[doc(alias = "sockaddr_in6")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddressV6 {
    /// The bytes in use: all.
    pub length: u8,
    /// The system's `AF_INET6`.
    pub family: u8,
    /// The port, big endian.
    pub port: u16,
    /// The flow label, big endian.
    pub flow: u32,
    /// The address, as in a packet.
    pub address: [u8; 16],
    /// The index of the interface that a link-local address is of.
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
    /// The bytes of the name, at the beginning of the data.
    pub name_length: u8,
    /// The bytes of the address, which follows the name.
    pub address_length: u8,
    /// The bytes of the selector, which follows the address.
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
    /// An address, flags, an MTU, or the address of something else.
    pub argument: [u8; ARGUMENT],
}

/// Where an [`InterfaceRequest`] has its argument, on all systems.
#[doc(alias = "ifr_ifru")]
pub const IFR_ARGUMENT: usize = offset_of!(InterfaceRequest<16>, argument);

/// Where it has the upper half of the flags, on systems that have 32 of them.
#[doc(alias = "ifr_flagshigh")]
pub const IFR_FLAGS_HIGH: usize = IFR_ARGUMENT + size_of::<u16>();

/// The argument of the request that adds an IPv4 address, of all systems but FreeBSD.
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

/// How long an IPv6 address is valid.
#[doc(alias = "in6_addrlifetime")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct LifetimesV6 {
    /// When it expires; the kernel's.
    pub expire: Time,
    /// Until when it is preferred; the kernel's.
    pub preferred_until: Time,
    /// For how many seconds it is valid.
    pub valid: u32,
    /// For how many seconds it is preferred.
    pub preferred: u32,
}

/// The argument of the request that adds an IPv6 address, of all systems but FreeBSD.
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
    /// How long it is valid.
    pub lifetimes: LifetimesV6,
}

/// The argument of requests that name an interface and one of its IPv6 addresses.
#[doc(alias = "in6_ifreq")]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct RequestV6 {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// An address, or flags; the widest member of C's union is a set of 34 counters.
    pub argument: [u8; 34 * 8],
}

/// What a tun is told of itself, on FreeBSD and DragonFly.
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
    /// Nothing.
    pub dummy: u8,
}
