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
    /// The run that is there, if it is one of a flow with this hash.
    pub(super) run: Option<u32>,
    /// The run that is there, whichever flow it is of.
    pub(super) loser: Option<u32>,
}

impl Flows {
    pub(super) fn new(key: u64) -> Self {
        Self { slots: vec![Slot::default(); SLOTS].into_boxed_slice(), batch: 0, key: spread(key) }
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

    /// The place of a flow: where it is, or where it will be. Seldom, it is that of another flow with the
    /// same hash.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64) -> Place {
        let [high, low] =
            [hash >> 32, hash & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or_default());
        let first = low as usize % SLOTS;
        let mut place = Place { slot: first, hash: high, run: None, loser: None };
        for probe in 0..PROBES {
            place.slot = (first + probe) % SLOTS;
            match self.slots.get(place.slot) {
                Some(slot) if slot.batch != self.batch => return place,
                Some(slot) if slot.hash == high => {
                    return Place { run: Some(slot.run), loser: Some(slot.run), ..place };
                }
                _ => {}
            }
        }
        // Another flow makes room: that of the first place, whichever it is.
        let loser = self.slots.get(first).map(|slot| slot.run);
        Place { slot: first, loser, ..place }
    }

    pub(super) fn set(&mut self, place: Place, run: u32) {
        if let Some(slot) = self.slots.get_mut(place.slot) {
            *slot = Slot { batch: self.batch, hash: place.hash, run };
        }
    }
}

/// Spreads the bits of a key over all others (the last step of Murmur's third hash).
const fn spread(key: u64) -> u64 {
    let key = (key ^ (key >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let key = (key ^ (key >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    key ^ (key >> 33)
}
