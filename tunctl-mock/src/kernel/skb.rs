//! A packet within the system, and what is left to do on it (`struct sk_buff`).

use tunctl_core::{Layer, Offloads};
use tunctl_packet::header::{GsoType, VnetHeader};
use tunctl_packet::offload::{Segments, SplitError, checksum, sum};

/// A device takes no packet of this many bytes whole (`GSO_LEGACY_MAX_SIZE`, `gso_features_check`, Linux
/// 6.18).
const TOO_LARGE: usize = 65_536;

/// What TCP segments under congestion need beside what others need (`TUN_F_TSO_ECN`).
const ECN: u32 = Offloads::TSO_ECN.bits() & !Offloads::TSO.bits();

/// A packet within the system. It may stand for several, and its checksum may be incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skb {
    /// The packet, without headers in front.
    pub(crate) bytes: Vec<u8>,
    /// What is left to do; nothing by default.
    pub(crate) header: VnetHeader,
}

/// What the packet stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    packets: usize,
    /// The length of the longest of these packets, in bytes.
    pub(super) longest: usize,
}

/// A finished packet.
impl From<Vec<u8>> for Skb {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, header: VnetHeader::default() }
    }
}

impl Skb {
    /// A packet behind a virtio-net header. The system keeps of the header what says how to finish the packet
    /// (`virtio_net_hdr_to_skb`, Linux 6.18).
    pub(crate) fn new(header: &VnetHeader, bytes: Vec<u8>) -> Self {
        let stated = *header;
        let mut header = VnetHeader::default();
        if let Some((start, offset)) = stated.needs_checksum() {
            header = header.with_checksum(start, offset);
        }
        if stated.gso_byte() != 0 {
            let (outer_transport, inner_network) = stated.tunnel_offsets();
            header = header
                .with_gso_byte(stated.gso_byte())
                .with_segments(stated.gso_type(), stated.segment_size())
                .with_header_length(stated.header_length())
                .with_tunnel_offsets(outer_transport, inner_network);
        }
        Self { bytes, header }
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_finished(&self) -> bool {
        self.header == VnetHeader::default()
    }

    /// The packets that it stands for, with complete checksums (`skb_gso_segment`, `skb_checksum_help`).
    pub(crate) fn finish(mut self, layer: Layer) -> Result<Vec<Vec<u8>>, SplitError> {
        if self.is_finished() {
            return Ok(vec![self.bytes]);
        }
        let mut segments = Segments::new(&self.header, layer, &mut self.bytes, sum)?;
        let mut packets = Vec::with_capacity(segments.left());
        while let Some(segment) = segments.next() {
            packets.push(segment.to_vec());
        }
        Ok(packets)
    }

    /// The packets that it stands for, for a device with these offloads: whoever completes checksums is left
    /// those of the segments (`tcp_gso_segment`, `__udp_gso_segment`, Linux 6.18).
    pub(super) fn finish_for(self, layer: Layer, offloads: Offloads) -> Result<Vec<Self>, SplitError> {
        let place = self.header.needs_checksum().filter(|_| offloads.contains(Offloads::CHECKSUM));
        let packets = self.finish(layer)?.into_iter();
        Ok(match place {
            Some((start, offset)) => packets.map(|packet| Self::reopened(packet, start, offset)).collect(),
            None => packets.map(Self::from).collect(),
        })
    }

    /// A packet whose checksum is to be completed again: only the sum of the pseudo-header is in its place.
    fn reopened(mut bytes: Vec<u8>, start: u16, offset: u16) -> Self {
        let covered = bytes.get_mut(usize::from(start)..).unwrap_or_default();
        // Pseudo-header, packet and checksum add up to zero. What the last two lack is the pseudo-header's.
        let pseudo = checksum(sum(covered));
        if let Some(place) = covered.get_mut(usize::from(offset)..).and_then(<[u8]>::first_chunk_mut) {
            *place = pseudo;
        }
        Self { bytes, header: VnetHeader::default().with_checksum(start, offset) }
    }

    /// What it stands for. A packet that would be its only segment has none from then on: to Linux, it never
    /// had (`__virtio_net_hdr_to_skb`, Linux 6.18).
    pub(super) fn extent(&mut self, layer: Layer) -> Result<Extent, SplitError> {
        if self.is_finished() {
            return Ok(Extent { packets: 1, longest: self.bytes.len() });
        }
        let mut bytes = self.bytes.clone();
        let mut segments = Segments::new(&self.header, layer, &mut bytes, sum)?;
        let packets = segments.left();
        if packets == 1 {
            self.header = self.header.with_gso_byte(0).with_segments(GsoType::None, 0).with_header_length(0);
        }
        // None is longer than the first.
        Ok(Extent { packets, longest: segments.next().map_or(0, <[u8]>::len) })
    }

    /// Whether a device with these offloads takes it as it is (`validate_xmit_skb`, `netif_needs_gso`, Linux
    /// 6.18).
    ///
    /// Not modelled: a complete checksum of TCP segments is made incomplete for a device with offloads
    /// (`tcp4_gso_segment`), so that they come whole. Here they are cut, and stay complete.
    pub(super) fn is_taken_with(&self, offloads: Offloads, extent: Extent) -> bool {
        if extent.packets == 1 {
            return self.header.needs_checksum().is_none() || offloads.contains(Offloads::CHECKSUM);
        }
        let kind = match self.header.gso_type() {
            GsoType::TcpV4 => Offloads::TSO4,
            GsoType::TcpV6 => Offloads::TSO6,
            GsoType::UdpL4 => Offloads::USO,
            _ => return false,
        };
        offloads.contains(kind)
            && (offloads.bits() & ECN != 0 || !self.header.has_ecn())
            && self.header.needs_checksum().is_some()
            && self.bytes.len() < TOO_LARGE
    }
}
