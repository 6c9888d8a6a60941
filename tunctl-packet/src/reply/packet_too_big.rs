//! The reply of a router to a packet that is larger than the next link's MTU.

use core::net::IpAddr;

use etherparse::{icmpv4, icmpv6};

use super::NoReply;
use super::icmp_error::IcmpError;
use super::request::Request;
use crate::ip::TRANSPORT_LENGTH;

/// The smallest MTU of a link that carries IPv4 (RFC 791, section 3.2).
const V4_MTU_MIN: u32 = 68;
/// The smallest MTU of a link that carries IPv6 (RFC 8200, section 5).
const V6_MTU_MIN: u32 = 1280;

/// Writes an ICMP or ICMPv6 error to `answer`, which reports to the packet's sender that the packet exceeds
/// the next link's MTU; returns the error's length in bytes.
///
/// The sender's path MTU discovery (RFC 1191, RFC 8201) then makes its packets no larger than `mtu`. In IPv4,
/// the error is "fragmentation needed" (type 3, code 4); in IPv6, it is "packet too big" (type 2, RFC 4443,
/// section 3.2).
///
/// `request` is a bare IP packet, as read from a TUN device without packet information. `mtu` is the size in
/// bytes of the largest IP packet, its header included, that the next link carries. For a tunnel, it excludes
/// what the tunnel adds to a packet. A packet that a [virtio-net header](crate::header::VnetHeader) leaves to
/// be segmented is not a packet of the link; compare its segments with the MTU instead.
///
/// `from` is the address of the router. `None` means the packet's destination, for a tunnel without an
/// address of its own.
///
/// The error quotes as much of the packet as [`unreachable`](super::unreachable()) does, and is refused for
/// the same packets, with one exception: RFC 4443, section 2.4 (e.3) allows it for an IPv6 packet to a
/// multicast group, so that path MTU discovery works for groups. `from` must then be given. The caller must
/// limit the rate of errors.
///
/// ```
/// use tunctl_packet::{Layer, NoReply, Packet, packet_too_big, udp_packet};
///
/// let request = udp_packet("[fd77::1]:4000".parse()?, "[fd99::2]:53".parse()?, &[0; 1400])?;
/// let router = Some("fd77::ff".parse()?);
/// let mut answer = [0; 1280];
/// let length = packet_too_big(&request, 1280, router, &mut answer)?;
///
/// let packet = Packet::parse(Layer::Tun, &answer[..length])?;
/// assert_eq!(packet.destination(), Some("fd77::1".parse()?));
/// assert_eq!(packet.summary().to_string(), "packet too big, mtu 1280 for UDP [fd99::2]:53");
///
/// let fits = NoReply::Fits { length: 1448, mtu: 1500 };
/// assert_eq!(packet_too_big(&request, 1500, router, &mut answer), Err(fits));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`NoReply`], by cause, with `answer` unchanged: those of [`unreachable`](super::unreachable()), and
///
/// - [`NoReply::Fits`]: the packet is not larger than `mtu`. A router can therefore pass every packet here
///   first, and forward those that fit.
/// - [`NoReply::MayFragment`]: the packet is IPv4 without "don't fragment", so a router fragments it.
/// - [`NoReply::MtuTooSmall`]: `mtu` is less than 68 bytes, or 1280 in IPv6. A sender does not go below that,
///   so it would go on to send packets that are lost. A router whose link carries less has to fragment below
///   IP; it reports the minimum, and only for packets larger than that.
#[doc(alias = "ICMP_FRAG_NEEDED")]
#[doc(alias = "ICMPV6_PKT_TOOBIG")]
#[doc(alias = "PMTUD")]
pub fn packet_too_big(
    request: &[u8],
    mtu: u32,
    from: Option<IpAddr>,
    answer: &mut [u8],
) -> Result<usize, NoReply> {
    let request = Request::parse(request)?;
    let header = header(&request, mtu)?;
    let for_groups = request.source().is_ipv6();
    IcmpError { header, from, for_groups }.answer(&request, answer)
}

/// The first eight bytes of the message, without its checksum.
fn header(request: &Request<'_>, mtu: u32) -> Result<[u8; TRANSPORT_LENGTH], NoReply> {
    let length = request.packet().len();
    if u32::try_from(length).is_ok_and(|length| length <= mtu) {
        return Err(NoReply::Fits { length, mtu });
    }
    if request.may_be_fragmented() {
        return Err(NoReply::MayFragment);
    }
    let [m0, m1, m2, m3] = mtu.to_be_bytes();
    let (header, minimum) = match request.source() {
        // The MTU fits the field of 16 bits: the packet is longer, and its own length field has 16 bits.
        IpAddr::V4(_) => {
            let code = icmpv4::CODE_DST_UNREACH_NEED_FRAG;
            ([icmpv4::TYPE_DEST_UNREACH, code, 0, 0, 0, 0, m2, m3], V4_MTU_MIN)
        }
        IpAddr::V6(_) => ([icmpv6::TYPE_PACKET_TOO_BIG, 0, 0, 0, m0, m1, m2, m3], V6_MTU_MIN),
    };
    if mtu < minimum { Err(NoReply::MtuTooSmall { mtu, minimum }) } else { Ok(header) }
}
