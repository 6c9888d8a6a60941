//! Answers to packets: of who is pinged, and of who is not there.

mod envelope;
mod icmp_error;
mod packet_too_big;
mod request;
mod reset;
mod responder;
mod time_exceeded;
mod unreachable;

use core::net::IpAddr;

pub use self::packet_too_big::packet_too_big;
use self::request::Request;
pub use self::reset::reset;
pub use self::responder::EchoResponder;
pub use self::time_exceeded::time_exceeded;
pub use self::unreachable::{Unreachable, unreachable};
use crate::{ParseError, Truncated};

/// Why there is no answer to a packet.
///
/// Most packets that a device gives are no echo requests, for one, so this is an ordinary outcome rather than
/// a failure; none of it allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NoReply {
    /// It is neither an ICMP or ICMPv6 echo request nor a UDP datagram to port 7.
    #[error("no echo request")]
    NotAnEchoRequest,
    /// It is no TCP segment, and only those are reset.
    #[error("no TCP segment")]
    NotTcp,
    /// It is a TCP reset, which is never answered with another (RFC 9293, section 3.10.7.1).
    #[error("a reset is not answered")]
    Reset,
    /// It is an ICMP or ICMPv6 error, or an ICMP message of a type that could be one; an error about an error
    /// is never sent (RFC 1122, section 3.2.2).
    #[error("an ICMP error is not answered with another")]
    IcmpError,
    /// The address that the answer was to come from is not one host's, or of another IP version than the
    /// packet.
    #[error("{address} cannot be the sender of the answer")]
    Sender {
        /// The address.
        address: IpAddr,
    },
    /// The source or the destination is no single host elsewhere: multicast, the broadcast address
    /// 255.255.255.255, unspecified or loopback. An ICMP error is also not sent to a reserved source (from
    /// 240.0.0.0 up). [`packet_too_big()`] makes an exception for multicast destinations in IPv6.
    #[error("an address of it is multicast, broadcast, unspecified, reserved or loopback")]
    NotUnicast,
    /// A datagram whose source port is 7, which would make two responders answer each other for ever, or 0,
    /// which says that no answer is wanted (RFC 768).
    #[error("a datagram from port {port} is not answered")]
    SourcePort {
        /// The source port.
        port: u16,
    },
    /// The checksum of the IPv4 header or of what it carries is wrong, or a UDP datagram in IPv6 has none.
    ///
    /// A packet that comes from a device with checksum offload (`TUN_F_CSUM`) has none yet either.
    #[error("a checksum is wrong")]
    BadChecksum,
    /// The packet has IPv4 options, or IPv6 extension headers other than one fragment header, whose answer is
    /// not that of the packet without: a source route, for one, would have to be turned around.
    #[error("packets with IPv4 options or IPv6 extension headers are not answered")]
    HeaderOptions,
    /// It is a fragment. An [`EchoResponder`] answers all fragments of an echo request; an ICMP error is
    /// about the first fragment of a datagram only.
    #[error("a fragment, which is not answered on its own")]
    Fragment,
    /// It is a later fragment of a datagram whose first one was not answered: it was refused, has not come
    /// yet, or came too long ago.
    #[error("a fragment of a datagram whose beginning was not answered")]
    UnknownFragment,
    /// The packet is not larger than the MTU, so it is not [too big](packet_too_big()).
    #[error("{length} bytes fit an MTU of {mtu}")]
    Fits {
        /// The packet's length, in bytes.
        length: usize,
        /// The MTU of the next link, in bytes.
        mtu: u32,
    },
    /// It is an IPv4 packet without "don't fragment": a router cuts it into fragments instead of calling it
    /// [too big](packet_too_big()).
    #[error("the sender allows fragmentation")]
    MayFragment,
    /// No link may have so small an MTU, and a sender does not go below the minimum (RFC 1191, section 3; RFC
    /// 8201, section 4).
    #[error("an MTU of {mtu} is below the minimum of {minimum}")]
    MtuTooSmall {
        /// The MTU that was to be reported, in bytes.
        mtu: u32,
        /// The smallest MTU of a link, in bytes: 68 for IPv4, 1280 for IPv6.
        minimum: u32,
    },
    /// It is no IP packet, or a broken one.
    #[error("malformed: {0}")]
    Malformed(#[from] ParseError),
    /// The answer doesn't fit. An echo reply is as long as the request.
    #[error("no room for the answer: {0}")]
    BufferTooSmall(Truncated),
}

/// Turns an echo request into its answer, written to `answer`; returns the answer's length in bytes.
///
/// `request` is a bare IP packet, as a TUN device without packet information gives it. Answered are
///
/// - ICMP echo requests (type 8, code 0),
/// - ICMPv6 echo requests (type 128, code 0),
/// - UDP datagrams to port 7, the echo protocol (RFC 862),
///
/// for whatever unicast address they are sent to. The answer has the addresses swapped, a TTL or hop limit of
/// 64, and right checksums; all else is the request's. Bytes behind the packet's stated end are neither
/// looked at nor answered.
///
/// For user-space network stacks, tests, and benchmarks: it takes one copy and no allocation.
///
/// ```
/// use tunctl_packet::{NoReply, echo_reply, udp_packet};
///
/// let mut answer = [0; 1500];
/// let request = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:7".parse()?, b"hello")?;
/// assert_eq!(echo_reply(&request, &mut answer)?, request.len());
///
/// let other = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"hello")?;
/// assert_eq!(echo_reply(&other, &mut answer), Err(NoReply::NotAnEchoRequest));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`NoReply`], by cause, with `answer` unchanged. Fragments are refused, the first one too, as the sender
/// would wait for the others; an [`EchoResponder`] answers them.
pub fn echo_reply(request: &[u8], answer: &mut [u8]) -> Result<usize, NoReply> {
    let request = Request::parse(request)?;
    match request.fragment() {
        None => request.answer_whole(answer),
        Some(_) => Err(NoReply::Fragment),
    }
}
