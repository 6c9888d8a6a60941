//! The virtio-net header in front of a packet that the program sends (`tun_vnet_hdr_get`,
//! `virtio_net_hdr_to_skb`).

use tunctl_core::Layer;
use tunctl_packet::header::{Endian, VnetFormat, VnetHeader, VnetLength};

use crate::KernelProfile;
use crate::kernel::Result;

/// The packet is malformed: the kernel refuses it with `EINVAL`.
pub(super) struct Malformed;

/// The format of a header unless a program requests another (`TUNSETVNETHDRSZ`, `TUNSETVNETLE`), which the
/// mock does not offer.
const FORMAT: VnetFormat = VnetFormat::new(VnetLength::Basic, Endian::Native);
pub(super) const LENGTH: usize = FORMAT.length.bytes();

/// The rules for a header in front of a packet of this length. They stand in `tunctl-packet`, where a
/// program's own check has them too.
pub(super) fn check(
    header: &[u8; LENGTH],
    layer: Layer,
    packet: usize,
    profile: &KernelProfile,
) -> Result<(), Malformed> {
    let (header, _) = VnetHeader::parse(FORMAT, header).map_err(|_| Malformed)?;
    profile.vnet_rules().check(&header, layer, packet).map_err(|_| Malformed)
}
