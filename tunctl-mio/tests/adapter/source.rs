//! When events come, and which.

use std::io;
use std::time::Duration;

use mio::{Interest, Poll, Token};
use tunctl_conformance::Harness;
use tunctl_core::{Cause, TunDevice};
use tunctl_mio::{Drained, TunSource, may_receive, may_send};
use tunctl_testing::{Case, LinuxHarness, case, on_both};

use super::support::{A_MOMENT, LONG, Loop, TUN, events, inject, name, packet, processor_time, tun};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![
        a_packet_is_an_event,
        a_packet_that_waits_is_an_event_at_registration,
        no_event_comes_without_a_packet,
        it_is_writable_from_the_start,
        registered_anew_while_down_it_is_writable_once_it_is_up,
        a_deletion_is_one_event,
        a_deletion_is_an_event_for_a_writer_too,
        each_source_has_its_token,
        a_source_can_be_registered_anew,
        a_source_is_registered_once,
        after_deregistration_no_event_comes,
        dropping_a_source_deregisters_it_though_a_clone_is_open,
        taking_the_device_back_deregisters_it,
        a_source_outlives_its_loop,
        a_deletion_that_is_ignored_does_not_spin_the_loop,
    ];
    cases.push(case!(on_linux_a_deletion_is_an_error_alone));
    cases
}

fn a_packet_is_an_event<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    inject(harness, "tun0", 1);
    let seen = events.events(LONG);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].token() == TUN && seen[0].is_readable() && may_receive(&seen[0]));
    assert_eq!(events.drain(64).0, [1]);
}

fn a_packet_that_waits_is_an_event_at_registration<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    inject(harness, "tun0", 1);
    assert_eq!(Loop::<H>::new(device, Interest::READABLE).events(LONG).len(), 1);
}

fn no_event_comes_without_a_packet<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    assert!(events.events(A_MOMENT).is_empty());
}

fn it_is_writable_from_the_start<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE | Interest::WRITABLE);
    let seen = events.events(LONG);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].is_writable() && may_send(&seen[0]) && !may_receive(&seen[0]));
}

fn registered_anew_while_down_it_is_writable_once_it_is_up<H: Harness>(harness: &H) {
    let interests = Interest::READABLE | Interest::WRITABLE;
    let mut events = Loop::<H>::new(tun(harness, "tun0"), interests);
    assert_eq!(events.events(LONG).len(), 1);
    for _ in 0..3 {
        harness.set_up(&name("tun0"), false);
        assert_eq!(events.source.device().try_send(&packet(1)).unwrap_err().cause(), Cause::Down);
        events.poll.registry().reregister(&mut events.source, TUN, interests).unwrap();
        assert!(events.events(A_MOMENT).is_empty());
        harness.set_up(&name("tun0"), true);
        let seen = events.events(LONG);
        assert!(seen.len() == 1 && may_send(&seen[0]), "{seen:?}");
        assert!(events.source.device().try_send(&packet(1)).is_ok());
    }
}

fn a_deletion_is_one_event<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    harness.delete(&name("tun0"));
    let seen = events.events(LONG);
    assert_eq!(seen.len(), 1);
    assert!(may_receive(&seen[0]));
    assert_eq!(events.drain(64).1, Ok(Drained::Gone));
    assert!(events.events(A_MOMENT).is_empty());
    assert_eq!(events.drain(64).1, Ok(Drained::Gone));
}

fn on_linux_a_deletion_is_an_error_alone() {
    let harness = LinuxHarness::new();
    let mut events =
        Loop::<LinuxHarness>::new(tun(&harness, "tun0"), Interest::READABLE | Interest::WRITABLE);
    // The source is writable from the start.
    assert_eq!(events.events(LONG).len(), 1);
    harness.delete(&name("tun0"));
    let seen = events.events(LONG);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].is_error() && !seen[0].is_readable() && !seen[0].is_writable());
}

fn a_deletion_is_an_event_for_a_writer_too<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::WRITABLE);
    assert_eq!(events.events(LONG).len(), 1);
    harness.delete(&name("tun0"));
    let seen = events.events(LONG);
    assert!(seen.iter().any(may_send), "{seen:?}");
    assert!(events.source.device().send(&[0x45; 20]).unwrap_err().is_gone());
}

fn each_source_has_its_token<H: Harness>(harness: &H) {
    let mut poll = Poll::new().unwrap();
    let mut sources = ["tun0", "tun1", "tun2"].map(|text| TunSource::new(tun(harness, text)));
    for (place, source) in sources.iter_mut().enumerate() {
        poll.registry().register(source, Token(place), Interest::READABLE).unwrap();
    }
    for (text, token) in [("tun1", Token(1)), ("tun0", Token(0)), ("tun2", Token(2))] {
        inject(harness, text, 5);
        let seen = events(&mut poll, LONG);
        assert_eq!(seen.iter().map(mio::event::Event::token).collect::<Vec<_>>(), [token]);
    }
}

fn a_source_can_be_registered_anew<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::WRITABLE);
    events.poll.registry().reregister(&mut events.source, Token(8), Interest::READABLE).unwrap();
    inject(harness, "tun0", 1);
    let seen = events.events(LONG);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].token() == Token(8) && seen[0].is_readable() && !seen[0].is_writable());
    // After a drain that stops early, the event has the new token.
    assert!(events.drain(0).0.is_empty());
    assert_eq!(events.events(LONG)[0].token(), Token(8));
}

fn a_source_is_registered_once<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    let registry = events.poll.registry().try_clone().unwrap();
    let again = registry.register(&mut events.source, TUN, Interest::READABLE);
    assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    registry.deregister(&mut events.source).unwrap();
    let never = [
        registry.deregister(&mut events.source),
        registry.reregister(&mut events.source, TUN, Interest::READABLE),
    ];
    for refused in never {
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
    registry.register(&mut events.source, TUN, Interest::READABLE).unwrap();
    inject(harness, "tun0", 1);
    assert_eq!(events.events(LONG).len(), 1);
}

fn after_deregistration_no_event_comes<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    let registry = events.poll.registry().try_clone().unwrap();
    registry.deregister(&mut events.source).unwrap();
    inject(harness, "tun0", 1);
    assert!(events.events(A_MOMENT).is_empty());
    // A drain that stops early does not register it again.
    assert!(events.drain(0).0.is_empty());
    assert!(events.events(A_MOMENT).is_empty());
    assert_eq!(events.drain(64).0, [1]);
}

fn dropping_a_source_deregisters_it_though_a_clone_is_open<H: Harness>(harness: &H) {
    let Loop { mut poll, source } = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    let clone = source.device().try_clone().unwrap();
    drop(source);
    inject(harness, "tun0", 1);
    assert!(events(&mut poll, A_MOMENT).is_empty());
    assert_eq!(clone.recv(&mut [0; 100]).unwrap(), 24);
}

fn taking_the_device_back_deregisters_it<H: Harness>(harness: &H) {
    let Loop { mut poll, source } = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    let device = source.into_device();
    inject(harness, "tun0", 1);
    assert!(events(&mut poll, A_MOMENT).is_empty());
    // The device can go into another loop.
    assert_eq!(Loop::<H>::new(device, Interest::READABLE).events(LONG).len(), 1);
}

fn a_source_outlives_its_loop<H: Harness>(harness: &H) {
    let Loop { poll, source } = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    drop(poll);
    inject(harness, "tun0", 1);
    // A drain that stops early renews a registration with a poll that is gone.
    for expected in [Drained::More, Drained::Empty] {
        assert_eq!(source.drain(&mut [0; 100], 1, |_| ()).unwrap(), expected);
    }
}

fn a_deletion_that_is_ignored_does_not_spin_the_loop<H: Harness>(harness: &H) {
    const WHILE: Duration = Duration::from_millis(500);
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE | Interest::WRITABLE);
    harness.delete(&name("tun0"));
    assert!(!events.events(LONG).is_empty());
    // The program neither drains nor deregisters.
    let used = processor_time();
    let begun = std::time::Instant::now();
    while begun.elapsed() < WHILE {
        events.events(WHILE);
    }
    let used = processor_time() - used;
    assert!(used < WHILE / 5, "{used:?} of {WHILE:?}");
}
