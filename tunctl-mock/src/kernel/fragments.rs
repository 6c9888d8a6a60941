//! Frames that a tap with NAPI takes as fragments, piece by piece (`tun_napi_alloc_frags`, Linux 6.18 on
//! x86-64).

use std::io::IoSlice;

/// The longest frame: `ETH_MAX_MTU`, less the room in front of it (`NET_SKB_PAD`).
const LONGEST: usize = 65_535 - 64;
/// The first piece, and `MAX_SKB_FRAGS`.
const MOST_PIECES: usize = 1 + 17;
/// The longest piece behind the first one (`PAGE_SIZE`).
const PAGE: usize = 4096;

/// Why a frame cannot be put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It has too many bytes or pieces (`EMSGSIZE`).
    TooLong,
    /// A piece behind the first one is empty, or longer than a page (`EINVAL`).
    OddPiece,
}

/// Whether a frame in pieces, with that many bytes of headers in front, can be put together. The virtio-net
/// header is the last of these.
pub(super) fn check(pieces: &[IoSlice<'_>], headers: usize, has_vnet_header: bool) -> Result<(), Unfit> {
    // A call with one buffer has one piece, whatever is left of it.
    let mut rest = pieces;
    let mut left = headers;
    while let Some((first, others)) = rest.split_first().filter(|_| left > 0) {
        if left < first.len() {
            break;
        }
        left -= first.len();
        rest = others;
    }
    // To pass over what follows the virtio-net header, if only by no bytes, passes over empty pieces, too
    // (`iov_iter_advance`).
    while let Some((_, others)) = rest.split_first().filter(|(first, _)| has_vnet_header && first.is_empty())
    {
        rest = others;
    }
    let length = pieces.iter().map(|piece| piece.len()).sum::<usize>() - headers;
    if rest.len() > MOST_PIECES || length > LONGEST {
        return Err(Unfit::TooLong);
    }
    let is_odd = |piece: &IoSlice<'_>| !(1..=PAGE).contains(&piece.len());
    if rest.iter().skip(1).any(is_odd) { Err(Unfit::OddPiece) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(lengths: &[usize], headers: usize, has_vnet_header: bool) -> Result<(), Unfit> {
        let bytes = vec![0; 1 << 17];
        let pieces: Vec<_> = lengths.iter().map(|&length| IoSlice::new(&bytes[..length])).collect();
        check(&pieces, headers, has_vnet_header)
    }

    #[test]
    fn a_frame_has_few_pieces_of_which_none_is_empty() {
        assert_eq!(verdict(&[65_471], 0, false), Ok(()));
        assert_eq!(verdict(&[65_472], 0, false), Err(Unfit::TooLong));
        assert_eq!(verdict(&[65_481], 10, true), Ok(()));
        assert_eq!(verdict(&[1; 18], 0, false), Ok(()));
        assert_eq!(verdict(&[1; 19], 0, false), Err(Unfit::TooLong));
        assert_eq!(verdict(&[9000, 4096], 0, false), Ok(()));
        assert_eq!(verdict(&[14, 4097], 0, false), Err(Unfit::OddPiece));
        assert_eq!(verdict(&[14, 0, 20], 0, false), Err(Unfit::OddPiece));
        assert_eq!(verdict(&[0, 60], 0, false), Ok(()));
    }

    #[test]
    fn the_headers_are_taken_off_first() {
        assert_eq!(verdict(&[1; 22], 4, false), Ok(()));
        assert_eq!(verdict(&[4, 0, 60], 4, false), Ok(()));
        assert_eq!(verdict(&[4, 0, 0, 60], 4, false), Err(Unfit::OddPiece));
        assert_eq!(verdict(&[10, 0, 0, 60], 10, true), Ok(()));
        assert_eq!(verdict(&[5, 0, 5, 60], 10, true), Ok(()));
    }
}
