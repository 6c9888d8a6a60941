//! The answer of a router or host that cannot deliver a packet.

use core::net::IpAddr;

use etherparse::{icmpv4, icmpv6};

use super::NoReply;
use super::icmp_error::IcmpError;
use super::request::Request;
use crate::ip::{TRANSPORT_LENGTH, V6_LENGTH};

/// ICMP's "communication administratively prohibited" (RFC 1812, section 5.2.7.1).
const V4_PROHIBITED: u8 = 13;

/// The part of the destination that could not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreachable {
    /// There is no route: ICMP code 0, ICMPv6 code 0.
    #[doc(alias = "ICMP_NET_UNREACH")]
    #[doc(alias = "ICMPV6_NOROUTE")]
    Network,
    /// The host does not answer: ICMP code 1, ICMPv6 code 3.
    #[doc(alias = "ICMP_HOST_UNREACH")]
    #[doc(alias = "ICMPV6_ADDR_UNREACH")]
    Host,
    /// The host does not support the protocol: ICMP code 2.
    ///
    /// ICMPv6 has another message for it: a parameter problem that points to the protocol's number (type 4,
    /// code 1).
    #[doc(alias = "ICMP_PROT_UNREACH")]
    #[doc(alias = "ICMPV6_UNK_NEXTHDR")]
    Protocol,
    /// Nothing listens at the port: ICMP code 3, ICMPv6 code 4.
    #[doc(alias = "ICMP_PORT_UNREACH")]
    #[doc(alias = "ICMPV6_PORT_UNREACH")]
    Port,
    /// A filter blocks the packet: ICMP code 13, ICMPv6 code 1.
    #[doc(alias = "ICMP_PKT_FILTERED")]
    #[doc(alias = "ICMPV6_ADM_PROHIBITED")]
    AdminProhibited,
}

impl Unreachable {
    /// The first eight bytes of the ICMP message, without its checksum.
    fn header_v4(self) -> [u8; TRANSPORT_LENGTH] {
        let code = match self {
            Unreachable::Network => 0,
            Unreachable::Host => 1,
            Unreachable::Protocol => 2,
            Unreachable::Port => 3,
            Unreachable::AdminProhibited => V4_PROHIBITED,
        };
        [icmpv4::TYPE_DEST_UNREACH, code, 0, 0, 0, 0, 0, 0]
    }

    /// The same for ICMPv6. `number_at` is the offset of the protocol's number in the packet.
    fn header_v6(self, number_at: usize) -> [u8; TRANSPORT_LENGTH] {
        let code = match self {
            Unreachable::Network => 0,
            Unreachable::AdminProhibited => 1,
            Unreachable::Host => 3,
            Unreachable::Port => 4,
            Unreachable::Protocol => {
                let [p0, p1, p2, p3] = u32::try_from(number_at).unwrap_or_default().to_be_bytes();
                return [icmpv6::TYPE_PARAMETER_PROBLEM, 1, 0, 0, p0, p1, p2, p3];
            }
        };
        [icmpv6::TYPE_DST_UNREACH, code, 0, 0, 0, 0, 0, 0]
    }
}

/// Writes an ICMP or ICMPv6 error to `answer`, which reports to the packet's sender what could not be
/// reached; returns the error's length in bytes.
///
/// `request` is a bare IP packet, as read from a TUN device without packet information. `from` is the sender
/// of the error, such as a router; `None` means the packet's destination. The error quotes as much of the
/// packet as fits within 576 bytes, or 1280 in IPv6.
///
/// The function refuses to answer where RFC 1122 (section 3.2.2) and RFC 4443 (section 2.4) forbid it: about
/// an ICMP error, a later fragment, or a packet whose source or destination is not a single host. It does not
/// limit the rate of errors; the caller must.
///
/// The function is made for network stacks in user space and for tests. It is as strict as
/// [`echo_reply`](crate::echo_reply), because a packet with a wrong checksum may have a wrong source.
///
/// A packet that exceeds the next link's MTU is reported by [`packet_too_big`](super::packet_too_big()), and
/// one whose TTL is exceeded by [`time_exceeded`](super::time_exceeded()).
///
/// ```
/// use tunctl_packet::{Layer, NoReply, Packet, Unreachable, udp_packet, unreachable};
///
/// let request = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
/// let mut answer = [0; 576];
/// let length = unreachable(&request, Unreachable::Port, None, &mut answer)?;
///
/// let packet = Packet::parse(Layer::Tun, &answer[..length])?;
/// assert_eq!(packet.destination(), Some("10.0.0.1".parse()?));
/// assert_eq!(packet.summary().to_string(), "port unreachable for UDP 10.0.0.2:53");
///
/// let error = answer[..length].to_vec();
/// assert_eq!(unreachable(&error, Unreachable::Port, None, &mut answer), Err(NoReply::IcmpError));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`NoReply`], by cause, with `answer` unchanged: for [ICMP errors](NoReply::IcmpError), for [later
/// fragments](NoReply::Fragment), if `from` [cannot be the sender](NoReply::Sender), and others.
#[doc(alias = "ICMP_DEST_UNREACH")]
#[doc(alias = "ICMPV6_DEST_UNREACH")]
pub fn unreachable(
    request: &[u8],
    code: Unreachable,
    from: Option<IpAddr>,
    answer: &mut [u8],
) -> Result<usize, NoReply> {
    let request = Request::parse(request)?;
    let header = match request.source() {
        IpAddr::V4(_) => code.header_v4(),
        IpAddr::V6(_) => code.header_v6(number_offset(&request)),
    };
    IcmpError { header, from, for_groups: false }.answer(&request, answer)
}

/// The offset of the protocol's number in an IPv6 packet that has no extension header but a fragment header.
fn number_offset(request: &Request<'_>) -> usize {
    match request.ip().upper_offset {
        V6_LENGTH => 6,
        behind => behind.saturating_sub(8),
    }
}
