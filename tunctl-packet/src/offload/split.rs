//! Cuts a packet into the segments that it stands for: where it is, or into other memory.

use core::ops::Range;

use super::SplitError;
use super::checksum::Sum;
use super::layout::{Layout, Transport, tcp_of};
use super::model::{Model, Place, copy_headers};
use super::tunnel::Tunnel;
use crate::Layer;
use crate::header::{GsoType, VnetHeader};

/// The longest packet of IPv4, and the longest payload of IPv6.
const LONGEST: usize = 65_535;

/// The most segments of a packet of UDP (`UDP_MAX_SEGMENTS`): 64 before Linux 6.9.
pub(super) const MOST_OF_UDP: usize = 128;

/// A size that means something else to Linux (`GSO_BY_FRAGS`).
const BY_FRAGMENTS: u16 = 0xffff;

/// The segments of one packet, one after the other, in the packet's own bytes: the next one's headers are
/// written over the payload of those before, so that no payload is moved.
///
/// ```
/// use tunctl_packet::header::{GsoType, VnetHeader};
/// use tunctl_packet::offload::{Segments, sum};
/// use tunctl_packet::{Layer, Packet, udp_packet};
///
/// // What a device with offload receives: one datagram of 3,000 bytes that stands for three.
/// let mut packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, &[7; 3000])?;
/// let header = VnetHeader::default().with_checksum(20, 6).with_segments(GsoType::UdpL4, 1200);
///
/// let mut segments = Segments::new(&header, Layer::Tun, &mut packet, sum)?;
/// let mut lengths = Vec::new();
/// while let Some(segment) = segments.next() {
///     assert_eq!(Packet::parse(Layer::Tun, segment)?.destination_port(), Some(53));
///     lengths.push(segment.len());
/// }
/// assert_eq!(lengths, [1228, 1228, 628]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Segments<'a> {
    packet: &'a mut [u8],
    cut: Cut,
}

/// As [`Segments`], for a packet that stays where it is: each call is given the same bytes again.
///
/// It borrows nothing, so that it can stand beside the buffer that the packet is in.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// `None` for a packet that is its only segment.
    headers: Option<(Layout, Model)>,
    tunnel: Option<Tunnel>,
    sum: Sum,
    /// The payload of each segment but the last, in bytes.
    size: usize,
    count: usize,
    next: usize,
    /// Where in the packet the headers of the last segment are that was cut in place.
    written: usize,
}

/// Where a segment is of which only the headers were copied: see [`Cut::next_apart`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// The length of its headers, in bytes. 0: the packet is whole where it was.
    pub headers: usize,
    /// Where in the packet the rest is.
    pub payload: Range<usize>,
    /// The [`sum`](super::sum) of the payload. `None`: the packet is whole.
    pub payload_sum: Option<u64>,
}

/// A segment, or its headers, are longer than the memory that they were to be copied to. Nothing is lost: it
/// is still the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("no room for {length} bytes of a segment: there are {available}")]
pub struct NoRoom {
    /// The length of what was to be copied, in bytes.
    pub length: usize,
    /// The room there is, in bytes.
    pub available: usize,
}

impl<'a> Segments<'a> {
    /// Begins to cut a packet that was read behind a virtio-net header. A packet that stands for itself alone
    /// is its only segment, with its checksum completed.
    ///
    /// In a UDP tunnel (VXLAN, Geneve), it is the inner packet that is cut. Each segment gets the tunnel's
    /// headers, with a length and an identification of its own, and with a checksum of its own if
    /// [the header says so](VnetHeader::needs_tunnel_checksum). Else the outer checksum stays as it is, above
    /// all zero, for none.
    ///
    /// `sum` adds up bytes: [`sum`](super::sum), or a function for the processor at hand.
    ///
    /// # Errors
    ///
    /// [`SplitError`], by cause; the packet is as it was.
    #[doc(alias = "skb_gso_segment")]
    #[doc(alias = "VIRTIO_NET_HDR_GSO_TCPV4")]
    #[inline]
    pub fn new(
        header: &VnetHeader,
        layer: Layer,
        packet: &'a mut [u8],
        sum: Sum,
    ) -> Result<Self, SplitError> {
        let cut = Cut::new(header, layer, packet, sum)?;
        Ok(Self { packet, cut })
    }

    /// How many segments are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.cut.left()
    }

    /// The next segment: a whole packet. It is there until the next one is asked for.
    #[allow(clippy::should_implement_trait, reason = "an iterator cannot lend")]
    #[inline]
    pub fn next(&mut self) -> Option<&[u8]> {
        self.cut.next(self.packet)
    }

    /// As [`next`](Self::next), with the segment copied to the front of `room`, where it stays.
    ///
    /// ```
    /// use tunctl_packet::header::{GsoType, VnetHeader};
    /// use tunctl_packet::offload::{Segments, sum};
    /// use tunctl_packet::{Layer, udp_packet};
    ///
    /// let mut packet = udp_packet("10.0.0.1:4000".parse()?, "10.0.0.2:53".parse()?, &[7; 3000])?;
    /// let header = VnetHeader::default().with_checksum(20, 6).with_segments(GsoType::UdpL4, 1200);
    /// let mut segments = Segments::new(&header, Layer::Tun, &mut packet, sum)?;
    ///
    /// let (mut arena, mut ends) = ([0; 4000], vec![0]);
    /// let mut end = 0;
    /// while let Some(segment) = segments.next_into(&mut arena[end..])? {
    ///     end += segment.len();
    ///     ends.push(end);
    /// }
    /// assert_eq!(ends, [0, 1228, 2456, 3084]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: it is longer than that.
    #[inline]
    pub fn next_into<'b>(&mut self, room: &'b mut [u8]) -> Result<Option<&'b mut [u8]>, NoRoom> {
        self.cut.next_into(self.packet, room)
    }
}

impl Cut {
    /// Begins to cut a packet, as [`Segments::new`] does.
    ///
    /// # Errors
    ///
    /// [`SplitError`], by cause; the packet is as it was.
    pub fn new(header: &VnetHeader, layer: Layer, packet: &mut [u8], sum: Sum) -> Result<Self, SplitError> {
        let whole = Self { headers: None, tunnel: None, sum, size: 0, count: 1, next: 0, written: 0 };
        let gso_type = header.gso_type();
        match gso_type {
            GsoType::TcpV4 | GsoType::TcpV6 => {}
            GsoType::Udp | GsoType::Other(_) => return Err(SplitError::Type { gso_type }),
            _ if header.has_ecn() => return Err(SplitError::Ecn { gso_type }),
            GsoType::UdpL4 => {}
            // In a tunnel, too: the sender of a packet that is not cut has made the outer checksum for an
            // inner one that is complete (`udp_set_csum`, Linux 6.18).
            GsoType::None => {
                header.complete_checksum(packet)?;
                return Ok(whole);
            }
        }
        let size = header.segment_size();
        if size == 0 || size == BY_FRAGMENTS {
            return Err(SplitError::SegmentSize { size });
        }
        header.check_tunnel(layer).map_err(SplitError::UdpTunnel)?;
        let kind = if gso_type == GsoType::UdpL4 { Transport::Udp } else { Transport::Tcp };
        let size = usize::from(size);
        match header.needs_checksum() {
            Some((_, offset)) if offset != kind.checksum() => return Err(SplitError::ChecksumPlace),
            None if kind == Transport::Udp => return Err(SplitError::ChecksumPlace),
            Some((start, _)) if !has_room(gso_type, kind, packet.len(), usize::from(start)) => {
                return Err(SplitError::ChecksumPlace);
            }
            // What fits into one segment is a plain packet, as the kernel has it (`__virtio_net_hdr_to_skb`,
            // Linux 6.18): the header of TCP counts without its options.
            Some((start, _)) if packet.len() <= usize::from(start) + kind.least() + size => {
                header.check_inner_version(layer, packet).map_err(SplitError::UdpTunnel)?;
                header.complete_checksum(packet)?;
                return Ok(whole);
            }
            None if !header.is_tunneled()
                && tcp_of(layer, packet).is_some_and(|tcp| packet.len() <= tcp + kind.least() + size) =>
            {
                return Ok(whole);
            }
            _ => {}
        }
        let (layout, tunnel) = if header.is_tunneled() {
            let (tunnel, layout) = Tunnel::of(header, layer, packet)?;
            (layout, Some(tunnel))
        } else {
            (Layout::of(header, layer, packet)?, None)
        };
        if packet.len() <= layout.transport + kind.least() + size && header.needs_checksum().is_none() {
            return Ok(whole);
        }
        layout.check(header, packet.len(), size)?;
        if let Some(tunnel) = &tunnel {
            tunnel.check(layout.payload + size)?;
        }
        let count = (packet.len() - layout.payload).div_ceil(size);
        let headers = Some((layout, Model::of(header, &layout, packet)));
        Ok(Self { headers, tunnel, size, count, ..whole })
    }

    /// How many segments are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.count - self.next
    }

    /// The next segment of the packet that this was made of, which is there until the next one is asked for.
    pub fn next<'a>(&mut self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let (range, place) = self.place(packet.len())?;
        let Some((layout, model)) = &self.headers else {
            self.next += 1;
            return Some(packet);
        };
        if place.index > 0 {
            model.copy(layout, packet, range.start, self.written);
        }
        self.written = range.start;
        let segment = packet.get_mut(range)?;
        let payload = (self.sum)(segment.get(layout.payload..).unwrap_or_default());
        let length = segment.len();
        self.complete(segment, length, place, payload);
        self.next += 1;
        Some(segment)
    }

    /// As [`next`](Self::next), with the segment copied to the front of `room`, where it stays. The packet is
    /// not changed.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: it is longer than that.
    pub fn next_into<'a>(
        &mut self,
        packet: &[u8],
        room: &'a mut [u8],
    ) -> Result<Option<&'a mut [u8]>, NoRoom> {
        let Some(length) = self.next_length(packet.len()) else { return Ok(None) };
        let available = room.len();
        let segment = room.get_mut(..length).ok_or(NoRoom { length, available })?;
        // The sum is that of the source: what was just written is not at hand yet.
        let Some(Apart { headers, payload, .. }) = self.next_apart(packet, segment)? else { return Ok(None) };
        if let (Some(to), Some(from)) = (segment.get_mut(headers..), packet.get(payload)) {
            to.copy_from_slice(from);
        }
        Ok(Some(segment))
    }

    /// As [`next_into`](Self::next_into), with the segment left apart: its headers are written to the front
    /// of `room`, and its payload stays where it is in the packet. What `room` has behind the headers may
    /// change. A packet that is its only segment stays whole where it is.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: its headers are longer than that.
    pub fn next_apart(&mut self, packet: &[u8], room: &mut [u8]) -> Result<Option<Apart>, NoRoom> {
        let Some((range, place)) = self.place(packet.len()) else { return Ok(None) };
        let Some((layout, _)) = &self.headers else {
            self.next += 1;
            return Ok(Some(Apart { headers: 0, payload: range, payload_sum: None }));
        };
        let (length, available) = (layout.payload, room.len());
        if length > available {
            return Err(NoRoom { length, available });
        }
        copy_headers(packet.get(self.written..).unwrap_or_default(), room, length);
        let payload = range.start + length..range.end;
        let sum = (self.sum)(packet.get(payload.clone()).unwrap_or_default());
        self.complete(room, range.len(), place, sum);
        self.next += 1;
        Ok(Some(Apart { headers: length, payload, payload_sum: Some(sum) }))
    }

    /// How long the next segment is, in bytes. `packet` is the length of the packet that this was made of.
    #[must_use]
    pub fn next_length(&self, packet: usize) -> Option<usize> {
        self.place(packet).map(|(range, _)| range.len())
    }

    /// Where the next segment is, headers included, and which one it is.
    #[inline]
    fn place(&self, length: usize) -> Option<(Range<usize>, Place)> {
        let index = self.next;
        if index == self.count {
            return None;
        }
        let offset = index * self.size;
        let is_last = index + 1 == self.count;
        let headers = self.headers.as_ref().map_or(0, |(layout, _)| layout.payload);
        let end = if is_last { length } else { offset + headers + self.size };
        Some((offset..end, Place { index, is_last, offset }))
    }

    /// Writes what a segment of this length has to itself into its headers.
    #[inline]
    fn complete(&self, headers: &mut [u8], length: usize, place: Place, payload: u64) {
        let Some((layout, model)) = &self.headers else { return };
        model.complete(layout, headers, length, place, payload);
        if let Some(tunnel) = &self.tunnel {
            let pseudo = model.pseudo_header(length - layout.transport);
            tunnel.complete(headers, length, place.index, layout.transport, pseudo);
        }
    }
}

/// Whether there is room for a header of IP in front of the transport, and for the transport's header.
fn has_room(gso_type: GsoType, kind: Transport, length: usize, start: usize) -> bool {
    let ip = if gso_type == GsoType::TcpV6 { crate::ip::V6_LENGTH } else { crate::ip::V4_LENGTH };
    start >= ip && start + kind.least() <= length
}

impl Layout {
    fn check(&self, header: &VnetHeader, length: usize, size: usize) -> Result<(), SplitError> {
        let is_other = match header.gso_type() {
            GsoType::TcpV4 => self.source.is_ipv6(),
            GsoType::TcpV6 => self.source.is_ipv4(),
            _ => false,
        };
        if is_other {
            return Err(SplitError::Version { gso_type: header.gso_type() });
        }
        // A checksum of TCP that is complete is made anew for each segment.
        if header.needs_checksum().is_some_and(|(start, _)| usize::from(start) != self.transport) {
            return Err(SplitError::ChecksumPlace);
        }
        let payload = length.saturating_sub(self.payload);
        if payload <= size {
            return Err(SplitError::OneSegment { payload });
        }
        let segments = payload.div_ceil(size);
        if self.kind == Transport::Udp && segments > MOST_OF_UDP {
            return Err(SplitError::TooMany { segments });
        }
        check_length(self.payload - self.network + size, self.source.is_ipv4())
    }
}

/// Checks that an IP header can state the length of the longest segment.
pub(super) fn check_length(length: usize, is_v4: bool) -> Result<(), SplitError> {
    let fixed = if is_v4 { 0 } else { crate::ip::V6_LENGTH };
    if length - fixed > LONGEST { Err(SplitError::TooLong { length }) } else { Ok(()) }
}

/// A length as a header states it. Lengths were checked.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a length of more bits is that of a large packet, whose sum wraps"
)]
pub(super) fn half(length: usize) -> [u8; 2] {
    (length as u16).to_be_bytes()
}

pub(super) fn at<const N: usize>(packet: &[u8], offset: usize) -> [u8; N] {
    packet.get(offset..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
}

pub(super) fn put<const N: usize>(packet: &mut [u8], offset: usize, bytes: [u8; N]) {
    if let Some(place) = packet.get_mut(offset..).and_then(<[u8]>::first_chunk_mut) {
        *place = bytes;
    }
}
