//! Devices in event loops: mio's and tokio's.

use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use tunctl_core::{Interface, Result, State, TunDevice};
use tunctl_mio::{Drained, TunSource, may_receive};
use tunctl_tokio::AsyncDevice;

use crate::fixture::{Device, Fixture, SYSTEMS, address};
use crate::models::System;

/// Longer than any event takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);
const DEVICE: Token = Token(3);

/// A packet for a tun or a frame for a tap, with the number in its last byte.
fn message(number: u8) -> Vec<u8> {
    let mut message = vec![0x45; 60];
    message[59] = number;
    message
}

/// A tun and a tap of each system, set up, and the names of their interfaces.
fn devices() -> Vec<(Fixture, Device, &'static str)> {
    let tuns = SYSTEMS.into_iter().map(|system| {
        let fixture = Fixture::new(system);
        let tun = fixture.tun();
        // NetBSD's tun must have an address.
        tun.interface().add_address(address("10.0.0.1/24")).unwrap();
        let name = fixture.tun_name();
        (fixture, tun, name)
    });
    let taps = SYSTEMS.into_iter().map(|system| {
        let fixture = Fixture::new(system);
        let (tap, name) = (fixture.tap(), fixture.tap_name());
        (fixture, tap, name)
    });
    let all: Vec<_> = tuns.chain(taps).collect();
    for (_, device, _) in &all {
        device.interface().set_state(State::Up).unwrap();
    }
    all
}

struct Loop {
    poll: Poll,
    events: Events,
    source: TunSource<Device>,
}

impl Loop {
    fn new(device: Device, interest: Interest) -> Self {
        let poll = Poll::new().unwrap();
        let mut source = TunSource::new(device);
        poll.registry().register(&mut source, DEVICE, interest).unwrap();
        Self { poll, events: Events::with_capacity(8), source }
    }

    /// Whether an event comes for which the device may have a packet.
    fn is_notified(&mut self, within: Duration) -> bool {
        self.poll.poll(&mut self.events, Some(within)).unwrap();
        self.events.iter().any(|event| event.token() == DEVICE && may_receive(event))
    }

    /// What a drain returns, and the numbers of its packets.
    fn drain(&self, budget: usize) -> Result<(Drained, Vec<u8>)> {
        let mut numbers = Vec::new();
        let drained = self.source.drain(&mut [0; 100], budget, |packet| numbers.extend(packet.last()))?;
        Ok((drained, numbers))
    }
}

#[test]
fn each_first_packet_is_an_event() {
    for (fixture, device, name) in devices() {
        let mut mio = Loop::new(device, Interest::READABLE);
        assert!(!mio.is_notified(SHORT), "{name}");
        for round in 0..20 {
            assert!(fixture.inject(name, &message(round)), "{name}");
            assert!(mio.is_notified(LONG), "{name} {round}");
            assert_eq!(mio.drain(10).unwrap(), (Drained::Empty, vec![round]), "{name}");
        }
    }
}

#[test]
fn an_event_follows_for_what_a_budget_leaves() {
    for (fixture, device, name) in devices() {
        let mut mio = Loop::new(device, Interest::READABLE);
        assert!((1..=5).all(|number| fixture.inject(name, &message(number))), "{name}");
        let mut numbers = Vec::new();
        loop {
            assert!(mio.is_notified(LONG), "{name} {numbers:?}");
            let (drained, some) = mio.drain(2).unwrap();
            numbers.extend(some);
            if matches!(drained, Drained::Empty) {
                break;
            }
        }
        assert_eq!(numbers, [1, 2, 3, 4, 5], "{name}");
        assert!(!mio.is_notified(SHORT), "{name}");
    }
}

#[test]
fn a_device_is_writable_beside_packets() {
    for (fixture, device, name) in devices() {
        let mut mio = Loop::new(device, Interest::READABLE | Interest::WRITABLE);
        mio.poll.poll(&mut mio.events, Some(LONG)).unwrap();
        assert!(mio.events.iter().any(mio::event::Event::is_writable), "{name}");
        assert!(fixture.inject(name, &message(1)));
        assert!(mio.is_notified(LONG), "{name}");
    }
}

#[test]
fn the_deletion_of_a_tap_of_macos_is_an_event() {
    let fixture = Fixture::new(System::MacOs);
    let tap = fixture.tap();
    tap.interface().set_state(State::Up).unwrap();
    let mut mio = Loop::new(tap, Interest::READABLE);
    assert!(!mio.is_notified(SHORT));
    fixture.backend_interface("feth0").delete().unwrap();
    assert!(mio.is_notified(LONG));
    assert_eq!(mio.drain(10).unwrap(), (Drained::Gone, vec![]));
}

#[test]
fn a_task_receives_what_comes() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (fixture, device, name) in devices() {
        runtime.block_on(async {
            let device = AsyncDevice::new(device).unwrap();
            let mut buffer = [0; 100];
            let nothing = tokio::time::timeout(SHORT, device.recv(&mut buffer)).await;
            assert!(nothing.is_err(), "{name}");
            for round in 0..20 {
                let sent =
                    std::thread::scope(|scope| scope.spawn(|| fixture.inject(name, &message(round))).join());
                assert!(sent.unwrap(), "{name}");
                let received = tokio::time::timeout(LONG, device.recv(&mut buffer)).await;
                assert_eq!((received.unwrap().unwrap(), buffer[59]), (60, round), "{name}");
            }
            assert_eq!(device.send(&message(9)).await.unwrap(), 60, "{name}");
            assert_eq!(fixture.taken(name), Some(message(9)));
        });
    }
}
