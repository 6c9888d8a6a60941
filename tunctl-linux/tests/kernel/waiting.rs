//! Waiting for packets, and not waiting.

use std::thread;
use std::time::{Duration, Instant};

use tunctl_core::{CreateOptions, Readiness, TunDevice};
use tunctl_testing::{Case, case, ip};

use super::support::{quiet_tun, tun, udp_payload};

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(a_blocked_receive_wakes_for_a_packet),
        case!(a_wait_ends_with_its_timeout_or_with_a_packet),
        case!(a_wait_of_no_time_only_asks),
        case!(a_wait_of_all_time_is_no_overflow),
        case!(a_device_is_writable_while_up),
        case!(packets_that_wait_can_be_received_while_down),
    ]
}

const FAR: &str = "10.77.0.2:9";

fn a_blocked_receive_wakes_for_a_packet() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut buffer = [0; 100];
            let length = device.recv(&mut buffer).unwrap();
            (buffer[..length].to_vec(), Instant::now())
        });
        thread::sleep(Duration::from_millis(200));
        assert!(!reader.is_finished());
        let sent = Instant::now();
        socket.send_to(b"wake", FAR).unwrap();
        let (packet, woke) = reader.join().unwrap();
        assert_eq!(udp_payload(&packet), b"wake");
        assert!(woke > sent);
    });
}

fn a_wait_ends_with_its_timeout_or_with_a_packet() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    for timeout in [Duration::from_micros(300), Duration::from_millis(150)] {
        let started = Instant::now();
        assert!(!device.wait(Readiness::Readable, Some(timeout)).unwrap());
        let waited = started.elapsed();
        assert!(waited >= timeout && waited < timeout + Duration::from_secs(5), "{waited:?}");
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            socket.send_to(b"ready", FAR).unwrap();
        });
        let started = Instant::now();
        assert!(device.wait(Readiness::Readable, Some(Duration::from_secs(20))).unwrap());
        assert!(started.elapsed() < Duration::from_secs(10));
    });
    // Waiting takes nothing.
    assert_eq!(device.try_recv(&mut [0; 100]).unwrap(), 28 + 5);
}

fn a_wait_of_no_time_only_asks() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    let zero = Some(Duration::ZERO);
    assert!(!device.wait(Readiness::Readable, zero).unwrap());
    socket.send_to(b"there", FAR).unwrap();
    assert!(device.wait(Readiness::Readable, zero).unwrap());
    assert!(device.wait(Readiness::Readable, None).unwrap());
}

fn a_wait_of_all_time_is_no_overflow() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            socket.send_to(b"at last", FAR).unwrap();
        });
        assert!(device.wait(Readiness::Readable, Some(Duration::MAX)).unwrap());
    });
    let month = Duration::from_secs(40 * 24 * 3600);
    assert!(device.wait(Readiness::Readable, Some(month)).unwrap());
}

fn a_device_is_writable_while_up() {
    let device = tun("tun0");
    let a_moment = Some(Duration::from_millis(50));
    assert!(!device.wait(Readiness::Writable, a_moment).unwrap());
    ip("link set tun0 up");
    assert!(device.wait(Readiness::Writable, a_moment).unwrap());
    device.down().unwrap();
    assert!(!device.wait(Readiness::Writable, a_moment).unwrap());
}

fn packets_that_wait_can_be_received_while_down() {
    let (device, socket) = quiet_tun(CreateOptions::tun());
    socket.send_to(b"late", FAR).unwrap();
    ip("link set tun0 down");
    assert!(device.wait(Readiness::Readable, Some(Duration::ZERO)).unwrap());
    let mut buffer = [0; 100];
    let length = device.recv(&mut buffer).unwrap();
    assert_eq!(udp_payload(&buffer[..length]), b"late");
}
