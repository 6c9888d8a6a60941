//! Merges packets of a flow into one that stands for all of them.

mod batch;
mod flows;
mod parts;
mod run;
mod segment;

use alloc::vec::Vec;

use self::batch::Links;
pub use self::batch::{Batch, Merged};
use self::flows::Flows;
use self::parts::Bytes;
pub use self::parts::Parts;
use self::run::Run;
use self::segment::{Fitness, Packet, Segment};
use super::Sum;
use crate::Layer;

/// The flag of TCP that ends a run, and stays on its end.
const PSH: u8 = 0x08;

/// No packet, and no run.
const NONE: u32 = u32::MAX;

/// Merges the packets of a batch, each flow by itself, in both directions at once.
///
/// A packet is merged with the one before it in its flow if the system would cut the result into the same
/// packets again: the headers are the same but for lengths, checksums, and what counts up; the checksums are
/// right; it follows directly; and it is not longer. What cannot be merged leaves as it is. Nothing overtakes
/// anything within its flow.
///
/// It remembers the flows of a batch in a table of fixed size. If there are more, some packets are not
/// merged.
///
/// ```
/// use tunctl_packet::offload::{Coalescer, Parts, sum};
/// use tunctl_packet::{Layer, udp_packet};
///
/// let (from, to) = ("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?);
/// let one = udp_packet(from, to, &[1; 1000])?;
/// let two = udp_packet(from, to, &[2; 700])?;
/// let mut arena = [one, two].concat();
///
/// let mut coalescer = Coalescer::new(Layer::Tun, 0x5eed);
/// let packets = [0..1028, 1028..1756].map(Parts::from);
/// let mut batch = coalescer.merge(&mut arena, &packets, sum);
/// let merged = batch.next().ok_or("nothing")?;
/// assert_eq!((merged.packets(), merged.header().segment_size()), (2, 1000));
/// // The header and these pieces are for one vectored write.
/// assert_eq!(merged.pieces().map(<[u8]>::len).collect::<Vec<_>>(), [1028, 700]);
/// assert!(batch.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Coalescer {
    layer: Layer,
    merging: Merging,
    flows: Flows,
    runs: Vec<Run>,
    /// For each packet, the one behind it in its run.
    next: Vec<u32>,
    counts: MergeCounts,
}

/// Where the packets of a batch go.
#[derive(Clone, Copy, Debug)]
struct Course {
    /// The run that the last packet is in.
    last: u32,
    /// The run that the next packet is probably in: the one that followed the last time.
    expected: u32,
}

impl Course {
    const NONE: Self = Self { last: NONE, expected: NONE };
}

/// The transports that are merged.
#[derive(Clone, Copy, Debug)]
struct Merging {
    tcp: bool,
    udp: bool,
}

/// What became of the packets of a batch.
///
/// `packets - runs` writes were saved. The other counters tell why it was not more: each counts packets that
/// began a run instead of being merged with those before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct MergeCounts {
    /// The packets of the batch.
    pub packets: usize,
    /// The packets that are to be sent instead.
    pub runs: usize,
    /// Neither TCP nor UDP, or a fragment, or behind extension headers; or their transport is not merged.
    pub other: usize,
    /// A length or a checksum was wrong.
    pub wrong: usize,
    /// TCP without payload or with flags such as SYN, UDP without payload or without a checksum, or IPv4 with
    /// options.
    pub alone: usize,
    /// Their flow was known, and they did not continue it: a gap, other headers, a longer packet; or those
    /// before were full, or at an end.
    pub apart: usize,
    /// The table had no room left: their flow took the place of another.
    pub evicting: usize,
}

impl core::ops::AddAssign for MergeCounts {
    fn add_assign(&mut self, other: Self) {
        self.packets += other.packets;
        self.runs += other.runs;
        self.other += other.other;
        self.wrong += other.wrong;
        self.alone += other.alone;
        self.apart += other.apart;
        self.evicting += other.evicting;
    }
}

impl Coalescer {
    /// For packets of devices of this layer. Whoever sends the packets must not be able to guess the key, or
    /// could choose flows that get in each other's way.
    #[must_use]
    pub fn new(layer: Layer, key: u64) -> Self {
        Self {
            layer,
            merging: Merging { tcp: true, udp: true },
            flows: Flows::new(key),
            runs: Vec::new(),
            next: Vec::new(),
            counts: MergeCounts::default(),
        }
    }

    /// Chooses the transports that are merged; at first, both are. Packets of others leave as they are, for a
    /// system that refuses merged ones.
    pub fn set_merging(&mut self, tcp: bool, udp: bool) {
        self.merging = Merging { tcp, udp };
    }

    /// Merges the packets of a batch. They are these parts of the arena, in this order. `sum` adds up bytes,
    /// as for [`Segments`](super::Segments).
    ///
    /// The first packet of each run gets its headers changed in the arena when the run is asked for.
    pub fn merge<'a>(&'a mut self, arena: &'a mut [u8], packets: &'a [Parts], sum: Sum) -> Batch<'a> {
        self.runs.clear();
        self.next.clear();
        self.next.resize(packets.len(), NONE);
        self.flows.begin();
        self.counts = MergeCounts::default();
        let mut course = Course::NONE;
        for (index, parts) in (0..NONE).zip(packets) {
            let (bytes, batch, run) = (parts.of(arena), (&*arena, packets), course.expected);
            // Each is compiled by itself.
            let expected = match bytes.whole() {
                Some(bytes) => self.append(run, batch, bytes, index, sum),
                None => self.append(run, batch, bytes, index, sum),
            };
            course = match expected {
                Some(expected) => Course { last: run, expected },
                None => self.add(course, batch, bytes, index, sum),
            };
        }
        self.counts.packets = packets.len();
        self.counts.runs = self.runs.len();
        let links = Links { packets, next: &self.next };
        Batch { arena, links, runs: self.runs.iter(), given: None, counts: self.counts }
    }

    /// Puts the next packet into a run that is there, or a new one. It is not in the expected one.
    #[inline(never)]
    fn add(
        &mut self,
        course: Course,
        batch: (&[u8], &[Parts]),
        bytes: Bytes<'_>,
        index: u32,
        sum: Sum,
    ) -> Course {
        // There are no more runs than packets.
        let new = u32::try_from(self.runs.len()).unwrap_or(NONE);
        match Packet::parse(self.layer, self.merging, bytes) {
            Packet::OfFlow(place) => {
                let found = self.flows.find(place.hash(bytes.first, self.flows.key()));
                let is_again = found.run == Some(course.last);
                if let Some(run) = found.run.filter(|run| *run != course.expected) {
                    if self.append(run, batch, bytes, index, sum).is_some() {
                        return self.go_on(course, run);
                    }
                }
                // Nothing may be added to a run that is not the last one of its flow, or whose flow is
                // forgotten.
                if let Some(run) = found.loser.and_then(|run| self.runs.get_mut(run as usize)) {
                    run.is_closed = true;
                }
                let segment = place.segment(bytes, sum);
                match segment.fitness {
                    Fitness::Wrong => self.counts.wrong += 1,
                    Fitness::Alone => self.counts.alone += 1,
                    Fitness::Fit => self.counts.apart += usize::from(found.run.is_some()),
                }
                self.counts.evicting += usize::from(found.run.is_none() && found.loser.is_some());
                self.flows.set(found, new);
                self.runs.push(Run::new(index, Some(segment), if is_again { new } else { NONE }));
                self.go_on(course, new)
            }
            packet => {
                self.counts.other += 1;
                self.runs.push(Run::new(index, None, NONE));
                if !matches!(packet, Packet::OfUnknownFlow) {
                    return course;
                }
                // It may be one of any flow, and nothing may overtake it.
                self.flows.begin();
                Course::NONE
            }
        }
    }

    /// Notes which run a packet is in that was not in the expected one.
    fn go_on(&mut self, course: Course, run: u32) -> Course {
        if let Some(before) = self.runs.get_mut(course.last as usize) {
            before.follower = run;
        }
        Course { last: run, expected: self.runs.get(run as usize).map_or(NONE, |run| run.follower) }
    }

    /// Adds a packet to a run, if it follows, and returns the run that the next one is probably in.
    #[inline(always)]
    fn append(
        &mut self,
        run: u32,
        batch: (&[u8], &[Parts]),
        bytes: Bytes<'_>,
        index: u32,
        sum: Sum,
    ) -> Option<u32> {
        let (of, first, its) = self.first_of(run, batch).filter(|(run, ..)| !run.is_closed)?;
        let next =
            first.next(its, bytes, (of.payload, of.count.into()), sum).filter(|next| of.takes(next))?;
        let run = self.runs.get_mut(run as usize)?;
        let before = run.append(index, &next);
        if let Some(next) = self.next.get_mut(before as usize) {
            *next = index;
        }
        Some(run.follower)
    }

    /// A run, and its first packet.
    #[inline]
    fn first_of<'a>(
        &'a self,
        run: u32,
        (arena, packets): (&'a [u8], &[Parts]),
    ) -> Option<(&'a Run, &'a Segment, &'a [u8])> {
        let run = self.runs.get(run as usize)?;
        let parts = packets.get(run.first as usize)?;
        Some((run, run.segment.as_ref()?, arena.get(parts.first.start..)?))
    }
}
