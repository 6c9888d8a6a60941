//! The network between the nodes: it loses, duplicates, damages and delays datagrams.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use crate::ledger::Id;

/// A datagram, and what the simulation knows of it.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) bytes: Vec<u8>,
    /// The packet that it carries.
    pub(crate) packet: Option<Id>,
    /// It is not what its sender sent.
    pub(crate) is_damaged: bool,
}

/// Datagrams of one length, the last of which may be shorter, that travel together: as one call sent them,
/// one call receives them.
#[derive(Clone, Debug)]
pub(crate) struct Train {
    /// The node that sent it. `None`: somebody else.
    pub(crate) sender: Option<usize>,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) datagrams: Vec<Datagram>,
}

impl Train {
    /// The packets in it.
    pub(crate) fn packets(&self) -> impl Iterator<Item = Id> {
        self.datagrams.iter().filter_map(|datagram| datagram.packet)
    }

    /// Its datagrams, each alone.
    pub(crate) fn singles(self) -> Vec<Self> {
        let Self { sender, from, to, datagrams } = self;
        datagrams.into_iter().map(|one| Self { sender, from, to, datagrams: vec![one] }).collect()
    }
}

/// What messages of WireGuard look like from outside.
pub(crate) fn kind(datagram: &[u8]) -> &'static str {
    match (datagram.get(..4), datagram.len()) {
        (Some([1, 0, 0, 0]), 148) => "initiation",
        (Some([2, 0, 0, 0]), 92) => "response",
        (Some([3, 0, 0, 0]), 64) => "cookie",
        (Some([4, 0, 0, 0]), 32) => "keepalive",
        (Some([4, 0, 0, 0]), 33..) => "data",
        _ => "nonsense",
    }
}

/// How bad the network is. Chances are from 0 to 1.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    pub(crate) loss: f64,
    pub(crate) duplicates: f64,
    pub(crate) flips: f64,
    pub(crate) cuts: f64,
    /// Datagrams that come seconds later, so that others overtake them.
    pub(crate) stragglers: f64,
    pub(crate) delay: Duration,
    pub(crate) jitter: Duration,
}

impl Weather {
    /// Nothing is lost, and hardly anything overtakes.
    pub(crate) const CALM: Self = Self {
        loss: 0.0,
        duplicates: 0.0,
        flips: 0.0,
        cuts: 0.0,
        stragglers: 0.0,
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(2),
    };

    pub(crate) fn draw(rng: &mut Rng) -> Self {
        Self {
            loss: rng.f64() * 0.15,
            duplicates: rng.f64() * 0.05,
            flips: rng.f64() * 0.03,
            cuts: rng.f64() * 0.02,
            stragglers: rng.f64() * 0.03,
            delay: Duration::from_millis(rng.u64(1..100)),
            jitter: Duration::from_millis(rng.u64(1..200)),
        }
    }

    /// The trains that a train becomes, and the delay of each; or the train itself if it is lost.
    pub(crate) fn treat(&self, train: Train, rng: &mut Rng) -> Result<Vec<(Duration, Train)>, Train> {
        if rng.f64() < self.loss {
            return Err(train);
        }
        let mut copies = vec![(self.draw_delay(rng), train)];
        if rng.f64() < self.duplicates {
            let copy = copies[0].1.clone();
            // Long after, its keys may be gone.
            let late = Duration::from_secs(if rng.f64() < 0.1 { rng.u64(1..200) } else { 0 });
            copies.push((self.draw_delay(rng) + late, copy));
        }
        for (_, train) in &mut copies {
            if rng.f64() < self.flips {
                flip(&mut train.datagrams, rng);
            }
            if rng.f64() < self.cuts {
                cut(&mut train.datagrams, rng);
            }
        }
        Ok(copies)
    }

    fn draw_delay(&self, rng: &mut Rng) -> Duration {
        let straggles = rng.f64() < self.stragglers;
        let extra = Duration::from_millis(if straggles { rng.u64(0..4_000) } else { 0 });
        self.delay + self.jitter.mul_f64(rng.f64()) + extra
    }
}

/// Flips a bit of one of the datagrams.
fn flip(datagrams: &mut [Datagram], rng: &mut Rng) {
    let chosen = rng.usize(..datagrams.len());
    let datagram = &mut datagrams[chosen];
    let bit = rng.usize(..datagram.bytes.len() * 8);
    datagram.bytes[bit / 8] ^= 1 << (bit % 8);
    datagram.is_damaged = true;
}

/// Cuts the tail of the last datagram, which alone may be shorter than the others.
fn cut(datagrams: &mut [Datagram], rng: &mut Rng) {
    if let Some(datagram) = datagrams.last_mut() {
        datagram.bytes.truncate(rng.usize(1..datagram.bytes.len().max(2)));
        datagram.is_damaged = true;
    }
}
