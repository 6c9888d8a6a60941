//! The IP headers of a packet, decoded once for the lax view and the strict replies.
//!
//! Etherparse can walk the headers, too. But it decodes the data of a later fragment as if it were a header,
//! rejects a packet whose options are cut off, and does not report where the upper layer begins. The view and
//! the replies need all three.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{IpNumber, ip_number};

use crate::{ParseError, Truncated};

/// The IPv4 header without options, in bytes.
pub(crate) const V4_LENGTH: usize = 20;
/// The IPv6 header, in bytes.
pub(crate) const V6_LENGTH: usize = 40;
/// The TCP header without options, in bytes.
pub(crate) const TCP_LENGTH: usize = 20;
/// The header of ICMP and ICMPv6 messages and of UDP, in bytes.
pub(crate) const TRANSPORT_LENGTH: usize = 8;

/// The IP headers of a packet, extension headers included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ip<'a> {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The protocol of `upper`: the last number of the header chain.
    pub(crate) number: IpNumber,
    /// The part of a datagram that the packet carries; `None` if the packet carries all of it.
    pub(crate) fragment: Option<Fragment>,
    /// The bytes behind the decoded headers, up to the packet's stated end or the end of the bytes.
    pub(crate) upper: &'a [u8],
    /// The offset of `upper` in the packet, in bytes.
    pub(crate) upper_offset: usize,
    /// Whether there are IPv4 options, or IPv6 extension headers other than one fragment header.
    pub(crate) extended: bool,
    /// Whether all headers could be decoded, so that `upper` is of the protocol `number`.
    pub(crate) complete: bool,
    /// The first fault of the packet, if it has one. The addresses are right even then.
    pub(crate) fault: Option<ParseError>,
}

/// The part of a datagram that a fragment carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// The offset in the datagram, in bytes.
    pub(crate) offset: usize,
    /// Whether more fragments follow.
    pub(crate) more: bool,
    /// The number that all fragments of a datagram have in common; it has 16 bits in IPv4.
    pub(crate) identification: u32,
}

/// Who decodes a packet: which length counts, and which extension headers are passed over.
#[derive(Clone, Copy)]
enum Reader {
    /// A host that receives it.
    Host,
    /// Linux, where it cuts a packet (`ipv6_gso_pull_exthdrs`, Linux 6.18). The length that the header states
    /// is replaced in each segment.
    Cutter,
    /// Linux, where it looks whether a packet is to be cut (`__skb_flow_dissect`, Linux 6.18).
    Dissector,
}

impl Reader {
    fn end_of(self, stated: usize, bytes: &[u8]) -> usize {
        match self {
            Reader::Host => stated,
            Reader::Cutter | Reader::Dissector => bytes.len(),
        }
    }

    const fn v6_extensions(self) -> &'static [IpNumber] {
        const ALL: &[IpNumber] = &[
            ip_number::IPV6_HOP_BY_HOP,
            ip_number::IPV6_ROUTE,
            ip_number::IPV6_DEST_OPTIONS,
            ip_number::IPV6_FRAG,
            ip_number::AUTH,
        ];
        let (but_authentication, but_fragments) = (ALL.split_at(4).0, ALL.split_at(3).0);
        match self {
            Reader::Host => ALL,
            Reader::Cutter => but_fragments,
            Reader::Dissector => but_authentication,
        }
    }

    /// Whether what a fragment header names counts as the transport, whatever it is.
    const fn ends_at_fragments(self) -> bool {
        matches!(self, Reader::Dissector)
    }

    const fn v4_extensions(self) -> &'static [IpNumber] {
        match self {
            Reader::Host => &[ip_number::AUTH],
            Reader::Cutter | Reader::Dissector => &[],
        }
    }
}

impl Fragment {
    /// `None` for a whole datagram, which an IPv6 "atomic fragment" (RFC 6946) also is.
    fn new(offset: u16, more: bool, identification: u32) -> Option<Fragment> {
        (offset != 0 || more).then_some(Fragment { offset: usize::from(offset), more, identification })
    }
}

impl<'a> Ip<'a> {
    /// Decodes as many headers as possible.
    ///
    /// # Errors
    ///
    /// If there is no IP header: the version is neither 4 nor 6, or the fixed part of the header is cut off.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Ip<'a>, ParseError> {
        Ip::parse_as(bytes, Reader::Host)
    }

    /// Decodes a packet that is to be cut: it ends where the bytes do.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_to_cut(bytes: &'a [u8]) -> Result<Ip<'a>, ParseError> {
        Ip::parse_as(bytes, Reader::Cutter)
    }

    /// The same, to see whether it is to be cut.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub(crate) fn dissect(bytes: &'a [u8]) -> Result<Ip<'a>, ParseError> {
        Ip::parse_as(bytes, Reader::Dissector)
    }

    fn parse_as(bytes: &'a [u8], reader: Reader) -> Result<Ip<'a>, ParseError> {
        match bytes.first() {
            None => Err(truncated(V4_LENGTH, 0)),
            Some(first) if first >> 4 == 4 => Ip::parse_v4(bytes, reader),
            Some(first) if first >> 4 == 6 => Ip::parse_v6(bytes, reader),
            Some(&first_byte) => Err(ParseError::NotIp { first_byte }),
        }
    }

    fn parse_v4(bytes: &'a [u8], reader: Reader) -> Result<Ip<'a>, ParseError> {
        let Some(fixed) = bytes.first_chunk::<V4_LENGTH>() else {
            return Err(truncated(V4_LENGTH, bytes.len()));
        };
        let &[first, _, l0, l1, i0, i1, f0, f1, _, number, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = fixed;
        let header = usize::from(first & 0x0f) * 4;
        let stated = reader.end_of(usize::from(u16::from_be_bytes([l0, l1])), bytes);
        let identification = u32::from(u16::from_be_bytes([i0, i1]));
        let flags_and_offset = u16::from_be_bytes([f0, f1]);
        let (more, offset) = (flags_and_offset & 0x2000 != 0, (flags_and_offset & 0x1fff) << 3);

        let mut ip = Ip {
            source: Ipv4Addr::new(s0, s1, s2, s3).into(),
            destination: Ipv4Addr::new(d0, d1, d2, d3).into(),
            number: IpNumber(number),
            fragment: Fragment::new(offset, more, identification),
            upper: &[],
            upper_offset: V4_LENGTH,
            extended: header > V4_LENGTH,
            complete: false,
            fault: None,
        };
        ip.measure_v4(bytes, header, stated, reader);
        Ok(ip)
    }

    /// Finds the upper layer, by the stated lengths of the header and of the packet, behind
    /// extension headers that the reader passes over.
    fn measure_v4(&mut self, bytes: &'a [u8], header: usize, stated: usize, reader: Reader) {
        if header < V4_LENGTH {
            self.upper = bytes.get(V4_LENGTH..).unwrap_or_default();
            self.fault = Some(ParseError::Length { header: "IPv4 header", stated: header });
        } else if header > bytes.len() {
            self.upper = bytes.get(V4_LENGTH..).unwrap_or_default();
            self.fault = Some(truncated(header, bytes.len()));
        } else {
            self.upper_offset = header;
            self.bound(bytes, stated, "IPv4 packet");
            // A packet that ends within its own header has no transport, whatever the bytes behind it are: no
            // host takes it (`ip_rcv_core`, Linux 6.18).
            self.complete = stated >= header;
            if self.complete {
                self.walk_extensions(reader.v4_extensions(), reader);
            }
        }
    }

    fn parse_v6(bytes: &'a [u8], reader: Reader) -> Result<Ip<'a>, ParseError> {
        let Some((&[_, _, _, _, l0, l1, number, _], [source, destination], rest)) = split_v6(bytes) else {
            return Err(truncated(V6_LENGTH, bytes.len()));
        };
        let payload = usize::from(u16::from_be_bytes([l0, l1]));

        let mut ip = Ip {
            source: source.into(),
            destination: destination.into(),
            number: IpNumber(number),
            fragment: None,
            upper: rest,
            upper_offset: V6_LENGTH,
            extended: false,
            complete: true,
            fault: None,
        };
        let stated = reader.end_of(V6_LENGTH + payload, bytes);
        if stated == V6_LENGTH && !rest.is_empty() {
            // A jumbogram (RFC 2675), or a packet whose length field the hardware was to fill in.
            ip.fault = Some(ParseError::Length { header: "IPv6 packet", stated });
        } else {
            ip.bound(bytes, stated, "IPv6 packet");
        }
        ip.walk_extensions(reader.v6_extensions(), reader);
        Ok(ip)
    }

    /// Sets `upper` to the bytes between the header and the stated end; to all bytes if that end is
    /// impossible.
    fn bound(&mut self, bytes: &'a [u8], stated: usize, what: &'static str) {
        if let Some(upper) = bytes.get(self.upper_offset..stated) {
            self.upper = upper;
            return;
        }
        self.upper = bytes.get(self.upper_offset..).unwrap_or_default();
        self.fault = Some(if stated < self.upper_offset {
            ParseError::Length { header: what, stated }
        } else {
            truncated(stated, bytes.len())
        });
    }

    /// Moves `upper` past extension headers of these kinds.
    fn walk_extensions(&mut self, kinds: &[IpNumber], reader: Reader) {
        while !self.is_later_fragment() && kinds.contains(&self.number) {
            if self.number == ip_number::IPV6_FRAG && self.fragment.is_some() {
                // A second fragment header belongs to the datagram that reassembly yields, not to this
                // packet.
                self.extended = true;
                return;
            }
            let Some(&[next, size, o0, o1, i0, i1, i2, i3]) = self.upper.first_chunk() else {
                return self.stop_short(8);
            };
            let length = match self.number {
                ip_number::IPV6_FRAG => 8,
                ip_number::AUTH => (usize::from(size) + 2) * 4,
                _ => (usize::from(size) + 1) * 8,
            };
            let Some(rest) = self.upper.get(length..) else {
                return self.stop_short(length);
            };
            let is_fragment = self.number == ip_number::IPV6_FRAG;
            if is_fragment {
                let offset = u16::from_be_bytes([o0, o1]);
                let identification = u32::from_be_bytes([i0, i1, i2, i3]);
                self.fragment = Fragment::new(offset & !7, offset & 1 != 0, identification);
            } else {
                self.extended = true;
            }
            self.number = IpNumber(next);
            self.upper = rest;
            self.upper_offset += length;
            if is_fragment && reader.ends_at_fragments() {
                return;
            }
        }
    }

    fn stop_short(&mut self, length: usize) {
        let have = self.upper_offset + self.upper.len();
        self.complete = false;
        self.fault = self.fault.or(Some(truncated(self.upper_offset + length, have)));
    }

    /// Whether the packet is a fragment other than the first, which lacks the transport's header.
    pub(crate) fn is_later_fragment(&self) -> bool {
        self.fragment.is_some_and(|fragment| fragment.offset != 0)
    }

    /// The transport's header and the bytes behind it; `None` if the packet lacks that header.
    pub(crate) fn transport(&self) -> Option<&'a [u8]> {
        (self.complete && !self.is_later_fragment()).then_some(self.upper)
    }

    /// The TCP header with its options.
    ///
    /// # Errors
    ///
    /// If the header is cut off, or states an impossible length.
    pub(crate) fn tcp_header(&self) -> Result<&'a [u8], ParseError> {
        let offset = self.leading(TCP_LENGTH)?.get(12).copied().unwrap_or_default();
        match usize::from(offset >> 4) * 4 {
            stated if stated < TCP_LENGTH => Err(ParseError::Length { header: "TCP header", stated }),
            stated => self.leading(stated),
        }
    }

    /// The first bytes of the transport's header.
    ///
    /// # Errors
    ///
    /// If there are fewer bytes.
    pub(crate) fn leading(&self, length: usize) -> Result<&'a [u8], ParseError> {
        let end = self.upper_offset + self.upper.len();
        match (self.transport(), self.fault) {
            (None, Some(fault)) => Err(fault),
            (upper, _) => {
                upper.unwrap_or_default().get(..length).ok_or(truncated(self.upper_offset + length, end))
            }
        }
    }
}

/// The fields of an IPv6 header, its source and destination, and what follows the header.
fn split_v6(bytes: &[u8]) -> Option<(&[u8; 8], [Ipv6Addr; 2], &[u8])> {
    let (fields, rest) = bytes.split_first_chunk()?;
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let (destination, rest) = rest.split_first_chunk::<16>()?;
    Some((fields, [Ipv6Addr::from(*source), Ipv6Addr::from(*destination)], rest))
}

pub(crate) fn truncated(need: usize, have: usize) -> ParseError {
    ParseError::Truncated(Truncated { need, have })
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::{Fragment, Ip, ip_number};
    use crate::{ParseError, Truncated};

    fn v6(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; 40];
        packet[0] = 0x60;
        packet[5] = u8::try_from(rest.len()).unwrap();
        packet[6] = next;
        packet.extend_from_slice(rest);
        packet
    }

    #[test]
    fn walks_extension_headers_up_to_the_transport() {
        // Hop-by-hop (with the router alert of an MLD report), then destination options of 16 bytes, then
        // UDP.
        let mut rest = vec![60, 0, 5, 2, 0, 0, 1, 0];
        rest.extend_from_slice(&[17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        rest.extend_from_slice(b"datagram");
        let packet = v6(0, &rest);
        let ip = Ip::parse(&packet).unwrap();
        assert_eq!((ip.number, ip.upper_offset), (ip_number::UDP, 64));
        assert_eq!(ip.transport(), Some(&b"datagram"[..]));
        assert!(ip.extended && ip.fault.is_none());
    }

    #[test]
    fn does_not_read_on_behind_a_later_fragment() {
        // Offset 1448, more to come; the data would be a fine destination options header.
        let packet = v6(44, &[60, 0, 0x05, 0xa9, 0, 1, 2, 3, 17, 0, 1, 4, 0, 0, 0, 0]);
        let ip = Ip::parse(&packet).unwrap();
        assert_eq!(ip.fragment, Some(Fragment { offset: 1448, more: true, identification: 0x0001_0203 }));
        assert_eq!((ip.number, ip.upper.len()), (ip_number::IPV6_DEST_OPTIONS, 8));
        assert_eq!((ip.transport(), ip.extended), (None, false));
    }

    #[test]
    fn an_atomic_fragment_is_whole() {
        let packet = v6(44, &[17, 0, 0, 0, 0, 1, 2, 3, 9]);
        let ip = Ip::parse(&packet).unwrap();
        assert_eq!((ip.fragment, ip.transport()), (None, Some(&[9][..])));
    }

    #[test]
    fn a_fragment_stays_one_whatever_it_carries() {
        // The inner header says that it is all of a datagram, or a later part; neither is true of the packet.
        for inner in [0, 8] {
            let packet = v6(44, &[44, 0, 0, 1, 0, 1, 2, 3, 17, 0, 0, inner, 9, 9, 9, 9, 7]);
            let ip = Ip::parse(&packet).unwrap();
            assert_eq!(ip.fragment, Some(Fragment { offset: 0, more: true, identification: 0x0001_0203 }));
            assert_eq!((ip.number, ip.upper_offset, ip.extended), (ip_number::IPV6_FRAG, 48, true));
        }
    }

    #[test]
    fn tells_where_a_header_chain_was_cut() {
        let packet = v6(0, &[17, 1, 0, 0, 0, 0, 0, 0, 9]);
        let ip = Ip::parse(&packet).unwrap();
        assert_eq!(ip.fault, Some(ParseError::Truncated(Truncated { need: 56, have: 49 })));
        assert_eq!((ip.transport(), ip.upper.len()), (None, 9));
    }

    #[test]
    fn counts_an_authentication_header_in_words_of_four_bytes() {
        // 24 bytes: four words and the two that don't count.
        let mut rest = [0; 32];
        (rest[0], rest[1]) = (17, 4);
        let packet = v6(51, &rest);
        let ip = Ip::parse(&packet).unwrap();
        assert_eq!((ip.number, ip.upper_offset), (ip_number::UDP, 64));
    }
}
