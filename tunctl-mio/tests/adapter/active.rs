//! What is delivered in active mode, and when.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use tunctl_conformance::DeviceOf;
use tunctl_core::active::{ActiveDevice, ActiveEvent, ActiveMode, ActiveOptions, PacketEvents, activate};
use tunctl_core::{Cause, Operation, TunDevice};
use tunctl_mock::{Errno, Fault, MockBackend};
use tunctl_testing::{Case, on_both};

use super::support::{A_MOMENT, LONG, System, inject, name, number, tun};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![
        packets_come_in_order,
        off_delivers_nothing_and_the_device_is_the_programs,
        once_is_one,
        a_count_delivers_that_many_and_then_passive,
        a_count_begins_anew,
        a_count_of_nothing_is_off,
        the_mode_has_how_many_are_left,
        after_active_mode_plain_receives_work,
        what_was_taken_before_a_change_is_delivered,
        a_hand_over_keeps_every_packet_and_their_order,
        buffers_are_reused,
        a_consumer_that_keeps_packets_is_served_with_the_rest,
        a_consumer_that_keeps_all_stops_the_reading_and_loses_nothing,
        a_receive_ends_in_time,
        a_packet_may_be_changed_in_place,
        what_is_received_is_counted,
    ];
    cases.push(Case::new(
        "memory::active::an_error_is_delivered_and_turns_it_off",
        an_error_is_delivered_and_turns_it_off,
    ));
    cases.into_iter().collect()
}

pub(crate) type Activated<H> = (ActiveDevice<DeviceOf<H>>, PacketEvents);

pub(crate) fn activated<H: System>(harness: &H, mode: ActiveMode) -> Activated<H> {
    activate(tun(harness, "tun0"), ActiveOptions::default(), mode).unwrap()
}

pub(crate) fn options(capacity: usize) -> ActiveOptions {
    ActiveOptions::default().capacity(NonZeroUsize::new(capacity).unwrap())
}

/// The number in the next event's packet.
#[track_caller]
pub(crate) fn next(events: &mut PacketEvents) -> u32 {
    match events.recv_timeout(LONG) {
        Some(ActiveEvent::Packet(packet)) => number(&packet),
        other => panic!("no packet, but {other:?}"),
    }
}

#[track_caller]
fn nothing(events: &mut PacketEvents) {
    let event = events.recv_timeout(A_MOMENT);
    assert!(event.is_none() && !events.is_ended(), "{event:?}");
}

fn fill<H: System>(harness: &H, numbers: std::ops::Range<u32>) {
    numbers.for_each(|number| inject(harness, "tun0", number));
}

fn packets_come_in_order<H: System>(harness: &H) {
    let (_tun, mut events) = activated(harness, ActiveMode::On);
    for round in 0..50 {
        fill(harness, round * 10..round * 10 + 10);
        (0..10).for_each(|number| assert_eq!(next(&mut events), round * 10 + number));
    }
    nothing(&mut events);
}

fn off_delivers_nothing_and_the_device_is_the_programs<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Off);
    fill(harness, 0..3);
    nothing(&mut events);
    let mut buffer = [0; 100];
    let length = tun.device().try_recv(&mut buffer).unwrap();
    assert_eq!(number(&buffer[..length]), 0);
    tun.set_mode(ActiveMode::On);
    assert_eq!([next(&mut events), next(&mut events)], [1, 2]);
}

fn once_is_one<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Once);
    fill(harness, 0..3);
    for expected in 0..3 {
        assert_eq!(next(&mut events), expected);
        nothing(&mut events);
        assert_eq!(tun.mode(), ActiveMode::Off);
        tun.set_mode(ActiveMode::Once);
    }
}

fn a_count_delivers_that_many_and_then_passive<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Count(2));
    fill(harness, 0..5);
    for expected in [[0, 1], [2, 3]] {
        assert_eq!([next(&mut events), next(&mut events)], expected);
        assert!(matches!(events.recv_timeout(LONG), Some(ActiveEvent::Passive)));
        nothing(&mut events);
        assert_eq!(tun.mode(), ActiveMode::Off);
        tun.set_mode(ActiveMode::Count(2));
    }
    assert_eq!(next(&mut events), 4);
    nothing(&mut events);
    assert_eq!(tun.mode(), ActiveMode::Count(1));
}

fn a_count_begins_anew<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Count(10));
    fill(harness, 0..1);
    assert_eq!(next(&mut events), 0);
    tun.set_mode(ActiveMode::Count(1));
    fill(harness, 1..3);
    assert_eq!(next(&mut events), 1);
    assert!(matches!(events.recv_timeout(LONG), Some(ActiveEvent::Passive)));
    nothing(&mut events);
}

fn a_count_of_nothing_is_off<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Count(0));
    assert_eq!(tun.mode(), ActiveMode::Off);
    fill(harness, 0..1);
    nothing(&mut events);
    tun.set_mode(ActiveMode::Count(0));
    assert_eq!(tun.mode(), ActiveMode::Off);
    tun.set_mode(ActiveMode::On);
    assert_eq!(next(&mut events), 0);
}

fn the_mode_has_how_many_are_left<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Count(5));
    assert_eq!(tun.mode(), ActiveMode::Count(5));
    fill(harness, 0..3);
    for _ in 0..3 {
        next(&mut events);
    }
    assert_eq!(tun.mode(), ActiveMode::Count(2));
}

/// The original hands a device to its poller for good, and a plain read after that waits for ever.
fn after_active_mode_plain_receives_work<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Off);
    let mut buffer = [0; 100];
    for round in 0..100 {
        tun.set_mode(ActiveMode::On);
        inject(harness, "tun0", 2 * round);
        assert_eq!(next(&mut events), 2 * round);
        tun.set_mode(ActiveMode::Off);
        inject(harness, "tun0", 2 * round + 1);
        let length = tun.device().recv_timeout(&mut buffer, LONG).unwrap();
        assert_eq!(number(&buffer[..length]), 2 * round + 1);
    }
    assert!(events.try_recv().is_none());
}

fn what_was_taken_before_a_change_is_delivered<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Off);
    for round in 0..100 {
        fill(harness, 0..200);
        tun.set_mode(ActiveMode::On);
        if round % 2 == 0 {
            thread::yield_now();
        }
        tun.set_mode(ActiveMode::Off);
        let mut delivered: Vec<u32> = std::iter::from_fn(|| events.try_recv())
            .map(|event| match event {
                ActiveEvent::Packet(packet) => number(&packet),
                other => panic!("{other:?}"),
            })
            .collect();
        // The device has the packets that the reader had not taken.
        let mut buffer = [0; 100];
        while let Ok(length) = tun.device().try_recv(&mut buffer) {
            delivered.push(number(&buffer[..length]));
        }
        assert_eq!(delivered, Vec::from_iter(0..200));
    }
}

fn a_hand_over_keeps_every_packet_and_their_order<H: System>(harness: &H) {
    const PACKETS: u32 = 2000;
    let (tun, events) = activate(tun(harness, "tun0"), options(64), ActiveMode::On).unwrap();
    let consumers = thread::spawn(move || {
        let (mut events, mut taken) = (events, Vec::new());
        while taken.len() < PACKETS as usize {
            // Each consumer takes a few and hands over to the next.
            (events, taken) = thread::spawn(move || {
                for _ in 0..taken.len() % 7 + 1 {
                    match events.recv_timeout(LONG) {
                        Some(ActiveEvent::Packet(packet)) => taken.push(number(&packet)),
                        other => panic!("{other:?}"),
                    }
                    if taken.len() == PACKETS as usize {
                        break;
                    }
                }
                (events, taken)
            })
            .join()
            .unwrap();
        }
        taken
    });
    for number in 0..PACKETS {
        inject(harness, "tun0", number);
        // The kernel's queue holds 500 packets, and none is to be dropped there.
        while u64::from(number) > tun.statistics().received + 300 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(consumers.join().unwrap(), Vec::from_iter(0..PACKETS));
}

fn buffers_are_reused<H: System>(harness: &H) {
    const CAPACITY: usize = 8;
    let (_tun, mut events) = activate(tun(harness, "tun0"), options(CAPACITY), ActiveMode::On).unwrap();
    let mut places = HashSet::new();
    for expected in 0..1000 {
        inject(harness, "tun0", expected);
        match events.recv_timeout(LONG) {
            Some(ActiveEvent::Packet(packet)) => {
                assert_eq!(number(&packet), expected);
                places.insert(packet.as_ptr() as usize);
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(places.len() <= CAPACITY, "{} buffers", places.len());
}

fn a_consumer_that_keeps_packets_is_served_with_the_rest<H: System>(harness: &H) {
    let (_tun, mut events) = activate(tun(harness, "tun0"), options(4), ActiveMode::On).unwrap();
    fill(harness, 0..3);
    let kept: Vec<_> = (0..3).map(|_| events.recv_timeout(LONG)).collect();
    for expected in 3..20 {
        inject(harness, "tun0", expected);
        assert_eq!(next(&mut events), expected);
    }
    assert_eq!(kept.len(), 3);
}

fn a_consumer_that_keeps_all_stops_the_reading_and_loses_nothing<H: System>(harness: &H) {
    let (tun, mut events) = activate(tun(harness, "tun0"), options(4), ActiveMode::On).unwrap();
    fill(harness, 0..10);
    let mut kept: Vec<_> = (0..4).map(|_| events.recv_timeout(LONG).unwrap()).collect();
    nothing(&mut events);
    assert_eq!(tun.statistics().received, 4);
    // A buffer that returns is filled at once, because the consumer has found no event.
    drop(kept.pop());
    assert_eq!(next(&mut events), 4);
    drop(kept);
    assert_eq!(Vec::from_iter((5..10).map(|_| next(&mut events))), Vec::from_iter(5..10));
}

fn a_receive_ends_in_time<H: System>(harness: &H) {
    let (_tun, mut events) = activated(harness, ActiveMode::On);
    assert!(events.try_recv().is_none());
    let begun = std::time::Instant::now();
    assert!(events.recv_timeout(A_MOMENT).is_none());
    assert!((A_MOMENT..LONG).contains(&begun.elapsed()));
    assert!(!events.is_ended());
    inject(harness, "tun0", 1);
    assert_eq!(next(&mut events), 1);
    // The shortest and the longest timeout.
    assert!(events.recv_timeout(Duration::ZERO).is_none());
    inject(harness, "tun0", 2);
    assert!(matches!(events.recv_timeout(Duration::MAX), Some(ActiveEvent::Packet(_))));
}

fn a_packet_may_be_changed_in_place<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    inject(harness, "tun0", 9);
    let mut seen = harness.observe(&name("tun0"));
    let Some(ActiveEvent::Packet(mut packet)) = events.recv_timeout(LONG) else { panic!("no packet") };
    packet[12..20].rotate_left(4);
    assert_eq!(tun.device().send(&packet).unwrap(), 24);
    assert_eq!(seen.take().as_deref(), Some(packet.as_ref()));
}

fn what_is_received_is_counted<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    let dropped = harness.dropped(&name("tun0"));
    fill(harness, 0..5);
    for _ in 0..5 {
        next(&mut events);
    }
    let statistics = tun.statistics();
    assert_eq!((statistics.received, statistics.dropped), (5, Some(dropped)));
}

fn an_error_is_delivered_and_turns_it_off() {
    let kernel = MockBackend::new();
    let device = tunctl_core::TunBackend::create(&kernel, &tunctl_core::CreateOptions::tun().name("tun0"));
    let device = device.unwrap();
    device.up("10.1.1.1/24".parse().unwrap()).unwrap();
    let (tun, mut events) = activate(device, ActiveOptions::default(), ActiveMode::Off).unwrap();
    kernel.inject("tun0", super::support::packet(1));
    kernel.script(Fault::on(Operation::Receive).errno(Errno::ENOMEM));
    tun.set_mode(ActiveMode::On);
    match events.recv_timeout(LONG) {
        Some(ActiveEvent::Failed(error)) => {
            assert_eq!((error.operation(), error.cause()), (Operation::Receive, Cause::Other));
        }
        other => panic!("{other:?}"),
    }
    nothing(&mut events);
    assert_eq!(tun.mode(), ActiveMode::Off);
    // The packet was not lost.
    tun.set_mode(ActiveMode::On);
    assert_eq!(next(&mut events), 1);
}
