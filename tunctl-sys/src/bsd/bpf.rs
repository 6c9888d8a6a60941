//! The Berkeley Packet Filter: raw frames to and from an interface. Manual page: `bpf(4)`.
//!
//! A descriptor of `/dev/bpf` is bound to one interface. A written frame leaves through that interface. A
//! read returns the packets that have passed the interface since the last read, each behind a header, whose
//! layout differs between the systems.
#![allow(unsafe_code, reason = "the requests are declared here, each with the proof of its argument")]

use super::{Request, System, ior, iow, iowr};
use crate::ioctl::Opcode;

/// `u_int`.
const NUMBER: usize = size_of::<u32>();

/// `u_int`, filled in: the size that the buffer of a read must have.
pub const BIOCGBLEN: Opcode = ior(b'B', 102, NUMBER);
/// `u_int`, both ways: sets that size, before the descriptor is bound to an interface; the kernel fills in
/// the size that it chose.
pub const BIOCSBLEN: Opcode = iowr(b'B', 102, NUMBER);
/// `u_int`, filled in: the header with which packets begin (`DLT_…`).
pub const BIOCGDLT: Opcode = ior(b'B', 106, NUMBER);
/// `u_int`: whether a read returns at the first packet, instead of waiting for a full buffer.
pub const BIOCIMMEDIATE: Opcode = iow(b'B', 112, NUMBER);
/// `u_int`: whether a written frame keeps its source address, instead of getting the interface's.
pub const BIOCSHDRCMPLT: Opcode = iow(b'B', 117, NUMBER);

/// Packets begin with an address family, in host byte order.
pub const DLT_NULL: u32 = 0;
/// Packets begin with an Ethernet header.
pub const DLT_EN10MB: u32 = 1;

/// The packet filter of one system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bpf {
    /// `BIOCSETIF` → [`ifreq`](super::Abi::ifreq): binds the descriptor to an interface.
    pub set_interface: Request,
    /// [`BIOCSBLEN`] → `u_int`.
    pub set_buffer_length: Request,
    /// [`BIOCGBLEN`] → `u_int`.
    pub buffer_length: Request,
    /// [`BIOCGDLT`] → `u_int`.
    pub link_type: Request,
    /// [`BIOCIMMEDIATE`] → `u_int`.
    pub set_immediate: Request,
    /// [`BIOCSHDRCMPLT`] → `u_int`.
    pub set_header_complete: Request,
    /// `BIOCSSEESENT`, `BIOCSDIRECTION` or `BIOCSDIRFILT` → `u_int`: which packets a read returns.
    pub set_direction: Request,
    /// The argument of [`set_direction`](Self::set_direction) that selects the packets which the interface
    /// has received, and none that it has sent.
    pub received_only: u32,
    /// The layout of the header in front of each packet.
    pub header: HeaderLayout,
}

/// The layout of the header in front of each packet: the offsets of its fields, and where the next header
/// begins.
#[doc(alias = "bpf_hdr")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLayout {
    /// The offset of the number of bytes that were captured and follow, 32 bits.
    pub captured: usize,
    /// The offset of the packet's length, 32 bits.
    pub original: usize,
    /// The offset of the header's own length, 16 bits.
    pub length: usize,
    /// Each header begins at a multiple of this number of bytes.
    pub alignment: usize,
}

impl HeaderLayout {
    /// The layout of a header that begins with a time of `time` bytes.
    pub(super) const fn behind(time: usize, alignment: usize) -> Self {
        Self { captured: time, original: time + 4, length: time + 8, alignment }
    }
}

impl Bpf {
    /// Declares the packet filter of one system.
    ///
    /// # Safety
    ///
    /// On `system`, `set_interface` is `BIOCSETIF`.
    ///
    /// # Panics
    ///
    /// The argument of `set_direction` is longer than a number.
    pub(super) const unsafe fn declare(
        system: System,
        set_interface: Opcode,
        set_direction: Opcode,
        received_only: u32,
        header: HeaderLayout,
    ) -> Self {
        Self {
            // SAFETY: the caller vouches for the number; the name alone is read in its `ifreq`.
            set_interface: unsafe { Request::new(system, set_interface) },
            set_buffer_length: Request::without_address(system, BIOCSBLEN),
            buffer_length: Request::without_address(system, BIOCGBLEN),
            link_type: Request::without_address(system, BIOCGDLT),
            set_immediate: Request::without_address(system, BIOCIMMEDIATE),
            set_header_complete: Request::without_address(system, BIOCSHDRCMPLT),
            set_direction: Request::without_address(system, set_direction),
            received_only,
            header,
        }
    }
}

/// A packet of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured<'a> {
    /// The bytes that were captured.
    pub bytes: &'a [u8],
    /// The packet's length, which may be greater.
    pub original: usize,
}

/// The packets of one read, in the order in which they passed. The iterator ends at a malformed header.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
    layout: HeaderLayout,
}

impl<'a> Packets<'a> {
    /// Iterates over the packets in the bytes of a read.
    #[must_use]
    pub const fn new(read: &'a [u8], layout: HeaderLayout) -> Self {
        Self { rest: read, layout }
    }

    /// The bytes behind the packets returned so far: the next header begins there.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Captured<'a>;

    fn next(&mut self) -> Option<Captured<'a>> {
        let HeaderLayout { captured, original, length, alignment } = self.layout;
        let header = usize::from(u16::from_ne_bytes(field(self.rest, length)?));
        let captured = usize::try_from(u32::from_ne_bytes(field(self.rest, captured)?)).ok()?;
        let original = usize::try_from(u32::from_ne_bytes(field(self.rest, original)?)).ok()?;
        // A header contains at least its own length field. Without this check a length of 0 would make no
        // progress.
        if header < length + size_of::<u16>() {
            return None;
        }
        let end = header.checked_add(captured)?;
        let bytes = self.rest.get(header..end)?;
        // The last packet need not be padded.
        self.rest = self.rest.get(end.checked_next_multiple_of(alignment)?..).unwrap_or_default();
        Some(Captured { bytes, original })
    }
}

fn field<const SIZE: usize>(bytes: &[u8], at: usize) -> Option<[u8; SIZE]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bsd::{Abi, dragonfly, freebsd, macos, netbsd, openbsd};

    const ALL: [Abi; 5] = [freebsd::ABI, netbsd::ABI, openbsd::ABI, dragonfly::ABI, macos::ABI];

    /// The bytes of a read of these packets, with a header of `length` bytes in front of each.
    fn read(layout: HeaderLayout, length: u16, packets: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for packet in packets {
            bytes.resize(bytes.len().next_multiple_of(layout.alignment), 0xee);
            let at = bytes.len();
            bytes.resize(at + usize::from(length), 0xdd);
            let captured = u32::try_from(packet.len()).unwrap();
            bytes[at + layout.captured..][..4].copy_from_slice(&captured.to_ne_bytes());
            bytes[at + layout.original..][..4].copy_from_slice(&(captured + 7).to_ne_bytes());
            bytes[at + layout.length..][..2].copy_from_slice(&length.to_ne_bytes());
            bytes.extend_from_slice(packet);
        }
        bytes
    }

    #[test]
    fn each_packet_of_a_read_is_found() {
        for layout in ALL.map(|abi| abi.bpf.header) {
            let packets: [&[u8]; 4] = [&[1; 14], &[], &[3; 61], &[4; 1]];
            let length = u16::try_from(layout.length + 2).unwrap();
            for length in [length, 26, 32] {
                let bytes = read(layout, length.max(28), &packets);
                let found: Vec<_> = Packets::new(&bytes, layout).collect();
                assert_eq!(found.iter().map(|one| one.bytes).collect::<Vec<_>>(), packets);
                assert!(found.iter().all(|one| one.original == one.bytes.len() + 7));
            }
        }
    }

    #[test]
    fn a_malformed_header_ends_the_iteration() {
        for layout in ALL.map(|abi| abi.bpf.header) {
            let whole = read(layout, 32, &[&[1; 20], &[2; 20]]);
            for cut in 0..whole.len() {
                let found: Vec<_> = Packets::new(&whole[..cut], layout).map(|one| one.bytes.len()).collect();
                assert!(found.len() < 2 && found.iter().all(|&length| length == 20), "{cut} {found:?}");
            }
            for byte in [0x00, 0x01, 0x7f, 0xff] {
                assert!(Packets::new(&[byte; 200], layout).count() < 200);
            }
        }
    }

    #[test]
    fn numbers_are_those_of_the_headers() {
        let numbers = |abi: Abi| [abi.bpf.set_interface.opcode(), abi.bpf.set_direction.opcode()];
        assert_eq!(
            ALL.map(numbers),
            [
                [0x8020_426c, 0x8004_4277],
                [0x8090_426c, 0x8004_4279],
                [0x8020_426c, 0x8004_427d],
                [0x8020_426c, 0x8004_4277],
                [0x8020_426c, 0x8004_4277],
            ]
        );
        // OpenBSD's argument is a mask of the directions to leave out. On the others, 0 selects received
        // packets.
        assert_eq!(ALL.map(|abi| abi.bpf.received_only), [0, 0, 2, 0, 0]);
    }
}
