//! A node: a system with a device in memory, and the VPN on it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use boringtun::x25519::{PublicKey, StaticSecret};
use fastrand::Rng;
use ip_network::IpNetwork;
use tunctl::mock::{MockBackend, MockDevice};
use tunctl::prelude::*;
use tunctl_vpn::config::{Config, Key, PeerConfig};
use tunctl_vpn::{Dropped, Vpn};

use crate::ledger::Id;
use crate::plan::Plan;
use crate::socket::Socket;
use crate::traffic::{MTU, inner_address};

/// The name of each node's device.
pub(crate) const DEVICE: &str = "wg0";

/// What the simulation knows of a peer's tunnel.
#[derive(Debug, Default)]
pub(crate) struct Tunnel {
    /// Packets that wait in it for a handshake.
    pub(crate) waiting: VecDeque<Id>,
    /// The last handshake that was seen, and how many were.
    pub(crate) last_handshake: Option<Duration>,
    pub(crate) handshakes: u64,
}

pub(crate) struct Node {
    pub(crate) kernel: MockBackend,
    /// `None`: its device was deleted, and the program has ended.
    pub(crate) vpn: Option<Vpn<MockDevice, Socket>>,
    pub(crate) socket: Socket,
    /// Where it is in the network.
    pub(crate) address: SocketAddr,
    pub(crate) tunnels: Vec<Tunnel>,
    /// The datagrams that its socket has refused.
    pub(crate) unsent: u64,
    /// The device was taken down by a fault.
    pub(crate) is_down: bool,
}

/// The nodes: a server, and its clients. Only these know where to call.
pub(crate) fn nodes(plan: &Plan, addresses: &[SocketAddr], rng: &mut Rng) -> Result<Vec<Node>, String> {
    let clients = plan.clients;
    // Keys of sessions are the system's chance; these may as well be the seed's.
    let keys: Vec<Key> = (0..=clients).map(|_| key(rng)).collect();
    let shared: Vec<Option<Key>> = (0..clients).map(|_| rng.bool().then(|| key(rng))).collect();
    let of_server = |node: usize| PeerConfig {
        public_key: public(keys[node]),
        preshared_key: shared[node - 1],
        allowed_ips: [false, true].map(|is_v6| inner_address(node, is_v6).into()).to_vec(),
        ..PeerConfig::default()
    };
    let mut nodes = vec![Node::new(0, keys[0], addresses[0], (1..=clients).map(of_server).collect(), rng)?];
    for node in 1..=clients {
        let server = PeerConfig {
            public_key: public(keys[0]),
            preshared_key: shared[node - 1],
            allowed_ips: vec![network("10.0.0.0/24")?, network("fd00::/64")?],
            endpoint: Some(addresses[0]),
            keepalive: if rng.bool() || plan.quiet == Some(node) { 25 } else { 0 },
            ..PeerConfig::default()
        };
        nodes.push(Node::new(node, keys[node], addresses[node], vec![server], rng)?);
    }
    Ok(nodes)
}

fn key(rng: &mut Rng) -> Key {
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    Key(bytes)
}

fn public(private: Key) -> Key {
    Key(PublicKey::from(&StaticSecret::from(private.0)).to_bytes())
}

fn network(text: &str) -> Result<IpNetwork, String> {
    text.parse().map_err(|error| format!("{text}: {error}"))
}

impl Node {
    fn new(
        number: usize,
        private_key: Key,
        address: SocketAddr,
        peers: Vec<PeerConfig>,
        rng: &mut Rng,
    ) -> Result<Self, String> {
        let (kernel, socket) = (MockBackend::new(), Socket::default());
        let options = CreateOptions::tun()
            .name(DEVICE)
            .vnet_header(rng.bool())
            .mtu(u32::from(MTU))
            .address(format!("{}/24", inner_address(number, false)))
            .up();
        let device = kernel.create(&options).map_err(|error| error.to_string())?;
        let tunnels = peers.iter().map(|_| Tunnel::default()).collect();
        let config = Config { private_key, peers, ..Config::default() };
        let vpn = Vpn::new(&config, device, socket.clone()).map_err(|error| error.to_string())?;
        let (vpn, unsent, is_down) = (Some(vpn), 0, false);
        Ok(Self { kernel, vpn, socket, address, tunnels, unsent, is_down })
    }
}

/// Which of a node's peers another node is.
pub(crate) const fn peer(node: usize, other: usize) -> usize {
    if node == 0 { other - 1 } else { 0 }
}

/// By which node a packet travels first.
pub(crate) const fn next_hop(node: usize, destination: usize) -> usize {
    if node == 0 { destination } else { 0 }
}

/// The counters, with the verdict that each stands for.
pub(crate) const fn verdicts(dropped: &Dropped) -> [(&'static str, u64); 9] {
    let Dropped { malformed, forged, replayed, unknown, foreign, limited, unrouted, unsent, refused } =
        *dropped;
    [
        ("malformed", malformed),
        ("forged", forged),
        ("replayed", replayed),
        ("unknown", unknown),
        ("foreign", foreign),
        ("limited", limited),
        ("unrouted", unrouted),
        ("unsent", unsent),
        ("refused", refused),
    ]
}

/// What was counted between two moments.
pub(crate) fn counted(before: &Dropped, after: &Dropped) -> Vec<(&'static str, u64)> {
    let pairs = verdicts(before).into_iter().zip(verdicts(after));
    pairs.map(|((name, before), (_, after))| (name, after - before)).filter(|(_, count)| *count > 0).collect()
}
