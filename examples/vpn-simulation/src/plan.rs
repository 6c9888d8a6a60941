//! What a seed decides before the simulation begins.

use std::net::SocketAddr;
use std::time::Duration;

use fastrand::Rng;

use crate::network::Weather;

/// At the end, the network is calm for so long,
pub(crate) const CALM: Duration = Duration::from_secs(75);
/// and after this part of it, each packet must arrive.
pub(crate) const GRACE: Duration = Duration::from_secs(30);
/// What the network held back before the calm arrives in the first part of it.
pub(crate) const LAST_ARRIVALS: Duration = Duration::from_secs(10);
/// Nobody begins to send in the last seconds, so that all can arrive.
pub(crate) const QUIET: Duration = Duration::from_secs(5);
/// Devices and sockets stop failing so long before the calm, since a fault may come a few calls later.
pub(crate) const LAST_FAULTS: Duration = Duration::from_secs(30);
const SLICE: Duration = Duration::from_secs(600);

/// The path between the server and a client.
#[derive(Debug)]
pub(crate) struct Path {
    /// When nothing passes.
    pub(crate) outages: Vec<(Duration, Duration)>,
    /// The outages that are so long that a tunnel gives up.
    pub(crate) blackouts: Vec<(Duration, Duration)>,
    /// When the client's device is deleted.
    pub(crate) death: Option<Duration>,
}

/// Packets from one node to another, again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The mean time between two.
    pub(crate) gap: Duration,
}

#[derive(Debug)]
pub(crate) struct Plan {
    /// How many clients the server, which is node 0, has. They are the nodes from 1.
    pub(crate) clients: usize,
    /// The datagrams are IPv6.
    pub(crate) is_v6: bool,
    pub(crate) weather: Weather,
    /// By client, from 0.
    pub(crate) paths: Vec<Path>,
    pub(crate) flows: Vec<Flow>,
    /// A client that is kept alive, and to which nobody talks.
    pub(crate) quiet: Option<usize>,
    /// The mean time between two moves of a client to another address, and between two faults.
    pub(crate) roam_gap: Duration,
    pub(crate) fault_gap: Duration,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, duration: Duration) -> Self {
        let clients = rng.usize(1..=3);
        let is_v6 = rng.bool();
        let weather = Weather::draw(rng);
        let rough = duration.saturating_sub(CALM);
        // The first client is never cut off for long, so that each seed has a pair that talks all the time.
        let dying = (clients > 1 && rng.f64() < 0.1).then(|| rng.usize(1..clients));
        let paths = (0..clients)
            .map(|client| {
                let blackouts = if client == 0 { Vec::new() } else { blackouts(rng, rough) };
                let outages = [outages(rng, rough), blackouts.clone()].concat();
                let death = (dying == Some(client)).then(|| rough.mul_f64(rng.f64()));
                Path { outages, blackouts, death }
            })
            .collect();
        let quiet = (clients > 1 && rng.f64() < 0.3).then_some(clients);
        let flows = (0..=clients)
            .flat_map(|from| (0..=clients).map(move |to| (from, to)))
            .filter(|(from, to)| from != to && ![Some(*from), Some(*to)].contains(&quiet))
            .map(|(from, to)| {
                // Clients say less to each other than to the server.
                let factor = if from != 0 && to != 0 { 5 } else { 1 };
                Flow { from, to, gap: Duration::from_millis(factor * rng.u64(2_000..6_000)) }
            })
            .collect();
        let gap = |rng: &mut Rng| Duration::from_secs(rng.u64(30..300));
        let (roam_gap, fault_gap) = (gap(rng), gap(rng));
        Self { clients, is_v6, weather, paths, flows, quiet, roam_gap, fault_gap }
    }
}

/// A time around this one.
pub(crate) fn about(mean: Duration, rng: &mut Rng) -> Duration {
    mean.mul_f64(0.1 + 1.8 * rng.f64())
}

/// Some seconds each.
fn outages(rng: &mut Rng, until: Duration) -> Vec<(Duration, Duration)> {
    let mut found = Vec::new();
    let mut start = about(Duration::from_secs(150), rng);
    while start < until {
        let end = (start + Duration::from_millis(rng.u64(1_000..20_000))).min(until);
        found.push((start, end));
        start = end + about(Duration::from_secs(150), rng);
    }
    found
}

/// At most one in ten minutes.
fn blackouts(rng: &mut Rng, until: Duration) -> Vec<(Duration, Duration)> {
    let mut found = Vec::new();
    let mut slice = Duration::ZERO;
    while slice < until {
        let start = slice + Duration::from_secs(rng.u64(60..300));
        let end = start + Duration::from_secs(rng.u64(95..130));
        if rng.f64() < 0.3 && end < until {
            found.push((start, end));
        }
        slice += SLICE;
    }
    found
}

/// An address for a node in the network. Each number is another one.
pub(crate) fn address(node: usize, number: u16, is_v6: bool) -> SocketAddr {
    let node = u8::try_from(node).unwrap_or(u8::MAX);
    let port = 10_000 + number;
    if is_v6 {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1 + u16::from(node)], port))
    } else {
        SocketAddr::from(([192, 0, 2, 1 + node], port))
    }
}
