//! What the mock adds to a kernel: the test's side of it.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "in a test, a panic is how to fail")]

mod adopting;
mod applying;
mod callers;
mod errors;
mod events;
mod faults;
mod flows;
mod impairments;
mod namespaces;
mod offloads;
mod queues;
mod readiness;
mod system;
mod targets;
mod threads;
mod wires;

use tunctl_core::{CreateOptions, TunBackend, TunDevice};
use tunctl_mock::{MockBackend, MockDevice};

/// A tun of that name that is up.
fn tun(kernel: &MockBackend, name: &str) -> MockDevice {
    up(kernel, CreateOptions::tun().name(name))
}

/// A tap of that name that is up.
fn tap(kernel: &MockBackend, name: &str) -> MockDevice {
    up(kernel, CreateOptions::tap().name(name))
}

fn up(kernel: &MockBackend, options: CreateOptions) -> MockDevice {
    let device = kernel.create(&options).unwrap();
    device.up("10.1.1.1/24".parse().unwrap()).unwrap();
    device
}

/// An IPv4 packet from one host of a network to another, with a number as its payload.
fn packet(from: u8, to: u8, number: u8) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 21, 0, 0, 0, 0, 64, 253, 0, 0, 10, 1, 1, from, 10, 1, 1, to];
    packet.push(number);
    packet
}

/// An Ethernet frame from one station to another, with a number as its payload.
fn frame(from: u8, to: u8, number: u8) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5];
    frame.push(number);
    frame
}

/// What the device can receive at this moment.
fn received(device: &MockDevice) -> Vec<Vec<u8>> {
    let mut buffer = [0; 2000];
    std::iter::from_fn(|| device.try_recv(&mut buffer).ok().map(|length| buffer[..length].to_vec())).collect()
}
