//! Packets to the program: queueing, headers, truncation.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::IoSliceMut;

use tunctl_core::{Cause, Layer, Reason, State};
use tunctl_packet::header::{EtherType, PacketInfo};
use tunctl_packet::{FlowKey, Packet};

use super::send::{ETHERNET_HEADER, PACKET_INFORMATION};
use super::{Event, FileId, InterfaceId, Kernel, NetDevice, vnet};
use crate::kernel::Result;
use crate::{Delivery, Errno};

impl Kernel {
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
            self.events.push_back(Event::PollChanged(file));
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
        open.queue.pop().ok_or(NOTHING)
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
