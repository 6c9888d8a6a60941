//! The loop: from the device to the network and back, and the timers.

use std::collections::HashMap;
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

use crate::config::{Config, Key, PeerConfig};
use crate::datagrams::{Datagrams, Endpoint, Outgoing};

/// Handshakes a second, beyond which a caller must prove its address first. The limiter counts each twice:
/// when we look for the peer, and when its tunnel takes the message.
const MOST_HANDSHAKES: u64 = 2 * 100;
/// Receives in a row, before the packets go to the device.
const MOST_RECEIVES: usize = 16;
/// The bytes of a sealed datagram before the packet, and after it.
const HEADER: usize = 16;
/// The room for what is received in one call.
const ROOM: usize = 1 << 16;

/// Packets and datagrams that went nowhere, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// No message of the protocol, or no IP packet.
    pub malformed: u64,
    /// Not made with the right key, or changed on the way.
    pub forged: u64,
    /// Received before, or too late to tell.
    pub replayed: u64,
    /// From nobody we know, or by keys that are not known, or no longer.
    pub unknown: u64,
    /// From a peer, with a source address that is not the peer's.
    pub foreign: u64,
    /// Handshakes that must be repeated with a cookie.
    pub limited: u64,
    /// To an address that no peer has, or whose peer has not called yet.
    pub unrouted: u64,
    /// Refused by the socket.
    pub unsent: u64,
    /// Refused by the device.
    pub refused: u64,
}

/// A peer, as it was configured and as it is.
#[expect(missing_debug_implementations, reason = "there are keys in the tunnel")]
pub struct Peer {
    /// How it was configured.
    pub config: PeerConfig,
    /// Where it was heard last, or is said to be. `None`: it must call first.
    pub endpoint: Option<Endpoint>,
    /// When it last proved that it has the keys.
    pub last_handshake: Option<Duration>,
    /// The bytes of its datagrams that were genuine.
    pub received: u64,
    /// The bytes of the datagrams for it.
    pub sent: u64,
    tunnel: Tunn,
    /// It has called, and nothing came by the new keys yet.
    is_unconfirmed: bool,
}

impl Peer {
    /// Has the tunnel write a datagram, and queues it: a packet that is sealed, or a message of the protocol.
    /// Returns whether it wrote one.
    fn write<S: Datagrams>(
        &mut self,
        outgoing: &mut Outgoing<S>,
        write: impl for<'a> FnOnce(&mut Tunn, &'a mut [u8]) -> TunnResult<'a>,
    ) -> bool {
        let written = write(&mut self.tunnel, outgoing.room());
        let (TunnResult::WriteToNetwork(datagram), Some(to)) = (written, self.endpoint) else { return false };
        let length = datagram.len();
        self.sent += length as u64;
        outgoing.push(length, to);
        true
    }

    /// It has the keys, as of now: sends the packets that waited for that.
    fn confirm<S: Datagrams>(&mut self, outgoing: &mut Outgoing<S>, now: Duration) {
        (self.last_handshake, self.is_unconfirmed) = (Some(now), false);
        while self.write(outgoing, |tunnel, room| tunnel.decapsulate(None, &[], room)) {}
    }

    /// Calls it, unless that is going on.
    fn call<S: Datagrams>(&mut self, outgoing: &mut Outgoing<S>) {
        if self.endpoint.is_some() {
            self.write(outgoing, |tunnel, room| tunnel.format_handshake_initiation(room, false));
        }
    }
}

/// A VPN between a device and a socket.
///
/// Nothing in it waits to receive, and no thread is its own. A program waits until the device or the socket
/// is readable, or the time for the next tick has come, and calls what fits:
///
/// ```no_run
/// # use {tunctl::{Result, TunDevice}, tunctl_vpn::{Vpn, datagrams::Datagrams}};
/// # fn drive<D: TunDevice, S: Datagrams>(mut vpn: Vpn<D, S>) -> Result<()> {
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
/// [`peers`](Self::peers). The timers of the protocol advance in [`tick`](Self::tick) alone, by boringtun's
/// own clock: the system's (`CLOCK_BOOTTIME`), or the mock one of its feature `mock-instant`, which is for
/// simulations, and which nothing in this workspace may turn on.
#[expect(missing_debug_implementations, reason = "there are keys")]
pub struct Vpn<D, S> {
    device: Bulk<D>,
    keys: (StaticSecret, PublicKey),
    limits: Arc<RateLimiter>,
    peers: Vec<Peer>,
    by_key: HashMap<Key, usize>,
    by_address: IpNetworkTable<usize>,
    packets: RecvBatch,
    room: Vec<u8>,
    opened: SendBatch,
    outgoing: Outgoing<S>,
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
        let key = StaticSecret::from(config.private_key.0);
        let public_key = PublicKey::from(&key);
        let limits = Arc::new(RateLimiter::new(&public_key, MOST_HANDSHAKES));
        let (mut peers, mut by_key, mut by_address) = (Vec::new(), HashMap::new(), IpNetworkTable::new());
        let mut outgoing = Outgoing::new(socket);
        for (number, config) in (0..).zip(&config.peers) {
            let (public, shared) =
                (PublicKey::from(config.public_key.0), config.preshared_key.map(|key| key.0));
            let keepalive = Some(config.keepalive).filter(|seconds| *seconds > 0);
            by_key.insert(config.public_key, peers.len());
            for network in &config.allowed_ips {
                by_address.insert(*network, peers.len());
            }
            let mut peer = Peer {
                config: config.clone(),
                endpoint: config.endpoint.map(|remote| Endpoint { remote, local: None }),
                last_handshake: None,
                received: 0,
                sent: 0,
                tunnel: Tunn::new(key.clone(), public, shared, keepalive, number, Some(Arc::clone(&limits))),
                is_unconfirmed: false,
            };
            if keepalive.is_some() {
                peer.call(&mut outgoing);
            }
            peers.push(peer);
        }
        outgoing.flush();
        let (device, keys, room) = (device.into_bulk()?, (key, public_key), vec![0; ROOM]);
        let (packets, opened, dropped) = (device.recv_batch(), device.send_batch(), Dropped::default());
        Ok(Self { device, keys, limits, peers, by_key, by_address, packets, room, opened, outgoing, dropped })
    }

    /// Seals what the device has, and sends it. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// The device has failed for good: `Gone`.
    pub fn from_device(&mut self) -> Result<bool> {
        match self.device.try_recv(&mut self.packets) {
            Err(error) if error.is_would_block() || error.is_packet_lost() => return Ok(false),
            outcome => outcome?,
        };
        // Each packet is cut from a large one, and its datagram is written behind that of the one before.
        while let Some(packet) = self.packets.next() {
            let Some(to) = Tunn::dst_address(packet) else {
                self.dropped.malformed += 1;
                continue;
            };
            let peer = self.by_address.longest_match(to).map(|(_, &peer)| &mut self.peers[peer]);
            let Some(peer) = peer.filter(|peer| peer.endpoint.is_some()) else {
                self.dropped.unrouted += 1;
                continue;
            };
            peer.write(&mut self.outgoing, |tunnel, room| tunnel.encapsulate(packet, room));
        }
        self.outgoing.flush();
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
            let received = match self.outgoing.socket.recv(&mut self.room) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Such as that memory is short. The next one may do.
                Err(_) => continue,
            };
            is_any = true;
            let room = mem::take(&mut self.room);
            for datagram in room[..received.length].chunks(received.size.max(1)) {
                let outcome = match Tunn::parse_incoming_packet(datagram) {
                    Ok(Packet::PacketData(data)) => {
                        self.open(peer_of(data.receiver_idx), datagram, received.from, now)?
                    }
                    Ok(_) => self.answer(datagram, received.from, now),
                    Err(error) => Err(error),
                };
                self.count(outcome);
            }
            self.room = room;
        }
        self.deliver()?;
        self.outgoing.flush();
        Ok(is_any)
    }

    /// Advances the timers: handshakes that are due or were not answered, keepalives, keys that expire.
    pub fn tick(&mut self) {
        self.limits.reset_count();
        for peer in &mut self.peers {
            let mut has_given_up = false;
            peer.write(&mut self.outgoing, |tunnel, room| {
                let outcome = tunnel.update_timers(room);
                has_given_up = matches!(outcome, TunnResult::Err(WireGuardError::ConnectionExpired));
                outcome
            });
            // The tunnel waits for a packet then, and one that is to be kept alive has none.
            if has_given_up && peer.config.keepalive > 0 {
                peer.call(&mut self.outgoing);
            }
        }
        self.outgoing.flush();
    }

    /// Opens a packet where the device will take it from.
    fn open(&mut self, number: usize, datagram: &[u8], from: Endpoint, now: Duration) -> Result<Verdict> {
        let most = datagram.len() - HEADER;
        if self.opened.is_full_for(most) {
            self.deliver()?;
        }
        let Some(peer) = self.peers.get_mut(number) else { return Ok(Err(WireGuardError::WrongIndex)) };
        let (addresses, foreign, mut verdict) = (&self.by_address, &mut self.dropped.foreign, Ok(()));
        let packet = self.opened.push_with(most, |room| {
            let (packet, source): (_, IpAddr) = match peer.tunnel.decapsulate(None, datagram, room) {
                TunnResult::WriteToTunnelV4(packet, source) => (packet, source.into()),
                TunnResult::WriteToTunnelV6(packet, source) => (packet, source.into()),
                TunnResult::Err(error) => {
                    verdict = Err(error);
                    return 0;
                }
                // It keeps the peer alive, and is empty.
                TunnResult::Done | TunnResult::WriteToNetwork(_) => return 0,
            };
            let is_its_own = addresses.longest_match(source).is_some_and(|(_, owner)| *owner == number);
            *foreign += u64::from(!is_its_own);
            if is_its_own { packet.len() } else { 0 }
        })?;
        if packet.is_empty() {
            self.opened.pop();
        }
        if verdict.is_ok() {
            peer.received += datagram.len() as u64;
            // It is where its last genuine datagram came from.
            peer.endpoint = Some(from);
            if peer.is_unconfirmed {
                peer.confirm(&mut self.outgoing, now);
            }
        }
        Ok(verdict)
    }

    /// Answers a message of a handshake.
    fn answer(&mut self, datagram: &[u8], from: Endpoint, now: Duration) -> Verdict {
        let (address, mut cookie) = (Some(from.remote.ip()), [0; 64]);
        let message = match self.limits.verify_packet(address, datagram, &mut cookie) {
            Ok(message) => message,
            Err(TunnResult::WriteToNetwork(cookie)) => {
                // Whether it arrives is the caller's worry.
                let _ = self.outgoing.socket.send(from, cookie, cookie.len());
                return Err(WireGuardError::UnderLoad);
            }
            Err(TunnResult::Err(error)) => return Err(error),
            Err(_) => return Err(WireGuardError::InvalidPacket),
        };
        let is_call = matches!(message, Packet::HandshakeInit(_));
        let number = match &message {
            Packet::HandshakeInit(call) => {
                let caller = parse_handshake_anon(&self.keys.0, &self.keys.1, call)?;
                self.by_key.get(&Key(caller.peer_static_public)).copied()
            }
            Packet::HandshakeResponse(response) => Some(peer_of(response.receiver_idx)),
            Packet::PacketCookieReply(reply) => Some(peer_of(reply.receiver_idx)),
            Packet::PacketData(data) => Some(peer_of(data.receiver_idx)),
        };
        let peer = number.and_then(|number| self.peers.get_mut(number)).ok_or(WireGuardError::WrongIndex)?;
        let mut verdict = Ok(());
        // The answer goes where the message came from. If there is none, the peer has not proved to be there.
        let before = peer.endpoint.replace(from);
        let is_answered = peer.write(&mut self.outgoing, |tunnel, room| {
            match tunnel.decapsulate(address, datagram, room) {
                TunnResult::Err(error) => {
                    verdict = Err(error);
                    TunnResult::Done
                }
                outcome => outcome,
            }
        });
        match (is_answered, is_call) {
            (false, _) => peer.endpoint = before,
            (true, true) => peer.is_unconfirmed = true,
            (true, false) => peer.confirm(&mut self.outgoing, now),
        }
        peer.received += if verdict.is_ok() { datagram.len() as u64 } else { 0 };
        verdict
    }

    /// Hands the packets that were opened to the device.
    fn deliver(&mut self) -> Result<()> {
        match self.device.send(&mut self.opened) {
            Err(error) if error.is_packet_lost() => self.dropped.refused += self.opened.lost().len() as u64,
            outcome => drop(outcome?),
        }
        Ok(())
    }

    fn count(&mut self, verdict: Verdict) {
        use WireGuardError as E;
        let Err(error) = verdict else { return };
        *match error {
            E::InvalidMac | E::InvalidAeadTag | E::WrongKey => &mut self.dropped.forged,
            E::InvalidCounter | E::DuplicateCounter | E::WrongTai64nTimestamp => &mut self.dropped.replayed,
            E::WrongIndex | E::NoCurrentSession | E::UnexpectedPacket => &mut self.dropped.unknown,
            E::UnderLoad => &mut self.dropped.limited,
            _ => &mut self.dropped.malformed,
        } += 1;
    }

    /// The peers, in the order in which they were configured.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// What went nowhere.
    pub const fn dropped(&self) -> Dropped {
        Dropped { unsent: self.outgoing.unsent, ..self.dropped }
    }

    /// The device, and its interface.
    pub const fn device(&self) -> &Bulk<D> {
        &self.device
    }

    /// The socket.
    pub const fn socket(&self) -> &S {
        &self.outgoing.socket
    }
}

/// What the protocol says of a datagram.
type Verdict = std::result::Result<(), WireGuardError>;

/// The peer that a datagram is from: a tunnel numbers its sessions in the lowest byte.
const fn peer_of(receiver: u32) -> usize {
    (receiver >> 8) as usize
}

#[cfg(test)]
mod tests;
