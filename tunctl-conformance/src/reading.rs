//! Receiving packets.

use std::io::IoSliceMut;

use tunctl_packet::{EtherType, PacketInfo};

use crate::Harness;
use crate::case::{Case, suite};
use crate::expect::{assert_empty, errno, frame, ipv4, ipv6, name, received, refused_with, up};
use tunctl_core::{Cause, CreateOptions, TunDevice};

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
        packet_information_names_what_follows_on_a_tun,
        packet_information_repeats_the_ether_type_of_a_frame,
        the_virtio_net_header_of_a_plain_packet_is_ten_zeros,
        packet_information_stands_before_the_virtio_net_header,
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
pub(crate) fn inject<H: Harness>(harness: &H, text: &str, packet: &[u8]) {
    assert!(harness.inject(&name(text), packet), "{} bytes into {text}", packet.len());
}

pub(crate) fn with_headers(options: CreateOptions, packet_information: bool, vnet: bool) -> CreateOptions {
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
    let tun = up(harness, CreateOptions::tun().mtu(65535), "tun0");
    inject(harness, "tun0", &ipv4(65535));
    assert_eq!(received(&tun), ipv4(65535));
    let tap = up(harness, CreateOptions::tap().mtu(65521), "tap0");
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
