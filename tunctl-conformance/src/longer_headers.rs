//! Sending behind virtio-net headers of more than ten bytes, and in tunnels.

use crate::case::{Case, suite};
use crate::expect::{errno, frame, ipv4, name, named, not_applicable};
use crate::writing::{assert_refused, assert_sent};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions, TunBackend};
use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Writing:
        a_stated_length_of_headers_counts_what_a_longer_header_has_unread,
        segments_in_a_tunnel_are_taken_where_the_system_knows_them,
        the_headers_of_a_tunnel_follow_one_another,
        a_tunnel_begins_behind_an_ethernet_header_also_on_a_tun,
        segments_of_udp_in_a_tunnel_are_in_the_version_that_the_packet_has,
        what_goes_through_no_tunnel_is_malformed,
    ]
}

/// A device that is up, whose virtio-net headers have this length; `None` if the system has none.
fn up<H: Harness>(harness: &H, options: CreateOptions, length: VnetLength) -> Option<DeviceOf<H>> {
    match harness.backend().create(&named(options.vnet_format(format(length)), "vnet0")) {
        Err(error) if error.cause() == Cause::Unsupported => {
            not_applicable("it has no virtio-net header");
            None
        }
        device => {
            harness.set_up(&name("vnet0"), true);
            Some(device.unwrap())
        }
    }
}

const fn format(length: VnetLength) -> VnetFormat {
    VnetFormat::new(length, Endian::Native)
}

fn bytes(length: VnetLength, header: VnetHeader) -> Vec<u8> {
    let mut bytes = vec![0; length.bytes()];
    header.write(format(length), &mut bytes).expect("it has the length");
    bytes
}

#[track_caller]
fn judge<H: Harness>(harness: &H, device: &DeviceOf<H>, header: &[u8], packet: &[u8], is_taken: bool) {
    if is_taken {
        assert_sent(harness, device, header, packet);
    } else {
        let whole = [header, packet].concat();
        assert_refused(harness, device, &whole, Cause::MalformedPacket, errno::EINVAL);
    }
}

fn a_stated_length_of_headers_counts_what_a_longer_header_has_unread<H: Harness>(harness: &H) {
    let rules = harness.profile().vnet_rules;
    for length in VnetLength::ALL {
        let Some(device) = up(harness, CreateOptions::tun(), length) else { return };
        let excess = u16::try_from(rules.excess(length)).unwrap();
        for (stated, is_taken) in [(60, true), (60 + excess, true), (61 + excess, false)] {
            let header = bytes(length, VnetHeader::default().with_header_length(stated));
            judge(harness, &device, &header, &ipv4(60), is_taken);
        }
        harness.delete(&name("vnet0"));
    }
}

/// Of TCP in IPv4, in a tunnel over IPv4.
const TUNNEL: u8 = 0x21;
/// Where its outer UDP, its inner IPv4 and its inner TCP begin at the earliest.
const PLACES: [u16; 3] = [34, 42, 62];

/// What the kernel looks at is the offsets, and not the packet.
fn tunnel(kind: u8, [outer, inner, start]: [u16; 3]) -> VnetHeader {
    let header = VnetHeader::default().with_gso_byte(kind);
    let offset = if header.gso_type() == GsoType::UdpL4 { 6 } else { 16 };
    header
        .with_segments(header.gso_type(), 100)
        .with_checksum(start, offset)
        .with_tunnel_offsets(outer, inner)
}

fn knows_tunnels<H: Harness>(harness: &H) -> bool {
    harness.profile().vnet_rules.tunnels()
}

fn segments_in_a_tunnel_are_taken_where_the_system_knows_them<H: Harness>(harness: &H) {
    let packet = frame(0x0800, &ipv4(500));
    for length in VnetLength::ALL {
        let Some(device) = up(harness, CreateOptions::tap(), length) else { return };
        let is_taken = knows_tunnels(harness) && length == VnetLength::Tunnel;
        for (kind, places) in [
            (TUNNEL, PLACES),
            (TUNNEL | 0x80, PLACES),
            (0x24, [34, 42, 82]),
            (0x25, PLACES),
            (0x41, [54, 62, 82]),
            (0x44, [54, 62, 102]),
        ] {
            let header = tunnel(kind, places);
            judge(harness, &device, &bytes(length, header), &packet, is_taken);
            // The checksum of the tunnel's own UDP is left to the system, too.
            let header = bytes(length, header.with_flags(header.flags() | 8));
            judge(harness, &device, &header, &packet, is_taken);
        }
        harness.delete(&name("vnet0"));
    }
}

fn the_headers_of_a_tunnel_follow_one_another<H: Harness>(harness: &H) {
    let Some(device) = up(harness, CreateOptions::tap(), VnetLength::Tunnel) else { return };
    let packet = frame(0x0800, &ipv4(500));
    for at in 0..3 {
        let mut places = PLACES;
        places[at] -= 1;
        judge(harness, &device, &bytes(VnetLength::Tunnel, tunnel(TUNNEL, places)), &packet, false);
    }
}

fn a_tunnel_begins_behind_an_ethernet_header_also_on_a_tun<H: Harness>(harness: &H) {
    let Some(device) = up(harness, CreateOptions::tun(), VnetLength::Tunnel) else { return };
    for (places, is_taken) in [([20, 28, 48], false), (PLACES, knows_tunnels(harness))] {
        let header = bytes(VnetLength::Tunnel, tunnel(TUNNEL, places));
        judge(harness, &device, &header, &ipv4(500), is_taken);
    }
}

fn segments_of_udp_in_a_tunnel_are_in_the_version_that_the_packet_has<H: Harness>(harness: &H) {
    const UDP: u8 = 0x25;
    let Some(device) = up(harness, CreateOptions::tap(), VnetLength::Tunnel) else { return };
    let mut packet = frame(0x0800, &ipv4(500));
    packet[42] = 0x60;
    for (start, is_taken) in [(62, false), (81, false), (82, knows_tunnels(harness))] {
        let header = bytes(VnetLength::Tunnel, tunnel(UDP, [34, 42, start]));
        judge(harness, &device, &header, &packet, is_taken);
    }
}

fn what_goes_through_no_tunnel_is_malformed<H: Harness>(harness: &H) {
    let Some(device) = up(harness, CreateOptions::tap(), VnetLength::Tunnel) else { return };
    let packet = frame(0x0800, &ipv4(500));
    // Over both versions, nothing to be segmented, fragments of UDP, an unknown type, UDP with congestion
    // notification; and segments whose checksum is not left to the system.
    let mut headers = [0x61, 0x20, 0xa0, 0x23, 0x26, 0xa5].map(|kind| tunnel(kind, PLACES)).to_vec();
    headers.push(tunnel(TUNNEL, PLACES).without_checksum());
    for header in headers {
        judge(harness, &device, &bytes(VnetLength::Tunnel, header), &packet, false);
    }
}
