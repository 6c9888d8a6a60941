//! The layer of Ethernet: frame header, VLAN tags, ARP.

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
}

impl Link {
    /// The header, the type behind all tags, and the bytes behind them.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Link, EtherType, &[u8]), ParseError> {
        let header = Ethernet2HeaderSlice::from_slice(bytes)
            .map_err(|error| truncated(error.required_len, error.len))?;
        let mut link = Link { source: header.source(), destination: header.destination(), vlan: None };
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
        Ok((link, EtherType(kind.0), rest))
    }
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
