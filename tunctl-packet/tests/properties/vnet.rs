//! The virtio-net header.

use super::common::checksum;
use super::headers::formats;
use super::{UNTOUCHED, assert_untouched};
use tunctl_packet::header::{ChecksumError, GsoType, VnetFormat, VnetHeader};
use tunctl_packet::{Layer, Truncated};

/// A packet behind a virtio-net header, in every format.
pub(crate) fn vnet(bytes: &[u8]) {
    for format in formats() {
        let length = format.length.bytes();
        let Some((in_front, packet)) = bytes.split_at_checked(length) else {
            assert_eq!(VnetHeader::parse(format, bytes), Err(Truncated { need: length, have: bytes.len() }));
            continue;
        };
        let (header, rest) = VnetHeader::parse(format, bytes).unwrap();
        assert_eq!(rest, packet);
        assert_writes(format, &header, in_front);
        assert_is_rebuilt(&header);
        assert_completes(&header, packet);
        for layer in [Layer::Tun, Layer::Tap] {
            assert_checks(&header, layer, packet);
        }
    }
}

/// That it is written as it was read.
fn assert_writes(format: VnetFormat, header: &VnetHeader, expected: &[u8]) {
    let length = expected.len();
    let mut buffer = [UNTOUCHED; 25];
    let have = length - 1;
    assert_eq!(header.write(format, &mut buffer[..have]), Err(Truncated { need: length, have }));
    assert_untouched(&buffer);
    assert_eq!(header.write(format, &mut buffer), Ok(()));
    assert_eq!(&buffer[..length], expected);
    assert_untouched(&buffer[length..]);
}

/// That what it says is what it can be told, and that nothing else changes with it.
fn assert_is_rebuilt(header: &VnetHeader) {
    let (outer, inner) = header.tunnel_offsets();
    let same = header
        .with_flags(header.flags())
        .with_gso_byte(header.gso_byte())
        .with_segments(header.gso_type(), header.segment_size())
        .with_ecn(header.has_ecn())
        .with_header_length(header.header_length())
        .with_buffers(header.buffers())
        .with_hash(header.hash(), header.hash_report())
        .with_tunnel_offsets(outer, inner);
    assert_eq!(same, *header);
    let bare = header.without_checksum();
    assert_eq!(bare.needs_checksum(), None);
    match header.needs_checksum() {
        Some((start, offset)) => assert_eq!(bare.with_checksum(start, offset), *header),
        None => assert_eq!(bare.flags(), header.flags()),
    }
    assert!(!matches!(header.gso_type(), GsoType::Other(0 | 1 | 3 | 4 | 5 | 0x20..)));
}

/// That the checksum which is made is right, and that nothing else is.
fn assert_completes(header: &VnetHeader, packet: &[u8]) {
    let mut completed = packet.to_vec();
    let outcome = header.complete_checksum(&mut completed);
    let Some((start, offset)) = header.needs_checksum() else {
        assert_eq!((outcome, &completed[..]), (Ok(false), packet));
        return;
    };
    let start = usize::from(start);
    let at = start + usize::from(offset);
    match outcome {
        Ok(_) => {
            assert_eq!(outcome, Ok(true));
            assert_eq!((&completed[..at], &completed[at + 2..]), (&packet[..at], &packet[at + 2..]));
            // Without what stood in its place, all that it covers adds up to nothing.
            let stood = u16::from_be_bytes([packet[at], packet[at + 1]]);
            assert!(offset % 2 == 1 || checksum(&completed[start..]) % 0xffff == stood % 0xffff);
            assert_ne!(completed[at..at + 2], [0, 0]);
        }
        Err(why) => {
            assert_eq!(completed, packet);
            match why {
                ChecksumError::OutOfPacket { length, .. } => {
                    assert!(length == packet.len() && at + 2 > length);
                }
                other => panic!("{other}"),
            }
        }
    }
}

/// That what fits its packet can be done.
fn assert_checks(header: &VnetHeader, layer: Layer, packet: &[u8]) {
    let outcome = header.check(layer, packet);
    if let Err(why) = outcome {
        assert!(!why.to_string().is_empty());
        return;
    }
    assert!(usize::from(header.header_length()) <= packet.len());
    assert!(!header.is_tunneled_v4() && !header.is_tunneled_v6());
    let completed = header.complete_checksum(&mut packet.to_vec());
    match header.gso_type() {
        GsoType::None => assert!(completed.is_ok()),
        kind => {
            assert_eq!((completed, header.check(layer, &packet[..1]).is_err()), (Ok(true), true));
            assert!(header.segment_size() > 0 && !matches!(kind, GsoType::Other(_)));
        }
    }
}
