//! How an event loop is notified of events in active mode.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use mio::{Poll, Token, Waker};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::active::{ActiveDevice, ActiveEvent, ActiveMode};
use tunctl_core::{Interrupter, TunDevice};
use tunctl_testing::{Case, on_both};

use super::active::{activated, next};
use super::support::{A_MOMENT, LONG, System, events, inject, name, number};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        an_event_loop_of_mio_is_woken,
        a_poll_of_a_descriptor_is_woken,
        a_call_comes_at_once_if_events_wait,
        after_it_is_undone_no_call_comes,
        the_callback_may_use_the_device,
        the_callback_may_take_the_events,
        the_callback_may_drop_the_device,
        the_callback_may_own_packets,
        a_callback_that_panics_ends_the_delivery,
        the_callback_is_kept_until_the_events_are_dropped,
    ]
}

/// Waits until that many packets are delivered: the reader counts and delivers a burst under one lock.
fn wait_for_received<D: TunDevice>(tun: &ActiveDevice<D>, packets: u64) {
    while tun.statistics().received < packets {
        thread::yield_now();
    }
}

/// A channel whose receiver gets a message for each call.
fn bell() -> (impl Fn() + Send + Sync + 'static, mpsc::Receiver<()>) {
    let (sender, receiver) = mpsc::channel();
    let ring = move || {
        // The test may be over already.
        let _ = sender.send(());
    };
    (ring, receiver)
}

fn an_event_loop_of_mio_is_woken<H: System>(harness: &H) {
    const ACTIVE: Token = Token(3);
    let (tun, mut packets) = activated(harness, ActiveMode::On);
    let mut poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), ACTIVE).unwrap();
    packets.notify(move || waker.wake().unwrap());
    for round in 0..100 {
        inject(harness, "tun0", round);
        assert_eq!(events(&mut poll, LONG)[0].token(), ACTIVE);
        while let Some(event) = packets.try_recv() {
            assert!(matches!(event, ActiveEvent::Packet(packet) if number(&packet) == round));
        }
    }
    // The end of events wakes it too.
    harness.delete(&name("tun0"));
    while !packets.is_ended() {
        assert_eq!(events(&mut poll, LONG)[0].token(), ACTIVE);
        while packets.try_recv().is_some() {}
    }
    drop(tun);
}

fn a_poll_of_a_descriptor_is_woken<H: System>(harness: &H) {
    let (_tun, mut events) = activated(harness, ActiveMode::On);
    let bell = Interrupter::new().unwrap();
    events.notify({
        let bell = bell.clone();
        move || bell.interrupt()
    });
    for round in 0..100 {
        inject(harness, "tun0", round);
        let limit = PollTimeout::try_from(LONG).unwrap();
        let ready = poll(&mut [PollFd::new(bell.as_fd(), PollFlags::POLLIN)], limit);
        assert_eq!(ready, Ok(1));
        bell.reset();
        while let Some(event) = events.try_recv() {
            assert!(matches!(event, ActiveEvent::Packet(packet) if number(&packet) == round));
        }
    }
}

fn a_call_comes_at_once_if_events_wait<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    inject(harness, "tun0", 0);
    wait_for_received(&tun, 1);
    let (ring, rung) = bell();
    events.notify(ring);
    assert_eq!(rung.try_recv(), Ok(()));
    assert_eq!(next(&mut events), 0);
}

fn after_it_is_undone_no_call_comes<H: System>(harness: &H) {
    let (_tun, mut events) = activated(harness, ActiveMode::On);
    let (ring, rung) = bell();
    events.notify(ring);
    inject(harness, "tun0", 0);
    assert_eq!(rung.recv_timeout(LONG), Ok(()));
    assert_eq!(next(&mut events), 0);
    events.stop_notifying();
    inject(harness, "tun0", 1);
    assert_eq!(next(&mut events), 1);
    assert!(rung.recv_timeout(A_MOMENT).is_err());
}

/// Both calls would deadlock if the reader held its lock during the callback.
fn the_callback_may_use_the_device<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    let tun = Arc::new(tun);
    let (sender, received) = mpsc::channel();
    events.notify({
        let tun = tun.clone();
        move || {
            tun.set_mode(ActiveMode::Off);
            let _ = sender.send(tun.statistics().received);
        }
    });
    inject(harness, "tun0", 0);
    assert_eq!(received.recv_timeout(LONG), Ok(1));
    assert_eq!(next(&mut events), 0);
    assert_eq!(tun.mode(), ActiveMode::Off);
}

/// Programs take events under a lock of their own, here and elsewhere. The callback waits for that lock.
fn the_callback_may_take_the_events<H: System>(harness: &H) {
    let (_tun, events) = activated(harness, ActiveMode::On);
    let events = Arc::new(Mutex::new(events));
    let (sender, numbers) = mpsc::channel();
    let callback = {
        let events = Arc::downgrade(&events);
        move || {
            let Some(events) = events.upgrade() else { return };
            let mut events = events.lock().unwrap();
            while let Some(ActiveEvent::Packet(packet)) = events.try_recv() {
                let _ = sender.send(number(&packet));
            }
        }
    };
    events.lock().unwrap().notify(callback);
    for expected in 0..100 {
        inject(harness, "tun0", expected);
        assert_eq!(numbers.recv_timeout(LONG), Ok(expected));
    }
}

fn the_callback_may_drop_the_device<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    let tun = Mutex::new(Some(tun));
    events.notify(move || drop(tun.lock().unwrap().take()));
    inject(harness, "tun0", 0);
    assert_eq!(next(&mut events), 0);
    assert!(events.recv().is_none());
}

fn the_callback_may_own_packets<H: System>(harness: &H) {
    let (_tun, mut events) = activated(harness, ActiveMode::On);
    for expected in 0..3 {
        inject(harness, "tun0", expected);
        let Some(ActiveEvent::Packet(packet)) = events.recv_timeout(LONG) else { panic!("no packet") };
        events.notify(move || assert_eq!(number(&packet), expected));
    }
    inject(harness, "tun0", 3);
    assert_eq!(next(&mut events), 3);
    drop(events);
}

fn a_callback_that_panics_ends_the_delivery<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    events.notify(|| panic!("of the test"));
    inject(harness, "tun0", 0);
    assert_eq!(next(&mut events), 0);
    // The callback panics once more at the end of events, which must not abort the process.
    assert!(events.recv_timeout(LONG).is_none() && events.is_ended());
    assert_eq!(tun.mode(), ActiveMode::Off);
    inject(harness, "tun0", 1);
    assert_eq!(tun.device().recv_timeout(&mut [0; 100], Duration::ZERO).unwrap(), 24);
}

/// A `mio::Waker` that is dropped takes back the event that the loop has not seen yet.
fn the_callback_is_kept_until_the_events_are_dropped<H: System>(harness: &H) {
    let (tun, mut events) = activated(harness, ActiveMode::On);
    let (ring, rung) = bell();
    events.notify(ring);
    drop(tun);
    assert_eq!(rung.recv_timeout(LONG), Ok(()));
    assert_eq!(rung.recv_timeout(A_MOMENT), Err(mpsc::RecvTimeoutError::Timeout));
    assert!(events.recv().is_none());
    drop(events);
    assert_eq!(rung.try_recv(), Err(mpsc::TryRecvError::Disconnected));
}
