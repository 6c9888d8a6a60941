//! The buffers that packets are received into: several of them, and such as are too short.

use std::io::IoSliceMut;

use tunctl_packet::{EtherType, PacketInfo};

use crate::Harness;
use crate::case::{Case, suite};
use crate::expect::{assert_empty, errno, ipv4, name, received, refused_with, up};
use crate::reading::{inject, with_headers};
use tunctl_core::{Cause, CreateOptions, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Reading:
        a_short_buffer_loses_the_tail_without_a_sign,
        the_strip_bit_tells_that_the_tail_is_lost,
        a_buffer_without_room_for_packet_information_is_too_short_and_loses_the_packet,
        a_buffer_without_room_for_the_virtio_net_header_is_too_short_and_loses_the_packet,
        a_buffer_without_room_for_both_headers_is_too_short_and_loses_the_packet,
        a_header_is_written_whole_or_not_at_all,
        a_buffer_for_the_headers_alone_receives_them,
        a_buffer_for_nothing_receives_nothing_and_takes_nothing,
        buffers_are_filled_one_after_the_other,
        buffers_without_room_among_others_are_passed_over,
        a_header_may_be_split_between_buffers,
        too_many_buffers_are_refused_and_take_nothing,
        buffers_that_are_too_short_together_lose_the_tail,
        buffers_without_room_for_the_header_together_are_too_short,
    ]
}

fn a_short_buffer_loses_the_tail_without_a_sign<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    for room in [1, 20, 59, 60] {
        inject(harness, "tun0", &ipv4(60));
        inject(harness, "tun0", &ipv4(28));
        let mut buffer = [0xee; 61];
        assert_eq!(device.try_recv(&mut buffer[..room]).unwrap(), room);
        assert_eq!((&buffer[..room], buffer[room]), (&ipv4(60)[..room], 0xee));
        // The next one is whole, and is not the tail.
        assert_eq!(received(&device), ipv4(28));
        assert_empty(&device);
    }
}

fn the_strip_bit_tells_that_the_tail_is_lost<H: Harness>(harness: &H) {
    for (vnet, whole) in [(false, 4 + 60), (true, 4 + 10 + 60)] {
        let device = up(harness, with_headers(CreateOptions::tun(), true, vnet), "tun0");
        for (room, stripped) in [(whole - 60, true), (whole - 1, true), (whole, false), (whole + 1, false)] {
            inject(harness, "tun0", &ipv4(60));
            let mut buffer = vec![0; room];
            let length = device.try_recv(&mut buffer).unwrap();
            assert_eq!(length, room.min(whole));
            let (information, _) = PacketInfo::parse(&buffer).unwrap();
            assert_eq!(information.is_stripped(), stripped, "{room} bytes of room for {whole}");
            assert_eq!(information.protocol(), EtherType::IPV4);
            assert_eq!(&buffer[whole - 60..length], &ipv4(60)[..length - (whole - 60)]);
        }
    }
}

/// Packets are lost one after the other to buffers of `rooms` bytes; one that comes later is not.
fn assert_lost<H: Harness>(harness: &H, options: CreateOptions, rooms: impl IntoIterator<Item = usize>) {
    let device = up(harness, options, "tun0");
    for room in rooms {
        inject(harness, "tun0", &ipv4(60));
        inject(harness, "tun0", &ipv4(28));
        refused_with(device.try_recv(&mut vec![0; room]), Cause::TooShort, errno::EINVAL);
        assert!(received(&device).ends_with(&ipv4(28)), "{room} bytes of room");
        assert_empty(&device);
    }
    assert_eq!(harness.dropped(&name("tun0")), 0, "nobody counts them");
}

fn a_buffer_without_room_for_packet_information_is_too_short_and_loses_the_packet<H: Harness>(harness: &H) {
    assert_lost(harness, with_headers(CreateOptions::tun(), true, false), 1..4);
}

fn a_buffer_without_room_for_the_virtio_net_header_is_too_short_and_loses_the_packet<H: Harness>(
    harness: &H,
) {
    assert_lost(harness, with_headers(CreateOptions::tun(), false, true), 1..10);
}

fn a_buffer_without_room_for_both_headers_is_too_short_and_loses_the_packet<H: Harness>(harness: &H) {
    assert_lost(harness, with_headers(CreateOptions::tun(), true, true), 1..14);
}

fn a_header_is_written_whole_or_not_at_all<H: Harness>(harness: &H) {
    for (packet_information, vnet, length) in [(true, false, 4), (false, true, 10), (true, true, 14)] {
        let device = up(harness, with_headers(CreateOptions::tun(), packet_information, vnet), "tun0");
        for room in 1..length {
            // Packet information comes first, and says that the packet is cut.
            let written: &[u8] = if packet_information && room >= 4 { &[1, 0, 8, 0] } else { &[] };
            let expected = [written, &vec![0xee; length - written.len()]].concat();
            inject(harness, "tun0", &ipv4(60));
            let mut buffer = vec![0xee; length];
            refused_with(device.try_recv(&mut buffer[..room]), Cause::TooShort, errno::EINVAL);
            assert_eq!(buffer, expected, "{room} bytes of room");

            inject(harness, "tun0", &ipv4(60));
            let mut buffer = vec![0xee; length];
            let (first, second) = buffer[..room].split_at_mut(room / 2);
            let buffers = &mut [IoSliceMut::new(first), IoSliceMut::new(second)];
            refused_with(device.try_recv_vectored(buffers), Cause::TooShort, errno::EINVAL);
            assert_eq!(buffer, expected, "{room} bytes of room in two buffers");
        }
    }
}

fn a_buffer_for_the_headers_alone_receives_them<H: Harness>(harness: &H) {
    for (packet_information, vnet, length) in [(true, false, 4), (false, true, 10), (true, true, 14)] {
        let device = up(harness, with_headers(CreateOptions::tun(), packet_information, vnet), "tun0");
        inject(harness, "tun0", &ipv4(60));
        let mut buffer = vec![0xee; length];
        assert_eq!(device.try_recv(&mut buffer).unwrap(), length);
        assert!(buffer.ends_with(if vnet { &[0; 10] } else { &[8, 0] }), "{buffer:?}");
        assert_empty(&device);
    }
}

fn a_buffer_for_nothing_receives_nothing_and_takes_nothing<H: Harness>(harness: &H) {
    for (packet_information, vnet) in [(false, false), (true, false), (false, true), (true, true)] {
        let device = up(harness, with_headers(CreateOptions::tun(), packet_information, vnet), "tun0");
        // Once with nothing to take, once with a packet.
        for _ in 0..2 {
            assert_eq!(device.try_recv(&mut []).unwrap(), 0);
            assert_eq!(device.recv(&mut []).unwrap(), 0);
            assert_eq!(device.try_recv_vectored(&mut []).unwrap(), 0);
            let buffers = &mut [IoSliceMut::new(&mut []), IoSliceMut::new(&mut [])];
            assert_eq!(device.try_recv_vectored(buffers).unwrap(), 0);
            inject(harness, "tun0", &ipv4(60));
        }
        for _ in 0..2 {
            assert!(received(&device).ends_with(&ipv4(60)));
        }
        assert_empty(&device);
    }
}

fn buffers_are_filled_one_after_the_other<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    inject(harness, "tun0", &ipv4(60));
    let (mut head, mut middle, mut tail) = ([0xee; 20], [0xee; 30], [0xee; 30]);
    let buffers = &mut [IoSliceMut::new(&mut head), IoSliceMut::new(&mut middle), IoSliceMut::new(&mut tail)];
    assert_eq!(device.try_recv_vectored(buffers).unwrap(), 60);
    assert_eq!([&head[..], &middle, &tail[..10]].concat(), ipv4(60));
    assert_eq!(tail[10..], [0xee; 20]);
}

fn buffers_without_room_among_others_are_passed_over<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    inject(harness, "tun0", &ipv4(28));
    let mut bytes = [0xee; 29];
    let mut buffers = vec![IoSliceMut::new(&mut [])];
    for byte in bytes.chunks_mut(1) {
        buffers.extend([IoSliceMut::new(byte), IoSliceMut::new(&mut [])]);
    }
    assert_eq!(device.try_recv_vectored(&mut buffers).unwrap(), 28);
    assert_eq!((&bytes[..28], bytes[28]), (&ipv4(28)[..], 0xee));
}

fn a_header_may_be_split_between_buffers<H: Harness>(harness: &H) {
    let device = up(harness, with_headers(CreateOptions::tun(), true, true), "tun0");
    // Between the headers and the packet, inside of each, and bytewise.
    for rooms in [vec![4, 10, 60], vec![14, 60], vec![3, 10, 61], vec![1; 74]] {
        inject(harness, "tun0", &ipv4(60));
        let mut pieces: Vec<_> = rooms.iter().map(|&room| vec![0xee; room]).collect();
        let mut buffers: Vec<_> = pieces.iter_mut().map(|piece| IoSliceMut::new(piece)).collect();
        assert_eq!(device.try_recv_vectored(&mut buffers).unwrap(), 74);
        assert_eq!(pieces.concat(), [&[0, 0, 8, 0][..], &[0; 10], &ipv4(60)].concat());
    }
}

fn too_many_buffers_are_refused_and_take_nothing<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let receive = |count: usize, room: usize| {
        let mut bytes = vec![0; count * room];
        let mut buffers: Vec<_> = (0..count).map(|_| IoSliceMut::new(&mut [])).collect();
        for (buffer, part) in buffers.iter_mut().zip(bytes.chunks_mut(room.max(1))) {
            *buffer = IoSliceMut::new(part);
        }
        (device.try_recv_vectored(&mut buffers), bytes)
    };
    // Before it is said that nothing is there.
    refused_with(receive(1025, 1).0, Cause::TooManyPieces, errno::EINVAL);
    inject(harness, "tun0", &ipv4(60));
    for room in [0, 1] {
        refused_with(receive(1025, room).0, Cause::TooManyPieces, errno::EINVAL);
    }
    let mut buffers: Vec<_> = (0..2000).map(|_| IoSliceMut::new(&mut [])).collect();
    refused_with(device.recv_vectored(&mut buffers), Cause::TooManyPieces, errno::EINVAL);
    let (length, bytes) = receive(1000, 1);
    assert_eq!((length.unwrap(), &bytes[..60]), (60, &ipv4(60)[..]));
}

fn buffers_that_are_too_short_together_lose_the_tail<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().packet_information(true), "tun0");
    inject(harness, "tun0", &ipv4(60));
    inject(harness, "tun0", &ipv4(28));
    let (mut information, mut packet) = ([0; 4], [0; 59]);
    let buffers = &mut [IoSliceMut::new(&mut information), IoSliceMut::new(&mut packet)];
    assert_eq!(device.try_recv_vectored(buffers).unwrap(), 63);
    assert!(PacketInfo::parse(&information).unwrap().0.is_stripped());
    assert_eq!(packet, ipv4(60)[..59]);
    assert_eq!(received(&device)[4..], ipv4(28));
}

fn buffers_without_room_for_the_header_together_are_too_short<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().packet_information(true), "tun0");
    inject(harness, "tun0", &ipv4(60));
    let (mut first, mut second) = ([0; 1], [0; 2]);
    let buffers = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
    refused_with(device.try_recv_vectored(buffers), Cause::TooShort, errno::EINVAL);
    assert_empty(&device);
}
