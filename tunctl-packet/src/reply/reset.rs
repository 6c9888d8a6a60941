//! The TCP reset of a host at whose port nothing listens.

use etherparse::ip_number;

use super::NoReply;
use super::envelope::{Addresses, Envelope};
use super::request::Request;
use crate::ip::TCP_LENGTH;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
/// Where the checksum stands in the TCP header.
const SUM_AT: usize = 16;

/// Writes a TCP reset to `answer`, with which a host answers a segment that belongs to no connection; returns
/// the reset's length in bytes.
///
/// `request` is a bare IP packet, as read from a TUN device without packet information. The reset follows RFC
/// 9293, section 3.10.7.1: it has the sequence number that the segment acknowledges, or else acknowledges the
/// whole segment. It has no options, and a TTL or hop limit of 64.
///
/// The function is made for network stacks in user space and for tests. It is as strict as
/// [`echo_reply`](crate::echo_reply).
///
/// ```
/// use tunctl_packet::{Layer, NoReply, Packet, reset, udp_packet};
///
/// # let syn = [
/// #     0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0x26, 0xce, 10, 0, 0, 1, 10, 0, 0, 2,
/// #     0x0f, 0xa0, 0, 80, 0, 0, 0, 99, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0x8b, 0x8d, 0, 0,
/// # ];
/// // `syn` requests a connection to port 80, with the sequence number 99.
/// let mut answer = [0; 100];
/// let length = reset(&syn, &mut answer)?;
/// let packet = Packet::parse(Layer::Tun, &answer[..length])?;
/// assert_eq!(packet.source_port(), Some(80));
/// assert_eq!(packet.summary().to_string(), "[RST, ACK] seq 0 ack 100 win 0");
///
/// let datagram = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, b"query")?;
/// assert_eq!(reset(&datagram, &mut answer), Err(NoReply::NotTcp));
/// assert_eq!(reset(&answer[..length].to_vec(), &mut answer), Err(NoReply::Reset));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`NoReply`], by cause, with `answer` unchanged: for [other protocols than TCP](NoReply::NotTcp), for
/// [resets](NoReply::Reset), for [fragments](NoReply::Fragment), and others.
#[doc(alias = "RST")]
pub fn reset(request: &[u8], answer: &mut [u8]) -> Result<usize, NoReply> {
    let request = Request::parse(request)?;
    if request.number() != ip_number::TCP {
        return Err(NoReply::NotTcp);
    }
    if request.fragment().is_some() {
        return Err(NoReply::Fragment);
    }
    request.check_extensions()?;
    request.check_addresses()?;
    let header = request.ip().tcp_header()?;
    let Some(&fixed) = header.first_chunk::<TCP_LENGTH>() else {
        return Err(NoReply::NotTcp);
    };
    let [.., flags, _, _, _, _, _, _] = fixed;
    if flags & RST != 0 {
        return Err(NoReply::Reset);
    }
    request.check_checksum()?;
    let Some(addresses) = Addresses::new(request.destination(), request.source()) else {
        return Err(NoReply::NotUnicast);
    };
    let payload = request.ip().upper.len().saturating_sub(header.len());
    let envelope = Envelope { addresses, number: ip_number::TCP, service: 0 };
    envelope.seal([&answer_to(fixed, payload), &[]], SUM_AT, answer)
}

/// The header of the reset for a segment with this header, and with `payload` bytes behind it.
fn answer_to(segment: [u8; TCP_LENGTH], payload: usize) -> [u8; TCP_LENGTH] {
    let [s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, _, flags, ..] = segment;
    let (sequence, acknowledgment, flags) = if flags & ACK != 0 {
        ([a0, a1, a2, a3], [0; 4], RST)
    } else {
        // SYN and FIN take one sequence number each, as a byte of the payload does.
        let length = payload + usize::from(flags & SYN != 0) + usize::from(flags & FIN != 0);
        // A packet is shorter than 2^17.
        let length = u32::try_from(length).unwrap_or_default();
        let next = u32::from_be_bytes([q0, q1, q2, q3]).wrapping_add(length);
        ([0; 4], next.to_be_bytes(), RST | ACK)
    };
    let [n0, n1, n2, n3] = sequence;
    let [k0, k1, k2, k3] = acknowledgment;
    [d0, d1, s0, s1, n0, n1, n2, n3, k0, k1, k2, k3, 0x50, flags, 0, 0, 0, 0, 0, 0]
}
