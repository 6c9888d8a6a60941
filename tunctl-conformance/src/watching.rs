//! How a program watches: it waits, falls behind, and watches what is gone.

use std::time::{Duration, Instant};

use tunctl_core::{
    Cause, CreateOptions, Interface, InterfaceChange, InterfaceEvent, Interrupter, Mtu, Operation, State,
    TunDevice, WaitOutcome,
};

use crate::case::{Case, suite};
use crate::events::{NO_EVENTS, assert_ended, changes, watch};
use crate::expect::{address, bring_up, create, name, not_applicable, refused, report, tap, tun};
use crate::{Harness, InterfaceOf, Need};

use InterfaceChange::{Deleted, Down, Up};

/// More changes than any system keeps until they are read.
const MANY: u32 = 3000;

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    let others = [Case::new(crate::Subject::Events, "watching_takes_no_right", watching_takes_no_right::<H>)
        .needs(Need::OtherUsers)];
    [
        suite![Events:
            a_watcher_that_does_not_keep_up_gets_the_present_state,
            an_overrun_in_which_the_interface_went_ends_the_stream,
            a_wait_for_an_event_ends_with_it,
            a_wait_for_an_event_ends_with_its_time_or_an_interrupt,
            an_interface_that_is_gone_cannot_be_watched,
        ],
        others.to_vec(),
    ]
    .concat()
}

/// Makes very many changes.
fn flood<H: Harness>(interface: &InterfaceOf<H>) {
    for number in 0..MANY {
        interface.set_mtu(Mtu::new(1400 + number % 2).unwrap()).unwrap();
    }
}

fn a_watcher_that_does_not_keep_up_gets_the_present_state<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface();
    let Some(mut own) = watch(harness, Some(interface)) else { return };
    let Some(mut all) = watch(harness, None) else { return };
    flood::<H>(interface);
    bring_up(harness, &device, address("10.77.0.1/24"));
    let _other = tap(harness, "tap0");
    for (watcher, count) in [(&mut own, 1), (&mut all, 2)] {
        assert_eq!(watcher.wait(Some(Duration::ZERO), None).unwrap(), WaitOutcome::Ready);
        let event = watcher.try_next().unwrap().unwrap();
        assert_eq!((event.change(), event.index(), event.name()), (None, None, None));
        let InterfaceEvent::Overrun(interfaces) = event else { panic!("no overrun: {event}") };
        assert_eq!(interfaces.len(), count);
        let state = &interfaces[0];
        assert_eq!(
            (state.info.name, state.info.state, state.info.mtu.get()),
            (name("tun0"), State::Up, 1401)
        );
        assert_eq!(state.addresses, [address("10.77.0.1/24")]);
        assert_eq!(state.info.carrier, report(harness, "tun0").carrier);
        assert_eq!(changes(watcher), []);
    }
    interface.down().unwrap();
    assert_eq!(changes(&mut own), [Down]);
    assert_eq!(changes(&mut all), [Down]);
}

fn an_overrun_in_which_the_interface_went_ends_the_stream<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let index = device.interface().index();
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    flood::<H>(device.interface());
    harness.delete(&name("tun0"));
    let _is_taken = harness.make_with_index(&name("tun0"), index);
    let seen: Vec<_> = watcher.by_ref().map(Result::unwrap).collect();
    assert!(matches!(&seen[0], InterfaceEvent::Overrun(interfaces) if interfaces.is_empty()), "{seen:?}");
    assert_eq!(seen[1].change(), Some(Deleted));
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_ended(&mut watcher);
}

fn a_wait_for_an_event_ends_with_it<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || watcher.next().unwrap().unwrap().change());
        std::thread::sleep(Duration::from_millis(20));
        harness.set_up(&name("tun0"), true);
        assert_eq!(waiting.join().unwrap(), Some(Up));
    });
}

fn a_wait_for_an_event_ends_with_its_time_or_an_interrupt<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let Some(mut watcher) = watch(harness, Some(device.interface())) else { return };
    let stop = Interrupter::new().unwrap();
    let pause = Duration::from_millis(20);
    let begun = Instant::now();
    assert_eq!(watcher.wait(Some(pause), None).unwrap(), WaitOutcome::TimedOut);
    for interrupter in [None, Some(&stop)] {
        let error = refused(watcher.next_until(Some(pause), interrupter), Cause::TimedOut);
        assert_eq!(error.operation(), Operation::Watch);
    }
    assert!(begun.elapsed() >= pause * 3);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(pause);
            stop.interrupt();
        });
        refused(watcher.next_until(None, Some(&stop)), Cause::Interrupted);
    });
    harness.set_up(&name("tun0"), true);
    assert_eq!(watcher.wait(None, Some(&stop)).unwrap(), WaitOutcome::Interrupted);
    refused(watcher.next_until(None, Some(&stop)), Cause::Interrupted);
    stop.reset();
    let event = watcher.next_until(None, Some(&stop)).unwrap().unwrap();
    assert_eq!(event.change(), Some(Up), "the event has stayed");
}

fn an_interface_that_is_gone_cannot_be_watched<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let interface = device.interface().clone();
    let index = interface.index();
    let refuse = || match harness.events(Some(&interface)) {
        Some(outcome) => {
            let error = refused(outcome.map(drop), Cause::Gone);
            assert_eq!((error.operation(), error.interface()), (Operation::Watch, Some(name("tun0"))));
        }
        None => not_applicable(NO_EVENTS),
    };
    harness.delete(&name("tun0"));
    refuse();
    if harness.make_with_index(&name("tun0"), index) {
        refuse();
    }
}

fn watching_takes_no_right<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun(), "tun0");
    let mut watchers = Vec::new();
    harness.as_caller(1000, 1000, false, &mut || {
        watchers.extend(watch(harness, Some(device.interface())));
        watchers.extend(watch(harness, None));
    });
    harness.set_up(&name("tun0"), true);
    harness.as_caller(1000, 1000, false, &mut || {
        for watcher in &mut watchers {
            assert_eq!(changes(watcher), [Up]);
        }
    });
}
