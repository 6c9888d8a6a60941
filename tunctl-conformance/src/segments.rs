//! Sending a packet of several segments, which a virtio-net header tells of.

use crate::case::{Case, suite};
use crate::expect::{errno, frame, ipv4, ipv6, up};
use crate::writing::{assert_refused, assert_sent};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Writing:
        a_packet_of_segments_is_sent_whole,
        segments_need_no_checksum,
        congestion_notification_is_no_kind_of_segments,
        the_checksum_of_segments_starts_behind_their_ip_header_where_the_system_demands_it,
    ]
}

/// `VIRTIO_NET_HDR_GSO_TCPV4`
const TCP_IPV4: u8 = 1;
/// `VIRTIO_NET_HDR_GSO_UDP`
const UDP_FRAGMENTS: u8 = 3;
/// `VIRTIO_NET_HDR_GSO_TCPV6`
const TCP_IPV6: u8 = 4;
/// `VIRTIO_NET_HDR_GSO_ECN`: a flag of the kinds that are TCP.
const ECN: u8 = 0x80;

/// A virtio-net header: segments of ten bytes, and where their checksum starts and stands, if it is asked
/// for.
fn header(kind: u8, checksum: Option<(u16, u16)>) -> Vec<u8> {
    let (start, offset) = checksum.unwrap_or_default();
    let numbers = [0, 10, start, offset].map(u16::to_ne_bytes);
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
        if harness.profile().checksum_behind_ip {
            let whole = [&header[..], packet].concat();
            assert_refused(harness, &device, &whole, Cause::MalformedPacket, errno::EINVAL);
        } else {
            assert_sent(harness, &device, &header, packet);
        }
    }
}
