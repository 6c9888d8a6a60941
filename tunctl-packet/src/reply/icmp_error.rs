//! ICMP and ICMPv6 errors: which packets get one, and how it is built.

use core::net::{IpAddr, Ipv4Addr};

use etherparse::{icmpv4, icmpv6, ip_number};

use super::NoReply;
use super::envelope::{Addresses, Envelope};
use super::request::{Request, is_other_host};
use crate::ip::{TRANSPORT_LENGTH, V4_LENGTH, V6_LENGTH};

/// The longest ICMP error with its IP header, in bytes (RFC 1812, section 4.3.2.3).
const V4_MAX: usize = 576;
/// The longest ICMPv6 error with its IP header, in bytes: the MTU that every link has (RFC 4443, section
/// 2.4).
const V6_MAX: usize = 1280;
/// The first of the reserved addresses, which go up to the broadcast address.
const V4_RESERVED: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 0);
/// The precedence of ICMP errors, internetwork control (RFC 1812, section 4.3.2.5).
const V4_SERVICE: u8 = 0xc0;
/// Where the checksum stands in the ICMP header, of either version.
const SUM_AT: usize = 2;

/// An error about a packet, in the ICMP of the packet's IP version.
pub(super) struct IcmpError {
    /// The first eight bytes of the message, with a checksum of zero.
    pub(super) header: [u8; TRANSPORT_LENGTH],
    /// The sender of the error; `None` means the address that the packet was sent to.
    pub(super) from: Option<IpAddr>,
    /// Whether the error may also be about a packet to a multicast group (RFC 4443, section 2.4 (e.3)).
    pub(super) for_groups: bool,
}

impl IcmpError {
    /// Writes the error about `request` to `answer`, if one may be sent; returns its length.
    pub(super) fn answer(self, request: &Request<'_>, answer: &mut [u8]) -> Result<usize, NoReply> {
        if request.ip().is_later_fragment() {
            return Err(NoReply::Fragment);
        }
        request.check_extensions()?;
        self.check_addresses(request)?;
        check_transport(request)?;
        let address = self.from.unwrap_or(request.destination());
        let addresses = Addresses::new(address, request.source()).filter(|_| is_other_host(address));
        let addresses = addresses.ok_or(NoReply::Sender { address })?;
        let (number, service, room) = match addresses {
            Addresses::V4(..) => (ip_number::ICMP, V4_SERVICE, V4_MAX - V4_LENGTH),
            Addresses::V6(..) => (ip_number::IPV6_ICMP, 0, V6_MAX - V6_LENGTH),
        };
        let packet = request.packet();
        let quoted = packet.get(..room - TRANSPORT_LENGTH).unwrap_or(packet);
        Envelope { addresses, number, service }.seal([&self.header, quoted], SUM_AT, answer)
    }

    /// Checks that the packet is from a single host, and to one, or to a group if that is allowed.
    fn check_addresses(&self, request: &Request<'_>) -> Result<(), NoReply> {
        if self.for_groups && request.destination().is_multicast() {
            request.check_source()?;
        } else {
            request.check_addresses()?;
        }
        match request.source() {
            // No host has such an address (RFC 1122, section 3.2.2).
            IpAddr::V4(address) if address >= V4_RESERVED => Err(NoReply::NotUnicast),
            _ => Ok(()),
        }
    }
}

/// Checks that the transport is well formed, and not an ICMP error.
fn check_transport(request: &Request<'_>) -> Result<(), NoReply> {
    let ip = request.ip();
    let whole = ip.fragment.is_none();
    match (ip.number, ip.source) {
        (ip_number::ICMP, IpAddr::V4(_)) if !is_query(ip.leading(TRANSPORT_LENGTH)?) => {
            return Err(NoReply::IcmpError);
        }
        (ip_number::IPV6_ICMP, IpAddr::V6(_)) if !is_informational(ip.leading(TRANSPORT_LENGTH)?) => {
            return Err(NoReply::IcmpError);
        }
        (ip_number::UDP, _) => request.check_datagram_length()?,
        (ip_number::TCP, _) if whole => {
            ip.tcp_header()?;
        }
        _ => {}
    }
    // The checksum of a fragment also covers the other fragments.
    if whole { request.check_checksum() } else { Ok(()) }
}

/// Whether an ICMP message is of a type that is known not to be an error.
fn is_query(message: &[u8]) -> bool {
    use icmpv4::{
        TYPE_ADDRESS, TYPE_ADDRESSREPLY, TYPE_ECHO_REPLY, TYPE_ECHO_REQUEST, TYPE_ROUTER_ADVERTISEMENT,
        TYPE_ROUTER_SOLICITATION, TYPE_TIMESTAMP, TYPE_TIMESTAMP_REPLY,
    };
    matches!(
        message.first(),
        Some(
            &(TYPE_ECHO_REQUEST
                | TYPE_ECHO_REPLY
                | TYPE_TIMESTAMP
                | TYPE_TIMESTAMP_REPLY
                | TYPE_ADDRESS
                | TYPE_ADDRESSREPLY
                | TYPE_ROUTER_SOLICITATION
                | TYPE_ROUTER_ADVERTISEMENT)
        )
    )
}

/// Whether an ICMPv6 message is neither an error nor a redirect, about which RFC 4443 forbids errors, too.
fn is_informational(message: &[u8]) -> bool {
    message.first().is_some_and(|kind| *kind >= 128 && *kind != icmpv6::TYPE_REDIRECT_MESSAGE)
}
