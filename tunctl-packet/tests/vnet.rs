//! What a virtio-net header says of its packet: checksums to be made, segments to be cut.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{fragments_v4, hex, offload_checksum, tcp, transport_checksum};
use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::header::{
    ChecksumError, Endian, GsoMismatch, GsoType, VnetFormat, VnetHeader, VnetLength,
};
use tunctl_packet::{
    EtherType, Layer, Packet, ParseError, Protocol, Truncated, ethernet_frame, ping_packet, udp_packet,
};

/// The format with all fields.
const ALL: VnetFormat = VnetFormat::new(VnetLength::Tunnel, Endian::Little);

fn datagram(v6: bool, payload: &[u8]) -> Vec<u8> {
    let [source, destination] =
        if v6 { ["[fd77::1]:4000", "[fd77::2]:53"] } else { ["10.0.0.1:4000", "10.0.0.2:53"] };
    udp_packet(source.parse().unwrap(), destination.parse().unwrap(), payload).unwrap()
}

fn frame(packet: &[u8]) -> Vec<u8> {
    let ether_type = if packet[0] >> 4 == 4 { EtherType::IPV4 } else { EtherType::IPV6 };
    ethernet_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], ether_type, packet)
}

/// The header that fits a TCP segment of `tcp`, or a datagram.
fn fitting(gso_type: GsoType, start: u16) -> VnetHeader {
    let (length, offset) = match gso_type {
        GsoType::TcpV4 | GsoType::TcpV6 => (40, 16),
        _ => (8, 6),
    };
    VnetHeader::default()
        .with_segments(gso_type, 1000)
        .with_checksum(start, offset)
        .with_header_length(start + length)
}

/// All there is to cut, with the header that fits.
fn gso_packets() -> Vec<(VnetHeader, Vec<u8>)> {
    let data = [7; 3000];
    vec![
        (fitting(GsoType::TcpV4, 20), tcp(false, &data)),
        (fitting(GsoType::TcpV4, 20).with_ecn(true), tcp(false, &data)),
        (fitting(GsoType::TcpV6, 40), tcp(true, &data)),
        (fitting(GsoType::TcpV6, 40).with_ecn(true), tcp(true, &data)),
        (fitting(GsoType::UdpL4, 20), datagram(false, &data)),
        (fitting(GsoType::UdpL4, 40), datagram(true, &data)),
        (fitting(GsoType::Udp, 20), datagram(false, &data)),
        (fitting(GsoType::Udp, 40), datagram(true, &data)),
    ]
}

/// The same in a frame of Ethernet, `more` bytes of headers later.
fn behind(header: VnetHeader, more: u16) -> VnetHeader {
    let (start, offset) = header.needs_checksum().unwrap();
    header.with_checksum(start + more, offset).with_header_length(header.header_length() + more)
}

#[test]
fn makes_the_checksums_that_a_kernel_made() {
    for (packet, start, offset) in
        [(common::UDP_ECHO_V4, 20, 6), (common::UDP_V6, 40, 6), (common::TCP_SYN, 20, 16)]
    {
        let whole = hex(packet);
        let mut offloaded = whole.clone();
        offload_checksum(&mut offloaded, usize::from(offset));
        let mut framed = frame(&offloaded);
        let header = VnetHeader::default().with_checksum(start, offset);
        assert_eq!(header.complete_checksum(&mut offloaded), Ok(true));
        assert_eq!(offloaded, whole);
        assert_eq!(behind(header, 14).complete_checksum(&mut framed), Ok(true));
        assert_eq!(framed[14..], whole);
    }
}

/// Datagrams as Linux 6.18 gave them to a device with `TUN_F_CSUM`, `TUN_F_USO4` and `TUN_F_USO6`, with the
/// virtio-net header in front: a small one, and one to be cut into segments of 1,000 bytes, in both versions.
#[cfg(target_endian = "little")]
const OFFLOADED: [(&str, usize); 4] = [
    ("0100000000001400060045000021f4ee4000401131d90a0100010a0100020fa00035000d142368656c6c6f", 0),
    ("01051c00e80314000600450009e0f4ef0000401168190a0100010a0100020fa0003509cc1de2", 2500),
    (
        "01000000000028000600600a854f000d1140fd770000000000000000000000000001fd7700000000000000000000000\
         000020fa00035000dfb1068656c6c6f",
        0,
    ),
    (
        "01053000e80328000600600a854f09cc1140fd770000000000000000000000000001fd7700000000000000000000000\
         000020fa0003509cc04d0",
        2500,
    ),
];

#[cfg(target_endian = "little")]
#[test]
fn understands_what_a_kernel_left_open() {
    for (bytes, more) in OFFLOADED {
        let bytes = [hex(bytes), vec![b'x'; more]].concat();
        let (header, packet) = VnetHeader::parse(VnetFormat::default(), &bytes).unwrap();
        let is_large = more != 0;
        let gso_type = if is_large { GsoType::UdpL4 } else { GsoType::None };
        assert_eq!((header.gso_type(), header.segment_size() == 1000), (gso_type, is_large));
        assert_eq!(header.check(Layer::Tun, packet), Ok(()));
        let start = if packet[0] >> 4 == 4 { 20 } else { 40 };
        assert_eq!(header.needs_checksum(), Some((u16::try_from(start).unwrap(), 6)));

        let mut packet = packet.to_vec();
        assert_ne!(transport_checksum(&packet, &packet[start..]), 0);
        assert_eq!(header.complete_checksum(&mut packet), Ok(true));
        assert_eq!(transport_checksum(&packet, &packet[start..]), 0);
    }
}

#[test]
fn without_the_flag_nothing_happens() {
    let mut packet = hex(common::UDP_V6);
    let header = VnetHeader::default().with_checksum(40, 6).without_checksum();
    assert_eq!(header, VnetHeader::default());
    assert_eq!(VnetHeader::default().with_flags(0xff).without_checksum().flags(), 0xfe);
    assert_eq!(VnetHeader::default().with_flags(0xfe).complete_checksum(&mut packet), Ok(false));
    assert_eq!(packet, hex(common::UDP_V6));
}

#[test]
fn no_checksum_is_zero() {
    // Nothing but ones: the sum is 0xffff, its complement zero. The kernel writes the other zero, also for
    // TCP.
    for offset in [6, 16] {
        let mut packet = [0xff; 40];
        VnetHeader::default().with_checksum(20, offset).complete_checksum(&mut packet).unwrap();
        assert_eq!(packet, [0xff; 40]);
    }
}

#[test]
fn a_checksum_outside_of_the_packet_is_refused() {
    for (start, offset) in [(40, 6), (41, 0), (u16::MAX, 0), (u16::MAX, u16::MAX), (0, 39), (33, 6)] {
        let mut packet = [7; 40];
        let error = ChecksumError::OutOfPacket { start, offset, length: 40 };
        let header = VnetHeader::default().with_checksum(start, offset);
        assert_eq!(header.complete_checksum(&mut packet), Err(error));
        assert_eq!(packet, [7; 40]);
        let error = GsoMismatch::ChecksumPlace { start, offset, expected: None };
        assert_eq!(header.check(Layer::Tun, &packet), Err(error));
    }
    let mut packet = [7; 40];
    assert_eq!(VnetHeader::default().with_checksum(32, 6).complete_checksum(&mut packet), Ok(true));
}

#[test]
fn what_fits_passes() {
    for (header, packet) in gso_packets() {
        assert_eq!(header.check(Layer::Tun, &packet), Ok(()), "{header:?}");
        let frame = frame(&packet);
        assert_eq!(behind(header, 14).check(Layer::Tap, &frame), Ok(()), "{header:?}");
        let tagged = [&frame[..12], &[0x81, 0, 0, 7], &frame[12..]].concat();
        assert_eq!(behind(header, 18).check(Layer::Tap, &tagged), Ok(()), "{header:?}");
        // As read: all that lay in one piece is told.
        let all = u16::try_from(packet.len()).unwrap();
        assert_eq!(header.with_header_length(all).check(Layer::Tun, &packet), Ok(()));
    }
    let ping = hex(common::PING_V4);
    assert_eq!(VnetHeader::default().check(Layer::Tun, &ping), Ok(()));
    assert_eq!(VnetHeader::default().with_checksum(20, 2).check(Layer::Tun, &ping), Ok(()));
    assert_eq!(VnetHeader::default().check(Layer::Tap, b"anything"), Ok(()));
}

/// Each of these describes its packet, or need not; Linux 6.18 answers `EINVAL`.
#[test]
fn what_the_kernel_refuses_does_not_pass() {
    let plain = VnetHeader::default();
    let large = datagram(false, &[7; 60_000]);
    for (layer, header, packet) in [
        (Layer::Tun, plain.with_checksum(19, 6), &large),
        (Layer::Tun, plain.with_checksum(0, 0), &large),
        (Layer::Tun, plain.with_checksum(65_471, 0), &vec![0x45; 70_000]),
        (Layer::Tap, plain.with_header_length(13), &frame(&large)),
        (Layer::Tun, fitting(GsoType::UdpL4, 20).with_segments(GsoType::UdpL4, 468), &large),
    ] {
        assert!(header.check(layer, packet).is_err(), "{header:?}");
    }
    // 128 segments are not too many.
    let most = fitting(GsoType::UdpL4, 20).with_segments(GsoType::UdpL4, 469);
    assert_eq!(most.check(Layer::Tun, &large), Ok(()));
}

#[test]
fn each_type_fits_its_own_packets_only() {
    let all = gso_packets();
    for (header, _) in &all {
        for (other, packet) in &all {
            let is_udp = |header: &VnetHeader| matches!(header.gso_type(), GsoType::Udp | GsoType::UdpL4);
            let same = header.gso_type() == other.gso_type() || (is_udp(header) && is_udp(other));
            match header.check(Layer::Tun, packet) {
                Err(GsoMismatch::Protocol { gso_type, ether_type, protocol }) => {
                    let view = Packet::parse(Layer::Tun, packet).unwrap();
                    assert_eq!(gso_type, header.gso_type());
                    assert_eq!((ether_type, protocol), (view.ether_type(), view.protocol()));
                    assert!(!same, "{header:?} {other:?}");
                }
                _ => assert!(same, "{header:?} {other:?}"),
            }
        }
        let error = |layer, bytes: &[u8]| header.with_header_length(0).check(layer, bytes).unwrap_err();
        let ping = ping_packet("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 1, 1, &[0; 64]);
        let mismatch = error(Layer::Tun, &ping.unwrap());
        let (gso_type, protocol) = (header.gso_type(), Protocol::Icmp);
        assert_eq!(mismatch, GsoMismatch::Protocol { gso_type, ether_type: EtherType::IPV4, protocol });
        let arp = [&hex(common::TAP_ARP)[..], &[0; 64]].concat();
        let (ether_type, protocol) = (EtherType::ARP, Protocol::Arp);
        assert_eq!(error(Layer::Tap, &arp), GsoMismatch::Protocol { gso_type, ether_type, protocol });
        let no_ip = GsoMismatch::Malformed(ParseError::NotIp { first_byte: 0 });
        assert_eq!(error(Layer::Tun, &[0; 90]), no_ip);
    }
}

#[test]
fn each_field_is_looked_at() {
    for (header, packet) in gso_packets() {
        let check = |header: VnetHeader| header.check(Layer::Tun, &packet);
        let (start, offset) = header.needs_checksum().unwrap();
        let (stated, length) = (header.header_length(), packet.len());
        for size in [0, 0xffff] {
            let wrong = header.with_segments(header.gso_type(), size);
            assert_eq!(check(wrong), Err(GsoMismatch::SegmentSize { size }));
        }
        assert_eq!(check(header.without_checksum()), Err(GsoMismatch::NoChecksum));
        for (wrong_start, wrong_offset) in [(start + 1, offset), (start, offset + 2), (0, 6), (start, 0)] {
            let expected = Some((usize::from(start), offset));
            let error = GsoMismatch::ChecksumPlace { start: wrong_start, offset: wrong_offset, expected };
            assert_eq!(check(header.with_checksum(wrong_start, wrong_offset)), Err(error));
        }
        for wrong in [stated - 1, 0] {
            let error = GsoMismatch::HeaderLength { stated: wrong, headers: stated.into(), length };
            assert_eq!(check(header.with_header_length(wrong)), Err(error));
        }
        let wrong = u16::try_from(length).unwrap() + 1;
        let error = GsoMismatch::HeaderLength { stated: wrong, headers: 0, length };
        assert_eq!(check(header.with_header_length(wrong)), Err(error));
        assert_eq!(check(VnetHeader::default().with_header_length(wrong)), Err(error));
    }
}

#[test]
fn bits_beside_the_type() {
    let packet = datagram(false, &[7; 3000]);
    let check = |header: VnetHeader| header.check(Layer::Tun, &packet);
    for gso_type in [GsoType::None, GsoType::Udp, GsoType::UdpL4] {
        assert_eq!(check(fitting(gso_type, 20).with_ecn(true)), Err(GsoMismatch::Ecn { gso_type }));
    }
    for bits in [0x20, 0x40, 0x60] {
        let header = fitting(GsoType::UdpL4, 20).with_gso_byte(5 | bits);
        assert_eq!(check(header), Err(GsoMismatch::Unsupported));
    }
    for number in [2, 6, 0x1f] {
        let header = fitting(GsoType::Other(number), 20).with_ecn(true);
        assert_eq!(check(header), Err(GsoMismatch::UnknownType { number }));
    }
}

/// The kernel would not cut it: it looks for IP right behind the tags.
#[test]
fn what_is_in_a_tunnel_is_not_supported() {
    let packet = tcp(false, &[7; 3000]);
    let length = u16::try_from(packet.len() + 2).unwrap().to_be_bytes();
    let pppoe = [&[0x11, 0, 0, 7, length[0], length[1], 0, 0x21][..], &packet].concat();
    let mpls = [&[0, 1, 1, 64][..], &packet].concat();
    for (ether_type, more, inside) in [(EtherType::PPPOE, 22, pppoe), (EtherType::MPLS, 18, mpls)] {
        let frame = ethernet_frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], ether_type, &inside);
        let header = behind(fitting(GsoType::TcpV4, 20), more);
        assert_eq!(header.check(Layer::Tap, &frame), Err(GsoMismatch::Unsupported));
    }
}

#[test]
fn what_is_cut_must_be_whole() {
    let mut packet = tcp(false, &[7; 3000]);
    let header = fitting(GsoType::TcpV4, 20);
    packet[6] = 0x20;
    assert_eq!(header.check(Layer::Tun, &packet), Err(GsoMismatch::Fragment));
    let [_, later] = fragments_v4();
    let mut later_tcp = later;
    later_tcp[9] = 6;
    assert_eq!(header.check(Layer::Tun, &later_tcp), Err(GsoMismatch::Fragment));

    packet[6] = 0;
    packet[32] = 0x40;
    let error = ParseError::Length { header: "TCP header", stated: 16 };
    assert_eq!(header.check(Layer::Tun, &packet), Err(error.into()));

    let cut = &frame(&tcp(false, &[]))[..73];
    let error = ParseError::Truncated(Truncated { need: 74, have: 73 });
    assert_eq!(fitting(GsoType::TcpV4, 34).with_header_length(0).check(Layer::Tap, cut), Err(error.into()));
    // Options of IPv4 that are cut off: what follows is no transport.
    let mut options = tcp(false, &[]);
    options[0] = 0x4f;
    options.truncate(50);
    let error = ParseError::Truncated(Truncated { need: 60, have: 50 });
    let header = header.with_header_length(0).with_checksum(20, 16);
    assert_eq!(header.check(Layer::Tun, &options), Err(error.into()));
}

#[test]
fn errors_read_well() {
    let packet = datagram(false, &[7; 3000]);
    let said = |header: VnetHeader| header.check(Layer::Tun, &packet).unwrap_err().to_string();
    let header = fitting(GsoType::UdpL4, 20);
    assert_eq!(
        said(header.with_checksum(24, 6)),
        "the checksum belongs 6 bytes behind byte 24; the transport's is 6 behind byte 20"
    );
    assert_eq!(
        said(header.with_checksum(4000, 6)),
        "the checksum belongs 6 bytes behind byte 4000; there the packet has ended"
    );
    assert_eq!(
        said(header.with_header_length(20)),
        "20 bytes of headers are stated, of 28 in a packet of 3028"
    );
    assert_eq!(said(fitting(GsoType::TcpV4, 20)), "UDP in IPv4 cannot be cut into TcpV4");
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// The checksum is right, and nothing else has changed.
    #[test]
    fn completed_checksums_verify(
        payload in vec(any::<u8>(), 0..64),
        v6: bool,
        is_tcp: bool,
        pads in 0..8_usize,
    ) {
        let (mut packet, offset) =
            if is_tcp { (tcp(v6, &payload), 16) } else { (datagram(v6, &payload), 6) };
        let whole = packet.clone();
        offload_checksum(&mut packet, offset);
        let start = if v6 { 40 } else { 20 };
        let before = packet.clone();
        let mut frame = [&frame(&packet)[..], &vec![0; pads]].concat();
        let header = VnetHeader::default().with_checksum(start, u16::try_from(offset).unwrap());
        prop_assert_eq!(header.complete_checksum(&mut packet), Ok(true));
        let start = usize::from(start);
        prop_assert_eq!(transport_checksum(&packet, &packet[start..]), 0);
        let place = start + offset..start + offset + 2;
        if !is_tcp {
            prop_assert_eq!(&packet, &whole);
        }
        prop_assert_eq!(behind(header, 14).complete_checksum(&mut frame), Ok(true));
        prop_assert_eq!(&frame[14..14 + packet.len()], &packet[..]);
        let mut rest = packet;
        rest[place.clone()].copy_from_slice(&before[place]);
        prop_assert_eq!(rest, before);
    }

    #[test]
    fn no_header_panics(
        bytes in vec(any::<u8>(), 24..=24),
        mut packet in vec(any::<u8>(), 0..=96),
        near: bool,
    ) {
        let (mut header, _) = VnetHeader::parse(ALL, &bytes).unwrap();
        if near {
            header = header.with_checksum(u16::from(bytes[6] % 100), u16::from(bytes[8] % 24));
        }
        for layer in [Layer::Tun, Layer::Tap] {
            if let Err(error) = header.check(layer, &packet) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
        let before = packet.clone();
        match header.complete_checksum(&mut packet) {
            Ok(done) => prop_assert_eq!(done, header.needs_checksum().is_some()),
            Err(error) => {
                prop_assert!(!error.to_string().is_empty());
                prop_assert_eq!(&packet, &before);
            }
        }
        if let Some((start, offset)) = header.needs_checksum() {
            let at = usize::from(start) + usize::from(offset);
            let changed = (0..packet.len()).filter(|index| packet[*index] != before[*index]);
            prop_assert!(changed.into_iter().all(|index| index == at || index == at + 1));
        }
    }

    /// Headers that nearly fit packets that nearly are right, to get to the last of the rules.
    #[test]
    fn no_packet_to_be_cut_panics(
        which in 0..8_usize,
        flips in vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in 0..=120_usize,
    ) {
        let (header, mut packet) = gso_packets().swap_remove(which);
        packet.truncate(cut);
        for (at, value) in flips {
            if let Some(place) = packet.get_mut(at.index(61)) {
                *place = value;
            }
        }
        for (layer, more) in [(Layer::Tun, 0), (Layer::Tap, 14)] {
            let bytes = if more == 0 { packet.clone() } else { [&[0; 12][..], &[8, 0], &packet].concat() };
            if behind(header, more).check(layer, &bytes) == Ok(()) {
                let view = Packet::parse(layer, &bytes).unwrap();
                let transport = view.transport_header().unwrap();
                let at = transport.as_ptr() as usize - bytes.as_ptr() as usize;
                prop_assert_eq!(at, usize::from(behind(header, more).needs_checksum().unwrap().0));
                prop_assert!(at + transport.len() <= usize::from(behind(header, more).header_length()));
            }
        }
    }
}
