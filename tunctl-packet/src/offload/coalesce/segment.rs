//! A packet that may be merged.

use super::parts::Bytes;
use super::{Merging, PSH};
use crate::Layer;
use crate::ip::{TCP_LENGTH, V4_LENGTH, V6_LENGTH};
use crate::offload::Sum;
use crate::offload::checksum::{fold, sum_of_few};
use crate::offload::layout::Transport;
use crate::offload::split::{at, half};

/// Version 4, and a header without options.
const PLAIN_V4: u8 = 0x45;
/// Don't Fragment.
const DF: u8 = 0x40;
const ACK: u8 = 0x10;
/// Two ports, in bytes.
const PORTS: usize = 4;
/// TCP's flags that a merged packet may have: ACK, PSH and ECE. All others seal their flow.
const MERGED_FLAGS: u8 = ACK | PSH | 0x40;

/// Where its headers are, and what decides whether others may follow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) place: Place,
    payload: u16,
    /// The payload, in bytes.
    pub(super) length: u16,
    pub(super) fitness: Fitness,
    pub(super) pushes: bool,
}

/// Where the headers are, in bytes from the packet's beginning, and of which protocols they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    network: u16,
    transport: u16,
    pub(super) kind: Transport,
    pub(super) is_v6: bool,
}

/// Whether a packet may be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fitness {
    Fit,
    /// It stands for itself alone: by its flags or options, or since it has no payload or no checksum.
    Alone,
    /// A length or a checksum is wrong.
    Wrong,
}

/// What a packet is to those around it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Packet {
    /// One of a flow, which is told by its ports.
    OfFlow(Place),
    /// One of a flow that is not told: a fragment, or TCP or UDP behind extension headers.
    OfUnknownFlow,
    /// One of no flow that is ever merged.
    Other,
}

impl Packet {
    #[inline(always)]
    pub(super) fn parse(layer: Layer, merging: Merging, packet: Bytes<'_>) -> Self {
        let bytes = packet.first;
        // Without its headers, a packet is none; the first of two parts may be one of any flow.
        let short = if packet.rest.is_empty() { Self::Other } else { Self::OfUnknownFlow };
        let network = match layer {
            Layer::Tun => Some(0),
            Layer::Tap => network(bytes),
        };
        let Some((network, ip)) = network.and_then(|network| Some((network, bytes.get(network..)?))) else {
            return short;
        };
        let (number, header, is_v6) = match ip.first() {
            Some(first) if first >> 4 == 4 => {
                let Some(fixed) = ip.first_chunk::<V4_LENGTH>() else { return short };
                if fixed[6] & !DF != 0 || fixed[7] != 0 {
                    return Self::OfUnknownFlow;
                }
                (fixed[9], usize::from(first & 0x0f) * 4, false)
            }
            Some(first) if first >> 4 == 6 => {
                let Some(fixed) = ip.first_chunk::<V6_LENGTH>() else { return short };
                // Hop-by-hop options, routing, fragments, authentication and destination options.
                if matches!(fixed[6], 0 | 43 | 44 | 51 | 60) {
                    return Self::OfUnknownFlow;
                }
                (fixed[6], V6_LENGTH, true)
            }
            None => return short,
            _ => return Self::Other,
        };
        let kind = match number {
            6 if merging.tcp => Transport::Tcp,
            17 if merging.udp => Transport::Udp,
            _ => return Self::Other,
        };
        match (u16::try_from(network), u16::try_from(network + header)) {
            (Ok(network), Ok(transport)) if bytes.len() >= usize::from(transport) + PORTS => {
                Self::OfFlow(Place { network, transport, kind, is_v6 })
            }
            _ => Self::OfUnknownFlow,
        }
    }
}

/// Whether packets of a run may have this header, and it states this length.
#[inline(always)]
fn check_v4(header: &[u8; V4_LENGTH], length: usize) -> Result<(), Fitness> {
    if header[0] != PLAIN_V4 {
        // With options, the system merges nothing either (`inet_gro_receive`, Linux 6.18).
        return Err(Fitness::Alone);
    }
    let stated = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let is_right = stated == length && fold(sum_of_few(header)) == u16::MAX;
    if is_right { Ok(()) } else { Err(Fitness::Wrong) }
}

/// The same for IPv6.
#[inline(always)]
fn check_v6(header: &[u8; V6_LENGTH], length: usize) -> Result<(), Fitness> {
    let stated = V6_LENGTH + usize::from(u16::from_be_bytes([header[4], header[5]]));
    if stated == length { Ok(()) } else { Err(Fitness::Wrong) }
}

impl Place {
    /// The packet that has its headers there, to be the first of a run.
    pub(super) fn segment(self, bytes: Bytes<'_>, sum: Sum) -> Segment {
        match self.check(bytes, sum) {
            Ok((payload, flags)) => {
                // A sound packet is no longer than IP allows.
                let length = u16::try_from(bytes.len() - usize::from(payload)).unwrap_or_default();
                let merges = length > 0 && flags & !MERGED_FLAGS == 0 && flags & ACK != 0;
                let fitness = if merges { Fitness::Fit } else { Fitness::Alone };
                Segment { place: self, payload, length, fitness, pushes: flags & PSH != 0 }
            }
            Err(fitness) => Segment { place: self, payload: 0, length: 0, fitness, pushes: false },
        }
    }

    /// Where the payload is, and TCP's flags: ACK alone for UDP.
    fn check(&self, bytes: Bytes<'_>, sum: Sum) -> Result<(u16, u8), Fitness> {
        self.check_network(bytes)?;
        let upper = bytes.first.get(self.transport()..).unwrap_or_default();
        let (header, flags) = match self.kind {
            Transport::Tcp => {
                let [offset, flags] = at(upper, 12);
                (u16::from(offset >> 4) * 4, flags)
            }
            Transport::Udp => (8, ACK),
        };
        let fits = usize::from(header) >= self.kind.least() && usize::from(header) <= upper.len();
        let (true, Some(payload)) = (fits, self.transport.checked_add(header)) else {
            return Err(Fitness::Wrong);
        };
        self.check_transport(bytes, sum)?;
        Ok((payload, flags))
    }

    /// Whether the packet ends where IP says, with a header that packets of a run may have.
    fn check_network(&self, bytes: Bytes<'_>) -> Result<(), Fitness> {
        let (network, length) = (self.network(), bytes.len() - self.network());
        if self.is_v6 {
            check_v6(&at(bytes.first, network), length)
        } else {
            check_v4(&at(bytes.first, network), length)
        }
    }

    /// Whether there is a checksum, and it is right, as is UDP's length.
    #[inline(always)]
    fn check_transport(&self, bytes: Bytes<'_>, sum: Sum) -> Result<(), Fitness> {
        let (transport, length) = (self.transport(), bytes.len() - self.transport());
        if self.kind == Transport::Udp {
            if at(bytes.first, transport + 4) != half(length) {
                return Err(Fitness::Wrong);
            }
            if at(bytes.first, transport + 6) == [0, 0] {
                // It would not be cut again (`udp_gro_receive`, Linux 6.18).
                return Err(Fitness::Alone);
            }
        }
        if self.has_right_checksum(bytes, length, sum) { Ok(()) } else { Err(Fitness::Wrong) }
    }

    /// Whether the checksum of the transport is right. The addresses that it covers are right in front of the
    /// transport.
    #[inline(always)]
    fn has_right_checksum(&self, bytes: Bytes<'_>, upper: usize, sum: Sum) -> bool {
        let covered = bytes.sum_from(usize::from(self.addresses()), sum);
        fold(covered + self.rest_of_pseudo_header(upper)) == u16::MAX
    }

    /// The sum of what the pseudo-header has beside the addresses: protocol and length.
    fn rest_of_pseudo_header(&self, length: usize) -> u64 {
        let length = u32::try_from(length).unwrap_or_default();
        sum_of_few(&length.to_be_bytes()) + sum_of_few(&[0, self.kind.number()])
    }

    /// The sum of the pseudo-header of a transport of this length.
    pub(super) fn pseudo_header(&self, packet: &[u8], length: usize) -> u64 {
        let addresses = usize::from(self.addresses())..usize::from(self.transport);
        sum_of_few(packet.get(addresses).unwrap_or_default()) + self.rest_of_pseudo_header(length)
    }

    /// Where the addresses are.
    const fn addresses(&self) -> u16 {
        self.network + if self.is_v6 { 8 } else { 12 }
    }

    pub(super) fn network(&self) -> usize {
        usize::from(self.network)
    }

    pub(super) fn transport(&self) -> usize {
        usize::from(self.transport)
    }

    fn ports(&self, packet: &[u8]) -> [u8; 4] {
        at(packet, self.transport())
    }

    /// A hash of addresses, ports and protocol.
    #[inline(always)]
    pub(super) fn hash(&self, packet: &[u8], key: u64) -> u64 {
        let ports = u32::from_ne_bytes(self.ports(packet));
        let rest = u64::from(ports) | u64::from(self.kind.number()) << 32;
        let word = |number: usize| u64::from_ne_bytes(at(packet, usize::from(self.addresses()) + 8 * number));
        let other_key = key.rotate_left(32);
        let addresses = if self.is_v6 {
            mix(word(0) ^ key, word(1) ^ other_key) ^ mix(word(2) ^ other_key, word(3) ^ key)
        } else {
            word(0)
        };
        mix(addresses ^ key, rest ^ other_key)
    }
}

impl Segment {
    pub(super) fn payload(&self) -> usize {
        usize::from(self.payload)
    }

    /// The headers from IP on, in bytes.
    pub(super) const fn headers(&self) -> u16 {
        self.payload - self.place.network
    }

    /// The next packet, if it would be cut off again from one that this packet begins, and that has so much
    /// payload, of so many packets, before it. If so, it is of the same flow, and may be merged as this one.
    #[inline(always)]
    pub(super) fn next(&self, own: &[u8], packet: Bytes<'_>, before: (u32, u32), sum: Sum) -> Option<Self> {
        let (payload, count) = before;
        let &Self { place, length, .. } = self;
        let bytes = packet.first;
        let next = u16::try_from(packet.len().checked_sub(self.payload())?).ok()?;
        if next == 0 || next > length || bytes.len() < self.payload() {
            return None;
        }
        let (network, transport) = (place.network(), place.transport());
        let (ip, upper) = (bytes.get(network..)?, bytes.get(transport..)?);
        let pushes = match place.kind {
            Transport::Udp if place.ports(bytes) != place.ports(own) => return None,
            Transport::Udp => false,
            Transport::Tcp => {
                let (header, first) = (upper.first_chunk()?, own.get(transport..)?.first_chunk()?);
                let options = transport + TCP_LENGTH..self.payload();
                if !is_same_tcp(header, first, payload)
                    || !are_same_options(bytes.get(options.clone())?, own.get(options)?)
                {
                    return None;
                }
                header[13] & PSH != 0
            }
        };
        if place.is_v6 {
            let (header, first) = (ip.first_chunk()?, own.get(network..)?.first_chunk()?);
            if !is_same_v6(header, first) || check_v6(header, packet.len() - network).is_err() {
                return None;
            }
        } else {
            let (header, first) = (ip.first_chunk()?, own.get(network..)?.first_chunk()?);
            if !is_same_v4(header, first, count) || check_v4(header, packet.len() - network).is_err() {
                return None;
            }
        }
        if network > 0 && bytes.get(..network) != own.get(..network) {
            return None;
        }
        place.check_transport(packet, sum).ok()?;
        Some(Self { length: next, pushes, ..*self })
    }
}

/// Whether IPv4's headers differ in nothing but length, checksum, and an identification that is the next, as
/// the system numbers packets that it cuts. Where they may not be fragmented, any identification will do.
#[inline(always)]
fn is_same_v4(own: &[u8; V4_LENGTH], first: &[u8; V4_LENGTH], count: u32) -> bool {
    let identification = |header: &_| u16::from_be_bytes(at(header, 4));
    // A run is shorter than identifications are many.
    let next = identification(first).wrapping_add(u16::try_from(count).unwrap_or_default());
    let version_and_service = |header: &_| at::<2>(header, 0);
    let fragment_to_protocol = |header: &_| at::<4>(header, 6);
    let addresses = |header: &_| at::<8>(header, 12);
    version_and_service(own) == version_and_service(first)
        && fragment_to_protocol(own) == fragment_to_protocol(first)
        && addresses(own) == addresses(first)
        && (own[6] & DF != 0 || identification(own) == next)
}

/// Whether IPv6's headers differ in nothing but the length.
#[inline(always)]
fn is_same_v6(own: &[u8; V6_LENGTH], first: &[u8; V6_LENGTH]) -> bool {
    let version_to_label = |header: &_| at::<4>(header, 0);
    let number_and_limit = |header: &_| at::<2>(header, 6);
    let addresses = |header: &_| at::<32>(header, 8);
    version_to_label(own) == version_to_label(first)
        && number_and_limit(own) == number_and_limit(first)
        && addresses(own) == addresses(first)
}

/// Whether TCP's headers differ in nothing but PSH, checksum, and a sequence number that is behind so much
/// payload.
#[inline(always)]
fn is_same_tcp(own: &[u8; TCP_LENGTH], first: &[u8; TCP_LENGTH], payload: u32) -> bool {
    let sequence = |header: &_| u32::from_be_bytes(at(header, 4));
    let ports = |header: &_| at::<4>(header, 0);
    let but_psh = u64::from_ne_bytes([0xff, 0xff, 0xff, 0xff, 0xff, !PSH, 0xff, 0xff]);
    let acknowledgement_to_window = |header: &_| u64::from_ne_bytes(at(header, 8)) & but_psh;
    let urgent = |header: &_| at::<2>(header, 18);
    ports(own) == ports(first)
        && sequence(own) == sequence(first).wrapping_add(payload)
        && acknowledgement_to_window(own) == acknowledgement_to_window(first)
        && urgent(own) == urgent(first)
}

/// Whether TCP's options are the same, which are whole words. They are too few for a call of `memcmp`.
#[inline(always)]
fn are_same_options(mut own: &[u8], mut first: &[u8]) -> bool {
    while let (Some((one, behind)), Some((other, behind_other))) =
        (own.split_first_chunk::<4>(), first.split_first_chunk::<4>())
    {
        if one != other {
            return false;
        }
        (own, first) = (behind, behind_other);
    }
    true
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

/// Spreads the bits of two words, in which there is a key that nobody knows, over one.
#[allow(clippy::cast_possible_truncation, reason = "the half that is cut off is added")]
const fn mix(one: u64, other: u64) -> u64 {
    let product = (one as u128) * (other as u128);
    (product as u64) ^ ((product >> 64) as u64)
}
