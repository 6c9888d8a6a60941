//! What another program does to interfaces, and the addresses that the kernel lists: netlink, written out by
//! hand.
//!
//! It shares no code with the library under test, nor with the crates that the library encodes and decodes
//! with. It acts in the network namespace of the calling thread. The numbers are those of
//! `<linux/rtnetlink.h>`, `<linux/if_link.h>` and `<linux/if_addr.h>`.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send, socket,
};
use tunctl_core::{InterfaceAddress, InterfaceName};

use crate::sysfs::os_str;

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const IFLA_CARRIER: u16 = 33;
const IFLA_NET_NS_FD: u16 = 28;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_F_NODAD: u8 = 2;
const IFF_UP: u32 = 1;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// `struct rtattr`.
const ATTRIBUTE_HEADER: usize = 4;
/// `struct ifaddrmsg`.
const ADDRESS_HEADER: usize = 8;

/// Deletes an interface, whoever has it open.
pub fn delete(name: &InterfaceName) {
    change(RTM_DELLINK, &link(index(name), 0, 0)).unwrap_or_else(|errno| panic!("delete {name}: {errno}"));
}

/// Makes a bridge that is up, forwards at once and says nothing of its own; false if the kernel has no
/// bridges.
#[must_use]
pub fn create_bridge(name: &InterfaceName) -> bool {
    let mut data = Vec::new();
    attach(&mut data, IFLA_BR_FORWARD_DELAY, &0_u32.to_ne_bytes());
    attach(&mut data, IFLA_BR_MCAST_SNOOPING, &[0]);
    let mut information = Vec::new();
    attach(&mut information, IFLA_INFO_KIND, b"bridge");
    attach(&mut information, IFLA_INFO_DATA, &data);
    let mut request = link(0, IFF_UP, IFF_UP);
    attach(&mut request, IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
    attach(&mut request, IFLA_LINKINFO, &information);
    match exchange(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &request) {
        Ok(_) => true,
        Err(Errno::EOPNOTSUPP) => false,
        Err(errno) => panic!("make the bridge {name}: {errno}"),
    }
}

/// Makes an interface a port of a bridge.
pub fn set_master(name: &InterfaceName, bridge: &InterfaceName) {
    let mut request = link(index(name), 0, 0);
    attach(&mut request, IFLA_MASTER, &index(bridge).to_ne_bytes());
    change(RTM_NEWLINK, &request).unwrap_or_else(|errno| panic!("{name} as a port of {bridge}: {errno}"));
}

/// Renames an interface; false if it is up, and the kernel does not rename such.
#[must_use]
pub fn rename(from: &InterfaceName, to: &InterfaceName) -> bool {
    let mut request = link(index(from), 0, 0);
    attach(&mut request, IFLA_IFNAME, &[to.as_bytes(), &[0]].concat());
    match change(RTM_NEWLINK, &request) {
        Ok(()) => true,
        Err(Errno::EBUSY) => false,
        Err(errno) => panic!("rename {from} to {to}: {errno}"),
    }
}

/// Moves an interface to the network namespace that the descriptor names.
pub fn move_to(name: &InterfaceName, namespace: impl AsFd) {
    let mut request = link(index(name), 0, 0);
    attach(&mut request, IFLA_NET_NS_FD, &namespace.as_fd().as_raw_fd().to_ne_bytes());
    change(RTM_NEWLINK, &request).unwrap_or_else(|errno| panic!("move {name}: {errno}"));
}

/// Switches an interface on or off.
pub fn set_up(name: &InterfaceName, up: bool) {
    let flags = if up { IFF_UP } else { 0 };
    change(RTM_NEWLINK, &link(index(name), flags, IFF_UP))
        .unwrap_or_else(|errno| panic!("switch {name}: {errno}"));
}

/// Adds an address to an interface; one of IPv6 without asking whether another has it.
pub fn add_address(name: &InterfaceName, address: InterfaceAddress) {
    let family: u8 = if address.address().is_ipv4() { 2 } else { 10 };
    // `struct ifaddrmsg`: family, prefix, flags, scope, index.
    let mut request = vec![family, address.prefix_length(), IFA_F_NODAD, 0];
    request.extend(index(name).to_ne_bytes());
    let bytes = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    attach(&mut request, IFA_LOCAL, &bytes(address.address()));
    attach(&mut request, IFA_ADDRESS, &bytes(address.peer().unwrap_or(address.address())));
    if let Some(broadcast) = address.broadcast() {
        attach(&mut request, IFA_BROADCAST, &broadcast.octets());
    }
    exchange(RTM_NEWADDR, NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &request)
        .unwrap_or_else(|errno| panic!("give {name} the address {address}: {errno}"));
}

/// Whether an interface has a carrier, which a driver reports also while the interface is down.
#[must_use]
pub fn carrier(name: &InterfaceName) -> Option<bool> {
    // `struct ifinfomsg`.
    const LINK_HEADER: usize = 16;
    let question = link(index(name), 0, 0);
    let answers = exchange(RTM_GETLINK, NLM_F_REQUEST | NLM_F_ACK, &question)
        .unwrap_or_else(|errno| panic!("ask about {name}: {errno}"));
    let (_, payload) = answers.into_iter().find(|(kind, _)| *kind == RTM_NEWLINK)?;
    let part = attributes(payload.get(LINK_HEADER..)?).find(|part| part.kind == IFLA_CARRIER)?;
    part.payload.first().map(|&on| on != 0)
}

/// Switches the carrier of an interface; false if no queue is in service, and the driver refuses.
#[must_use]
pub fn set_carrier(name: &InterfaceName, on: bool) -> bool {
    let mut request = link(index(name), 0, 0);
    attach(&mut request, IFLA_CARRIER, &[on.into()]);
    match change(RTM_NEWLINK, &request) {
        Ok(()) => true,
        Err(Errno::EPERM) => false,
        Err(errno) => panic!("switch the carrier of {name}: {errno}"),
    }
}

/// The addresses of an interface.
///
/// `getifaddrs(3)` does not serve: it keeps peer and broadcast address in the same place, and has no flag
/// that tells which of the two is there on a tun.
#[must_use]
pub fn addresses_of(name: &InterfaceName) -> Vec<InterfaceAddress> {
    let index = index(name);
    let answers = exchange(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &[0; ADDRESS_HEADER])
        .unwrap_or_else(|errno| panic!("list addresses: {errno}"));
    let told = answers.into_iter().filter(|(kind, _)| *kind == RTM_NEWADDR);
    told.filter_map(|(_, payload)| address(&payload, index)).collect()
}

/// The number of an interface.
#[must_use]
pub fn index(name: &InterfaceName) -> u32 {
    if_nametoindex(os_str(name)).unwrap_or_else(|errno| panic!("the index of {name}: {errno}"))
}

/// The address that a message tells, if it is one of that interface.
fn address(payload: &[u8], wanted: u32) -> Option<InterfaceAddress> {
    let (&[_, prefix_length, _, _, i0, i1, i2, i3], rest) = payload.split_first_chunk()?;
    if u32::from_ne_bytes([i0, i1, i2, i3]) != wanted {
        return None;
    }
    let found = |wanted| attributes(rest).find(|part| part.kind == wanted).map(|part| part.payload);
    // The one called "address" is the far end, if there is a "local" one beside it.
    let far = ip(found(IFA_ADDRESS)?)?;
    let near = found(IFA_LOCAL).and_then(ip).unwrap_or(far);
    let broadcast =
        found(IFA_BROADCAST).and_then(|bytes| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)));
    Some(InterfaceAddress::from_kernel(near, prefix_length, (far != near).then_some(far), broadcast))
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// `struct ifinfomsg`: family, padding, hardware type, index, flags, and which flags are to change.
fn link(index: u32, flags: u32, changed: u32) -> Vec<u8> {
    [0, index, flags, changed].map(u32::to_ne_bytes).concat()
}

/// Appends an attribute: length, kind, value, padding.
fn attach(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).expect("an attribute is short");
    request.extend([length.to_ne_bytes(), kind.to_ne_bytes()].concat());
    request.extend(value);
    request.resize(request.len().next_multiple_of(4), 0);
}

fn change(kind: u16, request: &[u8]) -> Result<(), Errno> {
    exchange(kind, NLM_F_REQUEST | NLM_F_ACK, request).map(drop)
}

/// Asks the kernel; the messages of its answer, each with its kind.
fn exchange(kind: u16, flags: u16, request: &[u8]) -> Result<Vec<(u16, Vec<u8>)>, Errno> {
    let socket = open()?;
    let length = u32::try_from(HEADER + request.len()).expect("a request is short");
    let mut message = length.to_ne_bytes().to_vec();
    message.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    // The number of the request, and who asks: neither matters where one socket asks one thing.
    message.extend([0; 8]);
    message.extend(request);
    send(socket.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut answers = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
        for part in messages(&buffer[..length]) {
            match part.kind {
                NLMSG_ERROR => return verdict(part.payload).map(|()| answers),
                NLMSG_DONE => return Ok(answers),
                kind => answers.push((kind, part.payload.to_vec())),
            }
        }
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let protocol = SockProtocol::NetlinkRoute;
    let socket = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, protocol)?;
    bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
    Ok(socket)
}

/// `struct nlmsgerr` begins with the errno, negated; 0 means that all is well.
fn verdict(payload: &[u8]) -> Result<(), Errno> {
    match payload.first_chunk().copied().map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(negated) => Err(Errno::from_raw(-negated)),
        None => Err(Errno::EBADMSG),
    }
}

/// A message, or an attribute.
struct Part<'a> {
    kind: u16,
    payload: &'a [u8],
}

fn messages(bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    parts(bytes, HEADER, |head| (u32::from_ne_bytes([head[0], head[1], head[2], head[3]]), half(head, 4)))
}

fn attributes(bytes: &[u8]) -> impl Iterator<Item = Part<'_>> {
    parts(bytes, ATTRIBUTE_HEADER, |head| (half(head, 0).into(), half(head, 2)))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

/// What stands one after the other, each at a multiple of four, and each behind a header that tells length
/// and kind; the length counts the header.
fn parts(bytes: &[u8], header: usize, read: fn(&[u8]) -> (u32, u16)) -> impl Iterator<Item = Part<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (length, kind) = read(rest.get(..header)?);
        let length = usize::try_from(length).ok()?;
        let payload = rest.get(header..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Part { kind, payload })
    })
}
