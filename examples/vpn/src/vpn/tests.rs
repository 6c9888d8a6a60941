//! The loop on the driver in memory, over a network in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::{Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::thread;

use tunctl::mock::{MockBackend, MockDevice};
use tunctl::packet::header::GsoType;
use tunctl::packet::udp_packet;

use super::*;
use crate::config::Key;
use crate::datagrams::Received;

/// What was sent and not received: from, to, the bytes, and the bytes of each datagram.
type Calls = Rc<RefCell<VecDeque<(SocketAddr, SocketAddr, Vec<u8>, usize)>>>;

struct Socket {
    own: SocketAddr,
    calls: Calls,
    /// By which address of ours the last call to send was to go.
    local: Cell<Option<Ipv6Addr>>,
    /// The calls to send find no room, and are counted.
    is_full: bool,
    refused: Cell<u32>,
}

/// What a socket says that it was called by.
const LOCAL: Option<Ipv6Addr> = Some(Ipv6Addr::LOCALHOST);

impl Datagrams for Socket {
    fn recv(&self, room: &mut [u8]) -> io::Result<Received> {
        let mut calls = self.calls.borrow_mut();
        let place = calls.iter().position(|(_, to, ..)| *to == self.own).ok_or(ErrorKind::WouldBlock)?;
        let (remote, _, bytes, size) = calls.remove(place).unwrap();
        room[..bytes.len()].copy_from_slice(&bytes);
        Ok(Received { from: Endpoint { remote, local: LOCAL }, length: bytes.len(), size })
    }

    fn send(&self, to: Endpoint, bytes: &[u8], size: usize) -> io::Result<()> {
        if self.is_full {
            self.refused.set(self.refused.get() + 1);
            return Err(ErrorKind::WouldBlock.into());
        }
        self.local.set(to.local);
        self.calls.borrow_mut().push_back((self.own, to.remote, bytes.to_vec(), size));
        Ok(())
    }
}

fn public(private: u8) -> Key {
    Key(PublicKey::from(&StaticSecret::from([private; 32])).to_bytes())
}

/// A peer whose private key is these bytes, and whose address ends with them.
fn peer(number: u8, allowed: &str, keepalive: u16) -> PeerConfig {
    PeerConfig {
        public_key: public(number),
        allowed_ips: allowed.split(' ').map(|network| network.parse().unwrap()).collect(),
        endpoint: Some(address(number)),
        keepalive,
        ..PeerConfig::default()
    }
}

fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, number], 51_820))
}

struct Host {
    backend: MockBackend,
    vpn: Vpn<MockDevice, Socket>,
}

impl Host {
    fn new(number: u8, calls: &Calls, peers: Vec<PeerConfig>) -> Self {
        let backend = MockBackend::new();
        let device = backend.create(&CreateOptions::tun().name("vpn0").vnet_header(true).up()).unwrap();
        let listen_port = address(number).port();
        let config = Config { private_key: Key([number; 32]), listen_port, peers, ..Config::default() };
        let socket = Socket {
            own: address(number),
            calls: Rc::clone(calls),
            local: Cell::default(),
            is_full: false,
            refused: Cell::default(),
        };
        Self { backend, vpn: Vpn::new(&config, device, socket).unwrap() }
    }

    /// Has the system send a datagram.
    fn inject(&self, to: &str, length: usize) -> Vec<u8> {
        let from = if to.starts_with('[') { "[fd00::1]:9" } else { "10.0.0.1:9" };
        let packet = udp_packet(from.parse().unwrap(), to.parse().unwrap(), &vec![7; length]).unwrap();
        self.backend.inject("vpn0", &packet);
        packet
    }
}

/// Lets both go round until nothing is left to do.
fn settle(hosts: &mut [&mut Host]) {
    let turn =
        |host: &mut Host| host.vpn.from_device().unwrap() | host.vpn.from_network(Duration::ZERO).unwrap();
    while hosts.iter_mut().fold(false, |any, host| turn(host) | any) {}
}

#[test]
fn a_packet_goes_to_the_peer_with_the_longest_prefix() {
    let calls = Calls::default();
    let peers = vec![
        peer(2, "10.0.0.0/8 fd00::/16", 0),
        peer(3, "10.1.0.0/16 fd00:1::/32", 0),
        peer(4, "10.1.2.3/32 fd00:1::3/128", 0),
    ];
    let mut host = Host::new(1, &calls, peers);
    for (to, number) in [
        ("10.2.0.1:9", 2),
        ("10.1.0.1:9", 3),
        ("10.1.2.3:9", 4),
        ("[fd00:2::1]:9", 2),
        ("[fd00:1::1]:9", 3),
        ("[fd00:1::3]:9", 4),
    ] {
        let sent = host.vpn.peers()[number - 2].sent;
        host.inject(to, 10);
        assert!(host.vpn.from_device().unwrap());
        let is_called = host.vpn.peers()[number - 2].sent > sent;
        // The second packet waits for the answer to the call of the first.
        assert_eq!(is_called, !to.starts_with('['), "{to}");
    }
    let called: Vec<_> = calls.borrow().iter().map(|(_, to, ..)| *to).collect();
    assert_eq!(called, [2, 3, 4].map(address));
    host.inject("11.0.0.1:9", 10);
    host.inject("[fd01::1]:9", 10);
    assert!(host.vpn.from_device().unwrap());
    assert_eq!(host.vpn.dropped(), Dropped { unrouted: 2, ..Dropped::default() });
}

/// Each peer is where the other one's network is.
#[test]
fn a_datagram_of_ours_is_not_sealed_again() {
    let peers = vec![peer(2, "192.0.2.3/32", 0), peer(3, "192.0.2.2/32", 0)];
    let mut host = Host::new(1, &Calls::default(), peers);
    for (from, to, unrouted) in [
        (51_820, "192.0.2.2:51820", 1),
        (51_820, "192.0.2.3:51820", 2),
        (51_821, "192.0.2.3:51820", 2),
        (51_820, "192.0.2.3:51821", 2),
    ] {
        let from = SocketAddr::from(([192, 0, 2, 1], from));
        host.backend.inject("vpn0", udp_packet(from, to.parse().unwrap(), b"sealed").unwrap());
        assert!(host.vpn.from_device().unwrap());
        assert_eq!(host.vpn.dropped(), Dropped { unrouted, ..Dropped::default() }, "{to}");
    }
}

/// Two hosts that have made their keys.
fn pair(calls: &Calls) -> (Host, Host) {
    let mut one = Host::new(1, calls, vec![peer(2, "0.0.0.0/0", 0)]);
    let mut other = Host::new(2, calls, vec![peer(1, "0.0.0.0/0", 0)]);
    let packet = one.inject("10.0.0.2:9", 100);
    settle(&mut [&mut one, &mut other]);
    // It waited for the keys.
    assert_eq!(other.backend.take("vpn0"), Some(packet));
    (one, other)
}

#[test]
fn packets_of_a_flow_are_sent_by_one_call_and_arrive_merged() {
    let calls = Calls::default();
    let (mut one, mut other) = pair(&calls);
    // The last one is shorter, and ends what can go together.
    let lengths = [1000, 1000, 1000, 1000, 500, 1000];
    for length in lengths {
        one.inject("10.0.0.2:9", length);
    }
    assert!(one.vpn.from_device().unwrap());
    let sent: Vec<_> = calls.borrow().iter().map(|(.., bytes, size)| (bytes.len(), *size)).collect();
    let sealed = |length: usize| length + 28 + 32;
    assert_eq!(sent, [(4 * sealed(1000) + sealed(500), sealed(1000)), (sealed(1000), sealed(1000))]);
    assert!(other.vpn.from_network(Duration::ZERO).unwrap());
    let (header, arrived) = other.backend.take_large("vpn0").unwrap();
    assert_eq!((header.gso_type(), header.segment_size(), arrived.len()), (GsoType::UdpL4, 1000, 28 + 4500));
    assert_eq!((one.vpn.dropped(), other.vpn.dropped()), (Dropped::default(), Dropped::default()));
}

#[test]
fn a_peer_is_dated_when_it_has_proved_to_have_the_keys() {
    let calls = Calls::default();
    let mut one = Host::new(1, &calls, vec![peer(2, "0.0.0.0/0", 25)]);
    let mut other = Host::new(2, &calls, vec![peer(1, "0.0.0.0/0", 0)]);
    let seconds = Duration::from_secs;
    // The call, which anybody may have recorded; the answer; a first datagram by the new keys.
    other.vpn.from_network(seconds(3)).unwrap();
    assert_eq!(other.vpn.peers()[0].last_handshake, None);
    one.vpn.from_network(seconds(4)).unwrap();
    assert_eq!(one.vpn.peers()[0].last_handshake, Some(seconds(4)));
    other.vpn.from_network(seconds(5)).unwrap();
    assert_eq!(other.vpn.peers()[0].last_handshake, Some(seconds(5)));
}

/// Has a host call its peer, whether it has keys or not.
fn call(host: &mut Host) {
    let Vpn { peers, outgoing, .. } = &mut host.vpn;
    assert!(peers[0].write(outgoing, |tunnel, room| tunnel.format_handshake_initiation(room, true)));
    outgoing.flush();
}

#[test]
fn a_packet_by_the_old_keys_does_not_date_a_peer() {
    let calls = Calls::default();
    let (mut one, mut other) = pair(&calls);
    let before = other.vpn.peers()[0].last_handshake;
    call(&mut one);
    one.inject("10.0.0.2:9", 10);
    one.vpn.from_device().unwrap();
    other.vpn.from_network(Duration::from_secs(7)).unwrap();
    assert_eq!(other.vpn.peers()[0].last_handshake, before);
    one.vpn.from_network(Duration::from_secs(8)).unwrap();
    other.vpn.from_network(Duration::from_secs(9)).unwrap();
    assert_eq!(other.vpn.peers()[0].last_handshake, Some(Duration::from_secs(9)));
}

#[test]
fn a_call_goes_by_the_route_and_all_else_by_the_address_that_the_peer_knows() {
    let calls = Calls::default();
    let (mut one, mut other) = pair(&calls);
    let local = |host: &Host| host.vpn.socket().local.get();
    one.inject("10.0.0.2:9", 10);
    one.vpn.from_device().unwrap();
    assert_eq!(local(&one), LOCAL);
    call(&mut one);
    assert_eq!(local(&one), None);
    other.vpn.socket().local.set(None);
    other.vpn.from_network(Duration::ZERO).unwrap();
    assert_eq!(local(&other), LOCAL, "the answer");
}

#[test]
fn behind_a_datagram_of_any_length_is_room_for_another() {
    let (mut one, _) = pair(&Calls::default());
    let (longest, to) = (65_535 + 32, one.vpn.peers()[0].endpoint.unwrap());
    for _ in 0..2 {
        assert!(one.vpn.outgoing.room().len() >= longest, "{}", one.vpn.outgoing.room().len());
        one.vpn.outgoing.push(longest, to);
    }
}

#[test]
fn a_socket_without_room_is_waited_for_once() {
    let (mut one, _) = pair(&Calls::default());
    one.vpn.outgoing.socket.is_full = true;
    for length in [10, 20, 30] {
        one.inject("10.0.0.2:9", length);
    }
    one.vpn.from_device().unwrap();
    assert_eq!((one.vpn.socket().refused.get(), one.vpn.dropped().unsent), (1, 3));
    one.vpn.outgoing.socket.is_full = false;
    one.inject("10.0.0.2:9", 10);
    one.vpn.from_device().unwrap();
    assert_eq!(one.vpn.dropped().unsent, 3);
}

#[test]
fn what_is_empty_is_counted() {
    let calls = Calls::default();
    let (mut one, _) = pair(&calls);
    calls.borrow_mut().push_back((address(2), address(1), Vec::new(), 0));
    assert!(one.vpn.from_network(Duration::ZERO).unwrap());
    assert_eq!(one.vpn.dropped(), Dropped { malformed: 1, ..Dropped::default() });
}

#[test]
fn a_peer_is_where_its_last_datagram_came_from() {
    let calls = Calls::default();
    let (mut one, mut other) = pair(&calls);
    let endpoint = |host: &Host| host.vpn.peers()[0].endpoint.unwrap().remote;
    assert_eq!((endpoint(&one), endpoint(&other)), (address(2), address(1)));
    one.vpn.outgoing.socket.own = address(77);
    let there = one.inject("10.0.0.2:9", 10);
    settle(&mut [&mut one, &mut other]);
    assert_eq!((other.backend.take("vpn0"), endpoint(&other)), (Some(there), address(77)));
    let back = other.inject("10.0.0.1:9", 10);
    settle(&mut [&mut one, &mut other]);
    assert_eq!(one.backend.take("vpn0"), Some(back));
}

#[test]
fn a_peer_is_not_where_a_copy_of_its_datagram_came_from() {
    let calls = Calls::default();
    let mut one = Host::new(1, &calls, vec![peer(2, "0.0.0.0/0", 25)]);
    let mut other = Host::new(2, &calls, vec![peer(1, "0.0.0.0/0", 0)]);
    let mut copies = Vec::new();
    // The call, then the empty datagram that confirms the keys, then a packet.
    for _ in 0..3 {
        copies.extend(calls.borrow().iter().filter(|(_, to, ..)| *to == address(2)).cloned());
        other.vpn.from_network(Duration::ZERO).unwrap();
        one.vpn.from_network(Duration::ZERO).unwrap();
        one.inject("10.0.0.2:9", 10);
        one.vpn.from_device().unwrap();
    }
    settle(&mut [&mut one, &mut other]);
    assert!(copies.len() >= 3, "{}", copies.len());
    let count = copies.len() as u64;
    for (_, to, bytes, size) in copies {
        calls.borrow_mut().push_back((address(66), to, bytes, size));
    }
    settle(&mut [&mut one, &mut other]);
    assert_eq!(other.vpn.peers()[0].endpoint.unwrap().remote, address(1));
    assert!(other.vpn.dropped().replayed >= count, "{:?}", other.vpn.dropped());
    assert!(calls.borrow().is_empty(), "nothing is answered");
}

#[test]
fn a_crowd_of_callers_must_prove_its_address() {
    let calls = Calls::default();
    let mut host = Host::new(1, &calls, vec![peer(2, "0.0.0.0/0", 0)]);
    for _ in 0..250 {
        let keys = (StaticSecret::from([9; 32]), PublicKey::from(public(1).0));
        let mut room = [0; 148];
        let mut caller = Tunn::new(keys.0, keys.1, None, None, 0, None);
        let TunnResult::WriteToNetwork(call) = caller.format_handshake_initiation(&mut room, false) else {
            panic!("it calls");
        };
        calls.borrow_mut().push_back((address(9), address(1), call.to_vec(), call.len()));
    }
    settle(&mut [&mut host]);
    // The limiter counts an unknown caller once, so it lets 200 pass.
    assert_eq!(host.vpn.dropped(), Dropped { unknown: 200, limited: 50, ..Dropped::default() });
    // The cookies.
    let cookies = calls.borrow().iter().fold(0, |cookies, (_, to, bytes, size)| {
        assert_eq!((*to, *size), (address(9), 64));
        cookies + bytes.len() / size
    });
    assert_eq!(cookies, 50);
}

/// A dependency that turned boringtun's mock clock on would stop all timers.
#[test]
fn the_clock_of_the_tunnels_runs() {
    let (one, _) = pair(&Calls::default());
    let age = || one.vpn.peers[0].tunnel.time_since_last_handshake().unwrap();
    let before = age();
    thread::sleep(Duration::from_millis(5));
    assert!(age() >= before + Duration::from_millis(5));
}
