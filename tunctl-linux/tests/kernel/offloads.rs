//! Offloads, by what the system leaves to the program.

use std::net::{Ipv4Addr, UdpSocket};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGsoSegment;
use tunctl_core::{CreateOptions, Offloads, TunDevice};
use tunctl_linux::LinuxDevice;
use tunctl_packet::Packet;
use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};
use tunctl_testing::{Case, case};

use super::support::{address, create, udp_payload, without_ipv6};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_checksum_that_is_left_to_the_program_is_completed_in_one_call),
        case!(datagrams_come_in_one_packet_only_to_a_program_that_takes_them),
        case!(the_fields_of_a_header_are_in_its_byte_order),
    ]
}

const FAR: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 77, 0, 2), 9);

/// A tun that is up, and a socket that sends into it.
fn up(options: CreateOptions) -> (LinuxDevice, UdpSocket) {
    without_ipv6();
    let device = create(options, "tun0");
    device.up(address("10.77.0.1/24")).unwrap();
    (device, super::support::socket("10.77.0.1:0"))
}

fn received(device: &LinuxDevice) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let length = device.recv(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

fn a_checksum_that_is_left_to_the_program_is_completed_in_one_call() {
    for length in VnetLength::ALL {
        let format = VnetFormat::new(length, Endian::Little);
        let (device, socket) = up(CreateOptions::tun().vnet_format(format).offloads(Offloads::CHECKSUM));
        socket.send_to(b"sum?", FAR).unwrap();
        let mut read = received(&device);
        let kind = device.header_kind();
        let whole = {
            device.set_offloads(Offloads::NONE).unwrap();
            socket.send_to(b"sum?", FAR).unwrap();
            received(&device)
        };
        let (header, _) = VnetHeader::parse(format, &read).unwrap();
        assert_eq!(header.needs_checksum(), Some((20, 6)));
        assert_ne!(read[kind.length() + 26..][..2], whole[kind.length() + 26..][..2]);
        assert!(kind.complete_checksum(&mut read).unwrap());
        // The identification of the IPv4 header, and with it its checksum, may differ.
        assert_eq!(read[kind.length() + 20..], whole[kind.length() + 20..]);
        assert_eq!(read[..kind.length()], whole[..kind.length()]);
        assert!(Packet::parse(device.layer(), &read[kind.length()..]).is_ok());
    }
}

fn datagrams_come_in_one_packet_only_to_a_program_that_takes_them() {
    let (device, socket) = up(CreateOptions::tun().vnet_header(true));
    if device.set_offloads(Offloads::USO).is_err() {
        // Before Linux 6.2.
        return;
    }
    setsockopt(&socket, UdpGsoSegment, &1000).unwrap();
    socket.send_to(&[7; 2500], FAR).unwrap();
    let read = received(&device);
    let (header, packet) = VnetHeader::parse(VnetFormat::default(), &read).unwrap();
    assert_eq!((header.gso_type(), header.segment_size()), (GsoType::UdpL4, 1000));
    assert_eq!(packet.len(), 28 + 2500);
    // It is no packet to complete: each of its datagrams has a checksum of its own.
    assert!(!device.header_kind().complete_checksum(&mut read.clone()).unwrap());
    device.set_offloads(Offloads::CHECKSUM).unwrap();
    socket.send_to(&[7; 2500], FAR).unwrap();
    for length in [1000, 1000, 500] {
        let read = received(&device);
        assert_eq!(udp_payload(&read[10..]), vec![7; length]);
    }
}

fn the_fields_of_a_header_are_in_its_byte_order() {
    for endian in [Endian::Native, Endian::Little] {
        let format = VnetFormat::new(VnetLength::Buffers, endian);
        let (device, socket) = up(CreateOptions::tun().vnet_format(format).offloads(Offloads::CHECKSUM));
        socket.send_to(b"order?", FAR).unwrap();
        let read = received(&device);
        let start = if endian == Endian::Little { 20_u16.to_le_bytes() } else { 20_u16.to_ne_bytes() };
        assert_eq!(read[6..8], start);
    }
}
