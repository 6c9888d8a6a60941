//! Which queue a packet goes to: the one by which the program last sent in its flow. Before, none is
//! promised, except that the packets of a flow stay together.

use std::time::Duration;

use tunctl_core::{CreateOptions, TunBackend, TunDevice};
use tunctl_mock::{Delivery, MockBackend, MockDevice};

use crate::received;

/// Queues of one interface that is up.
fn queues<const N: usize>(kernel: &MockBackend) -> [MockDevice; N] {
    let options = CreateOptions::tun().name("many").multi_queue(true);
    let devices = [(); N].map(|()| kernel.open_or_create(&options).unwrap());
    devices[0].up("10.1.1.1/24".parse().unwrap()).unwrap();
    devices
}

/// A UDP packet from one host and port to another.
fn datagram(from: (u8, u8), to: (u8, u8)) -> Vec<u8> {
    let mut datagram = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 1, 1, from.0, 10, 1, 1, to.0];
    datagram.extend([0, from.1, 0, to.1, 0, 8, 0, 0]);
    datagram
}

/// The queue at which a packet arrives.
fn queue_of(kernel: &MockBackend, devices: &[MockDevice], packet: &[u8]) -> usize {
    assert_eq!(kernel.inject("many", packet), Delivery::Queued);
    let arrived: Vec<_> = devices.iter().map(received).collect();
    assert_eq!(arrived.concat(), [packet]);
    arrived.iter().position(|packets| !packets.is_empty()).unwrap()
}

#[test]
fn flows_are_spread_over_all_queues() {
    let kernel = MockBackend::new();
    let devices: [_; 4] = queues(&kernel);
    let mut used: Vec<_> =
        (0..100).map(|port| queue_of(&kernel, &devices, &datagram((2, port), (1, 53)))).collect();
    used.sort_unstable();
    used.dedup();
    assert_eq!(used, [0, 1, 2, 3]);
}

#[test]
fn a_flow_goes_to_the_queue_that_sent_in_it_until_it_is_forgotten() {
    let kernel = MockBackend::new();
    let devices: [_; 4] = queues(&kernel);
    let (sent, answer) = (datagram((1, 53), (2, 9)), datagram((2, 9), (1, 53)));
    let before = queue_of(&kernel, &devices, &answer);
    for (queue, device) in devices.iter().enumerate() {
        device.send(&sent).unwrap();
        assert_eq!(queue_of(&kernel, &devices, &answer), queue);
    }
    devices[(before + 1) % 4].send(&sent).unwrap();
    kernel.advance(Duration::from_millis(2_999));
    assert_eq!(queue_of(&kernel, &devices, &answer), (before + 1) % 4);
    kernel.advance(Duration::from_millis(1));
    assert_eq!(queue_of(&kernel, &devices, &answer), before);
}

#[test]
fn the_packets_of_a_flow_both_ways_go_to_one_queue() {
    let kernel = MockBackend::new();
    let devices: [_; 4] = queues(&kernel);
    for port in 0..20 {
        let first = queue_of(&kernel, &devices, &datagram((2, port), (1, 53)));
        for packet in [datagram((1, 53), (2, port)), datagram((2, port), (1, 53))] {
            assert_eq!(queue_of(&kernel, &devices, &packet), first);
        }
    }
}
