//! What the test sees as the system.

use tunctl_core::{Cause, CreateOptions, Interface, State, TunBackend, TunDevice};
use tunctl_mock::{Delivery, MockBackend};

use crate::{packet, received, tun};

#[test]
fn packets_that_nobody_takes_are_kept_up_to_a_limit_and_then_counted() {
    const KEPT: usize = 65_536;
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    let bytes = packet(1, 2, 0);
    for _ in 0..KEPT {
        device.send(&bytes).unwrap();
    }
    assert_eq!(kernel.missed(&device), 0);
    for number in 1..=3 {
        device.send(&packet(1, 2, 1)).unwrap();
        assert_eq!(kernel.missed(&device), number);
    }
    // The oldest were kept, and what is taken makes room.
    let taken = kernel.packets(&device);
    assert_eq!((taken.len(), taken.last()), (KEPT, Some(&bytes)));
    device.send(&bytes).unwrap();
    assert_eq!((kernel.take(&device), kernel.missed(&device)), (Some(bytes), 3));
}

#[test]
fn a_handle_counts_what_was_dropped() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    device.interface().set_queue_length(1).unwrap();
    for dropped in 0..3 {
        assert_eq!(device.interface().dropped().unwrap(), dropped.max(1) - 1);
        kernel.inject(&device, packet(2, 1, 0));
    }
    kernel.delete(&device);
    assert_eq!(device.interface().dropped().unwrap_err().cause(), Cause::Gone);
}

#[test]
fn headers_without_a_packet_arrive_nowhere() {
    let kernel = MockBackend::new();
    let device = kernel.create(&CreateOptions::tun().packet_information(true)).unwrap();
    let other = tun(&kernel, "other");
    kernel.set_state(&device, State::Up);
    assert_eq!(device.send(&[0; 4]).unwrap(), 4);
    assert_eq!(kernel.packets(&device), [[0; 0]; 0]);
    kernel.cable(&device, &other).unwrap();
    assert_eq!(device.send(&[0; 4]).unwrap(), 4);
    assert_eq!((received(&other), kernel.lost(&other)), (Vec::new(), 0));
}

#[test]
fn what_a_deleted_interface_sent_is_there_while_its_device_is_open() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    device.send(&packet(1, 2, 7)).unwrap();
    kernel.delete(&device);
    // Its name leads to another by now.
    let _next = tun(&kernel, "tun0");
    assert_eq!(kernel.packets("tun0"), [[0; 0]; 0]);
    assert_eq!(kernel.packets(&device), [packet(1, 2, 7)]);
}

#[test]
fn room_comes_back_in_batches_of_at_most_half_a_queue() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    for (length, after_one) in [(31, Delivery::Queued), (32, Delivery::Full), (33, Delivery::Full)] {
        device.interface().set_queue_length(length).unwrap();
        while kernel.inject(&device, packet(2, 1, 0)) == Delivery::Queued {}
        device.try_recv(&mut [0; 100]).unwrap();
        assert_eq!(kernel.inject(&device, packet(2, 1, 0)), after_one, "{length}");
        drop(received(&device));
    }
}
