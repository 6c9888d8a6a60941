//! Receiving packets.

use std::io::IoSliceMut;

use tunctl_packet::{EtherType, PacketInfo};

use crate::Harness;
use crate::case::{Case, suite};
use crate::expect::{assert_empty, errno, frame, ipv4, ipv6, name, received, refused_with, up};
use tunctl_core::{Cause, CreateOptions, Interface, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Reading:
        an_empty_queue_would_block,
        a_tun_receives_a_packet_byte_for_byte,
        a_tap_receives_a_frame_byte_for_byte,
        a_packet_may_be_as_long_as_the_greatest_mtu,
        packets_come_one_by_one_in_the_order_in_which_they_were_sent,
        a_packet_is_received_once,
        the_system_sends_no_empty_packet_and_counts_none,
        what_is_behind_the_packet_in_the_buffer_stays,
        clones_share_one_queue,
        a_short_buffer_loses_the_tail_without_a_sign,
        the_strip_bit_tells_that_the_tail_is_lost,
        a_buffer_without_room_for_packet_information_is_too_short_and_loses_the_packet,
        a_buffer_without_room_for_the_virtio_net_header_is_too_short_and_loses_the_packet,
        a_buffer_without_room_for_both_headers_is_too_short_and_loses_the_packet,
        a_buffer_for_the_headers_alone_receives_them,
        a_buffer_for_nothing_receives_nothing_and_takes_nothing,
        packet_information_names_what_follows_on_a_tun,
        packet_information_repeats_the_ether_type_of_a_frame,
        the_virtio_net_header_of_a_plain_packet_is_ten_zeros,
        packet_information_stands_before_the_virtio_net_header,
        buffers_are_filled_one_after_the_other,
        buffers_without_room_among_others_are_passed_over,
        a_header_may_be_split_between_buffers,
        too_many_buffers_are_refused_and_take_nothing,
        buffers_that_are_too_short_together_lose_the_tail,
        buffers_without_room_for_the_header_together_are_too_short,
        a_packet_that_waits_is_received_while_the_interface_is_down,
        packets_that_wait_survive_down_and_up,
        nothing_is_delivered_while_the_interface_is_down,
        a_full_queue_of_a_tun_drops_what_comes_and_counts_it,
        a_full_queue_of_a_tap_drops_what_comes_and_counts_it,
        a_full_queue_has_room_again_when_half_of_it_was_read,
    ]
}

/// Has the system send a packet, which reaches the device.
#[track_caller]
fn inject<H: Harness>(harness: &H, text: &str, packet: &[u8]) {
    assert!(harness.inject(&name(text), packet), "{} bytes into {text}", packet.len());
}

fn with_headers(options: CreateOptions, packet_information: bool, vnet: bool) -> CreateOptions {
    options.packet_information(packet_information).vnet_header(vnet)
}

fn an_empty_queue_would_block<H: Harness>(harness: &H) {
    for (options, text) in [(CreateOptions::tun(), "tun0"), (CreateOptions::tap(), "tap0")] {
        let device = up(harness, options, text);
        refused_with(device.try_recv(&mut [0; 100]), Cause::WouldBlock, errno::EAGAIN);
        let mut buffer = [0; 100];
        let buffers = &mut [IoSliceMut::new(&mut buffer)];
        refused_with(device.try_recv_vectored(buffers), Cause::WouldBlock, errno::EAGAIN);
    }
}

fn a_tun_receives_a_packet_byte_for_byte<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    for packet in [ipv4(20), ipv4(21), ipv4(1500), ipv6(40), ipv6(1280), vec![0x45]] {
        inject(harness, "tun0", &packet);
        assert_eq!(received(&device), packet);
    }
}

fn a_tap_receives_a_frame_byte_for_byte<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    for (ether_type, payload) in
        [(0x0800, ipv4(1500)), (0x86dd, ipv6(60)), (0x0806, vec![0; 28]), (0x88cc, vec![1])]
    {
        let frame = frame(ether_type, &payload);
        inject(harness, "tap0", &frame);
        assert_eq!(received(&device), frame);
    }
}

fn a_packet_may_be_as_long_as_the_greatest_mtu<H: Harness>(harness: &H) {
    let tun = up(harness, CreateOptions::tun(), "tun0");
    tun.interface().set_mtu("65535".parse().unwrap()).unwrap();
    inject(harness, "tun0", &ipv4(65535));
    assert_eq!(received(&tun), ipv4(65535));
    let tap = up(harness, CreateOptions::tap(), "tap0");
    tap.interface().set_mtu("65521".parse().unwrap()).unwrap();
    let frame = frame(0x0800, &ipv4(65521));
    inject(harness, "tap0", &frame);
    assert_eq!(received(&tap), frame);
}

fn packets_come_one_by_one_in_the_order_in_which_they_were_sent<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let lengths = [28, 1500, 20, 77, 1499, 21];
    for length in lengths {
        inject(harness, "tun0", &ipv4(length));
    }
    for length in lengths {
        assert_eq!(received(&device), ipv4(length));
    }
}

fn a_packet_is_received_once<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    inject(harness, "tun0", &ipv4(60));
    assert_eq!(received(&device), ipv4(60));
    assert_empty(&device);
}

fn the_system_sends_no_empty_packet_and_counts_none<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    assert!(!harness.inject(&name("tun0"), &[]));
    assert_eq!(harness.dropped(&name("tun0")), 0);
    assert_empty(&device);
}

fn what_is_behind_the_packet_in_the_buffer_stays<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    inject(harness, "tun0", &ipv4(28));
    inject(harness, "tun0", &ipv4(28));
    let mut buffer = [0xee; 100];
    assert_eq!(device.try_recv(&mut buffer).unwrap(), 28);
    assert_eq!((&buffer[..28], &buffer[28..]), (&ipv4(28)[..], &[0xee; 72][..]));
}

fn clones_share_one_queue<H: Harness>(harness: &H) {
    let first = up(harness, CreateOptions::tun(), "tun0");
    let second = first.try_clone().unwrap();
    for length in [28, 29, 30] {
        inject(harness, "tun0", &ipv4(length));
    }
    assert_eq!(received(&second), ipv4(28));
    assert_eq!(received(&first), ipv4(29));
    drop(first);
    assert_eq!(received(&second), ipv4(30));
    assert_empty(&second);
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

fn packet_information_names_what_follows_on_a_tun<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().packet_information(true), "tun0");
    for (packet, protocol) in [(ipv4(60), EtherType::IPV4), (ipv6(60), EtherType::IPV6)] {
        inject(harness, "tun0", &packet);
        assert_eq!(received(&device), [&PacketInfo::new(protocol).to_bytes()[..], &packet].concat());
    }
}

fn packet_information_repeats_the_ether_type_of_a_frame<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap().packet_information(true), "tap0");
    // The last is no type, but the length of an IEEE 802.3 frame.
    for ether_type in [0x0800, 0x86dd, 0x0806, 0x88cc, 0xffff, 46] {
        let frame = frame(ether_type, &[0; 46]);
        inject(harness, "tap0", &frame);
        let information = PacketInfo::new(EtherType(ether_type)).to_bytes();
        assert_eq!(received(&device), [&information[..], &frame].concat());
    }
}

fn the_virtio_net_header_of_a_plain_packet_is_ten_zeros<H: Harness>(harness: &H) {
    let tun = up(harness, CreateOptions::tun().vnet_header(true), "tun0");
    inject(harness, "tun0", &ipv4(60));
    assert_eq!(received(&tun), [&[0; 10][..], &ipv4(60)].concat());
    let tap = up(harness, CreateOptions::tap().vnet_header(true), "tap0");
    let frame = frame(0x0800, &ipv4(60));
    inject(harness, "tap0", &frame);
    assert_eq!(received(&tap), [&[0; 10][..], &frame].concat());
}

fn packet_information_stands_before_the_virtio_net_header<H: Harness>(harness: &H) {
    let tun = up(harness, with_headers(CreateOptions::tun(), true, true), "tun0");
    inject(harness, "tun0", &ipv6(60));
    assert_eq!(received(&tun), [&[0, 0, 0x86, 0xdd][..], &[0; 10], &ipv6(60)].concat());
    let tap = up(harness, with_headers(CreateOptions::tap(), true, true), "tap0");
    let frame = frame(0x0806, &[0; 28]);
    inject(harness, "tap0", &frame);
    assert_eq!(received(&tap), [&[0, 0, 0x08, 0x06][..], &[0; 10], &frame].concat());
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

fn a_packet_that_waits_is_received_while_the_interface_is_down<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    inject(harness, "tun0", &ipv4(60));
    harness.set_up(&name("tun0"), false);
    assert_eq!(received(&device), ipv4(60));
    assert_empty(&device);
}

fn packets_that_wait_survive_down_and_up<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tap(), "tap0");
    inject(harness, "tap0", &frame(0x0800, &ipv4(28)));
    harness.set_up(&name("tap0"), false);
    harness.set_up(&name("tap0"), true);
    inject(harness, "tap0", &frame(0x0800, &ipv4(29)));
    assert_eq!(received(&device), frame(0x0800, &ipv4(28)));
    assert_eq!(received(&device), frame(0x0800, &ipv4(29)));
}

fn nothing_is_delivered_while_the_interface_is_down<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    harness.set_up(&name("tun0"), false);
    assert!(!harness.inject(&name("tun0"), &ipv4(60)));
    assert_empty(&device);
    harness.set_up(&name("tun0"), true);
    assert_empty(&device);
}

/// Fills a new queue, which takes `capacity` packets and not one more, and empties it: twice.
fn assert_capacity<H: Harness>(harness: &H, options: CreateOptions, packet: &[u8], capacity: usize) {
    let device = up(harness, options, "full");
    for _ in 0..2 {
        let before = harness.dropped(&name("full"));
        for _ in 0..capacity {
            inject(harness, "full", packet);
        }
        assert_eq!(harness.dropped(&name("full")), before);
        for _ in 0..3 {
            assert!(!harness.inject(&name("full"), packet));
        }
        assert_eq!(harness.dropped(&name("full")), before + 3);
        for _ in 0..capacity {
            assert_eq!(received(&device), packet);
        }
        assert_empty(&device);
    }
}

fn a_full_queue_of_a_tun_drops_what_comes_and_counts_it<H: Harness>(harness: &H) {
    let capacity = harness.profile().tun_queue_length;
    assert_capacity(harness, CreateOptions::tun(), &ipv4(28), capacity);
}

fn a_full_queue_of_a_tap_drops_what_comes_and_counts_it<H: Harness>(harness: &H) {
    let capacity = harness.profile().tap_queue_length;
    assert_capacity(harness, CreateOptions::tap(), &frame(0x0800, &ipv4(28)), capacity);
}

/// Not when the first packet is taken: Linux gives room back in batches.
fn a_full_queue_has_room_again_when_half_of_it_was_read<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun(), "tun0");
    let capacity = harness.profile().tun_queue_length;
    while harness.inject(&name("tun0"), &ipv4(28)) {}
    for _ in 0..capacity / 2 {
        assert_eq!(received(&device), ipv4(28));
    }
    inject(harness, "tun0", &ipv4(30));
    for _ in capacity / 2..capacity {
        assert_eq!(received(&device), ipv4(28));
    }
    assert_eq!(received(&device), ipv4(30));
}
