//! Answers to packets: echo replies, ICMP errors and TCP resets.

mod envelope;
mod icmp_error;
mod options;
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

/// The reason why there is no answer to a packet.
///
/// It is an ordinary outcome rather than a failure: most packets of a device are not echo requests, for
/// example. Nothing here allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NoReply {
    /// The packet is neither an ICMP or ICMPv6 echo request nor a UDP datagram to port 7.
    #[error("not an echo request")]
    NotAnEchoRequest,
    /// The packet is not a TCP segment, so there is nothing to reset.
    #[error("not a TCP segment")]
    NotTcp,
    /// The packet is a TCP reset. A host never answers a reset with another (RFC 9293, section 3.10.7.1).
    #[error("a reset is not answered with another")]
    Reset,
    /// The packet is an ICMP or ICMPv6 error, or an ICMP message of an unknown type, which could be an error.
    /// A host never sends an error about an error (RFC 1122, section 3.2.2).
    #[error("an ICMP error is not answered with another")]
    IcmpError,
    /// The sender of the answer would not be a single host, or would differ from the packet in the IP
    /// version.
    #[error("{address} cannot be the sender of the answer")]
    Sender {
        /// The address.
        address: IpAddr,
    },
    /// The source or the destination is not a single other host: it is multicast, the broadcast address
    /// 255.255.255.255, unspecified or loopback. An ICMP error is also not sent to a reserved source (from
    /// 240.0.0.0 up). [`packet_too_big()`] makes an exception for multicast destinations in IPv6.
    #[error("the source or destination is multicast, broadcast, unspecified, reserved or loopback")]
    NotUnicast,
    /// The datagram's source port is 7, so that two responders would answer each other for ever; or it is 0,
    /// by which the sender expects no answer (RFC 768).
    #[error("a datagram from port {port} is not answered")]
    SourcePort {
        /// The source port.
        port: u16,
    },
    /// The checksum of the IPv4 header or of the transport is wrong, or a UDP datagram in IPv6 has no
    /// checksum.
    ///
    /// A packet from a device with checksum offload (`TUN_F_CSUM`) does not have its checksum yet.
    #[error("a checksum is wrong")]
    BadChecksum,
    /// The packet has IPv4 options, or IPv6 extension headers other than one fragment header. These can
    /// change the answer: a source route, for example, would have to be reversed. Of the IPv4 options,
    /// [`echo_reply`] returns recorded routes and timestamps.
    #[error("packets with such IPv4 options or IPv6 extension headers are not answered")]
    HeaderOptions,
    /// The packet is a fragment. An [`EchoResponder`] answers all fragments of an echo request; an ICMP error
    /// is sent about the first fragment of a datagram only.
    #[error("a fragment is not answered on its own")]
    Fragment,
    /// The packet is a later fragment of a datagram whose first fragment was not answered: that was refused,
    /// has not arrived yet, or arrived too long ago.
    #[error("the first fragment of the datagram was not answered")]
    UnknownFragment,
    /// The packet is not larger than the MTU, so it is not [too big](packet_too_big()).
    #[error("{length} bytes fit an MTU of {mtu}")]
    Fits {
        /// The packet's length, in bytes.
        length: usize,
        /// The MTU of the next link, in bytes.
        mtu: u32,
    },
    /// The packet is IPv4 without "don't fragment". A router fragments it instead of reporting it as [too
    /// big](packet_too_big()).
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
    /// The bytes are not an IP packet, or a malformed one.
    #[error("malformed: {0}")]
    Malformed(#[from] ParseError),
    /// The buffer is too short for the answer. An echo reply is as long as its request.
    #[error("no room for the answer: {0}")]
    BufferTooSmall(Truncated),
}

/// Writes the reply to an echo request to `answer`; returns the reply's length in bytes.
///
/// `request` is a bare IP packet, as read from a TUN device without packet information. The function answers
///
/// - ICMP echo requests (type 8, code 0),
/// - ICMPv6 echo requests (type 128, code 0),
/// - UDP datagrams to port 7, the echo protocol (RFC 862),
///
/// to any unicast address. The reply has the addresses swapped, a TTL or hop limit of 64, and right
/// checksums; the rest equals the request. Bytes behind the packet's stated end are ignored.
///
/// The host adds itself to the IPv4 options "record route" and "timestamp" (RFC 1122, section 3.2.2.6). Its
/// timestamps say that it has no clock.
///
/// The function is made for network stacks in user space, tests and benchmarks. It copies the packet once and
/// does not allocate.
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
/// [`NoReply`], by cause, with `answer` unchanged. All fragments are refused, because the sender of a request
/// needs the replies to all of them; an [`EchoResponder`] answers them.
pub fn echo_reply(request: &[u8], answer: &mut [u8]) -> Result<usize, NoReply> {
    let request = Request::parse(request)?;
    match request.fragment() {
        None => request.answer_whole(answer),
        Some(_) => Err(NoReply::Fragment),
    }
}
