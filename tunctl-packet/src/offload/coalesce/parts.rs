//! Where a packet is that may be merged.

use core::ops::Range;

use crate::offload::Sum;
use crate::offload::checksum::{fold, sum_of_few};

/// Where a packet is: in one piece, or in two. A part that is not in the arena counts as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The packet, or its beginning: all headers at least.
    pub first: Range<usize>,
    /// What follows; empty for a packet in one piece.
    pub rest: Range<usize>,
    /// The [`sum`](crate::offload::sum) of what follows, if that is known, as when the packet was
    /// [cut](crate::offload::Cut::next_apart). It is believed.
    pub rest_sum: Option<u64>,
}

impl From<Range<usize>> for Parts {
    fn from(first: Range<usize>) -> Self {
        Self { first, ..Self::default() }
    }
}

impl Parts {
    /// Its bytes.
    #[inline(always)]
    pub(super) fn of<'a>(&self, arena: &'a [u8]) -> Bytes<'a> {
        let part = |range: &Range<usize>| arena.get(range.clone()).unwrap_or_default();
        let first = part(&self.first);
        if self.rest.is_empty() {
            return Bytes { first, rest: &[], rest_sum: None };
        }
        Bytes { first, rest: part(&self.rest), rest_sum: self.rest_sum }
    }
}

/// The bytes of a packet, in one piece or two.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    pub(super) first: &'a [u8],
    pub(super) rest: &'a [u8],
    rest_sum: Option<u64>,
}

impl Bytes<'_> {
    /// The same, if it is in one piece.
    #[inline(always)]
    pub(super) const fn whole(self) -> Option<Self> {
        if self.rest.is_empty() { Some(Self { first: self.first, rest: &[], rest_sum: None }) } else { None }
    }

    #[inline(always)]
    pub(super) const fn len(self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// The sum of all from there on, which is in the first piece.
    #[inline(always)]
    pub(super) fn sum_from(self, start: usize, sum: Sum) -> u64 {
        let first = self.first.get(start..).unwrap_or_default();
        if self.rest.is_empty() {
            return sum(first);
        }
        let rest = fold(self.rest_sum.unwrap_or_else(|| sum(self.rest)));
        // The bytes behind an odd one are the other halves of their words (RFC 1071, section 2 B).
        let rest = if first.len() % 2 == 0 { rest } else { rest.swap_bytes() };
        // They are headers.
        sum_of_few(first) + u64::from(rest)
    }
}
