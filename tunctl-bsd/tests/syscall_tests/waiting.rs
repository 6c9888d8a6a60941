//! Waiting at a model's descriptor, and what ends it.

use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::{Interrupter, Readiness, TunDevice, WaitOutcome};

use crate::fixture::{Device, Fixture, SYSTEMS, address, refused};
use crate::models::System;

const V4: &[u8] = &[0x45, 0, 0, 4];
/// Longer than any test is to wait.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn up_tun(system: System) -> (Fixture, Device) {
    let fixture = Fixture::new(system);
    let device = fixture.tun();
    device.up(address("10.0.0.1/24")).unwrap();
    (fixture, device)
}

#[test]
fn a_device_is_readable_while_a_packet_waits() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        assert!(!device.wait(Readiness::Readable, Some(Duration::ZERO)).unwrap(), "{system:?}");
        assert!(fixture.inject(fixture.tun_name(), V4));
        assert!(device.wait(Readiness::Readable, None).unwrap(), "{system:?}");
        device.recv(&mut [0; 10]).unwrap();
        assert!(!device.wait(Readiness::Readable, Some(Duration::ZERO)).unwrap(), "{system:?}");
    }
}

#[test]
fn a_device_is_writable() {
    for system in SYSTEMS {
        let (_rig, device) = up_tun(system);
        assert!(device.wait(Readiness::Writable, Some(LONG)).unwrap(), "{system:?}");
    }
}

#[test]
fn waiting_asks_nothing_of_the_system() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let (_, calls) = fixture.calls_of(|| device.wait(Readiness::Readable, Some(Duration::ZERO)).unwrap());
        assert!(calls.is_empty(), "{system:?} {calls:?}");
    }
}

#[test]
fn a_timeout_passes_and_is_not_shortened() {
    for system in SYSTEMS {
        let (_rig, device) = up_tun(system);
        let begun = Instant::now();
        assert!(refused(device.recv_timeout(&mut [0; 10], SHORT)).is_timed_out(), "{system:?}");
        assert!(begun.elapsed() >= SHORT, "{system:?}");
        let wake = device.wait_until(Readiness::Readable, Some(SHORT), None).unwrap();
        assert_eq!(wake, WaitOutcome::TimedOut, "{system:?}");
    }
}

#[test]
fn a_packet_that_is_there_comes_whatever_the_timeout() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        assert!(fixture.inject(fixture.tun_name(), V4) && fixture.inject(fixture.tun_name(), V4));
        assert_eq!(device.recv_timeout(&mut [0; 10], Duration::ZERO).unwrap(), 4, "{system:?}");
        // A deadline past `Instant`'s range means no deadline.
        assert_eq!(device.recv_timeout(&mut [0; 10], Duration::MAX).unwrap(), 4, "{system:?}");
    }
}

#[test]
fn a_packet_ends_a_wait() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        thread::scope(|scope| {
            let reader = scope.spawn(|| device.recv(&mut [0; 10]).unwrap());
            thread::sleep(SHORT);
            assert!(fixture.inject(fixture.tun_name(), V4));
            assert_eq!(reader.join().unwrap(), 4, "{system:?}");
        });
    }
}

#[test]
fn an_interrupter_ends_a_wait() {
    for system in SYSTEMS {
        let (_rig, device) = up_tun(system);
        let stop = Interrupter::new().unwrap();
        thread::scope(|scope| {
            let reader = scope.spawn(|| refused(device.recv_until(&mut [0; 10], Some(LONG), Some(&stop))));
            thread::sleep(SHORT);
            stop.interrupt();
            assert!(reader.join().unwrap().is_interrupted(), "{system:?}");
        });
    }
}

#[test]
fn an_interrupt_comes_before_a_packet_and_takes_none() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let stop = Interrupter::new().unwrap();
        assert!(fixture.inject(fixture.tun_name(), V4));
        stop.interrupt();
        let wake = device.wait_until(Readiness::Readable, None, Some(&stop)).unwrap();
        assert_eq!(wake, WaitOutcome::Interrupted, "{system:?}");
        assert!(refused(device.recv_interruptible(&mut [0; 10], &stop)).is_interrupted());
        stop.reset();
        assert_eq!(device.recv_interruptible(&mut [0; 10], &stop).unwrap(), 4, "{system:?}");
    }
}

#[test]
fn an_interface_that_goes_ends_a_wait() {
    for system in [System::NetBsd, System::OpenBsd] {
        let (fixture, device) = up_tun(system);
        thread::scope(|scope| {
            let reader = scope.spawn(|| refused(device.recv(&mut [0; 10])));
            thread::sleep(SHORT);
            fixture.destroy_by_another(fixture.tun_name()).unwrap();
            assert!(reader.join().unwrap().is_gone(), "{system:?}");
        });
    }
}

#[test]
fn a_clone_reads_and_writes_on_after_the_first_is_dropped() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let second = device.try_clone().unwrap();
        assert!(fixture.inject(fixture.tun_name(), V4));
        drop(device);
        assert!(fixture.report(fixture.tun_name()).unwrap().is_open, "{system:?}");
        assert_eq!(second.recv_timeout(&mut [0; 10], LONG).unwrap(), 4, "{system:?}");
        assert_eq!(second.send(V4).unwrap(), 4, "{system:?}");
        assert!(refused(second.try_recv(&mut [0; 10])).is_would_block(), "{system:?}");
    }
}

#[test]
fn what_a_clone_receives_the_first_does_not() {
    for system in SYSTEMS {
        let (fixture, device) = up_tun(system);
        let second = device.try_clone().unwrap();
        assert!(fixture.inject(fixture.tun_name(), V4));
        assert_eq!(second.try_recv(&mut [0; 10]).unwrap(), 4, "{system:?}");
        assert!(refused(device.try_recv(&mut [0; 10])).is_would_block(), "{system:?}");
        assert_eq!(second.name().unwrap(), device.name().unwrap());
        assert_eq!(second.flags(), device.flags());
    }
}
