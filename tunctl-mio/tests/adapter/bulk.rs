//! Many packets a call, in mio's loop.

use mio::event::Event;
use mio::{Interest, Poll};
use tunctl_conformance::{DeviceOf, Harness};
use tunctl_core::bulk::RecvBatch;
use tunctl_core::{Bulk, CreateOptions, TunBackend, TunDevice};
use tunctl_mio::{Drained, TunSource, may_receive, may_send};
use tunctl_testing::{Case, case, on_both, set_link_rate, tap_with_slow_link};

use super::support::{A_MOMENT, LONG, TUN, events, inject, name, number, packet};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = on_both![
        a_batch_takes_all_that_is_there,
        an_event_follows_for_what_a_batch_has_no_room_for,
        a_loop_that_obeys_takes_every_packet,
        a_deletion_is_an_event,
        what_waits_at_a_deletion_is_gone_with_it,
        packets_are_sent,
        the_device_comes_back,
    ];
    let slow = case!(registered_anew_after_each_refusal_it_is_writable_once_there_is_room);
    cases.push(slow.needs_tool("ip").needs_tool("tc"));
    cases
}

/// An event loop with one source, and a batch.
struct Loop<D: TunDevice> {
    poll: Poll,
    source: TunSource<Bulk<D>>,
    batch: RecvBatch,
}

impl<D: TunDevice> Loop<D> {
    fn of(device: D, interests: Interest) -> Self {
        let mut source = TunSource::new(device.into_bulk().unwrap());
        let poll = Poll::new().unwrap();
        poll.registry().register(&mut source, TUN, interests).unwrap();
        Self { poll, batch: source.device().recv_batch(), source }
    }

    fn new<H: Harness<Backend: TunBackend<Device = D>>>(harness: &H, vnet: bool) -> Self {
        let options = CreateOptions::tun().name("tun0").vnet_header(vnet);
        let device = harness.backend().create(&options).unwrap();
        harness.set_up(&name("tun0"), true);
        Self::of(device, Interest::READABLE)
    }

    /// Whether an event comes for which a drain is due.
    fn wakes(&mut self) -> bool {
        events(&mut self.poll, LONG).iter().any(may_receive)
    }

    fn sleeps(&mut self) -> bool {
        events(&mut self.poll, A_MOMENT).is_empty()
    }

    /// The numbers of the packets of one drain, and what it returned.
    fn drain(&mut self) -> (Vec<u32>, Drained) {
        let drained = self.source.drain_into(&mut self.batch).unwrap();
        let mut numbers = Vec::new();
        while let Some(packet) = self.batch.next() {
            numbers.push(number(packet));
        }
        (numbers, drained)
    }
}

fn filled<H: Harness>(harness: &H, packets: u32) -> Loop<DeviceOf<H>> {
    let events = Loop::new(harness, true);
    (0..packets).for_each(|number| inject(harness, "tun0", number));
    events
}

fn a_batch_takes_all_that_is_there<H: Harness>(harness: &H) {
    for vnet in [false, true] {
        let mut events = Loop::new(harness, vnet);
        for first in [0, 10, 20] {
            (first..first + 10).for_each(|number| inject(harness, "tun0", number));
            assert!(events.wakes());
            assert_eq!(events.drain(), (Vec::from_iter(first..first + 10), Drained::More));
            assert!(events.sleeps());
            assert_eq!(events.drain(), (Vec::new(), Drained::Empty));
        }
    }
}

fn an_event_follows_for_what_a_batch_has_no_room_for<H: Harness>(harness: &H) {
    let mut events = filled(harness, 200);
    let (mut taken, mut batches) = (Vec::new(), 0);
    while taken.len() < 200 {
        assert!(events.wakes());
        let (numbers, drained) = events.drain();
        assert_eq!(drained, Drained::More);
        taken.extend(numbers);
        batches += 1;
    }
    assert_eq!(taken, Vec::from_iter(0..200));
    assert!(batches > 1, "a batch has room for all");
    assert!(events.sleeps());
}

fn a_loop_that_obeys_takes_every_packet<H: Harness>(harness: &H) {
    let mut events = filled(harness, 0);
    let mut taken = Vec::new();
    for first in (0..3000).step_by(60) {
        (first..first + 60).for_each(|number| inject(harness, "tun0", number));
        assert!(events.wakes());
        taken.extend(events.drain().0);
    }
    while taken.len() < 3000 {
        assert!(events.wakes());
        taken.extend(events.drain().0);
    }
    assert_eq!(taken, Vec::from_iter(0..3000));
}

fn a_deletion_is_an_event<H: Harness>(harness: &H) {
    let mut events = filled(harness, 1);
    assert!(events.wakes());
    assert_eq!(events.drain(), (vec![0], Drained::More));
    assert!(events.sleeps());
    harness.delete(&name("tun0"));
    assert!(events.wakes());
    assert_eq!(events.drain(), (Vec::new(), Drained::Gone));
    assert!(events.sleeps());
    assert_eq!(events.drain(), (Vec::new(), Drained::Gone));
}

fn what_waits_at_a_deletion_is_gone_with_it<H: Harness>(harness: &H) {
    let mut events = filled(harness, 3);
    harness.delete(&name("tun0"));
    assert!(events.wakes());
    assert_eq!(events.drain(), (Vec::new(), Drained::Gone));
}

fn packets_are_sent<H: Harness>(harness: &H) {
    let events = filled(harness, 0);
    let mut seen = harness.observe(&name("tun0"));
    let mut batch = events.source.device().send_batch();
    (0..5).for_each(|number| assert_eq!(batch.push(&packet(number)).unwrap(), packet(number)));
    assert_eq!(events.source.device().try_send(&mut batch).unwrap(), 5);
    (0..5).for_each(|number| assert_eq!(seen.take(), Some(packet(number))));
}

fn the_device_comes_back<H: Harness>(harness: &H) {
    let Loop { mut poll, source, .. } = filled(harness, 0);
    let device = source.into_device().into_device().unwrap();
    inject(harness, "tun0", 1);
    assert!(events(&mut poll, A_MOMENT).is_empty());
    let mut events = Loop::of(device, Interest::READABLE);
    assert!(events.wakes());
    assert_eq!(events.drain().0, [1]);
}

/// A send that would block does not have Linux report that there is room again.
fn registered_anew_after_each_refusal_it_is_writable_once_there_is_room() {
    let device = tap_with_slow_link(CreateOptions::tap().vnet_header(true));
    device.set_send_buffer(20_000).unwrap();
    let mut events = Loop::of(device, Interest::WRITABLE);
    let is_writable = |seen: Vec<Event>| seen.iter().any(may_send);
    assert!(is_writable(self::events(&mut events.poll, LONG)));
    let mut batch = events.source.device().send_batch();
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(1000, 0);
    while batch.push(&frame).is_ok() {}
    let mut refusals = 0;
    while let Err(error) = events.source.device().try_send(&mut batch) {
        assert!(error.is_would_block(), "{error}");
        events.poll.registry().reregister(&mut events.source, TUN, Interest::WRITABLE).unwrap();
        if refusals == 0 {
            assert!(!is_writable(self::events(&mut events.poll, A_MOMENT)));
            set_link_rate("8mbit");
        }
        refusals += 1;
        assert!(is_writable(self::events(&mut events.poll, LONG)));
    }
    assert!(refusals > 1 && batch.is_empty(), "{refusals} refusals");
}
