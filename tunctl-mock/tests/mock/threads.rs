//! Several threads at one device.

use std::collections::BTreeSet;
use std::thread;

use tunctl_core::TunDevice;
use tunctl_mock::{Delivery, MockBackend};

use crate::{packet, tun};

#[test]
fn each_packet_reaches_one_of_several_blocked_readers() {
    let kernel = MockBackend::new();
    let device = tun(&kernel, "tun0");
    let seen: Vec<u8> = thread::scope(|scope| {
        let reader = || {
            let mut seen = Vec::new();
            let mut buffer = [0; 100];
            while let Ok(length) = device.recv(&mut buffer) {
                seen.push(buffer[length - 1]);
            }
            seen
        };
        let readers = [scope.spawn(reader), scope.spawn(reader), scope.spawn(reader)];
        for number in 0..200 {
            assert_eq!(kernel.inject("tun0", packet(2, 1, number)), Delivery::Queued);
        }
        while device.poll_state().readable {
            thread::yield_now();
        }
        kernel.delete("tun0");
        readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    assert_eq!(seen.len(), 200);
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>().len(), 200);
}

#[test]
fn a_program_and_its_peer_run_over_a_cable() {
    let kernel = MockBackend::new();
    let (left, right) = (tun(&kernel, "left"), tun(&kernel, "right"));
    kernel.cable(&left, &right).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 100];
            while let Ok(length) = right.recv(&mut buffer) {
                right.send(&buffer[..length]).unwrap();
            }
        });
        let mut buffer = [0; 100];
        for number in 0..200 {
            left.send(&packet(1, 2, number)).unwrap();
            let length = left.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..length], packet(1, 2, number));
        }
        kernel.delete("right");
    });
}
