//! What these kernels report on a routing socket, and how.

use std::net::{IpAddr, Ipv6Addr};

use tunctl_bsd::ListedAddress;

use super::System;
use super::device::Device;
use super::numbers::{AF_INET, AF_LINK, UP, af_inet6};
use super::world::World;

/// A routing socket.
#[derive(Debug)]
pub(crate) struct Route {
    /// The bytes of messages that it keeps.
    pub(crate) room: usize,
    /// OpenBSD: messages were dropped, and the program was not told yet.
    is_desynchronised: bool,
}

impl Route {
    pub(crate) const fn new(room: usize) -> Self {
        Self { room, is_desynchronised: false }
    }
}

const IFINFO: usize = 0;
const NEWADDR: usize = 1;
const DELADDR: usize = 2;
const IFANNOUNCE: usize = 3;

/// Fact: `RTM_VERSION`, and the types of the messages. DragonFly's is the version of 2018.
const fn types(system: System) -> (u8, [u8; 4]) {
    match system {
        System::NetBsd => (4, [0x14, 0x16, 0x17, 0x10]),
        System::OpenBsd => (5, [0xe, 0xc, 0xd, 0xf]),
        _ => (5, [0xe, 0xc, 0xd, 0x11]),
    }
}

/// A message of zeroes, with its length, version and type.
fn message(system: System, kind: usize, length: usize) -> Vec<u8> {
    let (version, types) = types(system);
    let mut message = vec![0; length];
    put(&mut message, 0, &u16::try_from(length).unwrap_or(0).to_ne_bytes());
    (message[2], message[3]) = (version, types[kind]);
    message
}

fn put(message: &mut [u8], at: usize, bytes: &[u8]) {
    message[at..at + bytes.len()].copy_from_slice(bytes);
}

fn short(index: u32) -> [u8; 2] {
    u16::try_from(index).unwrap_or(0).to_ne_bytes()
}

/// Fact: `if_msghdr`, whose `if_data` begins with eight bytes, or with four on OpenBSD, and then has the MTU.
fn interface(system: System, index: u32, flags: u32, mtu: u32) -> Vec<u8> {
    let length = match system {
        System::OpenBsd => 24 + 136,
        System::NetBsd => 16 + 136,
        System::MacOs => 16 + 96,
        _ => 16 + 152,
    };
    let mut message = message(system, IFINFO, length);
    // Source: macOS's `rt_ifmsg` cuts the flags to 16 bits; others have more.
    let flags = if system == System::MacOs { flags & 0xffff } else { flags };
    let (at_index, at_flags, at_mtu) = if system == System::OpenBsd { (6, 16, 28) } else { (12, 8, 24) };
    put(&mut message, at_index, &short(index));
    put(&mut message, at_flags, &flags.to_ne_bytes());
    if matches!(system, System::NetBsd | System::DragonFly) {
        put(&mut message, at_mtu, &u64::from(mtu).to_ne_bytes());
    } else {
        put(&mut message, at_mtu, &mtu.to_ne_bytes());
    }
    message
}

/// Fact: `ifa_msghdr`, and behind it netmask (0x4), name (0x10), address (0x20) and the other address (0x80).
/// Source: each is padded (`SA_SIZE`, `RT_ROUNDUP`, `ROUNDUP`, `ROUNDUP32`).
fn address(system: System, index: u32, name: &str, listed: &ListedAddress, is_there: bool) -> Vec<u8> {
    let other = listed.destination.or(listed.broadcast);
    let mut parts = vec![(0x4_u32, mask(system, listed)), (0x10, link(index, name))];
    parts.push((0x20, socket_address(system, listed.address, index)));
    parts.extend(other.map(|other| (0x80, socket_address(system, other, index))));
    let alignment = if system == System::MacOs { 4 } else { 8 };
    let (at_index, at_mask, length) = match system {
        System::NetBsd => (4, 12, 32),
        System::OpenBsd => (6, 12, 24),
        _ => (12, 4, 20),
    };
    let mut message = message(system, if is_there { NEWADDR } else { DELADDR }, length);
    put(&mut message, at_index, &short(index));
    let present = parts.iter().fold(0, |present, part| present | part.0);
    put(&mut message, at_mask, &present.to_ne_bytes());
    for (_, part) in parts {
        let padded = part.len().max(1).next_multiple_of(alignment);
        message.extend(part.iter().copied().chain(std::iter::repeat(0)).take(padded));
    }
    let length = u16::try_from(message.len()).unwrap_or(0);
    put(&mut message, 0, &length.to_ne_bytes());
    message
}

/// A `sockaddr`: its length, its family, the address at 4 or 8. Source: all of these kernels keep the index
/// of a link-local address's interface in its third and fourth byte, and but for FreeBSD's
/// `sa6_recoverscope`, they report it so.
fn socket_address(system: System, address: IpAddr, index: u32) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            vec![16, AF_INET.to_le_bytes()[0], 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(address) => {
            let mut bytes = vec![28, af_inet6(system).to_le_bytes()[0], 0, 0, 0, 0, 0, 0];
            bytes.extend(kept(system, address, index).octets());
            bytes.extend([0; 4]);
            bytes
        }
    }
}

/// A listed address as the kernel shows it: with the index of its interface in those of a link.
pub(crate) fn scoped(system: System, listed: ListedAddress, index: u32) -> ListedAddress {
    let shown = |address: IpAddr| match address {
        IpAddr::V6(address) => kept(system, address, index).into(),
        address @ IpAddr::V4(_) => address,
    };
    ListedAddress { destination: listed.destination.map(shown), address: shown(listed.address), ..listed }
}

/// An address as the kernel keeps it.
fn kept(system: System, address: Ipv6Addr, index: u32) -> Ipv6Addr {
    if !address.is_unicast_link_local() || system == System::FreeBsd {
        return address;
    }
    let mut octets = address.octets();
    [octets[2], octets[3]] = u16::try_from(index).unwrap_or(0).to_be_bytes();
    octets.into()
}

/// A mask. Source: that of IPv4 ends with its last byte that is not 0 (`in_socktrim`).
fn mask(system: System, listed: &ListedAddress) -> Vec<u8> {
    let ones = |bytes: u8| {
        (0..bytes)
            .map(|at| !0xff_u8.checked_shr(listed.prefix_length.saturating_sub(8 * at).into()).unwrap_or(0))
    };
    if listed.address.is_ipv4() {
        let mut bytes = vec![0, 0, 0, 0];
        bytes.extend(ones(4).take_while(|&byte| byte != 0));
        bytes[0] = u8::try_from(bytes.len()).unwrap_or(0);
        return bytes;
    }
    let mut bytes = vec![28, af_inet6(system).to_le_bytes()[0], 0, 0, 0, 0, 0, 0];
    bytes.extend(ones(16));
    bytes.extend([0; 4]);
    bytes
}

/// A `sockaddr_dl`: index at 2, the length of the name at 5, the name at 8.
fn link(index: u32, name: &str) -> Vec<u8> {
    let length = u8::try_from(name.len()).unwrap_or(0);
    let [low, high] = short(index);
    let mut bytes = vec![8 + length, AF_LINK, low, high, 0, length, 0, 0];
    bytes.extend(name.as_bytes());
    bytes
}

impl World {
    /// Reports how an interface is now.
    pub(crate) fn report_interface(&mut self, index: u32) {
        if let Some(found) = self.indexed(index) {
            let message = interface(self.system, index, found.flags, found.mtu);
            self.report(&message);
        }
    }

    /// Reports that an interface that has gone is down.
    pub(crate) fn report_down(&mut self, index: u32, flags: u32, mtu: u32) {
        let message = interface(self.system, index, flags & !UP, mtu);
        self.report(&message);
    }

    pub(crate) fn report_address(&mut self, index: u32, name: &str, listed: &ListedAddress, is_there: bool) {
        let message = address(self.system, index, name, listed, is_there);
        self.report(&message);
    }

    /// Source: all but macOS announce interfaces that come and go (`rt_ifannouncemsg`; OpenBSD's
    /// `rtm_ifannounce`), with both names of one that is renamed.
    pub(crate) fn announce(&mut self, index: u32, name: &str, is_new: bool) {
        let (at_index, at_name, at_what) = match self.system {
            System::MacOs => return,
            System::OpenBsd => (6, 10, 8),
            _ => (4, 6, 22),
        };
        let mut message = message(self.system, IFANNOUNCE, 26);
        put(&mut message, at_index, &short(index));
        put(&mut message, at_name, name.as_bytes());
        put(&mut message, at_what, &u16::from(!is_new).to_ne_bytes());
        self.report(&message);
    }

    fn report(&mut self, message: &[u8]) {
        let is_openbsd = self.system == System::OpenBsd;
        for device in self.devices.values_mut() {
            let waiting = device.bytes_waiting();
            let Some(route) = &mut device.route else { continue };
            if waiting + message.len() > route.room {
                // Source: all drop it (`raw_input`, `rt_dispatch`; OpenBSD's `rtm_sendup`), and OpenBSD
                // remembers.
                route.is_desynchronised |= is_openbsd;
            } else {
                device.push(message.to_vec());
            }
        }
    }
}

impl Device {
    /// A message was read. Source: OpenBSD's `rtm_senddesync` then says that others were dropped.
    pub(crate) fn desynchronise(&mut self, system: System) {
        let Some(route) = &mut self.route else { return };
        if std::mem::take(&mut route.is_desynchronised) {
            let (version, _) = types(system);
            let mut message = vec![0; 96];
            put(&mut message, 0, &96_u16.to_ne_bytes());
            (message[2], message[3]) = (version, 0x10);
            self.push(message);
        }
    }
}
