//! Impaired wires.

use std::time::Duration;

use tunctl_core::{Interface, TunDevice};
use tunctl_mock::{Delivery, Direction, Impairment, MockBackend};

use crate::{frame, packet, received, tap, tun};

/// A run over a wire with everything wrong: what arrived, and the trace.
fn run(seed: u64) -> (Vec<Vec<u8>>, String) {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tun(&kernel, "right"));
    kernel.cable(&left, &right).unwrap();
    kernel.record_trace();
    let late = Duration::ZERO..=Duration::from_millis(9);
    let all =
        Impairment::seeded(seed).drop(0.1).duplicate(0.1).reorder(0.2).corrupt(0.1).shorten(0.1).delay(late);
    kernel.impair(&left, Direction::FromDevice, all);
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
    for seed in 0..20 {
        let kernel = MockBackend::new();
        let (left, right) = (tap(&kernel, "left"), tap(&kernel, "right"));
        kernel.cable(&left, &right).unwrap();
        kernel.record_trace();
        right.interface().set_queue_length(10).unwrap();
        let late = Duration::ZERO..=Duration::from_millis(3);
        let bad = Impairment::seeded(seed).drop(0.2).duplicate(0.2).reorder(0.3).shorten(0.4);
        kernel.impair(&left, Direction::FromDevice, bad.clone().delay(late.clone()));
        kernel.impair(&right, Direction::ToDevice, bad.delay(late));
        let mut arrived = 0;
        for number in 0..60 {
            if number == 30 {
                right.down().unwrap();
            }
            left.send(&frame(1, 2, number)).unwrap();
            if number % 20 == 19 {
                kernel.advance(Duration::from_millis(2));
                arrived += received(&right).len();
            }
        }
        // What is still under way goes down with the interface.
        kernel.delete(&right);
        kernel.advance(Duration::from_millis(9));
        let doubled = kernel.trace().matches("twice").count();
        let lost = kernel.lost(&left) + kernel.lost(&right) + kernel.dropped(&right);
        // The end of the cable that is left belongs to the system again.
        let taken = kernel.packets(&left).len();
        let waiting = 60 + doubled - arrived - taken - usize::try_from(lost).unwrap();
        assert_eq!(waiting, 0, "seed {seed}:\n{}", kernel.trace());
    }
}

#[test]
fn a_packet_that_is_held_back_is_overtaken_by_the_next() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.impair(&device, Direction::ToDevice, Impairment::seeded(1).reorder(1.0));
    assert_eq!(kernel.inject(&device, packet(2, 1, 0)), Delivery::Impaired);
    kernel.impair(&device, Direction::ToDevice, Impairment::seeded(1));
    assert_eq!(received(&device), [packet(2, 1, 0)], "a new wire lets it go");

    kernel.impair(&device, Direction::ToDevice, Impairment::seeded(1).reorder(1.0));
    kernel.inject(&device, packet(2, 1, 1));
    kernel.advance(Duration::ZERO);
    assert_eq!(received(&device), [packet(2, 1, 1)], "time does too");

    // With a chance of a half, there are pairs in the wrong order, and nothing is lost.
    kernel.impair(&device, Direction::ToDevice, Impairment::seeded(1).reorder(0.5));
    for number in 0..50 {
        kernel.inject(&device, packet(2, 1, number));
    }
    kernel.repair(&device, Direction::ToDevice);
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
    kernel.impair(&device, Direction::FromDevice, Impairment::seeded(1).delay(tenth..=tenth));
    device.send(&packet(1, 2, 0)).unwrap();
    kernel.advance(Duration::from_millis(99));
    assert_eq!(kernel.take(&device), None);
    kernel.advance(Duration::from_millis(1));
    assert_eq!(kernel.take(&device), Some(packet(1, 2, 0)));
    assert_eq!(kernel.now(), tenth);
}

#[test]
fn late_packets_stay_in_order_and_survive_the_end_of_another_interface() {
    let kernel = MockBackend::new();
    let (device, other) = (tun(&kernel, "tun0"), tun(&kernel, "tun1"));
    let tenth = Duration::from_millis(100);
    for device in [&device, &other] {
        kernel.impair(device, Direction::ToDevice, Impairment::seeded(1).delay(tenth..=tenth));
        for number in 0..3 {
            assert_eq!(kernel.inject(device, packet(2, 1, number)), Delivery::Impaired);
        }
    }
    kernel.delete(&other);
    kernel.advance(tenth);
    assert_eq!(received(&device), [0, 1, 2].map(|number| packet(2, 1, number)));
    assert_eq!(kernel.inject(&device, packet(2, 1, 3)), Delivery::Impaired, "its wire is as it was");
}

#[test]
fn what_has_no_chance_never_happens() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    // The first number of this seed is 0.
    kernel.impair(&device, Direction::ToDevice, Impairment::seeded(0x61c8_8646_80b5_83eb));
    assert_eq!(kernel.inject(&device, packet(2, 1, 0)), Delivery::Queued);
}

/// A seed is a promise: no release may change what it does.
#[test]
fn a_seed_does_the_same_in_every_release() {
    const TRACE: &str = "\
0 µs, to tun0: 21 bytes, bit 40 flipped, cut to 17, twice
0 µs, from tun0: 21 bytes, bit 40 flipped, cut to 17, 2559 µs late, twice
1000 µs, to tun0: 21 bytes, bit 30 flipped, held back
1000 µs, from tun0: 21 bytes, bit 30 flipped, 1491 µs late, held back
2000 µs, to tun0: 21 bytes, cut to 8
2000 µs, from tun0: 21 bytes, cut to 8, 1911 µs late
";
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.record_trace();
    let slow = Duration::from_millis(1)..=Duration::from_millis(3);
    let all = Impairment::seeded(11).drop(0.1).duplicate(0.3).reorder(0.2).corrupt(0.6).shorten(0.2);
    kernel.impair(&device, Direction::ToDevice, all.clone());
    kernel.impair(&device, Direction::FromDevice, all.delay(slow));
    for number in 0..3 {
        kernel.inject(&device, packet(2, 1, number));
        device.send(&packet(1, 2, number)).unwrap();
        kernel.advance(Duration::from_millis(1));
    }
    assert_eq!(kernel.trace(), TRACE);
    let mut cut = packet(2, 1, 0)[..17].to_vec();
    cut[5] ^= 1;
    assert_eq!(received(&device)[..2], [cut.clone(), cut]);
}

#[test]
fn what_overtakes_arrives_first_also_on_a_slow_wire() {
    for seed in 0..50 {
        let kernel = MockBackend::new();
        let device = tun(&kernel, "tun0");
        kernel.record_trace();
        let slow = Duration::from_millis(5);
        kernel.impair(&device, Direction::ToDevice, Impairment::seeded(seed).reorder(0.5).delay(slow..=slow));
        for number in 0..6 {
            kernel.inject(&device, packet(2, 1, number));
        }
        assert!(received(&device).is_empty(), "nothing is faster than the wire");
        let held: Vec<bool> = kernel.trace().lines().map(|line| line.ends_with("held back")).collect();
        kernel.advance(slow);
        // Those that the last packet did not overtake set out only now.
        kernel.advance(slow);
        let numbers: Vec<usize> = received(&device).iter().map(|packet| usize::from(packet[20])).collect();
        let mut expected = Vec::new();
        let mut waiting = Vec::new();
        for (number, &is_held) in held.iter().enumerate() {
            waiting.push(number);
            if !is_held {
                expected.push(number);
                waiting.pop();
                expected.append(&mut waiting);
            }
        }
        expected.append(&mut waiting);
        assert_eq!(numbers, expected, "seed {seed}:\n{}", kernel.trace());
    }
}

#[test]
fn no_time_is_too_long() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.advance(Duration::from_secs(1));
    kernel.impair(&device, Direction::FromDevice, Impairment::seeded(1).delay(Duration::MAX..=Duration::MAX));
    device.send(&packet(1, 2, 0)).unwrap();
    kernel.advance(Duration::MAX);
    assert_eq!(kernel.take(&device), Some(packet(1, 2, 0)));
    kernel.advance(Duration::from_nanos(1));
}

#[test]
#[should_panic(expected = "a chance is from 0 to 1")]
fn a_chance_is_a_chance() {
    let _ = Impairment::seeded(1).drop(f64::NAN);
}
