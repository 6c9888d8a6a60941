//! What the cases have in common.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tunctl_conformance::{DeviceOf, Harness};
use tunctl_core::{CreateOptions, InterfaceName, TunBackend};
use tunctl_tokio::AsyncDevice;

/// Nothing takes as long, and what never ends does not hang.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// Long enough for what is wrong to happen.
pub(crate) const A_MOMENT: Duration = Duration::from_millis(50);

/// A harness whose devices a task may have.
pub(crate) trait System: Harness<Backend: TunBackend<Device: 'static>> {}
impl<H: Harness<Backend: TunBackend<Device: 'static>>> System for H {}

pub(crate) fn name(text: &str) -> InterfaceName {
    text.parse().unwrap()
}

/// A tun of that name that is up.
pub(crate) fn tun<H: Harness>(harness: &H, text: &str) -> DeviceOf<H> {
    let device = harness.backend().create(&CreateOptions::tun().name(text)).unwrap();
    harness.set_up(&name(text), true);
    device
}

/// The same for tasks.
pub(crate) fn async_tun<H: Harness>(harness: &H) -> AsyncDevice<DeviceOf<H>> {
    AsyncDevice::new(tun(harness, "tun0")).unwrap()
}

/// An IPv4 packet that bears a number.
pub(crate) fn packet(number: u32) -> Vec<u8> {
    let header = [0x45, 0, 0, 24, 0, 0, 0, 0, 64, 253, 0, 0, 10, 1, 1, 2, 10, 1, 1, 1];
    [&header[..], &number.to_be_bytes()].concat()
}

/// The number that a packet bears.
pub(crate) fn number(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet.last_chunk().copied().unwrap())
}

pub(crate) fn inject<H: Harness>(harness: &H, number: u32) {
    assert!(harness.inject(&name("tun0"), &packet(number)), "packet {number} reaches the queue");
}

/// A runtime of one thread, so that a task that does not yield stops all.
pub(crate) fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// One with a thread for each of several tasks.
pub(crate) fn threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap()
}

/// The outcome of what must not take long.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("it ends")
}

/// Whether it still waits after a while.
pub(crate) async fn waits<F: Future>(future: F) -> bool {
    timeout(A_MOMENT, future).await.is_err()
}

/// The number of the next packet.
pub(crate) async fn next<D: tunctl_core::TunDevice>(device: &AsyncDevice<D>) -> u32 {
    let mut buffer = [0; 1500];
    let length = soon(device.recv(&mut buffer)).await.unwrap();
    number(&buffer[..length])
}

/// A frame that fills a send buffer.
pub(crate) fn frame() -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.resize(1000, 0);
    frame
}
