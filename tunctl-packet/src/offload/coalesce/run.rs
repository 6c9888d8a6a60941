//! Packets that follow one another in a flow, and the headers of the one that stands for them.

use super::PSH;
use super::segment::{Fitness, Place, Segment};
use crate::header::{GsoType, VnetHeader};
use crate::ip::V6_LENGTH;
use crate::offload::checksum::{checksum, fold, sum_of_few};
use crate::offload::layout::Transport;
use crate::offload::split::{at, half, put};

/// The longest packet of IP.
const LONGEST: u32 = 65_535;

/// The most segments of UDP that each kernel takes: 128 from Linux 6.9 on.
const UDP_SEGMENTS: u32 = 64;

/// The most packets of a run. Their pieces, two each at most, and the virtio-net header are within the 1,024
/// parts of a vectored write (`IOV_MAX`).
const MOST: u32 = 500;

/// Packets that follow one another in a flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) first: u32,
    last: u32,
    pub(super) count: u16,
    /// The payload of all of them, in bytes.
    pub(super) payload: u32,
    /// The first one's; `None` if it is nothing that is ever merged.
    pub(super) segment: Option<Segment>,
    /// Whether nothing may follow.
    pub(super) is_closed: bool,
    /// Whether the last one has TCP's PSH.
    pushes: bool,
    /// The run that the packet behind the last one was in.
    pub(super) follower: u32,
}

/// What [`Run::finish`] has written over, but for lengths.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kept {
    network_checksum: [u8; 2],
    flags: [u8; 1],
    checksum: [u8; 2],
}

impl Run {
    /// A packet alone, by its number in the batch, and the run that the next packet is probably in.
    pub(super) fn new(index: u32, segment: Option<Segment>, follower: u32) -> Self {
        Self {
            first: index,
            last: index,
            count: 1,
            payload: segment.map_or(0, |segment| u32::from(segment.length)),
            segment,
            is_closed: segment.is_none_or(|segment| segment.pushes || segment.fitness != Fitness::Fit),
            pushes: segment.is_some_and(|segment| segment.pushes),
            follower,
        }
    }

    /// Whether there is room for another packet.
    #[inline]
    pub(super) fn takes(&self, segment: &Segment) -> bool {
        let Some(first) = &self.segment else { return false };
        let headers = u32::from(first.headers());
        let most = if first.place.kind == Transport::Udp { UDP_SEGMENTS } else { MOST };
        !self.is_closed
            && headers + self.payload + u32::from(segment.length) <= LONGEST
            && u32::from(self.count) < most
    }

    /// Adds a packet, and returns the number of the one that was the last.
    pub(super) fn append(&mut self, index: u32, segment: &Segment) -> u32 {
        let before = self.last;
        self.last = index;
        self.count += 1;
        self.payload += u32::from(segment.length);
        self.pushes = segment.pushes;
        self.is_closed = segment.pushes || self.segment.is_none_or(|first| segment.length < first.length);
        before
    }

    /// Writes into the first packet's headers what they say of all.
    pub(super) fn finish(&self, segment: &Segment, packet: &mut [u8]) -> (VnetHeader, Kept) {
        let place = &segment.place;
        let (network, transport, kind) = (place.network(), place.transport(), place.kind);
        let kept = Kept {
            network_checksum: at(packet, network + 10),
            flags: at(packet, transport + 13),
            checksum: at(packet, transport + usize::from(kind.checksum())),
        };
        let length = segment.payload() + self.payload as usize;
        state_length(place, packet, length);
        if !place.is_v6 {
            put(packet, network + 10, [0, 0]);
            let own = sum_of_few(packet.get(network..transport).unwrap_or_default());
            put(packet, network + 10, checksum(own));
        }
        if kind == Transport::Tcp && self.pushes {
            put(packet, transport + 13, kept.flags.map(|flags| flags | PSH));
        }
        let pseudo = fold(place.pseudo_header(packet, length - transport));
        put(packet, transport + usize::from(kind.checksum()), pseudo.to_ne_bytes());
        let gso_type = match (kind, place.is_v6) {
            (Transport::Udp, _) => GsoType::UdpL4,
            (Transport::Tcp, false) => GsoType::TcpV4,
            (Transport::Tcp, true) => GsoType::TcpV6,
        };
        let short = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let header = VnetHeader::default()
            .with_segments(gso_type, segment.length)
            .with_checksum(short(transport), kind.checksum())
            .with_header_length(short(segment.payload()));
        (header, kept)
    }
}

impl Kept {
    /// Gives the first packet of a run its own headers back.
    pub(super) fn restore(&self, segment: &Segment, packet: &mut [u8]) {
        let place = &segment.place;
        let (network, transport, kind) = (place.network(), place.transport(), place.kind);
        state_length(place, packet, segment.payload() + usize::from(segment.length));
        if !place.is_v6 {
            put(packet, network + 10, self.network_checksum);
        }
        if kind == Transport::Tcp {
            put(packet, transport + 13, self.flags);
        }
        put(packet, transport + usize::from(kind.checksum()), self.checksum);
    }
}

/// Writes the length of a packet, with all that is in front of IP, into its headers.
fn state_length(place: &Place, packet: &mut [u8], length: usize) {
    let (network, transport) = (place.network(), place.transport());
    if place.is_v6 {
        put(packet, network + 4, half(length - network - V6_LENGTH));
    } else {
        put(packet, network + 2, half(length - network));
    }
    if place.kind == Transport::Udp {
        put(packet, transport + 4, half(length - transport));
    }
}
