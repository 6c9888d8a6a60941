//! Netlink, as much as the helper needs: configure one interface, and list aliases and routes.
//!
//! The crates that speak all of netlink are some twenty thousand lines, which would run with a capability for
//! four messages.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc::{
    AF_INET, AF_INET6, AF_UNSPEC, IFA_ADDRESS, IFA_BROADCAST, IFA_F_NODAD, IFA_LOCAL, NLM_F_ACK,
    NLM_F_CREATE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_EXCL, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, RTA_DST,
    RTA_OIF, RTM_GETLINK, RTM_GETROUTE,
};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recvfrom, send, socket,
};
use tunctl_sys::linux::netlink::{LINK_HEADER_SIZE, LINK_UP, ifla, ifla_info, ifla_tun, rtm};

use crate::policy::Network;
use crate::protocol::Address;

/// More than the kernel puts into one datagram of a list.
const ROOM: usize = 64 * 1024;
/// How often a list is asked for that changes meanwhile.
const ATTEMPTS: u32 = 100;
const HEADER_SIZE: usize = 16;
const ADDRESS_HEADER_SIZE: usize = 8;
const ROUTE_HEADER_SIZE: usize = 12;

/// A socket, which is opened in the network namespace of this process.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    room: Vec<u8>,
}

/// An interface of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The index.
    pub index: u32,
    /// The name.
    pub name: Vec<u8>,
    /// The text that describes it, if it has one.
    pub alias: Vec<u8>,
    /// The user who owns it, if it is a TUN/TAP interface and has an owner.
    pub owner: Option<u32>,
}

/// A route to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub destination: Network,
    /// The interface that it leaves by. Zero: several, or none.
    pub interface: u32,
}

impl Netlink {
    /// Opens a socket.
    ///
    /// # Errors
    ///
    /// Those of `socket(2)`.
    pub fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)?;
        Ok(Self { socket, sequence: 0, room: vec![0; ROOM] })
    }

    /// All interfaces.
    ///
    /// # Errors
    ///
    /// The kernel's errno, and `EINTR` if the list changed while it was made.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        self.list(
            RTM_GETLINK,
            &[0; LINK_HEADER_SIZE],
            |kind, body| {
                if kind == rtm::NEWLINK { link(body) } else { None }
            },
        )
    }

    /// All routes of all tables that lead to less than everything.
    ///
    /// # Errors
    ///
    /// As for [`links`](Self::links).
    pub fn routes(&mut self) -> io::Result<Vec<Route>> {
        self.list(RTM_GETROUTE, &[0; ROUTE_HEADER_SIZE], |kind, body| {
            if kind == rtm::NEWROUTE { route(body) } else { None }
        })
    }

    /// Changes properties of an interface.
    pub(crate) fn configure(
        &mut self,
        index: u32,
        alias: &str,
        mtu: u32,
        queue_length: u32,
    ) -> io::Result<()> {
        let mut message = Message::new(rtm::NEWLINK, &link_header(index, 0));
        message.attribute(ifla::IFALIAS, alias.as_bytes());
        message.attribute(ifla::MTU, &mtu.to_ne_bytes());
        message.attribute(ifla::TXQLEN, &queue_length.to_ne_bytes());
        self.change(message, 0)
    }

    /// Brings an interface up.
    pub(crate) fn up(&mut self, index: u32) -> io::Result<()> {
        self.change(Message::new(rtm::NEWLINK, &link_header(index, LINK_UP)), 0)
    }

    /// Adds an address to an interface.
    pub(crate) fn add_address(&mut self, index: u32, address: &Address, without_dad: bool) -> io::Result<()> {
        let mut header = [0; ADDRESS_HEADER_SIZE];
        header[0] = family(address.address);
        header[1] = address.prefix_length;
        header[4..].copy_from_slice(&index.to_ne_bytes());
        if without_dad && address.address.is_ipv6() {
            #[allow(clippy::cast_possible_truncation, reason = "it is 2")]
            let flag = IFA_F_NODAD as u8;
            header[2] = flag;
        }
        let mut message = Message::new(rtm::NEWADDR, &header);
        // The attribute called "address" is the far end, which without a peer is the address itself.
        message.ip(IFA_LOCAL, address.address);
        message.ip(IFA_ADDRESS, address.peer.unwrap_or(address.address));
        if let Some(broadcast) = broadcast(address) {
            message.ip(IFA_BROADCAST, broadcast.into());
        }
        self.change(message, NLM_F_CREATE | NLM_F_EXCL)
    }

    fn change(&mut self, message: Message, flags: i32) -> io::Result<()> {
        self.ask(message, NLM_F_ACK | flags)?;
        loop {
            // The answer to an older question is passed over.
            if let Some(outcome) = self.receive(|_, _| {})? {
                return outcome;
            }
        }
    }

    /// A list, made again as long as it changes while the kernel makes it.
    fn list<T>(
        &mut self,
        kind: u16,
        header: &[u8],
        item: impl Fn(u16, &[u8]) -> Option<T>,
    ) -> io::Result<Vec<T>> {
        let mut is_changed = true;
        let mut items = Vec::new();
        for _ in 0..ATTEMPTS {
            items.clear();
            is_changed = false;
            self.ask(Message::new(kind, header), NLM_F_DUMP)?;
            let end = loop {
                let each = |header: &Header, body: &[u8]| {
                    is_changed |= header.flags & NLM_F_DUMP_INTR != 0;
                    items.extend(item(header.kind, body));
                };
                if let Some(end) = self.receive(each)? {
                    break end;
                }
            };
            end?;
            if !is_changed {
                break;
            }
        }
        if is_changed { Err(Errno::EINTR.into()) } else { Ok(items) }
    }

    fn ask(&mut self, message: Message, flags: i32) -> io::Result<()> {
        self.sequence += 1;
        let bytes = message.finish(NLM_F_REQUEST | flags, self.sequence);
        send(self.socket.as_raw_fd(), &bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// Receives a datagram. Returns how the question ended, if it did.
    fn receive(&mut self, mut each: impl FnMut(&Header, &[u8])) -> io::Result<Option<io::Result<()>>> {
        let (length, sender) = recvfrom::<NetlinkAddr>(self.socket.as_raw_fd(), &mut self.room)?;
        if sender.is_none_or(|sender| sender.pid() != 0) {
            // Another program's.
            return Ok(None);
        }
        let mut rest = &self.room[..length];
        while let Some((header, body, others)) = split(rest) {
            rest = others;
            if header.sequence != self.sequence {
                continue;
            }
            match i32::from(header.kind) {
                NLMSG_ERROR => return Ok(Some(errno(body))),
                NLMSG_DONE => {
                    each(&header, &[]);
                    return Ok(Some(errno(body)));
                }
                _ => each(&header, body),
            }
        }
        Ok(None)
    }
}

/// A request that is being written.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, header: &[u8]) -> Self {
        let mut bytes = vec![0; HEADER_SIZE];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(header);
        Self { bytes }
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        #[allow(clippy::cast_possible_truncation, reason = "the longest is an alias of some forty bytes")]
        let length = (4 + value.len()) as u16;
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
        self.bytes.extend_from_slice(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn ip(&mut self, kind: u16, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.attribute(kind, &address.octets()),
            IpAddr::V6(address) => self.attribute(kind, &address.octets()),
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "a message has some hundred bytes, and the flags are two"
    )]
    #[allow(clippy::cast_sign_loss, reason = "flags are bits")]
    fn finish(mut self, flags: i32, sequence: u32) -> Vec<u8> {
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_ne_bytes());
        self.bytes[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
        self.bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        self.bytes
    }
}

struct Header {
    kind: u16,
    flags: i32,
    sequence: u32,
}

/// The first message of a datagram, and what is behind it.
fn split(bytes: &[u8]) -> Option<(Header, &[u8], &[u8])> {
    let length = usize::try_from(word(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER_SIZE..length)?;
    let others = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    let header =
        Header { kind: half(bytes, 4)?, flags: i32::from(half(bytes, 6)?), sequence: word(bytes, 8)? };
    Some((header, body, others))
}

/// The attributes of a message.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    /// A bit of the kind: the value has attributes.
    const NESTED: u16 = 0x8000;
    std::iter::from_fn(move || {
        let length = usize::from(half(bytes, 0)?);
        let kind = half(bytes, 2)? & !NESTED;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn link(body: &[u8]) -> Option<Link> {
    let mut link = Link { index: word(body, 4)?, name: Vec::new(), alias: Vec::new(), owner: None };
    for (kind, value) in attributes(body.get(LINK_HEADER_SIZE..)?) {
        match kind {
            ifla::IFNAME => link.name = without_nul(value).to_vec(),
            ifla::IFALIAS => link.alias = without_nul(value).to_vec(),
            ifla::LINKINFO => link.owner = owner(value),
            _ => {}
        }
    }
    Some(link)
}

/// The owner, from what the kind of the interface says of it.
fn owner(info: &[u8]) -> Option<u32> {
    let of = |wanted| attributes(info).find(|&(kind, _)| kind == wanted).map(|(_, value)| value);
    if without_nul(of(ifla_info::KIND)?) != b"tun" {
        return None;
    }
    let owner = attributes(of(ifla_info::DATA)?).find(|&(kind, _)| kind == ifla_tun::OWNER);
    owner.and_then(|(_, value)| word(value, 0))
}

fn without_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn route(body: &[u8]) -> Option<Route> {
    let (family, prefix_length) = (i32::from(*body.first()?), *body.get(1)?);
    let (mut destination, mut interface) = (None, 0);
    for (kind, value) in attributes(body.get(ROUTE_HEADER_SIZE..)?) {
        match kind {
            RTA_DST if family == AF_INET => destination = <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
            RTA_DST if family == AF_INET6 => destination = <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
            RTA_OIF => interface = word(value, 0)?,
            _ => {}
        }
    }
    // A route without a destination leads to everything.
    let destination = Network::of(destination?, prefix_length)?;
    (!destination.is_everything()).then_some(Route { destination, interface })
}

fn link_header(index: u32, up: u32) -> [u8; LINK_HEADER_SIZE] {
    let mut header = [0; LINK_HEADER_SIZE];
    #[allow(clippy::cast_possible_truncation, reason = "no family is zero")]
    let family = AF_UNSPEC as u8;
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    // The flags, and which of them change.
    header[8..12].copy_from_slice(&up.to_ne_bytes());
    header[12..].copy_from_slice(&up.to_ne_bytes());
    header
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "they are 2 and 10")]
const fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { AF_INET as u8 } else { AF_INET6 as u8 }
}

/// The last address of the network, where it has one to spare: as the rest of tunctl gives it, since the
/// kernel gives none by itself.
fn broadcast(address: &Address) -> Option<Ipv4Addr> {
    match (address.address, address.peer) {
        (IpAddr::V4(own), None) if address.prefix_length <= 30 => {
            Some(Ipv4Addr::from_bits(own.to_bits() | (u32::MAX >> address.prefix_length)))
        }
        _ => None,
    }
}

/// What an acknowledgement, or the end of a list, says.
fn errno(body: &[u8]) -> io::Result<()> {
    let negative = body.get(..4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match negative {
        Some(0) => Ok(()),
        Some(negative) => Err(io::Error::from_raw_os_error(negative.saturating_neg())),
        None => Err(Errno::EBADMSG.into()),
    }
}

fn half(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}
