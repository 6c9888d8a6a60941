//! Packets that are to be sent together.

use std::fmt;
use std::io::IoSlice;
use std::ops::Range;

use tunctl_packet::Layer;
use tunctl_packet::header::{HeaderError, HeaderKind, VnetHeader};
use tunctl_packet::offload::{Coalescer, Merged, Segments};

use super::statistics::SendStatistics;
use crate::{Cause, Error, Offloads, Operation, Reason, Result};

/// Room for four packets that stand for as many as they can.
const ROOM: usize = 256 << 10;
const MOST_PACKETS: usize = 1024;

/// The pieces of a packet for which there is room without much ado: those of TCP with an MTU of 1500.
const FEW_PIECES: usize = 64;
/// The pieces that a system takes in one call (`UIO_MAXIOV`).
const MOST_PIECES: usize = 1024;

/// The packets for one [`send`](super::Bulk::send).
pub struct SendBatch {
    layer: Layer,
    kind: HeaderKind,
    /// `None` where the system takes no packets that stand for several.
    coalescer: Option<Coalescer>,
    arena: Vec<u8>,
    used: usize,
    /// Where each packet is. There is room for headers in front of it.
    packets: Vec<Range<usize>>,
    lost: Vec<(usize, Error)>,
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
        let merges = offloads.contains(Offloads::TSO4);
        Self {
            layer,
            kind,
            coalescer: merges.then(|| Coalescer::new(layer, key)),
            arena: vec![0; ROOM],
            used: 0,
            packets: Vec::with_capacity(MOST_PACKETS),
            lost: Vec::new(),
            statistics: SendStatistics::default(),
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
    /// anything, and returns how long the packet is.
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
        let start = self.used + self.kind.length();
        let end = start + most;
        if self.packets.is_empty() {
            self.lost.clear();
            if end > self.arena.len() {
                self.arena.resize(end, 0);
            }
        }
        if self.is_full_for(most) {
            return Err(BatchFull { length: most });
        }
        let room = self.arena.get_mut(start..end).unwrap_or_default();
        let length = write(room).min(most);
        self.used = start + length;
        self.packets.push(start..self.used);
        Ok(self.arena.get_mut(start..start + length).unwrap_or_default())
    }

    /// Whether there is no room for a packet of this length.
    #[must_use]
    pub fn is_full_for(&self, length: usize) -> bool {
        let end = self.used + self.kind.length() + length;
        !self.packets.is_empty() && (self.packets.len() == MOST_PACKETS || end > self.arena.len())
    }

    /// Takes the packet back that was added last; returns whether there was one.
    pub fn pop(&mut self) -> bool {
        let last = self.packets.pop();
        if let Some(range) = &last {
            self.used = range.start - self.kind.length();
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
        self.used = 0;
    }

    /// The packets that were lost at the last sending: which ones, counted in the order in which they were
    /// added, and why. If the sending stopped in between, those that were left are counted anew.
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
        for (index, range) in self.packets.iter().enumerate() {
            let sent = with_headers(&mut self.arena, range, self.kind, self.layer)
                .and_then(|bytes| call(&[IoSlice::new(bytes)]));
            match sent {
                Ok(_) => self.statistics.sent(1),
                Err(error) if error.is_packet_lost() => self.lost.push((index, error)),
                Err(error) => {
                    self.packets.drain(..index);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn empty_merged(&mut self, call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>) -> Result<()> {
        let Some(coalescer) = &mut self.coalescer else { return Ok(()) };
        let sending = Sending { kind: self.kind, layer: self.layer };
        let (mut stopped, mut rest) = (None, Vec::new());
        let mut batch = coalescer.merge(&mut self.arena, &self.packets, super::sum());
        while let Some(merged) = batch.next() {
            if stopped.is_some() {
                rest.extend(apart(&merged, self.layer));
                continue;
            }
            match sending.send(&merged, call) {
                Ok(()) => self.statistics.sent(merged.packets()),
                Err(error) if merged.packets() > 1 && error.cause() == Cause::MalformedPacket => {
                    // Some kernels take the offloads and refuse what they are for.
                    self.statistics.refused_merged += 1;
                    for (index, packet) in merged.indices().zip(apart(&merged, self.layer)) {
                        if stopped.is_some() {
                            rest.push(packet);
                            continue;
                        }
                        match sending.send_alone(&packet, call) {
                            Ok(()) => self.statistics.sent(1),
                            Err(error) if error.is_packet_lost() => self.lost.push((index, error)),
                            Err(error) => {
                                stopped = Some(error);
                                rest.push(packet);
                            }
                        }
                    }
                }
                Err(error) if error.is_packet_lost() => {
                    self.lost.extend(merged.indices().map(|index| (index, error.clone())));
                }
                Err(error) => {
                    stopped = Some(error);
                    rest.extend(apart(&merged, self.layer));
                }
            }
        }
        stopped.map_or(Ok(()), |error| {
            self.restore(&rest);
            Err(error)
        })
    }

    /// Puts packets back that were there before.
    fn restore(&mut self, packets: &[Vec<u8>]) {
        self.clear();
        for packet in packets {
            let start = self.used + self.kind.length();
            self.used = start + packet.len();
            if let Some(place) = self.arena.get_mut(start..self.used) {
                place.copy_from_slice(packet);
                self.packets.push(start..self.used);
            }
        }
    }
}

/// How packets are sent.
#[derive(Clone, Copy)]
struct Sending {
    kind: HeaderKind,
    layer: Layer,
}

impl Sending {
    fn send(self, merged: &Merged<'_>, call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>) -> Result<()> {
        let first = merged.pieces().next().unwrap_or_default();
        let headers = self.headers(first, merged.header())?;
        let headers = headers.get(..self.kind.length()).unwrap_or_default();
        if merged.packets() < FEW_PIECES {
            gather::<FEW_PIECES>(headers, merged, call)
        } else {
            gather::<MOST_PIECES>(headers, merged, call)
        }
    }

    fn send_alone(self, packet: &[u8], call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>) -> Result<()> {
        let headers = self.headers(packet, VnetHeader::default())?;
        let headers = headers.get(..self.kind.length()).unwrap_or_default();
        call(&[IoSlice::new(headers), IoSlice::new(packet)]).map(drop)
    }

    fn headers(self, packet: &[u8], vnet: VnetHeader) -> Result<[u8; HeaderKind::MAX_LENGTH]> {
        let mut headers = [0; HeaderKind::MAX_LENGTH];
        let own = self.kind.headers_for(self.layer, packet).map_err(malformed)?.with_vnet(vnet);
        own.write(&mut headers).map_err(|error| malformed(HeaderError::NoRoom(error)))?;
        Ok(headers)
    }
}

/// Calls with the headers and all pieces.
fn gather<const N: usize>(
    headers: &[u8],
    merged: &Merged<'_>,
    call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
) -> Result<()> {
    let mut slices = [IoSlice::new(&[]); N];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(std::iter::once(headers).chain(merged.pieces())) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    call(slices.get(..count).unwrap_or_default()).map(drop)
}

/// The packets that were merged, as they were: the system would cut them the same way.
fn apart(merged: &Merged<'_>, layer: Layer) -> Vec<Vec<u8>> {
    let mut whole: Vec<u8> = merged.pieces().flatten().copied().collect();
    if merged.packets() == 1 {
        return vec![whole];
    }
    let mut packets = Vec::with_capacity(merged.packets());
    if let Ok(mut segments) = Segments::new(&merged.header(), layer, &mut whole, super::sum()) {
        while let Some(segment) = segments.next() {
            packets.push(segment.to_vec());
        }
    }
    packets
}

/// A packet with its headers in front, for which there is room.
fn with_headers<'a>(
    arena: &'a mut [u8],
    range: &Range<usize>,
    kind: HeaderKind,
    layer: Layer,
) -> Result<&'a [u8]> {
    let start = range.start - kind.length();
    let whole = arena.get_mut(start..range.end).unwrap_or_default();
    let (headers, packet) = whole.split_at_mut(kind.length().min(whole.len()));
    kind.write(layer, packet, headers).map_err(malformed)?;
    Ok(whole)
}

fn malformed(error: HeaderError) -> Error {
    Error::new(Operation::Send, Reason::new(Cause::MalformedPacket).with_detail(error.to_string()))
}

impl fmt::Debug for SendBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch")
            .field("packets", &self.packets.len())
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}
