//! Packet information: the four bytes, their order, and the strip bit.

use std::net::SocketAddr;

use tunctl_core::{Cause, CreateOptions, TunDevice};
use tunctl_packet::header::{EtherType, PacketInfo};
use tunctl_packet::udp_packet;
use tunctl_testing::{Case, case};

use super::support::{address, create, quiet_tun, refused, socket, udp_payload, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(the_header_names_ipv4_and_stands_before_the_packet),
        case!(the_header_names_ipv6),
        case!(the_kernel_takes_the_protocol_from_the_header),
        case!(the_strip_bit_tells_of_a_short_buffer),
        case!(a_buffer_without_room_for_the_header_is_an_error),
        case!(the_header_comes_before_the_virtio_net_header),
        case!(a_tap_names_what_its_frame_carries),
    ]
}

fn with_header() -> CreateOptions {
    CreateOptions::tun().packet_information(true)
}

fn far() -> SocketAddr {
    "10.77.0.2:9".parse().unwrap()
}

fn the_header_names_ipv4_and_stands_before_the_packet() {
    let (device, socket) = quiet_tun(with_header());
    socket.send_to(b"four", far()).unwrap();
    let mut buffer = [0; 1500];
    let length = device.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..4], [0, 0, 0x08, 0x00]);
    let (header, packet) = PacketInfo::parse(&buffer[..length]).unwrap();
    assert_eq!(header.protocol(), EtherType::IPV4);
    assert!(!header.is_stripped());
    assert_eq!(udp_payload(packet), b"four");
}

fn the_header_names_ipv6() {
    let device = create(with_header(), "tun0");
    device.up(address("fd77::1")).unwrap();
    // Something of its own or ours: all of it is IPv6.
    socket("[fd77::1]:0").send_to(b"six", "[fd77::2]:9").unwrap();
    let mut buffer = [0; 1500];
    let length = device.recv(&mut buffer).unwrap();
    assert_eq!(buffer[..4], [0, 0, 0x86, 0xdd]);
    let (header, packet) = PacketInfo::parse(&buffer[..length]).unwrap();
    assert_eq!(header.protocol(), EtherType::IPV6);
    assert_eq!(packet[0] >> 4, 6);
}

fn the_kernel_takes_the_protocol_from_the_header() {
    let (device, socket) = quiet_tun(with_header());
    let near = socket.local_addr().unwrap();
    let packet = udp_packet(far(), near, b"as it says").unwrap();
    let wrong = PacketInfo::new(EtherType::IPV6).to_bytes();
    let right = PacketInfo::for_packet(&packet).unwrap().to_bytes();
    device.send(&[&wrong[..], b"E and something that is no IPv6 packet, nor IPv4"].concat()).unwrap();
    let bytes = [&right[..], &packet].concat();
    assert_eq!(device.send(&bytes).unwrap(), bytes.len());
    let mut buffer = [0; 100];
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"as it says");
    // And an IPv4 packet that claims to be IPv6 does not arrive.
    device.send(&[&wrong[..], &packet].concat()).unwrap();
    device.send(&bytes).unwrap();
    assert_eq!(socket.recv(&mut buffer).unwrap(), 10);
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv(&mut buffer).is_err());
}

fn the_strip_bit_tells_of_a_short_buffer() {
    let (device, socket) = quiet_tun(with_header());
    let mut buffer = [0; 200];
    for (room, stripped) in [(4 + 28 + 20, false), (4 + 28 + 19, true), (4, true), (200, false)] {
        socket.send_to(&[7; 20], far()).unwrap();
        let length = device.recv(&mut buffer[..room]).unwrap();
        assert_eq!(length, room.min(4 + 28 + 20));
        let (header, packet) = PacketInfo::parse(&buffer[..length]).unwrap();
        assert_eq!(header.is_stripped(), stripped, "with room for {room} bytes");
        assert_eq!(header.protocol(), EtherType::IPV4);
        assert_eq!(packet.len(), length - 4);
    }
}

fn a_buffer_without_room_for_the_header_is_an_error() {
    let (device, socket) = quiet_tun(with_header());
    for room in [3, 1] {
        socket.send_to(b"lost", far()).unwrap();
        let error = refused(device.recv(&mut [0; 3][..room]));
        assert_eq!(error.cause(), Cause::TooShort, "room for {room}: {error}");
        assert_eq!(error.raw_os_error(), Some(22));
    }
    socket.send_to(b"kept", far()).unwrap();
    let mut buffer = [0; 100];
    let length = device.recv(&mut buffer).unwrap();
    assert_eq!(udp_payload(&buffer[4..length]), b"kept");
}

fn the_header_comes_before_the_virtio_net_header() {
    let (device, socket) = quiet_tun(with_header().vnet_header(true));
    let near = socket.local_addr().unwrap();
    socket.send_to(b"both", far()).unwrap();
    let mut buffer = [0; 200];
    let length = device.recv(&mut buffer).unwrap();
    assert_eq!(length, 4 + 10 + 28 + 4);
    assert_eq!(buffer[..4], [0, 0, 8, 0]);
    assert_eq!(udp_payload(&buffer[14..length]), b"both");
    let packet = udp_packet(far(), near, b"back").unwrap();
    device.send(&[&[0, 0, 8, 0][..], &[0; 10], &packet].concat()).unwrap();
    let length = socket.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"back");
}

fn a_tap_names_what_its_frame_carries() {
    without_ipv6();
    let device = create(CreateOptions::tap().packet_information(true), "tap0");
    device.up(address("10.77.0.1/24")).unwrap();
    socket("10.77.0.1:0").send_to(b"who has", far()).unwrap();
    let mut buffer = [0; 200];
    let length = device.recv(&mut buffer).unwrap();
    let (header, frame) = PacketInfo::parse(&buffer[..length]).unwrap();
    assert_eq!(header.protocol(), EtherType::ARP);
    assert_eq!(frame[12..14], [8, 6]);
}
