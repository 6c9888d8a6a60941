//! The loop: from the device to the network and back, and the timers.

use std::collections::HashMap;
use std::fmt;
use std::io::ErrorKind;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::errors::WireGuardError;
use boringtun::noise::handshake::parse_handshake_anon;
use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Packet, Tunn, TunnResult};
use boringtun::x25519::{PublicKey, StaticSecret};
use ip_network_table::IpNetworkTable;
use tunctl::bulk::{RecvBatch, SendBatch};
use tunctl::prelude::*;

use crate::config::Config;
use crate::datagrams::{Datagrams, Endpoint, Outgoing};
use crate::peer::Peer;

/// Handshakes a second, beyond which a caller must prove its address first. The limiter counts each twice:
/// when we look who calls, and when the tunnel does.
const MOST_HANDSHAKES: u64 = 2 * 100;
/// Receives in a row, before the packets go to the device.
const MOST_RECEIVES: usize = 16;
/// What a datagram has that its packet has not, and can do without room for: the header in front.
const HEADER: usize = 16;
const LONGEST: usize = 1 << 16;

/// Packets and datagrams that went nowhere, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// No message of the protocol, or no IP packet.
    pub malformed: u64,
    /// Not made with the right key, or changed on the way.
    pub forged: u64,
    /// Received before, or too late to tell.
    pub replayed: u64,
    /// From nobody we know, or by keys that are no longer, or not yet, known.
    pub unknown: u64,
    /// From a peer, with a source address that is not the peer's.
    pub foreign: u64,
    /// Handshakes that must be repeated with a cookie.
    pub limited: u64,
    /// Packets to an address that no peer has.
    pub unrouted: u64,
    /// Packets to a peer that has not called yet.
    pub unreachable: u64,
    /// Datagrams that the socket refused.
    pub unsent: u64,
    /// Packets that the device refused.
    pub refused: u64,
}

/// A VPN between a device and a socket.
///
/// Nothing in it waits for packets, and no thread is its own. A program waits until the device or the socket is
/// readable, or the time for the next tick has come, and calls what fits:
///
/// ```no_run
/// # fn drive<D: tunctl::TunDevice>(mut vpn: tunctl_vpn::Vpn<D, tunctl_vpn::udp::Udp>) -> tunctl::Result<()> {
/// let start = std::time::Instant::now();
/// loop {
///     vpn.tick(); // each Vpn::TICK
///     while vpn.from_device()? | vpn.from_network(start.elapsed())? {}
///     // … wait
/// }
/// # }
/// ```
///
/// `now` is the time since any fixed moment, and must not go back. It dates the handshakes of
/// [`peers`](Self::peers). The timers of the protocol advance in [`tick`](Self::tick) alone, by boringtun's own
/// clock: the system's (`CLOCK_BOOTTIME`), or the mock one of its feature `mock-instant`, which is for
/// simulations, and which nothing in this workspace may turn on.
pub struct Vpn<D, S> {
    device: Bulk<D>,
    socket: S,
    private_key: StaticSecret,
    public_key: PublicKey,
    limiter: Arc<RateLimiter>,
    peers: Vec<Peer>,
    by_key: HashMap<[u8; 32], usize>,
    by_address: IpNetworkTable<usize>,
    received: RecvBatch,
    datagrams: Vec<u8>,
    opened: SendBatch,
    outgoing: Outgoing,
    dropped: Dropped,
}

impl<D: TunDevice, S: Datagrams> Vpn<D, S> {
    /// How often [`tick`](Self::tick) must be called.
    pub const TICK: Duration = Duration::from_millis(250);

    /// A VPN with these peers. It calls those that it shall keep alive.
    ///
    /// # Errors
    ///
    /// Those of [`TunDevice::into_bulk`].
    pub fn new(config: &Config, device: D, socket: S) -> Result<Self> {
        let device = device.into_bulk()?;
        let public_key = PublicKey::from(&config.private_key);
        let limiter = Arc::new(RateLimiter::new(&public_key, MOST_HANDSHAKES));
        let (mut peers, mut by_key, mut by_address) = (Vec::new(), HashMap::new(), IpNetworkTable::new());
        for (index, (tag, peer)) in (0..).zip(config.peers.iter().enumerate()) {
            by_key.insert(peer.public_key.to_bytes(), tag);
            for network in &peer.allowed_ips {
                by_address.insert(*network, tag);
            }
            peers.push(Peer::new(peer.clone(), &config.private_key, index, &limiter));
        }
        let mut vpn = Self {
            received: device.recv_batch(),
            opened: device.send_batch(),
            device,
            socket,
            private_key: config.private_key.clone(),
            public_key,
            limiter,
            peers,
            by_key,
            by_address,
            datagrams: vec![0; LONGEST],
            outgoing: Outgoing::new(),
            dropped: Dropped::default(),
        };
        for peer in vpn.peers.iter_mut().filter(|peer| peer.config.keepalive.is_some()) {
            peer.call(&mut vpn.outgoing, &vpn.socket);
        }
        vpn.outgoing.flush(&vpn.socket);
        Ok(vpn)
    }

    /// Seals what the device has, and sends it. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// The device has failed for good: `Gone`.
    pub fn from_device(&mut self) -> Result<bool> {
        match self.device.try_recv(&mut self.received) {
            Err(error) if error.is_would_block() || error.is_packet_lost() => return Ok(false),
            outcome => outcome?,
        };
        // Each packet is cut from a large one, and its datagram follows that of the packet before.
        while let Some(packet) = self.received.next() {
            let Some(to) = Tunn::dst_address(packet) else {
                self.dropped.malformed += 1;
                continue;
            };
            let Some((_, &index)) = self.by_address.longest_match(to) else {
                self.dropped.unrouted += 1;
                continue;
            };
            let peer = &mut self.peers[index];
            if peer.endpoint.is_none() {
                self.dropped.unreachable += 1;
                continue;
            }
            peer.write(&mut self.outgoing, &self.socket, |tunnel, room| tunnel.encapsulate(packet, room));
        }
        self.outgoing.flush(&self.socket);
        Ok(true)
    }

    /// Opens what the socket has, and hands it to the device. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// The device has failed for good: `Gone`.
    pub fn from_network(&mut self, now: Duration) -> Result<bool> {
        let mut is_any = false;
        for _ in 0..MOST_RECEIVES {
            let received = match self.socket.recv(&mut self.datagrams) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Such as that memory is short. The next one may do.
                Err(_) => continue,
            };
            is_any = true;
            let datagrams = mem::take(&mut self.datagrams);
            for datagram in datagrams[..received.length].chunks(received.size.max(1)) {
                self.open(datagram, received.from, now)?;
            }
            self.datagrams = datagrams;
        }
        self.deliver()?;
        self.outgoing.flush(&self.socket);
        Ok(is_any)
    }

    /// Advances the timers: handshakes that are due or were not answered, keepalives, keys that expire.
    pub fn tick(&mut self) {
        self.limiter.reset_count();
        for peer in &mut self.peers {
            let mut has_given_up = false;
            peer.write(&mut self.outgoing, &self.socket, |tunnel, room| {
                let outcome = tunnel.update_timers(room);
                has_given_up = matches!(outcome, TunnResult::Err(WireGuardError::ConnectionExpired));
                outcome
            });
            // The tunnel waits for a packet then, and one that is to be kept alive has none.
            if has_given_up && peer.config.keepalive.is_some() && peer.endpoint.is_some() {
                peer.call(&mut self.outgoing, &self.socket);
            }
        }
        self.outgoing.flush(&self.socket);
    }

    fn open(&mut self, datagram: &[u8], from: Endpoint, now: Duration) -> Result<()> {
        match Tunn::parse_incoming_packet(datagram) {
            Ok(Packet::PacketData(data)) => self.open_data(data.receiver_idx, datagram, from, now)?,
            Ok(_) => self.answer(datagram, from, now),
            Err(error) => self.drop_because(&error),
        }
        Ok(())
    }

    /// Opens a packet where the device will take it from.
    fn open_data(&mut self, receiver: u32, datagram: &[u8], from: Endpoint, now: Duration) -> Result<()> {
        let index = peer_of(receiver);
        if index >= self.peers.len() {
            self.dropped.unknown += 1;
            return Ok(());
        }
        let most = datagram.len() - HEADER;
        if self.opened.is_full_for(most) {
            self.deliver()?;
        }
        let (peer, addresses) = (&mut self.peers[index], &self.by_address);
        let is_its_own =
            |source: IpAddr| addresses.longest_match(source).is_some_and(|(_, &owner)| owner == index);
        let (mut failure, mut is_foreign) = (None, false);
        let packet = self.opened.push_with(most, |room| {
            let (packet, source) = match peer.tunnel.decapsulate(None, datagram, room) {
                TunnResult::WriteToTunnelV4(packet, source) => (packet, source.into()),
                TunnResult::WriteToTunnelV6(packet, source) => (packet, source.into()),
                TunnResult::Err(error) => {
                    failure = Some(error);
                    return 0;
                }
                // It keeps the peer alive, and is empty.
                TunnResult::Done | TunnResult::WriteToNetwork(_) => return 0,
            };
            is_foreign = !is_its_own(source);
            if is_foreign { 0 } else { packet.len() }
        })?;
        if packet.is_empty() {
            self.opened.pop();
        }
        if let Some(error) = failure {
            self.drop_because(&error);
            return Ok(());
        }
        self.dropped.foreign += u64::from(is_foreign);
        let peer = &mut self.peers[index];
        peer.received += datagram.len() as u64;
        // It is where its last genuine datagram came from.
        peer.endpoint = Some(from);
        if mem::take(&mut peer.is_unconfirmed) {
            peer.last_handshake = Some(now);
            peer.write_waiting(&mut self.outgoing, &self.socket);
        }
        Ok(())
    }

    /// Handles a message of a handshake.
    fn answer(&mut self, datagram: &[u8], from: Endpoint, now: Duration) {
        let mut cookie = [0; 64];
        let message = match self.limiter.verify_packet(Some(from.remote.ip()), datagram, &mut cookie) {
            Ok(message) => message,
            Err(TunnResult::WriteToNetwork(cookie)) => {
                self.dropped.limited += 1;
                self.outgoing.lost += u64::from(self.socket.send(from, cookie, cookie.len()).is_err());
                return;
            }
            Err(TunnResult::Err(error)) => return self.drop_because(&error),
            Err(_) => return,
        };
        let (index, is_call) = match &message {
            Packet::HandshakeInit(call) => {
                let caller = parse_handshake_anon(&self.private_key, &self.public_key, call);
                match caller {
                    Ok(caller) => (self.by_key.get(&caller.peer_static_public).copied(), true),
                    Err(error) => return self.drop_because(&error),
                }
            }
            Packet::HandshakeResponse(response) => (Some(peer_of(response.receiver_idx)), false),
            Packet::PacketCookieReply(reply) => (Some(peer_of(reply.receiver_idx)), false),
            Packet::PacketData(_) => return,
        };
        let Some(peer) = index.and_then(|index| self.peers.get_mut(index)) else {
            self.dropped.unknown += 1;
            return;
        };
        let mut failure = None;
        // What is written in answer goes where the message came from, and nowhere if it is not genuine.
        let before = peer.endpoint.replace(from);
        let is_answered = peer.write(&mut self.outgoing, &self.socket, |tunnel, room| {
            match tunnel.decapsulate(Some(from.remote.ip()), datagram, room) {
                TunnResult::Err(error) => {
                    failure = Some(error);
                    TunnResult::Done
                }
                outcome => outcome,
            }
        });
        if !is_answered {
            peer.endpoint = before;
        } else if is_call {
            peer.is_unconfirmed = true;
        } else {
            peer.last_handshake = Some(now);
            peer.write_waiting(&mut self.outgoing, &self.socket);
        }
        match failure {
            Some(error) => self.drop_because(&error),
            None => peer.received += datagram.len() as u64,
        }
    }

    /// Hands the packets that were opened to the device.
    fn deliver(&mut self) -> Result<()> {
        match self.device.send(&mut self.opened) {
            Err(error) if error.is_packet_lost() => self.dropped.refused += self.opened.lost().len() as u64,
            outcome => drop(outcome?),
        }
        Ok(())
    }

    fn drop_because(&mut self, error: &WireGuardError) {
        let dropped = &mut self.dropped;
        let count = match error {
            WireGuardError::InvalidMac | WireGuardError::InvalidAeadTag | WireGuardError::WrongKey => {
                &mut dropped.forged
            }
            WireGuardError::InvalidCounter
            | WireGuardError::DuplicateCounter
            | WireGuardError::WrongTai64nTimestamp => &mut dropped.replayed,
            WireGuardError::WrongIndex
            | WireGuardError::NoCurrentSession
            | WireGuardError::UnexpectedPacket => &mut dropped.unknown,
            WireGuardError::UnderLoad => &mut dropped.limited,
            _ => &mut dropped.malformed,
        };
        *count += 1;
    }

    /// The peers, in the order in which they were configured.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// What went nowhere.
    pub const fn dropped(&self) -> Dropped {
        Dropped { unsent: self.outgoing.lost, ..self.dropped }
    }

    /// The device, and its interface.
    pub const fn device(&self) -> &Bulk<D> {
        &self.device
    }

    /// The socket.
    pub const fn socket(&self) -> &S {
        &self.socket
    }
}

/// The peer that a datagram is from: a tunnel numbers its sessions in the lowest byte.
const fn peer_of(receiver: u32) -> usize {
    (receiver >> 8) as usize
}

impl<D: TunDevice, S> fmt::Debug for Vpn<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vpn")
            .field("peers", &self.peers)
            .field("dropped", &self.dropped)
            .finish_non_exhaustive()
    }
}
