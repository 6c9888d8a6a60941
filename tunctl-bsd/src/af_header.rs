//! The AF header, the address family before each packet of a tun, as a buffer of its own.
//!
//! It goes into a vectored call beside the caller's buffers, so packets are not copied.

use std::array;
use std::io::{IoSlice, IoSliceMut};

use tunctl_packet::header::AddressFamily;

/// The length of the AF header, in bytes.
pub(crate) const AF_HEADER_LENGTH: usize = AddressFamily::LENGTH;

/// Lists of up to this many buffers are built on the stack.
const ON_STACK: usize = 16;

/// Calls `work` with an AF header buffer followed by `buffers`.
pub(crate) fn with_af_header_mut<T>(
    buffers: &mut [IoSliceMut<'_>],
    work: impl FnOnce(&mut [IoSliceMut<'_>]) -> T,
) -> T {
    let mut header = [0; AF_HEADER_LENGTH];
    let count = buffers.len() + 1;
    let mut rest = buffers.iter_mut().map(|buffer| IoSliceMut::new(buffer));
    if count <= ON_STACK {
        let mut first = Some(IoSliceMut::new(&mut header));
        let mut all: [IoSliceMut<'_>; ON_STACK] = array::from_fn(|_| {
            first.take().or_else(|| rest.next()).unwrap_or_else(|| IoSliceMut::new(&mut []))
        });
        work(&mut all[..count])
    } else {
        let mut all: Vec<_> = std::iter::once(IoSliceMut::new(&mut header)).chain(rest).collect();
        work(&mut all)
    }
}

/// Calls `work` with `header` followed by `pieces`.
pub(crate) fn with_af_header<T>(
    header: &[u8; AF_HEADER_LENGTH],
    pieces: &[IoSlice<'_>],
    work: impl FnOnce(&[IoSlice<'_>]) -> T,
) -> T {
    let count = pieces.len() + 1;
    if count <= ON_STACK {
        let mut all = [IoSlice::new(&[]); ON_STACK];
        all[0] = IoSlice::new(header);
        for (slot, piece) in all[1..].iter_mut().zip(pieces) {
            *slot = IoSlice::new(piece);
        }
        work(&all[..count])
    } else {
        let all: Vec<_> = std::iter::once(IoSlice::new(header))
            .chain(pieces.iter().map(|piece| IoSlice::new(piece)))
            .collect();
        work(&all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_comes_first_however_many_there_are() {
        for count in [0, 1, 14, 15, 16, 40] {
            let bytes: Vec<u8> = (0..count).collect();
            let pieces: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
            let seen = with_af_header(&[9, 9, 9, 9], &pieces, |all| {
                all.iter().flat_map(|piece| piece.to_vec()).collect::<Vec<_>>()
            });
            assert_eq!(seen, [&[9, 9, 9, 9][..], &bytes].concat());

            let mut filled = vec![0; count.into()];
            let mut buffers: Vec<_> = filled.chunks_mut(1).map(IoSliceMut::new).collect();
            let lengths = with_af_header_mut(&mut buffers, |all| {
                all.iter_mut().skip(1).zip(1..).for_each(|(buffer, number)| buffer[0] = number);
                all.iter().map(|buffer| buffer.len()).collect::<Vec<_>>()
            });
            assert_eq!(lengths, [&[AF_HEADER_LENGTH][..], &vec![1; count.into()]].concat());
            assert_eq!(filled, (1..=count).collect::<Vec<u8>>());
        }
    }
}
