//! How active mode ends.

use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::active::{ActiveEvent, ActiveMode, activate};
use tunctl_core::{TunBackend, TunDevice};
use tunctl_testing::{Case, on_both, open_files};

use super::active::{activated, next, options};
use super::support::{A_MOMENT, LONG, System, inject, name, number, processor_time, tun};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        a_deletion_is_an_error_and_the_end,
        a_deletion_while_it_is_off_is_delivered_when_it_is_on,
        after_a_deletion_nothing_is_busy,
        the_device_comes_back_with_what_was_not_taken,
        a_device_that_came_back_can_be_destroyed,
        dropping_the_device_ends_the_events,
        dropping_the_events_ends_the_reading,
        a_waiting_consumer_gets_the_end,
        packets_outlive_both_sides,
        nothing_is_left_behind,
    ]
}

fn a_deletion_is_an_error_and_the_end<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    inject(harness, "tun0", 1);
    assert_eq!(next(&mut events), 1);
    harness.delete(&name("tun0"));
    assert!(matches!(events.recv_timeout(LONG), Some(ActiveEvent::Failed(error)) if error.is_gone()));
    assert!(events.recv().is_none() && events.is_ended());
    assert!(events.try_recv().is_none() && events.recv_timeout(LONG).is_none());
    tun.set_mode(ActiveMode::On);
    assert_eq!(tun.mode(), ActiveMode::Off);
    assert!(tun.device().try_recv(&mut [0; 100]).unwrap_err().is_gone());
    let statistics = tun.statistics();
    assert_eq!((statistics.received, statistics.dropped), (1, None));
}

fn a_deletion_while_it_is_off_is_delivered_when_it_is_on<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Off);
    harness.delete(&name("tun0"));
    assert!(events.recv_timeout(A_MOMENT).is_none() && !events.is_ended());
    tun.set_mode(ActiveMode::Once);
    assert!(matches!(events.recv_timeout(LONG), Some(ActiveEvent::Failed(error)) if error.is_gone()));
    assert!(events.recv().is_none());
}

fn after_a_deletion_nothing_is_busy<H: System>(harness: &H) {
    const WHILE: Duration = Duration::from_millis(500);
    for mode in [ActiveMode::On, ActiveMode::Off] {
        let (_tun, _events) = activated(harness, mode);
        harness.delete(&name("tun0"));
        let used = processor_time();
        thread::sleep(WHILE);
        let used = processor_time() - used;
        assert!(used < WHILE / 5, "{mode:?}: {used:?} of {WHILE:?}");
    }
}

fn the_device_comes_back_with_what_was_not_taken<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::Count(3));
    (0..6).for_each(|number| inject(harness, "tun0", number));
    assert_eq!([next(&mut events), next(&mut events), next(&mut events)], [0, 1, 2]);
    let device = tun.into_device();
    assert!(matches!(events.recv(), Some(ActiveEvent::Passive)));
    assert!(events.recv().is_none() && events.is_ended());
    let mut buffer = [0; 100];
    for expected in 3..6 {
        let length = device.recv_timeout(&mut buffer, LONG).unwrap();
        assert_eq!(number(&buffer[..length]), expected);
    }
}

fn a_device_that_came_back_can_be_destroyed<H: System>(harness: &H) {
    let (tun, _events) = activated(harness, ActiveMode::On);
    tun.into_device().destroy().unwrap();
    assert!(harness.backend().interface(&name("tun0")).is_err());
}

fn dropping_the_device_ends_the_events<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    (0..5).for_each(|number| inject(harness, "tun0", number));
    while tun.statistics().received < 5 {
        thread::yield_now();
    }
    drop(tun);
    // Packets taken before are delivered, and the interface went with its last descriptor.
    (0..5).for_each(|number| assert_eq!(next(&mut events), number));
    assert!(events.recv().is_none());
    assert!(harness.backend().interface(&name("tun0")).is_err());
}

fn dropping_the_events_ends_the_reading<H: System>(harness: &H) {
    let (tun, events) = activated(harness, ActiveMode::On);
    drop(events);
    inject(harness, "tun0", 4);
    let mut buffer = [0; 100];
    let length = tun.device().recv_timeout(&mut buffer, LONG).unwrap();
    assert_eq!(number(&buffer[..length]), 4);
    assert_eq!(tun.mode(), ActiveMode::Off);
}

fn a_waiting_consumer_gets_the_end<H: System>(harness: &H) {
    for mode in [ActiveMode::On, ActiveMode::Off] {
        let (tun, mut events) = activated(harness, mode);
        let consumer = thread::spawn(move || events.recv().is_none());
        thread::sleep(A_MOMENT);
        let begun = Instant::now();
        drop(tun);
        assert!(consumer.join().unwrap());
        assert!(begun.elapsed() < LONG);
    }
}

fn packets_outlive_both_sides<H: System>(harness: &H) {
    let (tun, mut events) = activate(tun(harness, "tun0"), options(2), ActiveMode::On).unwrap();
    inject(harness, "tun0", 8);
    let Some(ActiveEvent::Packet(packet)) = events.recv_timeout(LONG) else { panic!("no packet") };
    drop((tun, events));
    assert_eq!(number(&packet), 8);
}

fn nothing_is_left_behind<H: System>(harness: &H) {
    let cycle = |mode| {
        let (tun, mut events) = activated(harness, mode);
        inject(harness, "tun0", 1);
        if mode == ActiveMode::On {
            assert_eq!(next(&mut events), 1);
        }
        drop(events);
        tun.into_device().destroy().unwrap();
    };
    cycle(ActiveMode::On);
    let (before, threads_before) = (open_files().len(), threads());
    (0..20).for_each(|_| [ActiveMode::On, ActiveMode::Off].into_iter().for_each(cycle));
    assert_eq!(open_files().len(), before);
    assert_eq!(threads(), threads_before);
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
