//! Cutting: each case that libraries and kernels have got wrong.

use tunctl_packet::header::{GsoType, VnetHeader};
use tunctl_packet::offload::{Cut, NoRoom, Segments, SplitError, sum};
use tunctl_packet::{Layer, Packet};

use crate::large::{Large, destination_options};

pub(crate) fn layer(large: &Large) -> Layer {
    if large.ethernet { Layer::Tap } else { Layer::Tun }
}

pub(crate) fn cut(header: &VnetHeader, layer: Layer, packet: &[u8]) -> Result<Vec<Vec<u8>>, SplitError> {
    let mut bytes = packet.to_vec();
    let mut found = Vec::new();
    match Segments::new(header, layer, &mut bytes, sum) {
        Ok(mut segments) => {
            let count = segments.left();
            while let Some(segment) = segments.next() {
                found.push(segment.to_vec());
            }
            assert_eq!((found.len(), segments.left()), (count, 0));
            for (part, of) in [(0, 1), (0, 2), (1, 2), (2, 3)] {
                let copied = |index| index % of == part;
                assert!(cut_and_copy(header, layer, packet, copied) == found, "{part} of {of} copied");
            }
            Ok(found)
        }
        Err(error) => {
            assert_eq!(bytes, packet, "a refused packet is as it was");
            Err(error)
        }
    }
}

/// Cuts some of the segments in place, and others into other memory, which they fill.
fn cut_and_copy(
    header: &VnetHeader,
    layer: Layer,
    packet: &[u8],
    copied: impl Fn(usize) -> bool,
) -> Vec<Vec<u8>> {
    let mut bytes = packet.to_vec();
    let mut cut = Cut::new(header, layer, &mut bytes, sum).unwrap();
    let mut found = Vec::new();
    while let Some(length) = cut.next_length(bytes.len()) {
        if !copied(found.len()) {
            found.extend(cut.next(&mut bytes).map(<[u8]>::to_vec));
            continue;
        }
        let (before, mut room) = (bytes.clone(), vec![0xee; length]);
        let short = NoRoom { length, available: length - 1 };
        assert_eq!(cut.next_into(&bytes, &mut room[1..]), Err(short), "and it is still the next one");
        assert_eq!(cut.next_into(&bytes, &mut room).unwrap().map(|segment| segment.len()), Some(length));
        assert!(bytes == before);
        found.push(room);
    }
    assert_eq!((cut.left(), cut.next_into(&bytes, &mut [])), (0, Ok(None)));
    found
}

/// What comes out is what the plain way makes, and whole packets of their own.
pub(crate) fn assert_cut(large: &Large) {
    let segments = cut(&large.header(), layer(large), &large.packet()).unwrap();
    assert!(segments == large.segments(), "{large:?}");
    for segment in &segments {
        let packet = Packet::parse(layer(large), segment).unwrap();
        assert_eq!(packet.source_port(), Some(4000));
    }
}

fn refused(large: &Large, header: VnetHeader) -> SplitError {
    cut(&header, layer(large), &large.packet()).unwrap_err()
}

/// Of each kind one, of 3,000 bytes in segments of 1,000.
fn kinds() -> impl Iterator<Item = Large> {
    [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .map(|(v6, tcp)| Large::new(v6, tcp, 3000, 1000))
}

#[test]
fn segments_shorter_than_their_headers() {
    for large in kinds() {
        for size in [1, 2, 7, 8, 19, 20, 27, 28, 39, 40, 41, 47, 59, 60, 61] {
            let payload = large.payload[..300.min(usize::from(size) * 128)].to_vec();
            assert_cut(&Large { size, payload, ..large.clone() });
        }
    }
}

#[test]
fn the_stated_length_of_headers_is_a_hint() {
    for large in kinds() {
        for stated in [0, 1, 20, 54, 1000, u16::MAX] {
            let header = large.header().with_header_length(stated);
            assert_eq!(cut(&header, Layer::Tun, &large.packet()), Ok(large.segments()), "{stated}");
        }
    }
}

#[test]
fn the_stated_length_of_the_packet_is_not_read() {
    for large in kinds() {
        for stated in [0_u16, 1, 15, 19, 20, 39, 1000, u16::MAX] {
            let mut packet = large.packet();
            let at = if large.v6 { 4 } else { 2 };
            packet[at..at + 2].copy_from_slice(&stated.to_be_bytes());
            assert!(cut(&large.header(), Layer::Tun, &packet) == Ok(large.segments()), "{stated}");
        }
    }
}

#[test]
fn a_checksum_elsewhere_than_the_transports_is_refused() {
    for large in kinds() {
        let (start, offset) = large.header().needs_checksum().unwrap();
        for (start, offset) in
            [(start, 0), (start, 22 - offset), (start + 2, offset), (0, offset), (u16::MAX, offset)]
        {
            let header = large.header().with_checksum(start, offset);
            assert_eq!(refused(&large, header), SplitError::ChecksumPlace);
        }
        // The segments of TCP get one of their own, also where the packet's is complete.
        let complete = cut(&large.header().without_checksum(), Layer::Tun, &large.packet());
        assert_eq!(complete, if large.tcp { Ok(large.segments()) } else { Err(SplitError::ChecksumPlace) });
    }
}

#[test]
fn a_packet_with_another_sum_does_not_become_a_right_one() {
    for large in kinds() {
        let (start, offset) = large.header().needs_checksum().unwrap();
        let mut packet = large.packet();
        packet[usize::from(start + offset)] ^= 1;
        let segments = cut(&large.header(), Layer::Tun, &packet).unwrap();
        for (wrong, right) in segments.iter().zip(large.segments()) {
            assert_ne!(*wrong, right);
        }
    }
}

#[test]
fn congestion_notification_goes_with_tcp() {
    for large in kinds() {
        let header = large.header().with_ecn(true);
        if large.tcp {
            assert_eq!(cut(&header, Layer::Tun, &large.packet()), Ok(large.segments()));
        } else {
            assert_eq!(refused(&large, header), SplitError::Ecn { gso_type: GsoType::UdpL4 });
        }
    }
}

#[test]
fn a_type_of_another_version_or_transport_is_refused() {
    for large in kinds() {
        let own = large.header().gso_type();
        for gso_type in [GsoType::TcpV4, GsoType::TcpV6, GsoType::UdpL4] {
            let header = large.header().with_segments(gso_type, 1000);
            if gso_type != own {
                // Where another type has its checksum is another place, too.
                let error = refused(&large, header);
                let is_named = matches!(
                    error,
                    SplitError::Protocol { .. } | SplitError::Version { .. } | SplitError::ChecksumPlace
                );
                assert!(is_named, "{own:?} as {gso_type:?}: {error}");
            }
        }
        for gso_type in [GsoType::Udp, GsoType::Other(2), GsoType::Other(31)] {
            let header = large.header().with_segments(gso_type, 1000);
            assert_eq!(refused(&large, header), SplitError::Type { gso_type });
        }
        // A tunnel without offsets is none.
        let tunnel = large.header().with_gso_byte(large.header().gso_byte() | 0x20);
        assert!(matches!(refused(&large, tunnel), SplitError::UdpTunnel(_)));
    }
}

#[test]
fn sizes_that_are_none() {
    for large in kinds() {
        for size in [0, u16::MAX] {
            let none = large.header().with_segments(large.header().gso_type(), size);
            assert_eq!(refused(&large, none), SplitError::SegmentSize { size });
        }
        // One segment, whose checksum is still to be made.
        let empty = Large { payload: Vec::new(), ..large.clone() };
        assert_eq!(cut(&empty.header(), Layer::Tun, &empty.packet()), Ok(vec![empty.whole()]));
        for size in [3000, 3001, u16::MAX - 1] {
            assert_cut(&Large { size, ..large.clone() });
        }
        // The kernel takes options for payload here, and then finds no second segment.
        let options = Large { tcp_options: vec![1; 40], ..Large::new(false, true, 1000, 1000) };
        assert_eq!(refused(&options, options.header()), SplitError::OneSegment { payload: 1000 });
    }
}

#[test]
fn many_segments() {
    for large in kinds() {
        let payload = (0..65_000_u32).map(|at| at.to_be_bytes()[3]).collect();
        let large = Large { payload, size: 48, ..large };
        assert_eq!(large.segments().len(), 1355);
        if large.tcp {
            assert_cut(&large);
        } else {
            assert_eq!(refused(&large, large.header()), SplitError::TooMany { segments: 1355 });
            let payload = large.payload[..128 * 48].to_vec();
            assert_cut(&Large { payload, ..large });
        }
    }
}

#[test]
fn flags_of_the_first_and_of_the_last_segment() {
    for v6 in [false, true] {
        for tcp_flags in [0x10, 0x18, 0x11, 0x19, 0x90, 0xd0, 0xd9, 0xff, 0x38] {
            assert_cut(&Large { tcp_flags, ..Large::new(v6, true, 3000, 1000) });
        }
    }
    let large = Large { tcp_flags: 0xd9, ..Large::new(false, true, 3000, 1000) };
    let segments = cut(&large.header(), Layer::Tun, &large.packet()).unwrap();
    let flags: Vec<_> = segments.iter().map(|segment| segment[33]).collect();
    assert_eq!(flags, [0xd0, 0x50, 0x59]);
}

#[test]
fn sequence_numbers_and_identifications_wrap() {
    let sequence = u32::MAX - 1500;
    assert_cut(&Large { sequence, identification: u16::MAX - 1, ..Large::new(false, true, 4500, 1000) });
    assert_cut(&Large { sequence, ..Large::new(true, true, 4500, 1000) });
    assert_cut(&Large { identification: u16::MAX, ..Large::new(false, false, 4500, 1000) });
}

#[test]
fn a_last_segment_of_any_length() {
    for large in kinds() {
        for length in 1..=130 {
            let payload = large.payload[..length].to_vec();
            assert_cut(&Large { payload, size: 64, ..large.clone() });
        }
    }
}

#[test]
fn a_checksum_of_zero_is_sent_as_ones_by_udp_alone() {
    for (v6, tcp) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut large = Large::new(v6, tcp, 4, 2);
        // The last two bytes are such that the sum of their segment is zero.
        large.payload = vec![1, 2, 0, 0];
        let segments = large.segments();
        let place = segments[1].len() - 2 - if tcp { 4 } else { 2 };
        let sum: [u8; 2] = segments[1][place..place + 2].try_into().unwrap();
        large.payload[2..].copy_from_slice(&sum);
        let segments = cut(&large.header(), Layer::Tun, &large.packet()).unwrap();
        let expected = if tcp { [0, 0] } else { [0xff, 0xff] };
        assert_eq!(segments[1][place..place + 2], expected, "v6: {v6}, tcp: {tcp}");
    }
}

#[test]
fn options_and_extension_headers_are_copied_whole() {
    for words in 1..=10_u8 {
        let options = vec![1; usize::from(words) * 4];
        for v6 in [false, true] {
            assert_cut(&Large { tcp_options: options.clone(), ..Large::new(v6, true, 3000, 1000) });
            assert_cut(&Large { tcp_options: options.clone(), ..Large::new(v6, true, 300, 50) });
        }
        assert_cut(&Large { extension: options.clone(), ..Large::new(false, true, 3000, 1000) });
        assert_cut(&Large { extension: options, ..Large::new(false, false, 300, 7) });
    }
    for eights in [1, 2, 8, 40, 255] {
        for tcp in [false, true] {
            let extension = destination_options(eights, if tcp { 6 } else { 17 });
            assert_cut(&Large { extension: extension.clone(), ..Large::new(true, tcp, 3000, 1000) });
            // The headers are many times as long as a segment.
            assert_cut(&Large { extension, ..Large::new(true, tcp, 300, 11) });
        }
    }
}

#[test]
fn headers_of_any_length_in_front_of_segments_of_any_length() {
    for (v6, ethernet) in [(false, false), (false, true), (true, false), (true, true)] {
        for words in 0..=20_usize {
            // Options of TCP first, then also of IPv4.
            let tcp_options = vec![1; words.min(10) * 4];
            let extension = if v6 { Vec::new() } else { vec![1; words.saturating_sub(10) * 4] };
            let large = Large { ethernet, tcp_options, extension, ..Large::new(v6, true, 400, 1) };
            for size in [3, 12, 24, 70, 90, 128, 150] {
                assert_cut(&Large { size, ..large.clone() });
            }
        }
    }
}

#[test]
fn a_transport_behind_other_extension_headers_is_refused() {
    // An authentication header of 8 bytes, and a fragment that is the whole datagram.
    for number in [51, 44] {
        for tcp in [false, true] {
            let extension = vec![if tcp { 6 } else { 17 }, 0, 0, 0, 0, 0, 0, 0];
            let large = Large { extension, ..Large::new(true, tcp, 3000, 1000) };
            let mut packet = large.packet();
            packet[6] = number;
            let refused = cut(&large.header(), Layer::Tun, &packet);
            assert!(matches!(refused, Err(SplitError::Protocol { .. })), "{number}: {refused:?}");
        }
    }
}

#[test]
fn tags_are_those_that_linux_passes() {
    for large in kinds().map(|large| Large { ethernet: true, ..large }) {
        let (start, offset) = large.header().needs_checksum().unwrap();
        let header = large.header().with_checksum(start + 4, offset);
        let packet = large.packet();
        for (tag, is_cut) in [([0x81, 0], true), ([0x88, 0xa8], true), ([0x91, 0], false)] {
            let tagged = [&packet[..12], &tag, &[0, 7], &packet[12..]].concat();
            assert_eq!(cut(&header, Layer::Tap, &tagged).is_ok(), is_cut, "{tag:x?}");
        }
    }
}

#[test]
fn a_whole_datagram_behind_a_fragment_header_is_a_plain_packet_if_it_fits() {
    let extension = vec![6, 0, 0, 0, 0, 0, 0, 0];
    let large = Large { extension, size: 4000, ..Large::new(true, true, 3000, 1000) };
    let (mut packet, complete) = (large.packet(), large.header().without_checksum());
    packet[6] = 44;
    assert!(cut(&complete, Layer::Tun, &packet) == Ok(vec![packet.clone()]));
    // Linux passes no authentication header there, either.
    packet[6] = 51;
    assert!(cut(&complete, Layer::Tun, &packet).is_err());
}

#[test]
fn nothing_is_looked_for_behind_a_fragment_header() {
    // A fragment header, then each kind that is passed over otherwise, then TCP.
    for number in [0, 43, 60] {
        let extension = [[number, 0, 0, 0, 0, 0, 0, 0], [6, 0, 1, 4, 0, 0, 0, 0]].concat();
        let large = Large { extension, size: 4000, ..Large::new(true, true, 3000, 1000) };
        let (mut packet, complete) = (large.packet(), large.header().without_checksum());
        assert!(cut(&complete, Layer::Tun, &packet).is_ok(), "{number} behind destination options");
        packet[6] = 44;
        assert!(cut(&complete, Layer::Tun, &packet).is_err(), "{number} behind a fragment header");
    }
}

#[test]
fn a_packet_that_is_not_cut_gets_its_checksum() {
    for large in kinds() {
        let (start, offset) = large.header().needs_checksum().unwrap();
        let whole = large.whole();
        let packet = large.packet();
        let header = VnetHeader::default().with_checksum(start, offset);
        assert_eq!(cut(&header, Layer::Tun, &packet), Ok(vec![whole.clone()]));
        assert_eq!(cut(&VnetHeader::default(), Layer::Tun, &whole), Ok(vec![whole]));
    }
}

#[test]
fn segments_that_are_too_long_for_ip_are_refused() {
    let payload = vec![7; 65_600];
    // A datagram states its length in 16 bits, so it is never so long.
    for (v6, headers) in [(false, 40), (true, 20)] {
        let longest = u16::try_from(65_535 - headers).unwrap();
        let large = Large { payload: payload.clone(), ..Large::new(v6, true, 0, longest) };
        assert_cut(&large);
        let longer = Large { size: longest + 1, ..large };
        assert!(matches!(refused(&longer, longer.header()), SplitError::TooLong { .. }));
    }
}

#[test]
fn fragments_are_refused() {
    let large = Large::new(false, true, 3000, 1000);
    for (byte, value) in [(6, 0x20), (7, 1)] {
        let mut packet = large.packet();
        packet[byte] |= value;
        assert_eq!(cut(&large.header(), Layer::Tun, &packet), Err(SplitError::Fragment));
    }
}
