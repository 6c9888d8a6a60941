//! Arguments to bytes, and answers from bytes.
//!
//! All functions are pure, so that a test on one system can build and inspect the arguments of another.
//! Numbers are in the host's byte order, addresses and ports in the network's.

use core::mem::offset_of;
use std::ffi::CStr;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::layout::{
    IFR_ARGUMENT, IFR_FLAGS_HIGH, NAME_SIZE, SocketAddress, SocketAddressV4, SocketAddressV6, TunInfoNarrow,
};
use super::{AF_INET, AF_LINK, Abi, FOREVER, System, netbsd, openbsd};
use crate::bsd::abi::TunInfoLayout;

/// The name of an interface, padded with NULs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name([u8; NAME_SIZE]);

impl Name {
    /// Pads a name. `None` if the name is empty, leaves no room for its NUL or contains a NUL.
    #[must_use]
    pub fn new(name: &[u8]) -> Option<Self> {
        if name.is_empty() || name.len() >= NAME_SIZE || name.contains(&0) {
            return None;
        }
        let mut padded = [0; NAME_SIZE];
        padded[..name.len()].copy_from_slice(name);
        Some(Self(padded))
    }

    /// Reads the name at the beginning of an answer, up to its NUL. `None` if there is no name or no NUL.
    #[must_use]
    pub fn parse(answer: &[u8]) -> Option<Self> {
        let field = answer.get(..NAME_SIZE)?;
        let end = field.iter().position(|&byte| byte == 0)?;
        Self::new(&field[..end])
    }

    /// The name without its NULs.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(NAME_SIZE);
        &self.0[..end]
    }

    /// The name with one NUL.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        // A name has a NUL, as `new` sees to.
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }

    /// The name with its NULs, as an argument contains it.
    #[must_use]
    pub const fn padded(&self) -> &[u8; NAME_SIZE] {
        &self.0
    }
}

/// The configuration of a tun, in the widest form that a system has.
#[doc(alias = "tuninfo")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TunInfo {
    /// The MTU.
    pub mtu: u32,
    /// The kind of interface (`IFT_…`).
    pub kind: u16,
    /// Flags of the interface; 0 where the system's `tuninfo` has none.
    pub flags: u16,
    /// Bits a second.
    pub baudrate: u32,
}

impl Abi {
    /// An `ifreq` that names an interface.
    #[must_use]
    pub fn ifreq(&self, name: &Name) -> Vec<u8> {
        named(name, self.ifreq)
    }

    /// An `ifreq` with flags; where a system has only 16, the upper half is dropped.
    #[must_use]
    pub fn ifreq_flags(&self, name: &Name, flags: u32) -> Vec<u8> {
        let mut argument = self.ifreq(name);
        #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
        let low = flags as u16;
        put(&mut argument, IFR_ARGUMENT, &low.to_ne_bytes());
        if self.wide_flags {
            // Two numbers of 16 bits: the lower half is the first in either byte order.
            #[allow(clippy::cast_possible_truncation, reason = "the upper half")]
            let high = (flags >> 16) as u16;
            put(&mut argument, IFR_FLAGS_HIGH, &high.to_ne_bytes());
        }
        argument
    }

    /// The flags in an answer; `None` if it is too short.
    #[must_use]
    pub fn flags(&self, answer: &[u8]) -> Option<u32> {
        let low = u16::from_ne_bytes(take(answer, IFR_ARGUMENT)?);
        let high = if self.wide_flags { u16::from_ne_bytes(take(answer, IFR_FLAGS_HIGH)?) } else { 0 };
        Some(u32::from(high) << 16 | u32::from(low))
    }

    /// An `ifreq` with an MTU.
    #[must_use]
    pub fn ifreq_mtu(&self, name: &Name, mtu: u32) -> Vec<u8> {
        let mut argument = self.ifreq(name);
        put(&mut argument, IFR_ARGUMENT, &mtu.to_ne_bytes());
        argument
    }

    /// The MTU in an answer; `None` if it is too short.
    #[must_use]
    pub fn mtu(&self, answer: &[u8]) -> Option<u32> {
        take(answer, IFR_ARGUMENT).map(u32::from_ne_bytes)
    }

    /// The name in an answer; `None` if there is none.
    #[must_use]
    pub fn interface_name(&self, answer: &[u8]) -> Option<Name> {
        Name::parse(answer)
    }

    /// The minor number of a device, where it is the unit of a tun or a tap.
    #[doc(alias = "st_rdev")]
    #[must_use]
    pub const fn minor(&self, device: u64) -> Option<u32> {
        match self.system {
            System::NetBsd => Some(netbsd::minor(device)),
            System::OpenBsd => Some(openbsd::minor(device)),
            System::FreeBsd | System::DragonFly | System::MacOs => None,
        }
    }

    /// An `ifreq` with a MAC address: a link-level address whose length field counts only the MAC address.
    #[must_use]
    pub fn ifreq_mac(&self, name: &Name, mac: [u8; 6]) -> Vec<u8> {
        let mut argument = self.ifreq(name);
        put(&mut argument, IFR_ARGUMENT + offset_of!(SocketAddress, length), &[6]);
        put(&mut argument, IFR_ARGUMENT + offset_of!(SocketAddress, family), &[AF_LINK]);
        put(&mut argument, IFR_ARGUMENT + offset_of!(SocketAddress, data), &mac);
        argument
    }

    /// The argument that adds an IPv4 address. The second address is the peer's on a point-to-point
    /// interface, and otherwise the broadcast address; `None` leaves it to the kernel.
    #[must_use]
    pub fn alias_v4(
        &self,
        name: &Name,
        address: Ipv4Addr,
        destination_or_broadcast: Option<Ipv4Addr>,
        mask: Ipv4Addr,
    ) -> Vec<u8> {
        let mut argument = named(name, self.alias.size);
        put(&mut argument, self.alias.address, &sockaddr_in(address));
        if let Some(other) = destination_or_broadcast {
            put(&mut argument, self.alias.destination, &sockaddr_in(other));
        }
        put(&mut argument, self.alias.mask, &sockaddr_in(mask));
        argument
    }

    /// The argument that removes an IPv4 address.
    #[must_use]
    pub fn delete_v4(&self, name: &Name, address: Ipv4Addr) -> Vec<u8> {
        let mut argument = self.ifreq(name);
        put(&mut argument, IFR_ARGUMENT, &sockaddr_in(address));
        argument
    }

    /// The argument that adds an IPv6 address, with an infinite lifetime, and with the peer's address if
    /// there is one. A peer requires a prefix of 128 bits.
    #[must_use]
    pub fn alias_v6(
        &self,
        name: &Name,
        address: Ipv6Addr,
        destination: Option<Ipv6Addr>,
        prefix_length: u8,
        flags: u32,
    ) -> Vec<u8> {
        let layout = self.alias_v6;
        let mut argument = named(name, layout.size);
        put(&mut argument, layout.address, &self.sockaddr_in6(address));
        if let Some(peer) = destination {
            put(&mut argument, layout.destination, &self.sockaddr_in6(peer));
        }
        let host_bits = 128_u32.saturating_sub(prefix_length.into());
        let mask = Ipv6Addr::from_bits(u128::MAX.checked_shl(host_bits).unwrap_or(0));
        put(&mut argument, layout.mask, &self.sockaddr_in6(mask));
        put(&mut argument, layout.flags, &flags.to_ne_bytes());
        put(&mut argument, layout.valid, &FOREVER.to_ne_bytes());
        put(&mut argument, layout.preferred, &FOREVER.to_ne_bytes());
        argument
    }

    /// The argument that removes an IPv6 address.
    #[must_use]
    pub fn delete_v6(&self, name: &Name, address: Ipv6Addr) -> Vec<u8> {
        let mut argument = named(name, self.ifreq_v6);
        put(&mut argument, IFR_ARGUMENT, &self.sockaddr_in6(address));
        argument
    }

    /// The argument that asks for the flags of an IPv6 address.
    #[must_use]
    pub fn query_v6(&self, name: &Name, address: Ipv6Addr) -> Vec<u8> {
        self.delete_v6(name, address)
    }

    /// The flags of an IPv6 address in an answer; `None` if it is too short.
    #[doc(alias = "ifr_flags6")]
    #[must_use]
    pub fn address_flags(&self, answer: &[u8]) -> Option<u32> {
        take(answer, IFR_ARGUMENT).map(u32::from_ne_bytes)
    }

    /// A `tuninfo`; `None` if the system has none, or if its fields are too narrow for the MTU or the kind.
    #[must_use]
    pub fn tun_info(&self, info: &TunInfo) -> Option<Vec<u8>> {
        match self.tun_info? {
            TunInfoLayout::Narrow => {
                let mut argument = vec![0; size_of::<TunInfoNarrow>()];
                let mtu = u16::try_from(info.mtu).ok()?;
                put(&mut argument, offset_of!(TunInfoNarrow, baudrate), &info.baudrate.to_ne_bytes());
                put(&mut argument, offset_of!(TunInfoNarrow, mtu), &mtu.to_ne_bytes());
                put(&mut argument, offset_of!(TunInfoNarrow, kind), &[u8::try_from(info.kind).ok()?]);
                Some(argument)
            }
            TunInfoLayout::Wide => {
                let mut argument = vec![0; size_of::<openbsd::TunInfo>()];
                put(&mut argument, offset_of!(openbsd::TunInfo, mtu), &info.mtu.to_ne_bytes());
                put(&mut argument, offset_of!(openbsd::TunInfo, kind), &info.kind.to_ne_bytes());
                put(&mut argument, offset_of!(openbsd::TunInfo, flags), &info.flags.to_ne_bytes());
                put(&mut argument, offset_of!(openbsd::TunInfo, baudrate), &info.baudrate.to_ne_bytes());
                Some(argument)
            }
        }
    }

    /// The `tuninfo` in an answer; `None` if the system has none, or if the answer is too short.
    #[must_use]
    pub fn parse_tun_info(&self, answer: &[u8]) -> Option<TunInfo> {
        Some(match self.tun_info? {
            TunInfoLayout::Narrow => TunInfo {
                mtu: u16::from_ne_bytes(take(answer, offset_of!(TunInfoNarrow, mtu))?).into(),
                kind: u8::from_ne_bytes(take(answer, offset_of!(TunInfoNarrow, kind))?).into(),
                flags: 0,
                baudrate: u32::from_ne_bytes(take(answer, offset_of!(TunInfoNarrow, baudrate))?),
            },
            TunInfoLayout::Wide => TunInfo {
                mtu: u32::from_ne_bytes(take(answer, offset_of!(openbsd::TunInfo, mtu))?),
                kind: u16::from_ne_bytes(take(answer, offset_of!(openbsd::TunInfo, kind))?),
                flags: u16::from_ne_bytes(take(answer, offset_of!(openbsd::TunInfo, flags))?),
                baudrate: u32::from_ne_bytes(take(answer, offset_of!(openbsd::TunInfo, baudrate))?),
            },
        })
    }

    /// The scope stays 0: in a request that names an interface, a link-local address belongs to that
    /// interface.
    fn sockaddr_in6(&self, address: Ipv6Addr) -> [u8; size_of::<SocketAddressV6>()] {
        const SIZE: u8 = 28;
        const _: () = assert!(SIZE as usize == size_of::<SocketAddressV6>());
        let mut bytes = [0; size_of::<SocketAddressV6>()];
        bytes[offset_of!(SocketAddressV6, length)] = SIZE;
        bytes[offset_of!(SocketAddressV6, family)] = self.af_inet6;
        put(&mut bytes, offset_of!(SocketAddressV6, address), &address.octets());
        bytes
    }
}

fn sockaddr_in(address: Ipv4Addr) -> [u8; size_of::<SocketAddressV4>()] {
    const SIZE: u8 = 16;
    const _: () = assert!(SIZE as usize == size_of::<SocketAddressV4>());
    let mut bytes = [0; size_of::<SocketAddressV4>()];
    bytes[offset_of!(SocketAddressV4, length)] = SIZE;
    bytes[offset_of!(SocketAddressV4, family)] = AF_INET;
    put(&mut bytes, offset_of!(SocketAddressV4, address), &address.octets());
    bytes
}

/// An argument of `size` bytes that begins with a name.
fn named(name: &Name, size: usize) -> Vec<u8> {
    let mut argument = vec![0; size];
    put(&mut argument, 0, name.padded());
    argument
}

fn put(argument: &mut [u8], at: usize, bytes: &[u8]) {
    argument[at..at + bytes.len()].copy_from_slice(bytes);
}

fn take<const COUNT: usize>(answer: &[u8], at: usize) -> Option<[u8; COUNT]> {
    answer.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
