//! Packets of TCP, as the kernel gives them to a device with offload.

#![allow(clippy::cast_possible_truncation, reason = "ports, lengths and sequence numbers are small here")]

use tunctl_packet::Layer;
use tunctl_packet::header::{GsoType, VnetHeader};
use tunctl_packet::offload::{Segments, sum};

/// The payload of a segment: what is left of 1500 bytes by IPv4, TCP and its timestamps.
pub(super) const SIZE: usize = 1448;
const TRANSPORT: usize = 20;
pub(super) const HEADERS: usize = TRANSPORT + 32;

/// One packet that stands for so many.
pub(super) fn large(port: u16, sequence: u32, segments: usize) -> (VnetHeader, Vec<u8>) {
    let payload = segments * SIZE;
    let mut packet = vec![0x45, 0, 0, 0, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend(port.to_be_bytes());
    packet.extend(5201_u16.to_be_bytes());
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0x80, 0x10, 1, 0xf5, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 8]);
    packet.extend((0..payload).map(|n| (n * 7 + n / 251) as u8));
    let length = u16::try_from(packet.len()).unwrap_or_default();
    packet[2..4].copy_from_slice(&length.to_be_bytes());
    let own = tunctl_packet::offload::checksum(sum(&packet[..TRANSPORT]));
    packet[10..12].copy_from_slice(&own);
    let covered = (length - TRANSPORT as u16).to_be_bytes();
    // The sum of the pseudo-header, which the rest is added to.
    let pseudo = sum(&packet[12..20]) + sum(&[0, 6]) + sum(&covered);
    let pseudo = tunctl_packet::offload::checksum(pseudo).map(|byte| !byte);
    packet[TRANSPORT + 16..TRANSPORT + 18].copy_from_slice(&pseudo);
    let header = VnetHeader::default()
        .with_segments(GsoType::TcpV4, SIZE as u16)
        .with_checksum(TRANSPORT as u16, 16)
        .with_header_length(HEADERS as u16);
    (header, packet)
}

/// The packets that it stands for.
pub(super) fn segments(port: u16, sequence: u32, count: usize) -> Result<Vec<Vec<u8>>, String> {
    let (mut header, mut packet) = large(port, sequence, count);
    if count == 1 {
        header = header.with_segments(GsoType::None, 0);
    }
    let mut cut = Segments::new(&header, Layer::Tun, &mut packet, sum).map_err(|error| error.to_string())?;
    let mut segments = Vec::new();
    while let Some(segment) = cut.next() {
        segments.push(segment.to_vec());
    }
    Ok(segments)
}
