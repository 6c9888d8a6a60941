//! How a merged packet is sent, and what becomes of one that the system refuses.

use std::io::IoSlice;
use std::ops::Range;

use tunctl_packet::Layer;
use tunctl_packet::header::{GsoType, HeaderError, HeaderKind, VnetHeader};
use tunctl_packet::offload::{Merged, Parts};

use crate::{Cause, Error, Operation, Reason, Result};

/// The packets whose pieces are listed in a short array: those of TCP with an MTU of 1500. Each has two
/// pieces at most.
const FEW_PACKETS: usize = 48;
/// The pieces that a system takes in one call (`UIO_MAXIOV`).
const MOST_PIECES: usize = 1024;
/// So many refusals in a row are no accident.
const MOST_REFUSED: u32 = 3;

/// How many merged packets of each transport the system has refused, since it took one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refused {
    tcp: u32,
    udp: u32,
}

impl Refused {
    fn of(&mut self, gso_type: GsoType) -> Option<&mut u32> {
        match gso_type {
            GsoType::None => None,
            GsoType::UdpL4 => Some(&mut self.udp),
            _ => Some(&mut self.tcp),
        }
    }

    /// Whether there is no point in merging TCP.
    pub(super) const fn tcp_always(self) -> bool {
        self.tcp >= MOST_REFUSED
    }

    /// Whether there is no point in merging UDP.
    pub(super) const fn udp_always(self) -> bool {
        self.udp >= MOST_REFUSED
    }

    pub(super) fn count(&mut self, gso_type: GsoType) {
        if let Some(count) = self.of(gso_type) {
            *count += 1;
        }
    }

    pub(super) fn taken(&mut self, gso_type: GsoType) {
        if let Some(count) = self.of(gso_type) {
            *count = 0;
        }
    }
}

/// How packets are sent.
#[derive(Clone, Copy)]
pub(super) struct Sending {
    pub(super) kind: HeaderKind,
    pub(super) layer: Layer,
}

impl Sending {
    pub(super) fn send(
        self,
        merged: &Merged<'_>,
        call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
    ) -> Result<()> {
        if let (HeaderKind::Vnet(_), Some(whole)) = (self.kind, merged.alone_behind(self.kind.length())) {
            // The header of a packet that stands for itself is zero, and was written when it was added.
            return call(&[IoSlice::new(whole)]).map(drop);
        }
        let first = merged.pieces().next().unwrap_or_default();
        let headers = self.headers(first, merged.header())?;
        let headers = headers.get(..self.kind.length()).unwrap_or_default();
        let mut pieces = std::iter::once(headers).chain(merged.pieces());
        if merged.packets() < FEW_PACKETS {
            gather::<{ 2 * FEW_PACKETS }>(&mut pieces, call)
        } else {
            gather::<MOST_PIECES>(&mut pieces, call)
        }
    }

    pub(super) fn send_alone(
        self,
        [first, rest]: [&[u8]; 2],
        call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
    ) -> Result<()> {
        let headers = self.headers(first, VnetHeader::default())?;
        let headers = headers.get(..self.kind.length()).unwrap_or_default();
        gather::<3>(&mut [headers, first, rest].into_iter().filter(|part| !part.is_empty()), call)
    }

    /// Sends a packet of the arena. One in one part gets its headers written in front, where there is room.
    pub(super) fn send_parts(
        self,
        arena: &mut [u8],
        parts: &Parts,
        call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
    ) -> Result<()> {
        if !parts.rest.is_empty() {
            let part = |range: &Range<usize>| arena.get(range.clone()).unwrap_or_default();
            return self.send_alone([part(&parts.first), part(&parts.rest)], call);
        }
        let start = parts.first.start - self.kind.length();
        let whole = arena.get_mut(start..parts.first.end).unwrap_or_default();
        let (headers, packet) = whole.split_at_mut(self.kind.length().min(whole.len()));
        self.kind.write(self.layer, packet, headers).map_err(malformed)?;
        call(&[IoSlice::new(whole)]).map(drop)
    }

    fn headers(self, packet: &[u8], vnet: VnetHeader) -> Result<[u8; HeaderKind::MAX_LENGTH]> {
        let mut headers = [0; HeaderKind::MAX_LENGTH];
        let own = self.kind.headers_for(self.layer, packet).map_err(malformed)?.with_vnet(vnet);
        own.write(&mut headers).map_err(|error| malformed(HeaderError::NoRoom(error)))?;
        Ok(headers)
    }
}

/// Calls with all pieces.
fn gather<'a, const N: usize>(
    pieces: &mut impl Iterator<Item = &'a [u8]>,
    call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
) -> Result<()> {
    let mut slices = [IoSlice::new(&[]); N];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(pieces.by_ref()) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    debug_assert!(pieces.next().is_none(), "a run is no longer than a call takes");
    call(slices.get(..count).unwrap_or_default()).map(drop)
}

fn malformed(error: HeaderError) -> Error {
    Error::new(Operation::Send, Reason::new(Cause::MalformedPacket).with_detail(error.to_string()))
}
