//! The strict checks of a request, and the echo reply to it.
//!
//! The reply is the request with a few fields changed. Swapping the addresses or the ports only moves words
//! that a checksum covers, so the checksum stays right. A changed ICMP type and a changed IPv4 header need a
//! new one.

use core::mem;
use core::net::IpAddr;

use etherparse::{IpNumber, icmpv4, icmpv6, ip_number};

use super::{NoReply, options};
use crate::ip::{Fragment, Ip, TRANSPORT_LENGTH, V4_LENGTH, V6_LENGTH, truncated};
use crate::{ParseError, Truncated, checksum};

/// The port of the echo protocol (RFC 862).
const ECHO_PORT: u16 = 7;
/// The TTL or hop limit of answers: the default of the Internet.
pub(super) const HOPS: u8 = 64;
/// The "don't fragment" flag, in the byte that also has the high bits of the fragment offset.
const DONT_FRAGMENT: u8 = 0x40;
/// The largest number of bytes that a reassembled datagram has behind its headers.
const DATAGRAM_MAX: usize = 65_535;

/// A packet whose IP headers are well formed. It need not be an echo request.
pub(super) struct Request<'a> {
    ip: Ip<'a>,
    /// The packet up to its stated end.
    packet: &'a [u8],
}

/// The kinds of echo request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Echo {
    Icmp,
    Icmpv6,
    Udp,
}

impl<'a> Request<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Request<'a>, NoReply> {
        let ip = Ip::parse(bytes)?;
        if let Some(fault) = ip.fault {
            return Err(fault.into());
        }
        if let Some(fragment) = ip.fragment {
            // Only the last fragment may have a length that is no multiple of 8 bytes.
            let end = fragment.offset + ip.upper.len();
            if (fragment.more && ip.upper.len() % 8 != 0) || end > DATAGRAM_MAX {
                return Err(ParseError::Length { header: "fragment", stated: ip.upper.len() }.into());
            }
        }
        let length = ip.upper_offset + ip.upper.len();
        let packet = bytes.get(..length).ok_or(truncated(length, bytes.len()))?;
        let request = Request { ip, packet };
        if ip.source.is_ipv4() && !checksum::is_right(request.headers()) {
            return Err(NoReply::BadChecksum);
        }
        Ok(request)
    }

    pub(super) fn ip(&self) -> &Ip<'a> {
        &self.ip
    }

    /// The packet up to its stated end.
    pub(super) fn packet(&self) -> &'a [u8] {
        self.packet
    }

    pub(super) fn fragment(&self) -> Option<Fragment> {
        self.ip.fragment
    }

    pub(super) fn source(&self) -> IpAddr {
        self.ip.source
    }

    pub(super) fn destination(&self) -> IpAddr {
        self.ip.destination
    }

    pub(super) fn number(&self) -> IpNumber {
        self.ip.number
    }

    pub(super) fn answer_whole(&self, answer: &mut [u8]) -> Result<usize, NoReply> {
        let echo = self.check()?;
        self.check_checksum()?;
        self.turn(Some(echo), answer)
    }

    pub(super) fn answer_first_fragment(&self, answer: &mut [u8]) -> Result<usize, NoReply> {
        let echo = self.check()?;
        self.turn(Some(echo), answer)
    }

    /// Answers a later fragment of a request whose first fragment was answered. Only the fragment's own
    /// header is still unchecked.
    pub(super) fn answer_later_fragment(&self, answer: &mut [u8]) -> Result<usize, NoReply> {
        self.check_options()?;
        self.turn(None, answer)
    }

    /// The IPv4 header with options, or the IPv6 headers.
    fn headers(&self) -> &'a [u8] {
        // The checksum of the IPv4 header does not cover an authentication header. A packet that has one must
        // be refused for that header, not for a wrong checksum.
        let length = match self.packet.first() {
            Some(first) if first >> 4 == 4 => usize::from(first & 0x0f) * 4,
            _ => self.ip.upper_offset,
        };
        self.packet.get(..length).unwrap_or_default()
    }

    /// Makes all checks except that of the checksum; returns the kind of request.
    fn check(&self) -> Result<Echo, NoReply> {
        let (echo, header) = self.kind()?;
        self.check_options()?;
        self.check_addresses()?;
        if echo == Echo::Udp {
            self.check_datagram(header)?;
        }
        Ok(echo)
    }

    /// The kind of request, and the transport's header.
    fn kind(&self) -> Result<(Echo, &'a [u8; TRANSPORT_LENGTH]), NoReply> {
        let echo = match (self.ip.number, self.ip.source) {
            (ip_number::ICMP, IpAddr::V4(_)) => Echo::Icmp,
            (ip_number::IPV6_ICMP, IpAddr::V6(_)) => Echo::Icmpv6,
            (ip_number::UDP, _) => Echo::Udp,
            _ => return Err(NoReply::NotAnEchoRequest),
        };
        let Some(header) = self.ip.upper.first_chunk::<TRANSPORT_LENGTH>() else {
            return Err(truncated(self.ip.upper_offset + TRANSPORT_LENGTH, self.packet.len()).into());
        };
        let &[kind, code, p0, p1, ..] = header;
        let is_request = match echo {
            Echo::Icmp => [kind, code] == [icmpv4::TYPE_ECHO_REQUEST, 0],
            Echo::Icmpv6 => [kind, code] == [icmpv6::TYPE_ECHO_REQUEST, 0],
            Echo::Udp => u16::from_be_bytes([p0, p1]) == ECHO_PORT,
        };
        if is_request { Ok((echo, header)) } else { Err(NoReply::NotAnEchoRequest) }
    }

    fn check_datagram(&self, &[p0, p1, ..]: &[u8; TRANSPORT_LENGTH]) -> Result<(), NoReply> {
        let port = u16::from_be_bytes([p0, p1]);
        if port == ECHO_PORT || port == 0 {
            return Err(NoReply::SourcePort { port });
        }
        self.check_datagram_length()
    }

    /// Checks that the stated length of a UDP datagram is possible.
    pub(super) fn check_datagram_length(&self) -> Result<(), NoReply> {
        let &[_, _, _, _, l0, l1, ..] = self.ip.leading(TRANSPORT_LENGTH)? else {
            return Ok(());
        };
        let stated = usize::from(u16::from_be_bytes([l0, l1]));
        // In a fragment, the stated length counts the whole datagram.
        let fits = self.ip.fragment.is_some() || stated <= self.ip.upper.len();
        if stated < TRANSPORT_LENGTH || !fits {
            return Err(ParseError::Length { header: "UDP datagram", stated }.into());
        }
        Ok(())
    }

    /// As [`check_extensions`](Self::check_extensions), for an answer that returns some IPv4 options.
    fn check_options(&self) -> Result<(), NoReply> {
        let headers = self.headers();
        let only_options = self.ip.source.is_ipv4() && headers.len() == self.ip.upper_offset;
        match headers.get(V4_LENGTH..) {
            Some(found) if only_options && options::are_answered(found) => Ok(()),
            _ => self.check_extensions(),
        }
    }

    pub(super) fn check_extensions(&self) -> Result<(), NoReply> {
        if self.ip.extended { Err(NoReply::HeaderOptions) } else { Ok(()) }
    }

    /// Checks that the packet is from one host to another.
    pub(super) fn check_addresses(&self) -> Result<(), NoReply> {
        if !is_other_host(self.ip.destination) {
            return Err(NoReply::NotUnicast);
        }
        self.check_source()
    }

    /// Checks that the packet is from a single host.
    pub(super) fn check_source(&self) -> Result<(), NoReply> {
        if is_other_host(self.ip.source) { Ok(()) } else { Err(NoReply::NotUnicast) }
    }

    /// Whether a router may fragment the packet: it is IPv4 without "don't fragment".
    pub(super) fn may_be_fragmented(&self) -> bool {
        let &[_, _, _, _, _, _, flags, ..] = self.packet else {
            return false;
        };
        self.ip.source.is_ipv4() && flags & DONT_FRAGMENT == 0
    }

    /// Checks the transport's checksum, if the protocol is known. The packet must not be a fragment.
    pub(super) fn check_checksum(&self) -> Result<(), NoReply> {
        let Ip { source, destination, number, upper, .. } = self.ip;
        let with_addresses =
            |bytes| checksum::is_right_with_pseudo_header(source, destination, number, bytes);
        let is_right = match (number, source) {
            (ip_number::ICMP, IpAddr::V4(_)) => checksum::is_right(upper),
            (ip_number::IPV6_ICMP, IpAddr::V6(_)) | (ip_number::TCP, _) => with_addresses(upper),
            (ip_number::UDP, _) => match *upper {
                // The datagram has no checksum, which only IPv4 allows.
                [_, _, _, _, _, _, 0, 0, ..] => source.is_ipv4(),
                // The checksum does not cover bytes behind the datagram.
                [_, _, _, _, l0, l1, ..] => {
                    let stated = usize::from(u16::from_be_bytes([l0, l1]));
                    upper.get(..stated).is_some_and(with_addresses)
                }
                _ => false,
            },
            _ => true,
        };
        if is_right { Ok(()) } else { Err(NoReply::BadChecksum) }
    }

    /// Writes the reply to `answer`. `echo` is the kind of the transport's header; `None` means that there is
    /// none.
    fn turn(&self, echo: Option<Echo>, answer: &mut [u8]) -> Result<usize, NoReply> {
        let room = Truncated { need: self.packet.len(), have: answer.len() };
        let answer = answer.get_mut(..self.packet.len()).ok_or(NoReply::BufferTooSmall(room))?;
        answer.copy_from_slice(self.packet);
        let (headers, upper) =
            answer.split_at_mut_checked(self.ip.upper_offset).ok_or(NoReply::BufferTooSmall(room))?;
        if self.ip.source.is_ipv6() {
            if let Some(header) = headers.first_chunk_mut::<V6_LENGTH>() {
                turn_v6(header);
            }
        } else {
            turn_v4(headers);
        }
        match echo {
            Some(Echo::Icmp) => turn_icmp(upper, icmpv4::TYPE_ECHO_REPLY),
            Some(Echo::Icmpv6) => turn_icmp(upper, icmpv6::TYPE_ECHO_REPLY),
            Some(Echo::Udp) => turn_udp(upper),
            None => {}
        }
        Ok(answer.len())
    }
}

/// Whether the address is that of a single host, and not loopback.
pub(super) fn is_other_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(is_broadcast || address.is_multicast() || address.is_unspecified() || address.is_loopback())
}

fn turn_v4(header: &mut [u8]) {
    if let Some((fixed, found)) = header.split_first_chunk_mut::<V4_LENGTH>() {
        fixed[8] = HOPS;
        let (source, destination) = fixed[12..].split_at_mut(4);
        source.swap_with_slice(destination);
        options::record(found, [fixed[12], fixed[13], fixed[14], fixed[15]]);
    }
    checksum::fill_in_v4(header);
}

fn turn_v6(header: &mut [u8; V6_LENGTH]) {
    header[7] = HOPS;
    let (source, destination) = header[8..].split_at_mut(16);
    source.swap_with_slice(destination);
}

fn turn_icmp(message: &mut [u8], reply: u8) {
    let Some(([kind, code, c0, c1], rest)) = message.split_first_chunk_mut() else {
        return;
    };
    let sum = checksum::updated([*c0, *c1], [*kind, *code], [reply, *code]);
    // `updated` is wrong for a message of zeros only, such as an ICMP echo reply can be. An ICMPv6 checksum
    // also covers the addresses, so it never covers only zeros.
    let all_zero = reply == 0 && sum == [0, 0] && rest.iter().all(|byte| *byte == 0);
    *kind = reply;
    [*c0, *c1] = if all_zero { [0xff, 0xff] } else { sum };
}

fn turn_udp(datagram: &mut [u8]) {
    if let [s0, s1, d0, d1, ..] = datagram {
        mem::swap(s0, d0);
        mem::swap(s1, d1);
    }
}
