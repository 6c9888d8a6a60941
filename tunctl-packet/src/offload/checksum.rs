//! Sums for the Internet checksum (RFC 1071), for many bytes.

use core::net::IpAddr;

/// A function that adds up bytes as [`sum`] does: that one, or one for the processor at hand.
pub type Sum = fn(&[u8]) -> u64;

/// The bytes of a word that is added.
const WORD: usize = 8;

/// What the loop over vectors is given is a multiple of this, in bytes: four of AVX2's vectors, which a
/// compiler adds at once. Otherwise, it adds two more loops for what is left.
const BLOCK: usize = 128;

/// The sum of the 16-bit words of bytes in the machine's own byte order, in any number of carries. A zero
/// follows an odd last byte.
///
/// The order does not matter to ones-complement addition: [`checksum`] gives the bytes of the checksum as
/// they stand in memory (RFC 1071, section 2 B). Sums of parts may be added if each part but the last has an
/// even length.
///
/// It is always compiled into its caller, so that a caller that is compiled for a newer processor gets a loop
/// for that processor.
#[inline(always)]
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    if bytes.len() < BLOCK {
        return sum_of_few(bytes);
    }
    let (blocks, rest) = bytes.split_at(bytes.len() / BLOCK * BLOCK);
    // The sum of whole words, modulo 2^64, and that of their upper halves give that of their lower halves,
    // with one operation less than it takes to part each word.
    let (mut all, mut upper) = (0_u64, 0_u64);
    for word in blocks.chunks_exact(WORD) {
        let word = word.first_chunk::<WORD>().map_or(0, |word| u64::from_ne_bytes(*word));
        all = all.wrapping_add(word);
        upper += word >> 32;
    }
    let lower = all.wrapping_sub(upper << 32);
    upper + lower + sum_of_few(rest)
}

/// The same for few bytes, such as headers.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the half that is cut off is added")]
pub(super) fn sum_of_few(bytes: &[u8]) -> u64 {
    let (mut sum, mut rest) = (0_u128, bytes);
    while let Some((words, behind)) = rest.split_first_chunk::<{ 4 * WORD }>() {
        sum += of_words(words);
        rest = behind;
    }
    // At most three words are left. A compiler would unroll a loop over them.
    if let Some((words, behind)) = rest.split_first_chunk::<{ 2 * WORD }>() {
        sum += of_words(words);
        rest = behind;
    }
    if let Some((words, behind)) = rest.split_first_chunk::<WORD>() {
        sum += of_words(words);
        rest = behind;
    }
    if let Some((word, behind)) = rest.split_first_chunk() {
        sum += u128::from(u32::from_ne_bytes(*word));
        rest = behind;
    }
    if let Some((word, behind)) = rest.split_first_chunk() {
        sum += u128::from(u16::from_ne_bytes(*word));
        rest = behind;
    }
    if let [last] = rest {
        sum += u128::from(u16::from_ne_bytes([*last, 0]));
    }
    let [lower, upper] = [sum as u64, (sum >> 64) as u64];
    (lower & 0xffff_ffff) + (lower >> 32) + upper
}

#[inline(always)]
fn of_words<const N: usize>(bytes: &[u8; N]) -> u128 {
    let words = bytes.chunks_exact(WORD).filter_map(<[u8]>::first_chunk::<WORD>);
    words.map(|word| u128::from(u64::from_ne_bytes(*word))).sum()
}

/// The checksum of what was added up, as it stands in a header.
#[inline]
#[must_use]
pub fn checksum(sum: u64) -> [u8; 2] {
    (!fold(sum)).to_ne_bytes()
}

/// A sum in 16 bits, with all carries added.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the half that is cut off is added")]
pub(super) fn fold(sum: u64) -> u16 {
    let (sum, carry) = ((sum >> 32) as u32).overflowing_add(sum as u32);
    let sum = sum + u32::from(carry);
    let (sum, carry) = ((sum >> 16) as u16).overflowing_add(sum as u16);
    sum + u16::from(carry)
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
