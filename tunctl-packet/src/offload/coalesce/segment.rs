//! A packet that may be merged.

use super::PSH;
use crate::Layer;
use crate::ip::{TRANSPORT_LENGTH, V4_LENGTH, V6_LENGTH};
use crate::offload::Sum;
use crate::offload::checksum::{fold, sum as sum_of};
use crate::offload::layout::Transport;
use crate::offload::split::{at, half};

/// Don't Fragment.
const DF: u8 = 0x40;
/// TCP's flags that a merged packet may have: ACK, PSH and ECE. All others seal their flow.
const MERGED_FLAGS: u8 = 0x10 | PSH | 0x40;
const ACK: u8 = 0x10;

/// Where its headers are, in bytes from its beginning, and what decides whether others may follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) network: usize,
    pub(super) transport: usize,
    pub(super) payload: usize,
    end: usize,
    pub(super) kind: Transport,
    pub(super) is_v6: bool,
    /// Whether nothing may be merged behind it, nor it behind others unless it only pushes.
    pub(super) ends: bool,
    /// Whether it may not be merged behind others either.
    stands_alone: bool,
    pub(super) pushes: bool,
}

/// What a packet is to those around it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet {
    /// One of a flow, which is told by its ports.
    OfFlow(Segment),
    /// One of a flow that is not told: a fragment, or TCP or UDP behind extension headers.
    OfUnknownFlow,
    /// One of no flow that is ever merged.
    Other,
}

impl Packet {
    pub(super) fn parse(layer: Layer, bytes: &[u8], sum: Sum) -> Self {
        match Ip::parse(layer, bytes) {
            Some(ip) if ip.is_fragment || is_extension_header(&ip) => Self::OfUnknownFlow,
            Some(ip) => match ip.number {
                6 | 17 => Segment::of(&ip, bytes, sum).map_or(Self::OfUnknownFlow, Self::OfFlow),
                _ => Self::Other,
            },
            None => Self::Other,
        }
    }
}

/// The header of IP, as far as merging depends on it.
struct Ip {
    network: usize,
    transport: usize,
    is_v6: bool,
    number: u8,
    is_fragment: bool,
    /// Whether the header's own checksum is right, and the packet ends where it says.
    is_sound: bool,
}

/// Hop-by-hop options, routing, fragments, authentication and destination options.
fn is_extension_header(ip: &Ip) -> bool {
    ip.is_v6 && matches!(ip.number, 0 | 43 | 44 | 51 | 60)
}

impl Ip {
    fn parse(layer: Layer, bytes: &[u8]) -> Option<Self> {
        let network = match layer {
            Layer::Tun => 0,
            Layer::Tap => network(bytes)?,
        };
        let ip = bytes.get(network..)?;
        let first = *ip.first()?;
        match first >> 4 {
            4 => {
                let header = usize::from(first & 0x0f) * 4;
                let fixed = ip.first_chunk::<V4_LENGTH>()?;
                let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
                let own = ip.get(..header)?;
                Some(Self {
                    network,
                    transport: network + header,
                    is_v6: false,
                    number: fixed[9],
                    is_fragment: fixed[6] & !DF != 0 || fixed[7] != 0,
                    is_sound: header >= V4_LENGTH && fold(sum_of(own)) == u16::MAX && length == ip.len(),
                })
            }
            6 => {
                let fixed = ip.first_chunk::<V6_LENGTH>()?;
                let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
                Some(Self {
                    network,
                    transport: network + V6_LENGTH,
                    is_v6: true,
                    number: fixed[6],
                    is_fragment: false,
                    is_sound: V6_LENGTH + length == ip.len(),
                })
            }
            _ => None,
        }
    }
}

impl Segment {
    /// `None`: the packet ends before its ports.
    fn of(ip: &Ip, bytes: &[u8], sum: Sum) -> Option<Self> {
        let kind = if ip.number == Transport::Tcp.number() { Transport::Tcp } else { Transport::Udp };
        let upper = bytes.get(ip.transport..)?;
        upper.first_chunk::<4>()?;
        let mut segment = Self {
            network: ip.network,
            transport: ip.transport,
            payload: bytes.len(),
            end: bytes.len(),
            kind,
            is_v6: ip.is_v6,
            ends: true,
            stands_alone: true,
            pushes: false,
        };
        let header = match kind {
            Transport::Tcp => usize::from(at::<1>(upper, 12)[0] >> 4) * 4,
            Transport::Udp => TRANSPORT_LENGTH,
        };
        if !ip.is_sound
            || header < kind.least()
            || header > upper.len()
            || !segment.is_right(bytes, upper, sum)
        {
            return Some(segment);
        }
        let flags = if kind == Transport::Tcp { at::<1>(upper, 13)[0] } else { ACK };
        segment.payload = ip.transport + header;
        segment.stands_alone = header == upper.len() || flags & !MERGED_FLAGS != 0 || flags & ACK == 0;
        segment.pushes = flags & PSH != 0;
        segment.ends = segment.stands_alone || segment.pushes;
        Some(segment)
    }

    /// Whether the transport has a checksum, and it is right. A datagram without one would not be cut again
    /// (`udp_gro_receive`, Linux 6.18).
    fn is_right(&self, bytes: &[u8], upper: &[u8], sum: Sum) -> bool {
        let covered = u32::try_from(upper.len()).unwrap_or_default();
        if self.kind == Transport::Udp && (at(upper, 6) == [0, 0] || at(upper, 4) != half(upper.len())) {
            return false;
        }
        let all = self.pseudo_header(bytes) + sum_of(&covered.to_be_bytes()) + sum(upper);
        fold(all) == u16::MAX
    }

    /// The payload, in bytes.
    pub(super) const fn length(&self) -> usize {
        self.end - self.payload
    }

    /// The sum of addresses and protocol.
    pub(super) fn pseudo_header(&self, packet: &[u8]) -> u64 {
        sum_of(self.addresses(packet)) + sum_of(&[0, self.kind.number()])
    }

    fn addresses<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let (from, to) = if self.is_v6 { (8, V6_LENGTH) } else { (12, V4_LENGTH) };
        packet.get(self.network + from..self.network + to).unwrap_or_default()
    }

    fn ports(&self, packet: &[u8]) -> [u8; 4] {
        at(packet, self.transport)
    }

    /// A hash of addresses, ports and protocol.
    pub(super) fn hash(&self, packet: &[u8], key: u64) -> u64 {
        let mut hash = key ^ u64::from(self.kind.number());
        for word in self.addresses(packet).chunks_exact(4).chain([&self.ports(packet)[..]]) {
            hash = mix(hash ^ u64::from(u32::from_ne_bytes(at(word, 0))));
        }
        hash
    }

    /// Whether both are of one flow, in one direction.
    pub(super) fn has_flow_of(&self, packet: &[u8], first: &Self, its: &[u8]) -> bool {
        self.kind == first.kind
            && self.is_v6 == first.is_v6
            && self.ports(packet) == first.ports(its)
            && self.addresses(packet) == first.addresses(its)
    }

    /// Whether this packet, merged with a run of its flow, would be cut into the same packets again.
    pub(super) fn follows(&self, packet: &[u8], first: &Self, its: &[u8], payload: u32, count: u32) -> bool {
        let is_in_place =
            (self.network, self.transport, self.payload) == (first.network, first.transport, first.payload);
        if self.stands_alone || !is_in_place || self.length() > first.length() {
            return false;
        }
        let same = |from: usize, to: usize| packet.get(from..to) == its.get(from..to);
        let is_same_network = if self.is_v6 {
            // All but the length.
            same(0, self.network + 4) && same(self.network + 6, self.transport)
        } else {
            // All but length, identification and checksum.
            let network = self.network;
            same(0, network + 2)
                && same(network + 6, network + 10)
                && same(network + 12, self.transport)
                && self.is_next_identification(packet, its, count)
        };
        is_same_network
            && match self.kind {
                Transport::Udp => true,
                Transport::Tcp => {
                    self.is_next_sequence(packet, its, payload) && self.has_same_tcp(packet, its)
                }
            }
    }

    /// Of packets that may be fragmented, the system numbers those that it cuts one after the other.
    fn is_next_identification(&self, packet: &[u8], its: &[u8], count: u32) -> bool {
        let [own, first] = [packet, its].map(|bytes| u16::from_be_bytes(at(bytes, self.network + 4)));
        let may_be_fragmented = packet.get(self.network + 6).is_some_and(|flags| flags & DF == 0);
        let count = u16::try_from(count).unwrap_or_default();
        !may_be_fragmented || own == first.wrapping_add(count)
    }

    fn is_next_sequence(&self, packet: &[u8], its: &[u8], payload: u32) -> bool {
        let [own, first] = [packet, its].map(|bytes| u32::from_be_bytes(at(bytes, self.transport + 4)));
        own == first.wrapping_add(payload)
    }

    /// Whether TCP's headers are the same but for sequence number, PSH and checksum: acknowledgement, window
    /// and options.
    fn has_same_tcp(&self, packet: &[u8], its: &[u8]) -> bool {
        let transport = self.transport;
        let same = |from: usize, to: usize| packet.get(from..to) == its.get(from..to);
        let [own, first]: [[u8; 1]; 2] = [at(packet, transport + 13), at(its, transport + 13)];
        same(transport + 8, transport + 13)
            && (own[0] ^ first[0]) & !PSH == 0
            && same(transport + 14, transport + 16)
            && same(transport + 18, self.payload)
    }
}

/// Where IP begins in a frame, behind VLAN tags; `None` if it has something else.
fn network(frame: &[u8]) -> Option<usize> {
    let mut offset = 12;
    loop {
        match at(frame, offset) {
            [8, 0] | [0x86, 0xdd] => return Some(offset + 2),
            [0x81, 0] | [0x88, 0xa8] => offset += 4,
            _ => return None,
        }
    }
}

/// Spreads the bits of a word over all others (the last step of Murmur's third hash).
const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}
