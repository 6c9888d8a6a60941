//! A large packet, cut.

use tunctl_packet::Layer;
use tunctl_packet::header::{Endian, VnetFormat, VnetHeader, VnetLength};
use tunctl_packet::offload::{Segments, sum};

use super::common::checksum;

/// A packet behind a virtio-net header, which may stand for several: a short header, or one that has room for
/// a tunnel.
pub(crate) fn split(bytes: &[u8]) {
    for length in [VnetLength::Basic, VnetLength::Tunnel] {
        if let Ok((header, packet)) = VnetHeader::parse(VnetFormat::new(length, Endian::Native), bytes) {
            split_behind(&header, packet);
        }
    }
}

fn split_behind(header: &VnetHeader, packet: &[u8]) {
    for layer in [Layer::Tun, Layer::Tap] {
        let mut copy = packet.to_vec();
        let Ok(mut segments) = Segments::new(header, layer, &mut copy, sum) else {
            assert_eq!(copy, packet, "a refused packet is as it was");
            continue;
        };
        let count = segments.left();
        let mut lengths = Vec::new();
        let mut found: Vec<Vec<u8>> = Vec::new();
        while let Some(segment) = segments.next() {
            lengths.push(segment.len());
            found.push(segment.to_vec());
        }
        assert_eq!((lengths.len(), segments.left()), (count, 0));
        assert!(segments.next().is_none());
        if count > 1 {
            assert_is_whole(packet, &found, usize::from(header.segment_size()));
        }
    }
}

/// That the segments have the packet's payload, in order, behind headers of one length.
fn assert_is_whole(packet: &[u8], segments: &[Vec<u8>], size: usize) {
    let headers = segments[0].len() - size;
    let payload: Vec<u8> = segments.iter().flat_map(|segment| &segment[headers..]).copied().collect();
    assert!(payload == packet[headers..], "the payload changed");
    let (last, others) = segments.split_last().unwrap();
    assert!(others.iter().all(|segment| segment.len() == headers + size));
    assert!((1..=size).contains(&(last.len() - headers)));
    for segment in segments {
        // On a tun with IPv4, the header's own sum is right.
        if segment[0] >> 4 == 4 && packet[0] >> 4 == 4 {
            let length = usize::from(segment[0] & 15) * 4;
            if segment.len() == usize::from(u16::from_be_bytes([segment[2], segment[3]])) {
                assert_eq!(checksum(&segment[..length]), 0);
            }
        }
    }
}
