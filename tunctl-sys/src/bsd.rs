//! The BSD systems and macOS: numbers and layouts for TUN/TAP, for interfaces and for their addresses.
//!
//! The five systems share most requests, and almost none has the same number and layout on all of them. What
//! differs is data: an [`Abi`] describes one system, builds the bytes of a request's argument and reads the
//! bytes of its answer. All five compile on every host. Only `calls`, which makes the requests, needs one of
//! these systems.
//!
//! | module | what it holds |
//! |---|---|
//! | [`request`] | [`Request`]: a number whose argument is plain bytes, declared once, with its proof |
//! | [`text`] | the requests whose argument contains the address of a text |
//! | [`layout`] | the structures that the systems share |
//! | [`abi`] | [`Abi`]: what differs between the systems |
//! | [`bpf`] | the packet filter: frames to and from an interface |
//! | [`errno`] | the errnos, and their texts |
//! | [`bytes`] | arguments to bytes, and answers from bytes |
//! | [`route`] | what the kernel reports of interfaces, from bytes |
//! | [`table`] | what a C compiler for the system can confirm |
//! | [`freebsd`], [`netbsd`], [`openbsd`], [`dragonfly`], [`macos`] | one system each, and its `ABI` |
//! | `calls` | the system calls |
//!
//! Layouts are those of 64-bit systems. Each number is computed from its group, its ordinal and its
//! argument's size, and is asserted to be the number in the system's own headers.
//!
//! # Platform
//!
//! `cargo xtask abi` proves the numbers of FreeBSD, NetBSD, OpenBSD and macOS against those systems' headers,
//! as far as these are available. DragonFly's were read in its source, and no compiler has confirmed them.
//! Only NetBSD's requests were ever made to a kernel of their system.

pub mod abi;
pub mod bpf;
pub mod bytes;
#[cfg(all(
    target_pointer_width = "64",
    any(
        target_os = "freebsd",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "dragonfly",
        target_os = "macos"
    )
))]
pub mod calls;
pub mod dragonfly;
pub mod errno;
pub mod freebsd;
pub mod layout;
pub mod macos;
pub mod netbsd;
pub mod openbsd;
pub mod request;
pub mod route;
pub mod table;
pub mod text;

pub use abi::{Abi, System};
pub use bytes::{Name, TunInfo};
pub use request::{Pair, Request, Requests};
pub use route::RouteReport;
pub use text::{GetText, SetText};

use crate::ioctl::Opcode;
use core::ffi::c_int;
use core::mem::offset_of;

use layout::{
    IFR_ARGUMENT, LifetimesV6, NAME_SIZE, RequestV6, SocketAddress, SocketAddressV4, SocketAddressV6,
};

/// The bits of a number that hold the size of the argument, after a shift by 16.
#[doc(alias = "IOCPARM_MASK")]
pub const LENGTH_MASK: u32 = 0x1fff;
/// The request has no argument.
#[doc(alias = "IOC_VOID")]
pub const VOID: u32 = 0x2000_0000;
/// The kernel writes the argument.
#[doc(alias = "IOC_OUT")]
pub const OUT: u32 = 0x4000_0000;
/// The kernel reads the argument.
#[doc(alias = "IOC_IN")]
pub const IN: u32 = 0x8000_0000;

const fn encode(direction: u32, group: u8, number: u8, length: usize) -> Opcode {
    assert!(length <= LENGTH_MASK as usize);
    #[allow(clippy::cast_possible_truncation, reason = "asserted on the line above")]
    let length = length as u32;
    direction | length << 16 | (group as u32) << 8 | number as u32
}

/// The number of a request without an argument.
#[doc(alias = "_IO")]
#[must_use]
pub const fn io(group: u8, number: u8) -> Opcode {
    encode(VOID, group, number, 0)
}

/// The number of a request whose argument, of `length` bytes, the kernel writes.
///
/// # Panics
///
/// `length` is greater than [`LENGTH_MASK`].
#[doc(alias = "_IOR")]
#[must_use]
pub const fn ior(group: u8, number: u8, length: usize) -> Opcode {
    encode(OUT, group, number, length)
}

/// The number of a request whose argument, of `length` bytes, the kernel reads.
///
/// # Panics
///
/// `length` is greater than [`LENGTH_MASK`].
#[doc(alias = "_IOW")]
#[must_use]
pub const fn iow(group: u8, number: u8, length: usize) -> Opcode {
    encode(IN, group, number, length)
}

/// The number of a request whose argument, of `length` bytes, the kernel reads, then writes.
///
/// # Panics
///
/// `length` is greater than [`LENGTH_MASK`].
#[doc(alias = "_IOWR")]
#[must_use]
pub const fn iowr(group: u8, number: u8, length: usize) -> Opcode {
    encode(IN | OUT, group, number, length)
}

/// The size of the argument of a request that takes an `int`.
pub(crate) const INT: usize = size_of::<c_int>();

/// IPv4.
pub const AF_INET: u8 = 2;
/// A link-level address, such as a MAC address.
pub const AF_LINK: u8 = 18;

/// Flags of an interface that all five systems have.
pub mod iff {
    /// The interface is up.
    pub const UP: u32 = 0x1;
    /// The interface has a broadcast address.
    pub const BROADCAST: u32 = 0x2;
    /// The interface is point-to-point: it leads to one peer.
    pub const POINTOPOINT: u32 = 0x10;
    /// The driver has resources for the interface.
    pub const RUNNING: u32 = 0x40;
    /// The interface does not use ARP.
    pub const NOARP: u32 = 0x80;
    /// The driver's own.
    pub const LINK0: u32 = 0x1000;
    /// The driver's own.
    pub const LINK1: u32 = 0x2000;
    /// The interface carries multicast.
    pub const MULTICAST: u32 = 0x8000;
}

/// Flags of an IPv6 address that all five systems have.
pub mod in6_iff {
    /// Duplicate detection still runs: the address is not in service yet.
    pub const TENTATIVE: u32 = 0x2;
    /// Duplicate detection has found the address on another host.
    pub const DUPLICATED: u32 = 0x4;
}

/// An infinite lifetime.
#[doc(alias = "ND6_INFINITE_LIFETIME")]
pub const FOREVER: u32 = u32::MAX;

/// `int`: whether a call that would have to wait fails instead.
pub const FIONBIO: Opcode = iow(b'f', 126, INT);
/// `int`, filled in: the number of bytes that can be read.
pub const FIONREAD: Opcode = ior(b'f', 127, INT);

table::table! {
    /// The numbers and layouts that are the same on all five systems.
    COMMON:
    "FIONBIO" => FIONBIO => 0x8004_667e;
    "FIONREAD" => FIONREAD => 0x4004_667f;
    "BIOCGBLEN" => bpf::BIOCGBLEN => 0x4004_4266;
    "BIOCSBLEN" => bpf::BIOCSBLEN => 0xc004_4266;
    "BIOCGDLT" => bpf::BIOCGDLT => 0x4004_426a;
    "BIOCIMMEDIATE" => bpf::BIOCIMMEDIATE => 0x8004_4270;
    "BIOCSHDRCMPLT" => bpf::BIOCSHDRCMPLT => 0x8004_4275;
    "DLT_NULL" => bpf::DLT_NULL => 0;
    "DLT_EN10MB" => bpf::DLT_EN10MB => 1;
    "IFNAMSIZ" => NAME_SIZE => 16;
    "AF_INET" => AF_INET => 2;
    "AF_LINK" => AF_LINK => 18;
    "IFF_UP" => iff::UP => 1;
    "IFF_BROADCAST" => iff::BROADCAST => 2;
    "IFF_POINTOPOINT" => iff::POINTOPOINT => 0x10;
    "IFF_RUNNING" => iff::RUNNING => 0x40;
    "IFF_NOARP" => iff::NOARP => 0x80;
    "IFF_LINK0" => iff::LINK0 => 0x1000;
    "IFF_LINK1" => iff::LINK1 => 0x2000;
    "IFF_MULTICAST" => iff::MULTICAST => 0x8000;
    "IN6_IFF_TENTATIVE" => in6_iff::TENTATIVE => 2;
    "IN6_IFF_DUPLICATED" => in6_iff::DUPLICATED => 4;
    "ND6_INFINITE_LIFETIME" => FOREVER => 0xffff_ffff;
    "RTA_NETMASK" => route::rta::NETMASK => 4;
    "RTA_IFA" => route::rta::IFA => 0x20;
    "RTA_BRD" => route::rta::BRD => 0x80;
    "sizeof(struct sockaddr)" => size_of::<SocketAddress>() => 16;
    "offsetof(struct sockaddr, sa_len)" => offset_of!(SocketAddress, length) => 0;
    "offsetof(struct sockaddr, sa_family)" => offset_of!(SocketAddress, family) => 1;
    "offsetof(struct sockaddr, sa_data)" => offset_of!(SocketAddress, data) => 2;
    "sizeof(struct sockaddr_in)" => size_of::<SocketAddressV4>() => 16;
    "offsetof(struct sockaddr_in, sin_len)" => offset_of!(SocketAddressV4, length) => 0;
    "offsetof(struct sockaddr_in, sin_family)" => offset_of!(SocketAddressV4, family) => 1;
    "offsetof(struct sockaddr_in, sin_port)" => offset_of!(SocketAddressV4, port) => 2;
    "offsetof(struct sockaddr_in, sin_addr)" => offset_of!(SocketAddressV4, address) => 4;
    "offsetof(struct sockaddr_in, sin_zero)" => offset_of!(SocketAddressV4, zero) => 8;
    "sizeof(struct sockaddr_in6)" => size_of::<SocketAddressV6>() => 28;
    "offsetof(struct sockaddr_in6, sin6_len)" => offset_of!(SocketAddressV6, length) => 0;
    "offsetof(struct sockaddr_in6, sin6_family)" => offset_of!(SocketAddressV6, family) => 1;
    "offsetof(struct sockaddr_in6, sin6_port)" => offset_of!(SocketAddressV6, port) => 2;
    "offsetof(struct sockaddr_in6, sin6_flowinfo)" => offset_of!(SocketAddressV6, flow) => 4;
    "offsetof(struct sockaddr_in6, sin6_addr)" => offset_of!(SocketAddressV6, address) => 8;
    "offsetof(struct sockaddr_in6, sin6_scope_id)" => offset_of!(SocketAddressV6, scope) => 24;
    "offsetof(struct ifreq, ifr_name)" => 0usize => 0;
    "offsetof(struct ifreq, ifr_ifru)" => IFR_ARGUMENT => 16;
    "offsetof(struct ifreq, ifr_addr)" => IFR_ARGUMENT => 16;
    "offsetof(struct ifreq, ifr_data)" => IFR_ARGUMENT => 16;
    "offsetof(struct ifreq, ifr_flags)" => IFR_ARGUMENT => 16;
    "sizeof(((struct ifreq *)0)->ifr_flags)" => size_of::<u16>() => 2;
    "offsetof(struct ifreq, ifr_mtu)" => IFR_ARGUMENT => 16;
    "sizeof(((struct ifreq *)0)->ifr_mtu)" => size_of::<u32>() => 4;
    "sizeof(struct in6_ifreq)" => size_of::<RequestV6>() => 288;
    "offsetof(struct in6_ifreq, ifr_name)" => offset_of!(RequestV6, name) => 0;
    "offsetof(struct in6_ifreq, ifr_ifru)" => offset_of!(RequestV6, argument) => 16;
    "offsetof(struct in6_ifreq, ifr_ifru.ifru_flags6)" => IFR_ARGUMENT => 16;
    "sizeof(struct in6_addrlifetime)" => size_of::<LifetimesV6>() => 24;
    "offsetof(struct in6_addrlifetime, ia6t_expire)" => offset_of!(LifetimesV6, expire) => 0;
    "offsetof(struct in6_addrlifetime, ia6t_preferred)" => offset_of!(LifetimesV6, preferred_until) => 8;
    "offsetof(struct in6_addrlifetime, ia6t_vltime)" => offset_of!(LifetimesV6, valid) => 16;
    "offsetof(struct in6_addrlifetime, ia6t_pltime)" => offset_of!(LifetimesV6, preferred) => 20;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_the_headers_compute() {
        // _IO('t', 95), _IOR('t', 97, int), _IOW('t', 96, int) of FreeBSD, _IOWR('i', 17, struct ifreq) of
        // NetBSD.
        assert_eq!(io(b't', 95), 0x2000_745f);
        assert_eq!(ior(b't', 97, 4), 0x4004_7461);
        assert_eq!(iow(b't', 96, 4), 0x8004_7460);
        assert_eq!(iowr(b'i', 17, 144), 0xc090_6911);
        assert_eq!(iow(b'x', 0, 0x1fff), 0x9fff_7800);
    }

    #[test]
    #[should_panic(expected = "length")]
    fn an_argument_that_does_not_fit_the_number_is_refused() {
        let _ = iow(b'x', 0, 0x2000);
    }

    #[test]
    fn systems_differ_where_they_are_known_to() {
        let all = [freebsd::ABI, netbsd::ABI, openbsd::ABI, dragonfly::ABI, macos::ABI];
        assert_eq!(all.map(|abi| abi.af_inet6), [28, 24, 24, 28, 30]);
        assert_eq!(all.map(|abi| abi.ifreq), [32, 144, 32, 32, 32]);
        assert_eq!(all.map(|abi| abi.alias.size), [68, 64, 64, 64, 64]);
        assert_eq!(all.map(|abi| abi.rename.is_some()), [true, false, false, true, false]);
        assert_eq!(all.map(|abi| abi.requests.set_mac.is_some()), [true, false, true, true, true]);
    }

    #[test]
    fn every_number_has_the_size_of_the_argument_built_for_it() {
        for abi in [freebsd::ABI, netbsd::ABI, openbsd::ABI, dragonfly::ABI, macos::ABI] {
            let requests = abi.requests;
            for request in [requests.get_flags, requests.set_flags, requests.get_mtu, requests.set_mtu] {
                assert_eq!(request.length(), abi.ifreq, "{:?}", abi.system);
            }
            assert_eq!(requests.add_address.length(), abi.alias.size, "{:?}", abi.system);
            assert_eq!(requests.add_address_v6.length(), abi.alias_v6.size, "{:?}", abi.system);
            assert_eq!(requests.delete_address.length(), abi.ifreq, "{:?}", abi.system);
            assert_eq!(requests.delete_address_v6.length(), abi.ifreq_v6, "{:?}", abi.system);
        }
    }
}
