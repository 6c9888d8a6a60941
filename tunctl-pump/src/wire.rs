//! What a wire does to packets.

use std::time::Duration;

/// What a [`Pump`](crate::Pump) does to the packets of each direction: nothing by default.
///
/// The same seed decides the same for the same packets. Delay and rate follow the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wire {
    pub(crate) loss: f64,
    pub(crate) reordering: f64,
    pub(crate) corruption: f64,
    pub(crate) delay: Duration,
    /// Bits a second.
    pub(crate) rate: Option<u64>,
    pub(crate) seed: u64,
}

impl Wire {
    /// A wire that does nothing to packets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses this share of the packets, from 0 to 1.
    #[must_use]
    pub const fn loss(mut self, share: f64) -> Self {
        self.loss = share;
        self
    }

    /// Holds this share of the packets back until three others have overtaken them, or a millisecond has
    /// passed. One is held at a time, so that it is a quarter of the packets at most.
    #[must_use]
    pub const fn reordering(mut self, share: f64) -> Self {
        self.reordering = share;
        self
    }

    /// Flips a bit in this share of the packets, from 0 to 1.
    #[must_use]
    pub const fn corruption(mut self, share: f64) -> Self {
        self.corruption = share;
        self
    }

    /// Delays each packet. At most 1,000 are on the way; further ones are lost.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Lets so many bits a second pass, at least one, in each direction of each pair of queues. Packets wait
    /// for their turn, 1,000 at most; further ones are lost.
    #[must_use]
    pub const fn rate(mut self, bits: u64) -> Self {
        self.rate = Some(bits);
        self
    }

    /// What decides which packets are lost, held back and damaged: zero by default.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Whether packets pass as they come.
    pub(crate) fn is_perfect(&self) -> bool {
        Self { seed: 0, ..*self } == Self::default()
    }
}
