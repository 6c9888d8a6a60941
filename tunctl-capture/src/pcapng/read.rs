//! Reading untrusted bytes.

use std::time::Duration;

use tunctl_core::Layer;

use super::{
    BYTE_ORDER_MAGIC, END_OF_OPTIONS, ENHANCED_PACKET, INBOUND, INTERFACE_DESCRIPTION, LINK_ETHERNET,
    LINK_IPV4, LINK_IPV6, LINK_RAW, MAJOR_VERSION, OUTBOUND, PACKET_FLAGS, SECTION_HEADER, SIMPLE_PACKET,
    TIME_OFFSET, TIME_RESOLUTION,
};
use crate::{Direction, Recorded};

/// Why bytes are not a recording. An offset is that of the block in question, in bytes from the start of the
/// file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRecording {
    /// The file does not start like a pcapng file. (The older pcap format is a different one.)
    #[error("not a pcapng file: it does not start with a section header")]
    NotPcapng,
    /// The file ends within a block. The program that wrote it may have been stopped.
    #[error("the file ends within the block at byte {offset}")]
    Truncated {
        /// Where the block starts.
        offset: usize,
    },
    /// A block states an impossible length, or two lengths that differ.
    #[error("the block at byte {offset} states a wrong length")]
    BlockLength {
        /// Where the block starts.
        offset: usize,
    },
    /// A section has an unknown byte-order magic.
    #[error("the section at byte {offset} is in no known byte order")]
    ByteOrder {
        /// Where the section starts.
        offset: usize,
    },
    /// A section does not have version 1 of the format.
    #[error("the section at byte {offset} is of version {major} of the format, not 1")]
    Version {
        /// Where the section starts.
        offset: usize,
        /// The version.
        major: u16,
    },
    /// The content of a block is longer than the block.
    #[error("the block at byte {offset} is too short for its content")]
    BlockTooShort {
        /// Where the block starts.
        offset: usize,
    },
    /// A packet belongs to an interface that no earlier block describes.
    #[error("the packet at byte {offset} is of interface {interface}, which is not described before it")]
    UnknownInterface {
        /// Where the packet's block starts.
        offset: usize,
        /// The number of the interface.
        interface: u32,
    },
    /// A packet's time is before 1970, or too late to be represented.
    #[error("the time of the packet at byte {offset} is out of range")]
    Time {
        /// Where the packet's block starts.
        offset: usize,
    },
}

/// An iterator over the packets of a file. It ends with the first error.
///
/// Its memory is bounded by the bytes that it has read: an interface takes at least as many bytes in the file
/// as it takes here.
pub(crate) struct Blocks<'a> {
    rest: &'a [u8],
    offset: usize,
    order: Order,
    interfaces: Vec<Description>,
}

/// An interface that the section describes.
struct Description {
    layer: Option<Layer>,
    /// The most bytes captured of a packet; 0 for no limit.
    snap_length: u32,
    resolution: u8,
    offset_seconds: i64,
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

/// The content of a block, and its offset in the file.
struct Body<'a> {
    rest: &'a [u8],
    order: Order,
    offset: usize,
}

type Result<T> = std::result::Result<T, InvalidRecording>;

impl<'a> Blocks<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0, order: Order::Little, interfaces: Vec::new() }
    }

    /// The next packet. Blocks without packets are skipped.
    fn next_packet(&mut self) -> Result<Option<Recorded>> {
        while !self.rest.is_empty() {
            let (kind, mut body) = self.next_block()?;
            match kind {
                SECTION_HEADER => self.start_section(&mut body)?,
                INTERFACE_DESCRIPTION => self.interfaces.push(Description::parse(&mut body)?),
                ENHANCED_PACKET => return self.enhanced_packet(&mut body).map(Some),
                SIMPLE_PACKET => return self.simple_packet(&mut body).map(Some),
                _ => {}
            }
        }
        Ok(None)
    }

    /// Takes the next block, of any kind.
    fn next_block(&mut self) -> Result<(u32, Body<'a>)> {
        let offset = self.offset;
        let mut head = Body { rest: self.rest, order: self.order, offset };
        let truncated = |_| InvalidRecording::Truncated { offset };
        // This block type is a palindrome, the same in both byte orders.
        let kind = head.u32().map_err(truncated)?;
        if kind == SECTION_HEADER {
            let magic = head.rest.get(4..8).ok_or(InvalidRecording::Truncated { offset })?;
            self.order = Order::of(magic).ok_or(InvalidRecording::ByteOrder { offset })?;
            head.order = self.order;
        } else if offset == 0 {
            return Err(InvalidRecording::NotPcapng);
        }
        let length = usize::try_from(head.u32().map_err(truncated)?).unwrap_or(usize::MAX);
        if length < 12 || length % 4 != 0 {
            return Err(InvalidRecording::BlockLength { offset });
        }
        let (block, rest) =
            self.rest.split_at_checked(length).ok_or(InvalidRecording::Truncated { offset })?;
        if block[4..8] != block[length - 4..] {
            return Err(InvalidRecording::BlockLength { offset });
        }
        self.rest = rest;
        self.offset += length;
        Ok((kind, Body { rest: &block[8..length - 4], order: self.order, offset }))
    }

    fn start_section(&mut self, body: &mut Body<'_>) -> Result<()> {
        let _magic = body.u32()?;
        let major = body.u16()?;
        if major != MAJOR_VERSION {
            return Err(InvalidRecording::Version { offset: body.offset, major });
        }
        self.interfaces.clear();
        Ok(())
    }

    fn enhanced_packet(&self, body: &mut Body<'_>) -> Result<Recorded> {
        let description = self.interface(body.u32()?, body.offset)?;
        let ticks = u64::from(body.u32()?) << 32 | u64::from(body.u32()?);
        let (captured, original) = (body.u32()?, body.u32()?);
        let packet = body.take(captured)?;
        let mut direction = None;
        while let Some((code, value)) = body.option()? {
            if let (PACKET_FLAGS, Ok(flags)) = (code, value.try_into()) {
                direction = match body.order.u32(flags) & 3 {
                    INBOUND => Some(Direction::Received),
                    OUTBOUND => Some(Direction::Sent),
                    _ => None,
                };
            }
        }
        let time = description.time(ticks).ok_or(InvalidRecording::Time { offset: body.offset })?;
        Ok(Recorded::new(description.layer, direction, Some(time), packet, original))
    }

    /// A packet of the first interface, without time and direction.
    fn simple_packet(&self, body: &mut Body<'_>) -> Result<Recorded> {
        let description = self.interface(0, body.offset)?;
        let original = body.u32()?;
        let limit = if description.snap_length == 0 { u32::MAX } else { description.snap_length };
        let packet = body.take(original.min(limit))?;
        Ok(Recorded::new(description.layer, None, None, packet, original))
    }

    fn interface(&self, interface: u32, offset: usize) -> Result<&Description> {
        let position = usize::try_from(interface).unwrap_or(usize::MAX);
        self.interfaces.get(position).ok_or(InvalidRecording::UnknownInterface { offset, interface })
    }
}

impl Iterator for Blocks<'_> {
    type Item = Result<Recorded>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_packet();
        if next.is_err() {
            self.rest = &[];
        }
        next.transpose()
    }
}

impl Description {
    fn parse(body: &mut Body<'_>) -> Result<Self> {
        let layer = match body.u16()? {
            LINK_RAW | LINK_IPV4 | LINK_IPV6 => Some(Layer::Tun),
            LINK_ETHERNET => Some(Layer::Tap),
            _ => None,
        };
        let _reserved = body.u16()?;
        let snap_length = body.u32()?;
        let mut description = Self { layer, snap_length, resolution: 6, offset_seconds: 0 };
        while let Some((code, value)) = body.option()? {
            match (code, value) {
                (TIME_RESOLUTION, &[resolution]) => description.resolution = resolution,
                (TIME_OFFSET, value) => {
                    if let Ok(seconds) = value.try_into() {
                        description.offset_seconds = body.order.i64(seconds);
                    }
                }
                _ => {}
            }
        }
        Ok(description)
    }

    /// The time that a packet's ticks mean. `None` if it is before 1970, or does not fit.
    fn time(&self, ticks: u64) -> Option<Duration> {
        const NANOS: u128 = 1_000_000_000;
        let exponent = u32::from(self.resolution & 0x7f);
        let nanos = u128::from(ticks) * NANOS;
        let nanos = if self.resolution & 0x80 == 0 {
            // With a unit so short that its inverse does not fit, no number of ticks makes a nanosecond.
            10_u128.checked_pow(exponent).map_or(0, |per_second| nanos / per_second)
        } else {
            nanos >> exponent
        };
        let seconds = u64::try_from(nanos / NANOS).ok()?.checked_add_signed(self.offset_seconds)?;
        Some(Duration::new(seconds, u32::try_from(nanos % NANOS).ok()?))
    }
}

impl<'a> Body<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let short = InvalidRecording::BlockTooShort { offset: self.offset };
        let (array, rest) = self.rest.split_first_chunk().ok_or(short)?;
        self.rest = rest;
        Ok(*array)
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(self.order.u16(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(self.order.u32(self.array()?))
    }

    /// Takes `length` bytes, and the padding behind them.
    fn take(&mut self, length: u32) -> Result<&'a [u8]> {
        let short = InvalidRecording::BlockTooShort { offset: self.offset };
        let length = usize::try_from(length).map_err(|_| short)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(short)?;
        self.rest = rest.get(length.next_multiple_of(4) - length..).ok_or(short)?;
        Ok(bytes)
    }

    /// The next option. The last one may be marked as such, or be followed by nothing.
    fn option(&mut self) -> Result<Option<(u16, &'a [u8])>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let (code, length) = (self.u16()?, self.u16()?);
        let value = self.take(length.into())?;
        Ok((code != END_OF_OPTIONS).then_some((code, value)))
    }
}

impl Order {
    /// The order in which the magic number of a section is the right one.
    fn of(magic: &[u8]) -> Option<Self> {
        let magic = magic.try_into().ok()?;
        [Self::Little, Self::Big].into_iter().find(|order| order.u32(magic) == BYTE_ORDER_MAGIC)
    }

    const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(bytes),
            Self::Big => u16::from_be_bytes(bytes),
        }
    }

    const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(bytes),
            Self::Big => u32::from_be_bytes(bytes),
        }
    }

    const fn i64(self, bytes: [u8; 8]) -> i64 {
        match self {
            Self::Little => i64::from_le_bytes(bytes),
            Self::Big => i64::from_be_bytes(bytes),
        }
    }
}
