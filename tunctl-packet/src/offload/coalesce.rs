//! Merges packets of a flow into one that stands for all of them.

mod flows;
mod segment;

use alloc::vec::Vec;
use core::ops::Range;

use self::flows::Flows;
use self::segment::{Packet, Segment};
use super::Sum;
use super::checksum::{checksum, fold, sum as sum_of};
use super::layout::Transport;
use super::split::{half, put};
use crate::Layer;
use crate::header::{GsoType, VnetHeader};

/// The longest packet of IP.
const LONGEST: usize = 65_535;

/// The most segments of UDP that each kernel takes: 128 from Linux 6.9 on.
const UDP_SEGMENTS: usize = 64;

/// The flag of TCP that ends a run, and stays on its end.
const PSH: u8 = 0x08;

/// No packet.
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
/// use tunctl_packet::offload::{Coalescer, sum};
/// use tunctl_packet::{Layer, udp_packet};
///
/// let (from, to) = ("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?);
/// let one = udp_packet(from, to, &[1; 1000])?;
/// let two = udp_packet(from, to, &[2; 700])?;
/// let mut arena = [one, two].concat();
///
/// let mut coalescer = Coalescer::new(Layer::Tun, 0x5eed);
/// let mut batch = coalescer.merge(&mut arena, &[0..1028, 1028..1756], sum);
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
    flows: Flows,
    runs: Vec<Run>,
    /// For each packet, the one behind it in its run, and where its payload is.
    links: Vec<Link>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    next: u32,
    payload: u32,
    end: u32,
}

/// Packets that follow one another in a flow.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u32,
    last: u32,
    count: u32,
    /// The payload of all of them, in bytes.
    payload: u32,
    /// The first one's; `None` if it is nothing that is ever merged.
    segment: Option<Segment>,
    /// Whether nothing may follow.
    is_closed: bool,
    /// Whether the last one has TCP's PSH.
    pushes: bool,
}

impl Coalescer {
    /// For packets of devices of this layer. Whoever sends the packets must not be able to guess the key, or
    /// could choose flows that get in each other's way.
    #[must_use]
    pub fn new(layer: Layer, key: u64) -> Self {
        Self { layer, flows: Flows::new(key), runs: Vec::new(), links: Vec::new() }
    }

    /// Merges the packets of a batch. They are these parts of the arena, in this order; a part that is not in
    /// the arena counts as empty. `sum` adds up bytes, as for [`Segments`](super::Segments).
    ///
    /// The first packet of each run gets its headers changed in the arena when the run is asked for.
    pub fn merge<'a>(&'a mut self, arena: &'a mut [u8], packets: &[Range<usize>], sum: Sum) -> Batch<'a> {
        self.runs.clear();
        self.links.clear();
        self.flows.begin();
        for range in packets {
            let bytes = arena.get(range.clone()).unwrap_or_default();
            let packet = Packet::parse(self.layer, bytes, sum);
            self.add(arena, range, packet);
        }
        Batch { arena, links: &self.links, runs: self.runs.iter() }
    }

    /// Puts the next packet into a run: one that is there, or a new one.
    fn add(&mut self, arena: &[u8], range: &Range<usize>, packet: Packet) {
        let segment = if let Packet::OfFlow(segment) = packet { Some(segment) } else { None };
        let number = |number: usize| u32::try_from(number).unwrap_or(NONE);
        let index = number(self.links.len());
        let payload = range.start + segment.map_or(0, |segment| segment.payload);
        self.links.push(Link { next: NONE, payload: number(payload), end: number(range.end) });
        let bytes = arena.get(range.clone()).unwrap_or_default();
        let run = Run {
            first: index,
            last: index,
            count: 1,
            payload: segment.map_or(0, |segment| number(segment.length())),
            segment,
            is_closed: segment.is_none_or(|segment| segment.ends),
            pushes: segment.is_some_and(|segment| segment.pushes),
        };
        let Some(segment) = segment else {
            if let Packet::OfUnknownFlow = packet {
                // It may be one of any flow, and nothing may overtake it.
                self.flows.begin();
            }
            return self.runs.push(run);
        };
        let (runs, links) = (&self.runs, &self.links);
        let first_of = |run: u32| {
            let run = runs.get(run as usize)?;
            let start = links.get(run.first as usize)?;
            let segment = run.segment?;
            let start = (start.payload as usize).checked_sub(segment.payload)?;
            Some((segment, arena.get(start..)?))
        };
        let place = self.flows.find(segment.hash(bytes, self.flows.key()), |run| {
            first_of(run).is_some_and(|(first, its)| segment.has_flow_of(bytes, &first, its))
        });
        let known = self.flows.get(place).and_then(|run| Some((run, first_of(run)?)));
        if let Some((known, (first, its))) = known {
            let follows = runs.get(known as usize).is_some_and(|run| {
                run.takes(&segment) && segment.follows(bytes, &first, its, run.payload, run.count)
            });
            if follows {
                return self.append(known, index, &segment);
            }
        }
        self.flows.set(place, number(self.runs.len()));
        self.runs.push(run);
    }

    fn append(&mut self, run: u32, index: u32, segment: &Segment) {
        let Some(run) = self.runs.get_mut(run as usize) else { return };
        if let Some(last) = self.links.get_mut(run.last as usize) {
            last.next = index;
        }
        let size = run.segment.map_or(0, |first| first.length());
        run.last = index;
        run.count += 1;
        run.payload += u32::try_from(segment.length()).unwrap_or(0);
        run.pushes = segment.pushes;
        run.is_closed = segment.ends || segment.length() < size;
    }
}

impl Run {
    /// Whether there is room for another packet.
    fn takes(&self, segment: &Segment) -> bool {
        let Some(first) = self.segment else { return false };
        let total = first.payload - first.network + self.payload as usize + segment.length();
        let most = if first.kind == Transport::Udp { UDP_SEGMENTS } else { usize::MAX };
        !self.is_closed && total <= LONGEST && (self.count as usize) < most
    }
}

/// The packets of a batch, merged: first the run whose first packet came first.
#[derive(Debug)]
pub struct Batch<'a> {
    arena: &'a mut [u8],
    links: &'a [Link],
    runs: core::slice::Iter<'a, Run>,
}

/// A packet to be sent, which stands for one or several.
#[derive(Clone, Copy, Debug)]
pub struct Merged<'a> {
    arena: &'a [u8],
    links: &'a [Link],
    run: &'a Run,
    header: VnetHeader,
    start: usize,
}

impl Batch<'_> {
    /// The next packet to send.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    pub fn next(&mut self) -> Option<Merged<'_>> {
        let run = self.runs.next()?;
        let link = self.links.get(run.first as usize)?;
        let start = (link.payload as usize).checked_sub(run.segment.map_or(0, |segment| segment.payload))?;
        let header = match run.segment {
            Some(segment) if run.count > 1 => run.finish(&segment, self.arena.get_mut(start..)?),
            _ => VnetHeader::default(),
        };
        Some(Merged { arena: self.arena, links: self.links, run, header, start })
    }
}

impl Run {
    /// Writes into the first packet's headers what they say of all.
    fn finish(&self, segment: &Segment, packet: &mut [u8]) -> VnetHeader {
        let &Segment { network, transport, payload, kind, is_v6, .. } = segment;
        let length = payload + self.payload as usize;
        if is_v6 {
            put(packet, network + 4, half(length - network - crate::ip::V6_LENGTH));
        } else {
            put(packet, network + 2, half(length - network));
            put(packet, network + 10, [0, 0]);
            let own = sum_of(packet.get(network..transport).unwrap_or_default());
            put(packet, network + 10, checksum(own));
        }
        match kind {
            Transport::Udp => put(packet, transport + 4, half(length - transport)),
            Transport::Tcp if self.pushes => {
                let flags = packet.get(transport + 13).copied().unwrap_or_default();
                put(packet, transport + 13, [flags | PSH]);
            }
            Transport::Tcp => {}
        }
        let covered = u32::try_from(length - transport).unwrap_or_default();
        let pseudo = segment.pseudo_header(packet) + sum_of(&covered.to_be_bytes());
        put(packet, transport + usize::from(kind.checksum()), fold(pseudo).to_ne_bytes());
        let gso_type = match (kind, is_v6) {
            (Transport::Udp, _) => GsoType::UdpL4,
            (Transport::Tcp, false) => GsoType::TcpV4,
            (Transport::Tcp, true) => GsoType::TcpV6,
        };
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        VnetHeader::default()
            .with_segments(gso_type, short(segment.length()))
            .with_checksum(short(transport), kind.checksum())
            .with_header_length(short(payload))
    }
}

impl<'a> Merged<'a> {
    /// What the virtio-net header in front of it says.
    #[must_use]
    pub const fn header(&self) -> VnetHeader {
        self.header
    }

    /// How many packets of the batch it stands for.
    #[must_use]
    pub const fn packets(&self) -> usize {
        self.run.count as usize
    }

    /// Which packets of the batch these are: their numbers, in order, counted from zero.
    pub fn indices(&self) -> impl Iterator<Item = usize> + use<'a> {
        let &Self { links, run, .. } = self;
        core::iter::successors(Some(run.first), |&index| {
            links.get(index as usize).map(|link| link.next).filter(|&next| next != NONE)
        })
        .map(|index| index as usize)
    }

    /// Its bytes: the first packet, then the payload of each of the others.
    pub fn pieces(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let &Self { arena, links, run, start, .. } = self;
        let mut next = Some((run.first, start));
        core::iter::from_fn(move || {
            let (index, start) = next?;
            let link = links.get(index as usize)?;
            next = links.get(link.next as usize).map(|its| (link.next, its.payload as usize));
            arena.get(start..link.end as usize)
        })
    }
}
