//! Waiting, waking, and poll bits.

use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Case, suite};
use crate::expect::{
    NO_QUEUES, assert_empty, create, errno, frame, ipv4, name, not_applicable, received, refused_with, tap,
    tun, up,
};
use crate::{DeviceOf, Harness, PollState, refused};
use tunctl_core::{Cause, CreateOptions, Readiness, TunDevice};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Readiness:
        a_new_device_is_ready_for_nothing,
        an_interface_that_is_up_is_writable,
        a_packet_that_waits_makes_its_device_readable,
        a_device_is_readable_until_its_last_packet_is_taken,
        a_packet_that_is_lost_to_a_short_buffer_waits_no_more,
        an_interface_that_is_down_is_readable_only,
        a_deleted_interface_is_in_error_alone,
        a_moved_interface_is_as_one_that_is_down,
        a_clone_is_ready_for_the_same,
        queues_are_readable_each_for_itself,
        a_detached_queue_is_writable_only,
        a_wait_of_no_time_only_asks,
        a_wait_takes_nothing,
        a_wait_for_a_packet_does_not_end_because_one_can_be_sent,
        a_wait_lasts_as_long_as_asked,
        a_wait_may_be_longer_than_all_time,
        a_wait_ends_with_a_packet,
        a_wait_to_send_ends_when_the_interface_comes_up,
        a_wait_ends_with_the_interface,
        a_rename_or_a_change_of_state_is_no_packet,
        a_blocked_receive_returns_the_packet_that_comes,
        a_blocked_receive_ends_with_the_interface,
        a_blocked_receive_survives_down_and_up,
        a_send_does_not_wait_for_the_interface_to_come_up,
        one_packet_goes_to_one_of_two_that_wait,
    ]
}

/// Long enough for another thread to begin to wait. If it has not, it finds ready what it was to be woken by.
const A_MOMENT: Duration = Duration::from_millis(50);
/// Nothing takes as long, and a wait that is never woken does not hang.
const LONG: Option<Duration> = Some(Duration::from_secs(20));
/// Who is woken, is woken by then.
const SOON: Duration = Duration::from_secs(10);
const AT_ONCE: Option<Duration> = Some(Duration::ZERO);

fn up_tun<H: Harness>(harness: &H) -> DeviceOf<H> {
    up(harness, CreateOptions::tun(), "tun0")
}

/// Asserts what a poll reports, in the order of the bits: readable, writable, in error.
#[track_caller]
fn assert_polled<H: Harness>(harness: &H, device: &DeviceOf<H>, expected: [bool; 3]) {
    let [readable, writable, error] = expected;
    assert_eq!(harness.poll_state(device), PollState { readable, writable, error });
}

/// What a wait in another thread answers, while here something is done.
fn waiting<D: TunDevice>(device: &D, readiness: Readiness, meanwhile: impl FnOnce()) -> bool {
    thread::scope(|scope| {
        let waiter = scope.spawn(|| device.wait(readiness, LONG).unwrap());
        thread::sleep(A_MOMENT);
        assert!(!waiter.is_finished(), "it did not wait");
        meanwhile();
        let begun = Instant::now();
        let ready = waiter.join().unwrap();
        // Its last look, when its time is up, would find it ready as well.
        assert!(begun.elapsed() < SOON, "nobody woke it");
        ready
    })
}

fn a_new_device_is_ready_for_nothing<H: Harness>(harness: &H) {
    assert_polled(harness, &tun(harness, "tun0"), [false, false, false]);
    assert_polled(harness, &tap(harness, "tap0"), [false, false, false]);
}

fn an_interface_that_is_up_is_writable<H: Harness>(harness: &H) {
    let device = tap(harness, "tap0");
    for _ in 0..2 {
        harness.set_up(&name("tap0"), true);
        assert_polled(harness, &device, [false, true, false]);
        harness.set_up(&name("tap0"), false);
        assert_polled(harness, &device, [false, false, false]);
    }
}

fn a_packet_that_waits_makes_its_device_readable<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    assert_polled(harness, &device, [true, true, false]);
    let device = up(harness, CreateOptions::tap(), "tap0");
    assert!(harness.inject(&name("tap0"), &frame(0x0800, &ipv4(28))));
    assert_polled(harness, &device, [true, true, false]);
}

fn a_device_is_readable_until_its_last_packet_is_taken<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    for _ in 0..3 {
        assert!(harness.inject(&name("tun0"), &ipv4(28)));
    }
    for _ in 0..3 {
        assert_polled(harness, &device, [true, true, false]);
        // Which nothing is taken by.
        assert_eq!(device.try_recv(&mut []).unwrap(), 0);
        assert_polled(harness, &device, [true, true, false]);
        assert_eq!(received(&device), ipv4(28));
    }
    assert_polled(harness, &device, [false, true, false]);
}

fn a_packet_that_is_lost_to_a_short_buffer_waits_no_more<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().packet_information(true), "tun0");
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    refused_with(device.try_recv(&mut [0; 3]), Cause::TooShort, errno::EINVAL);
    assert_polled(harness, &device, [false, true, false]);
}

fn an_interface_that_is_down_is_readable_only<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    harness.set_up(&name("tun0"), false);
    assert_polled(harness, &device, [true, false, false]);
    assert_eq!(received(&device), ipv4(28));
    assert_polled(harness, &device, [false, false, false]);
}

fn a_deleted_interface_is_in_error_alone<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let clone = device.try_clone().unwrap();
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    harness.delete(&name("tun0"));
    for device in [&device, &clone] {
        assert_polled(harness, device, [false, false, true]);
        for readiness in [Readiness::Readable, Readiness::Writable] {
            assert!(device.wait(readiness, AT_ONCE).unwrap());
        }
    }
}

fn a_moved_interface_is_as_one_that_is_down<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    harness.move_to_namespace(&name("tun0"));
    assert_polled(harness, &device, [true, false, false]);
    assert_eq!(received(&device), ipv4(28));
    assert_polled(harness, &device, [false, false, false]);
    assert!(!device.wait(Readiness::Readable, AT_ONCE).unwrap());
}

fn a_clone_is_ready_for_the_same<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let clone = device.try_clone().unwrap();
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    assert_polled(harness, &clone, [true, true, false]);
    assert_eq!(received(&device), ipv4(28));
    assert_polled(harness, &clone, [false, true, false]);
}

fn queues_are_readable_each_for_itself<H: Harness>(harness: &H) {
    let several = CreateOptions::tun().multi_queue(true);
    let first = up(harness, several.clone(), "tun0");
    let second = crate::expect::open(harness, several, "tun0").unwrap();
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    let readable = [&first, &second].map(|device| harness.poll_state(device).readable);
    assert!(readable[0] != readable[1], "{readable:?}");
    let [with, without] = if readable[0] { [&first, &second] } else { [&second, &first] };
    assert_empty(without);
    assert_eq!(received(with), ipv4(28));
}

fn a_detached_queue_is_writable_only<H: Harness>(harness: &H) {
    let device = up(harness, CreateOptions::tun().multi_queue(true), "tun0");
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    let Some(outcome) = harness.set_queue(&device, false) else { return not_applicable(NO_QUEUES) };
    outcome.unwrap();
    assert_polled(harness, &device, [false, true, false]);
    harness.set_up(&name("tun0"), false);
    assert_polled(harness, &device, [false, false, false]);
    harness.delete(&name("tun0"));
    assert_polled(harness, &device, [false, false, true]);
}

fn a_wait_of_no_time_only_asks<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    let asked = || [Readiness::Readable, Readiness::Writable].map(|what| device.wait(what, AT_ONCE).unwrap());
    assert_eq!(asked(), [false, false]);
    harness.set_up(&name("tun0"), true);
    assert_eq!(asked(), [false, true]);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    assert_eq!(asked(), [true, true]);
    harness.set_up(&name("tun0"), false);
    assert_eq!(asked(), [true, false]);
}

fn a_wait_takes_nothing<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    for timeout in [AT_ONCE, LONG, None] {
        assert!(device.wait(Readiness::Readable, timeout).unwrap());
    }
    assert_eq!(received(&device), ipv4(28));
}

fn a_wait_for_a_packet_does_not_end_because_one_can_be_sent<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    assert_polled(harness, &device, [false, true, false]);
    assert!(!device.wait(Readiness::Readable, Some(A_MOMENT)).unwrap());
    harness.set_up(&name("tun0"), false);
    assert!(!device.wait(Readiness::Writable, Some(A_MOMENT)).unwrap());
}

fn a_wait_lasts_as_long_as_asked<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    for timeout in [Duration::from_micros(300), Duration::from_millis(20), Duration::from_millis(150)] {
        let started = Instant::now();
        assert!(!device.wait(Readiness::Readable, Some(timeout)).unwrap());
        assert!(started.elapsed() >= timeout, "{:?} of {timeout:?}", started.elapsed());
    }
}

fn a_wait_may_be_longer_than_all_time<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let month = Duration::from_secs(40 * 24 * 3600);
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX), month] {
        thread::scope(|scope| {
            let waiter = scope.spawn(|| device.wait(Readiness::Readable, Some(timeout)).unwrap());
            thread::sleep(A_MOMENT);
            assert!(!waiter.is_finished());
            assert!(harness.inject(&name("tun0"), &ipv4(28)));
            assert!(waiter.join().unwrap());
        });
        assert_eq!(received(&device), ipv4(28));
    }
}

fn a_wait_ends_with_a_packet<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    assert!(waiting(&device, Readiness::Readable, || {
        assert!(harness.inject(&name("tun0"), &ipv4(28)));
    }));
    assert_eq!(received(&device), ipv4(28));
}

fn a_wait_to_send_ends_when_the_interface_comes_up<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    assert!(waiting(&device, Readiness::Writable, || harness.set_up(&name("tun0"), true)));
    assert_eq!(device.try_send(&ipv4(28)).unwrap(), 28);
}

fn a_wait_ends_with_the_interface<H: Harness>(harness: &H) {
    for readiness in [Readiness::Readable, Readiness::Writable] {
        let device = tun(harness, "tun0");
        assert!(waiting(&device, readiness, || harness.delete(&name("tun0"))));
        refused_with(device.try_recv(&mut [0; 100]), Cause::Gone, errno::EBADFD);
    }
}

fn a_rename_or_a_change_of_state_is_no_packet<H: Harness>(harness: &H) {
    let device = tun(harness, "tun0");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| device.wait(Readiness::Readable, Some(4 * A_MOMENT)).unwrap());
        thread::sleep(A_MOMENT);
        assert!(harness.rename(&name("tun0"), &name("tun1")));
        harness.set_up(&name("tun1"), true);
        harness.set_up(&name("tun1"), false);
        harness.move_to_namespace(&name("tun1"));
        assert!(!waiter.join().unwrap());
    });
}

/// What a blocked receive in another thread returns, while here something is done.
fn blocked<D: TunDevice>(device: &D, meanwhile: impl FnOnce()) -> tunctl_core::Result<Vec<u8>> {
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut buffer = [0; 1500];
            device.recv(&mut buffer).map(|length| buffer[..length].to_vec())
        });
        thread::sleep(A_MOMENT);
        assert!(!receiver.is_finished(), "it did not wait");
        meanwhile();
        receiver.join().unwrap()
    })
}

fn a_blocked_receive_returns_the_packet_that_comes<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let packet = blocked(&device, || assert!(harness.inject(&name("tun0"), &ipv4(28))));
    assert_eq!(packet, Ok(ipv4(28)));
    assert_empty(&device);
}

fn a_blocked_receive_ends_with_the_interface<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let outcome = blocked(&device, || harness.delete(&name("tun0")));
    refused_with(outcome, Cause::Gone, errno::EBADFD);
}

fn a_blocked_receive_survives_down_and_up<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let packet = blocked(&device, || {
        harness.set_up(&name("tun0"), false);
        thread::sleep(A_MOMENT);
        harness.set_up(&name("tun0"), true);
        assert!(harness.inject(&name("tun0"), &ipv4(28)));
    });
    assert_eq!(packet, Ok(ipv4(28)));
}

fn a_send_does_not_wait_for_the_interface_to_come_up<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun(), "tun0");
    let error = refused(device.send(&ipv4(28)), Cause::Down);
    assert!(!error.is_would_block());
}

fn one_packet_goes_to_one_of_two_that_wait<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let clone = device.try_clone().unwrap();
    let lengths = thread::scope(|scope| {
        let receivers = [&device, &clone].map(|device| scope.spawn(|| device.recv(&mut [0; 100]).unwrap()));
        thread::sleep(A_MOMENT);
        assert!(harness.inject(&name("tun0"), &ipv4(28)));
        while receivers.iter().all(|receiver| !receiver.is_finished()) {
            thread::sleep(A_MOMENT / 10);
        }
        thread::sleep(A_MOMENT);
        assert!(receivers.iter().any(|receiver| !receiver.is_finished()), "both have received");
        assert!(harness.inject(&name("tun0"), &ipv4(29)));
        receivers.map(|receiver| receiver.join().unwrap())
    });
    assert!(lengths == [28, 29] || lengths == [29, 28], "{lengths:?}");
    assert_empty(&device);
}
