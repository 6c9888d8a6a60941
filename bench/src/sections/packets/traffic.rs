//! The kernel's side of an interface: what makes packets for it, what takes them from it, and what counts
//! both.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::BorrowedFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::raw;

/// The IPv4 and UDP headers in front of a payload.
const HEADERS: usize = 20 + 8;
/// RFC 863, discard. Nobody listens.
const PORT: u16 = 9;
/// A multicast address, which can't be a source (RFC 1122, section 3.2.1.3): the kernel drops a packet that
/// pretends to come from it before it looks for a route or a receiver, whatever its settings, and answers
/// nothing.
const NOBODY: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

/// Settings of the namespace that keep other packets out of the queue, and martians out of the log.
const SETTINGS: [(&str, &str); 3] = [
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1"),
    ("/proc/sys/net/ipv4/conf/all/log_martians", "0"),
    ("/proc/sys/net/ipv4/conf/default/log_martians", "0"),
];

/// Settles the namespace, before interfaces are made in it.
pub(crate) fn settle_namespace() {
    for (path, value) in SETTINGS {
        // Where /proc/sys is read-only, what they would have prevented is found by the counters.
        let _ = fs::write(path, value);
    }
}

/// An interface, as the kernel's own users see it.
pub(crate) struct KernelSide {
    pub(crate) name: &'static str,
    own: SocketAddr,
    peer: SocketAddr,
    sender: UdpSocket,
}

impl KernelSide {
    /// Of the interface that has `address` and the network of 256 addresses around it.
    pub(crate) fn new(name: &'static str, address: Ipv4Addr) -> Result<Self, String> {
        let [a, b, c, _] = address.octets();
        let peer = SocketAddr::from(([a, b, c, 2], PORT));
        let connect = || {
            let sender = UdpSocket::bind((address, 0))?;
            sender.connect(peer)?;
            Ok(sender)
        };
        let sender =
            connect().map_err(|error: io::Error| format!("connect a UDP socket to {peer}: {error}"))?;
        Ok(Self { name, own: SocketAddr::from((address, PORT)), peer, sender })
    }

    /// Has the kernel send packets of `size` bytes through the interface, where they wait for the reader.
    pub(crate) fn fill(&self, size: usize, packets: usize) -> Result<(), String> {
        let payload = vec![0x55; size - HEADERS];
        (0..packets).try_for_each(|_| self.send(&payload))
    }

    /// Has the kernel send one with this payload.
    pub(crate) fn send(&self, payload: &[u8]) -> Result<(), String> {
        let sent = self.sender.send(payload);
        sent.map(drop).map_err(|error| format!("send to {}: {error}", self.peer))
    }

    /// A packet of `size` bytes for the writer, well-formed and of use to nobody.
    pub(crate) fn packet(&self, size: usize) -> Result<Vec<u8>, String> {
        let payload = vec![0x55; size - HEADERS];
        let nobody = SocketAddr::from((NOBODY, PORT));
        tunctl_packet::udp_packet(nobody, self.own, &payload).map_err(|error| error.to_string())
    }

    pub(crate) fn counters(&self) -> Result<Counters, String> {
        const TABLE: &str = "/proc/net/dev";
        let table = fs::read_to_string(TABLE).map_err(|error| format!("read {TABLE}: {error}"))?;
        Counters::find(&table, self.name).ok_or_else(|| format!("{TABLE} does not tell of {}", self.name))
    }
}

/// Whether a packet waits for the reader.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> Result<bool, String> {
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO)
        .map(|ready| ready > 0)
        .map_err(|errno| format!("poll: {errno}"))
}

/// Empties the queue, without ever waiting: the descriptor may be a blocking one.
pub(crate) fn discard_queue(fd: BorrowedFd<'_>) -> Result<(), String> {
    let mut buffer = [0; 64];
    while readable(fd)? {
        raw::read(fd, &mut buffer).map_err(|error| format!("read: {error}"))?;
    }
    Ok(())
}

/// What the kernel counted, from the interface's end: what a program writes to the device, the interface
/// *received*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) rx: Counted,
    pub(crate) tx: Counted,
}

/// One direction's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// Errors and drops.
    pub(crate) lost: u64,
}

impl Counters {
    fn find(table: &str, name: &str) -> Option<Self> {
        let fields = table.lines().find_map(|line| {
            let (interface, fields) = line.split_once(':')?;
            (interface.trim() == name).then_some(fields)
        })?;
        // Eight columns of reception, beginning with bytes, packets, errs and drop, then eight of
        // transmission.
        let numbers: Vec<u64> = fields.split_whitespace().map_while(|field| field.parse().ok()).collect();
        let counted = |columns: &[u64]| match *columns {
            [bytes, packets, errors, dropped, ..] => Some(Counted { packets, bytes, lost: errors + dropped }),
            _ => None,
        };
        Some(Self { rx: counted(numbers.get(..8)?)?, tx: counted(numbers.get(8..)?)? })
    }
}

impl Counted {
    /// What has been counted since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            packets: self.packets.wrapping_sub(before.packets),
            bytes: self.bytes.wrapping_sub(before.bytes),
            lost: self.lost.wrapping_sub(before.lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0
tun-rs:1400 1 2 3 0 0 0 0 6400 100 4 5 0 0 0 0
";

    #[test]
    fn the_counters_of_an_interface_are_found_by_its_whole_name() {
        let counters = Counters::find(TABLE, "tun-rs").unwrap();
        let (rx, tx) = (counters.rx, counters.tx);
        assert_eq!((rx.packets, rx.bytes, rx.lost), (1, 1400, 5));
        assert_eq!((tx.packets, tx.bytes, tx.lost), (100, 6400, 9));
        assert_eq!(Counters::find(TABLE, "tun"), None);
        assert_eq!(Counters::find("lo: 1 2 3", "lo"), None);
    }
}
