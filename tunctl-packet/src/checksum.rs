//! The Internet checksum (RFC 1071), and its incremental update (RFC 1624).

use core::net::IpAddr;

use etherparse::IpNumber;
use etherparse::checksum::Sum16BitWords;

use crate::ip::V4_LENGTH;

/// The checksum of `bytes` as a header contains it; 0 if `bytes` include their right checksum.
pub(crate) fn of(bytes: &[u8]) -> [u8; 2] {
    // Etherparse sums words in the byte order of memory, so its sum is in that order, too.
    Sum16BitWords::new().add_slice(bytes).ones_complement().to_ne_bytes()
}

/// Whether the checksum among `bytes` is right.
pub(crate) fn is_right(bytes: &[u8]) -> bool {
    of(bytes) == [0, 0]
}

/// Writes the checksum of an IPv4 header into the header.
pub(crate) fn fill_in_v4(header: &mut [u8]) {
    set_in_v4(header, [0, 0]);
    let sum = of(header);
    set_in_v4(header, sum);
}

fn set_in_v4(header: &mut [u8], sum: [u8; 2]) {
    if let Some([.., c0, c1, _, _, _, _, _, _, _, _]) = header.first_chunk_mut::<V4_LENGTH>() {
        [*c0, *c1] = sum;
    }
}

/// The checksum of a transport whose checksum also covers the addresses; 0 if `bytes` include their right
/// checksum.
pub(crate) fn of_with_pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    number: IpNumber,
    bytes: &[u8],
) -> [u8; 2] {
    // A transport is shorter than 2^16 bytes, except in a jumbogram, which no caller passes here.
    let length = u32::try_from(bytes.len()).unwrap_or_default();
    let mut sum = Sum16BitWords::new();
    for address in [source, destination] {
        sum = match address {
            IpAddr::V4(address) => sum.add_4bytes(address.octets()),
            IpAddr::V6(address) => sum.add_16bytes(address.octets()),
        };
    }
    sum.add_4bytes(length.to_be_bytes())
        .add_2bytes([0, number.0])
        .add_slice(bytes)
        .ones_complement()
        .to_ne_bytes()
}

/// Whether the checksum among `bytes` is right, for a transport whose checksum also covers the addresses.
pub(crate) fn is_right_with_pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    number: IpNumber,
    bytes: &[u8],
) -> bool {
    of_with_pseudo_header(source, destination, number, bytes) == [0, 0]
}

/// The checksum after one of the words that it covers has changed from `old` to `new` (RFC 1624, equation 3).
///
/// The result is wrong in one case: if all covered data has become zero, the checksum must be 0xffff, and
/// this returns 0. A caller whose data can be all zero has to check for that.
pub(crate) fn updated(checksum: [u8; 2], old: [u8; 2], new: [u8; 2]) -> [u8; 2] {
    let [checksum, old, new] = [checksum, old, new].map(u16::from_be_bytes);
    (!add(add(!checksum, !old), new)).to_be_bytes()
}

/// Ones-complement addition, which adds the carry to the lowest bit.
fn add(a: u16, b: u16) -> u16 {
    let (sum, carry) = a.overflowing_add(b);
    // After a carry, the sum is at most 0xfffe.
    sum + u16::from(carry)
}

#[cfg(test)]
mod tests {
    use super::{is_right, of, updated};

    #[test]
    fn sums_the_header_of_the_textbook() {
        // https://en.wikipedia.org/wiki/Internet_checksum
        let mut header = *b"\x45\0\0\x73\0\0\x40\0\x40\x11\0\0\xc0\xa8\0\x01\xc0\xa8\0\xc7";
        assert_eq!(of(&header), [0xb8, 0x61]);
        header[10..12].copy_from_slice(&[0xb8, 0x61]);
        assert!(is_right(&header));
    }

    #[test]
    fn an_odd_last_byte_is_the_high_half_of_a_word() {
        assert_eq!(of(&[0x12]), (!0x1200_u16).to_be_bytes());
    }

    #[test]
    fn updates_as_in_rfc_1624() {
        // Section 4: checksum 0xDD2F, the word 0x5555 becomes 0x3285.
        assert_eq!(updated([0xdd, 0x2f], [0x55, 0x55], [0x32, 0x85]), [0x00, 0x00]);
    }
}
