//! What a drain takes, and how the rest is told.

use mio::Interest;
use tunctl_conformance::Harness;
use tunctl_core::{Cause, Error, Operation, TunDevice};
use tunctl_mio::{Drained, may_receive};
use tunctl_testing::{Case, on_both};

use super::support::{A_MOMENT, LONG, Loop, inject, name, packet, tun};

pub(crate) fn cases() -> Vec<Case> {
    on_both![
        it_takes_all_if_the_budget_allows,
        it_stops_at_its_budget_and_the_next_poll_tells_of_the_rest,
        a_budget_that_is_just_enough_tells_once_more,
        a_loop_that_obeys_takes_every_packet,
        a_packet_after_the_last_one_is_told,
        an_error_of_the_programs_ends_it_and_loses_nothing,
        a_gone_of_another_device_leaves_this_one_told,
        what_waits_at_a_deletion_is_gone_with_it,
        a_deletion_between_two_packets_ends_the_drain,
        packets_may_be_changed_and_sent_back,
        it_works_without_a_loop,
    ]
}

fn filled<H: Harness>(harness: &H, packets: u32) -> Loop<H> {
    let events = Loop::<H>::new(tun(harness, "tun0"), Interest::READABLE);
    (0..packets).for_each(|number| inject(harness, "tun0", number));
    events
}

fn it_takes_all_if_the_budget_allows<H: Harness>(harness: &H) {
    let mut events = filled(harness, 10);
    assert_eq!(events.events(LONG).len(), 1);
    let (numbers, outcome) = events.drain(64);
    assert_eq!(numbers, Vec::from_iter(0..10));
    assert_eq!(outcome.unwrap(), Drained::Empty);
    assert!(events.events(A_MOMENT).is_empty());
}

fn it_stops_at_its_budget_and_the_next_poll_tells_of_the_rest<H: Harness>(harness: &H) {
    let mut events = filled(harness, 10);
    for expected in [&[0, 1, 2, 3][..], &[4, 5, 6, 7]] {
        assert!(events.events(LONG).iter().any(may_receive));
        let (numbers, outcome) = events.drain(4);
        assert_eq!(numbers, expected);
        assert_eq!(outcome.unwrap(), Drained::More);
    }
    assert!(events.events(LONG).iter().any(may_receive));
    let (numbers, outcome) = events.drain(4);
    assert_eq!(numbers, [8, 9]);
    assert_eq!(outcome.unwrap(), Drained::Empty);
}

fn a_budget_that_is_just_enough_tells_once_more<H: Harness>(harness: &H) {
    let mut events = filled(harness, 4);
    assert_eq!(events.events(LONG).len(), 1);
    assert_eq!(events.drain(4).1.unwrap(), Drained::More);
    // Nothing waits, so there is nothing to tell.
    assert!(events.events(A_MOMENT).is_empty());
    inject(harness, "tun0", 4);
    assert_eq!(events.events(LONG).len(), 1);
    assert_eq!(events.drain(4).0, [4]);
}

fn a_loop_that_obeys_takes_every_packet<H: Harness>(harness: &H) {
    let mut events = filled(harness, 0);
    let mut taken = Vec::new();
    for round in 0..200 {
        (0..5).for_each(|number| inject(harness, "tun0", round * 5 + number));
        // Budgets of all kinds: below, at and above what waits.
        for budget in [1, 2, 5] {
            if events.events(LONG).iter().any(may_receive) {
                taken.extend(events.drain(budget).0);
            }
        }
    }
    assert_eq!(taken, Vec::from_iter(0..1000));
}

fn a_packet_after_the_last_one_is_told<H: Harness>(harness: &H) {
    let mut events = filled(harness, 1);
    for number in 0..20 {
        assert_eq!(events.events(LONG).len(), 1);
        assert_eq!(events.drain(64).0, [number]);
        inject(harness, "tun0", number + 1);
    }
}

fn an_error_of_the_programs_ends_it_and_loses_nothing<H: Harness>(harness: &H) {
    let mut events = filled(harness, 3);
    assert_eq!(events.events(LONG).len(), 1);
    let mut seen = Vec::new();
    let refused = events.source.drain(&mut [0; 1500], 64, |packet| {
        seen.push(packet.to_vec());
        Err(Error::new(Operation::Send, Cause::WouldBlock))
    });
    assert_eq!((refused.unwrap_err().operation(), seen), (Operation::Send, vec![packet(0)]));
    assert!(events.events(LONG).iter().any(may_receive));
    assert_eq!(events.drain(64).0, [1, 2]);
}

fn a_gone_of_another_device_leaves_this_one_told<H: Harness>(harness: &H) {
    let mut events = filled(harness, 2);
    let other = tun(harness, "tun1");
    harness.delete(&name("tun1"));
    assert_eq!(events.events(LONG).len(), 1);
    let forwarded = events.source.drain(&mut [0; 1500], 64, |packet| other.try_send(packet).map(drop));
    assert!(forwarded.unwrap_err().is_gone());
    assert!(events.events(LONG).iter().any(may_receive));
    assert_eq!(events.drain(64).0, [1]);
}

fn what_waits_at_a_deletion_is_gone_with_it<H: Harness>(harness: &H) {
    let mut events = filled(harness, 3);
    harness.delete(&name("tun0"));
    assert!(events.events(LONG).iter().any(may_receive));
    let (numbers, outcome) = events.drain(64);
    assert!(numbers.is_empty());
    assert_eq!(outcome, Ok(Drained::Gone));
}

fn a_deletion_between_two_packets_ends_the_drain<H: Harness>(harness: &H) {
    let events = filled(harness, 3);
    let mut calls = 0;
    let outcome = events.source.drain(&mut [0; 1500], 64, |_| {
        calls += 1;
        harness.delete(&name("tun0"));
        Ok(())
    });
    assert_eq!((calls, outcome), (1, Ok(Drained::Gone)));
}

fn packets_may_be_changed_and_sent_back<H: Harness>(harness: &H) {
    let mut events = filled(harness, 2);
    let mut seen = harness.observe(&name("tun0"));
    assert_eq!(events.events(LONG).len(), 1);
    let device = events.source.device();
    let turned = events.source.drain(&mut [0; 1500], 64, |packet| {
        packet[12..20].rotate_left(4);
        device.try_send(packet).map(drop)
    });
    assert_eq!(turned.unwrap(), Drained::Empty);
    for number in 0..2 {
        let mut expected = packet(number);
        expected[12..20].rotate_left(4);
        assert_eq!(seen.take(), Some(expected));
    }
}

fn it_works_without_a_loop<H: Harness>(harness: &H) {
    let source = tunctl_mio::TunSource::new(tun(harness, "tun0"));
    (0..3).for_each(|number| inject(harness, "tun0", number));
    let mut count = 0;
    for expected in [Drained::More, Drained::Empty] {
        let drained = source.drain(&mut [0; 1500], 2, |_| {
            count += 1;
            Ok(())
        });
        assert_eq!(drained.unwrap(), expected);
    }
    assert_eq!(count, 3);
}
