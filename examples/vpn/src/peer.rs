//! A peer: its tunnel, where it is, what passed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use boringtun::x25519::StaticSecret;

use crate::config::PeerConfig;
use crate::datagrams::{Datagrams, Endpoint, Outgoing};

/// A peer, as it was configured and as it is.
pub struct Peer {
    /// How it was configured.
    pub config: PeerConfig,
    /// Where it was heard last, or is said to be. `None`: it must call first.
    pub endpoint: Option<Endpoint>,
    /// When it last proved that it has the keys.
    pub last_handshake: Option<Duration>,
    /// Bytes of its datagrams that were genuine.
    pub received: u64,
    /// Bytes of datagrams for it.
    pub sent: u64,
    pub(crate) tunnel: Tunn,
    /// It has called, and nothing came by the new keys yet.
    pub(crate) is_unconfirmed: bool,
}

impl Peer {
    /// The `index` comes back in its datagrams.
    pub(crate) fn new(
        config: PeerConfig,
        key: &StaticSecret,
        index: u32,
        limiter: &Arc<RateLimiter>,
    ) -> Self {
        let (public, shared, keepalive) = (config.public_key, config.preshared_key, config.keepalive);
        Self {
            endpoint: config.endpoint.map(|remote| Endpoint { remote, local: None }),
            config,
            last_handshake: None,
            received: 0,
            sent: 0,
            tunnel: Tunn::new(key.clone(), public, shared, keepalive, index, Some(Arc::clone(limiter))),
            is_unconfirmed: false,
        }
    }

    /// Has the tunnel write a datagram, and queues it: a packet that is sealed, or a message of the protocol.
    /// Returns whether it wrote one.
    pub(crate) fn write<S: Datagrams>(
        &mut self,
        outgoing: &mut Outgoing,
        socket: &S,
        write: impl for<'a> FnOnce(&mut Tunn, &'a mut [u8]) -> TunnResult<'a>,
    ) -> bool {
        let (TunnResult::WriteToNetwork(datagram), Some(to)) =
            (write(&mut self.tunnel, outgoing.room()), self.endpoint)
        else {
            return false;
        };
        let length = datagram.len();
        self.sent += length as u64;
        outgoing.push(length, to, socket);
        true
    }

    /// Sends the packets that waited for a handshake.
    pub(crate) fn write_waiting(&mut self, outgoing: &mut Outgoing, socket: &impl Datagrams) {
        while self.write(outgoing, socket, |tunnel, room| tunnel.decapsulate(None, &[], room)) {}
    }

    /// Calls the peer, unless it is being called.
    pub(crate) fn call(&mut self, outgoing: &mut Outgoing, socket: &impl Datagrams) {
        self.write(outgoing, socket, |tunnel, room| tunnel.format_handshake_initiation(room, false));
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
