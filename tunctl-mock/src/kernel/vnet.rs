//! The virtio-net header in front of a packet that the program sends (`tun_vnet_hdr_get`,
//! `virtio_net_hdr_to_skb`).

use tunctl_core::Layer;
use tunctl_packet::header::{VnetFormat, VnetHeader};

use crate::KernelProfile;
use crate::kernel::Result;

/// The packet is malformed: the kernel refuses it with `EINVAL`.
pub(super) struct Malformed;

/// The header in front of a packet. Of a longer one, the kernel looks at the first ten bytes, and at the
/// offsets in one of 24 bytes.
pub(super) fn parse(format: VnetFormat, header: &[u8]) -> Result<VnetHeader, Malformed> {
    VnetHeader::parse(format, header).map(|(header, _)| header).map_err(|_| Malformed)
}

/// Whether the headers are inside of a packet of this length, which is asked before there is a buffer for it.
/// These rules stand in `tunctl-packet`, where a program's own check has them too.
pub(super) fn check_length(
    header: &VnetHeader,
    format: VnetFormat,
    layer: Layer,
    packet: usize,
    profile: &KernelProfile,
) -> Result<(), Malformed> {
    let rules = profile.vnet_rules();
    let counted = packet + rules.excess(format.length);
    rules.check_header_length(header, layer, counted).map_err(|_| Malformed)
}

/// All other rules for a header in front of a packet.
pub(super) fn check(
    header: &VnetHeader,
    layer: Layer,
    packet: &[u8],
    profile: &KernelProfile,
) -> Result<(), Malformed> {
    profile.vnet_rules().check_contents(header, layer, packet).map_err(|_| Malformed)
}
