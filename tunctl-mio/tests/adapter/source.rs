//! When a source tells of events, and of which.

use std::io;
use std::time::Duration;

use mio::{Interest, Poll, Token};
use tunctl_conformance::Harness;
use tunctl_core::TunDevice;
use tunctl_mio::{Drained, TunSource, may_receive, may_send};
use tunctl_testing::{Case, LinuxHarness, case, on_both};

use super::support::{A_MOMENT, LONG, Loop, TUN, events, inject, name, processor_time, tun};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![
        a_packet_is_told,
        a_packet_that_waits_is_told_at_registration,
        nothing_is_told_without_a_packet,
        it_is_writable_from_the_start,
        a_deletion_is_told_and_is_no_news_twice,
        who_only_sends_is_told_of_a_deletion_too,
        sources_are_told_apart,
        a_source_can_be_registered_anew,
        a_source_is_registered_once,
        after_deregistration_nothing_is_told,
        dropping_a_source_deregisters_it_though_a_clone_is_open,
        taking_the_device_back_deregisters_it,
        a_source_outlives_its_loop,
        who_looked_away_after_a_deletion_is_left_in_peace,
    ];
    cases.push(case!(on_linux_a_deletion_is_an_error_alone));
    cases
}

fn a_packet_is_told<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    inject(harness, "tun0", 1);
    let told = events.events(LONG);
    assert_eq!(told.len(), 1);
    assert!(told[0].token() == TUN && told[0].is_readable() && may_receive(&told[0]));
    assert_eq!(events.drain(64).0, [1]);
}

fn a_packet_that_waits_is_told_at_registration<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    inject(harness, "tun0", 1);
    assert_eq!(Loop::<H>::new(device, Interest::READABLE).events(LONG).len(), 1);
}

fn nothing_is_told_without_a_packet<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    assert!(events.events(A_MOMENT).is_empty());
}

fn it_is_writable_from_the_start<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE | Interest::WRITABLE);
    let told = events.events(LONG);
    assert_eq!(told.len(), 1);
    assert!(told[0].is_writable() && may_send(&told[0]) && !may_receive(&told[0]));
}

fn a_deletion_is_told_and_is_no_news_twice<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    harness.delete(&name("tun0"));
    let told = events.events(LONG);
    assert_eq!(told.len(), 1);
    assert!(may_receive(&told[0]));
    assert_eq!(events.drain(64).1, Ok(Drained::Gone));
    assert!(events.events(A_MOMENT).is_empty());
    assert_eq!(events.drain(64).1, Ok(Drained::Gone));
}

fn on_linux_a_deletion_is_an_error_alone() {
    let harness = LinuxHarness::new();
    let mut events =
        Loop::<LinuxHarness>::new(tun(&harness, "tun0"), Interest::READABLE | Interest::WRITABLE);
    // What it is writable for.
    assert_eq!(events.events(LONG).len(), 1);
    harness.delete(&name("tun0"));
    let told = events.events(LONG);
    assert_eq!(told.len(), 1);
    assert!(told[0].is_error() && !told[0].is_readable() && !told[0].is_writable());
}

fn who_only_sends_is_told_of_a_deletion_too<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::WRITABLE);
    assert_eq!(events.events(LONG).len(), 1);
    harness.delete(&name("tun0"));
    let told = events.events(LONG);
    assert!(told.iter().any(may_send), "{told:?}");
    assert!(events.source.device().send(&[0x45; 20]).unwrap_err().is_gone());
}

fn sources_are_told_apart<H: Harness>(harness: &H) {
    let mut poll = Poll::new().unwrap();
    let mut sources = ["tun0", "tun1", "tun2"].map(|text| TunSource::new(tun(harness, text)));
    for (place, source) in sources.iter_mut().enumerate() {
        poll.registry().register(source, Token(place), Interest::READABLE).unwrap();
    }
    for (text, token) in [("tun1", Token(1)), ("tun0", Token(0)), ("tun2", Token(2))] {
        inject(harness, text, 5);
        let told = events(&mut poll, LONG);
        assert_eq!(told.iter().map(mio::event::Event::token).collect::<Vec<_>>(), [token]);
    }
}

fn a_source_can_be_registered_anew<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::WRITABLE);
    events.poll.registry().reregister(&mut events.source, Token(8), Interest::READABLE).unwrap();
    inject(harness, "tun0", 1);
    let told = events.events(LONG);
    assert_eq!(told.len(), 1);
    assert!(told[0].token() == Token(8) && told[0].is_readable() && !told[0].is_writable());
    // And a drain that stops early tells under the new token.
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

fn after_deregistration_nothing_is_told<H: Harness>(harness: &H) {
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    let registry = events.poll.registry().try_clone().unwrap();
    registry.deregister(&mut events.source).unwrap();
    inject(harness, "tun0", 1);
    assert!(events.events(A_MOMENT).is_empty());
    // Nor does a drain that stops early bring it back.
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
    // It can go into another loop.
    assert_eq!(Loop::<H>::new(device, Interest::READABLE).events(LONG).len(), 1);
}

fn a_source_outlives_its_loop<H: Harness>(harness: &H) {
    let Loop { poll, source } = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    drop(poll);
    inject(harness, "tun0", 1);
    // Also a drain that stops early, which asks the loop to tell again.
    for expected in [Drained::More, Drained::Empty] {
        assert_eq!(source.drain(&mut [0; 100], 1, |_| ()).unwrap(), expected);
    }
}

fn who_looked_away_after_a_deletion_is_left_in_peace<H: Harness>(harness: &H) {
    const WHILE: Duration = Duration::from_millis(500);
    let mut events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE | Interest::WRITABLE);
    harness.delete(&name("tun0"));
    assert!(!events.events(LONG).is_empty());
    // It neither drains nor deregisters.
    let used = processor_time();
    let begun = std::time::Instant::now();
    while begun.elapsed() < WHILE {
        events.events(WHILE);
    }
    let used = processor_time() - used;
    assert!(used < WHILE / 5, "{used:?} of {WHILE:?}");
}
