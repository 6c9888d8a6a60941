//! Echo messages as raw sockets receive them.

use etherparse::{icmpv4, icmpv6};

use crate::ip::V4_LENGTH;

/// An echo request or reply of either IP version: a message of `ping`.
///
/// Checksums are not verified: the kernel does so before a raw socket gets the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EchoMessage<'a> {
    /// Distinguishes programs that ping; a reply repeats that of its request.
    pub identifier: u16,
    /// Counts the requests of a program; a reply repeats that of its request.
    pub sequence: u16,
    /// Whether the message is a reply.
    pub is_reply: bool,
    /// The data behind the header; a reply repeats that of its request.
    pub payload: &'a [u8],
}

impl<'a> EchoMessage<'a> {
    /// Parses an ICMP message without an IP header, as a datagram ("ping") socket of Linux receives it.
    ///
    /// Returns `None` if the message is not an echo message, or is too short for one.
    #[must_use]
    #[doc(alias = "struct icmphdr")]
    pub fn parse_icmp(message: &'a [u8]) -> Option<EchoMessage<'a>> {
        EchoMessage::parse(message, icmpv4::TYPE_ECHO_REQUEST, icmpv4::TYPE_ECHO_REPLY)
    }

    /// Parses an ICMP message behind its IPv4 header, as a raw socket receives it: `socket(AF_INET, SOCK_RAW,
    /// IPPROTO_ICMP)`.
    ///
    /// Returns `None` if `packet` is not an IPv4 packet with a whole header, or has no echo message in it.
    #[must_use]
    #[doc(alias = "SOCK_RAW")]
    pub fn parse_icmp_packet(packet: &'a [u8]) -> Option<EchoMessage<'a>> {
        let first = *packet.first()?;
        let length = usize::from(first & 0x0f) * 4;
        // The length field is not used: BSD kernels pass it to raw sockets in host order, and without the
        // header's length.
        let is_icmp = *packet.get(9)? == etherparse::ip_number::ICMP.0;
        if first >> 4 != 4 || length < V4_LENGTH || !is_icmp {
            return None;
        }
        EchoMessage::parse_icmp(packet.get(length..)?)
    }

    /// Parses an ICMPv6 message. On every system, raw sockets receive it without the IPv6 header.
    ///
    /// Returns `None` if the message is not an echo message, or is too short for one.
    #[must_use]
    #[doc(alias = "struct icmp6_hdr")]
    pub fn parse_icmpv6(message: &'a [u8]) -> Option<EchoMessage<'a>> {
        EchoMessage::parse(message, icmpv6::TYPE_ECHO_REQUEST, icmpv6::TYPE_ECHO_REPLY)
    }

    fn parse(message: &'a [u8], request: u8, reply: u8) -> Option<EchoMessage<'a>> {
        let (&[kind, code, _, _, i0, i1, s0, s1], payload) = message.split_first_chunk()?;
        ((kind == request || kind == reply) && code == 0).then_some(EchoMessage {
            identifier: u16::from_be_bytes([i0, i1]),
            sequence: u16::from_be_bytes([s0, s1]),
            is_reply: kind == reply,
            payload,
        })
    }
}

/// Parses an echo reply of either IP version that a raw or ping socket received.
///
/// Returns `None` for anything else, such as the request that is also received on the loopback interface.
///
/// The function accepts an IPv4 packet, an ICMP message and an ICMPv6 message. It can tell them apart,
/// because the first bytes of their replies are 0x45 to 0x4f, 0 and 129. If you know which of them you have,
/// use the functions of [`EchoMessage`].
#[must_use]
pub fn parse_echo_reply(message: &[u8]) -> Option<EchoMessage<'_>> {
    let echo = match *message.first()? {
        icmpv4::TYPE_ECHO_REPLY => EchoMessage::parse_icmp(message),
        icmpv6::TYPE_ECHO_REPLY => EchoMessage::parse_icmpv6(message),
        _ => EchoMessage::parse_icmp_packet(message),
    }?;
    echo.is_reply.then_some(echo)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{EchoMessage, parse_echo_reply};

    const MESSAGE: &[u8] = b"\0\0\xff\xff\x01\x02\0\x03data";

    #[test]
    fn finds_the_reply_in_all_three_forms() {
        let expected = EchoMessage { identifier: 0x0102, sequence: 3, is_reply: true, payload: b"data" };
        assert_eq!(parse_echo_reply(MESSAGE), Some(expected));

        let mut packet = vec![0; 24];
        (packet[0], packet[9]) = (0x46, 1);
        packet.extend_from_slice(MESSAGE);
        assert_eq!(parse_echo_reply(&packet), Some(expected));

        let v6 = [&[129], &MESSAGE[1..]].concat();
        assert_eq!(parse_echo_reply(&v6), Some(expected));
    }

    #[test]
    fn a_request_is_no_reply() {
        let request = [&[8], &MESSAGE[1..]].concat();
        assert_eq!(parse_echo_reply(&request), None);
        assert!(!EchoMessage::parse_icmp(&request).unwrap().is_reply);
        assert_eq!(EchoMessage::parse_icmpv6(&request), None);
    }

    #[test]
    fn other_messages_are_none() {
        assert_eq!(parse_echo_reply(&MESSAGE[..7]), None);
        assert_eq!(EchoMessage::parse_icmp(&[&[0, 1], &MESSAGE[2..]].concat()), None);
        let mut udp = vec![0; 20];
        (udp[0], udp[9]) = (0x45, 17);
        udp.extend_from_slice(MESSAGE);
        assert_eq!(parse_echo_reply(&udp), None);
    }
}
