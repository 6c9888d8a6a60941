//! The virtio-net header in front of a packet that the program sends.

use crate::KernelProfile;

/// The packet makes no sense.
pub(super) struct Malformed;

/// Its size unless a program asked for another, and there is no way here to ask.
pub(super) const LENGTH: usize = 10;

const NEEDS_CSUM: u8 = 1;
/// What the kernel keeps free in front of each packet, and the last place that its 16 bits can tell, counted from there.
const HEADROOM: usize = 64;
const LAST_START: usize = 65_534;
const IP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// A flag of the type: TCP with explicit congestion notification.
const ECN: u8 = 0x80;
const TCP_OVER_IPV4: u8 = 1;
const UDP_FRAGMENTS: u8 = 3;
const TCP_OVER_IPV6: u8 = 4;
const UDP_SEGMENTS: u8 = 5;

/// The rules for a header, and the length of the packet's own headers that it tells (0: it tells none).
///
/// Whether a segmentation type fits the packet behind it is not looked at, other than the kernel, which dissects the packet.
pub(super) fn check(
    header: &[u8; LENGTH],
    packet: usize,
    profile: &KernelProfile,
) -> Result<usize, Malformed> {
    let &[flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1] = header;
    let number = |low, high| usize::from(u16::from_ne_bytes([low, high]));
    let (start, offset) = (number(s0, s1), number(o0, o1));
    let needs_checksum = flags & NEEDS_CSUM != 0;
    let told = number(h0, h1);
    let headers = if needs_checksum { told.max(start + offset + 2) } else { told };
    if headers > packet || (needs_checksum && HEADROOM + start > LAST_START) {
        return Err(Malformed);
    }
    let network_header = match gso_type {
        0 => IP_HEADER,
        _ => match gso_type & !ECN {
            TCP_OVER_IPV4 | UDP_FRAGMENTS | UDP_SEGMENTS => IP_HEADER,
            TCP_OVER_IPV6 => IPV6_HEADER,
            _ => return Err(Malformed),
        },
    };
    // A checksum starts behind the network header, where the kernel looks; segments have a size.
    let misplaced = needs_checksum && start < network_header && profile.checksum_behind_ip();
    if misplaced || (gso_type != 0 && number(g0, g1) == 0) {
        return Err(Malformed);
    }
    Ok(headers)
}
