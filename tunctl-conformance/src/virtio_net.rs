//! Sending behind a virtio-net header, by which a sender has the system finish a packet.

use crate::case::{Case, suite};
use crate::expect::{create, errno, frame, ipv4, ipv6, refused_with, up};
use crate::writing::{assert_refused, assert_sent};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Writing:
        a_virtio_net_header_is_no_part_of_the_packet,
        a_virtio_net_header_that_is_cut_short_is_too_short,
        a_virtio_net_header_alone_is_no_packet,
        a_frame_behind_a_virtio_net_header_needs_its_ethernet_header,
        packet_information_is_sent_before_the_virtio_net_header,
        both_headers_alone_are_an_empty_packet,
        both_headers_cut_short_are_too_short,
        a_checksum_must_lie_inside_of_the_packet,
        a_checksum_starts_behind_an_ip_header_where_the_system_demands_it,
        a_checksum_does_not_start_beyond_what_the_system_can_count,
        a_checksum_that_is_not_asked_for_may_be_anywhere,
        an_unknown_kind_of_segments_is_malformed,
        segments_in_a_tunnel_are_malformed_in_a_short_header,
        segments_without_a_size_are_malformed,
        a_size_of_segments_of_no_kind_is_passed_over,
        a_length_of_headers_beyond_the_packet_is_malformed,
        a_length_of_headers_inside_of_the_ethernet_header_is_malformed,
        a_length_of_headers_that_passes_sixteen_bits_begins_anew,
        unknown_flags_are_passed_over,
        the_version_of_the_packet_counts_behind_a_virtio_net_header,
        a_malformed_virtio_net_header_is_said_before_that_the_interface_is_down,
        a_refused_virtio_net_header_leaves_no_trace,
    ]
}

/// What a virtio-net header says, zero where nothing is said.
#[derive(Clone, Copy, Default)]
struct Header {
    flags: u8,
    segments: u8,
    headers_length: u16,
    segment_size: u16,
    checksum_start: u16,
    checksum_offset: u16,
}

impl Header {
    fn to_bytes(self) -> Vec<u8> {
        let Self { flags, segments, headers_length, segment_size, checksum_start, checksum_offset } = self;
        let numbers = [headers_length, segment_size, checksum_start, checksum_offset].map(u16::to_ne_bytes);
        [&[flags, segments][..], &numbers.concat()].concat()
    }
}

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the system is to complete a checksum.
const NEEDS_CHECKSUM: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_TCPV4`: segments of TCP in IPv4.
const TCP_IPV4: u8 = 1;
/// No kind of segments.
const UNKNOWN: u8 = 9;

fn checksum(checksum_start: u16, checksum_offset: u16) -> Header {
    Header { flags: NEEDS_CHECKSUM, checksum_start, checksum_offset, ..Header::default() }
}

fn vnet_tun<H: Harness>(harness: &H) -> DeviceOf<H> {
    up(harness, CreateOptions::tun().vnet_header(true), "tun0")
}

fn vnet_tap<H: Harness>(harness: &H) -> DeviceOf<H> {
    up(harness, CreateOptions::tap().vnet_header(true), "tap0")
}

/// A tun with packet information too.
fn both_tun<H: Harness>(harness: &H) -> DeviceOf<H> {
    up(harness, CreateOptions::tun().packet_information(true).vnet_header(true), "tun0")
}

fn assert_malformed<H: Harness>(harness: &H, device: &DeviceOf<H>, header: Header, packet: &[u8]) {
    let whole = [&header.to_bytes(), packet].concat();
    assert_refused(harness, device, &whole, Cause::MalformedPacket, errno::EINVAL);
}

fn a_virtio_net_header_is_no_part_of_the_packet<H: Harness>(harness: &H) {
    let tun = vnet_tun(harness);
    for packet in [ipv4(60), ipv6(60), vec![0x45]] {
        assert_sent(harness, &tun, &[0; 10], &packet);
    }
    assert_sent(harness, &vnet_tap(harness), &[0; 10], &frame(0x0806, &[0; 28]));
}

fn a_virtio_net_header_that_is_cut_short_is_too_short<H: Harness>(harness: &H) {
    for device in [vnet_tun(harness), vnet_tap(harness)] {
        for length in 0..10 {
            assert_refused(harness, &device, &vec![0x45; length], Cause::TooShort, errno::EINVAL);
        }
    }
}

fn a_virtio_net_header_alone_is_no_packet<H: Harness>(harness: &H) {
    for device in [vnet_tun(harness), vnet_tap(harness)] {
        assert_refused(harness, &device, &[0; 10], Cause::TooShort, errno::EINVAL);
    }
}

fn a_frame_behind_a_virtio_net_header_needs_its_ethernet_header<H: Harness>(harness: &H) {
    let device = vnet_tap(harness);
    for length in [11, 23] {
        assert_refused(harness, &device, &vec![0; length], Cause::TooShort, errno::EINVAL);
    }
    assert_sent(harness, &device, &[0; 10], &[0; 14]);
}

fn packet_information_is_sent_before_the_virtio_net_header<H: Harness>(harness: &H) {
    let device = both_tun(harness);
    let malformed = Header { segments: UNKNOWN, ..Header::default() }.to_bytes();
    assert_sent(harness, &device, &[&[0, UNKNOWN, 0, 0][..], &[0; 10]].concat(), &ipv4(60));
    let wrong = [&[0, 0, 8, 0][..], &malformed, &ipv4(60)].concat();
    assert_refused(harness, &device, &wrong, Cause::MalformedPacket, errno::EINVAL);
    // As without it, nobody looks at the version of the packet.
    assert_sent(harness, &device, &[0; 14], &[0x15; 20]);
}

fn both_headers_alone_are_an_empty_packet<H: Harness>(harness: &H) {
    let device = both_tun(harness);
    let mut seen = harness.observe(&device.name().unwrap());
    assert_eq!(device.try_send(&[0; 14]).unwrap(), 14);
    assert_eq!(seen.take(), None);
}

fn both_headers_cut_short_are_too_short<H: Harness>(harness: &H) {
    let device = both_tun(harness);
    for length in 0..14 {
        assert_refused(harness, &device, &vec![0; length], Cause::TooShort, errno::EINVAL);
    }
}

fn a_checksum_must_lie_inside_of_the_packet<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    // It has two bytes, of 60: the last place is 58.
    for (start, offset) in [(20, 6), (52, 6), (58, 0)] {
        assert_sent(harness, &device, &checksum(start, offset).to_bytes(), &ipv4(60));
    }
    for (start, offset) in [(53, 6), (20, 39), (59, 0), (60, 0), (1000, 0), (20, 1000), (65535, 65535)] {
        assert_malformed(harness, &device, checksum(start, offset), &ipv4(60));
    }
}

fn a_checksum_starts_behind_an_ip_header_where_the_system_demands_it<H: Harness>(harness: &H) {
    let frame = frame(0x0800, &ipv4(60));
    // On a tap, the twenty bytes are counted from the beginning of the frame.
    for (device, packet) in [(vnet_tun(harness), ipv4(60)), (vnet_tap(harness), frame)] {
        for (start, offset) in [(0, 58), (14, 6), (19, 6)] {
            if harness.profile().vnet_rules.checksum_behind_ip() {
                assert_malformed(harness, &device, checksum(start, offset), &packet);
            } else {
                assert_sent(harness, &device, &checksum(start, offset).to_bytes(), &packet);
            }
        }
        assert_sent(harness, &device, &checksum(20, 6).to_bytes(), &packet);
    }
}

fn a_checksum_does_not_start_beyond_what_the_system_can_count<H: Harness>(harness: &H) {
    for device in [vnet_tun(harness), vnet_tap(harness)] {
        let send = |start| device.try_send(&[&checksum(start, 0).to_bytes()[..], &[0x45; 70_000]].concat());
        // It counts in 16 bits, from 64 bytes before the packet.
        assert_eq!(send(65_470).unwrap(), 70_010);
        refused_with(send(65_471), Cause::MalformedPacket, errno::EINVAL);
    }
}

fn a_checksum_that_is_not_asked_for_may_be_anywhere<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    let header = Header { flags: 0, ..checksum(1000, 65535) };
    assert_sent(harness, &device, &header.to_bytes(), &ipv4(60));
}

fn an_unknown_kind_of_segments_is_malformed<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    for segments in [2, 6, UNKNOWN] {
        assert_malformed(harness, &device, Header { segments, ..Header::default() }, &ipv4(60));
    }
}

/// A header of ten bytes has no room for where the tunnel's headers are.
fn segments_in_a_tunnel_are_malformed_in_a_short_header<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    let checksum = checksum(20, 16);
    for tunnel in [0x20, 0x40, 0x60] {
        let header = Header { segments: TCP_IPV4 | tunnel, headers_length: 40, segment_size: 10, ..checksum };
        assert_malformed(harness, &device, header, &ipv4(60));
    }
    // What is said beside a kind says nothing without one.
    for alone in [0x20, 0x40, 0x80] {
        let header = Header { segments: alone, headers_length: 40, segment_size: 10, ..checksum };
        assert_malformed(harness, &device, header, &ipv4(60));
    }
}

fn segments_without_a_size_are_malformed<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    let header = Header { segments: TCP_IPV4, headers_length: 40, ..checksum(20, 16) };
    assert_malformed(harness, &device, header, &ipv4(60));
}

fn a_size_of_segments_of_no_kind_is_passed_over<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    let header = Header { segment_size: 100, ..Header::default() };
    assert_sent(harness, &device, &header.to_bytes(), &ipv4(60));
}

fn a_length_of_headers_beyond_the_packet_is_malformed<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    for headers_length in [0, 1, 20, 60] {
        let header = Header { headers_length, ..Header::default() };
        assert_sent(harness, &device, &header.to_bytes(), &ipv4(60));
    }
    for headers_length in [61, 65535] {
        assert_malformed(harness, &device, Header { headers_length, ..Header::default() }, &ipv4(60));
    }
}

fn a_length_of_headers_inside_of_the_ethernet_header_is_malformed<H: Harness>(harness: &H) {
    let device = vnet_tap(harness);
    let frame = frame(0x0800, &ipv4(60));
    for headers_length in [0, 14, 74] {
        let header = Header { headers_length, ..Header::default() };
        assert_sent(harness, &device, &header.to_bytes(), &frame);
    }
    for headers_length in [1, 13, 75] {
        assert_malformed(harness, &device, Header { headers_length, ..Header::default() }, &frame);
    }
}

/// The system adds up where the checksum ends in more bits than it keeps. So the end of the headers may seem
/// to lie in the Ethernet header.
fn a_length_of_headers_that_passes_sixteen_bits_begins_anew<H: Harness>(harness: &H) {
    let device = vnet_tap(harness);
    // Not much longer: for a packet of 70,000 bytes, Linux 6.1 has no buffer unless most are headers.
    let send = |offset| device.try_send(&[&checksum(20, offset).to_bytes()[..], &[0x45; 65_600]].concat());
    for offset in [65_513, 65_514, 65_528] {
        assert_eq!(send(offset).unwrap(), 65_610);
    }
    for offset in [65_515, 65_527] {
        refused_with(send(offset), Cause::MalformedPacket, errno::EINVAL);
    }
}

fn unknown_flags_are_passed_over<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    for flags in [2, 4, 0x80] {
        let header = Header { flags, ..Header::default() };
        assert_sent(harness, &device, &header.to_bytes(), &ipv4(60));
    }
}

fn the_version_of_the_packet_counts_behind_a_virtio_net_header<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    for version in [0, 1, 5, 15] {
        assert_malformed(harness, &device, Header::default(), &[version << 4; 20]);
    }
}

fn a_malformed_virtio_net_header_is_said_before_that_the_interface_is_down<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun().vnet_header(true), "tun0");
    let segments = Header { segments: UNKNOWN, ..Header::default() };
    let headers_length = Header { headers_length: 61, ..Header::default() };
    for header in [segments, headers_length, checksum(60, 0)] {
        assert_malformed(harness, &device, header, &ipv4(60));
    }
    assert_refused(harness, &device, &[0; 10], Cause::TooShort, errno::EINVAL);
    let well = [&[0; 10][..], &ipv4(60)].concat();
    assert_refused(harness, &device, &well, Cause::Down, errno::EIO);
}

fn a_refused_virtio_net_header_leaves_no_trace<H: Harness>(harness: &H) {
    let device = vnet_tun(harness);
    for header in [Header { segments: UNKNOWN, ..Header::default() }, checksum(60, 0)] {
        assert!(device.send(&[&header.to_bytes()[..], &ipv4(60)].concat()).is_err());
        assert_sent(harness, &device, &[0; 10], &ipv4(60));
    }
}
