//! One direction of a wire: which packets arrive, and when. Time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::wire::Wire;

/// How many packets wait for their turn at most.
const MOST_WAITING: usize = 1000;
/// How many overtake one that is held back, and how long it is held at most.
const OVERTAKERS: u32 = 3;
const HELD: Duration = Duration::from_millis(1);

/// The packets that are on the wire.
#[derive(Debug)]
pub(crate) struct Link {
    wire: Wire,
    random: Rng,
    /// By the time at which they arrive, then in the order of sending.
    waiting: BTreeMap<(Duration, u64), Vec<u8>>,
    /// One that is held back: how many have to overtake it, until when, and the packet.
    held: Option<(u32, Duration, Vec<u8>)>,
    sequence: u64,
    /// When the wire is free for the next packet.
    free: Duration,
    spare: Vec<Vec<u8>>,
    dropped: u64,
}

impl Link {
    pub(crate) fn new(wire: Wire, seed: u64) -> Self {
        Self {
            wire,
            random: Rng::with_seed(seed),
            waiting: BTreeMap::new(),
            held: None,
            sequence: 0,
            free: Duration::ZERO,
            spare: Vec::new(),
            dropped: 0,
        }
    }

    /// How many packets it has dropped.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// A packet sets out. What becomes of it is drawn for each packet alike, so that a seed decides the same
    /// whatever the clock says.
    pub(crate) fn send(&mut self, packet: &[u8], now: Duration) {
        let mut happens = |share| self.random.f64() < share;
        let (lost, corrupt, held) =
            (happens(self.wire.loss), happens(self.wire.corruption), happens(self.wire.reordering));
        let (byte, bit) = (self.random.usize(..packet.len().max(1)), self.random.u8(..8));
        if lost || self.waiting.len() >= MOST_WAITING {
            self.dropped += 1;
            return;
        }
        let mut copy = self.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(packet);
        if let Some(byte) = copy.get_mut(byte).filter(|_| corrupt) {
            *byte ^= 1 << bit;
        }
        if held && self.held.is_none() {
            self.held = Some((OVERTAKERS, now.saturating_add(HELD), copy));
            return;
        }
        self.set_out(copy, now);
        if let Some((left, _, _)) = &mut self.held {
            *left -= 1;
            if *left == 0 {
                self.let_go(now);
            }
        }
    }

    /// How many packets are on the way.
    pub(crate) fn on_the_way(&self) -> u64 {
        self.waiting.len() as u64 + u64::from(self.held.is_some())
    }

    /// The time at which the next packet arrives, if one is on the way.
    pub(crate) fn due(&self) -> Option<Duration> {
        let waiting = self.waiting.first_key_value().map(|((due, _), _)| *due);
        let held = self.held.as_ref().map(|(_, until, _)| *until);
        waiting.into_iter().chain(held).min()
    }

    /// A packet that has arrived.
    pub(crate) fn arrived(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.held.as_ref().is_some_and(|(_, until, _)| *until <= now) {
            self.let_go(now);
        }
        let first = self.waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    /// Takes the memory of a packet back that was passed on.
    pub(crate) fn recycle(&mut self, packet: Vec<u8>) {
        self.spare.push(packet);
    }

    fn let_go(&mut self, now: Duration) {
        if let Some((_, _, packet)) = self.held.take() {
            self.set_out(packet, now);
        }
    }

    fn set_out(&mut self, packet: Vec<u8>, now: Duration) {
        let start = self.free.max(now);
        self.free = self.wire.rate.map_or(start, |rate| start.saturating_add(time_of(packet.len(), rate)));
        self.sequence += 1;
        self.waiting.insert((self.free.saturating_add(self.wire.delay), self.sequence), packet);
    }
}

/// How long a packet takes at a rate in bits a second.
fn time_of(bytes: usize, rate: u64) -> Duration {
    let nanoseconds = (bytes as u128) * 8 * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn sent(wire: Wire, packets: u8) -> Link {
        let mut link = Link::new(wire, 7);
        for number in 0..packets {
            link.send(&[number; 125], Duration::ZERO);
        }
        link
    }

    fn all(link: &mut Link, now: Duration) -> Vec<u8> {
        std::iter::from_fn(|| link.arrived(now)).map(|packet| packet[0]).collect()
    }

    #[test]
    fn packets_arrive_in_order_after_their_delay() {
        let mut link = sent(Wire::new().delay(MILLISECOND), 3);
        assert_eq!(link.due(), Some(MILLISECOND));
        assert_eq!(all(&mut link, Duration::from_micros(999)), []);
        assert_eq!(all(&mut link, MILLISECOND), [0, 1, 2]);
        assert_eq!(link.due(), None);
    }

    #[test]
    fn at_a_rate_packets_take_their_time_and_few_wait() {
        // 1,000 bits each, 1,000,000 a second.
        let mut link = sent(Wire::new().rate(1_000_000), 100);
        assert_eq!(all(&mut link, MILLISECOND * 3), [0, 1, 2]);
        for _ in 0..2 * MOST_WAITING {
            link.send(&[1; 125], MILLISECOND * 3);
        }
        assert_eq!(link.dropped(), 1097);
    }

    #[test]
    fn a_packet_that_is_held_back_is_overtaken_by_three() {
        let mut link = sent(Wire::new().reordering(1.0), 4);
        assert_eq!(all(&mut link, Duration::ZERO), [1, 2, 3, 0]);
        let mut link = sent(Wire::new().reordering(1.0), 1);
        assert_eq!(all(&mut link, Duration::ZERO), []);
        assert_eq!((link.due(), all(&mut link, HELD)), (Some(HELD), vec![0]));
    }

    #[test]
    fn a_seed_decides_what_is_lost() {
        let wire = Wire::new().loss(0.3);
        let (mut one, mut other) = (sent(wire, 100), sent(wire, 100));
        let arrived = all(&mut one, Duration::ZERO);
        assert_eq!(arrived, all(&mut other, Duration::ZERO));
        assert!((50..90).contains(&arrived.len()), "{}", arrived.len());
        assert_eq!(one.dropped(), 100 - arrived.len() as u64);
    }

    #[test]
    fn a_seed_decides_the_same_at_any_pace() {
        let wire = Wire::new().loss(0.3).reordering(0.3).seed(7);
        let arrived = |pace: u32| {
            let mut link = Link::new(wire, 7);
            let mut arrived: Vec<u8> = Vec::new();
            for number in 0..100 {
                link.send(&[number; 9], MILLISECOND * pace * u32::from(number));
                arrived.extend(all(&mut link, MILLISECOND * pace * u32::from(number)));
            }
            arrived.extend(all(&mut link, Duration::from_secs(60)));
            arrived.sort_unstable();
            arrived
        };
        assert_eq!(arrived(0), arrived(5));
    }

    #[test]
    fn a_delay_without_end_is_one() {
        let mut link = sent(Wire::new().delay(Duration::MAX).rate(1), 3);
        assert_eq!((all(&mut link, Duration::from_secs(1 << 40)), link.on_the_way()), (vec![], 3));
    }

    #[test]
    fn a_damaged_packet_differs_by_one_bit() {
        let mut link = sent(Wire::new().corruption(1.0), 1);
        let packet = link.arrived(Duration::ZERO).unwrap();
        assert_eq!(packet.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    }
}
