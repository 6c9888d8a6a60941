//! Active mode under more packets than its consumer can take.
//!
//! The original loses four packets in ten at 200,000 a second, silently. Here each packet is delivered, or
//! was dropped by the kernel, which counts it.

use std::ops::Range;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tunctl_core::active::{ActiveEvent, ActiveMode, ActiveOptions, PacketEvents, activate};
use tunctl_core::{Interface, TunDevice};
use tunctl_testing::{Case, on_both};

use super::active::options;
use super::support::{A_MOMENT, LONG, System, name, number, packet, tun};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        a_slow_consumer_loses_nothing_that_the_kernel_did_not_count,
        a_consumer_that_stands_still_learns_what_it_missed,
        a_change_is_in_force_when_it_returns_also_under_load,
        a_device_that_is_flooded_can_leave_active_mode,
    ]
}

/// What a consumer got in all.
#[derive(Debug, Default)]
struct Account {
    delivered: u64,
    dropped: u64,
}

/// Takes events until the end, at this pace, and asserts that each packet is newer than the one before.
fn consume(mut events: PacketEvents, pause: Duration) -> JoinHandle<Account> {
    thread::spawn(move || {
        let (mut account, mut last) = (Account::default(), None);
        for event in &mut events {
            match event {
                ActiveEvent::Packet(packet) => {
                    let number = number(&packet);
                    assert!(last < Some(number), "{number} comes after {last:?}");
                    (last, account.delivered) = (Some(number), account.delivered + 1);
                    if account.delivered % 64 == 0 {
                        thread::sleep(pause);
                    }
                }
                ActiveEvent::Dropped(packets) => account.dropped += packets,
                other => panic!("{other:?}"),
            }
        }
        account
    })
}

/// Injects packets as fast as it can.
fn flood<H: System>(harness: &H, numbers: Range<u32>) {
    let tun = name("tun0");
    for number in numbers {
        harness.inject(&tun, &packet(number));
    }
}

fn a_slow_consumer_loses_nothing_that_the_kernel_did_not_count<H: System>(harness: &H) {
    const PACKETS: u32 = 200_000;
    let (tun, events) = activate(tun(harness, "tun0"), options(64), ActiveMode::On).unwrap();
    let consumer = consume(events, Duration::from_millis(1));
    flood(harness, 0..PACKETS);
    // Packets in the kernel's queue are still to come.
    let dropped = harness.dropped(&name("tun0"));
    let expected = u64::from(PACKETS) - dropped;
    while tun.statistics().received < expected {
        thread::sleep(Duration::from_millis(1));
    }
    drop(tun);
    let account = consumer.join().unwrap();
    assert_eq!((account.delivered, account.dropped), (expected, dropped));
    assert!(dropped > 0, "the consumer was to be too slow");
}

fn a_consumer_that_stands_still_learns_what_it_missed<H: System>(harness: &H) {
    let (_tun, mut events) = activate(tun(harness, "tun0"), options(16), ActiveMode::On).unwrap();
    flood(harness, 0..5000);
    let dropped = harness.dropped(&name("tun0"));
    assert!(dropped > 4000);
    let (mut reported, mut delivered) = (0, 0);
    while reported + delivered < 5000 {
        match events.recv().unwrap() {
            ActiveEvent::Packet(_) => delivered += 1,
            ActiveEvent::Dropped(packets) => reported += packets,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(reported, dropped);
}

fn a_change_is_in_force_when_it_returns_also_under_load<H: System>(harness: &H) {
    let (tun, events) = activate(tun(harness, "tun0"), options(256), ActiveMode::Off).unwrap();
    let consumer = consume(events, Duration::ZERO);
    let mut first = 0;
    for _ in 0..20 {
        flood(harness, first..first + 500);
        first += 500;
        let before = tun.statistics().received;
        tun.set_mode(ActiveMode::On);
        let begun = Instant::now();
        while tun.statistics().received == before {
            assert!(begun.elapsed() < LONG, "it never read");
        }
        // The reader has hundreds of packets left, and must not read them.
        let begun = Instant::now();
        tun.set_mode(ActiveMode::Off);
        assert!(begun.elapsed() < LONG);
        let received = tun.statistics().received;
        thread::sleep(Duration::from_millis(2));
        assert_eq!(tun.statistics().received, received);
    }
    drop(tun);
    consumer.join().unwrap();
}

fn a_device_that_is_flooded_can_leave_active_mode<H: System>(harness: &H) {
    let (tun, mut events) = activate(tun(harness, "tun0"), ActiveOptions::default(), ActiveMode::On).unwrap();
    flood(harness, 0..3000);
    tun.set_mode(ActiveMode::Off);
    let device = tun.into_device();
    let delivered = (&mut events).filter(|event| matches!(event, ActiveEvent::Packet(_))).count();
    let mut left = 0;
    while device.recv_timeout(&mut [0; 100], A_MOMENT).is_ok() {
        left += 1;
    }
    let all = u64::try_from(delivered + left).unwrap() + harness.dropped(&name("tun0"));
    assert_eq!(all, 3000);
    // The device works as before.
    assert!(harness.inject(&name("tun0"), &packet(7)));
    assert_eq!(device.recv(&mut [0; 100]).unwrap(), 24);
    assert_eq!(device.interface().dropped().unwrap(), harness.dropped(&name("tun0")));
}
