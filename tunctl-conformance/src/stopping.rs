//! Receives that end in time, or when they are told to.

use std::fs::File;
use std::io::Write;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::case::{Case, suite};
use crate::expect::{assert_empty, create, errno, ipv4, name, received, refused_with, tun, up};
use crate::{DeviceOf, Harness, refused};
use tunctl_core::{Cause, CreateOptions, Interrupter, Readiness, Result, TunDevice, WaitOutcome};

pub(crate) fn cases<H: Harness>() -> Vec<Case<H>> {
    suite![Readiness:
        a_timed_receive_lasts_as_long_as_asked,
        a_timed_receive_takes_what_is_there_however_short_the_time,
        a_timed_receive_returns_the_packet_that_comes,
        a_timed_receive_ends_with_the_interface,
        a_timed_receive_ends_in_time_also_if_another_takes_the_packet,
        an_interruptible_receive_returns_the_packet_that_comes,
        an_interruptible_receive_ends_with_the_interface,
        an_interruptible_receive_may_have_a_time_as_well,
        an_interrupt_ends_a_receive_that_waits,
        an_interrupt_ends_a_receive_that_begins_later,
        an_interrupt_comes_before_packets_and_takes_none,
        an_interrupt_stays_until_it_is_reset,
        an_interrupt_ends_all_that_were_given_it,
        an_interrupt_leaves_alone_who_was_not_given_it,
        a_wait_that_is_over_leaves_another_to_be_woken,
        a_byte_in_a_trigger_is_an_interrupt,
        a_trigger_comes_before_packets_for_who_waits,
        a_trigger_comes_before_packets_for_who_need_not_wait,
        an_interrupt_ends_a_wait_for_room,
        an_interruptible_wait_for_room_ends_when_the_interface_comes_up,
        an_interruptible_wait_for_room_ends_with_the_interface,
    ]
}

/// Long enough for another thread to begin to wait. If it has not, it finds ready what it was to be woken by.
const A_MOMENT: Duration = Duration::from_millis(50);
/// Nothing takes as long, and a wait that is never woken does not hang.
const LONG: Duration = Duration::from_secs(20);
/// Who is woken, is woken by then.
const SOON: Duration = Duration::from_secs(10);

fn up_tun<H: Harness>(harness: &H) -> DeviceOf<H> {
    up(harness, CreateOptions::tun(), "tun0")
}

fn interrupter() -> Interrupter {
    Interrupter::new().unwrap()
}

fn packet<D: TunDevice>(receive: impl FnOnce(&D, &mut [u8]) -> Result<usize>, device: &D) -> Result<Vec<u8>> {
    let mut buffer = [0; 1500];
    receive(device, &mut buffer).map(|length| buffer[..length].to_vec())
}

fn timed<D: TunDevice>(device: &D, timeout: Duration) -> Result<Vec<u8>> {
    packet(|device, buffer| device.recv_timeout(buffer, timeout), device)
}

fn interruptible<D: TunDevice>(device: &D, interrupter: &Interrupter) -> Result<Vec<u8>> {
    packet(|device, buffer| device.recv_until(buffer, Some(LONG), Some(interrupter)), device)
}

/// What a call in another thread returns, while here something is done; it must wait for that, and no longer.
fn meanwhile<T: Send>(call: impl FnOnce() -> T + Send, work: impl FnOnce()) -> T {
    thread::scope(|scope| {
        let caller = scope.spawn(call);
        thread::sleep(A_MOMENT);
        assert!(!caller.is_finished(), "it did not wait");
        let begun = Instant::now();
        work();
        let returned = caller.join().unwrap();
        assert!(begun.elapsed() < SOON);
        returned
    })
}

fn a_timed_receive_lasts_as_long_as_asked<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    for timeout in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(120)] {
        let begun = Instant::now();
        refused(timed(&device, timeout), Cause::TimedOut);
        let took = begun.elapsed();
        assert!(took >= timeout && took < timeout + SOON, "{took:?} of {timeout:?}");
    }
}

fn a_timed_receive_takes_what_is_there_however_short_the_time<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    assert_eq!(timed(&device, Duration::ZERO), Ok(ipv4(28)));
}

fn a_timed_receive_returns_the_packet_that_comes<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    for timeout in [LONG, Duration::MAX] {
        let outcome =
            meanwhile(|| timed(&device, timeout), || assert!(harness.inject(&name("tun0"), &ipv4(28))));
        assert_eq!(outcome, Ok(ipv4(28)));
    }
}

fn a_timed_receive_ends_with_the_interface<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let outcome = meanwhile(|| timed(&device, LONG), || harness.delete(&name("tun0")));
    refused_with(outcome, Cause::Gone, errno::EBADFD);
}

fn a_timed_receive_ends_in_time_also_if_another_takes_the_packet<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let clone = device.try_clone().unwrap();
    let begun = Instant::now();
    thread::scope(|scope| {
        let receivers = [&device, &clone].map(|device| scope.spawn(|| timed(device, 6 * A_MOMENT)));
        thread::sleep(A_MOMENT);
        assert!(harness.inject(&name("tun0"), &ipv4(28)));
        let outcomes = receivers.map(|receiver| receiver.join().unwrap());
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Ok(ipv4(28))).count(), 1, "{outcomes:?}");
        let [error] = &outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect::<Vec<_>>()[..]
        else {
            panic!("{outcomes:?}");
        };
        assert!(error.is_timed_out(), "{error}");
    });
    let took = begun.elapsed();
    assert!(took >= 6 * A_MOMENT && took < SOON, "{took:?}");
}

fn an_interruptible_receive_returns_the_packet_that_comes<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let unused = interrupter();
    let outcome =
        meanwhile(|| interruptible(&device, &unused), || assert!(harness.inject(&name("tun0"), &ipv4(28))));
    assert_eq!(outcome, Ok(ipv4(28)));
    assert_empty(&device);
}

fn an_interruptible_receive_ends_with_the_interface<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let unused = interrupter();
    let outcome = meanwhile(|| interruptible(&device, &unused), || harness.delete(&name("tun0")));
    refused_with(outcome, Cause::Gone, errno::EBADFD);
}

fn an_interruptible_receive_may_have_a_time_as_well<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let unused = interrupter();
    let begun = Instant::now();
    let outcome = device.recv_until(&mut [0; 100], Some(A_MOMENT), Some(&unused));
    refused(outcome, Cause::TimedOut);
    assert!(begun.elapsed() >= A_MOMENT && begun.elapsed() < SOON);
}

fn an_interrupt_ends_a_receive_that_waits<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    let endless = || device.recv_interruptible(&mut [0; 100], &stop);
    let error = refused(meanwhile(endless, || stop.interrupt()), Cause::Interrupted);
    assert!(error.is_interrupted());
}

fn an_interrupt_ends_a_receive_that_begins_later<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    stop.interrupt();
    for _ in 0..3 {
        refused(interruptible(&device, &stop), Cause::Interrupted);
    }
}

fn an_interrupt_comes_before_packets_and_takes_none<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    assert!(harness.inject(&name("tun0"), &ipv4(29)));
    assert_eq!(interruptible(&device, &stop), Ok(ipv4(28)));
    stop.interrupt();
    refused(interruptible(&device, &stop), Cause::Interrupted);
    assert_eq!(received(&device), ipv4(29));
}

fn an_interrupt_stays_until_it_is_reset<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    for length in 28..31 {
        stop.interrupt();
        stop.interrupt();
        refused(interruptible(&device, &stop), Cause::Interrupted);
        assert_eq!(
            device.wait_until(Readiness::Readable, Some(LONG), Some(&stop)),
            Ok(WaitOutcome::Interrupted)
        );
        stop.reset();
        let outcome = meanwhile(
            || interruptible(&device, &stop),
            || assert!(harness.inject(&name("tun0"), &ipv4(length))),
        );
        assert_eq!(outcome, Ok(ipv4(length)));
    }
}

fn an_interrupt_ends_all_that_were_given_it<H: Harness>(harness: &H) {
    let devices = [up_tun(harness), tun(harness, "tun1")];
    let clone = devices[0].try_clone().unwrap();
    let stop = interrupter();
    thread::scope(|scope| {
        let receivers: Vec<ScopedJoinHandle<'_, _>> = [&devices[0], &clone, &devices[1]]
            .into_iter()
            .map(|device| scope.spawn(|| interruptible(device, &stop.clone())))
            .collect();
        thread::sleep(A_MOMENT);
        assert!(receivers.iter().all(|receiver| !receiver.is_finished()));
        stop.interrupt();
        for receiver in receivers {
            refused(receiver.join().unwrap(), Cause::Interrupted);
        }
    });
}

fn an_interrupt_leaves_alone_who_was_not_given_it<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    let outcome = meanwhile(
        || packet(TunDevice::recv, &device),
        || {
            stop.interrupt();
            refused(interruptible(&device, &stop), Cause::Interrupted);
            assert!(harness.inject(&name("tun0"), &ipv4(28)));
        },
    );
    assert_eq!(outcome, Ok(ipv4(28)));
}

fn a_wait_that_is_over_leaves_another_to_be_woken<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let (over, other) = (interrupter(), interrupter());
    let outcome = meanwhile(
        || interruptible(&device, &other),
        || {
            refused(device.recv_until(&mut [0; 100], Some(A_MOMENT), Some(&over)), Cause::TimedOut);
            assert!(harness.inject(&name("tun0"), &ipv4(28)));
        },
    );
    assert_eq!(outcome, Ok(ipv4(28)));
}

fn a_byte_in_a_trigger_is_an_interrupt<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    let mut trigger = File::from(stop.trigger().unwrap());
    let outcome = meanwhile(|| interruptible(&device, &stop), || trigger.write_all(&[7]).unwrap());
    refused(outcome, Cause::Interrupted);
    assert!(stop.is_interrupted());
    stop.reset();
    drop(trigger);
    refused(device.recv_until(&mut [0; 100], Some(Duration::ZERO), Some(&stop)), Cause::TimedOut);
}

fn a_trigger_comes_before_packets_for_who_waits<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    File::from(stop.trigger().unwrap()).write_all(&[7]).unwrap();
    let woken = device.wait_until(Readiness::Readable, Some(Duration::ZERO), Some(&stop));
    assert_eq!(woken, Ok(WaitOutcome::Interrupted));
    assert_eq!(received(&device), ipv4(28));
}

fn wait_for_room<D: TunDevice>(device: &D, interrupter: &Interrupter) -> Result<WaitOutcome> {
    device.wait_until(Readiness::Writable, Some(LONG), Some(interrupter))
}

fn a_trigger_comes_before_packets_for_who_need_not_wait<H: Harness>(harness: &H) {
    let device = up_tun(harness);
    let stop = interrupter();
    let mut trigger = File::from(stop.trigger().unwrap());
    assert!(harness.inject(&name("tun0"), &ipv4(28)));
    trigger.write_all(&[7]).unwrap();
    refused(interruptible(&device, &stop), Cause::Interrupted);
    assert!(stop.is_interrupted());
    stop.reset();
    assert!(!stop.is_interrupted());
    assert_eq!(interruptible(&device, &stop), Ok(ipv4(28)));
}

fn an_interrupt_ends_a_wait_for_room<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun(), "tun0");
    let stop = interrupter();
    assert_eq!(
        meanwhile(|| wait_for_room(&device, &stop), || stop.interrupt()),
        Ok(WaitOutcome::Interrupted)
    );
}

fn an_interruptible_wait_for_room_ends_when_the_interface_comes_up<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun(), "tun0");
    let unused = interrupter();
    let woken = meanwhile(|| wait_for_room(&device, &unused), || harness.set_up(&name("tun0"), true));
    assert_eq!(woken, Ok(WaitOutcome::Ready));
    assert_eq!(device.try_send(&ipv4(28)), Ok(28));
}

fn an_interruptible_wait_for_room_ends_with_the_interface<H: Harness>(harness: &H) {
    let device = create(harness, CreateOptions::tun(), "tun0");
    let unused = interrupter();
    let woken = meanwhile(|| wait_for_room(&device, &unused), || harness.delete(&name("tun0")));
    assert_eq!(woken, Ok(WaitOutcome::Ready));
    refused_with(device.try_send(&ipv4(28)), Cause::Gone, errno::EBADFD);
}
