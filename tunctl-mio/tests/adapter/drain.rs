//! What a drain takes, what it returns, and when the next event comes.

use std::io;

use mio::Interest;
use tunctl_conformance::Harness;
use tunctl_core::{Cause, CreateOptions, Error, Operation, TunBackend, TunDevice};
use tunctl_mio::{DrainError, Drained, TunSource, may_receive};
use tunctl_mock::{Errno, Fault, MockBackend};
use tunctl_testing::{Case, on_both};

use super::support::{A_MOMENT, LONG, Loop, inject, name, packet, tun};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![
        it_takes_all_if_the_budget_allows,
        it_stops_at_its_budget_and_an_event_follows_for_the_rest,
        a_budget_that_is_just_enough_leaves_more,
        a_loop_that_obeys_takes_every_packet,
        a_packet_after_the_last_one_is_an_event,
        an_error_of_the_programs_ends_it_and_loses_nothing,
        the_closure_s_deletion_is_not_the_device_s,
        what_waits_at_a_deletion_is_gone_with_it,
        a_deletion_between_two_packets_ends_the_drain,
        packets_may_be_changed_and_sent_back,
        it_works_without_a_loop,
        errors_convert_where_the_closure_fails_with_ours,
    ];
    cases.push(Case::new(
        "memory::drain::the_device_s_error_is_not_the_closure_s",
        the_device_s_error_is_not_the_closure_s,
    ));
    cases
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

fn it_stops_at_its_budget_and_an_event_follows_for_the_rest<H: Harness>(harness: &H) {
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

fn a_budget_that_is_just_enough_leaves_more<H: Harness>(harness: &H) {
    let mut events = filled(harness, 4);
    assert_eq!(events.events(LONG).len(), 1);
    assert_eq!(events.drain(4).1.unwrap(), Drained::More);
    // No packet is left, so no event comes.
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
        // Budgets below, at and above the number of packets.
        for budget in [1, 2, 5] {
            if events.events(LONG).iter().any(may_receive) {
                taken.extend(events.drain(budget).0);
            }
        }
    }
    assert_eq!(taken, Vec::from_iter(0..1000));
}

fn a_packet_after_the_last_one_is_an_event<H: Harness>(harness: &H) {
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
    let refused = events.source.try_drain(&mut [0; 1500], 64, |packet| {
        seen.push(packet.to_vec());
        Err("enough")
    });
    assert_eq!((refused, seen), (Err(DrainError::Each("enough")), vec![packet(0)]));
    assert!(events.events(LONG).iter().any(may_receive));
    assert_eq!(events.drain(64).0, [1, 2]);
}

fn the_closure_s_deletion_is_not_the_device_s<H: Harness>(harness: &H) {
    let mut events = filled(harness, 2);
    let other = tun(harness, "tun1");
    harness.delete(&name("tun1"));
    assert_eq!(events.events(LONG).len(), 1);
    let forwarded = events.source.try_drain(&mut [0; 1500], 64, |packet| other.try_send(packet).map(drop));
    assert!(matches!(forwarded, Err(DrainError::Each(error)) if error.is_gone()));
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
    });
    assert_eq!((calls, outcome), (1, Ok(Drained::Gone)));
}

fn packets_may_be_changed_and_sent_back<H: Harness>(harness: &H) {
    let mut events = filled(harness, 2);
    let mut seen = harness.observe(&name("tun0"));
    assert_eq!(events.events(LONG).len(), 1);
    let device = events.source.device();
    let turned = events.source.try_drain(&mut [0; 1500], 64, |packet| {
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
    let source = TunSource::new(tun(harness, "tun0"));
    (0..3).for_each(|number| inject(harness, "tun0", number));
    let mut count = 0;
    for expected in [Drained::More, Drained::Empty] {
        let drained = source.drain(&mut [0; 1500], 2, |_| count += 1);
        assert_eq!(drained.unwrap(), expected);
    }
    assert_eq!(count, 3);
}

/// `Ok(())` in the closures has no type annotation. That this compiles is part of the test.
fn errors_convert_where_the_closure_fails_with_ours<H: Harness>(harness: &H) {
    fn ours<D: TunDevice>(from: &TunSource<D>, to: &D) -> tunctl_core::Result<Drained> {
        let drained = from.try_drain(&mut [0; 1500], 64, |packet| {
            to.try_send(packet)?;
            Ok(())
        })?;
        Ok(drained)
    }
    fn standard<D: TunDevice>(from: &TunSource<D>, to: &D) -> io::Result<Drained> {
        let drained = from.try_drain(&mut [0; 1500], 64, |packet| {
            to.try_send(packet)?;
            Ok(())
        })?;
        Ok(drained)
    }
    fn flattened<D: TunDevice>(from: &TunSource<D>) -> io::Result<Drained> {
        let refuse = |_: &mut [u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
        from.try_drain(&mut [0; 1500], 64, refuse).map_err(DrainError::flatten)
    }
    let events = filled(harness, 3);
    let other = tun(harness, "tun1");
    harness.delete(&name("tun1"));
    assert!(ours(&events.source, &other).unwrap_err().is_gone());
    assert_eq!(standard(&events.source, &other).unwrap_err().kind(), io::ErrorKind::NotConnected);
    assert_eq!(flattened(&events.source).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(ours(&events.source, &other), Ok(Drained::Empty));
}

fn the_device_s_error_is_not_the_closure_s() {
    let kernel = MockBackend::new();
    let device = kernel.create(&CreateOptions::tun().name("tun0")).unwrap();
    device.up("10.1.1.1/24".parse().unwrap()).unwrap();
    let source = TunSource::new(device);
    kernel.inject("tun0", packet(1));
    kernel.script(Fault::on(Operation::Receive).errno(Errno::ENOMEM));
    let refused = source.try_drain(&mut [0; 1500], 64, |_| Err(Error::new(Operation::Send, Cause::Gone)));
    let Err(DrainError::Device(error)) = refused else { panic!("{refused:?}") };
    assert_eq!((error.operation(), error.cause()), (Operation::Receive, Cause::Other));
    assert_eq!(DrainError::<Error>::Device(error.clone()).to_string(), error.to_string());
    // The packet was not lost.
    let mut count = 0;
    assert_eq!(source.drain(&mut [0; 1500], 64, |_| count += 1), Ok(Drained::Empty));
    assert_eq!(count, 1);
}
