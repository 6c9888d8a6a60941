//! What a test can do to a program that watches interfaces.

use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::{Cause, EventWatcher, Events, Interface, InterfaceEvent, Operation, State, TunDevice};
use tunctl_mock::{Errno, Fault, MockBackend, MockWatcher};

use super::tun;

fn lines(watcher: &mut MockWatcher) -> Vec<String> {
    let next = || match watcher.try_next() {
        Err(error) if error.is_would_block() => None,
        event => event.unwrap(),
    };
    std::iter::from_fn(next).map(|event| event.to_string()).collect()
}

fn is_readable(watcher: &MockWatcher) -> bool {
    let mut polled = [PollFd::new(watcher.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
}

#[test]
fn events_can_be_lost_on_purpose() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "vpn0");
    let mut own = device.interface().events().unwrap();
    let mut all = kernel.events().unwrap();
    let mut elsewhere = kernel.new_namespace().events().unwrap();
    kernel.set_state(&device, State::Down);
    kernel.lose_events();
    kernel.set_state(&device, State::Up);
    for watcher in [&mut own, &mut all] {
        let event = watcher.next().unwrap().unwrap();
        let InterfaceEvent::Overrun(interfaces) = &event else { panic!("{event}") };
        assert_eq!(interfaces[0].info, device.interface().info().unwrap());
        assert_eq!(event.to_string(), "events were lost; now vpn0 up, carrier on, MTU 1500, 10.1.1.1/24");
        assert!(lines(watcher).is_empty());
    }
    assert!(lines(&mut elsewhere).is_empty());
    kernel.lose_events();
    kernel.delete("vpn0");
    assert_eq!(lines(&mut own), ["events were lost; there is no interface now", "vpn0: deleted"]);
    assert!(own.next().is_none());
}

#[test]
fn the_descriptor_is_readable_exactly_while_an_event_waits() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "vpn0");
    let mut watcher = device.interface().events().unwrap();
    assert!(!is_readable(&watcher));
    kernel.set_state(&device, State::Down);
    kernel.set_state(&device, State::Up);
    for _ in 0..2 {
        assert!(is_readable(&watcher));
        watcher.try_next().unwrap();
    }
    assert!(!is_readable(&watcher));
    // Nothing that an event reports.
    device.interface().set_queue_length(7).unwrap();
    assert!(!is_readable(&watcher));
    kernel.lose_events();
    assert!(is_readable(&watcher));
    watcher.try_next().unwrap();
    assert!(!is_readable(&watcher));
    drop(device);
    while watcher.next().is_some() {
        assert!(is_readable(&watcher), "also at the end");
    }
}

#[test]
fn a_move_is_seen_from_both_sides() {
    let kernel = MockBackend::new();
    let other = kernel.new_namespace();
    let device = tun(&kernel, "vpn0");
    let (mut here, mut there) = (kernel.events().unwrap(), other.events().unwrap());
    kernel.move_to_namespace(&device, &other).unwrap();
    let left = ["vpn0: down", "vpn0: address 10.1.1.1/24 removed", "vpn0: moved to another namespace"];
    assert_eq!(lines(&mut here), left);
    assert_eq!(lines(&mut there), ["vpn0: created"]);
    other.set_state(&device, State::Up);
    assert!(lines(&mut here).is_empty());
    assert_eq!(lines(&mut there), ["vpn0: up"]);
}

#[test]
fn ipv6_that_is_switched_off_takes_its_addresses() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "vpn0");
    device.interface().add_address("fd77::1/64".parse().unwrap()).unwrap();
    let mut watcher = kernel.events().unwrap();
    kernel.set_ipv6(false);
    kernel.set_ipv6(true);
    assert_eq!(lines(&mut watcher), ["vpn0: address fd77::1/64 removed"]);
}

#[test]
fn watching_can_fail() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "vpn0");
    kernel.script(Fault::on(Operation::Watch).errno(Errno::EMFILE));
    let error = device.interface().events().unwrap_err();
    assert_eq!((error.operation(), error.cause()), (Operation::Watch, Cause::TooManyOpenFiles));
    let mut watcher = device.interface().events().unwrap();
    // Just when the program looks, another deletes the interface.
    kernel.script(Fault::on(Operation::Watch).deletes());
    let last = watcher.by_ref().map(|event| event.unwrap().to_string()).last();
    assert_eq!(last.as_deref(), Some("vpn0: deleted"));
    assert_eq!(kernel.pending_faults(), 0);
}

#[test]
fn a_dropped_watcher_leaves_no_descriptor_open() {
    let kernel = MockBackend::new();
    let watcher = kernel.events().unwrap();
    let mut lent = UnixStream::from(watcher.as_fd().try_clone_to_owned().unwrap());
    lent.set_nonblocking(true).unwrap();
    let mut has_other_end = || {
        let read = lent.read_to_end(&mut Vec::new());
        read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    assert!(has_other_end());
    drop(watcher);
    assert!(!has_other_end());
}
