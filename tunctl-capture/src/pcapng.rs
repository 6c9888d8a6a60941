//! The parts of the pcapng file format (draft-ietf-opsawg-pcapng) that recordings need.
//!
//! ARCHITECTURE.md says why this crate does not use a library for it.

mod read;

use std::time::Duration;

use tunctl_core::{InterfaceName, Layer};

use crate::Direction;

pub(crate) use self::read::Blocks;
pub use self::read::InvalidRecording;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

/// The section header's third word, in the byte order of the section.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const MAJOR_VERSION: u16 = 1;
const MINOR_VERSION: u16 = 0;

const END_OF_OPTIONS: u16 = 0;
const USER_APPLICATION: u16 = 4;
const INTERFACE_NAME: u16 = 2;
const TIME_RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;
const PACKET_FLAGS: u16 = 2;

const LINK_ETHERNET: u16 = 1;
const LINK_RAW: u16 = 101;
const LINK_IPV4: u16 = 228;
const LINK_IPV6: u16 = 229;

/// The lowest two bits of the flags of a packet.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// The most bytes of a packet that are kept, which is as many as Wireshark and tcpdump read.
const MAX_CAPTURED: usize = 262_144;

/// Appends the blocks before the packets of a log: little endian on every host, times in nanoseconds.
pub(crate) fn start(out: &mut Vec<u8>, layer: Layer, name: Option<InterfaceName>) {
    block(out, SECTION_HEADER, |out| {
        out.extend(BYTE_ORDER_MAGIC.to_le_bytes());
        out.extend(MAJOR_VERSION.to_le_bytes());
        out.extend(MINOR_VERSION.to_le_bytes());
        // The section's length, unknown in advance.
        out.extend((-1_i64).to_le_bytes());
        option(out, USER_APPLICATION, b"tunctl");
        option(out, END_OF_OPTIONS, b"");
    });
    block(out, INTERFACE_DESCRIPTION, |out| {
        let link = match layer {
            Layer::Tun => LINK_RAW,
            Layer::Tap => LINK_ETHERNET,
        };
        out.extend(link.to_le_bytes());
        out.extend([0; 2]);
        out.extend(number(MAX_CAPTURED).to_le_bytes());
        if let Some(name) = name {
            option(out, INTERFACE_NAME, name.to_string().as_bytes());
        }
        option(out, TIME_RESOLUTION, &[9]);
        option(out, END_OF_OPTIONS, b"");
    });
}

/// Appends a packet of the one interface.
pub(crate) fn packet(
    out: &mut Vec<u8>,
    direction: Direction,
    time: Duration,
    packet: &[u8],
    original_length: usize,
) {
    let captured = &packet[..packet.len().min(MAX_CAPTURED)];
    let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let flags = match direction {
        Direction::Received => INBOUND,
        Direction::Sent => OUTBOUND,
    };
    block(out, ENHANCED_PACKET, |out| {
        out.extend(0_u32.to_le_bytes());
        // The higher half comes first.
        out.extend(time.rotate_left(32).to_le_bytes());
        out.extend(number(captured.len()).to_le_bytes());
        out.extend(number(original_length).to_le_bytes());
        out.extend(captured);
        pad(out);
        option(out, PACKET_FLAGS, &flags.to_le_bytes());
        option(out, END_OF_OPTIONS, b"");
    });
}

/// Appends a block: its type, its length, its body, and its length once more.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = number(out.len() - start + 4).to_le_bytes();
    out.extend(length);
    out[start + 4..start + 8].copy_from_slice(&length);
}

/// Appends an option; its value is at most a name or a few numbers.
fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(value);
    pad(out);
}

/// Everything in the file starts at a multiple of four bytes.
fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(4), 0);
}

/// A length as the file stores it. Only the length that a packet claims for itself can exceed 32 bits.
fn number(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
