//! The queue of one open file (`struct ptr_ring`).
//!
//! The kernel's ring is an array of pointers. A slot that was read can be written again once its pointer is
//! cleared. The reader clears slots in batches and not one by one, so that it does not take the cache line
//! away from the writer at each packet (`__ptr_ring_discard_one`).

use std::collections::VecDeque;

use tunctl_packet::EtherType;

use super::Skb;

/// Slots are cleared in batches of two cache lines of pointers (`__ptr_ring_set_size`): 2 × 64 bytes / 8
/// bytes.
const BATCH: usize = 16;

/// A packet that waits for the program.
pub(super) struct Waiting {
    pub(super) skb: Skb,
    /// As it was before a filter cut the packet (`skb->protocol`).
    pub(super) ether_type: EtherType,
}

/// Packets that wait for the program.
pub(super) struct Ring {
    packets: VecDeque<Waiting>,
    size: usize,
    /// The slot that is read next.
    head: usize,
    /// Slots that were read and are not cleared yet.
    unreleased: usize,
}

impl Ring {
    pub(super) const fn new(size: usize) -> Self {
        Self { packets: VecDeque::new(), size, head: 0, unreleased: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Whether the next packet is dropped (`__ptr_ring_full`). A slot is free only once it is cleared, so a
    /// queue that was full stays full until a batch has been read.
    pub(super) fn is_full(&self) -> bool {
        self.packets.len() + self.unreleased >= self.size
    }

    /// Adds a packet. Returns whether the queue was empty before.
    pub(super) fn push(&mut self, packet: Waiting) -> bool {
        self.packets.push_back(packet);
        self.packets.len() == 1
    }

    /// Takes the oldest packet out. Slots are cleared in batches, and whenever the end of the ring is
    /// reached. A ring too small for two batches clears each slot at once.
    pub(super) fn pop(&mut self) -> Option<Waiting> {
        let packet = self.packets.pop_front()?;
        self.head += 1;
        self.unreleased += 1;
        let batch = if BATCH > self.size / 2 { 1 } else { BATCH };
        if self.unreleased >= batch || self.head >= self.size {
            self.unreleased = 0;
        }
        if self.head >= self.size {
            self.head = 0;
        }
        Some(packet)
    }

    /// Discards all packets.
    pub(super) fn clear(&mut self) {
        while self.pop().is_some() {}
    }

    /// Moves the packets to a new ring; those that do not fit are lost (`ptr_ring_resize_multiple`).
    pub(super) fn resize(&mut self, size: usize) {
        self.packets.truncate(size);
        (self.size, self.head, self.unreleased) = (size, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(ring: &mut Ring) -> usize {
        let mut pushed = 0;
        while !ring.is_full() {
            ring.push(Waiting { skb: Vec::new().into(), ether_type: EtherType(0) });
            pushed += 1;
        }
        pushed
    }

    #[test]
    fn room_comes_back_in_batches() {
        let mut ring = Ring::new(500);
        assert_eq!(fill(&mut ring), 500);
        for _ in 0..15 {
            ring.pop();
            assert!(ring.is_full());
        }
        ring.pop();
        assert_eq!(fill(&mut ring), 16);
    }

    #[test]
    fn all_room_comes_back_at_the_end_of_the_ring() {
        let mut ring = Ring::new(100);
        fill(&mut ring);
        (0..100).for_each(|_| drop(ring.pop()));
        // 96 slots are cleared in batches, the last four at the end of the ring.
        assert_eq!(fill(&mut ring), 100);
    }

    #[test]
    fn in_a_small_ring_each_place_comes_back_at_once() {
        let mut ring = Ring::new(31);
        fill(&mut ring);
        ring.pop();
        assert_eq!(fill(&mut ring), 1);
    }

    #[test]
    fn what_has_no_room_in_a_smaller_ring_is_gone() {
        let mut ring = Ring::new(3);
        fill(&mut ring);
        ring.resize(2);
        assert!(ring.is_full());
        assert_eq!([ring.pop().is_some(), ring.pop().is_some(), ring.pop().is_some()], [true, true, false]);
    }
}
