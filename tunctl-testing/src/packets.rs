//! Packets that the system sends to a device, and those that it receives from one: packet sockets.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use tunctl_conformance::Observation;
use tunctl_core::InterfaceName;
use tunctl_packet::header::{VnetFormat, VnetHeader};
use tunctl_sys::linux::packet_socket::{self, Received};

use crate::rtnetlink::index;

/// The bytes that may wait to be taken.
const BUFFER: usize = 4 << 20;

/// Has the system send packets.
///
/// They go past the queueing discipline, which comes and goes behind the scenes when an interface goes up or
/// its carrier changes. The system tells which protocol a packet is of by its version of IP, or by the
/// frame's header.
#[derive(Debug)]
pub struct Injector {
    // One for all packets and interfaces: to close a packet socket takes the kernel some ten milliseconds.
    socket: OwnedFd,
}

impl Injector {
    /// For the interfaces of the calling thread's network namespace.
    #[must_use]
    pub fn new() -> Self {
        let socket = packet_socket::open_to_send().unwrap_or_else(|error| panic!("inject: {error}"));
        Self { socket }
    }

    /// Sends one out of an interface; whether it is in a queue of the driver now.
    #[must_use]
    pub fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool {
        let sent = packet_socket::send_to(self.socket.as_fd(), index(name), packet);
        match sent.map_err(|error| (error.raw_os_error().map(Errno::from_raw), error)) {
            Ok(length) => {
                assert_eq!(length, packet.len(), "a packet is sent whole");
                true
            }
            // The system sends no empty packet.
            Err((Some(Errno::EINVAL), _)) if packet.is_empty() => false,
            // It is down; the queue is full, or there is none; it has just gone.
            Err((Some(Errno::ENETDOWN | Errno::ENOBUFS | Errno::ENXIO), _)) => false,
            Err((_, error)) => panic!("inject {} bytes into {name}: {error}", packet.len()),
        }
    }
}

impl Default for Injector {
    fn default() -> Self {
        Self::new()
    }
}

/// Has the system send a packet out of an interface that it may have to finish first, as the header says.
///
/// It goes through the queueing discipline: the system drops what it has to cut on the way past it
/// (`__dev_direct_xmit`, Linux 6.18).
pub fn inject_large(name: &InterfaceName, header: &VnetHeader, packet: &[u8]) {
    let format = VnetFormat::default();
    let mut whole = vec![0; format.length.bytes()];
    header.write(format, &mut whole).expect("the format says how long it is");
    whole.extend_from_slice(packet);
    let sent = packet_socket::open_with_vnet_header()
        .and_then(|socket| packet_socket::send_to(socket.as_fd(), index(name), &whole));
    let length = sent.unwrap_or_else(|error| panic!("inject {header:?} into {name}: {error}"));
    assert_eq!(length, whole.len(), "a packet is sent whole");
}

/// What the system receives from the devices of an interface, since this was made.
#[derive(Debug)]
pub struct Watch {
    socket: OwnedFd,
}

impl Watch {
    /// Watches an interface from now on.
    #[must_use]
    pub fn new(name: &InterfaceName) -> Self {
        let socket = packet_socket::open(index(name)).unwrap_or_else(|error| panic!("watch {name}: {error}"));
        let _ = setsockopt(&socket, RcvBufForce, &BUFFER).or_else(|_| setsockopt(&socket, RcvBuf, &BUFFER));
        Self { socket }
    }
}

impl Observation for Watch {
    fn take(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 1 << 17];
        loop {
            match packet_socket::receive(self.socket.as_fd(), &mut packet) {
                Ok(Received { direction: packet_socket::OUTGOING, .. }) => {}
                Ok(Received { length, .. }) => {
                    packet.truncate(length);
                    return Some(packet);
                }
                Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or_default()) {
                    // Told once when the interface goes down; what came before it is still there.
                    Errno::ENETDOWN => {}
                    Errno::EAGAIN => return None,
                    _ => panic!("watch: {error}"),
                },
            }
        }
    }
}
