//! `RTM_*ADDR`: the addresses of an interface.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use tunctl_core::{InterfaceAddress, InterfaceIndex, Notification};
use tunctl_sys::linux::netlink::rtm;

use super::{Answer, Netlink};

/// Whether the kernel first asks on the link if another has an IPv6 address already; until then nobody can
/// bind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum DuplicateDetection {
    On,
    Off,
}

/// The flags of a request for what must not be there yet.
pub(super) const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

impl Netlink {
    /// The addresses of one interface, in the kernel's order.
    pub(crate) fn addresses(&self, index: InterfaceIndex) -> io::Result<Vec<InterfaceAddress>> {
        let answers = self.dump(&list_addresses(Some(index)))?;
        let listed = answers.iter().filter_map(parse).filter(|(its, _)| *its == index);
        Ok(listed.map(|(_, address)| address).collect())
    }

    /// The addresses of all interfaces, each with the interface's index.
    pub(crate) fn all_addresses(&self) -> io::Result<Vec<(InterfaceIndex, InterfaceAddress)>> {
        let answers = self.dump(&list_addresses(None))?;
        Ok(answers.iter().filter_map(parse).collect())
    }

    /// `EEXIST`: it, or one that the kernel takes for it, is there already.
    pub(crate) fn add_address(
        &self,
        index: InterfaceIndex,
        address: InterfaceAddress,
        detection: DuplicateDetection,
    ) -> io::Result<()> {
        let message = new_address(index, address, detection);
        self.change(&message, NEW, || self.has_address(index, address))
    }

    /// `EADDRNOTAVAIL`: it is not there.
    pub(crate) fn remove_address(&self, index: InterfaceIndex, address: InterfaceAddress) -> io::Result<()> {
        let message = RouteNetlinkMessage::DelAddress(message(index, address));
        self.change(&message, 0, || Ok(!self.has_address(index, address)?))
    }

    pub(crate) fn has_address(&self, index: InterfaceIndex, address: InterfaceAddress) -> io::Result<bool> {
        Ok(self.addresses(index)?.iter().any(|held| held.same_as(&address)))
    }
}

/// A question for the addresses of one interface, or of all. Before Linux 4.20 all are listed either way.
pub(super) fn list_addresses(only: Option<InterfaceIndex>) -> RouteNetlinkMessage {
    let mut question = AddressMessage::default();
    question.header.index = only.map_or(0, InterfaceIndex::get);
    RouteNetlinkMessage::GetAddress(question)
}

/// What the kernel reports unasked about an address.
pub(super) fn notification(answer: &Answer) -> Option<Notification> {
    let (index, address) = address(answer)?;
    match answer.kind {
        rtm::NEWADDR => Some(Notification::Address { index, address }),
        rtm::DELADDR => Some(Notification::NoAddress { index, address }),
        _ => None,
    }
}

/// The request for a new address.
pub(super) fn new_address(
    index: InterfaceIndex,
    address: InterfaceAddress,
    detection: DuplicateDetection,
) -> RouteNetlinkMessage {
    let mut message = message(index, address);
    if detection == DuplicateDetection::Off && address.address().is_ipv6() {
        message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
    }
    RouteNetlinkMessage::NewAddress(message)
}

fn message(index: InterfaceIndex, address: InterfaceAddress) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match address.address() {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.index = index.get();
    message.header.prefix_len = address.prefix_length();
    // The attribute called "address" is the far end, which without a peer is the address itself.
    message.attributes.push(AddressAttribute::Local(address.address()));
    message.attributes.push(AddressAttribute::Address(address.peer().unwrap_or(address.address())));
    message.attributes.extend(address.broadcast().map(AddressAttribute::Broadcast));
    message
}

fn parse(answer: &Answer) -> Option<(InterfaceIndex, InterfaceAddress)> {
    if answer.kind == rtm::NEWADDR { address(answer) } else { None }
}

fn address(answer: &Answer) -> Option<(InterfaceIndex, InterfaceAddress)> {
    let message = AddressMessage::parse(&answer.payload).ok()?;
    let index = InterfaceIndex::new(message.header.index)?;
    let (mut local, mut far, mut broadcast) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(address) => local = Some(*address),
            AddressAttribute::Address(address) => far = Some(*address),
            AddressAttribute::Broadcast(address) => broadcast = Some(*address),
            _ => {}
        }
    }
    // IPv6 gives a local address only when there is a peer too.
    let address = local.or(far)?;
    let peer = far.filter(|&far| far != address);
    Some((index, InterfaceAddress::from_kernel(address, message.header.prefix_len, peer, broadcast)))
}
