use alloc::string::ToString;

use super::*;

fn checksum(start: u16, offset: u16) -> VnetHeader {
    VnetHeader::default().with_checksum(start, offset)
}

fn verdict(header: VnetHeader, length: usize) -> Result<(), GsoMismatch> {
    VnetRules::LINUX_6_18.check(&header, Layer::Tun, length)
}

/// The wrap shows on a tap alone, where the end of the headers must not be inside of Ethernet's.
#[test]
fn the_end_of_the_headers_wraps_as_in_the_kernel() {
    for (offset, wrapped) in [(65_515, 1), (65_526, 12), (65_527, 13)] {
        let header = checksum(20, offset);
        let error = GsoMismatch::HeaderLength { stated: wrapped, headers: 14, length: 140_000 };
        assert_eq!(VnetRules::LINUX_6_18.check(&header, Layer::Tap, 140_000), Err(error));
        assert_eq!(verdict(header, 140_000), Ok(()));
    }
    for offset in [65_513, 65_514, 65_528] {
        assert_eq!(VnetRules::LINUX_6_18.check(&checksum(20, offset), Layer::Tap, 140_000), Ok(()));
    }
}

#[test]
fn a_checksum_starts_where_the_kernel_can_say_so() {
    let start = |start| GsoMismatch::ChecksumStart { start, least: 20, most: 65_470 };
    for (at, expected) in [(19, Err(start(19))), (20, Ok(())), (65_470, Ok(())), (65_471, Err(start(65_471)))]
    {
        assert_eq!(verdict(checksum(at, 0), 70_000), expected);
    }
    assert_eq!(VnetRules::LINUX_6_1.check(&checksum(0, 0), Layer::Tun, 20), Ok(()));
    assert_eq!(
        verdict(checksum(19, 0), 70_000).unwrap_err().to_string(),
        "the checksum starts at byte 19; the kernel takes 20 to 65470"
    );
}

#[test]
fn udp_has_no_more_segments_than_the_kernel_makes() {
    let header = checksum(20, 6).with_segments(GsoType::UdpL4, 100);
    assert_eq!(verdict(header, 28 + 12_800), Ok(()));
    let error = GsoMismatch::SegmentCount { segments: 129, most: 128 };
    assert_eq!(verdict(header, 28 + 12_801), Err(error));
    assert_eq!(error.to_string(), "129 segments are too many: the kernel makes 128 of a UDP packet at most");
    let tcp = checksum(20, 16).with_segments(GsoType::TcpV4, 1);
    assert_eq!(verdict(tcp, 65_000), Ok(()));
}

#[test]
fn the_checksum_of_segments_stands_where_the_transport_has_it() {
    for (gso_type, start, expected) in
        [(GsoType::TcpV4, 20, 16), (GsoType::TcpV6, 40, 16), (GsoType::UdpL4, 20, 6)]
    {
        let header = |offset| checksum(start, offset).with_segments(gso_type, 1000);
        assert_eq!(verdict(header(expected), 4000), Ok(()));
        for offset in [0, expected - 2, expected + 2] {
            let error = GsoMismatch::ChecksumOffset { gso_type, offset, expected };
            assert_eq!(verdict(header(offset), 4000), Err(error));
        }
    }
    let error = GsoMismatch::ChecksumOffset { gso_type: GsoType::TcpV4, offset: 6, expected: 16 };
    assert_eq!(error.to_string(), "TcpV4 has its checksum 16 bytes behind its start, not 6");
    let fragments = checksum(20, 0).with_segments(GsoType::Udp, 1000);
    assert_eq!(verdict(fragments, 4000), Ok(()));
}

#[test]
fn a_packet_whose_checksum_is_not_left_to_the_kernel_is_decoded_since_7_3() {
    let header = |gso_type| VnetHeader::default().with_segments(gso_type, 10);
    let mut tcp = [0; 60];
    (tcp[0], tcp[9]) = (0x45, 6);
    let mut udp = tcp;
    udp[9] = 17;
    let mut tcp6 = [0; 80];
    (tcp6[0], tcp6[6]) = (0x60, 6);
    let rows: [(GsoType, &[u8], bool); 7] = [
        (GsoType::TcpV4, &tcp, true),
        (GsoType::TcpV4, &tcp[..40], true),
        (GsoType::TcpV4, &udp, false),
        (GsoType::TcpV4, &tcp6, false),
        (GsoType::TcpV6, &tcp6, true),
        (GsoType::Udp, &udp, true),
        (GsoType::Udp, &tcp, false),
    ];
    for (gso_type, packet, fits) in rows {
        let check = |rules: VnetRules, packet: &[u8]| {
            rules.check_packet(&header(gso_type), Layer::Tun, packet).is_ok()
        };
        assert!(check(VnetRules::LINUX_6_18, packet), "{gso_type:?}");
        assert_eq!(check(VnetRules::LINUX_7_3, packet), fits, "{gso_type:?}");
        let framed = |ether_type: u16| {
            let frame = [&[0; 12][..], &ether_type.to_be_bytes(), packet].concat();
            VnetRules::LINUX_7_3.check_packet(&header(gso_type), Layer::Tap, &frame).is_ok()
        };
        let of_its_version = if packet[0] == 0x45 { 0x0800 } else { 0x86dd };
        assert_eq!(framed(of_its_version), fits, "{gso_type:?}");
        assert!(!framed(0x8100) && !framed(0x88b5));
    }
    // Headers that end early: with IPv4 options, and behind Ethernet's.
    let mut options = tcp;
    for first in [0x4b, 0x44] {
        options[0] = first;
        let check = VnetRules::LINUX_7_3.check_packet(&header(GsoType::TcpV4), Layer::Tun, &options);
        assert!(check.is_err(), "{first:#x}");
    }
    let frame = [&[0; 12][..], &[8, 0], &tcp[..39]].concat();
    let short = VnetRules::LINUX_7_3.check_packet(&header(GsoType::TcpV4), Layer::Tap, &frame);
    assert_eq!(short, Err(Truncated { need: 54, have: 53 }.into()));
    // A checksum says where the transport is.
    let header = header(GsoType::TcpV4).with_checksum(20, 16);
    assert_eq!(VnetRules::LINUX_7_3.check_packet(&header, Layer::Tun, &udp), Ok(()));
}

#[test]
fn segments_have_their_shortest_headers() {
    for (gso_type, need) in [(GsoType::TcpV4, 40), (GsoType::TcpV6, 60), (GsoType::Udp, 28)] {
        let header = VnetHeader::default().with_segments(gso_type, 1000);
        assert_eq!(verdict(header, need), Ok(()));
        let have = need - 1;
        assert_eq!(verdict(header, have), Err(Truncated { need, have }.into()));
    }
    let header = VnetHeader::default().with_segments(GsoType::UdpL4, 1000);
    assert_eq!(verdict(header, 28), Err(GsoMismatch::NoChecksum));
}
