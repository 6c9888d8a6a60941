//! The routing socket: what the kernel reports of interfaces and their addresses, as bytes. Manual page:
//! `route(4)`.
//!
//! Each read of the socket returns one message. All begin with a length of 16 bits, a version and a type of 8
//! bits each; what follows differs between the systems, and on DragonFly between its versions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use core::mem::offset_of;

use super::layout::{NAME_SIZE, SocketAddressV4, SocketAddressV6};
use super::{AF_INET, Abi, Name};

/// The addresses that a message may have behind its header, as bits of a mask, in the order in which they
/// stand.
pub mod rta {
    /// The netmask.
    pub const NETMASK: u32 = 0x4;
    /// The interface's own address.
    pub const IFA: u32 = 0x20;
    /// The broadcast address, or the peer's.
    pub const BRD: u32 = 0x80;
}

/// What an announcement says: the interface is new.
#[doc(alias = "IFAN_ARRIVAL")]
pub const ARRIVAL: u16 = 0;
/// What an announcement says: the interface is gone.
#[doc(alias = "IFAN_DEPARTURE")]
pub const DEPARTURE: u16 = 1;

/// The layout of one version of a system's messages. Offsets are from the beginning of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLayout {
    /// `RTM_VERSION`.
    pub version: u8,
    /// `RTM_IFINFO`.
    pub interface: InterfaceLayout,
    /// `RTM_NEWADDR` and `RTM_DELADDR`.
    pub address: AddressLayout,
    /// `RTM_IFANNOUNCE`, where interfaces are announced.
    pub announcement: Option<AnnouncementLayout>,
    /// `RTM_DESYNC`: the type of the message that says that others were dropped, where the system has it.
    pub overflow: Option<u8>,
    /// The addresses behind the header are padded to a multiple of this.
    pub alignment: usize,
}

/// The layout of what is reported of an interface.
#[doc(alias = "if_msghdr")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceLayout {
    /// The type.
    pub kind: u8,
    /// The index, 16 bits.
    pub index: usize,
    /// The flags (`IFF_…`), 32 bits.
    pub flags: usize,
    /// The MTU.
    pub mtu: usize,
    /// The bytes of the MTU: 4 or 8.
    pub mtu_bytes: usize,
}

/// The layout of what is reported of an address.
#[doc(alias = "ifa_msghdr")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLayout {
    /// The type of a message about an address that the interface has now.
    pub added: u8,
    /// The type of a message about one that it has no more.
    pub removed: u8,
    /// The index, 16 bits.
    pub index: usize,
    /// The mask of the addresses that follow ([`rta`]), 32 bits.
    pub present: usize,
    /// The bytes of the header.
    pub length: usize,
}

/// The layout of an announcement.
#[doc(alias = "if_announcemsghdr")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnouncementLayout {
    /// The type.
    pub kind: u8,
    /// The index, 16 bits.
    pub index: usize,
    /// The name, with its NUL.
    pub name: usize,
    /// What is announced, 16 bits.
    pub what: usize,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteReport {
    /// An interface is like this.
    Interface {
        /// Its index.
        index: u32,
        /// Its flags (`IFF_…`).
        flags: u32,
        /// Its MTU.
        mtu: u32,
    },
    /// An interface has an address, or has it no more.
    Address {
        /// The index of the interface.
        index: u32,
        /// Whether it has the address now.
        is_there: bool,
        /// The address.
        address: IpAddr,
        /// The length of the network prefix, in bits.
        prefix_length: u8,
        /// The broadcast address or, on a point-to-point interface, the peer's.
        other: Option<IpAddr>,
    },
    /// An interface is new, or has a new name.
    Arrived {
        /// Its index.
        index: u32,
        /// Its name.
        name: Name,
    },
    /// An interface is gone, or its name is.
    Departed {
        /// Its index.
        index: u32,
        /// Its name.
        name: Name,
    },
    /// The kernel dropped messages, or its messages are of a version that this library does not know.
    Lost,
}

impl Abi {
    /// Reads a message of a routing socket. `None`: it is about something else, or cut short.
    #[must_use]
    pub fn route_report(&self, message: &[u8]) -> Option<RouteReport> {
        let &[_, _, version, kind, ..] = message else { return None };
        let length = usize::from(u16::from_ne_bytes(take(message, 0)?));
        let message = message.get(..length)?;
        let Some(layout) = self.route.iter().find(|layout| layout.version == version) else {
            return Some(RouteReport::Lost);
        };
        let RouteLayout { interface, address, .. } = layout;
        if layout.overflow == Some(kind) {
            return Some(RouteReport::Lost);
        }
        if kind == interface.kind {
            return interface.read(message);
        }
        if kind == address.added || kind == address.removed {
            return self.address_report(layout, message, kind == address.added);
        }
        layout.announcement.filter(|announcement| announcement.kind == kind)?.read(message)
    }

    fn address_report(&self, layout: &RouteLayout, message: &[u8], is_there: bool) -> Option<RouteReport> {
        let present = u32::from_ne_bytes(take(message, layout.address.present)?);
        let (mut own, mut mask, mut other) = (None, None, None);
        let mut rest = message.get(layout.address.length..)?;
        for bit in (0..u32::BITS).map(|shift| 1 << shift).filter(|bit| present & bit != 0) {
            let Some(&stated) = rest.first() else { break };
            let stated = usize::from(stated);
            let address = rest.get(..stated)?;
            match bit {
                rta::NETMASK => mask = Some(address),
                rta::IFA => own = Some(self.ip(address)?),
                rta::BRD => other = self.ip(address),
                _ => {}
            }
            // An address without a length takes the room of the shortest. The last one may lack its padding.
            let padded = stated.max(1).next_multiple_of(layout.alignment);
            rest = rest.get(padded..).unwrap_or_default();
        }
        let address = own?;
        let prefix_length = prefix_length(address, mask);
        let index = index(message, layout.address.index)?;
        Some(RouteReport::Address { index, is_there, address, prefix_length, other })
    }

    /// The IP address in a `sockaddr`; `None` if it has another family, or is unspecified.
    fn ip(&self, address: &[u8]) -> Option<IpAddr> {
        let family = *address.get(1)?;
        let ip: IpAddr = if family == AF_INET {
            take::<4>(address, offset_of!(SocketAddressV4, address)).map(Ipv4Addr::from)?.into()
        } else if family == self.af_inet6 {
            let address = take::<16>(address, offset_of!(SocketAddressV6, address)).map(Ipv6Addr::from)?;
            without_scope(address).into()
        } else {
            return None;
        };
        (!ip.is_unspecified()).then_some(ip)
    }
}

impl InterfaceLayout {
    fn read(&self, message: &[u8]) -> Option<RouteReport> {
        let mtu = match self.mtu_bytes {
            8 => u32::try_from(u64::from_ne_bytes(take(message, self.mtu)?)).ok()?,
            _ => u32::from_ne_bytes(take(message, self.mtu)?),
        };
        let flags = u32::from_ne_bytes(take(message, self.flags)?);
        Some(RouteReport::Interface { index: index(message, self.index)?, flags, mtu })
    }
}

impl AnnouncementLayout {
    fn read(&self, message: &[u8]) -> Option<RouteReport> {
        let index = index(message, self.index)?;
        let name = Name::parse(&take::<NAME_SIZE>(message, self.name)?)?;
        match u16::from_ne_bytes(take(message, self.what)?) {
            ARRIVAL => Some(RouteReport::Arrived { index, name }),
            DEPARTURE => Some(RouteReport::Departed { index, name }),
            _ => None,
        }
    }
}

/// A link-local IPv6 address without the index of its interface, which these kernels keep in its third and
/// fourth byte, and show in lists and reports (`in6_setscope`). Other addresses stay as they are.
#[must_use]
pub const fn without_scope(address: Ipv6Addr) -> Ipv6Addr {
    if !address.is_unicast_link_local() {
        return address;
    }
    Ipv6Addr::from_bits(address.to_bits() & !(0xffff << 96))
}

/// The ones of a netmask, whose `sockaddr` may be shorter than the address, and have no family: the rest is
/// zeroes then. Without a mask, it is the address alone.
fn prefix_length(address: IpAddr, mask: Option<&[u8]>) -> u8 {
    let (at, bytes): (_, u8) = match address {
        IpAddr::V4(_) => (offset_of!(SocketAddressV4, address), 4),
        IpAddr::V6(_) => (offset_of!(SocketAddressV6, address), 16),
    };
    let Some(mask) = mask else { return bytes * 8 };
    let mut ones = 0;
    for byte in mask.iter().skip(at).take(bytes.into()) {
        #[allow(clippy::cast_possible_truncation, reason = "8 at most")]
        let leading = byte.leading_ones() as u8;
        ones += leading;
        if leading < 8 {
            break;
        }
    }
    ones
}

fn index(message: &[u8], at: usize) -> Option<u32> {
    take(message, at).map(u16::from_ne_bytes).map(u32::from)
}

fn take<const COUNT: usize>(message: &[u8], at: usize) -> Option<[u8; COUNT]> {
    message.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests;
