//! Sums for the Internet checksum (RFC 1071), for many bytes.

use core::net::IpAddr;

/// A function that adds up bytes as [`sum`] does: that one, or one for the processor at hand.
pub type Sum = fn(&[u8]) -> u64;

/// The bytes that are added at once. Half as many leave a processor with AVX2 waiting for its own sums.
const BLOCK: usize = 64;
const WORD: usize = 4;
const LANES: usize = BLOCK / WORD;

/// The sum of the 16-bit words of bytes in the machine's own byte order, in any number of carries. A zero
/// follows an odd last byte.
///
/// The order does not matter to ones-complement addition: [`checksum`] gives the bytes of the checksum as
/// they stand in memory (RFC 1071, section 2 B). Sums of parts may be added if each part but the last has an
/// even length.
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    let mut lanes = [0_u64; LANES];
    let mut blocks = bytes.chunks_exact(BLOCK);
    for block in &mut blocks {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(WORD)) {
            if let Some(word) = word.first_chunk::<WORD>() {
                *lane += u64::from(u32::from_ne_bytes(*word));
            }
        }
    }
    lanes.iter().sum::<u64>() + sum_of_few(blocks.remainder())
}

/// The same for less than a block, for which the lanes would cost more than they bring.
fn sum_of_few(bytes: &[u8]) -> u64 {
    let mut sum = 0;
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        if let Some(word) = word.first_chunk::<8>() {
            let word = u64::from_ne_bytes(*word);
            sum += (word >> 32) + (word & 0xffff_ffff);
        }
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(words.remainder()) {
        *to = *from;
    }
    let last = u64::from_ne_bytes(last);
    sum + (last >> 32) + (last & 0xffff_ffff)
}

/// The checksum of what was added up, as it stands in a header.
#[must_use]
pub fn checksum(sum: u64) -> [u8; 2] {
    (!fold(sum)).to_ne_bytes()
}

/// A sum in 16 bits, with all carries added.
pub(super) fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    #[allow(clippy::cast_possible_truncation, reason = "two carries at most were left, and both are added")]
    let folded = sum as u16;
    folded
}

/// The sum of what the checksum of a transport covers beside the transport's own bytes, without the length.
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8) -> u64 {
    let of = |address| match address {
        IpAddr::V4(address) => sum_of_few(&address.octets()),
        IpAddr::V6(address) => sum_of_few(&address.octets()),
    };
    of(source) + of(destination) + sum_of_few(&[0, protocol])
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{checksum, fold, sum};

    #[test]
    fn a_sum_is_etherparses_for_every_length_and_place() {
        let bytes: Vec<u8> = (0..700_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
        for start in [0, 1, 2, 3, 7] {
            for end in start..bytes.len() {
                let part = &bytes[start..end];
                assert_eq!(checksum(sum(part)), crate::checksum::of(part), "{start}..{end}");
            }
        }
    }

    #[test]
    fn carries_are_all_added() {
        assert_eq!(checksum(sum(&[0xff; 65_535])), [0x00, 0xff]);
        assert_eq!(checksum(sum(&[0xff; 65_534])), [0, 0]);
        assert_eq!(checksum(sum(&[])), [0xff, 0xff]);
        for wide in [0, 1, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000, u64::MAX, u64::MAX - 0xffff] {
            let narrow = (wide % 0xffff) as u16;
            assert_eq!(fold(wide) % 0xffff, narrow, "{wide:#x}");
            assert_eq!(fold(wide) == 0, wide == 0, "{wide:#x}");
        }
    }
}
