//! How a merged packet is sent, and what becomes of one that the system refuses.

use std::io::IoSlice;
use std::ops::Range;

use tunctl_packet::Layer;
use tunctl_packet::header::{GsoType, HeaderError, HeaderKind, VnetHeader};
use tunctl_packet::offload::Merged;

use crate::{Cause, Error, Operation, Reason, Result};

/// The pieces of a packet that are listed in a short array: those of TCP with an MTU of 1500.
const FEW_PIECES: usize = 64;
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
        if merged.packets() < FEW_PIECES {
            gather::<FEW_PIECES>(headers, merged, call)
        } else {
            gather::<MOST_PIECES>(headers, merged, call)
        }
    }

    pub(super) fn send_alone(
        self,
        packet: &[u8],
        call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
    ) -> Result<()> {
        let headers = self.headers(packet, VnetHeader::default())?;
        let headers = headers.get(..self.kind.length()).unwrap_or_default();
        call(&[IoSlice::new(headers), IoSlice::new(packet)]).map(drop)
    }

    fn headers(self, packet: &[u8], vnet: VnetHeader) -> Result<[u8; HeaderKind::MAX_LENGTH]> {
        let mut headers = [0; HeaderKind::MAX_LENGTH];
        let own = self.kind.headers_for(self.layer, packet).map_err(malformed)?.with_vnet(vnet);
        own.write(&mut headers).map_err(|error| malformed(HeaderError::NoRoom(error)))?;
        Ok(headers)
    }
}

/// Calls with the headers and all pieces.
fn gather<const N: usize>(
    headers: &[u8],
    merged: &Merged<'_>,
    call: &mut impl FnMut(&[IoSlice<'_>]) -> Result<usize>,
) -> Result<()> {
    let mut slices = [IoSlice::new(&[]); N];
    let mut count = 0;
    for (slice, piece) in slices.iter_mut().zip(std::iter::once(headers).chain(merged.pieces())) {
        *slice = IoSlice::new(piece);
        count += 1;
    }
    call(slices.get(..count).unwrap_or_default()).map(drop)
}

/// A packet with its headers in front, for which there is room.
pub(super) fn with_headers<'a>(
    arena: &'a mut [u8],
    range: &Range<usize>,
    kind: HeaderKind,
    layer: Layer,
) -> Result<&'a [u8]> {
    let start = range.start - kind.length();
    let whole = arena.get_mut(start..range.end).unwrap_or_default();
    let (headers, packet) = whole.split_at_mut(kind.length().min(whole.len()));
    kind.write(layer, packet, headers).map_err(malformed)?;
    Ok(whole)
}

fn malformed(error: HeaderError) -> Error {
    Error::new(Operation::Send, Reason::new(Cause::MalformedPacket).with_detail(error.to_string()))
}
