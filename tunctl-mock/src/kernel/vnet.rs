//! The virtio-net header in front of a packet that the program sends (`tun_vnet_hdr_get`,
//! `virtio_net_hdr_to_skb`).

use tunctl_packet::header::{Endian, GsoType, VnetFormat, VnetHeader, VnetLength};

use crate::KernelProfile;
use crate::kernel::Result;

/// The packet is malformed: the kernel refuses it with `EINVAL`.
pub(super) struct Malformed;

/// The format of a header unless a program requests another (`TUNSETVNETHDRSZ`, `TUNSETVNETLE`), which the
/// mock does not offer.
const FORMAT: VnetFormat = VnetFormat::new(VnetLength::Basic, Endian::Native);
pub(super) const LENGTH: usize = FORMAT.length.bytes();

/// The kernel reserves `NET_SKB_PAD` bytes in front of a packet, 64 on x86-64, and stores where a checksum
/// starts, from there on, in 16 bits. The last value is reserved (`skb_partial_csum_set` refuses `U16_MAX`).
const HEADROOM: usize = 64;
const LAST_START: usize = 65_534;
const IP_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// The rules for a header. Returns the length of the packet's own headers as the header specifies it, 0 if it
/// does not.
///
/// Not modelled: the kernel also dissects the packet, and refuses a segmentation type that does not fit it.
pub(super) fn check(
    header: &[u8; LENGTH],
    packet: usize,
    profile: &KernelProfile,
) -> Result<usize, Malformed> {
    let (header, _) = VnetHeader::parse(FORMAT, header).map_err(|_| Malformed)?;
    let specified = usize::from(header.header_length());
    let checksum = header.needs_checksum().map(|(start, offset)| (usize::from(start), usize::from(offset)));
    let headers = checksum.map_or(specified, |(start, offset)| specified.max(start + offset + 2));
    if headers > packet || checksum.is_some_and(|(start, _)| HEADROOM + start > LAST_START) {
        return Err(Malformed);
    }
    let is_tunneled = header.is_tunneled_v4() || header.is_tunneled_v6();
    let network_header = match header.gso_type() {
        _ if header.gso_byte() == 0 => IP_HEADER,
        // A header of 10 bytes has no fields for a tunnel.
        _ if is_tunneled => return Err(Malformed),
        GsoType::TcpV4 | GsoType::Udp | GsoType::UdpL4 => IP_HEADER,
        GsoType::TcpV6 => IPV6_HEADER,
        _ => return Err(Malformed),
    };
    // Newer kernels refuse a checksum that starts within the network header (`__virtio_net_hdr_to_skb`).
    // Segments need a size.
    let misplaced = checksum.is_some_and(|(start, _)| start < network_header) && profile.checksum_behind_ip();
    if misplaced || (header.gso_byte() != 0 && header.segment_size() == 0) {
        return Err(Malformed);
    }
    Ok(headers)
}
