//! How to test a program that uses TUN/TAP, in plain `cargo test`: no root, no device node, any Unix.
//!
//! The program is a small VPN: what comes out of one interface goes as numbered datagrams into another, and
//! what comes in that way is let through once. It is generic over [`TunDevice`], so the tests give it devices
//! of a [`MockBackend`], and play the system around it: a wire that loses, doubles and reorders, a deletion,
//! an errno.
//!
//! ```text
//! cargo run -p tunctl --example mock_unit_test --features mock     what the checks show
//! cargo test -p tunctl --example mock_unit_test --features mock    the same, as tests
//! ```

use std::net::SocketAddr;

use tunctl::Operation;
use tunctl::mock::{Direction, Errno, Fault, Impairment, MockBackend, MockDevice};
use tunctl::packet::{ping_packet, udp_packet};
use tunctl::prelude::*;

// ── The program
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/// What Linux says when it has no memory for a packet at the moment.
const ENOBUFS: i32 = 105;

/// One end of the VPN: packets inside, numbered datagrams outside. (A real one would encrypt.)
struct Vpn<D> {
    inside: D,
    outside: D,
    own: SocketAddr,
    peer: SocketAddr,
    sent: u64,
    window: Window,
}

/// What one turn did.
#[derive(Debug, Default, PartialEq, Eq)]
struct Turn {
    sealed: usize,
    opened: usize,
    /// Replayed, too old, or not from the peer.
    refused: usize,
    /// The kernel had no room at the moment.
    unsent: usize,
}

impl<D: TunDevice> Vpn<D> {
    /// Forwards what is there, in both directions.
    fn turn(&mut self) -> Result<Turn> {
        let mut turn = Turn::default();
        let mut buffer = [0; 2048];
        while let Some(length) = received(&self.inside, &mut buffer)? {
            self.sent += 1;
            let numbered = [&self.sent.to_be_bytes()[..], &buffer[..length]].concat();
            match udp_packet(self.own, self.peer, &numbered) {
                Ok(datagram) if sent(&self.outside, &datagram)? => turn.sealed += 1,
                _ => turn.unsent += 1,
            }
        }
        while let Some(length) = received(&self.outside, &mut buffer)? {
            match self.open(&buffer[..length]) {
                Some(packet) if sent(&self.inside, packet)? => turn.opened += 1,
                Some(_) => turn.unsent += 1,
                None => turn.refused += 1,
            }
        }
        Ok(turn)
    }

    fn open<'a>(&mut self, datagram: &'a [u8]) -> Option<&'a [u8]> {
        let datagram = Packet::parse(Layer::Tun, datagram).ok()?;
        let from = SocketAddr::new(datagram.source()?, datagram.source_port()?);
        let (number, packet) = datagram.payload().split_first_chunk()?;
        (from == self.peer && self.window.accepts(u64::from_be_bytes(*number))).then_some(packet)
    }
}

fn received<D: TunDevice>(device: &D, buffer: &mut [u8]) -> Result<Option<usize>> {
    match device.try_recv(buffer) {
        Err(error) if error.is_would_block() => Ok(None),
        length => length.map(Some),
    }
}

/// A packet that finds no room is lost, as on any network. Whatever else goes wrong is the caller's business.
fn sent<D: TunDevice>(device: &D, packet: &[u8]) -> Result<bool> {
    match device.send(packet) {
        Err(error) if error.raw_os_error() == Some(ENOBUFS) => Ok(false),
        outcome => outcome.map(|_| true),
    }
}

/// The numbers that have come: each is let through once, in any order, the last 64 of them (RFC 4303, section
/// 3.4.3).
#[derive(Default)]
struct Window {
    newest: u64,
    /// Bit n: the number `newest - n` has come.
    seen: u64,
}

impl Window {
    fn accepts(&mut self, number: u64) -> bool {
        if let Some(ahead) = number.checked_sub(self.newest).filter(|&ahead| ahead > 0) {
            self.seen = u32::try_from(ahead).ok().and_then(|ahead| self.seen.checked_shl(ahead)).unwrap_or(0);
            self.newest = number;
        }
        let age = self.newest - number;
        let bit = u32::try_from(age).ok().and_then(|age| 1_u64.checked_shl(age)).unwrap_or(0);
        let is_new = bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        is_new
    }
}

// ── Its tests
// ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const PACKETS: u16 = 200;

/// Two ends of the VPN, and a cable where the Internet would be.
fn pair(kernel: &MockBackend) -> Result<[Vpn<MockDevice>; 2]> {
    let tun = |name: &str, address: &str| {
        let tun = kernel.create(&CreateOptions::tun().name(name))?;
        tun.up(address.parse()?)?;
        Ok::<_, Error>(tun)
    };
    let ends = [SocketAddr::from(([192, 0, 2, 1], 51820)), SocketAddr::from(([192, 0, 2, 2], 51820))];
    let left = (tun("vpn0", "10.1.1.1/24")?, tun("wan0", "192.0.2.1/24")?);
    let right = (tun("vpn1", "10.1.1.2/24")?, tun("wan1", "192.0.2.2/24")?);
    kernel.cable("wan0", "wan1")?;
    let vpn =
        |(inside, outside), own, peer| Vpn { inside, outside, own, peer, sent: 0, window: Window::default() };
    Ok([vpn(left, ends[0], ends[1]), vpn(right, ends[1], ends[0])])
}

/// A packet for the other side, which bears a number.
fn ping(number: u16) -> Vec<u8> {
    ping_packet([10, 1, 1, 1].into(), [10, 1, 1, 2].into(), 7, number, b"hello").unwrap_or_default()
}

/// On a wire that loses, doubles and reorders, each packet that is not lost comes out once.
fn a_bad_wire() -> Result<String> {
    let kernel = MockBackend::new();
    let [mut left, mut right] = pair(&kernel)?;
    kernel.impair("wan0", Direction::FromDevice, Impairment::seeded(7).drop(0.1).duplicate(0.2).reorder(0.3));
    let mut refused = 0;
    for number in 0..PACKETS {
        kernel.inject("vpn0", ping(number));
        left.turn()?;
        refused += right.turn()?.refused;
    }
    kernel.repair("wan0", Direction::FromDevice);
    refused += right.turn()?.refused;

    let (came, lost) = (kernel.packets("vpn1"), kernel.lost("wan0"));
    assert_eq!(came.len() as u64 + lost, PACKETS.into());
    let number_of = |packet: &Vec<u8>| (0..PACKETS).find(|&number| ping(number) == *packet);
    let mut numbers: Vec<_> = came.iter().filter_map(number_of).collect();
    assert_eq!(numbers.len(), came.len(), "nothing came that was not sent");
    assert!(!numbers.is_sorted(), "the wire has changed their order");
    numbers.sort_unstable();
    assert!(numbers.is_sorted_by(|one, next| one < next), "one came twice: {numbers:?}");
    Ok(format!("{PACKETS} sent, {lost} lost, {} came once, {refused} second copies refused", came.len()))
}

/// What an attacker recorded does not go through a second time.
fn a_replay() -> Result<String> {
    let kernel = MockBackend::new();
    let [mut left, mut right] = pair(&kernel)?;
    // The system gets what nobody is plugged in for.
    kernel.unplug("wan0");
    kernel.inject("vpn0", ping(1));
    left.turn()?;
    let recorded = kernel.take("wan0").unwrap_or_default();
    kernel.inject("wan1", &recorded);
    assert_eq!(right.turn()?, Turn { opened: 1, ..Turn::default() });
    kernel.inject("wan1", &recorded);
    assert_eq!(right.turn()?, Turn { refused: 1, ..Turn::default() });
    Ok("the recorded datagram went through once".into())
}

/// Somebody deletes the interface: the program ends with an error that says so, and does not spin.
fn a_deletion() -> Result<String> {
    let kernel = MockBackend::new();
    let [mut left, _right] = pair(&kernel)?;
    kernel.inject("vpn0", ping(1));
    kernel.script(Fault::on(Operation::Send).deletes());
    match left.turn() {
        Err(error) if error.is_gone() => Ok(error.to_string()),
        other => panic!("the interface was deleted, and yet: {other:?}"),
    }
}

/// The kernel runs out of buffers for a moment: that packet is lost, the next is not.
fn an_errno() -> Result<String> {
    let kernel = MockBackend::new();
    let [mut left, mut right] = pair(&kernel)?;
    kernel.script(Fault::on(Operation::Send).errno(Errno::ENOBUFS));
    kernel.inject("vpn0", ping(1));
    kernel.inject("vpn0", ping(2));
    assert_eq!(left.turn()?, Turn { sealed: 1, unsent: 1, ..Turn::default() });
    assert_eq!(right.turn()?.opened, 1);
    assert_eq!(kernel.packets("vpn1"), [ping(2)]);
    Ok("one lost, the next one came".into())
}

/// Linux sends router solicitations of its own: no program may take them for its peer's.
fn a_stranger() -> Result<String> {
    let kernel = MockBackend::new();
    let [mut left, _right] = pair(&kernel)?;
    kernel.solicit_routers("wan0");
    assert_eq!(left.turn()?, Turn { refused: 1, ..Turn::default() });
    Ok("a router solicitation was refused".into())
}

type Check = fn() -> Result<String>;
const CHECKS: [(&str, Check); 5] = [
    ("a bad wire", a_bad_wire),
    ("a replay", a_replay),
    ("a deletion", a_deletion),
    ("an errno", an_errno),
    ("a stranger", a_stranger),
];

fn main() -> Result<()> {
    for (name, check) in CHECKS {
        println!("{name:<11} {}", check()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_a_bad_wire_each_packet_comes_once() {
        // The same seed is the same wire: the same packets are lost, each time.
        assert_eq!(a_bad_wire().unwrap(), a_bad_wire().unwrap());
    }

    #[test]
    fn a_replay_is_refused() {
        a_replay().unwrap();
    }

    #[test]
    fn a_deletion_ends_it() {
        assert!(a_deletion().unwrap().contains("gone"));
    }

    #[test]
    fn no_room_for_a_moment_costs_one_packet() {
        an_errno().unwrap();
    }

    #[test]
    fn a_router_solicitation_is_not_the_peers() {
        a_stranger().unwrap();
    }

    #[test]
    fn the_window_holds_64_numbers_in_any_order() {
        let mut window = Window::default();
        assert!([5, 3, 70, 7].map(|number| window.accepts(number)).iter().all(|&accepted| accepted));
        assert!([5, 3, 70, 7, 6].map(|number| window.accepts(number)).iter().all(|&accepted| !accepted));
        assert!(window.accepts(u64::MAX) && !window.accepts(71));
    }

    #[test]
    fn main_runs() {
        main().unwrap();
    }
}
