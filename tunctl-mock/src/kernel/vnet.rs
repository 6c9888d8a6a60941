//! The virtio-net header in front of a packet that the program sends.

use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};

use crate::KernelProfile;
use crate::kernel::Result;

/// The packet makes no sense.
pub(super) struct Malformed;

/// Its form unless a program asked for another, and there is no way here to ask.
const FORMAT: VnetFormat = VnetFormat::new(VnetLength::Basic, Endian::Native);
pub(super) const LENGTH: usize = FORMAT.length.bytes();

/// What the kernel keeps free in front of each packet, and the last place that its 16 bits can tell, counted from there.
const HEADROOM: usize = 64;
const LAST_START: usize = 65_534;
const IP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The rules for a header, and the length of the packet's own headers that it tells (0: it tells none).
///
/// Whether a segmentation type fits the packet behind it is not looked at, other than the kernel, which dissects the packet.
pub(super) fn check(
    header: &[u8; LENGTH],
    packet: usize,
    profile: &KernelProfile,
) -> Result<usize, Malformed> {
    let (header, _) = VnetHeader::parse(FORMAT, header).map_err(|_| Malformed)?;
    let told = usize::from(header.header_length());
    let checksum = header.needs_checksum().map(|(start, offset)| (usize::from(start), usize::from(offset)));
    let headers = checksum.map_or(told, |(start, offset)| told.max(start + offset + 2));
    if headers > packet || checksum.is_some_and(|(start, _)| HEADROOM + start > LAST_START) {
        return Err(Malformed);
    }
    let is_tunneled = header.is_tunneled_v4() || header.is_tunneled_v6();
    let network_header = match header.gso_type() {
        _ if header.gso_byte() == 0 => IP_HEADER,
        // The header is too short to tell of a tunnel.
        _ if is_tunneled => return Err(Malformed),
        GsoType::TcpV4 | GsoType::Udp | GsoType::UdpL4 => IP_HEADER,
        GsoType::TcpV6 => IPV6_HEADER,
        _ => return Err(Malformed),
    };
    // A checksum starts behind the network header, where the kernel looks; segments have a size.
    let misplaced = checksum.is_some_and(|(start, _)| start < network_header) && profile.checksum_behind_ip();
    if misplaced || (header.gso_byte() != 0 && header.segment_size() == 0) {
        return Err(Malformed);
    }
    Ok(headers)
}
