//! Impaired wires: they lose, duplicate, delay and damage packets, reproducibly.

use std::ops::RangeInclusive;
use std::time::Duration;

/// What a wire does to the packets of one direction. Each probability is from 0 to 1; all draw from one seed.
///
/// A packet that stands for several is cut before, and its checksums are completed: what is lost, delayed or
/// damaged is a packet.
///
/// The same seed does the same to the same packets, byte for byte;
/// [`MockBackend::trace`](crate::MockBackend::trace) reports what it did. Time is the mock's own, and stands
/// still until [`advance`](crate::MockBackend::advance) is called.
///
/// ```
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
/// use tunctl_mock::{Impairment, MockBackend, Direction};
///
/// let kernel = MockBackend::new();
/// let tun = kernel.create(&CreateOptions::tun().address("10.1.1.1/24").up())?;
/// kernel.impair(&tun, Direction::FromDevice, Impairment::seeded(7).drop(0.5));
/// for _ in 0..100 {
///     tun.send(&[0x45; 20])?;
/// }
/// let arrived = kernel.packets(&tun).len();
/// assert!((30..70).contains(&arrived) && kernel.lost(&tun) == 100 - arrived as u64);
/// # Ok::<(), tunctl_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Impairment {
    seed: u64,
    drop: f64,
    duplicate: f64,
    reorder: f64,
    corrupt: f64,
    shorten: f64,
    delay: RangeInclusive<Duration>,
}

impl Impairment {
    /// A wire that does nothing to packets yet.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        let none = RangeInclusive::new(Duration::ZERO, Duration::ZERO);
        Self { seed, drop: 0.0, duplicate: 0.0, reorder: 0.0, corrupt: 0.0, shorten: 0.0, delay: none }
    }

    /// Drops packets.
    ///
    /// # Panics
    ///
    /// The probability is not from 0 to 1.
    #[must_use]
    pub const fn drop(mut self, chance: f64) -> Self {
        self.drop = checked(chance);
        self
    }

    /// Delivers packets twice.
    ///
    /// # Panics
    ///
    /// The probability is not from 0 to 1.
    #[must_use]
    pub const fn duplicate(mut self, chance: f64) -> Self {
        self.duplicate = checked(chance);
        self
    }

    /// Holds packets back until the next one has overtaken them, or time advances.
    ///
    /// # Panics
    ///
    /// The probability is not from 0 to 1.
    #[must_use]
    pub const fn reorder(mut self, chance: f64) -> Self {
        self.reorder = checked(chance);
        self
    }

    /// Flips one bit of a packet.
    ///
    /// # Panics
    ///
    /// The probability is not from 0 to 1.
    #[must_use]
    pub const fn corrupt(mut self, chance: f64) -> Self {
        self.corrupt = checked(chance);
        self
    }

    /// Cuts the tail of a packet off.
    ///
    /// # Panics
    ///
    /// The probability is not from 0 to 1.
    #[must_use]
    pub const fn shorten(mut self, chance: f64) -> Self {
        self.shorten = checked(chance);
        self
    }

    /// Delays each packet by a time between two bounds. If the bounds differ, packets can overtake each
    /// other.
    #[must_use]
    pub const fn delay(mut self, between: RangeInclusive<Duration>) -> Self {
        self.delay = between;
        self
    }
}

const fn checked(chance: f64) -> f64 {
    assert!(chance >= 0.0 && chance <= 1.0, "a chance is from 0 to 1");
    chance
}

/// What a wire did to one packet.
#[derive(Debug, PartialEq)]
pub(crate) struct Fate {
    /// The packets that come of it: none, one or two.
    pub(crate) copies: Vec<Vec<u8>>,
    pub(crate) held: bool,
    pub(crate) delay: Duration,
    /// A line for the trace.
    pub(crate) description: String,
}

/// An impaired wire, with its state.
#[derive(Debug)]
pub(crate) struct Impaired {
    plan: Impairment,
    dice: Dice,
    /// Packets that the next one overtakes, each with its own delay.
    pub(crate) held: Vec<(Duration, Vec<u8>)>,
}

impl Impaired {
    pub(crate) fn new(plan: Impairment) -> Self {
        Self { dice: Dice(plan.seed), plan, held: Vec::new() }
    }

    /// Every packet draws the same number of times, so that a probability of one impairment does not change
    /// what the others do to later packets.
    pub(crate) fn treat(&mut self, mut packet: Vec<u8>) -> Fate {
        let length = packet.len();
        let [dropped, doubled, held, damaged, cut] =
            [self.plan.drop, self.plan.duplicate, self.plan.reorder, self.plan.corrupt, self.plan.shorten]
                .map(|chance| self.dice.fraction() < chance);
        let (bit, end, wait) = (self.dice.below(length * 8), self.dice.below(length), self.dice.fraction());
        let mut description = format!("{length} bytes");
        if dropped {
            description.push_str(", lost");
            return Fate { copies: Vec::new(), held: false, delay: Duration::ZERO, description };
        }
        if let (true, Some(byte)) = (damaged, packet.get_mut(bit / 8)) {
            *byte ^= 1 << (bit % 8);
            description.push_str(&format!(", bit {bit} flipped"));
        }
        if cut {
            packet.truncate(end);
            description.push_str(&format!(", cut to {end}"));
        }
        let (least, most) = (*self.plan.delay.start(), *self.plan.delay.end());
        let spread = most.saturating_sub(least);
        let delay = least.saturating_add(spread.mul_f64(wait).min(spread));
        if delay > Duration::ZERO {
            description.push_str(&format!(", {} µs late", delay.as_micros()));
        }
        let mut copies = vec![packet];
        if doubled {
            copies.push(copies[0].clone());
            description.push_str(", twice");
        }
        if held {
            description.push_str(", held back");
        }
        Fate { copies, held, delay, description }
    }
}

/// `SplitMix64`, written out, because a seed must do the same in every release, and a library may change its
/// generator.
///
/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to but not including 1.
    #[allow(clippy::cast_precision_loss, reason = "32 bits fit into the 53 of a double")]
    const fn fraction(&mut self) -> f64 {
        (self.next() >> 32) as f64 / 4_294_967_296.0
    }

    /// A number less than `bound`, or 0 if that is 0.
    fn below(&mut self, bound: usize) -> usize {
        let drawn = usize::try_from(self.next() >> 33).unwrap_or(0);
        drawn.checked_rem(bound).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dice_are_splitmix64() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut dice = Dice(1_234_567);
        let drawn = [dice.next(), dice.next(), dice.next()];
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn certainties_are_certain() {
        let packet = || vec![0x45; 100];
        let fate = |plan: Impairment| Impaired::new(plan).treat(packet());
        assert!(fate(Impairment::seeded(1).drop(1.0)).copies.is_empty());
        assert_eq!(fate(Impairment::seeded(1).duplicate(1.0)).copies, [packet(), packet()]);
        assert!(fate(Impairment::seeded(1).reorder(1.0)).held);
        for bits in [0x45, 0xff, 0] {
            let damaged =
                Impaired::new(Impairment::seeded(1).corrupt(1.0)).treat(vec![bits; 100]).copies.remove(0);
            let differing: u32 = damaged.iter().map(|byte| (byte ^ bits).count_ones()).sum();
            assert_eq!(differing, 1);
        }
        assert!(fate(Impairment::seeded(1).shorten(1.0)).copies[0].len() < 100);
        let slow = Duration::from_millis(5)..=Duration::from_millis(9);
        assert!(slow.contains(&fate(Impairment::seeded(1).delay(slow.clone())).delay));
    }

    #[test]
    fn an_empty_packet_survives_every_treatment() {
        let all = Impairment::seeded(3).duplicate(1.0).corrupt(1.0).shorten(1.0).reorder(1.0);
        assert_eq!(Impaired::new(all).treat(Vec::new()).copies, [[0; 0], [0; 0]]);
    }
}
