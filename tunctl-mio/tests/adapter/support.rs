//! What the cases have in common.

use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use nix::sys::resource::{UsageWho, getrusage};
use tunctl_conformance::{DeviceOf, Harness};
use tunctl_core::{CreateOptions, InterfaceName, TunBackend};
use tunctl_mio::TunSource;

/// Longer than any event takes, so that a missing one fails the case.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// Long enough for an event that must not come.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(50);

pub(crate) const TUN: Token = Token(7);

pub(crate) fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// A harness whose devices may move to another thread.
pub(crate) trait System: Harness<Backend: TunBackend<Device: 'static>> {}
impl<H: Harness<Backend: TunBackend<Device: 'static>>> System for H {}

/// Creates a tun of that name and sets it up.
pub(crate) fn tun<H: Harness>(harness: &H, text: &str) -> DeviceOf<H> {
    let device = harness.backend().create(&CreateOptions::tun().name(text)).unwrap();
    harness.set_up(&name(text), true);
    device
}

/// An IPv4 packet with a number in it.
pub(crate) fn packet(number: u32) -> Vec<u8> {
    let header = [0x45, 0, 0, 24, 0, 0, 0, 0, 64, 253, 0, 0, 10, 1, 1, 2, 10, 1, 1, 1];
    [&header[..], &number.to_be_bytes()].concat()
}

/// The number in a packet.
pub(crate) fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet.last_chunk().copied().unwrap())
}

pub(crate) fn inject<H: Harness>(harness: &H, text: &str, number: u32) {
    assert!(harness.inject(&name(text), &packet(number)), "packet {number} reaches the queue");
}

/// An event loop with one source.
pub(crate) struct Loop<H: Harness> {
    pub(crate) poll: Poll,
    pub(crate) source: TunSource<DeviceOf<H>>,
}

impl<H: Harness> Loop<H> {
    pub(crate) fn new(device: DeviceOf<H>, interests: Interest) -> Self {
        let poll = Poll::new().unwrap();
        let mut source = TunSource::new(device);
        poll.registry().register(&mut source, TUN, interests).unwrap();
        Self { poll, source }
    }

    /// The events of the next poll, which waits at most `timeout`.
    pub(crate) fn events(&mut self, timeout: Duration) -> Vec<Event> {
        events(&mut self.poll, timeout)
    }

    /// The numbers of the packets of one drain, and what it returned.
    pub(crate) fn drain(&self, budget: usize) -> (Vec<u32>, tunctl_core::Result<tunctl_mio::Drained>) {
        let mut numbers = Vec::new();
        let outcome = self.source.drain(&mut [0; 1500], budget, |packet| numbers.push(number(packet)));
        (numbers, outcome)
    }
}

pub(crate) fn events(poll: &mut Poll, timeout: Duration) -> Vec<Event> {
    let mut events = Events::with_capacity(16);
    while let Err(error) = poll.poll(&mut events, Some(timeout)) {
        // A signal interrupts a poll.
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
    events.iter().cloned().collect()
}

/// The processor time that this process has used.
pub(crate) fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    [usage.user_time(), usage.system_time()]
        .map(|time| {
            let microseconds = time.tv_sec() * 1_000_000 + time.tv_usec();
            Duration::from_micros(microseconds.try_into().unwrap())
        })
        .iter()
        .sum()
}
