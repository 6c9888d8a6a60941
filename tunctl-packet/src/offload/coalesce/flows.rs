//! Which run the last packet of a flow is in.

use alloc::boxed::Box;
use alloc::vec;

/// A power of two: more flows than a batch usually has, in 24 KiB.
const SLOTS: usize = 2048;
/// How many places a flow may be at.
const PROBES: usize = 16;

/// A table that never grows: if a flow finds no free place, it takes that of another.
#[derive(Debug)]
pub(super) struct Flows {
    slots: Box<[Slot]>,
    batch: u32,
    key: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The batch that the others are of.
    batch: u32,
    hash: u32,
    run: u32,
}

/// A place in the table, and the hash of the flow for which it was found.
#[derive(Clone, Copy)]
pub(super) struct Place {
    slot: usize,
    hash: u32,
    is_known: bool,
}

impl Flows {
    pub(super) fn new(key: u64) -> Self {
        Self { slots: vec![Slot::default(); SLOTS].into_boxed_slice(), batch: 0, key }
    }

    pub(super) const fn key(&self) -> u64 {
        self.key
    }

    /// Forgets all flows.
    pub(super) fn begin(&mut self) {
        self.batch = self.batch.wrapping_add(1);
        if self.batch == 0 {
            self.slots.fill(Slot::default());
            self.batch = 1;
        }
    }

    /// The place of a flow: where it is, or where it will be.
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Place {
        let [high, low] =
            [hash >> 32, hash & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or_default());
        let first = low as usize % SLOTS;
        for probe in 0..PROBES {
            let place = (first + probe) % SLOTS;
            match self.slots.get(place) {
                Some(slot) if slot.batch == self.batch => {
                    if slot.hash == high && is_it(slot.run) {
                        return Place { slot: place, hash: high, is_known: true };
                    }
                }
                _ => return Place { slot: place, hash: high, is_known: false },
            }
        }
        // Another flow makes room: that of the first place, whichever it is.
        Place { slot: first, hash: high, is_known: false }
    }

    /// The run of a flow that was found.
    pub(super) fn get(&self, place: Place) -> Option<u32> {
        if place.is_known { self.slots.get(place.slot).map(|slot| slot.run) } else { None }
    }

    pub(super) fn set(&mut self, place: Place, run: u32) {
        if let Some(slot) = self.slots.get_mut(place.slot) {
            *slot = Slot { batch: self.batch, hash: place.hash, run };
        }
    }
}
