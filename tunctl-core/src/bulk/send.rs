//! Packets that are to be sent together.

use std::fmt;
use std::io::IoSlice;

use tunctl_packet::Layer;
use tunctl_packet::header::HeaderKind;
use tunctl_packet::offload::{Coalescer, Parts, Sum};

use super::recv::ARENA;
use super::sending::{Refused, Sending};
use super::statistics::SendStatistics;
use crate::{Cause, Error, Offloads, Operation, Reason, Result};

const MOST_PACKETS: usize = 1024;

/// The packets for one [`send`](super::Bulk::send).
pub struct SendBatch {
    layer: Layer,
    kind: HeaderKind,
    /// `None` where the system takes no packets that stand for several.
    coalescer: Option<Coalescer>,
    pub(super) arena: Vec<u8>,
    pub(super) used: usize,
    /// Where each packet is. There is room for headers in front of one in one part.
    packets: Vec<Parts>,
    /// Which one each packet is, of those that were added since the batch was empty.
    numbers: Vec<usize>,
    added: usize,
    pub(super) lost: Vec<(usize, Error)>,
    /// The packets that are left when a sending stops.
    rest: Vec<usize>,
    refused: Refused,
    sum: Sum,
    statistics: SendStatistics,
}

/// A [`SendBatch`] has no room for a packet: send it first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the batch has no room for a packet of {length} bytes: send it first")]
pub struct BatchFull {
    /// The packet's length, in bytes.
    pub length: usize,
}

impl From<BatchFull> for Error {
    fn from(full: BatchFull) -> Self {
        Self::new(Operation::Send, Reason::new(Cause::NoBuffers).with_detail(full.to_string()))
    }
}

impl SendBatch {
    pub(super) fn new(layer: Layer, kind: HeaderKind, offloads: Offloads) -> Self {
        // The other side chooses what is sent, and must not know where flows collide.
        let key = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
        let (tcp, udp) = (offloads.contains(Offloads::TSO), offloads.contains(Offloads::USO));
        let coalescer = (tcp || udp).then(|| {
            let mut coalescer = Coalescer::new(layer, key);
            coalescer.set_merging(tcp, udp);
            coalescer
        });
        let statistics = SendStatistics { merges_tcp: tcp, merges_udp: udp, ..SendStatistics::default() };
        Self {
            layer,
            kind,
            coalescer,
            arena: vec![0; ARENA],
            used: 0,
            packets: Vec::with_capacity(MOST_PACKETS),
            numbers: Vec::with_capacity(MOST_PACKETS),
            added: 0,
            lost: Vec::new(),
            rest: Vec::with_capacity(MOST_PACKETS),
            refused: Refused::default(),
            sum: super::fastest_sum(),
            statistics,
        }
    }

    /// Adds a packet, without headers in front, and lends the copy, which may still be changed.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there is no room, and other packets are in the batch. In an empty one there is room for
    /// any packet.
    pub fn push(&mut self, packet: &[u8]) -> Result<&mut [u8], BatchFull> {
        let place = self.push_with(packet.len(), |place| {
            place.copy_from_slice(packet);
            packet.len()
        })?;
        Ok(place)
    }

    /// Adds a packet that is written where it belongs: `write` gets room for `most` bytes, which contain
    /// anything, and returns how long the packet is. A length beyond the room counts as the room's.
    ///
    /// This is for programs that make packets, such as by decryption.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), by `most`.
    pub fn push_with(
        &mut self,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Result<&mut [u8], BatchFull> {
        let full = BatchFull { length: most };
        let start = self.used + self.kind.length();
        let end = start.checked_add(most).ok_or(full)?;
        if self.packets.is_empty() {
            self.lost.clear();
            if end > self.arena.len() {
                self.arena.resize(end, 0);
            }
        }
        if self.is_full_for(most) {
            return Err(full);
        }
        self.arena.get_mut(self.used..start).unwrap_or_default().fill(0);
        let room = self.arena.get_mut(start..end).unwrap_or_default();
        let room_length = room.len();
        let length = write(room).min(room_length);
        self.used = start + length;
        self.push_parts((start..self.used).into());
        Ok(self.arena.get_mut(start..start + length).unwrap_or_default())
    }

    /// Adds a packet that is in the arena.
    pub(super) fn push_parts(&mut self, parts: Parts) {
        self.packets.push(parts);
        self.numbers.push(self.added);
        self.added += 1;
    }

    /// Writes the header of a packet that stands for itself at the end of these bytes, in front of it.
    pub(super) fn clear_header(&self, front: &mut [u8]) {
        let start = front.len().saturating_sub(self.kind.length());
        front.get_mut(start..).unwrap_or_default().fill(0);
    }

    /// Whether there is no room for a packet of this length.
    #[must_use]
    pub fn is_full_for(&self, length: usize) -> bool {
        let end = (self.used + self.kind.length()).saturating_add(length);
        !self.packets.is_empty() && (self.packets.len() == MOST_PACKETS || end > self.arena.len())
    }

    /// Takes the packet back that was added last; returns whether there was one.
    pub fn pop(&mut self) -> bool {
        let last = self.packets.pop();
        if let Some(Parts { first, rest, .. }) = &last {
            // What was passed on is in front of the room that is in use.
            if first.end == self.used {
                self.used = first.start - if rest.is_empty() { self.kind.length() } else { 0 };
            }
            self.numbers.pop();
            self.added -= 1;
        }
        last.is_some()
    }

    /// How many packets are in the batch.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether no packet is in the batch.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Forgets the packets that were not sent.
    pub fn clear(&mut self) {
        self.packets.clear();
        self.numbers.clear();
        (self.used, self.added) = (0, 0);
    }

    /// The packets that were lost at the last sending: which ones, counted in the order in which they were
    /// added to the empty batch, and why.
    #[must_use]
    pub fn lost(&self) -> &[(usize, Error)] {
        &self.lost
    }

    /// What was sent since the batch was made.
    #[must_use]
    pub const fn statistics(&self) -> SendStatistics {
        self.statistics
    }
}

/// Sending.
impl SendBatch {
    /// Sends everything by that call, and returns how many calls that took.
    pub(super) fn empty(&mut self, mut call: impl FnMut(&[IoSlice<'_>]) -> Result<usize>) -> Result<usize> {
        if self.packets.is_empty() {
            return Ok(0);
        }
        let (calls, lost) = (self.statistics.calls, self.lost.len());
        let outcome =
            if self.coalescer.is_some() { self.empty_merged(&mut call) } else { self.empty_plain(&mut call) };
        self.statistics.lost += (self.lost.len() - lost) as u64;
        outcome?;
        self.clear();
        // Packets of other flows may have overtaken them.
        self.lost.sort_unstable_by_key(|(index, _)| *index);
        match self.lost.first() {
            Some((_, error)) => Err(error.clone()),
            None => Ok(usize::try_from(self.statistics.calls - calls).unwrap_or(usize::MAX)),
        }
    }

    fn empty_plain(&mut self, call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>) -> Result<()> {
        let sending = Sending { kind: self.kind, layer: self.layer };
        for (index, parts) in self.packets.iter().enumerate() {
            match sending.send_parts(&mut self.arena, parts, call) {
                Ok(()) => self.statistics.sent(1, parts.first.len() + parts.rest.len()),
                Err(error) if error.is_packet_lost() => self.lost.push((self.numbers[index], error)),
                Err(error) => {
                    self.packets.drain(..index);
                    self.numbers.drain(..index);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn empty_merged(&mut self, call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>) -> Result<()> {
        let Some(coalescer) = &mut self.coalescer else { return Ok(()) };
        let sending = Sending { kind: self.kind, layer: self.layer };
        let mut stopped = None;
        self.rest.clear();
        let mut batch = coalescer.merge(&mut self.arena, &self.packets, self.sum);
        let (causes, numbers) = (batch.counts(), &self.numbers);
        while let Some(merged) = batch.next() {
            let (packets, gso_type) = (merged.packets(), merged.header().gso_type());
            let bytes = merged.bytes_apart();
            if stopped.is_some() {
                self.rest.extend(batch.undo().map(|(index, _)| index));
                continue;
            }
            match sending.send(&merged, call) {
                Ok(()) => {
                    self.statistics.sent(packets, bytes);
                    self.refused.taken(gso_type);
                }
                Err(error) if packets > 1 && error.cause() == Cause::MalformedPacket => {
                    // Some kernels take the offloads and refuse what they are for.
                    self.statistics.refused_merged += 1;
                    self.refused.count(gso_type);
                    for (index, [first, rest]) in batch.undo() {
                        match stopped.is_none().then(|| sending.send_alone([first, rest], call)) {
                            None => self.rest.push(index),
                            Some(Ok(())) => self.statistics.sent(1, first.len() + rest.len()),
                            Some(Err(error)) if error.is_packet_lost() => {
                                self.lost.push((numbers[index], error));
                            }
                            Some(Err(error)) => {
                                stopped = Some(error);
                                self.rest.push(index);
                            }
                        }
                    }
                }
                Err(error) if error.is_packet_lost() => {
                    self.lost.extend(batch.undo().map(|(index, _)| (numbers[index], error.clone())));
                }
                Err(error) => {
                    stopped = Some(error);
                    self.rest.extend(batch.undo().map(|(index, _)| index));
                }
            }
        }
        self.choose_merging();
        let Some(error) = stopped else {
            self.statistics.causes += causes;
            return Ok(());
        };
        // What is left is where it was, and in the order in which it was added.
        self.rest.sort_unstable();
        for (place, &index) in self.rest.iter().enumerate() {
            self.packets.swap(place, index);
            self.numbers.swap(place, index);
        }
        self.packets.truncate(self.rest.len());
        self.numbers.truncate(self.rest.len());
        Err(error)
    }

    /// Stops merging what the system has refused again and again.
    fn choose_merging(&mut self) {
        let SendStatistics { merges_tcp, merges_udp, .. } = self.statistics;
        let (tcp, udp) = (merges_tcp && !self.refused.tcp_always(), merges_udp && !self.refused.udp_always());
        if (tcp, udp) != (merges_tcp, merges_udp) {
            (self.statistics.merges_tcp, self.statistics.merges_udp) = (tcp, udp);
            if let Some(coalescer) = &mut self.coalescer {
                coalescer.set_merging(tcp, udp);
            }
        }
    }
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch")
            .field("packets", &self.packets.len())
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}
