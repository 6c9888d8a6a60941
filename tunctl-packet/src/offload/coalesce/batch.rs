//! What is to be sent of a batch.

use core::ops::Range;

use super::run::{Kept, Run};
use super::segment::Segment;
use super::{MergeCounts, Parts};
use crate::header::VnetHeader;

/// The packets of a batch, merged: first the run whose first packet came first.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) arena: &'a mut [u8],
    pub(super) links: Links<'a>,
    pub(super) runs: core::slice::Iter<'a, Run>,
    /// The run that was given last, and what its first packet had in its headers.
    pub(super) given: Option<(&'a Run, Option<Kept>)>,
    pub(super) counts: MergeCounts,
}

/// The packets of a batch, and for each the number of the one behind it in its run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links<'a> {
    pub(super) packets: &'a [Parts],
    pub(super) next: &'a [u32],
}

/// A packet to be sent, which stands for one or several.
#[derive(Clone, Copy, Debug)]
pub struct Merged<'a> {
    arena: &'a [u8],
    links: Links<'a>,
    run: &'a Run,
    header: VnetHeader,
}

impl Batch<'_> {
    /// The next packet to send.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Merged<'_>> {
        let run = self.runs.next()?;
        let mut header = VnetHeader::default();
        self.given = Some((run, None));
        if let Some((segment, packet)) = first_packet(self.arena, self.links, run) {
            let (of_all, kept) = run.finish(segment, packet);
            header = of_all;
            self.given = Some((run, Some(kept)));
        }
        Some(Merged { arena: self.arena, links: self.links, run, header })
    }

    /// Takes the last packet to send apart again, for a system that refuses it: the packets that it stands
    /// for, each as it was, with its number in the batch, counted from zero. Its first one gets its own
    /// headers back. Each is in two parts, as it was given: one behind the other, they are the packet.
    ///
    /// ```
    /// use tunctl_packet::offload::{Coalescer, Parts, sum};
    /// use tunctl_packet::{Layer, udp_packet};
    ///
    /// let (from, to) = ("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?);
    /// let one = udp_packet(from, to, &[1; 1000])?;
    /// let two = udp_packet(from, to, &[2; 700])?;
    /// let mut arena = [one.clone(), two.clone()].concat();
    ///
    /// let mut coalescer = Coalescer::new(Layer::Tun, 0x5eed);
    /// let packets = [0..1028, 1028..1756].map(Parts::from);
    /// let mut batch = coalescer.merge(&mut arena, &packets, sum);
    /// assert_eq!(batch.next().ok_or("nothing")?.packets(), 2);
    /// // The write fails. So the packets are written one by one, with empty virtio-net headers.
    /// assert_eq!(batch.undo().collect::<Vec<_>>(), [(0, [&one[..], &[]]), (1, [&two[..], &[]])]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn undo(&mut self) -> impl Iterator<Item = (usize, [&[u8]; 2])> {
        let run = self.given.map(|(run, kept)| {
            if let (Some(kept), Some((segment, packet))) = (kept, first_packet(self.arena, self.links, run)) {
                kept.restore(segment, packet);
            }
            run
        });
        let arena = &*self.arena;
        self.links.of(run).map(|(index, parts)| {
            let bytes = parts.of(arena);
            (index, [bytes.first, bytes.rest])
        })
    }

    /// What became of the packets of the batch.
    #[must_use]
    pub const fn counts(&self) -> MergeCounts {
        self.counts
    }
}

impl<'a> Merged<'a> {
    /// What the virtio-net header in front of it says.
    #[must_use]
    pub const fn header(&self) -> VnetHeader {
        self.header
    }

    /// How many packets of the batch it stands for: at most 500.
    #[must_use]
    pub const fn packets(&self) -> usize {
        self.run.count as usize
    }

    /// Its bytes: the first packet, then the payload of each of the others. What lies side by side in the
    /// arena is one piece.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let &Self { arena, links, run, .. } = self;
        let headers = run.segment.map_or(0, |segment| segment.payload());
        let known = |range: Range<usize>| if arena.get(range.clone()).is_some() { range } else { 0..0 };
        let mut packets = links.of(Some(run));
        let first = packets.next().map(|(_, parts)| parts);
        let mut rest = first.map_or(0..0, |parts| known(parts.rest.clone()));
        let mut first = first.map(|parts| known(parts.first.clone()));
        // The two parts are written out: with a loop over them, to merge took a fifth longer.
        core::iter::from_fn(move || {
            let mut piece = first.take().unwrap_or(0..0);
            loop {
                if !rest.is_empty() {
                    if piece.is_empty() {
                        piece = rest.clone();
                    } else if piece.end == rest.start {
                        piece.end = rest.end;
                    } else {
                        break;
                    }
                    rest = 0..0;
                }
                let Some((_, parts)) = packets.next() else { break };
                rest = known(parts.rest.clone());
                let own = known(parts.first.start + headers..parts.first.end);
                if own.is_empty() {
                    continue;
                }
                if piece.is_empty() {
                    piece = own;
                } else if piece.end == own.start {
                    piece.end = own.end;
                } else {
                    first = Some(own);
                    break;
                }
            }
            if piece.is_empty() { None } else { Some(arena.get(piece).unwrap_or_default()) }
        })
    }
}

impl<'a> Merged<'a> {
    /// The bytes of the packets that it stands for, each with its own headers.
    #[must_use]
    pub fn bytes_apart(&self) -> usize {
        let headers = self.run.segment.map_or(0, |segment| segment.payload());
        let first = self.links.packets.get(self.run.first as usize);
        let alone = first.map_or(0, |parts| parts.of(self.arena).len());
        match self.run.count {
            1 => alone,
            count => headers * usize::from(count) + self.run.payload as usize,
        }
    }

    /// A packet that stands for itself alone, with so many bytes of the arena in front of it, for headers
    /// that are there already. `None` if it stands for several, is in two parts, or the arena begins later.
    #[must_use]
    pub fn alone_behind(&self, headers: usize) -> Option<&'a [u8]> {
        let Parts { first, rest, .. } = self.links.packets.get(self.run.first as usize)?;
        let is_whole = self.run.count == 1 && rest.is_empty();
        self.arena.get(first.start.checked_sub(headers)?..first.end).filter(|_| is_whole)
    }
}

/// The first packet of a run of several.
fn first_packet<'a, 'b>(
    arena: &'a mut [u8],
    links: Links<'_>,
    run: &'b Run,
) -> Option<(&'b Segment, &'a mut [u8])> {
    let segment = run.segment.as_ref().filter(|_| run.count > 1)?;
    let parts = links.packets.get(run.first as usize)?;
    Some((segment, arena.get_mut(parts.first.clone())?))
}

impl<'a> Links<'a> {
    /// The packets of a run: their numbers, and where they are.
    fn of(self, run: Option<&Run>) -> impl Iterator<Item = (usize, &'a Parts)> + use<'a> {
        let mut next = run.map(|run| run.first as usize);
        core::iter::from_fn(move || {
            let index = next?;
            let parts = self.packets.get(index)?;
            next = self.next.get(index).map(|next| *next as usize);
            Some((index, parts))
        })
    }
}
