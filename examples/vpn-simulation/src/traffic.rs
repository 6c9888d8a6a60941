//! Inner packets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fastrand::Rng;
use tunctl::packet::header::{GsoType, VnetHeader};
use tunctl::packet::{ping_packet, udp_packet};

/// The MTU of each device.
pub(crate) const MTU: u16 = 1420;
/// The headers of IPv6 and UDP.
const HEADERS: u16 = 40 + 8;

/// What the system hands to a device in one go.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) header: VnetHeader,
    pub(crate) bytes: Vec<u8>,
    /// The packets that it stands for.
    pub(crate) packets: Vec<Vec<u8>>,
}

impl Load {
    fn one(packet: Vec<u8>) -> Self {
        Self { header: VnetHeader::default(), bytes: packet.clone(), packets: vec![packet] }
    }
}

/// The address of a node in the VPN.
pub(crate) fn inner_address(node: usize, is_v6: bool) -> IpAddr {
    let host = u8::try_from(node).unwrap_or(u8::MAX).saturating_add(1);
    if is_v6 {
        IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, host))
    }
}

/// An address that no node has, inside the VPN's network or outside of it.
pub(crate) fn strange_address(is_inside: bool, is_v6: bool) -> IpAddr {
    match (is_inside, is_v6) {
        (true, _) => inner_address(199, is_v6),
        (false, true) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1)),
        (false, false) => IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    }
}

/// A ping with its number, and some bytes.
pub(crate) fn ping(from: IpAddr, to: IpAddr, number: u64, rng: &mut Rng) -> Result<Load, String> {
    let payload = payload(number, rng.usize(8..1_300), rng);
    let sequence = u16::try_from(number % 65_536).unwrap_or_default();
    let packet = ping_packet(from, to, 1, sequence, &payload).map_err(|error| error.to_string())?;
    Ok(Load::one(packet))
}

/// A datagram with its number, and some bytes.
pub(crate) fn datagram(from: IpAddr, to: IpAddr, number: u64, rng: &mut Rng) -> Result<Load, String> {
    let payload = payload(number, rng.usize(8..1_300), rng);
    let (from, to) = (SocketAddr::new(from, 4_000), SocketAddr::new(to, 5_000));
    udp_packet(from, to, &payload).map(Load::one).map_err(|error| error.to_string())
}

/// Datagrams of one flow that the system hands over as one, as a program sends them that has much to send.
pub(crate) fn burst(from: usize, to: usize, number: u64, rng: &mut Rng) -> Result<Load, String> {
    let (source, destination) = (inner_address(from, true), inner_address(to, true));
    let (source, destination) = (SocketAddr::new(source, 4_000), SocketAddr::new(destination, 5_000));
    let size = rng.usize(100..1_300);
    let payload = payload(number, size * rng.usize(2..12) + rng.usize(8..100), rng);
    let packet = |payload: &[u8]| udp_packet(source, destination, payload).map_err(|error| error.to_string());
    let packets = payload.chunks(size).map(packet).collect::<Result<_, _>>()?;
    let mut bytes = packet(&payload)?;
    // The sum of the pseudo-header is in the place of the checksum, as `udp_v6_send_skb` leaves it (6.18).
    let sum = pseudo_header_sum(&bytes);
    bytes[46..48].copy_from_slice(&sum.to_be_bytes());
    let size = u16::try_from(size).unwrap_or(u16::MAX);
    let header = VnetHeader::default()
        .with_checksum(40, 6)
        .with_segments(GsoType::UdpL4, size)
        .with_header_length(HEADERS);
    Ok(Load { header, bytes, packets })
}

fn pseudo_header_sum(packet: &[u8]) -> u16 {
    fold(words(&packet[8..40]) + (packet.len() - 40) as u64 + 17)
}

fn words(bytes: &[u8]) -> u64 {
    bytes.chunks_exact(2).map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// What must not change on the way; `None` if the sum of an IPv4 header is wrong.
///
/// Where an IPv4 packet must not be fragmented, its identification says nothing (RFC 6864), and packets that
/// are merged and cut again come out numbered.
pub(crate) fn content(mut packet: Vec<u8>) -> Option<Vec<u8>> {
    if packet.first() == Some(&0x45) && packet.len() >= 20 {
        if fold(words(&packet[..20])) != 0xffff {
            return None;
        }
        let may_be_fragmented = packet[6] & 0x40 == 0;
        if !may_be_fragmented {
            packet[4..6].fill(0);
        }
        packet[10..12].fill(0);
    }
    Some(packet)
}

/// No two are alike.
fn payload(number: u64, length: usize, rng: &mut Rng) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rng.fill(&mut bytes);
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ipv4_all_but_an_identification_that_says_nothing_is_content() {
        let mut rng = Rng::with_seed(1);
        let [from, to] = [1, 2].map(|node| inner_address(node, false));
        let packet = datagram(from, to, 1, &mut rng).unwrap().bytes;
        let changed = |index: usize, delta: u8, sum: u8| {
            let mut packet = packet.clone();
            packet[index] = packet[index].wrapping_add(delta);
            packet[11] = packet[11].wrapping_sub(sum);
            content(packet)
        };
        let whole = content(packet.clone());
        assert!(whole.is_some());
        assert_eq!(changed(5, 1, 1), whole, "identification");
        assert_eq!(changed(5, 1, 0), None, "sum");
        assert_ne!(changed(8, 1, 0), whole, "TTL");
        assert_ne!(changed(40, 1, 0), whole, "payload");
    }
}
