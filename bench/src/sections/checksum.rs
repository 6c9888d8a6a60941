//! The Internet checksum of short and long inputs.

use std::hint::black_box;
use std::time::Duration;

use tunctl_packet::offload;
use tunctl_sys::checksum::{Sum, fastest};

use crate::compare::{compare, way};
use crate::results::{Goal, Row};

/// Ours, for the processor at hand.
struct Internet;

impl Sum for Internet {
    #[inline(always)]
    fn sum(bytes: &[u8]) -> u64 {
        offload::sum(bytes)
    }
}

/// A loop that adds whole words: about as fast as bytes can be read, and so as any sum can be.
struct Read;

impl Sum for Read {
    #[inline(always)]
    fn sum(bytes: &[u8]) -> u64 {
        let words = bytes.chunks_exact(8).filter_map(<[u8]>::first_chunk);
        words.fold(0, |sum: u64, word| sum.wrapping_add(u64::from_ne_bytes(*word)))
    }
}

pub(super) fn sum() -> offload::Sum {
    fastest::<Internet>()
}

/// Sizes, and how many times the throughput of tun-rs is the goal.
const CASES: [(usize, f64); 3] = [(1448, 1.6), (65_536, 2.4), (40, 1.4)];

pub(super) fn run(time: Duration) -> Result<Vec<Row>, String> {
    let (sum, read) = (sum(), fastest::<Read>());
    let bytes: Vec<u8> = (0..65_536_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let mut rows = Vec::new();
    for (size, goal) in CASES {
        let bytes = &bytes[..size];
        let [ours, theirs] = [offload::checksum(sum(bytes)), (!tun_rs::checksum(bytes, 0)).to_be_bytes()];
        if ours != theirs {
            return Err(format!("the checksum of {size} bytes is {ours:?}, and {theirs:?} by tun-rs"));
        }
        let mut ways = [
            way(|| offload::checksum(sum(black_box(bytes)))),
            way(|| !tun_rs::checksum(black_box(bytes), 0)),
            way(|| read(black_box(bytes))),
        ];
        let samples = compare(time / 3, &mut ways);
        let [ours, theirs, read] = [0, 1, 2].map(|way| &samples[way][..]);
        let goal = Some(Goal::AtLeast(goal));
        rows.push(Row::rates(format!("{size} bytes"), size, (ours, theirs), "tun-rs", goal));
        rows.push(Row::rates(format!("{size} bytes, only read"), size, (read, theirs), "tun-rs", None));
    }
    Ok(rows)
}
