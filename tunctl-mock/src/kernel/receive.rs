//! Packets to the program: queueing, headers, truncation.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IoSliceMut;

use tunctl_core::{Cause, Layer, Reason, State};
use tunctl_packet::header::{EtherType, PacketInfo};
use tunctl_packet::{FlowKey, Packet};

use super::send::{ETHERNET_HEADER, PACKET_INFORMATION};
use super::{FileId, InterfaceId, NetDevice, World, vnet};
use crate::Direction;
use crate::Errno;
use crate::kernel::Result;

/// What became of a packet that the system sent out of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// It waits in a queue.
    Queued,
    /// It was dropped and counted: the queue is full.
    Full,
    /// It was dropped and counted: no queue is in service.
    Unattached,
    /// It was dropped and counted: it has no bytes.
    Empty,
    /// It was not sent: the interface is down.
    Down,
    /// It was not sent, as no system would: it is longer than the MTU, or shorter than an Ethernet header on a tap, or
    /// there is no such interface.
    Refused,
    /// It is on a bad wire, which has lost it, holds it back, or takes its time.
    Impaired,
}

impl World {
    /// The system sends a packet out of an interface, through the impairments of that direction: the best that became of it.
    pub(crate) fn carry(&mut self, id: InterfaceId, packet: Vec<u8>) -> Delivery {
        if !self.wires.is_impaired(id, Direction::ToDevice) {
            return self.deliver(id, packet);
        }
        let arrived = self.pass(id, Direction::ToDevice, packet).into_iter().map(|packet| {
            let delivery = self.deliver(id, packet);
            self.account(id, delivery);
            delivery
        });
        arrived.min().unwrap_or(Delivery::Impaired)
    }

    /// As [`carry`](Self::carry), from another end, which does not see what becomes of it.
    pub(crate) fn carry_over(&mut self, id: InterfaceId, packet: Vec<u8>) {
        let is_impaired = self.wires.is_impaired(id, Direction::ToDevice);
        let delivery = self.carry(id, packet);
        if !is_impaired {
            self.account(id, delivery);
        }
    }

    /// A packet reaches the interface, as if the system had sent it.
    pub(crate) fn deliver(&mut self, id: InterfaceId, packet: Vec<u8>) -> Delivery {
        let Some(device) = self.device_mut(id) else { return Delivery::Refused };
        if device.state == State::Down {
            return Delivery::Down;
        }
        if !device.is_sendable(&packet) {
            return Delivery::Refused;
        }
        let Some(file) = device.choose_queue(&packet) else {
            device.dropped += 1;
            return Delivery::Unattached;
        };
        if packet.is_empty() {
            device.dropped += 1;
            return Delivery::Empty;
        }
        let Some(open) = self.file_mut(file) else { return Delivery::Unattached };
        if open.queue.is_full() {
            if let Some(device) = self.device_mut(id) {
                device.dropped += 1;
            }
            return Delivery::Full;
        }
        if open.queue.push(packet) {
            self.notify(file);
        }
        Delivery::Queued
    }

    /// The program takes one packet, as far as it has room for it: how many bytes it got.
    pub(crate) fn receive(&mut self, file: FileId, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let device = self.attached(file)?;
        let (layer, information, vnet) =
            (device.layer, device.has_packet_information(), device.has_vnet_header());
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if room == 0 {
            return Ok(0);
        }
        let packet = self.take(file)?;
        let total = packet.len()
            + if information { PACKET_INFORMATION } else { 0 }
            + if vnet { vnet::LENGTH } else { 0 };
        let mut scatter = Scatter { buffers, position: 0 };
        if information {
            // Only this header tells that the tail is lost.
            scatter.header(&packet_information(layer, &packet, room < total))?;
        }
        if vnet {
            // Nothing to tell: no checksum to complete, no segments.
            scatter.header(&[0; vnet::LENGTH])?;
        }
        scatter.fill(&packet);
        Ok(total.min(room))
    }

    fn take(&mut self, file: FileId) -> Result<Vec<u8>> {
        const NOTHING: Reason = Errno::EAGAIN.reason(Cause::WouldBlock);
        let open = self.file_mut(file).ok_or(NOTHING)?;
        let packet = open.queue.pop().ok_or(NOTHING)?;
        if open.queue.is_empty() {
            open.signal.readable.set(false);
        }
        Ok(packet)
    }
}

impl NetDevice {
    /// What no system would send: the interface's MTU, and its link layer, bound that.
    fn is_sendable(&self, packet: &[u8]) -> bool {
        const VLAN_TAG: usize = 4;
        let mtu = usize::try_from(self.mtu.get()).unwrap_or(usize::MAX);
        match self.layer {
            Layer::Tun => packet.len() <= mtu,
            Layer::Tap => {
                let tagged = packet.get(12..14) == Some(&[0x81, 0x00]);
                let most = mtu + ETHERNET_HEADER + if tagged { VLAN_TAG } else { 0 };
                (ETHERNET_HEADER..=most).contains(&packet.len())
            }
        }
    }

    /// All packets of a flow, both ways, go to the same queue while no queue comes or goes; which one, nobody promises.
    fn choose_queue(&self, packet: &[u8]) -> Option<FileId> {
        match self.attached[..] {
            [] => None,
            [only] => Some(only),
            ref several => {
                let mut hasher = DefaultHasher::new();
                flow(self.layer, packet).hash(&mut hasher);
                let hash = usize::try_from(hasher.finish() >> 32).unwrap_or_default();
                several.get(hash % several.len()).copied()
            }
        }
    }
}

/// The flow of a packet, the same in both directions.
fn flow(layer: Layer, packet: &[u8]) -> Option<FlowKey> {
    let flow = Packet::parse(layer, packet).ok()?.flow_key()?;
    Some(flow.min(flow.reversed()))
}

/// The packet information header: two bytes of flags in the host's order, of which there is one, and the EtherType.
fn packet_information(layer: Layer, packet: &[u8], stripped: bool) -> [u8; PACKET_INFORMATION] {
    PacketInfo::new(ether_type(layer, packet)).with_flags(stripped.into()).to_bytes()
}

/// What the packet information header calls a packet: on a tun from the IP version, 0 if it is neither, or the IP header is
/// not all there.
fn ether_type(layer: Layer, packet: &[u8]) -> EtherType {
    let number = match layer {
        Layer::Tun => match (packet.first().map(|first| first >> 4), packet.len()) {
            (Some(4), 20..) => 0x0800,
            (Some(6), 40..) => 0x86dd,
            _ => 0,
        },
        Layer::Tap => packet.get(12..14).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]])),
    };
    EtherType::from(number)
}

/// Fills buffers one after the other.
struct Scatter<'a, 'b> {
    buffers: &'a mut [IoSliceMut<'b>],
    position: usize,
}

impl Scatter<'_, '_> {
    /// A header goes in whole; without room for it the packet is lost.
    fn header(&mut self, header: &[u8]) -> Result {
        if self.fill(header) < header.len() {
            return Err(Errno::EINVAL
                .reason(Cause::TooShort)
                .with_detail("the buffer has no room for the headers in front of a packet, which is lost"));
        }
        Ok(())
    }

    /// As much as there is room for; how much that was.
    fn fill(&mut self, mut bytes: &[u8]) -> usize {
        let wanted = bytes.len();
        let mut start = 0;
        for buffer in self.buffers.iter_mut() {
            if bytes.is_empty() {
                break;
            }
            let end = start + buffer.len();
            if self.position < end {
                let room = &mut buffer[self.position - start..];
                let (now, later) = bytes.split_at(bytes.len().min(room.len()));
                room[..now.len()].copy_from_slice(now);
                self.position += now.len();
                bytes = later;
            }
            start = end;
        }
        wanted - bytes.len()
    }
}
