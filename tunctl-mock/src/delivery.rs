//! What became of a packet on its way to the program.

/// What became of a packet that the system sent out of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// It waits in a queue.
    Queued,
    /// It was dropped and counted: the queue is full.
    Full,
    /// It was dropped and counted: no queue is in service.
    Unattached,
    /// It was dropped and counted: it has no bytes.
    Empty,
    /// It was not sent: the interface is down.
    Down,
    /// It was not sent, as no system would: it is longer than the MTU, or shorter than an Ethernet header on a tap, or
    /// there is no such interface.
    Refused,
    /// It is on a bad wire, which has lost it, holds it back, or takes its time.
    Impaired,
}
