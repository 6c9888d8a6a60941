//! Packets that were received together.

use std::fmt;
use std::ops::Range;

use tunctl_packet::Layer;
use tunctl_packet::header::{HeaderKind, VnetHeader};
use tunctl_packet::offload::{Cut, SplitError, Sum};

use super::statistics::RecvStatistics;
use crate::Result;

/// The longest packet that a system hands over: that of IP, with an Ethernet header and two tags, behind the
/// longest headers.
const LONGEST: usize = 65_535 + 14 + 2 * 4 + HeaderKind::MAX_LENGTH;

/// A packet that is passed on may get longer headers in front.
const STRIDE: usize = LONGEST + HeaderKind::MAX_LENGTH;

/// Room for three of them, which stays in the cache of a core.
pub(super) const ROOM: usize = 3 * STRIDE;

/// The memory of a batch: behind what is received, there is room for the headers of packets that are passed
/// on. Batches for sending have as much.
pub(super) const ARENA: usize = ROOM + STRIDE;

const MOST_CALLS: usize = 64;

/// What one [`recv`](super::Bulk::recv) received. Its packets are lent, one after the other.
///
/// A packet is there until the next one is asked for: the next one's headers are written over it, so that no
/// payload is copied.
pub struct RecvBatch {
    layer: Layer,
    kind: HeaderKind,
    pub(super) arena: Vec<u8>,
    /// Where each packet is that was received, with its headers.
    pub(super) entries: Vec<Range<usize>>,
    next: usize,
    pub(super) cut: Option<(Cut, Range<usize>)>,
    sum: Sum,
    pub(super) statistics: RecvStatistics,
}

/// A packet that was received and not cut, behind its headers: see [`RecvBatch::next_large`].
#[derive(Clone, Copy, Debug)]
pub struct Large<'a> {
    header: VnetHeader,
    bytes: &'a [u8],
    kind: HeaderKind,
}

impl RecvBatch {
    pub(super) fn new(layer: Layer, kind: HeaderKind) -> Self {
        Self {
            layer,
            kind,
            arena: vec![0; ARENA],
            entries: Vec::with_capacity(MOST_CALLS),
            next: 0,
            cut: None,
            sum: super::fastest_sum(),
            statistics: RecvStatistics::default(),
        }
    }

    /// The next packet, without headers in front. Packets that could not be cut are left out.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<&[u8]> {
        while self.left_of_cut() == 0 {
            // Counted there.
            let _ = self.advance()?;
        }
        self.next_of_cut()
    }

    /// As [`next`](Self::next), with the reason in place of a packet that could not be cut. That one is lost;
    /// those behind it are not.
    ///
    /// # Errors
    ///
    /// [`SplitError`], by cause.
    pub fn try_next(&mut self) -> Result<Option<&[u8]>, SplitError> {
        while self.left_of_cut() == 0 {
            match self.advance() {
                None => return Ok(None),
                Some(outcome) => outcome?,
            }
        }
        Ok(self.next_of_cut())
    }

    /// The next packet as it was received, which may stand for several, as its header says. It is for relays
    /// and virtual machine monitors, which pass both on. What is left of a packet that is being cut is
    /// skipped.
    pub fn next_large(&mut self) -> Option<Large<'_>> {
        self.cut = None;
        loop {
            let range = self.entries.get(self.next)?.clone();
            self.next += 1;
            let Ok((headers, _)) = self.kind.parse(self.arena.get(range.clone())?) else {
                self.statistics.lost += 1;
                continue;
            };
            self.statistics.packets += 1;
            let header = headers.vnet().unwrap_or_default();
            return Some(Large { header, bytes: self.arena.get(range)?, kind: self.kind });
        }
    }

    /// What was received since the batch was made.
    #[must_use]
    pub const fn statistics(&self) -> RecvStatistics {
        self.statistics
    }

    /// Receives by that call until nothing is there, or no room.
    pub(super) fn fill(&mut self, mut call: impl FnMut(&mut [u8]) -> Result<usize>) -> Result<usize> {
        self.entries.clear();
        self.next = 0;
        self.cut = None;
        let mut start = HeaderKind::MAX_LENGTH;
        while self.entries.len() < MOST_CALLS {
            let Some(room) = self.arena.get_mut(start..ROOM).filter(|room| room.len() >= LONGEST) else {
                break;
            };
            match call(room) {
                Ok(length) => {
                    self.entries.push(start..start + length);
                    self.statistics.calls += 1;
                    start += length + HeaderKind::MAX_LENGTH;
                }
                Err(error) if self.entries.is_empty() => return Err(error),
                // It is there again at the next call.
                Err(_) => break,
            }
        }
        Ok(self.entries.len())
    }

    /// Where the packet is that comes next, or what is left of it.
    pub(super) fn left(&self) -> Option<&Range<usize>> {
        let begun = self.cut.as_ref().filter(|(cut, _)| cut.left() > 0);
        begun.map(|(_, range)| range).or_else(|| self.entries.get(self.next))
    }

    pub(super) fn left_of_cut(&self) -> usize {
        self.cut.as_ref().map_or(0, |(cut, _)| cut.left())
    }

    fn next_of_cut(&mut self) -> Option<&[u8]> {
        let (cut, range) = self.cut.as_mut()?;
        self.statistics.packets += 1;
        cut.next(self.arena.get_mut(range.clone())?)
    }

    /// Begins to cut the next packet that was received; `None` if there is none.
    pub(super) fn advance(&mut self) -> Option<Result<(), SplitError>> {
        self.cut = None;
        let range = self.entries.get(self.next)?.clone();
        self.next += 1;
        let outcome = self.cut_of(range);
        match outcome {
            Ok((cut, range)) => {
                self.statistics.large += u64::from(cut.left() > 1);
                self.cut = Some((cut, range));
                Some(Ok(()))
            }
            Err(error) => {
                self.statistics.lost += 1;
                Some(Err(error))
            }
        }
    }

    fn cut_of(&mut self, range: Range<usize>) -> Result<(Cut, Range<usize>), SplitError> {
        let bytes = self.arena.get_mut(range.clone()).unwrap_or_default();
        let (headers, _) = self.kind.parse(bytes).map_err(|error| SplitError::Malformed(error.into()))?;
        let start = range.start + self.kind.length();
        let packet = bytes.get_mut(self.kind.length()..).unwrap_or_default();
        let header = headers.vnet().unwrap_or_default();
        let cut = Cut::new(&header, self.layer, packet, self.sum)?;
        Ok((cut, start..range.end))
    }
}

impl<'a> Large<'a> {
    /// What its header says.
    #[must_use]
    pub const fn header(&self) -> VnetHeader {
        self.header
    }

    /// The headers in front of it.
    #[must_use]
    pub const fn header_kind(&self) -> HeaderKind {
        self.kind
    }

    /// The packet, without headers in front.
    #[must_use]
    pub fn packet(&self) -> &'a [u8] {
        self.bytes.get(self.kind.length()..).unwrap_or_default()
    }

    /// The packet, with its headers in front.
    #[must_use]
    pub const fn with_headers(&self) -> &'a [u8] {
        self.bytes
    }
}

impl fmt::Debug for RecvBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch")
            .field("received", &self.entries.len())
            .field("statistics", &self.statistics)
            .finish_non_exhaustive()
    }
}
