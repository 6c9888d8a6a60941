//! Bad wires.

use std::time::Duration;

use tunctl_core::TunDevice;
use tunctl_mock::{Delivery, Impairment, MockBackend, Way};

use crate::{packet, received, tun};

/// A run over a wire with everything wrong: what arrived, and the trace.
fn run(seed: u64) -> (Vec<Vec<u8>>, String) {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tun(&kernel, "right"));
    kernel.cable(&left, &right).unwrap();
    kernel.record_trace();
    let late = Duration::ZERO..=Duration::from_millis(9);
    let all =
        Impairment::seeded(seed).drop(0.1).duplicate(0.1).reorder(0.2).corrupt(0.1).shorten(0.1).delay(late);
    kernel.impair(&left, Way::FromDevice, all);
    let mut arrived = Vec::new();
    for number in 0..100 {
        left.send(&packet(1, 2, number)).unwrap();
        kernel.advance(Duration::from_millis(1));
        arrived.extend(received(&right));
    }
    kernel.advance(Duration::from_millis(20));
    arrived.extend(received(&right));
    (arrived, kernel.trace())
}

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    assert_eq!(run(42), run(42));
    assert_ne!(run(42).0, run(43).0);
    let (_, trace) = run(42);
    assert_eq!(trace.lines().count(), 100);
    for word in ["lost", "twice", "held back", "flipped", "cut to", "late"] {
        assert!(trace.contains(word), "{word} is not in:\n{trace}");
    }
}

#[test]
fn every_packet_arrives_or_is_counted() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.impair(&device, Way::ToDevice, Impairment::seeded(5).drop(0.3));
    let deliveries = (0..100).map(|number| kernel.inject(&device, packet(2, 1, number)));
    let impaired = deliveries.filter(|&delivery| delivery == Delivery::Impaired).count();
    assert_eq!(received(&device).len() + impaired, 100);
    assert_eq!(kernel.lost(&device), impaired as u64);
    assert!(impaired > 10);
}

#[test]
fn a_packet_that_is_held_back_is_overtaken_by_the_next() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.impair(&device, Way::ToDevice, Impairment::seeded(1).reorder(1.0));
    assert_eq!(kernel.inject(&device, packet(2, 1, 0)), Delivery::Impaired);
    kernel.impair(&device, Way::ToDevice, Impairment::seeded(1));
    assert_eq!(received(&device), [packet(2, 1, 0)], "a new wire lets it go");

    kernel.impair(&device, Way::ToDevice, Impairment::seeded(1).reorder(1.0));
    kernel.inject(&device, packet(2, 1, 1));
    kernel.advance(Duration::ZERO);
    assert_eq!(received(&device), [packet(2, 1, 1)], "time does too");

    // With a chance of a half, there are pairs in the wrong order, and nothing is lost.
    kernel.impair(&device, Way::ToDevice, Impairment::seeded(1).reorder(0.5));
    for number in 0..50 {
        kernel.inject(&device, packet(2, 1, number));
    }
    kernel.repair(&device, Way::ToDevice);
    let mut numbers: Vec<u8> = received(&device).iter().map(|packet| packet[20]).collect();
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, (0..50).collect::<Vec<u8>>());
}

#[test]
fn a_late_packet_arrives_when_it_is_due() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    let tenth = Duration::from_millis(100);
    kernel.impair(&device, Way::FromDevice, Impairment::seeded(1).delay(tenth..=tenth));
    device.send(&packet(1, 2, 0)).unwrap();
    kernel.advance(Duration::from_millis(99));
    assert_eq!(kernel.take(&device), None);
    kernel.advance(Duration::from_millis(1));
    assert_eq!(kernel.take(&device), Some(packet(1, 2, 0)));
    assert_eq!(kernel.now(), tenth);
}
