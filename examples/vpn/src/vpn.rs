//! The loop: from the device to the network and back, and the timers.

use std::io::ErrorKind;
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

use crate::config::{Config, PeerConfig};
use crate::datagrams::{Datagrams, Endpoint, Outgoing};

/// The longest answer to a message of a handshake.
const ANSWER: usize = 92;

/// Packets and datagrams that went nowhere, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// From the network, and no message of the protocol, or no IP packet in it.
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
    /// To no address that a peer has, or one whose peer has not called yet; or datagrams of ours, for a peer
    /// that has moved to where the routes lead into the tunnel.
    pub unrouted: u64,
    /// Refused by the socket, with those of the same call.
    pub unsent: u64,
    /// Refused by the device, or handed out by it as no packets.
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
    /// It has called, and nothing came by the new keys yet, which have this index.
    unconfirmed: Option<[u8; 4]>,
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
        let (length, is_call) = (datagram.len(), datagram[0] == 1);
        self.sent += length as u64;
        // A call goes where the routes are now: they may have changed, and our old address be there yet.
        outgoing.push(length, Endpoint { local: to.local.filter(|_| !is_call), ..to });
        true
    }
}

/// A VPN between a device and a socket.
///
/// Nothing in it waits to receive, and no thread is its own. A program waits until the device or the socket
/// is readable, and then calls [`from_device`](Self::from_device) and [`from_network`](Self::from_network)
/// until neither has anything, and [`tick`](Self::tick) each [`TICK`](Self::TICK).
///
/// `now` is the time since any fixed moment, and dates the handshakes of [`peers`](Self::peers). The timers
/// of the protocol advance in `tick` alone, by boringtun's own clock: the system's (`CLOCK_BOOTTIME`), or the
/// mock one of its feature `mock-instant`, which is for simulations.
#[expect(missing_debug_implementations, reason = "there are keys")]
pub struct Vpn<D, S> {
    device: Bulk<D>,
    keys: (StaticSecret, PublicKey),
    port: u16,
    limits: Arc<RateLimiter>,
    peers: Vec<Peer>,
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
        let private = StaticSecret::from(config.private_key.0);
        let public = PublicKey::from(&private);
        // Beyond 100 calls a second, a caller must prove its address first. The limiter counts each twice:
        // when we look for the peer, and when its tunnel takes the message.
        let limits = Arc::new(RateLimiter::new(&public, 2 * 100));
        let (mut peers, mut by_address) = (Vec::new(), IpNetworkTable::new());
        for (number, config) in (0..).zip(&config.peers) {
            for network in &config.allowed_ips {
                by_address.insert(*network, peers.len());
            }
            let (key, shared) = (config.public_key.0.into(), config.preshared_key.map(|key| key.0));
            let (keepalive, limits) = (Some(config.keepalive), Some(Arc::clone(&limits)));
            peers.push(Peer {
                config: config.clone(),
                endpoint: config.endpoint.map(|remote| Endpoint { remote, local: None }),
                last_handshake: None,
                received: 0,
                sent: 0,
                tunnel: Tunn::new(private.clone(), key, shared, keepalive, number, limits),
                unconfirmed: None,
            });
        }
        let device = device.into_bulk()?;
        let mut vpn = Self {
            packets: device.recv_batch(),
            opened: device.send_batch(),
            device,
            keys: (private, public),
            port: config.listen_port,
            limits,
            peers,
            by_address,
            room: vec![0; 1 << 16],
            outgoing: Outgoing::new(socket),
            dropped: Dropped::default(),
        };
        vpn.tick();
        Ok(vpn)
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
            let is_ours = is_ours(packet, self.port, &self.peers);
            let found = Tunn::dst_address(packet).and_then(|to| self.by_address.longest_match(to));
            let peer = found.map(|(_, &number)| &mut self.peers[number]);
            let Some(peer) = peer.filter(|peer| peer.endpoint.is_some() && !is_ours) else {
                self.dropped.unrouted += 1;
                continue;
            };
            peer.write(&mut self.outgoing, |tunnel, room| tunnel.encapsulate(packet, room));
        }
        self.outgoing.finish();
        Ok(true)
    }

    /// Opens what the socket has, and hands it to the device. Returns whether there was anything.
    ///
    /// # Errors
    ///
    /// The device has failed for good: `Gone`.
    pub fn from_network(&mut self, now: Duration) -> Result<bool> {
        let mut is_any = false;
        // Then the packets go to the device.
        for _ in 0..16 {
            let received = match self.outgoing.socket.recv(&mut self.room) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // Such as that memory is short. The next one may do.
                Err(_) => continue,
            };
            is_any = true;
            self.dropped.malformed += u64::from(received.length == 0);
            let room = std::mem::take(&mut self.room);
            for datagram in room[..received.length].chunks(received.size.max(1)) {
                if self.opened.is_full_for(datagram.len().max(ANSWER)) {
                    self.deliver()?;
                }
                if let Err(error) = self.receive(datagram, received.from, now) {
                    self.count(&error);
                }
            }
            self.room = room;
        }
        self.deliver()?;
        self.outgoing.finish();
        Ok(is_any)
    }

    /// Advances the timers: handshakes that are due or were not answered, keepalives, keys that expire.
    pub fn tick(&mut self) {
        self.limits.reset_count();
        for peer in &mut self.peers {
            peer.write(&mut self.outgoing, Tunn::update_timers);
            // A tunnel without keys waits for a packet, and one that is to be kept alive may have none.
            let has_keys = peer.tunnel.time_since_last_handshake().is_some();
            if peer.config.keepalive > 0 && peer.endpoint.is_some() && !has_keys {
                peer.write(&mut self.outgoing, |tunnel, to| tunnel.format_handshake_initiation(to, false));
            }
        }
        self.outgoing.finish();
    }

    /// Opens a packet where the device will take it from, or answers a message of a handshake.
    fn receive(&mut self, datagram: &[u8], from: Endpoint, now: Duration) -> Result<(), WireGuardError> {
        let message = Tunn::parse_incoming_packet(datagram)?;
        // A tunnel numbers its sessions in the lowest byte.
        let number = match &message {
            Packet::HandshakeInit(_) => self.find_caller(datagram, from)?,
            Packet::HandshakeResponse(response) => (response.receiver_idx >> 8) as usize,
            Packet::PacketCookieReply(reply) => (reply.receiver_idx >> 8) as usize,
            Packet::PacketData(data) => (data.receiver_idx >> 8) as usize,
        };
        let peer = self.peers.get_mut(number).ok_or(WireGuardError::WrongIndex)?;
        let mut verdict = Ok(());
        let mut route = |packet: &[u8], source: IpAddr| {
            let is_its_own = self.by_address.longest_match(source).is_some_and(|(_, owner)| *owner == number);
            self.dropped.foreign += u64::from(!is_its_own);
            if is_its_own { packet.len() } else { 0 }
        };
        let packet = self.opened.push_with(datagram.len().max(ANSWER), |room| {
            match peer.tunnel.decapsulate(Some(from.remote.ip()), datagram, room) {
                TunnResult::WriteToTunnelV4(packet, source) => return route(packet, source.into()),
                TunnResult::WriteToTunnelV6(packet, source) => return route(packet, source.into()),
                TunnResult::WriteToNetwork(answer) => {
                    match Tunn::parse_incoming_packet(answer) {
                        Ok(Packet::PacketCookieReply(_)) => verdict = Err(WireGuardError::UnderLoad),
                        Ok(Packet::HandshakeResponse(_)) => peer.unconfirmed = answer[4..8].try_into().ok(),
                        _ => {}
                    }
                    self.outgoing.room()[..answer.len()].copy_from_slice(answer);
                    self.outgoing.push(answer.len(), from);
                    peer.sent += answer.len() as u64;
                }
                TunnResult::Err(error) => verdict = Err(error),
                TunnResult::Done => {}
            }
            0
        });
        if packet.is_ok_and(|packet| packet.is_empty()) {
            self.opened.pop();
        }
        verdict?;
        peer.received += datagram.len() as u64;
        // It has proved that it has the keys when it answers our call, or by the first datagram under the
        // keys of its own call, which anybody can repeat. By the keys of before it may send meanwhile.
        let has_proved = match message {
            Packet::PacketCookieReply(_) => return Ok(()),
            Packet::HandshakeInit(_) => false,
            Packet::HandshakeResponse(_) => true,
            Packet::PacketData(_) => peer.unconfirmed.is_some_and(|index| index == datagram[4..8]),
        };
        // A peer is where its last genuine datagram came from.
        peer.endpoint = Some(from);
        if has_proved {
            (peer.last_handshake, peer.unconfirmed) = (Some(now), None);
            // The packets that waited for the keys.
            while peer.write(&mut self.outgoing, |tunnel, room| tunnel.decapsulate(None, &[], room)) {}
        }
        Ok(())
    }

    /// The number of the peer that calls, unless the caller must prove its address first.
    fn find_caller(&mut self, call: &[u8], from: Endpoint) -> Result<usize, WireGuardError> {
        match self.limits.verify_packet(Some(from.remote.ip()), call, self.outgoing.room()) {
            Ok(Packet::HandshakeInit(call)) => {
                let key = parse_handshake_anon(&self.keys.0, &self.keys.1, &call)?.peer_static_public;
                let is_caller = |peer: &Peer| peer.config.public_key.0 == key;
                self.peers.iter().position(is_caller).ok_or(WireGuardError::WrongIndex)
            }
            Err(TunnResult::WriteToNetwork(cookie)) => {
                let length = cookie.len();
                self.outgoing.push(length, from);
                Err(WireGuardError::UnderLoad)
            }
            Err(TunnResult::Err(error)) => Err(error),
            _ => Err(WireGuardError::InvalidPacket),
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

    fn count(&mut self, error: &WireGuardError) {
        use WireGuardError as E;
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
        let refused = self.dropped.refused + self.packets.statistics().lost;
        Dropped { unsent: self.outgoing.unsent, refused, ..self.dropped }
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

/// Whether a packet is a datagram of ours: from our port to where a peer is.
fn is_ours(packet: &[u8], port: u16, peers: &[Peer]) -> bool {
    let view = tunctl::packet::Packet::parse(Layer::Tun, packet).ok();
    let view = view.filter(|view| view.source_port() == Some(port));
    let to = view.and_then(|view| Some((view.destination()?, view.destination_port()?).into()));
    to.is_some() && peers.iter().any(|peer| peer.endpoint.map(|endpoint| endpoint.remote) == to)
}

#[cfg(test)]
mod tests;
