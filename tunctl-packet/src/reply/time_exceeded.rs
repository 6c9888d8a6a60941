//! The reply of a router to a packet that has passed as many routers as it may.

use core::net::IpAddr;

use etherparse::{icmpv4, icmpv6};

use super::NoReply;
use super::icmp_error::IcmpError;
use super::request::Request;
use crate::ip::TRANSPORT_LENGTH;

/// Writes an ICMP or ICMPv6 error to `answer`, which reports to the packet's sender that the TTL or hop limit
/// was exceeded in transit; returns the error's length in bytes.
///
/// A router sends it instead of the packet when it would decrement the packet's TTL to zero: `traceroute`
/// finds routers this way. In IPv4, the error is of type 11, code 0 (RFC 792); in IPv6, of type 3, code 0
/// (RFC 4443, section 3.3). The function does not look at the TTL: whether the router has decremented it by
/// then is the caller's choice.
///
/// `request` is a bare IP packet, as read from a TUN device without packet information, and `from` is the
/// address of the router. The error quotes as much of the packet as [`unreachable`](super::unreachable())
/// does, and is refused for the same packets. The caller must limit the rate of errors.
///
/// ```
/// use tunctl_packet::{Layer, NoReply, Packet, time_exceeded, udp_packet};
///
/// let request = udp_packet("10.0.0.1:4000".parse()?, "10.9.9.9:33434".parse()?, b"probe")?;
/// let router = "10.0.0.254".parse()?;
/// let mut answer = [0; 576];
/// let length = time_exceeded(&request, router, &mut answer)?;
///
/// let packet = Packet::parse(Layer::Tun, &answer[..length])?;
/// assert_eq!(packet.source(), Some(router));
/// assert_eq!(packet.summary().to_string(), "time exceeded in transit for UDP 10.9.9.9:33434");
///
/// let error = answer[..length].to_vec();
/// assert_eq!(time_exceeded(&error, router, &mut answer), Err(NoReply::IcmpError));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`NoReply`], by cause, with `answer` unchanged: for [ICMP errors](NoReply::IcmpError), for [later
/// fragments](NoReply::Fragment), if `from` [cannot be the sender](NoReply::Sender), and others.
#[doc(alias = "ICMP_TIME_EXCEEDED")]
#[doc(alias = "ICMP_EXC_TTL")]
#[doc(alias = "ICMPV6_TIME_EXCEED")]
#[doc(alias = "ICMPV6_EXC_HOPLIMIT")]
#[doc(alias = "traceroute")]
pub fn time_exceeded(request: &[u8], from: IpAddr, answer: &mut [u8]) -> Result<usize, NoReply> {
    let request = Request::parse(request)?;
    IcmpError { header: header(&request), from: Some(from), for_groups: false }.answer(&request, answer)
}

/// The first eight bytes of the message, without its checksum.
fn header(request: &Request<'_>) -> [u8; TRANSPORT_LENGTH] {
    let (kind, code) = match request.source() {
        IpAddr::V4(_) => (icmpv4::TYPE_TIME_EXCEEDED, icmpv4::CODE_TIME_EXCEEDED_TTL_EXCEEDED_IN_TRANSIT),
        IpAddr::V6(_) => (icmpv6::TYPE_TIME_EXCEEDED, icmpv6::CODE_TIME_EXCEEDED_HOP_LIMIT_EXCEEDED),
    };
    [kind, code, 0, 0, 0, 0, 0, 0]
}
