//! Packets that are merged, of many flows that take turns.

#![allow(clippy::cast_possible_truncation, reason = "ports, lengths and sequence numbers are small here")]

use std::collections::HashMap;
use std::hint::black_box;
use std::io::IoSlice;
use std::time::Duration;

use tunctl_packet::Layer;
use tunctl_packet::offload::{Coalescer, Parts, Sum};

use super::checksum::sum;
use super::tcp::{self, HEADERS, SIZE};
use crate::compare::{Way, compare, way};
use crate::results::{Goal, Row};

const BATCH: usize = 1024;
const DEPTHS: [usize; 5] = [1, 4, 16, 64, 1024];
/// As many as fit into one packet.
const LONGEST_RUN: usize = 45;
/// With more flows than that, no packets' headers stay in the nearest cache: without a goal.
const DEEPEST: usize = 64;

pub(super) fn run(time: Duration) -> Result<Vec<Row>, String> {
    let batches = DEPTHS.map(Batch::new).into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::new();
    let mut all_in_order = 0;
    for (depth, batch) in DEPTHS.iter().zip(&batches) {
        let (written, in_order) = batch.clone().merge()?;
        let best = batch.best();
        let saved = ((BATCH - written) as f64, (BATCH - best) as f64);
        let case = format!("{depth} flows, writes saved");
        rows.push(Row::numbers(case, "packets", saved, "the best possible", Goal::AtLeast(0.95)));
        all_in_order += in_order;
    }
    let in_order = (all_in_order as f64, (DEPTHS.len() * BATCH) as f64);
    rows.push(Row::numbers("in order".to_owned(), "packets", in_order, "all", Goal::AtLeast(1.0)));
    let mut ways: Vec<_> = batches.into_iter().map(Batch::way).collect();
    let per_packet = |samples: Vec<f64>| samples.into_iter().map(|sample| sample / BATCH as f64).collect();
    let costs: Vec<Vec<f64>> = compare(time, &mut ways).into_iter().map(per_packet).collect();
    for (depth, own) in DEPTHS.iter().zip(&costs).skip(1) {
        let goal = (*depth <= DEEPEST).then_some(Goal::AtMost(1.3));
        rows.push(Row::costs(format!("{depth} flows, cost of a packet"), (own, &costs[0]), "one flow", goal));
    }
    Ok(rows)
}

/// Packets of flows that take turns.
#[derive(Clone)]
struct Batch {
    sum: Sum,
    arena: Vec<u8>,
    packets: Vec<Parts>,
    ports: Vec<u16>,
}

impl Batch {
    fn new(depth: usize) -> Result<Self, String> {
        let mut batch = Self { sum: sum(), arena: Vec::new(), packets: Vec::new(), ports: Vec::new() };
        let flows = (0..depth).map(|flow| flow_of(flow, BATCH / depth)).collect::<Result<Vec<_>, _>>()?;
        for turn in 0..BATCH / depth {
            for (flow, packets) in flows.iter().enumerate() {
                let start = batch.arena.len();
                batch.arena.extend(&packets[turn]);
                batch.packets.push((start..batch.arena.len()).into());
                batch.ports.push(port(flow));
            }
        }
        Ok(batch)
    }

    /// How many packets would be written, if each flow were always found.
    fn best(&self) -> usize {
        let mut flows: HashMap<u16, usize> = HashMap::new();
        for port in &self.ports {
            *flows.entry(*port).or_default() += 1;
        }
        flows.values().map(|packets| packets.div_ceil(LONGEST_RUN)).sum()
    }

    /// How many packets are written, and how many of the batch's come in the order of their flow.
    fn merge(mut self) -> Result<(usize, usize), String> {
        let mut coalescer = Coalescer::new(Layer::Tun, fastrand::u64(..));
        let mut batch = coalescer.merge(&mut self.arena, &self.packets, self.sum);
        let mut next: HashMap<[u8; 2], u32> = HashMap::new();
        let (mut written, mut packets, mut in_order) = (0, 0, 0);
        while let Some(merged) = batch.next() {
            let bytes = merged.pieces().collect::<Vec<_>>().concat();
            let sequence = u32::from_be_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]);
            let expected = next.entry([bytes[20], bytes[21]]).or_default();
            if *expected == sequence {
                in_order += merged.packets();
            }
            *expected = sequence + (bytes.len() - HEADERS) as u32;
            written += 1;
            packets += merged.packets();
        }
        if packets == BATCH { Ok((written, in_order)) } else { Err(format!("{packets} packets came out")) }
    }

    fn way(mut self) -> Way<'static> {
        let mut coalescer = Coalescer::new(Layer::Tun, fastrand::u64(..));
        // Merging changes the headers of the first packet of each run.
        let mut changed = Vec::new();
        let original = self.arena.clone();
        let mut batch = coalescer.merge(&mut self.arena, &self.packets, self.sum);
        while batch.next().is_some() {}
        for Parts { first, .. } in &self.packets {
            let headers = first.start..first.start + HEADERS;
            if original[headers.clone()] != self.arena[headers.clone()] {
                changed.push((first.start, original[headers].to_vec()));
            }
        }
        way(move || {
            for (start, headers) in &changed {
                self.arena[*start..start + HEADERS].copy_from_slice(headers);
            }
            let mut batch = coalescer.merge(&mut self.arena, &self.packets, self.sum);
            while let Some(merged) = batch.next() {
                let mut pieces = Vec::with_capacity(merged.packets());
                pieces.extend(merged.pieces().map(IoSlice::new));
                black_box((merged.header(), pieces));
            }
        })
    }
}

fn port(flow: usize) -> u16 {
    1024 + flow as u16
}

/// So many packets of a flow.
fn flow_of(flow: usize, count: usize) -> Result<Vec<Vec<u8>>, String> {
    let mut packets = Vec::new();
    while packets.len() < count {
        let more = LONGEST_RUN.min(count - packets.len());
        let sequence = (packets.len() * SIZE) as u32;
        packets.extend(tcp::segments(port(flow), sequence, more)?);
    }
    Ok(packets)
}
