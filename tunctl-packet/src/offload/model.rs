//! The headers of segments: what they share is kept, and what is each one's own is written.

use super::checksum::{checksum, pseudo_header, sum_of_few};
use super::layout::{Layout, Transport};
use super::split::{at, half, put};
use crate::header::VnetHeader;
use crate::ip::{TCP_LENGTH, V4_LENGTH, V6_LENGTH};

/// TCP's flags that only the first, and only the last, of several segments has.
const CWR: u8 = 0x80;
const FIN_AND_PSH: u8 = 0x09;

/// The longest headers that are kept, in bytes: enough for Ethernet, IPv6 and TCP with all options, and for
/// VXLAN in front of Ethernet, IPv4 and TCP.
const KEPT: usize = 128;

/// Enough for IPv4 and TCP with timestamps, and for IPv6 without.
const FEW: usize = 64;

/// What the segments of a packet share, and the fields of the first one that those of others derive from.
///
/// Nothing that was just written is read, since a processor cannot forward several small writes to one large
/// read, and waits: checksums are made of the sum of what is shared, of the fields, and of the payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    /// The headers as they came, which end where this ends; nothing of use if they are longer.
    headers: [u8; KEPT],
    ip: IpFields,
    sequence: u32,
    /// The length of TCP's header, and its flags.
    tcp_flags: [u8; 2],
    /// The sum of the pseudo-header, without the length.
    pseudo: u64,
    /// The same, with the sum of what the transport's headers share.
    shared: u64,
}

/// The fields of an IP header that segments don't share.
#[derive(Clone, Copy, Debug)]
pub(super) struct IpFields {
    network: usize,
    /// The identification of the first segment; and the sum of what its header shares with the others'.
    v4: Option<(u16, u64)>,
}

/// Which of the segments one is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) is_last: bool,
    /// How much payload is in those before, in bytes.
    pub(super) offset: usize,
}

impl Model {
    #[inline]
    pub(super) fn of(header: &VnetHeader, layout: &Layout, packet: &[u8]) -> Self {
        let &Layout { network, transport, payload, kind, source, destination } = layout;
        let pseudo = match header.needs_checksum() {
            // The sum of the pseudo-header is there already. It is not made anew, since a packet with other
            // addresses than its sender has summed must not become a right one.
            Some(_) => {
                let length = match kind {
                    Transport::Tcp => {
                        u32::try_from(packet.len() - transport).unwrap_or_default().to_be_bytes()
                    }
                    Transport::Udp => {
                        let [high, low] = at(packet, transport + 4);
                        [0, 0, high, low]
                    }
                };
                let stated: [u8; 2] = at(packet, transport + usize::from(kind.checksum()));
                sum_of_few(&stated) + sum_of_few(&length.map(|byte| !byte))
            }
            None => pseudo_header(source, destination, kind.number()),
        };
        let mut headers = [0; KEPT];
        let kept = payload.min(KEPT);
        if let (Some(to), Some(from)) = (headers.get_mut(KEPT - kept..), packet.get(payload - kept..payload))
        {
            to.copy_from_slice(from);
        }
        let ip = IpFields::of(packet, network, source.is_ipv4());
        let sum = |start, end| sum_of_few(packet.get(start..end).unwrap_or_default());
        let ports = sum(transport, transport + 4);
        let (sequence, tcp_flags, shared) = match kind {
            Transport::Udp => (0, [0; 2], ports),
            Transport::Tcp => (
                u32::from_be_bytes(at(packet, transport + 4)),
                at(packet, transport + 12),
                // All but the sequence number, the flags and the checksum.
                ports
                    + sum(transport + 8, transport + 12)
                    + sum(transport + 14, transport + 16)
                    + sum(transport + 18, payload),
            ),
        };
        Self { headers, ip, sequence, tcp_flags, pseudo, shared: pseudo + shared }
    }

    /// Writes into the headers of a segment of this length what it does not share with the others. `payload`
    /// is the sum of the bytes behind them.
    #[inline]
    pub(super) fn complete(
        &self,
        layout: &Layout,
        headers: &mut [u8],
        length: usize,
        place: Place,
        payload: u64,
    ) {
        let covered = half(length - layout.transport);
        let Some(headers) = headers.get_mut(..layout.payload) else { return };
        // The length is also in the pseudo-header.
        let total = payload + self.shared + word(covered);
        self.ip.complete(headers, length, place.index);
        let Some(header) = headers.get_mut(layout.transport..) else { return };
        match layout.kind {
            Transport::Tcp => self.complete_tcp(header, place, total),
            Transport::Udp => complete_udp(header, covered, total),
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "numbers wrap")]
    fn complete_tcp(&self, header: &mut [u8], place: Place, total: u64) {
        let Some(header) = header.first_chunk_mut::<TCP_LENGTH>() else { return };
        let sequence = self.sequence.wrapping_add(place.offset as u32).to_be_bytes();
        let [data_offset, mut flags] = self.tcp_flags;
        if place.index > 0 {
            flags &= !CWR;
        }
        if !place.is_last {
            flags &= !FIN_AND_PSH;
        }
        let total = total + u64::from(u32::from_ne_bytes(sequence)) + word([data_offset, flags]);
        put(header, 4, sequence);
        put(header, 12, [data_offset, flags]);
        put(header, 16, checksum(total));
    }

    /// The sum of the pseudo-header of a segment that has so many bytes from the transport on.
    pub(super) fn pseudo_header(&self, length: usize) -> u64 {
        self.pseudo + word(half(length))
    }

    /// Copies the headers to where a segment begins whose payload follows. It is not the first one. `written`
    /// is where whole headers are: those of the last segment that was cut here.
    ///
    /// Where there is room, more than the headers are copied, since a copy of a known length takes no call:
    /// the bytes in front of the headers belong to segments that are gone.
    #[inline]
    pub(super) fn copy(&self, layout: &Layout, packet: &mut [u8], start: usize, written: usize) {
        let length = layout.payload;
        let Some(to) = packet.get_mut(..start + length) else { return };
        let few = if length > FEW { None } else { self.headers.last_chunk::<FEW>() };
        if length > KEPT {
            // The headers of a segment before are the model. Where segments are shorter than headers, the two
            // overlap.
            to.copy_within(written..written + length, start);
        } else if let (Some(to), Some(few)) = (to.last_chunk_mut(), few) {
            *to = *few;
        } else if let Some(to) = to.last_chunk_mut() {
            *to = self.headers;
        } else if let (Some(to), Some(from)) = (to.get_mut(start..), self.headers.get(KEPT - length..)) {
            to.copy_from_slice(from);
        }
    }
}

/// Copies headers of this length to the front of a segment. What is behind them is written over later.
///
/// Where there is room, more than the headers are copied, since a copy of a known length takes no call.
#[inline]
pub(super) fn copy_headers(from: &[u8], to: &mut [u8], length: usize) {
    let few = (from.first_chunk::<FEW>(), to.first_chunk_mut::<FEW>());
    if let (true, (Some(from), Some(to))) = (length <= FEW, few) {
        *to = *from;
    } else if let (Some(from), Some(to)) = (from.get(..length), to.get_mut(..length)) {
        to.copy_from_slice(from);
    }
}

impl IpFields {
    pub(super) fn of(packet: &[u8], network: usize, is_v4: bool) -> Self {
        let header = packet.get(network..).unwrap_or_default();
        let length = header.first().map_or(0, |byte| usize::from(byte & 0x0f) * 4);
        let sum = |start, end| sum_of_few(header.get(start..end).unwrap_or_default());
        // All but the length, the identification and the checksum.
        let v4 = || (u16::from_be_bytes(at(header, 4)), sum(0, 2) + sum(6, 10) + sum(12, length));
        Self { network, v4: is_v4.then(v4) }
    }

    /// Writes into the IP header of a segment that is so long, of which at least the headers are given, its
    /// length; and, for IPv4, the identification that follows the first segment's, and the checksum.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "numbers wrap")]
    pub(super) fn complete(&self, headers: &mut [u8], length: usize, index: usize) {
        let header = headers.get_mut(self.network..).and_then(<[u8]>::first_chunk_mut::<V4_LENGTH>);
        let Some(header) = header else { return };
        let length = length - self.network;
        let Some((first, shared)) = self.v4 else {
            put(header, 4, half(length - V6_LENGTH));
            return;
        };
        let [l0, l1] = half(length);
        let [i0, i1] = first.wrapping_add(index as u16).to_be_bytes();
        let fields = [l0, l1, i0, i1];
        put(header, 2, fields);
        put(header, 10, checksum(shared + u64::from(u32::from_ne_bytes(fields))));
    }
}

fn complete_udp(header: &mut [u8], length: [u8; 2], total: u64) {
    let own = checksum(total + word(length));
    put(header, 4, length);
    // A datagram without a checksum has zero in its place.
    put(header, 6, if own == [0, 0] { [0xff, 0xff] } else { own });
}

fn word(bytes: [u8; 2]) -> u64 {
    u16::from_ne_bytes(bytes).into()
}
