//! Packets that are passed on: received by one device, sent by another.

use std::mem;

use tunctl_packet::offload::{Apart, Parts};

use super::recv::{ROOM, RecvBatch};
use super::send::{BatchFull, SendBatch};

/// What decides whether a packet is passed on.
type Judge<'a> = &'a mut dyn FnMut(&mut [u8]) -> bool;

/// Passing on.
impl RecvBatch {
    /// Passes what is left on to an empty batch that is to be sent, without copying payload: the two exchange
    /// their memory. Returns whether anything was left. Packets that could not be cut are left out.
    ///
    /// Send the batch, and call it again, until nothing is left: a batch takes 1,024 packets.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: something is left, and packets are in the batch.
    pub fn pass_to(&mut self, sent: &mut SendBatch) -> Result<bool, BatchFull> {
        self.pass(sent, None)
    }

    /// As [`pass_to`](Self::pass_to), for the packets for which `judge` returns true. It sees each packet
    /// whole, without headers in front, and may change it. The others are dropped.
    ///
    /// # Errors
    ///
    /// Those of [`pass_to`](Self::pass_to).
    pub fn pass_to_if(
        &mut self,
        sent: &mut SendBatch,
        mut judge: impl FnMut(&mut [u8]) -> bool,
    ) -> Result<bool, BatchFull> {
        self.pass(sent, Some(&mut judge))
    }

    fn pass(&mut self, sent: &mut SendBatch, mut judge: Option<Judge<'_>>) -> Result<bool, BatchFull> {
        let Some(first) = self.left().cloned() else { return Ok(false) };
        if !sent.is_empty() {
            return Err(BatchFull { length: first.len() });
        }
        sent.clear();
        sent.lost.clear();
        let mut heads = ROOM;
        while !sent.is_full_for(0) {
            while self.left_of_cut() == 0 {
                // What cannot be cut is counted there.
                if self.advance().is_none() {
                    break;
                }
            }
            let Some(parts) = self.next_parts(heads) else {
                if heads > ROOM || self.left_of_cut() == 0 {
                    break;
                }
                // No system has headers for which an empty batch has no room.
                self.statistics.lost += 1;
                self.cut = None;
                continue;
            };
            let parts = match judge.as_mut().map(|judge| self.judge(&parts, judge)) {
                None => parts,
                // The sum may be another one now.
                Some(true) => Parts { rest_sum: None, ..parts },
                Some(false) => continue,
            };
            if !parts.rest.is_empty() {
                heads = parts.first.end;
            } else if let Some(front) = self.arena.get_mut(..parts.first.start) {
                sent.clear_header(front);
            }
            sent.push_parts(parts);
        }
        mem::swap(&mut self.arena, &mut sent.arena);
        sent.used = heads;
        self.take_back(sent);
        Ok(true)
    }

    /// The next packet, whose headers are written there if it was cut; `None` if there is none, or no room.
    fn next_parts(&mut self, heads: usize) -> Option<Parts> {
        let (cut, range) = self.cut.as_mut()?;
        let (packets, room) = self.arena.split_at_mut_checked(heads)?;
        let apart = cut.next_apart(packets.get(range.clone())?, room).ok()??;
        self.statistics.packets += 1;
        let Apart { headers, payload, payload_sum } = apart;
        let payload = range.start + payload.start..range.start + payload.end;
        if headers == 0 {
            return Some(payload.into());
        }
        Some(Parts { first: heads..heads + headers, rest: payload, rest_sum: payload_sum })
    }

    /// What is decided of a packet. One in two parts is whole meanwhile: its headers change places with what
    /// is in front of its payload.
    fn judge(&mut self, parts: &Parts, judge: &mut Judge<'_>) -> bool {
        if parts.rest.is_empty() {
            return judge(self.arena.get_mut(parts.first.clone()).unwrap_or_default());
        }
        let (packets, heads) = self.arena.split_at_mut(parts.first.start);
        let length = parts.first.len();
        let place = parts.rest.start - length..parts.rest.end;
        let (Some(packet), Some(head)) = (packets.get_mut(place), heads.get_mut(..length)) else {
            return false;
        };
        let mut exchange = |packet: &mut [u8]| {
            if let Some(front) = packet.get_mut(..length) {
                front.swap_with_slice(head);
            }
        };
        exchange(packet);
        let passes = judge(packet);
        exchange(packet);
        passes
    }

    /// Copies what the other batch had no room for back to the memory that is now here.
    fn take_back(&mut self, sent: &SendBatch) {
        let (Some(first), Some(last)) = (self.left(), self.entries.last()) else { return };
        let left = first.start..last.end;
        if let (Some(to), Some(from)) = (self.arena.get_mut(left.clone()), sent.arena.get(left)) {
            to.copy_from_slice(from);
        }
    }
}
