//! What is to be sent of a batch.

use super::run::{Kept, Run};
use super::segment::Segment;
use super::{Link, MergeCounts};
use crate::header::VnetHeader;

/// The packets of a batch, merged: first the run whose first packet came first.
#[derive(Debug)]
pub struct Batch<'a> {
    pub(super) arena: &'a mut [u8],
    pub(super) links: &'a [Link],
    pub(super) runs: core::slice::Iter<'a, Run>,
    /// The run that was given last, and what its first packet had in its headers.
    pub(super) given: Option<(&'a Run, Option<Kept>)>,
    pub(super) counts: MergeCounts,
}

/// A packet to be sent, which stands for one or several.
#[derive(Clone, Copy, Debug)]
pub struct Merged<'a> {
    arena: &'a [u8],
    links: &'a [Link],
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
    /// for, each whole and as it was, with its number in the batch, counted from zero. Its first one gets its
    /// own headers back.
    ///
    /// ```
    /// use tunctl_packet::offload::{Coalescer, sum};
    /// use tunctl_packet::{Layer, udp_packet};
    ///
    /// let (from, to) = ("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?);
    /// let one = udp_packet(from, to, &[1; 1000])?;
    /// let two = udp_packet(from, to, &[2; 700])?;
    /// let mut arena = [one.clone(), two.clone()].concat();
    ///
    /// let mut coalescer = Coalescer::new(Layer::Tun, 0x5eed);
    /// let mut batch = coalescer.merge(&mut arena, &[0..1028, 1028..1756], sum);
    /// assert_eq!(batch.next().ok_or("nothing")?.packets(), 2);
    /// // The write fails. So the packets are written one by one, with empty virtio-net headers.
    /// assert_eq!(batch.undo().collect::<Vec<_>>(), [(0, &one[..]), (1, &two[..])]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn undo(&mut self) -> impl Iterator<Item = (usize, &[u8])> {
        let run = self.given.map(|(run, kept)| {
            if let (Some(kept), Some((segment, packet))) = (kept, first_packet(self.arena, self.links, run)) {
                kept.restore(segment, packet);
            }
            run
        });
        let arena = &*self.arena;
        links_of(self.links, run)
            .map(|(index, link)| (index, arena.get(link.start..link.end).unwrap_or_default()))
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

    /// How many packets of the batch it stands for: at most 1,000.
    #[must_use]
    pub const fn packets(&self) -> usize {
        self.run.count as usize
    }

    /// Its bytes: the first packet, then the payload of each of the others.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let &Self { arena, links, run, .. } = self;
        let headers = run.segment.map_or(0, |segment| segment.payload());
        let mut skipped = 0;
        links_of(links, Some(run)).map(move |(_, link)| {
            let start = link.start + skipped;
            skipped = headers;
            arena.get(start..link.end).unwrap_or_default()
        })
    }
}

impl<'a> Merged<'a> {
    /// The bytes of the packets that it stands for, each with its own headers.
    #[must_use]
    pub fn bytes_apart(&self) -> usize {
        let headers = self.run.segment.map_or(0, |segment| segment.payload());
        let alone =
            self.links.get(self.run.first as usize).map_or(0, |link| link.end.saturating_sub(link.start));
        match self.run.count {
            1 => alone,
            count => headers * count as usize + self.run.payload as usize,
        }
    }

    /// A packet that stands for itself alone, with so many bytes of the arena in front of it, for headers
    /// that are there already. `None` if it stands for several, or the arena begins later.
    #[must_use]
    pub fn alone_behind(&self, headers: usize) -> Option<&'a [u8]> {
        let link = self.links.get(self.run.first as usize).filter(|_| self.run.count == 1)?;
        self.arena.get(link.start.checked_sub(headers)?..link.end)
    }
}

/// The first packet of a run of several.
fn first_packet<'a, 'b>(
    arena: &'a mut [u8],
    links: &[Link],
    run: &'b Run,
) -> Option<(&'b Segment, &'a mut [u8])> {
    let segment = run.segment.as_ref().filter(|_| run.count > 1)?;
    let link = links.get(run.first as usize)?;
    Some((segment, arena.get_mut(link.start..link.end)?))
}

/// The packets of a run: their numbers, and where they are.
fn links_of<'a>(links: &'a [Link], run: Option<&Run>) -> impl Iterator<Item = (usize, &'a Link)> + use<'a> {
    let mut next = run.map(|run| run.first as usize);
    core::iter::from_fn(move || {
        let index = next?;
        let link = links.get(index)?;
        next = Some(link.next as usize);
        Some((index, link))
    })
}
