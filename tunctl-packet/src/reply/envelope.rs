//! The IP header of an answer that is not a copy of its request.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, ip_number};

use super::NoReply;
use super::request::HOPS;
use crate::ip::{V4_LENGTH, V6_LENGTH};
use crate::{Truncated, checksum};

/// The fields of the IP header that differ between answers.
#[derive(Clone, Copy)]
pub(super) struct Envelope {
    pub(super) addresses: Addresses,
    pub(super) number: IpNumber,
    /// The type of service in IPv4. In IPv6, the traffic class is always zero.
    pub(super) service: u8,
}

/// Source and destination, of the same version.
#[derive(Clone, Copy)]
pub(super) enum Addresses {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Addresses {
    /// `None` if the addresses differ in their IP version.
    pub(super) fn new(source: IpAddr, destination: IpAddr) -> Option<Addresses> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Addresses::V4(source, destination)),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Addresses::V6(source, destination)),
            _ => None,
        }
    }

    fn pair(self) -> (IpAddr, IpAddr) {
        match self {
            Addresses::V4(source, destination) => (source.into(), destination.into()),
            Addresses::V6(source, destination) => (source.into(), destination.into()),
        }
    }
}

impl Envelope {
    /// Writes an IP header and the two parts of `upper` behind it; returns the length of the packet.
    ///
    /// The checksum at byte `sum_at` of `upper` must be zero, and is filled in.
    pub(super) fn seal(&self, upper: [&[u8]; 2], sum_at: usize, answer: &mut [u8]) -> Result<usize, NoReply> {
        let [head, tail] = upper;
        let length = head.len() + tail.len();
        let header = match self.addresses {
            Addresses::V4(..) => V4_LENGTH,
            Addresses::V6(..) => V6_LENGTH,
        };
        let room = Truncated { need: header + length, have: answer.len() };
        let packet = answer.get_mut(..header + length).ok_or(NoReply::BufferTooSmall(room))?;
        let rest = match self.addresses {
            Addresses::V4(source, destination) => self.put_v4(source, destination, packet),
            Addresses::V6(source, destination) => self.put_v6(source, destination, packet),
        }
        .ok_or(NoReply::BufferTooSmall(room))?;
        let (head_at, tail_at) =
            rest.split_at_mut_checked(head.len()).ok_or(NoReply::BufferTooSmall(room))?;
        // Two loops, because the compiler turns each into a memory copy, but not one loop over a chain.
        head_at.iter_mut().zip(head).for_each(|(to, from)| *to = *from);
        tail_at.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
        let sum = self.checksum(rest);
        if let Some(place) = rest.get_mut(sum_at..).and_then(<[u8]>::first_chunk_mut) {
            *place = sum;
        }
        Ok(header + length)
    }

    /// Writes the IPv4 header of the whole packet, and returns what follows it.
    fn put_v4<'p>(
        &self,
        source: Ipv4Addr,
        destination: Ipv4Addr,
        packet: &'p mut [u8],
    ) -> Option<&'p mut [u8]> {
        let [l0, l1] = length_field(packet.len());
        let (header, rest) = packet.split_first_chunk_mut::<V4_LENGTH>()?;
        // "Don't fragment" is set, so the identification has no meaning and may be 0 (RFC 6864, section 4.1).
        header[..8].copy_from_slice(&[0x45, self.service, l0, l1, 0, 0, 0x40, 0]);
        header[8..12].copy_from_slice(&[HOPS, self.number.0, 0, 0]);
        header[12..16].copy_from_slice(&source.octets());
        header[16..].copy_from_slice(&destination.octets());
        checksum::fill_in_v4(header);
        Some(rest)
    }

    /// Writes the IPv6 header of the whole packet, and returns what follows it.
    fn put_v6<'p>(
        &self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        packet: &'p mut [u8],
    ) -> Option<&'p mut [u8]> {
        let [l0, l1] = length_field(packet.len().saturating_sub(V6_LENGTH));
        let (fields, rest) = packet.split_first_chunk_mut()?;
        let (source_field, rest) = rest.split_first_chunk_mut()?;
        let (destination_field, rest) = rest.split_first_chunk_mut()?;
        *fields = [0x60, 0, 0, 0, l0, l1, self.number.0, HOPS];
        (*source_field, *destination_field) = (source.octets(), destination.octets());
        Some(rest)
    }

    fn checksum(&self, upper: &[u8]) -> [u8; 2] {
        let (source, destination) = self.addresses.pair();
        match self.number {
            ip_number::ICMP => checksum::of(upper),
            number => checksum::of_with_pseudo_header(source, destination, number, upper),
        }
    }
}

/// The value of a length field. Answers are far shorter than its maximum.
fn length_field(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
