//! Sending packets.

use std::io::IoSlice;

use tunctl_packet::{EtherType, PacketInfo};

use crate::case::{Case, suite};
use crate::expect::{assert_empty, create, errno, frame, ipv4, ipv6, name, refused_with, tap, tun, up};
use crate::names_and_errnos::has_linux_errnos;
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, CreateOptions, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Writing:
        the_system_receives_the_packet_that_was_sent,
        the_system_receives_the_frame_that_was_sent,
        packets_arrive_in_the_order_in_which_they_were_sent,
        a_clone_sends_to_the_same_interface,
        what_is_sent_does_not_come_back,
        a_packet_longer_than_the_mtu_is_sent_whole,
        a_packet_longer_than_ip_allows_is_sent_whole,
        for_a_packet_of_five_mebibytes_there_is_no_buffer,
        an_interface_that_is_down_takes_no_packets,
        a_tun_refuses_what_is_neither_ipv4_nor_ipv6,
        a_packet_of_no_bytes_is_too_short,
        a_frame_shorter_than_an_ethernet_header_is_too_short,
        an_ethernet_header_alone_is_a_frame,
        a_tap_takes_frames_of_every_ether_type,
        what_is_malformed_is_said_before_that_the_interface_is_down,
        a_refused_packet_leaves_no_trace,
        packet_information_is_no_part_of_the_packet,
        packet_information_is_taken_as_it_is,
        packet_information_alone_is_an_empty_packet_that_nobody_sees,
        packet_information_that_is_cut_short_is_too_short,
        a_frame_behind_packet_information_needs_its_ethernet_header,
        pieces_are_one_packet,
        no_pieces_and_empty_pieces_are_too_short,
        headers_may_come_in_pieces_of_their_own,
        a_packet_of_too_many_pieces_is_refused,
        too_many_pieces_are_said_before_anything_else,
    ]
}

/// A tun that is up, or a tap if its name says so.
fn ready<H: Harness>(
    harness: &H,
    text: &str,
    configure: impl Fn(CreateOptions) -> CreateOptions,
) -> DeviceOf<H> {
    let options = if text.starts_with("tap") { CreateOptions::tap() } else { CreateOptions::tun() };
    up(harness, configure(options), text)
}

fn plain(options: CreateOptions) -> CreateOptions {
    options
}

fn informed(options: CreateOptions) -> CreateOptions {
    options.packet_information(true)
}

/// Sends `headers` and `packet`, of which the system receives the packet.
#[track_caller]
pub(crate) fn assert_sent<H: Harness>(harness: &H, device: &DeviceOf<H>, headers: &[u8], packet: &[u8]) {
    let mut seen = harness.observe(&device.name().unwrap());
    let whole = [headers, packet].concat();
    assert_eq!(device.try_send(&whole).unwrap(), whole.len());
    assert_eq!(seen.take().as_deref(), Some(packet));
    assert_eq!(seen.take(), None);
}

/// Each form of sending `packet` is refused, and nothing arrives.
#[track_caller]
pub(crate) fn assert_refused<H: Harness>(
    harness: &H,
    device: &DeviceOf<H>,
    packet: &[u8],
    cause: Cause,
    number: i32,
) {
    let mut seen = harness.observe(&device.name().unwrap());
    refused_with(device.try_send(packet), cause, number);
    refused_with(device.send(packet), cause, number);
    let (head, tail) = packet.split_at(packet.len() / 2);
    let pieces = [IoSlice::new(head), IoSlice::new(tail)];
    refused_with(device.try_send_vectored(&pieces), cause, number);
    refused_with(device.send_vectored(&pieces), cause, number);
    assert_eq!(seen.take(), None);
}

fn the_system_receives_the_packet_that_was_sent<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", plain);
    for packet in [ipv4(20), ipv4(60), ipv4(1500), ipv6(40), ipv6(1500), vec![0x4f], vec![0x60]] {
        assert_sent(harness, &device, &[], &packet);
    }
}

fn the_system_receives_the_frame_that_was_sent<H: Harness>(harness: &H) {
    let device = ready(harness, "tap0", plain);
    for payload in [ipv4(20), ipv4(60), ipv4(1500)] {
        assert_sent(harness, &device, &[], &frame(0x0800, &payload));
    }
}

fn packets_arrive_in_the_order_in_which_they_were_sent<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", plain);
    let mut seen = harness.observe(&name("tun0"));
    let lengths = [28, 1500, 20, 77, 1499, 21];
    for length in lengths {
        device.send(&ipv4(length)).unwrap();
    }
    for length in lengths {
        assert_eq!(seen.take(), Some(ipv4(length)));
    }
    assert_eq!(seen.take(), None);
}

fn a_clone_sends_to_the_same_interface<H: Harness>(harness: &H) {
    let first = ready(harness, "tun0", plain);
    let second = first.try_clone().unwrap();
    assert_sent(harness, &second, &[], &ipv4(28));
    drop(first);
    assert_sent(harness, &second, &[], &ipv4(29));
}

fn what_is_sent_does_not_come_back<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", plain);
    let tap = ready(harness, "tap0", plain);
    device.send(&ipv4(60)).unwrap();
    tap.send(&frame(0x0800, &ipv4(60))).unwrap();
    assert_empty(&device);
    assert_empty(&tap);
}

fn a_packet_longer_than_the_mtu_is_sent_whole<H: Harness>(harness: &H) {
    let tun = ready(harness, "tun0", plain);
    let tap = ready(harness, "tap0", plain);
    for length in [1501, 9000, 65535] {
        assert_sent(harness, &tun, &[], &ipv4(length));
        assert_sent(harness, &tap, &[], &frame(0x0800, &ipv4(length)));
    }
}

fn a_packet_longer_than_ip_allows_is_sent_whole<H: Harness>(harness: &H) {
    let tun = ready(harness, "tun0", plain);
    let tap = ready(harness, "tap0", plain);
    for length in [65536, 70_000, 100_000] {
        assert_sent(harness, &tun, &[], &vec![0x45; length]);
        assert_sent(harness, &tap, &[], &frame(0x0800, &vec![0x45; length]));
    }
}

fn for_a_packet_of_five_mebibytes_there_is_no_buffer<H: Harness>(harness: &H) {
    const LENGTH: usize = 5 << 20;
    let tun = ready(harness, "tun0", plain);
    let tap = ready(harness, "tap0", plain);
    let informed = ready(harness, "tun1", informed);
    // Before it is looked at: this is no packet.
    for (device, first) in [(&tun, 0x45), (&tun, 0x15), (&tap, 0), (&informed, 0)] {
        assert_refused(harness, device, &vec![first; LENGTH], Cause::NoBuffers, errno::ENOBUFS);
    }
    harness.set_up(&name("tun0"), false);
    assert_refused(harness, &tun, &vec![0x45; LENGTH], Cause::NoBuffers, errno::ENOBUFS);
}

fn an_interface_that_is_down_takes_no_packets<H: Harness>(harness: &H) {
    let tun = tun(harness, "tun0");
    let tap = tap(harness, "tap0");
    for _ in 0..2 {
        assert_refused(harness, &tun, &ipv4(60), Cause::Down, errno::EIO);
        assert_refused(harness, &tap, &frame(0x0800, &ipv4(60)), Cause::Down, errno::EIO);
        for text in ["tun0", "tap0"] {
            harness.set_up(&name(text), true);
        }
        assert_sent(harness, &tun, &[], &ipv4(60));
        assert_sent(harness, &tap, &[], &frame(0x0800, &ipv4(60)));
        for text in ["tun0", "tap0"] {
            harness.set_up(&name(text), false);
        }
    }
}

fn a_tun_refuses_what_is_neither_ipv4_nor_ipv6<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", plain);
    for version in (0..16).filter(|version| ![4, 6].contains(version)) {
        assert_refused(harness, &device, &[version << 4 | 5; 40], Cause::MalformedPacket, errno::EINVAL);
        assert_refused(harness, &device, &[version << 4], Cause::MalformedPacket, errno::EINVAL);
    }
}

fn a_packet_of_no_bytes_is_too_short<H: Harness>(harness: &H) {
    for text in ["tun0", "tap0"] {
        let device = ready(harness, text, plain);
        assert_refused(harness, &device, &[], Cause::TooShort, errno::EINVAL);
    }
}

fn a_frame_shorter_than_an_ethernet_header_is_too_short<H: Harness>(harness: &H) {
    let device = ready(harness, "tap0", plain);
    for length in 1..14 {
        assert_refused(harness, &device, &vec![0; length], Cause::TooShort, errno::EINVAL);
    }
}

fn an_ethernet_header_alone_is_a_frame<H: Harness>(harness: &H) {
    let device = ready(harness, "tap0", plain);
    assert_sent(harness, &device, &[], &frame(0x0800, &[]));
    assert_sent(harness, &device, &[], &[0; 14]);
}

fn a_tap_takes_frames_of_every_ether_type<H: Harness>(harness: &H) {
    let device = ready(harness, "tap0", plain);
    // The first are no types, but lengths of IEEE 802.3 frames. What they carry is nobody's concern here.
    for ether_type in [0, 46, 0x05ff, 0x0600, 0x0806, 0x86dd, 0x8863, 0x88cc, 0x9000, 0xffff] {
        assert_sent(harness, &device, &[], &frame(ether_type, &[0x15; 46]));
    }
}

fn what_is_malformed_is_said_before_that_the_interface_is_down<H: Harness>(harness: &H) {
    let plain = tun(harness, "tun0");
    assert_refused(harness, &plain, &[0x15; 60], Cause::MalformedPacket, errno::EINVAL);
    assert_refused(harness, &plain, &[], Cause::TooShort, errno::EINVAL);
    assert_refused(harness, &tap(harness, "tap0"), &[0; 13], Cause::TooShort, errno::EINVAL);
    let informed = create(harness, CreateOptions::tun().packet_information(true), "tun1");
    assert_refused(harness, &informed, &[0, 0, 8], Cause::TooShort, errno::EINVAL);
}

fn a_refused_packet_leaves_no_trace<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", plain);
    for refused in [&[0x15; 60][..], &[]] {
        assert!(device.send(refused).is_err());
        assert_sent(harness, &device, &[], &ipv4(60));
    }
}

fn packet_information_is_no_part_of_the_packet<H: Harness>(harness: &H) {
    let tun = ready(harness, "tun0", informed);
    for packet in [ipv4(60), ipv6(60)] {
        let information = PacketInfo::for_packet(&packet).unwrap().to_bytes();
        assert_sent(harness, &tun, &information, &packet);
    }
    let tap = ready(harness, "tap0", informed);
    let information = PacketInfo::new(EtherType::ARP).to_bytes();
    assert_sent(harness, &tap, &information, &frame(0x0806, &[0; 28]));
}

fn packet_information_is_taken_as_it_is<H: Harness>(harness: &H) {
    let tun = ready(harness, "tun0", informed);
    let tap = ready(harness, "tap0", informed);
    for information in [[0, 0, 0x86, 0xdd], [0, 0, 0x12, 0x34], [0, 0, 0, 0], [0xff, 0xff, 8, 0]] {
        // Nobody looks at the packet, not even at its version.
        assert_sent(harness, &tun, &information, &ipv4(60));
        assert_sent(harness, &tun, &information, &[0x15; 7]);
        assert_sent(harness, &tap, &information, &frame(0x88cc, &[1, 2, 3]));
    }
}

fn packet_information_alone_is_an_empty_packet_that_nobody_sees<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", informed);
    let mut seen = harness.observe(&name("tun0"));
    for information in [[0, 0, 8, 0], [0; 4], [0, 0, 0x86, 0xdd]] {
        assert_eq!(device.try_send(&information).unwrap(), 4);
    }
    assert_eq!(device.try_send_vectored(&[IoSlice::new(&[0, 0]), IoSlice::new(&[0, 0])]).unwrap(), 4);
    assert_eq!(seen.take(), None);
    harness.set_up(&name("tun0"), false);
    assert_refused(harness, &device, &[0, 0, 8, 0], Cause::Down, errno::EIO);
}

fn packet_information_that_is_cut_short_is_too_short<H: Harness>(harness: &H) {
    for text in ["tun0", "tap0"] {
        let device = ready(harness, text, informed);
        for length in 0..4 {
            assert_refused(harness, &device, &vec![0; length], Cause::TooShort, errno::EINVAL);
        }
    }
}

fn a_frame_behind_packet_information_needs_its_ethernet_header<H: Harness>(harness: &H) {
    let device = ready(harness, "tap0", informed);
    for length in [4, 5, 17] {
        assert_refused(harness, &device, &vec![0; length], Cause::TooShort, errno::EINVAL);
    }
    assert_sent(harness, &device, &[0; 4], &[0; 14]);
}

fn pieces_are_one_packet<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", plain);
    let mut seen = harness.observe(&name("tun0"));
    let packet = ipv4(60);
    let bytes: Vec<_> = packet.chunks(1).map(IoSlice::new).collect();
    let ends = [&packet[..1], &[], &packet[1..25], &packet[25..], &[]].map(IoSlice::new);
    for pieces in [&bytes[..], &ends] {
        assert_eq!(device.try_send_vectored(pieces).unwrap(), 60);
        assert_eq!(device.send_vectored(pieces).unwrap(), 60);
        for _ in 0..2 {
            assert_eq!(seen.take().as_ref(), Some(&packet));
        }
        assert_eq!(seen.take(), None);
    }
}

fn no_pieces_and_empty_pieces_are_too_short<H: Harness>(harness: &H) {
    for (text, configure) in
        [("tun0", plain as fn(CreateOptions) -> CreateOptions), ("tap0", plain), ("tun1", informed)]
    {
        let device = ready(harness, text, configure);
        for pieces in [&[][..], &[IoSlice::new(&[])], &[IoSlice::new(&[]), IoSlice::new(&[])]] {
            refused_with(device.try_send_vectored(pieces), Cause::TooShort, errno::EINVAL);
            refused_with(device.send_vectored(pieces), Cause::TooShort, errno::EINVAL);
        }
    }
}

fn a_packet_of_too_many_pieces_is_refused<H: Harness>(harness: &H) {
    let device = ready(harness, "tun0", plain);
    let mut seen = harness.observe(&name("tun0"));
    let packet = ipv4(1200);
    let send = |count| {
        let pieces: Vec<_> = (0..count).map(|at| IoSlice::new(packet.get(at..=at).unwrap_or(&[]))).collect();
        (device.try_send_vectored(&pieces), device.send_vectored(&pieces))
    };
    let most = most_pieces();
    let (tried, waited) = send(most);
    assert_eq!((tried.unwrap(), waited.unwrap()), (most, most));
    for _ in 0..2 {
        assert_eq!(seen.take().as_deref(), Some(&packet[..most]));
    }
    for count in [1025, 1200, 3000] {
        let (tried, waited) = send(count);
        refused_with(tried, Cause::TooManyPieces, errno::EINVAL);
        refused_with(waited, Cause::TooManyPieces, errno::EINVAL);
        assert_eq!(seen.take(), None);
    }
}

/// The most pieces that a call takes. Where an address family goes before each packet, that is one of them.
fn most_pieces() -> usize {
    if has_linux_errnos() { 1024 } else { 1023 }
}

fn too_many_pieces_are_said_before_anything_else<H: Harness>(harness: &H) {
    // It is down, and nothing of this is a packet.
    let device = tun(harness, "tun0");
    let empty = [IoSlice::new(&[]); 1025];
    refused_with(device.try_send_vectored(&empty), Cause::TooManyPieces, errno::EINVAL);
    let malformed = [IoSlice::new(&[0x15]); 1025];
    refused_with(device.try_send_vectored(&malformed), Cause::TooManyPieces, errno::EINVAL);
}

fn headers_may_come_in_pieces_of_their_own<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().packet_information(true).vnet_header(true), "tun0");
    let mut seen = harness.observe(&name("tun0"));
    let whole = [&[0, 0, 8, 0][..], &[0; 10], &ipv4(60)].concat();
    // Between the headers and the packet, inside of each, and bytewise.
    for ends in [vec![4, 14], vec![14], vec![3, 13, 15], (1..74).collect()] {
        let starts = [vec![0], ends.clone()].concat();
        let ends = [ends, vec![74]].concat();
        let pieces = starts.iter().zip(&ends).map(|(&start, &end)| IoSlice::new(&whole[start..end]));
        assert_eq!(device.try_send_vectored(&pieces.collect::<Vec<_>>()).unwrap(), 74);
        assert_eq!(seen.take(), Some(ipv4(60)));
    }
}
