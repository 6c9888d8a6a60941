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
    /// Packets that the wire or the hook dropped, and those that were on the wire when the pump ended.
    pub dropped: u64,
    /// Packets that could not be cut, or that the system refused.
    pub lost: u64,
}

impl Traffic {
    /// What two batches have counted, and what was dropped between them.
    pub(crate) const fn of(received: RecvStatistics, sent: SendStatistics, dropped: u64) -> Self {
        Self {
            received: received.packets,
            receive_calls: received.calls,
            sent: sent.packets,
            send_calls: sent.calls,
            bytes: sent.bytes,
            dropped,
            lost: received.lost + sent.lost,
        }
    }
}

/// The same, while it changes.
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
    /// Adds what a thread has counted since the last time.
    pub(crate) fn add(&self, now: &Traffic, last: &mut Traffic) {
        for (counter, now, last) in [
            (&self.received, now.received, last.received),
            (&self.receive_calls, now.receive_calls, last.receive_calls),
            (&self.sent, now.sent, last.sent),
            (&self.send_calls, now.send_calls, last.send_calls),
            (&self.bytes, now.bytes, last.bytes),
            (&self.dropped, now.dropped, last.dropped),
            (&self.lost, now.lost, last.lost),
        ] {
            counter.fetch_add(now - last, Ordering::Relaxed);
        }
        *last = *now;
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
