//! The descriptor that a device lends, as an event loop sees it.

use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tunctl_core::{CreateOptions, Queues, Readiness, TunBackend, TunDevice};
use tunctl_mock::{MockBackend, MockDevice};

use crate::{packet, received, tun};

fn polls_readable(device: &MockDevice) -> bool {
    let mut polled = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
    poll(&mut polled, PollTimeout::ZERO).unwrap() == 1
}

#[test]
fn the_descriptor_is_readable_exactly_when_a_receive_would_not_block() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    assert!(!polls_readable(&device));
    kernel.inject(&device, packet(2, 1, 0));
    kernel.inject(&device, packet(2, 1, 1));
    assert!(polls_readable(&device));
    device.try_recv(&mut [0; 100]).unwrap();
    assert!(polls_readable(&device), "one is left");
    device.try_recv(&mut [0; 100]).unwrap();
    assert!(!polls_readable(&device));
    kernel.delete(&device);
    assert!(polls_readable(&device), "a receive would say that it is gone");
    assert!(device.try_recv(&mut [0; 100]).unwrap_err().is_gone());
    assert!(polls_readable(&device), "and would say so again");
}

#[test]
fn a_packet_from_before_the_descriptor_was_lent_shows() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    kernel.inject(&device, packet(2, 1, 0));
    assert!(polls_readable(&device));
}

#[test]
fn a_short_read_that_loses_the_packet_empties_the_queue() {
    let kernel = MockBackend::new();
    let device = kernel.create(&CreateOptions::tun().packet_information(true)).unwrap();
    device.up("10.1.1.1/24".parse().unwrap()).unwrap();
    kernel.inject(&device, packet(2, 1, 0));
    assert!(polls_readable(&device));
    device.try_recv(&mut [0; 3]).unwrap_err();
    assert!(!polls_readable(&device));
}

#[test]
fn a_detached_queue_is_not_readable() {
    let kernel = MockBackend::new();
    let options = CreateOptions::tun().name("tun0").multi_queue(true);
    let device = kernel.create(&options).unwrap();
    device.up("10.1.1.1/24".parse().unwrap()).unwrap();
    kernel.inject(&device, packet(2, 1, 0));
    assert!(polls_readable(&device));
    device.detach_queue().unwrap();
    assert!(!polls_readable(&device));
}

#[test]
fn a_deletion_wakes_who_polls_the_descriptor() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut polled = [PollFd::new(device.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, PollTimeout::from(10_000_u16)).unwrap()
        });
        thread::sleep(Duration::from_millis(20));
        kernel.delete("tun0");
        assert_eq!(waiter.join().unwrap(), 1);
    });
}

#[cfg(target_os = "linux")]
mod epoll {
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

    use super::*;

    /// How often an event loop was woken, of those that wait now.
    fn events(epoll: &Epoll) -> usize {
        epoll.wait(&mut [EpollEvent::empty(); 4], EpollTimeout::ZERO).unwrap()
    }

    #[test]
    fn a_clone_is_a_source_of_its_own() {
        let kernel = MockBackend::new();
        let device = tun(&kernel, "tun0");
        let clone = device.try_clone().unwrap();
        let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
        epoll.add(&device, EpollEvent::new(EpollFlags::EPOLLIN, 1)).unwrap();
        epoll.add(&clone, EpollEvent::new(EpollFlags::EPOLLIN, 2)).unwrap();
        assert_eq!(events(&epoll), 0);
        kernel.inject(&device, packet(2, 1, 0));
        assert_eq!(events(&epoll), 2);
        received(&clone);
        assert_eq!(events(&epoll), 0);
    }

    #[test]
    fn an_edge_comes_with_a_burst_and_with_the_deletion() {
        let kernel = MockBackend::new();
        let device = tun(&kernel, "tun0");
        let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
        epoll.add(&device, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, 1)).unwrap();
        kernel.inject(&device, packet(2, 1, 0));
        kernel.inject(&device, packet(2, 1, 1));
        assert_eq!((events(&epoll), events(&epoll)), (1, 0));
        // Not drained, and still woken.
        kernel.delete(&device);
        assert_eq!(events(&epoll), 1);
    }
}

#[test]
fn clones_share_the_queue() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    let clone = device.try_clone().unwrap();
    kernel.inject(&device, packet(2, 1, 0));
    assert!(polls_readable(&clone) && clone.wait(Readiness::Readable, Some(Duration::ZERO)).unwrap());
    assert_eq!(received(&clone), [packet(2, 1, 0)]);
    assert!(!polls_readable(&device));
}
