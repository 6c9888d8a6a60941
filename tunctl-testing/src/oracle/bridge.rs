//! The kernel, as one that cuts packets in UDP tunnels.
//!
//! A packet socket takes no header that is long enough for a tunnel (`packet_setsockopt`, Linux 6.18), but a
//! tap does. So a packet comes in by one tap and leaves by another, which has no offload: a bridge joins
//! them. A third one has offload, and gets the packet as a program would that cuts it itself.

use std::fs;
use std::io::ErrorKind;

use tunctl_core::{Cause, CreateOptions, InterfaceName, Offloads, TunBackend, TunDevice};
use tunctl_linux::{LinuxBackend, LinuxDevice};
use tunctl_packet::Layer;
use tunctl_packet::header::{Endian, VnetFormat, VnetHeader, VnetLength};

use crate::oracle::kernel::{LONGEST, QUEUE, received};
use crate::rtnetlink::{create_bridge, set_master};

/// What a tap has in front of the IP packets of a tun, up to the EtherType.
const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
pub(crate) const ETHERNET: u16 = 14;
const OFFLOADS: Offloads = Offloads::TSO_ECN.union(Offloads::USO).union(Offloads::UDP_TUNNEL_CHECKSUM);
const FORMAT: VnetFormat = VnetFormat::new(VnetLength::Tunnel, Endian::Native);

/// Three taps that a bridge joins.
#[derive(Debug)]
pub(crate) struct Bridge {
    entry: LinuxDevice,
    exit: LinuxDevice,
    offload: LinuxDevice,
    request: Vec<u8>,
    handed_out: Vec<(VnetHeader, Vec<u8>)>,
}

impl Bridge {
    /// In a network namespace that is silent; `None` if the kernel has no bridges, or no tunnels.
    pub(crate) fn new() -> Result<Option<Self>, String> {
        let bridge = InterfaceName::new("bridge").map_err(|error| error.to_string())?;
        if !create_bridge(&bridge) {
            return Ok(None);
        }
        pass_by_the_firewall()?;
        let make = |options: CreateOptions| {
            let options = options.mtu(LONGEST).queue_length(QUEUE).up();
            match LinuxBackend::new().create(&options) {
                Ok(device) => {
                    set_master(&device.name().map_err(|error| error.to_string())?, &bridge);
                    Ok(Some(device))
                }
                Err(error) if error.cause() == Cause::InvalidValue => Ok(None),
                Err(error) => Err(error.to_string()),
            }
        };
        let with_header = CreateOptions::tap().vnet_format(FORMAT);
        // Where the kernel has no tunnels, it refuses the offloads.
        let ports = [with_header.clone().offloads(OFFLOADS), with_header, CreateOptions::tap()];
        let [offload, entry, exit] = ports.map(make);
        let (Some(offload), Some(entry), Some(exit)) = (offload?, entry?, exit?) else { return Ok(None) };
        Ok(Some(Self { entry, exit, offload, request: Vec::new(), handed_out: Vec::new() }))
    }

    /// What a program with offload got of the last packet.
    pub(crate) fn handed_out(&self) -> &[(VnetHeader, Vec<u8>)] {
        &self.handed_out
    }

    /// The segments that the kernel makes: none if it refuses the packet, or drops it.
    ///
    /// A tun does not take the true offsets of a tunnel (`virtio_net_hdr_tnl_to_skb`, Linux 6.18), so its
    /// packets are cut as frames.
    pub(crate) fn cut(
        &mut self,
        layer: Layer,
        header: &VnetHeader,
        packet: &[u8],
        room: &mut [u8],
    ) -> Result<Vec<Vec<u8>>, String> {
        let (sent, link) = match layer {
            Layer::Tap => (self.send(header, packet), 0),
            Layer::Tun => {
                let is_v6 = packet.first().is_some_and(|first| first >> 4 == 6);
                let ether_type: &[u8] = if is_v6 { &[0x86, 0xdd] } else { &[8, 0] };
                let frame = [&ADDRESSES, ether_type, packet].concat();
                (self.send(&behind_ethernet(header), &frame), usize::from(ETHERNET))
            }
        };
        let segments = received(&self.exit, room)?;
        self.handed_out = received(&self.offload, room)?
            .iter()
            .filter_map(|bytes| VnetHeader::parse(FORMAT, bytes).ok())
            .map(|(header, packet)| (header, packet.to_vec()))
            .collect();
        if sent.is_err() && !segments.is_empty() {
            return Err(format!("the kernel refused a packet and sent it: {sent:?}"));
        }
        Ok(segments.iter().map(|segment| segment[link..].to_vec()).collect())
    }

    fn send(&mut self, header: &VnetHeader, packet: &[u8]) -> Result<usize, String> {
        self.request.clear();
        self.request.resize(FORMAT.length.bytes(), 0);
        header.write(FORMAT, &mut self.request).map_err(|error| error.to_string())?;
        self.request.extend_from_slice(packet);
        self.entry.try_send(&self.request).map_err(|error| error.to_string())
    }
}

/// Keeps the firewall from frames, which it drops if their IP header is wrong (`br_nf_pre_routing`, Linux
/// 6.18).
fn pass_by_the_firewall() -> Result<(), String> {
    for switch in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"] {
        match fs::write(format!("/proc/sys/net/bridge/{switch}"), "0") {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(format!("{switch}: {error}")),
            _ => {}
        }
    }
    Ok(())
}

/// The header of the same packet in a frame.
fn behind_ethernet(header: &VnetHeader) -> VnetHeader {
    let (outer_transport, inner_network) = header.tunnel_offsets();
    let further = |offset: u16| offset.saturating_add(ETHERNET);
    let moved = header
        .with_header_length(further(header.header_length()))
        .with_tunnel_offsets(further(outer_transport), further(inner_network));
    match header.needs_checksum() {
        Some((start, offset)) => moved.with_checksum(further(start), offset),
        None => moved,
    }
}
