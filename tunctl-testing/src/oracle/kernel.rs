//! The kernel, as one that cuts packets.

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{SndBuf, SndBufForce};
use tunctl_core::{CreateOptions, Interface, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, LinuxDevice};
use tunctl_packet::Layer;
use tunctl_packet::header::{VnetFormat, VnetHeader, VnetLength};
use tunctl_sys::linux::packet_socket;

/// More segments than a packet has.
const QUEUE: u32 = 100_000;
const ROOM: usize = 1 << 17;
const BUFFER: usize = 8 << 20;

/// Two devices without offload, and the socket by which the kernel gets packets for them.
#[derive(Debug)]
pub(crate) struct Kernel {
    tun: LinuxDevice,
    tap: LinuxDevice,
    socket: OwnedFd,
    request: Vec<u8>,
    room: Vec<u8>,
}

impl Kernel {
    /// In a network namespace of its own, which is silent.
    pub(crate) fn new() -> Result<Self, String> {
        let make = |options: CreateOptions| {
            let options = options.mtu(65_521).queue_length(QUEUE).up();
            LinuxBackend::new().create(&options).map_err(|error| error.to_string())
        };
        let socket = packet_socket::open_with_vnet_header().map_err(|error| error.to_string())?;
        // Beyond the system's limit only in the first user namespace.
        let _ = setsockopt(&socket, SndBufForce, &BUFFER).or_else(|_| setsockopt(&socket, SndBuf, &BUFFER));
        Ok(Self {
            tun: make(CreateOptions::tun())?,
            tap: make(CreateOptions::tap())?,
            socket,
            request: Vec::new(),
            room: vec![0; ROOM],
        })
    }

    /// The segments that it makes: none if it refuses the packet, or drops it.
    pub(crate) fn cut(
        &mut self,
        layer: Layer,
        header: &VnetHeader,
        packet: &[u8],
    ) -> Result<Vec<Vec<u8>>, String> {
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
        let mut segments = Vec::new();
        while let Some(length) = received(device.try_recv(&mut self.room))? {
            segments.push(self.room[..length].to_vec());
        }
        if sent.is_err() && !segments.is_empty() {
            return Err(format!("the kernel refused a packet and sent it: {sent:?}"));
        }
        Ok(segments)
    }
}

fn received(outcome: tunctl_core::Result<usize>) -> Result<Option<usize>, String> {
    match outcome {
        Ok(length) => Ok(Some(length)),
        Err(error) if error.cause() == tunctl_core::Cause::WouldBlock => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
