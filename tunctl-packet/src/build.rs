//! Small packets for probes, tests and benchmarks.

use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use etherparse::{
    Ethernet2Header, IcmpEchoHeader, Icmpv4Header, Icmpv4Type, Icmpv6Header, Icmpv6Type, IpNumber,
    Ipv4Header, Ipv6Header, UdpHeader, ip_number,
};

use crate::EtherType;
use crate::ip::{TRANSPORT_LENGTH, V4_LENGTH};

/// The TTL or hop limit of the packets made here: the Internet's default.
const HOPS: u8 = 64;
/// The largest value of a length field, which counts a whole IPv4 packet, or the bytes behind an IPv6 header.
const LENGTH_MAX: usize = u16::MAX as usize;

/// The reason why a packet could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// One address is IPv4, the other IPv6.
    #[error("{source_address} and {destination_address} are not of the same IP version")]
    MixedFamilies {
        /// The source that was passed.
        source_address: IpAddr,
        /// The destination that was passed.
        destination_address: IpAddr,
    },
    /// The payload is too long for a packet.
    #[error("a payload of {length} bytes is too long: a packet takes {max}")]
    TooLong {
        /// The payload's length, in bytes.
        length: usize,
        /// The longest payload that fits, in bytes.
        max: usize,
    },
}

/// An ICMP echo request with its checksum and without an IP header, as a program sends it through a raw ICMP
/// socket.
///
/// ```
/// let message = tunctl_packet::icmp_echo_request(7, 1, b"");
/// assert_eq!(message, [8, 0, 0xf7, 0xf7, 0, 7, 0, 1]);
/// ```
#[must_use]
pub fn icmp_echo_request(identifier: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let kind = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: identifier, seq: sequence });
    [&Icmpv4Header::with_checksum(kind, payload).to_bytes()[..], payload].concat()
}

/// An ICMPv6 echo request without an IP header and with a checksum of zero, as a program sends it through a
/// raw ICMPv6 socket.
///
/// The checksum covers the source address, which the kernel chooses. Therefore the kernel fills in the
/// checksum of every raw ICMPv6 socket (RFC 3542, section 3.1). To write a ping to a device, use
/// [`ping_packet`].
#[must_use]
pub fn icmpv6_echo_request(identifier: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let kind = Icmpv6Type::EchoRequest(IcmpEchoHeader { id: identifier, seq: sequence });
    [&Icmpv6Header::new(kind).to_bytes()[..], payload].concat()
}

/// A UDP datagram in an IP packet, with right checksums.
///
/// The hop limit is 64, and IPv4 packets have "don't fragment" set. The flow label and scope of IPv6 socket
/// addresses are not used. A packet may exceed an interface's MTU: the payload has up to 65,507 bytes in
/// IPv4, 65,527 in IPv6.
///
/// # Errors
///
/// - [`BuildError::MixedFamilies`]: one address is IPv4, the other IPv6.
/// - [`BuildError::TooLong`]: the payload is longer.
pub fn udp_packet(
    source: SocketAddr,
    destination: SocketAddr,
    payload: &[u8],
) -> Result<Vec<u8>, BuildError> {
    let ip = IpHeader::new(source.ip(), destination.ip(), ip_number::UDP, payload.len())?;
    let (from, to) = (source.port(), destination.port());
    let udp = match &ip {
        IpHeader::V4(header) => UdpHeader::with_ipv4_checksum(from, to, header, payload),
        IpHeader::V6(header) => UdpHeader::with_ipv6_checksum(from, to, header, payload),
    }
    .map_err(|error| BuildError::TooLong { length: error.actual, max: error.max_allowed })?;
    Ok(ip.packet(&udp.to_bytes(), payload))
}

/// An ICMP or ICMPv6 echo request in an IP packet, with right checksums.
///
/// The hop limit is 64, and IPv4 packets have "don't fragment" set. A packet may exceed an interface's MTU:
/// the payload has up to 65,507 bytes in IPv4, 65,527 in IPv6.
///
/// # Errors
///
/// - [`BuildError::MixedFamilies`]: one address is IPv4, the other IPv6.
/// - [`BuildError::TooLong`]: the payload is longer.
pub fn ping_packet(
    source: IpAddr,
    destination: IpAddr,
    identifier: u16,
    sequence: u16,
    payload: &[u8],
) -> Result<Vec<u8>, BuildError> {
    let number = if source.is_ipv4() { ip_number::ICMP } else { ip_number::IPV6_ICMP };
    let ip = IpHeader::new(source, destination, number, payload.len())?;
    let echo = IcmpEchoHeader { id: identifier, seq: sequence };
    match &ip {
        IpHeader::V4(_) => {
            let icmp = Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(echo), payload);
            Ok(ip.packet(&icmp.to_bytes(), payload))
        }
        IpHeader::V6(header) => {
            let kind = Icmpv6Type::EchoRequest(echo);
            let icmp = Icmpv6Header::with_checksum(kind, header.source, header.destination, payload)
                .map_err(|error| BuildError::TooLong { length: error.actual, max: error.max_allowed })?;
            Ok(ip.packet(&icmp.to_bytes(), payload))
        }
    }
}

/// An Ethernet frame, as a program writes it to a TAP device.
///
/// The frame is not padded to Ethernet's minimum of 60 bytes, which TAP devices do not require.
#[must_use]
#[doc(alias = "struct ethhdr")]
pub fn ethernet_frame(
    source: [u8; 6],
    destination: [u8; 6],
    ether_type: EtherType,
    payload: &[u8],
) -> Vec<u8> {
    let header = Ethernet2Header { source, destination, ether_type: ether_type.0.into() };
    [&header.to_bytes()[..], payload].concat()
}

/// The IP header of a packet that has a transport header of [`TRANSPORT_LENGTH`] bytes and a payload.
enum IpHeader {
    V4(Ipv4Header),
    V6(Ipv6Header),
}

impl IpHeader {
    fn new(
        source: IpAddr,
        destination: IpAddr,
        number: IpNumber,
        payload: usize,
    ) -> Result<Self, BuildError> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = Ipv4Header {
                    total_len: length_field(V4_LENGTH + TRANSPORT_LENGTH, payload)?,
                    time_to_live: HOPS,
                    protocol: number,
                    source: source.octets(),
                    destination: destination.octets(),
                    dont_fragment: true,
                    ..Ipv4Header::default()
                };
                header.header_checksum = header.calc_header_checksum();
                Ok(IpHeader::V4(header))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => Ok(IpHeader::V6(Ipv6Header {
                payload_length: length_field(TRANSPORT_LENGTH, payload)?,
                next_header: number,
                hop_limit: HOPS,
                source: source.octets(),
                destination: destination.octets(),
                ..Ipv6Header::default()
            })),
            (source_address, destination_address) => {
                Err(BuildError::MixedFamilies { source_address, destination_address })
            }
        }
    }

    fn packet(&self, transport: &[u8], payload: &[u8]) -> Vec<u8> {
        match self {
            IpHeader::V4(header) => [&header.to_bytes()[..], transport, payload].concat(),
            IpHeader::V6(header) => [&header.to_bytes()[..], transport, payload].concat(),
        }
    }
}

/// The value of a length field that counts `headers` bytes of headers and the payload.
fn length_field(headers: usize, payload: usize) -> Result<u16, BuildError> {
    payload
        .checked_add(headers)
        .and_then(|sum| u16::try_from(sum).ok())
        .ok_or(BuildError::TooLong { length: payload, max: LENGTH_MAX - headers })
}
