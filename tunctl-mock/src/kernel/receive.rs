//! Packets to the program: queueing (`tun_net_xmit`), headers and truncation (`tun_put_user`).

use std::io::IoSliceMut;
use std::time::Duration;

use tunctl_core::{Cause, Layer, Reason, State};
use tunctl_packet::header::{EtherType, PacketInfo};

use super::filter::filtered;
use super::flow::Flow;
use super::ring::Waiting;
use super::send::{ETHERNET_HEADER, PACKET_INFORMATION, count};
use super::skb::Extent;
use super::{Event, FileId, InterfaceId, Kernel, NetDevice, Skb};
use crate::kernel::Result;
use crate::{Delivery, Errno};

impl Kernel {
    /// The system sends a packet out of the interface (`__dev_queue_xmit`). What the interface's offloads do
    /// not leave to the program is done first (`validate_xmit_skb`); of several packets, the best outcome is
    /// returned. Every drop is silent for the sender, and counted.
    pub(crate) fn deliver(&mut self, id: InterfaceId, mut skb: Skb) -> Delivery {
        let Some(device) = self.device_mut(id) else { return Delivery::Refused };
        if device.state == State::Down {
            return Delivery::Down;
        }
        let layer = device.layer;
        let Some(extent) = skb.extent(layer).ok().filter(|extent| device.is_sendable(&skb.bytes, *extent))
        else {
            return Delivery::Refused;
        };
        // Without carrier, the queueing discipline is one that drops and counts (`dev_deactivate`,
        // `noop_enqueue`). The kernel puts it there in the background, but before it answers the next
        // question about the interface (`linkwatch_sync_dev`).
        if device.attached.is_empty() || !device.carrier {
            device.statistics.to_program.dropped += 1;
            return if device.attached.is_empty() { Delivery::Unattached } else { Delivery::NoCarrier };
        }
        if skb.is_taken_with(device.offloads, extent) {
            return self.transmit(id, skb);
        }
        let packets = skb.finish_for(layer, device.offloads).unwrap_or_default().into_iter();
        packets.map(|packet| self.transmit(id, packet)).min().unwrap_or(Delivery::Refused)
    }

    /// The driver gets a packet for the program (`tun_net_xmit`).
    fn transmit(&mut self, id: InterfaceId, skb: Skb) -> Delivery {
        let now = self.now;
        let Some(device) = self.device_mut(id) else { return Delivery::Refused };
        let Skb { bytes, header } = skb;
        let Some(file) = device.choose_queue(&bytes, now) else { return Delivery::Unattached };
        let passes = device.passes_mac_filter(&bytes);
        let ether_type = ether_type(device.layer, &bytes);
        let Some(open) = self.file_mut(file) else { return Delivery::Unattached };
        let Some(bytes) = filtered(open.filter.as_ref(), bytes).filter(|_| passes) else {
            if let Some(device) = self.device_mut(id) {
                device.statistics.to_program.dropped += 1;
            }
            return Delivery::Filtered;
        };
        if open.queue.is_full() {
            if let Some(device) = self.device_mut(id) {
                device.statistics.to_program.dropped += 1;
            }
            return Delivery::Full;
        }
        if open.queue.push(Waiting { skb: Skb { bytes, header }, ether_type }) {
            self.events.push_back(Event::PollChanged(file));
        }
        Delivery::Queued
    }

    /// The program reads one packet (`tun_do_read`, `tun_put_user`), as much of it as fits into the buffers.
    /// Returns how many bytes it got. The packet is counted now and not when it was queued; with all its
    /// bytes, also those for which there was no room, and without the headers in front.
    pub(crate) fn receive(&mut self, file: FileId, buffers: &mut [IoSliceMut<'_>]) -> Result<usize> {
        let device = self.attached(file)?;
        let id = device.id;
        let information = device.has_packet_information();
        let headers = device.headers_length();
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        if room == 0 {
            return Ok(0);
        }
        let Waiting { skb: Skb { bytes, header }, ether_type } = self.take(file)?;
        let total = bytes.len() + headers;
        let mut scatter = Scatter { buffers, position: 0 };
        if information {
            // `TUN_PKT_STRIP`: without packet information, nothing reports that the tail is lost.
            scatter.header(&packet_information(ether_type, room < total))?;
        }
        if let Some(format) = self.device(id).and_then(NetDevice::vnet_format) {
            // What is behind the first ten bytes is zero (`__tun_vnet_hdr_put`, Linux 6.18).
            let mut written = vec![0; format.length.bytes()];
            // There is room, by the line above.
            let _ = header.write(format, &mut written);
            scatter.header(&written)?;
        }
        scatter.fill(&bytes);
        if let Some(device) = self.device_mut(id) {
            count(&mut device.statistics.to_program, bytes.len());
        }
        Ok(total.min(room))
    }

    fn take(&mut self, file: FileId) -> Result<Waiting> {
        const NOTHING: Reason = Errno::EAGAIN.reason(Cause::WouldBlock);
        let open = self.file_mut(file).ok_or(NOTHING)?;
        open.queue.pop().ok_or(NOTHING)
    }
}

impl NetDevice {
    /// Whether the network stack would send the packet out of this interface. An empty packet does not get
    /// that far (`packet_snd` answers `EINVAL`, Linux 6.18). The MTU bounds it, or what it stands for
    /// (`skb_gso_validate_network_len`); on a tap, the Ethernet header and a VLAN tag come on top
    /// (`packet_extra_vlan_len_allowed`).
    fn is_sendable(&self, packet: &[u8], extent: Extent) -> bool {
        const VLAN_TAG: usize = 4;
        let mtu = usize::try_from(self.link.mtu.get()).unwrap_or(usize::MAX);
        match self.layer {
            Layer::Tun => (1..=mtu).contains(&extent.longest),
            Layer::Tap => {
                let tagged = packet.get(12..14) == Some(&[0x81, 0x00]);
                let most = mtu + ETHERNET_HEADER + if tagged { VLAN_TAG } else { 0 };
                (ETHERNET_HEADER..=most).contains(&extent.longest)
            }
        }
    }

    /// The queue for a packet to the program (`tun_select_queue`). The program steers a flow to the queue by
    /// which it last sent a packet of it.
    fn choose_queue(&self, packet: &[u8], now: Duration) -> Option<FileId> {
        match self.attached[..] {
            [] => None,
            [only] => Some(only),
            ref several => {
                let flow = Flow::of(self.layer, ether_type(self.layer, packet), packet);
                several.get(self.flows.select(&flow, several.len(), now)).copied()
            }
        }
    }
}

/// The packet information header (`struct tun_pi`): two bytes of flags in the host's byte order, and the
/// EtherType. `TUN_PKT_STRIP` is the only flag.
fn packet_information(ether_type: EtherType, stripped: bool) -> [u8; PACKET_INFORMATION] {
    PacketInfo::new(ether_type).with_flags(stripped.into()).to_bytes()
}

/// The EtherType of a packet (`skb->protocol`). On a tun it is derived from the IP version, and is 0 if the
/// IP header is incomplete or of another version (`ip_tunnel_parse_protocol`).
pub(super) fn ether_type(layer: Layer, packet: &[u8]) -> EtherType {
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

/// Fills the buffers of a vectored read, one after the other.
struct Scatter<'a, 'b> {
    buffers: &'a mut [IoSliceMut<'b>],
    position: usize,
}

impl Scatter<'_, '_> {
    /// Writes a header, which must fit in whole. If it does not, the read fails and the packet, already taken
    /// out of the queue, is lost. Nothing of that header is written, but one in front of it stays
    /// (`tun_put_user`, Linux 6.18).
    fn header(&mut self, header: &[u8]) -> Result {
        let room: usize = self.buffers.iter().map(|buffer| buffer.len()).sum();
        if room - self.position < header.len() {
            return Err(Errno::EINVAL
                .reason(Cause::TooShort)
                .with_detail("the buffer has no room for the headers in front of a packet, which is lost"));
        }
        self.fill(header);
        Ok(())
    }

    /// Writes as many bytes as fit.
    fn fill(&mut self, mut bytes: &[u8]) {
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
    }
}
