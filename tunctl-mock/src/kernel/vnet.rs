//! The virtio-net header in front of a packet that the program sends (`tun_vnet_hdr_get`,
//! `virtio_net_hdr_to_skb`).

use tunctl_core::Layer;
use tunctl_packet::header::{VnetFormat, VnetHeader};

use crate::KernelProfile;
use crate::kernel::Result;

/// The packet is malformed: the kernel refuses it with `EINVAL`.
pub(super) struct Malformed;

/// The header in front of a packet. What a longer one has beside the first ten bytes is not looked at.
pub(super) fn parse(format: VnetFormat, header: &[u8]) -> Result<VnetHeader, Malformed> {
    VnetHeader::parse(format, header).map(|(header, _)| header).map_err(|_| Malformed)
}

/// Whether the headers are inside of a packet of this length, which is asked before there is a buffer for it.
/// These rules stand in `tunctl-packet`, where a program's own check has them too.
pub(super) fn check_length(
    header: &VnetHeader,
    layer: Layer,
    packet: usize,
    profile: &KernelProfile,
) -> Result<(), Malformed> {
    profile.vnet_rules().check_header_length(header, layer, packet).map_err(|_| Malformed)
}

/// All rules for a header in front of a packet. The packet's bytes are asked for where the kernel decodes it.
pub(super) fn check(
    header: &VnetHeader,
    layer: Layer,
    length: usize,
    packet: impl FnOnce() -> Vec<u8>,
    profile: &KernelProfile,
) -> Result<(), Malformed> {
    let rules = profile.vnet_rules();
    let checked = if rules.decodes_segments() {
        rules.check_packet(header, layer, &packet())
    } else {
        rules.check(header, layer, length)
    };
    checked.map_err(|_| Malformed)
}
