//! Sending a packet of several segments, which a virtio-net header tells of.

use crate::case::{Case, suite};
use crate::expect::{errno, frame, ipv4, ipv6, up};
use crate::writing::{assert_refused, assert_sent};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Writing:
        a_packet_of_segments_is_sent_whole,
        segments_need_no_checksum,
        congestion_notification_is_no_kind_of_segments,
        the_checksum_of_segments_starts_behind_their_ip_header_where_the_system_demands_it,
        the_checksum_of_segments_stands_where_their_transport_has_it,
        segments_are_behind_their_shortest_headers,
        segments_without_a_checksum_are_of_their_kind_where_the_system_decodes_them,
        segments_of_the_greatest_size_are_malformed,
        segments_of_udp_need_their_checksum,
        segments_of_udp_are_counted,
        congestion_notification_is_not_for_segments_of_udp,
        where_headers_end_is_looked_at_before_there_is_a_buffer,
    ]
}

/// `VIRTIO_NET_HDR_GSO_TCPV4`
const TCP_IPV4: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_UDP`
const UDP_FRAGMENTS: u8 = 3;
/// `VIRTIO_NET_HDR_GSO_TCPV6`
const TCP_IPV6: u8 = 4;
/// `VIRTIO_NET_HDR_GSO_UDP_L4`
const UDP: u8 = 5;
/// `VIRTIO_NET_HDR_GSO_ECN`: a flag of the kinds that are TCP.
const ECN: u8 = 0x80;

/// A virtio-net header: segments of ten bytes, and where their checksum starts and stands, if it is asked
/// for.
fn header(kind: u8, checksum: Option<(u16, u16)>) -> Vec<u8> {
    header_with_size(kind, 10, checksum)
}

fn header_with_size(kind: u8, size: u16, checksum: Option<(u16, u16)>) -> Vec<u8> {
    let (start, offset) = checksum.unwrap_or_default();
    let numbers = [0, size, start, offset].map(u16::to_ne_bytes);
    [&[u8::from(checksum.is_some()), kind][..], &numbers.concat()].concat()
}

/// Forty bytes of TCP in IPv4, header included, and in IPv6.
fn tcp() -> [Vec<u8>; 2] {
    let (mut over_ipv4, mut over_ipv6) = (ipv4(60), ipv6(80));
    (over_ipv4[9], over_ipv6[6]) = (6, 6);
    [over_ipv4, over_ipv6]
}

fn vnet<H: Harness>(harness: &H) -> DeviceOf<H> {
    up(harness, CreateOptions::tun().vnet_header(true), "tun0")
}

fn a_packet_of_segments_is_sent_whole<H: Harness>(harness: &H) {
    let device = vnet(harness);
    let [tcp4, tcp6] = tcp();
    for kind in [TCP_IPV4, TCP_IPV4 | ECN] {
        assert_sent(harness, &device, &header(kind, Some((20, 16))), &tcp4);
    }
    for kind in [TCP_IPV6, TCP_IPV6 | ECN] {
        assert_sent(harness, &device, &header(kind, Some((40, 16))), &tcp6);
    }
    assert_sent(harness, &device, &header(UDP_FRAGMENTS, Some((20, 6))), &ipv4(60));
    let tap = up(harness, CreateOptions::tap().vnet_header(true), "tap0");
    assert_sent(harness, &tap, &header(TCP_IPV4, Some((34, 16))), &frame(0x0800, &tcp4));
}

fn segments_need_no_checksum<H: Harness>(harness: &H) {
    let device = vnet(harness);
    let [tcp4, tcp6] = tcp();
    for (kind, packet) in [(TCP_IPV4, tcp4), (TCP_IPV6, tcp6), (UDP_FRAGMENTS, ipv4(60))] {
        assert_sent(harness, &device, &header(kind, None), &packet);
    }
}

fn congestion_notification_is_no_kind_of_segments<H: Harness>(harness: &H) {
    let device = vnet(harness);
    let [tcp4, _] = tcp();
    let whole = [header(ECN, Some((20, 16))), tcp4].concat();
    assert_refused(harness, &device, &whole, Cause::MalformedPacket, errno::EINVAL);
}

fn the_checksum_of_segments_starts_behind_their_ip_header_where_the_system_demands_it<H: Harness>(
    harness: &H,
) {
    let device = vnet(harness);
    let [tcp4, tcp6] = tcp();
    for (kind, start, packet) in [
        (TCP_IPV4, 0, &tcp4),
        (TCP_IPV4, 19, &tcp4),
        (UDP_FRAGMENTS, 19, &tcp4),
        (TCP_IPV6, 20, &tcp6),
        (TCP_IPV6, 39, &tcp6),
    ] {
        let header = header(kind, Some((start, 16)));
        if harness.profile().vnet_rules.checksum_behind_ip() {
            let whole = [&header[..], packet].concat();
            assert_refused(harness, &device, &whole, Cause::MalformedPacket, errno::EINVAL);
        } else {
            assert_sent(harness, &device, &header, packet);
        }
    }
}

#[track_caller]
fn assert_malformed<H: Harness>(harness: &H, device: &DeviceOf<H>, header: &[u8], packet: &[u8]) {
    let whole = [header, packet].concat();
    assert_refused(harness, device, &whole, Cause::MalformedPacket, errno::EINVAL);
}

/// Whether the system has segments of UDP; without, their kind is unknown.
fn has_udp<H: Harness>(harness: &H) -> bool {
    harness.profile().vnet_rules.udp_segments().is_some()
}

fn the_checksum_of_segments_stands_where_their_transport_has_it<H: Harness>(harness: &H) {
    let device = vnet(harness);
    let [tcp4, tcp6] = tcp();
    for (kind, start, packet) in [(TCP_IPV4, 20, &tcp4), (TCP_IPV6, 40, &tcp6)] {
        for offset in [6, 14, 15, 17, 18] {
            assert_malformed(harness, &device, &header(kind, Some((start, offset))), packet);
        }
    }
    for offset in [4, 5, 7, 8, 16] {
        assert_malformed(harness, &device, &header(UDP, Some((20, offset))), &ipv4(60));
    }
    // Fragments of UDP have it anywhere.
    assert_sent(harness, &device, &header(UDP_FRAGMENTS, Some((20, 16))), &ipv4(60));
}

fn segments_are_behind_their_shortest_headers<H: Harness>(harness: &H) {
    let device = vnet(harness);
    let [tcp4, tcp6] = tcp();
    let demanded = harness.profile().vnet_rules.checksum_behind_ip();
    let kinds = [(TCP_IPV4, 20, 20, &tcp4), (TCP_IPV6, 40, 20, &tcp6), (UDP_FRAGMENTS, 20, 8, &ipv4(60))];
    for (kind, network, transport, packet) in kinds {
        let least = if demanded { network + transport } else { transport };
        assert_malformed(harness, &device, &header(kind, None), &packet[..least - 1]);
        assert_sent(harness, &device, &header(kind, None), &packet[..least]);
    }
    // The checksum's start says where the transport begins, wherever that is.
    assert_sent(harness, &device, &header(TCP_IPV4, Some((40, 16))), &tcp4);
    assert_malformed(harness, &device, &header(TCP_IPV4, Some((41, 16))), &tcp4);
}

/// On a tap, such a system also looks for the headers behind Ethernet's.
fn segments_without_a_checksum_are_of_their_kind_where_the_system_decodes_them<H: Harness>(harness: &H) {
    let decodes = harness.profile().vnet_rules.decodes_segments();
    let assert_decoded = |device: &DeviceOf<H>, kind, packet: &[u8]| {
        if decodes {
            assert_malformed(harness, device, &header(kind, None), packet);
        } else {
            assert_sent(harness, device, &header(kind, None), packet);
        }
        // With a checksum, nothing is decoded.
        let start = if kind == TCP_IPV6 { 40 } else { 20 };
        assert_sent(harness, device, &header(kind, Some((start, 16))), packet);
    };
    let device = vnet(harness);
    let [tcp4, tcp6] = tcp();
    for (kind, packet) in [
        (TCP_IPV4, &ipv4(60)),
        (TCP_IPV4, &tcp6),
        (TCP_IPV6, &ipv6(80)),
        (TCP_IPV6, &[&tcp4[..], &[0; 20]].concat()),
        (UDP_FRAGMENTS, &tcp4),
        (TCP_IPV4, &vec![0x45; 40]),
    ] {
        assert_decoded(&device, kind, packet);
    }
    assert_sent(harness, &device, &header(UDP_FRAGMENTS, None), &ipv6(60));
    let tap = up(harness, CreateOptions::tap().vnet_header(true), "tap0");
    let [tcp4, tcp6] = [frame(0x0800, &tcp4), frame(0x86dd, &tcp6)];
    for (kind, whole, least) in [(TCP_IPV4, &tcp4, 54), (TCP_IPV6, &tcp6, 74)] {
        assert_sent(harness, &tap, &header(kind, None), whole);
        assert_sent(harness, &tap, &header(kind, None), &whole[..least]);
        assert_decoded(&tap, kind, &whole[..least - 1]);
    }
    assert_decoded(&tap, TCP_IPV4, &frame(0x88b5, &tcp4[14..]));
}

fn segments_of_the_greatest_size_are_malformed<H: Harness>(harness: &H) {
    let device = vnet(harness);
    let [tcp4, _] = tcp();
    for checksum in [None, Some((20, 16))] {
        assert_sent(harness, &device, &header_with_size(TCP_IPV4, 65_534, checksum), &tcp4);
        assert_malformed(harness, &device, &header_with_size(TCP_IPV4, 65_535, checksum), &tcp4);
    }
    assert_sent(harness, &device, &header_with_size(0, 65_535, Some((20, 16))), &tcp4);
}

fn segments_of_udp_need_their_checksum<H: Harness>(harness: &H) {
    let device = vnet(harness);
    assert_malformed(harness, &device, &header(UDP, None), &ipv4(60));
    if has_udp(harness) {
        assert_sent(harness, &device, &header(UDP, Some((20, 6))), &ipv4(60));
        assert_sent(harness, &device, &header(UDP, Some((40, 6))), &ipv6(60));
    } else {
        assert_malformed(harness, &device, &header(UDP, Some((20, 6))), &ipv4(60));
    }
}

fn segments_of_udp_are_counted<H: Harness>(harness: &H) {
    let device = vnet(harness);
    let header = header(UDP, Some((20, 6)));
    // A system without this kind refuses it as unknown, however many there are.
    let most = harness.profile().vnet_rules.udp_segments().unwrap_or_default();
    if most > 0 {
        assert_sent(harness, &device, &header, &ipv4(28 + 10 * most));
    }
    assert_malformed(harness, &device, &header, &ipv4(28 + 10 * most + 1));
}

fn congestion_notification_is_not_for_segments_of_udp<H: Harness>(harness: &H) {
    let device = vnet(harness);
    assert_malformed(harness, &device, &header(UDP | ECN, Some((20, 6))), &ipv4(60));
    assert_sent(harness, &device, &header(UDP_FRAGMENTS | ECN, Some((20, 6))), &ipv4(60));
}

/// A packet too long for a buffer, whose virtio-net header is wrong as well.
fn where_headers_end_is_looked_at_before_there_is_a_buffer<H: Harness>(harness: &H) {
    const TOO_LONG: usize = 5 << 20;
    let tun = vnet(harness);
    let tap = up(harness, CreateOptions::tap().vnet_header(true), "tap0");
    let with_length = |length: u16| [&[0, 0][..], &length.to_ne_bytes(), &[0; 6]].concat();
    let behind = |header: Vec<u8>| [header, vec![0x45; TOO_LONG]].concat();
    // A header that ends inside of Ethernet's.
    assert_refused(harness, &tap, &behind(with_length(8)), Cause::MalformedPacket, errno::EINVAL);
    let few_pages = harness.profile().few_pages;
    if few_pages {
        let longest = [with_length(40), vec![0x45; 40 + 17 * 4096]].concat();
        assert_eq!(tun.try_send(&longest).unwrap(), longest.len());
        assert_refused(harness, &tun, &[&longest[..], &[0]].concat(), Cause::Other, errno::EMSGSIZE);
    }
    let (cause, number) = match few_pages {
        true => (Cause::Other, errno::EMSGSIZE),
        false => (Cause::NoBuffers, errno::ENOBUFS),
    };
    for device in [&tun, &tap] {
        assert_refused(harness, device, &behind(with_length(40)), cause, number);
        assert_refused(harness, device, &behind(header(0x7f, None)), Cause::NoBuffers, errno::ENOBUFS);
    }
}
