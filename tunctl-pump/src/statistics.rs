//! What passes a pump.

use std::sync::atomic::{AtomicU64, Ordering};

use tunctl_core::bulk::{RecvStatistics, SendStatistics};

/// What has passed in one direction so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic {
    /// Packets that were received.
    pub received: u64,
    /// Calls that received them: fewer than packets where offload is at work.
    pub receive_calls: u64,
    /// Packets that were sent.
    pub sent: u64,
    /// Calls that sent them.
    pub send_calls: u64,
    /// The bytes of the packets that were sent.
    pub bytes: u64,
    /// Packets that the wire or the hook dropped.
    pub dropped: u64,
    /// Packets that could not be cut, or that the system refused.
    pub lost: u64,
}

/// The same, while it changes: written by one thread, and read by any.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    received: AtomicU64,
    receive_calls: AtomicU64,
    sent: AtomicU64,
    send_calls: AtomicU64,
    bytes: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
}

impl Counters {
    /// Publishes what a thread has counted.
    pub(crate) fn publish(&self, received: &RecvStatistics, sent: &SendStatistics, bytes: u64, dropped: u64) {
        for (counter, value) in [
            (&self.received, received.packets),
            (&self.receive_calls, received.calls),
            (&self.sent, sent.packets),
            (&self.send_calls, sent.calls),
            (&self.bytes, bytes),
            (&self.dropped, dropped),
            (&self.lost, received.lost + sent.lost),
        ] {
            counter.store(value, Ordering::Relaxed);
        }
    }

    pub(crate) fn add_to(&self, traffic: &mut Traffic) {
        for (total, counter) in [
            (&mut traffic.received, &self.received),
            (&mut traffic.receive_calls, &self.receive_calls),
            (&mut traffic.sent, &self.sent),
            (&mut traffic.send_calls, &self.send_calls),
            (&mut traffic.bytes, &self.bytes),
            (&mut traffic.dropped, &self.dropped),
            (&mut traffic.lost, &self.lost),
        ] {
            *total += counter.load(Ordering::Relaxed);
        }
    }
}
