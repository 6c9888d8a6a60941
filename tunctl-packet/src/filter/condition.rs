//! The tree of an expression: loads from a packet, compared, and joined by and, or, not.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use crate::bpf::{Comparison, Size, load};

/// What must be true of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Condition {
    Always,
    Never,
    Test(Test),
    Not(Box<Condition>),
    /// At least one, in order.
    All(Vec<Condition>),
    /// At least one, in order.
    Any(Vec<Condition>),
}

/// A comparison of a number in the packet with a constant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Test {
    pub(super) source: Source,
    /// The bits that are compared.
    pub(super) mask: u32,
    pub(super) comparison: Comparison,
    pub(super) value: u32,
}

/// Where the number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// The length of the packet.
    Length,
    /// At a fixed offset.
    Packet { offset: u32, size: Size },
    /// Two bytes, so far behind an IPv4 header that may have options and begins at `header`.
    BehindIpv4 { header: u32, offset: u32 },
}

impl Condition {
    /// A number in the packet is this one.
    pub(super) const fn equal(offset: u32, size: Size, value: u32) -> Condition {
        let source = Source::Packet { offset, size };
        Condition::Test(Test { source, mask: u32::MAX, comparison: Comparison::Equal, value })
    }

    /// Some bits of a number in the packet are these. Without bits, nothing is loaded.
    pub(super) const fn masked(offset: u32, size: Size, mask: u32, value: u32) -> Condition {
        if mask == 0 {
            return Condition::Always;
        }
        let source = Source::Packet { offset, size };
        Condition::Test(Test { source, mask, comparison: Comparison::Equal, value })
    }

    /// A number compares so with a constant.
    pub(super) const fn compared(source: Source, comparison: Comparison, value: u32) -> Condition {
        Condition::Test(Test { source, mask: u32::MAX, comparison, value })
    }

    pub(super) fn not(self) -> Condition {
        match self {
            Condition::Always => Condition::Never,
            Condition::Never => Condition::Always,
            Condition::Not(inner) => *inner,
            other => Condition::Not(Box::new(other)),
        }
    }

    /// Both. A condition is left out only if its loads are never made: they would drop a packet that ends
    /// too early.
    pub(super) fn and(self, other: Condition) -> Condition {
        match (self, other) {
            (Condition::Never, _) => Condition::Never,
            (Condition::Always, other) | (other, Condition::Always) => other,
            (Condition::All(mut all), other) => {
                all.push(other);
                Condition::All(all)
            }
            (one, other) => Condition::All(vec![one, other]),
        }
    }

    /// One of both, or both.
    pub(super) fn or(self, other: Condition) -> Condition {
        match (self, other) {
            (Condition::Always, _) => Condition::Always,
            (Condition::Never, other) | (other, Condition::Never) => other,
            (Condition::Any(mut any), other) => {
                any.push(other);
                Condition::Any(any)
            }
            (one, other) => Condition::Any(vec![one, other]),
        }
    }

    /// What it is for every packet that is long enough, as far as that is evident.
    pub(super) fn constant(&self) -> Option<bool> {
        let joined = |parts: &[Condition], decisive: bool| {
            let mut joined = Some(!decisive);
            // A second pass over the parts would double the time with each level of the tree.
            for part in parts {
                match part.constant() {
                    None => joined = None,
                    Some(constant) if constant == decisive => return Some(decisive),
                    Some(_) => {}
                }
            }
            joined
        };
        match self {
            Condition::Always => Some(true),
            Condition::Never => Some(false),
            Condition::Test(_) => None,
            Condition::Not(inner) => inner.constant().map(|constant| !constant),
            Condition::All(all) => joined(all, false),
            Condition::Any(any) => joined(any, true),
        }
    }

    /// Whether it is true of a packet; `None` if the packet ends before that is decided.
    pub(super) fn holds(&self, packet: &[u8]) -> Option<bool> {
        Some(match self {
            Condition::Always => true,
            Condition::Never => false,
            Condition::Test(test) => test.holds(packet)?,
            Condition::Not(inner) => !inner.holds(packet)?,
            Condition::All(all) => {
                for one in all {
                    if !one.holds(packet)? {
                        return Some(false);
                    }
                }
                true
            }
            Condition::Any(any) => {
                for one in any {
                    if one.holds(packet)? {
                        return Some(true);
                    }
                }
                false
            }
        })
    }
}

impl Test {
    fn holds(&self, packet: &[u8]) -> Option<bool> {
        let number = match self.source {
            Source::Length => u32::try_from(packet.len()).unwrap_or(u32::MAX),
            Source::Packet { offset, size } => load(packet, offset, size)?,
            Source::BehindIpv4 { header, offset } => {
                let length = (load(packet, header, Size::Byte)? & 0x0f) * 4;
                load(packet, header + length + offset, Size::Half)?
            }
        };
        Some(self.comparison.holds(number & self.mask, self.value))
    }
}
