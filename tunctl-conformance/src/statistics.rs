//! What a system counts of an interface's packets: when, how much, and what in no counter.

use crate::case::{Case, suite};
use crate::expect::{
    create, frame, ipv4, name, named, not_applicable, open, persistent, received, refused, tun, up,
};
use crate::{DeviceOf, Harness};
use tunctl_core::{Cause, Counters, CreateOptions, Interface, Operation, Statistics, TunBackend, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Statistics:
        a_new_interface_has_counted_nothing,
        a_packet_to_the_program_counts_when_it_is_received,
        a_packet_that_is_cut_counts_whole,
        a_packet_from_the_program_counts_without_the_headers_in_front,
        a_tap_counts_its_ethernet_header,
        what_is_sent_while_the_interface_is_down_is_dropped,
        a_tun_drops_what_is_neither_ipv4_nor_ipv6,
        a_packet_too_long_for_the_system_is_dropped,
        a_virtio_net_header_that_does_not_fit_its_packet_is_an_error_of_a_tun,
        what_is_too_short_for_its_headers_is_in_no_counter,
        a_packet_lost_for_lack_of_room_for_headers_is_in_no_counter,
        what_finds_no_room_in_a_queue_is_dropped,
        a_queue_out_of_service_counts_what_it_sends,
        counters_stay_with_the_interface,
    ]
}

const UNCOUNTED: &str = "it does not count packets";

fn counts<H: Harness>(harness: &H) -> bool {
    let counts = harness.backend().capabilities().supports(Operation::ReadStatistics);
    if !counts {
        not_applicable(UNCOUNTED);
    }
    counts
}

/// What the backend says was counted, which is what the system says.
#[track_caller]
fn counted<H: Harness>(harness: &H, device: &DeviceOf<H>) -> Statistics {
    let name = device.name().unwrap();
    let counted = device.interface().statistics().unwrap();
    assert_eq!(Some(counted), harness.statistics(&name));
    assert_eq!(device.interface().dropped().unwrap(), counted.to_program.dropped);
    counted
}

fn passed(packets: u64, bytes: u64) -> Counters {
    let mut counters = Counters::default();
    (counters.packets, counters.bytes) = (packets, bytes);
    counters
}

fn dropped(packets: u64) -> Counters {
    let mut counters = Counters::default();
    counters.dropped = packets;
    counters
}

/// Asserts what was counted of the packets from the program, and that there were none to it.
#[track_caller]
fn assert_from_program<H: Harness>(harness: &H, device: &DeviceOf<H>, expected: Counters) {
    let counted = counted(harness, device);
    assert_eq!((counted.from_program, counted.to_program), (expected, Counters::default()));
}

#[track_caller]
fn assert_to_program<H: Harness>(harness: &H, device: &DeviceOf<H>, expected: Counters) {
    let counted = counted(harness, device);
    assert_eq!((counted.from_program, counted.to_program), (Counters::default(), expected));
}

fn a_new_interface_has_counted_nothing<H: Harness>(harness: &H) {
    if counts(harness) {
        for options in [CreateOptions::tun(), CreateOptions::tap()] {
            let device = up(harness, options, "new");
            assert_eq!(counted(harness, &device), Statistics::default());
            device.destroy().unwrap();
        }
    }
}

fn a_packet_to_the_program_counts_when_it_is_received<H: Harness>(harness: &H) {
    if !counts(harness) {
        return;
    }
    for (information, vnet) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = CreateOptions::tun().packet_information(information).vnet_header(vnet);
        let device = up(harness, options, "tun0");
        assert!(harness.inject(&name("tun0"), &ipv4(60)));
        assert!(harness.inject(&name("tun0"), &ipv4(20)));
        assert_to_program(harness, &device, Counters::default());
        received(&device);
        assert_to_program(harness, &device, passed(1, 60));
        received(&device);
        assert_to_program(harness, &device, passed(2, 80));
        device.destroy().unwrap();
    }
}

fn a_packet_that_is_cut_counts_whole<H: Harness>(harness: &H) {
    if counts(harness) {
        let device = up(harness, CreateOptions::tun(), "tun0");
        assert!(harness.inject(&name("tun0"), &ipv4(60)));
        assert_eq!(device.try_recv(&mut [0; 25]).unwrap(), 25);
        assert_to_program(harness, &device, passed(1, 60));
    }
}

fn a_packet_from_the_program_counts_without_the_headers_in_front<H: Harness>(harness: &H) {
    if !counts(harness) {
        return;
    }
    for (information, vnet) in [(false, false), (true, false), (false, true), (true, true)] {
        let options = CreateOptions::tun().packet_information(information).vnet_header(vnet);
        let device = up(harness, options, "tun0");
        let mut packet = vec![0; if vnet { 10 } else { 0 }];
        if information {
            packet.splice(0..0, [0, 0, 8, 0]);
        }
        packet.extend(ipv4(60));
        assert_eq!(device.try_send(&packet).unwrap(), packet.len());
        assert_from_program(harness, &device, passed(1, 60));
        device.destroy().unwrap();
    }
}

fn a_tap_counts_its_ethernet_header<H: Harness>(harness: &H) {
    if counts(harness) {
        let device = up(harness, CreateOptions::tap(), "tap0");
        let frame = frame(0x0800, &ipv4(46));
        device.try_send(&frame).unwrap();
        assert!(harness.inject(&name("tap0"), &frame));
        received(&device);
        let counted = counted(harness, &device);
        assert_eq!((counted.from_program, counted.to_program), (passed(1, 60), passed(1, 60)));
    }
}

fn what_is_sent_while_the_interface_is_down_is_dropped<H: Harness>(harness: &H) {
    if counts(harness) {
        let device = tun(harness, "tun0");
        for number in 1..=2 {
            refused(device.try_send(&ipv4(20)), Cause::Down);
            assert_from_program(harness, &device, dropped(number));
        }
    }
}

fn a_tun_drops_what_is_neither_ipv4_nor_ipv6<H: Harness>(harness: &H) {
    if counts(harness) {
        // In whatever state it is.
        for up in [false, true] {
            let device = tun(harness, "tun0");
            harness.set_up(&name("tun0"), up);
            refused(device.try_send(&[0x15; 20]), Cause::MalformedPacket);
            refused(device.try_send(&[]), Cause::TooShort);
            assert_from_program(harness, &device, dropped(2));
            device.destroy().unwrap();
        }
    }
}

fn a_packet_too_long_for_the_system_is_dropped<H: Harness>(harness: &H) {
    if counts(harness) {
        let device = up(harness, CreateOptions::tun(), "tun0");
        refused(device.try_send(&vec![0x45; 8 << 20]), Cause::NoBuffers);
        assert_from_program(harness, &device, dropped(1));
    }
}

fn a_virtio_net_header_that_does_not_fit_its_packet_is_an_error_of_a_tun<H: Harness>(harness: &H) {
    if !counts(harness) {
        return;
    }
    // On a tap, the system does not show that counter.
    let tap = up(harness, CreateOptions::tap().vnet_header(true), "tap0");
    let unknown = [&[0, 0x7f][..], &[0; 8], &frame(0x0800, &ipv4(20))].concat();
    refused(tap.try_send(&unknown), Cause::MalformedPacket);
    assert_from_program(harness, &tap, Counters::default());

    let device = up(harness, CreateOptions::tun().vnet_header(true), "tun0");
    let behind = |header: [u8; 10]| [&header[..], &ipv4(20)].concat();
    // A type of segmentation that nobody knows.
    refused(device.try_send(&behind([0, 0x7f, 0, 0, 0, 0, 0, 0, 0, 0])), Cause::MalformedPacket);
    // The place of a checksum behind the packet's end.
    refused(device.try_send(&behind([1, 0, 0, 0, 0, 0, 0x10, 0x10, 0, 0])), Cause::MalformedPacket);
    let counted = counted(harness, &device);
    let Counters { errors, dropped, packets, .. } = counted.from_program;
    // The kernel looks for the second fault before it has a buffer for the packet, and counts it nowhere.
    assert_eq!((errors, dropped, packets), (1, 0, 0));
}

fn what_is_too_short_for_its_headers_is_in_no_counter<H: Harness>(harness: &H) {
    if !counts(harness) {
        return;
    }
    let tap = CreateOptions::tap();
    let information = CreateOptions::tun().packet_information(true);
    let vnet = CreateOptions::tun().vnet_header(true);
    for (options, length) in [(tap, 13), (information, 3), (vnet, 9)] {
        let device = up(harness, options, "short");
        refused(device.try_send(&vec![0; length]), Cause::TooShort);
        assert_from_program(harness, &device, Counters::default());
        device.destroy().unwrap();
    }
}

fn a_packet_lost_for_lack_of_room_for_headers_is_in_no_counter<H: Harness>(harness: &H) {
    if counts(harness) {
        let device = up(harness, CreateOptions::tun().packet_information(true), "tun0");
        assert!(harness.inject(&name("tun0"), &ipv4(20)));
        refused(device.try_recv(&mut [0; 3]), Cause::TooShort);
        refused(device.try_recv(&mut [0; 100]), Cause::WouldBlock);
        assert_to_program(harness, &device, Counters::default());
    }
}

fn what_finds_no_room_in_a_queue_is_dropped<H: Harness>(harness: &H) {
    if counts(harness) {
        let device = up(harness, CreateOptions::tun().queue_length(2), "tun0");
        for _ in 0..5 {
            harness.inject(&name("tun0"), &ipv4(20));
        }
        assert_to_program(harness, &device, dropped(3));
    }
}

fn a_queue_out_of_service_counts_what_it_sends<H: Harness>(harness: &H) {
    if !counts(harness) {
        return;
    }
    let device = up(harness, CreateOptions::tun().multi_queue(true), "many");
    match harness.set_queue(&device, false) {
        Some(detached) => detached.unwrap(),
        None => return not_applicable(crate::expect::NO_QUEUES),
    }
    device.try_send(&ipv4(20)).unwrap();
    assert!(!harness.inject(&name("many"), &ipv4(20)));
    let counted = counted(harness, &device);
    assert_eq!((counted.from_program, counted.to_program), (passed(1, 20), dropped(1)));
}

fn counters_stay_with_the_interface<H: Harness>(harness: &H) {
    if !counts(harness) {
        return;
    }
    persistent(harness, CreateOptions::tun(), "tun0");
    let device = open(harness, CreateOptions::tun(), "tun0").unwrap();
    harness.set_up(&name("tun0"), true);
    device.try_send(&ipv4(20)).unwrap();
    harness.set_up(&name("tun0"), false);
    assert!(harness.rename(&name("tun0"), &name("tun1")));
    drop(device);
    let device = harness.backend().open(&named(CreateOptions::tun(), "tun1")).unwrap();
    assert_from_program(harness, &device, passed(1, 20));
    // Another one of the name counts anew.
    device.destroy().unwrap();
    let device = create(harness, CreateOptions::tun(), "tun1");
    assert_from_program(harness, &device, Counters::default());
}
