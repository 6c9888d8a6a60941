//! The layer of Ethernet: frame header, VLAN tags, PPPoE, MPLS, ARP.

use core::net::Ipv4Addr;

use etherparse::{ArpPacketSlice, Ethernet2HeaderSlice, SingleVlanHeaderSlice, ether_type};

use crate::ip::truncated;
use crate::{EtherType, ParseError};

/// The header of an Ethernet frame, tags included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) source: [u8; 6],
    pub(super) destination: [u8; 6],
    /// The VLAN of the outer tag.
    pub(super) vlan: Option<u16>,
    /// What an IP packet is in, if it is in something.
    pub(super) tunnel: Option<Tunnel>,
}

/// What an IP packet in a frame is in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Tunnel {
    /// A PPPoE session, by its number.
    Pppoe(u16),
    /// A path of MPLS, by its outermost label.
    Mpls(u32),
}

/// What follows the headers of a link.
pub(super) struct Inside<'a> {
    pub(super) ether_type: EtherType,
    /// The bytes behind the headers.
    pub(super) rest: &'a [u8],
    /// The offset of these bytes in the frame.
    pub(super) offset: usize,
}

impl Link {
    /// The header, with all tags and what an IP packet is in, and what follows.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Link, Inside<'_>), ParseError> {
        let header = Ethernet2HeaderSlice::from_slice(bytes)
            .map_err(|error| truncated(error.required_len, error.len))?;
        let mut link =
            Link { source: header.source(), destination: header.destination(), vlan: None, tunnel: None };
        let mut kind = header.ether_type();
        let mut rest = bytes.get(header.slice().len()..).unwrap_or_default();
        while let ether_type::VLAN_TAGGED_FRAME
        | ether_type::PROVIDER_BRIDGING
        | ether_type::VLAN_DOUBLE_TAGGED_FRAME = kind
        {
            let Ok(tag) = SingleVlanHeaderSlice::from_slice(rest) else {
                break;
            };
            link.vlan = link.vlan.or(Some(tag.vlan_identifier().value()));
            kind = tag.ether_type();
            rest = rest.get(tag.slice().len()..).unwrap_or_default();
        }
        let ether_type = EtherType(kind.0);
        let found = match ether_type {
            EtherType::PPPOE => in_pppoe(rest),
            EtherType::MPLS | EtherType::MPLS_MULTICAST => in_mpls(rest),
            _ => None,
        };
        let offset = bytes.len() - rest.len();
        let Some((tunnel, header, rest)) = found else {
            return Ok((link, Inside { ether_type, rest, offset }));
        };
        link.tunnel = Some(tunnel);
        // It is one of IP, or nothing would have been found.
        let ether_type = EtherType::of_ip(rest).unwrap_or(ether_type);
        Ok((link, Inside { ether_type, rest, offset: offset + header }))
    }
}

/// The IP packet of a PPPoE session (RFC 2516), with the length of the headers in front; `None` if it is
/// something else. Bytes behind the stated length are padding.
fn in_pppoe(bytes: &[u8]) -> Option<(Tunnel, usize, &[u8])> {
    const HEADER: usize = 8;
    const VERSION_AND_TYPE: u8 = 0x11;
    const SESSION_DATA: u8 = 0;
    let &[first, code, s0, s1, l0, l1, p0, p1] = bytes.first_chunk::<HEADER>()?;
    let ether_type = match u16::from_be_bytes([p0, p1]) {
        0x0021 => EtherType::IPV4,
        0x0057 => EtherType::IPV6,
        _ => return None,
    };
    // The stated length counts from the number of the protocol on.
    let end = usize::from(u16::from_be_bytes([l0, l1])) + HEADER - 2;
    let rest = bytes.get(HEADER..end).or_else(|| bytes.get(HEADER..)).unwrap_or_default();
    let is_ip =
        (first, code) == (VERSION_AND_TYPE, SESSION_DATA) && EtherType::of_ip(rest) == Some(ether_type);
    is_ip.then_some((Tunnel::Pppoe(u16::from_be_bytes([s0, s1])), HEADER, rest))
}

/// The IP packet behind MPLS labels (RFC 3032), with their length; `None` if it is something else. Nothing
/// says which protocol follows the last label: by convention, an IP packet is told by its version.
fn in_mpls(bytes: &[u8]) -> Option<(Tunnel, usize, &[u8])> {
    const LABEL: usize = 4;
    const LAST: u32 = 0x100;
    let labels = bytes.chunks_exact(LABEL).filter_map(<[u8]>::first_chunk);
    let mut labels = labels.map(|label| u32::from_be_bytes(*label));
    let outermost = labels.clone().next()?;
    let header = (labels.position(|label| label & LAST != 0)? + 1) * LABEL;
    let rest = bytes.get(header..)?;
    EtherType::of_ip(rest)?;
    Some((Tunnel::Mpls(outermost >> 12), header, rest))
}

/// An ARP message. An address is `None` if it is not one of Ethernet or IPv4.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arp {
    pub(super) operation: u16,
    pub(super) sender_mac: Option<[u8; 6]>,
    pub(super) sender: Option<Ipv4Addr>,
    pub(super) target: Option<Ipv4Addr>,
}

impl Arp {
    pub(super) fn parse(bytes: &[u8]) -> Option<Arp> {
        let arp = ArpPacketSlice::from_slice(bytes).ok()?;
        let ipv4 = |address: &[u8]| {
            let octets: [u8; 4] = address.try_into().ok()?;
            (arp.proto_addr_type() == ether_type::IPV4).then_some(Ipv4Addr::from(octets))
        };
        Some(Arp {
            operation: arp.operation().0,
            sender_mac: arp.sender_hw_addr().try_into().ok(),
            sender: ipv4(arp.sender_protocol_addr()),
            target: ipv4(arp.target_protocol_addr()),
        })
    }
}
