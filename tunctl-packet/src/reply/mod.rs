//! The answering half of a ping.

mod request;
mod responder;

use self::request::Request;
pub use self::responder::EchoResponder;
use crate::{ParseError, Truncated};

/// Why there is no answer to a packet.
///
/// Most packets that a device gives are no echo requests, so this is an ordinary outcome rather than a
/// failure; none of it allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum NoReply {
    /// It is neither an ICMP or ICMPv6 echo request nor a UDP datagram to port 7.
    #[error("no echo request")]
    NotAnEchoRequest,
    /// The source or the destination is no single host elsewhere: multicast, the broadcast address
    /// 255.255.255.255, unspecified or loopback.
    #[error("an address of it is multicast, broadcast, unspecified or loopback")]
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
    /// The packet has IPv4 options, or IPv6 extension headers other than the fragment header, whose answer is
    /// not that of the packet without: a source route, for one, would have to be turned around.
    #[error("packets with IPv4 options or IPv6 extension headers are not answered")]
    HeaderOptions,
    /// It is a fragment, and only an [`EchoResponder`] answers those.
    #[error("a fragment, which takes an EchoResponder to answer")]
    Fragment,
    /// It is a later fragment of a datagram whose first one was not answered: it was refused, has not come
    /// yet, or came too long ago.
    #[error("a fragment of a datagram whose beginning was not answered")]
    UnknownFragment,
    /// It is no IP packet, or a broken one.
    #[error("malformed: {0}")]
    Malformed(#[from] ParseError),
    /// The answer is as long as the request, and doesn't fit.
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
