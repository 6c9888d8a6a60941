//! The kernel, as one that cuts packets.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{SndBuf, SndBufForce};
use tunctl_core::{Cause, CreateOptions, Interface, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, LinuxDevice};
use tunctl_packet::Layer;
use tunctl_packet::header::{VnetFormat, VnetHeader, VnetLength};
use tunctl_sys::linux::packet_socket;

use crate::oracle::bridge::Bridge;

/// More segments than a packet has.
pub(crate) const QUEUE: u32 = 100_000;
/// The longest MTU that a tap has.
pub(crate) const LONGEST: u32 = 65_521;
const ROOM: usize = 1 << 17;
const BUFFER: usize = 8 << 20;

/// Two devices without offload, and the socket by which the kernel gets packets for them.
#[derive(Debug)]
pub(crate) struct Kernel {
    tun: LinuxDevice,
    tap: LinuxDevice,
    socket: OwnedFd,
    bridge: Option<Bridge>,
    request: Vec<u8>,
    room: Vec<u8>,
}

impl Kernel {
    /// In a network namespace of its own, which is silent.
    pub(crate) fn new() -> Result<Self, String> {
        let make = |options: CreateOptions| {
            let options = options.mtu(LONGEST).queue_length(QUEUE).up();
            LinuxBackend::new().create(&options).map_err(|error| error.to_string())
        };
        let socket = packet_socket::open_with_vnet_header().map_err(|error| error.to_string())?;
        // Beyond the system's limit only in the first user namespace.
        let _ = setsockopt(&socket, SndBufForce, &BUFFER).or_else(|_| setsockopt(&socket, SndBuf, &BUFFER));
        Ok(Self {
            tun: make(CreateOptions::tun())?,
            tap: make(CreateOptions::tap())?,
            socket,
            bridge: Bridge::new()?,
            request: Vec::new(),
            room: vec![0; ROOM],
        })
    }

    /// Whether it cuts packets in UDP tunnels: since Linux 6.17, if it has bridges.
    pub(crate) fn has_tunnels(&self) -> bool {
        self.bridge.is_some()
    }

    /// What a program with offload got of the last packet that was in a tunnel, as frames.
    pub(crate) fn handed_out(&self) -> &[(VnetHeader, Vec<u8>)] {
        self.bridge.as_ref().map(Bridge::handed_out).unwrap_or_default()
    }

    /// The segments that it makes: none if it refuses the packet, or drops it.
    pub(crate) fn cut(
        &mut self,
        layer: Layer,
        header: &VnetHeader,
        packet: &[u8],
    ) -> Result<Vec<Vec<u8>>, String> {
        if let Some(bridge) = self.bridge.as_mut().filter(|_| is_tunneled(header)) {
            return bridge.cut(layer, header, packet, &mut self.room);
        }
        let device = match layer {
            Layer::Tun => &self.tun,
            Layer::Tap => &self.tap,
        };
        let format = VnetFormat::default();
        let length = VnetLength::default().bytes();
        self.request.clear();
        self.request.resize(length, 0);
        header.write(format, &mut self.request).map_err(|error| error.to_string())?;
        self.request.extend_from_slice(packet);
        let index = device.interface().index().get();
        // What is refused with an errno has no segments, nor has what is dropped later.
        let sent = packet_socket::send_to(self.socket.as_fd(), index, &self.request);
        let segments = received(device, &mut self.room)?;
        if sent.is_err() && !segments.is_empty() {
            return Err(format!("the kernel refused a packet and sent it: {sent:?}"));
        }
        Ok(segments)
    }
}

pub(crate) fn is_tunneled(header: &VnetHeader) -> bool {
    header.is_tunneled_v4() || header.is_tunneled_v6()
}

/// All that a device has.
pub(crate) fn received(device: &LinuxDevice, room: &mut [u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut packets = Vec::new();
    loop {
        match device.try_recv(room) {
            Ok(length) => packets.push(room[..length].to_vec()),
            Err(error) if error.cause() == Cause::WouldBlock => return Ok(packets),
            Err(error) => return Err(error.to_string()),
        }
    }
}
