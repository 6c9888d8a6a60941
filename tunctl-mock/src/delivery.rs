//! The outcome of a packet that the test injects.

/// The outcome of a packet that the system sent out of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// The packet waits in a queue.
    Queued,
    /// The packet was dropped and counted: the queue is full.
    Full,
    /// The packet was dropped and counted: a [filter](tunctl_core::Filters) of the tap lets it not pass.
    Filtered,
    /// The packet was dropped and counted: no queue is in service.
    Unattached,
    /// The packet was dropped and counted: the interface has no carrier.
    NoCarrier,
    /// The packet was not sent: the interface is down.
    Down,
    /// The packet was not sent, because no system would send it: it is empty, it or what it stands for is
    /// longer than the MTU, on a tap shorter than an Ethernet header, or its virtio-net header does not say
    /// how to finish it. Or there is no such interface.
    Refused,
    /// The packet is on an impaired wire, which lost it, holds it back or delays it.
    Impaired,
}
