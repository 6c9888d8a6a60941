//! Large packets that are cut, and packets that are merged, in memory: what a program does between one read
//! and one write of a device with offload.

use std::hint::black_box;
use std::io::IoSlice;
use std::time::Duration;

use tun_rs::{GROTable, VIRTIO_NET_HDR_LEN, VirtioNetHdr};
use tunctl_packet::Layer;
use tunctl_packet::header::VnetHeader;
use tunctl_packet::offload::{Apart, Coalescer, Cut, Parts, Segments, Sum};

use super::checksum::sum;
use super::tcp::{self, HEADERS, SIZE};
use crate::compare::{Way, compare, way};
use crate::results::{Goal, Row};

/// As many as fit into one packet.
const SEGMENTS: usize = 45;

pub(super) fn run(time: Duration) -> Result<Vec<Row>, String> {
    agree()?;
    let row = |case: &str, goal, mut ways: [Way<'_>; 2]| {
        let samples = compare(time / 3, &mut ways);
        let sides = (&samples[0][..], &samples[1][..]);
        let case = format!("{case} {SEGMENTS} × {SIZE} bytes of TCP");
        Row::rates(case, SEGMENTS * SIZE, sides, "tun-rs", Some(Goal::AtLeast(goal)))
    };
    Ok(vec![
        row("split", 3.5, [Ours::new().split_way(), TunRs::new().split_way()]),
        row("coalesce", 4.5, [Ours::new().coalesce_way(), TunRs::new().coalesce_way()]),
        row("both", 3.5, [Ours::new().both_way(), TunRs::new().both_way()]),
    ])
}

/// What is to be cut, and is cut again and again. Headers written over payload do not matter to the cost; the
/// first headers do, and are put back.
struct Input {
    packet: Vec<u8>,
    headers: [u8; HEADERS],
}

impl Input {
    fn new(packet: Vec<u8>) -> Self {
        let mut headers = [0; HEADERS];
        headers.copy_from_slice(&packet[..HEADERS]);
        Self { packet, headers }
    }

    fn again(&mut self) -> &mut [u8] {
        self.packet[..HEADERS].copy_from_slice(&self.headers);
        &mut self.packet
    }
}

struct Ours {
    sum: Sum,
    header: VnetHeader,
    input: Input,
    /// The segments, side by side; or the large packet, and the headers of its segments.
    arena: Vec<u8>,
    packets: Vec<Parts>,
    coalescer: Coalescer,
}

impl Ours {
    fn new() -> Self {
        let (header, packet) = tcp::large(4000, 1, SEGMENTS);
        let arena = vec![0; 2 * SEGMENTS * (HEADERS + SIZE)];
        let coalescer = Coalescer::new(Layer::Tun, fastrand::u64(..));
        Self { sum: sum(), header, input: Input::new(packet), arena, packets: Vec::new(), coalescer }
    }

    fn split(&mut self) {
        let cut = Segments::new(&self.header, Layer::Tun, self.input.again(), self.sum);
        let Ok(mut segments) = cut else { return };
        while let Some(segment) = segments.next() {
            black_box(segment);
        }
    }

    /// Cuts into the arena.
    fn copy(&mut self) {
        let cut = Segments::new(&self.header, Layer::Tun, self.input.again(), self.sum);
        let Ok(mut segments) = cut else { return };
        self.packets.clear();
        let mut end = 0;
        while let Ok(Some(segment)) = segments.next_into(&mut self.arena[end..]) {
            let start = end;
            end += segment.len();
            self.packets.push((start..end).into());
        }
    }

    /// Cuts what is in the arena, with the headers behind it, as a program that passes packets on.
    fn pass(&mut self) {
        let mut end = self.input.packet.len();
        let (packet, room) = self.arena.split_at_mut(end);
        let Ok(mut cut) = Cut::new(&self.header, Layer::Tun, packet, self.sum) else { return };
        self.packets.clear();
        let mut used = 0;
        while let Ok(Some(Apart { headers, payload, payload_sum })) =
            cut.next_apart(packet, &mut room[used..])
        {
            used += headers;
            self.packets.push(Parts { first: end..end + headers, rest: payload, rest_sum: payload_sum });
            end += headers;
        }
    }

    /// Merges, and lists what would be written, packet by packet.
    fn coalesce(&mut self) {
        let mut batch = self.coalescer.merge(&mut self.arena, &self.packets, self.sum);
        while let Some(merged) = batch.next() {
            let mut pieces = Vec::with_capacity(merged.packets());
            pieces.extend(merged.pieces().map(IoSlice::new));
            black_box((merged.header(), pieces));
        }
    }

    fn split_way(mut self) -> Way<'static> {
        way(move || self.split())
    }

    fn coalesce_way(mut self) -> Way<'static> {
        self.copy();
        let headers = Input::new(self.arena.clone()).headers;
        way(move || {
            self.arena[..HEADERS].copy_from_slice(&headers);
            self.coalesce();
        })
    }

    fn both_way(mut self) -> Way<'static> {
        self.arena[..self.input.packet.len()].copy_from_slice(&self.input.packet);
        way(move || {
            self.pass();
            self.coalesce();
        })
    }
}

/// tun-rs, by the functions that its `recv_multiple` and `send_multiple` call: the segments are copied to
/// buffers, each with room for the virtio-net header, and merged in the first one.
struct TunRs {
    header: VirtioNetHdr,
    input: Input,
    buffers: Vec<Vec<u8>>,
    sizes: Vec<usize>,
    table: GROTable,
}

impl TunRs {
    fn new() -> Self {
        let (header, packet) = tcp::large(4000, 1, SEGMENTS);
        let (csum_start, csum_offset) = header.needs_checksum().unwrap_or_default();
        let header = VirtioNetHdr {
            flags: header.flags(),
            gso_type: header.gso_byte(),
            hdr_len: header.header_length(),
            gso_size: header.segment_size(),
            csum_start,
            csum_offset,
        };
        // One that grows to be a large packet does so once.
        let buffers = (0..SEGMENTS).map(|_| {
            let mut buffer = Vec::with_capacity(VIRTIO_NET_HDR_LEN + 65_535);
            buffer.resize(VIRTIO_NET_HDR_LEN + HEADERS + SIZE, 0);
            buffer
        });
        Self {
            header,
            input: Input::new(packet),
            buffers: buffers.collect(),
            sizes: vec![0; SEGMENTS],
            table: GROTable::new(),
        }
    }

    fn split(&mut self) {
        let (buffers, sizes) = (&mut self.buffers[..], &mut self.sizes[..]);
        let input = self.input.again();
        let count = tun_rs::gso_split(input, self.header, buffers, sizes, VIRTIO_NET_HDR_LEN, false);
        black_box((count.ok(), buffers));
    }

    fn coalesce(&mut self) {
        let merged = self.table.apply_gro(&mut self.buffers, VIRTIO_NET_HDR_LEN, true);
        black_box((merged.ok(), &self.buffers));
    }

    fn split_way(mut self) -> Way<'static> {
        way(move || self.split())
    }

    fn coalesce_way(mut self) -> Way<'static> {
        self.split();
        let first = self.buffers[0].clone();
        way(move || {
            self.buffers[0].truncate(first.len());
            self.buffers[0][..VIRTIO_NET_HDR_LEN + HEADERS]
                .copy_from_slice(&first[..VIRTIO_NET_HDR_LEN + HEADERS]);
            self.coalesce();
        })
    }

    fn both_way(mut self) -> Way<'static> {
        let length = self.buffers[0].len();
        way(move || {
            self.buffers[0].truncate(length);
            self.split();
            self.coalesce();
        })
    }
}

/// No number without a check: both cut into the same packets, and merge them into the same one.
fn agree() -> Result<(), String> {
    let mut passing = Ours::new();
    passing.arena[..passing.input.packet.len()].copy_from_slice(&passing.input.packet);
    agrees(passing, Ours::pass)?;
    agrees(Ours::new(), Ours::copy)
}

fn agrees(mut ours: Ours, cut: fn(&mut Ours)) -> Result<(), String> {
    let mut theirs = TunRs::new();
    cut(&mut ours);
    theirs.split();
    for (index, (Parts { first, rest, .. }, buffer)) in ours.packets.iter().zip(&theirs.buffers).enumerate() {
        if [&ours.arena[first.clone()], &ours.arena[rest.clone()]].concat() != buffer[VIRTIO_NET_HDR_LEN..] {
            return Err(format!("segment {index} differs from that of tun-rs"));
        }
    }
    theirs.coalesce();
    let mut batch = ours.coalescer.merge(&mut ours.arena, &ours.packets, ours.sum);
    let merged = batch.next().map(|merged| (merged.packets(), merged.pieces().collect::<Vec<_>>().concat()));
    let Some((SEGMENTS, bytes)) = merged else { return Err("not all segments were merged".into()) };
    if bytes != theirs.buffers[0][VIRTIO_NET_HDR_LEN..] {
        return Err("the merged packet differs from that of tun-rs".into());
    }
    Ok(())
}
