//! What bulk I/O counts.

use tunctl_packet::offload::MergeCounts;

/// What was received, since the batch was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecvStatistics {
    /// Calls that received something.
    pub calls: u64,
    /// Packets that were asked for, after cutting.
    pub packets: u64,
    /// Of the calls, those that received a packet which was then cut into several.
    pub large: u64,
    /// Packets that could not be cut, or were shorter than their headers, and are lost.
    pub lost: u64,
}

/// What was sent, since the batch was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendStatistics {
    /// Calls that sent something.
    pub calls: u64,
    /// Packets that were sent, each counted by itself.
    pub packets: u64,
    /// The bytes of these packets, without the headers of the device.
    pub bytes: u64,
    /// Of these packets, those that left merged with others.
    pub merged: u64,
    /// Packets that the system refused, and are lost.
    pub lost: u64,
    /// Merged packets that the system refused, and that were sent one by one instead.
    pub refused_merged: u64,
    /// Whether packets of TCP are merged: not if the device has no offload, nor after the system has refused
    /// three of these merged packets in a row.
    pub merges_tcp: bool,
    /// Whether packets of UDP are merged.
    pub merges_udp: bool,
    /// Why packets were not merged, by cause.
    pub causes: MergeCounts,
}

impl SendStatistics {
    /// Counts the packets of one call, and their bytes.
    pub(super) fn sent(&mut self, packets: usize, bytes: usize) {
        let packets = packets as u64;
        self.bytes += bytes as u64;
        self.calls += 1;
        self.packets += packets;
        self.merged += if packets > 1 { packets } else { 0 };
    }
}
