//! The values that sequences are made of: few of each, so that they meet again.

use tunctl_core::Offloads;
use tunctl_packet::header::{Endian, VnetLength};

use crate::differential::random::Random;

/// The MAC addresses that are set; others are a kernel's choice.
pub(crate) const MACS: &[&str] = &["02:00:00:00:00:01", "fe:ff:ff:ff:ff:ff", "00:1b:21:00:00:07"];
/// The MAC addresses that no interface takes: nobody's, and groups'.
pub(crate) const ODD_MACS: &[&str] = &["00:00:00:00:00:00", "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff"];
/// None is longer than any kernel takes. What a kernel answers beyond 2^19 also depends on its default
/// queueing discipline: with `pfifo_fast`, an interface that was ever up refuses what others take.
pub(crate) const QUEUE_LENGTHS: &[u32] = &[0, 1, 2, 33, 500, 4096];
/// Few names, so that sequences meet an interface again.
pub(crate) const NAMES: &[&str] = &["a", "b", "c"];
/// `lo` is no TUN/TAP interface; the kernel refuses the others.
pub(crate) const ODD_NAMES: &[&str] = &["lo", "lo", "all", "default", "a:b", "x y", "..", "a%"];
/// What is refused as a new name, save those of general settings: without IPv6 they are not, and then it
/// never comes back.
pub(crate) const ODD_NEW_NAMES: &[&str] = &["lo", "a:b", "x y", "..", "a%"];
pub(crate) const PATTERNS: &[&str] = &["t%d", "a%d", "%d"];
pub(crate) const OFFLOADS: &[Offloads] = &[
    Offloads::NONE,
    Offloads::CHECKSUM,
    Offloads::TSO4,
    Offloads::TSO,
    Offloads::TSO_ECN,
    Offloads::USO,
    Offloads::UDP_TUNNEL,
    Offloads::UDP_TUNNEL_CHECKSUM,
];
/// The longest one more often, which offloads of tunnels need.
pub(crate) const VNET_LENGTHS: &[VnetLength] =
    &[VnetLength::Basic, VnetLength::Buffers, VnetLength::Hash, VnetLength::Tunnel, VnetLength::Tunnel];
/// Few kernels know the order of a machine that is not this one's.
pub(crate) const ENDIANS: &[Endian] =
    &[Endian::Native, Endian::Native, Endian::Native, Endian::Little, Endian::Big];
/// That of `lo`, and some that a kernel does not come to by itself.
pub(crate) const INDICES: &[u32] = &[1, 141, 4077];
pub(crate) const IDS: &[u32] = &[0, 4001, 4002];
/// No id that is mapped: the user namespace maps all but those from 2^32 - 1.
pub(crate) const UNMAPPED: u32 = u32::MAX - 1;
/// With less, an interface has no IPv6.
pub(crate) const LEAST_IPV6_MTU: u32 = 1280;
pub(crate) const MTUS: &[u32] = &[68, 576, 1279, 1280, 1400, 1500, 9000, 65_521, 65_522, 65_535];
pub(crate) const IPV4: &[&str] = &[
    "10.77.0.1/24",
    "10.77.0.2/24",
    "10.77.0.1/16",
    "10.77.0.1/32",
    "10.77.1.1",
    "10.78.0.1/31",
    "10.77.0.1 peer 10.77.0.9/32",
    "10.77.0.1 peer 10.77.0.8/24",
    "192.168.77.1",
];
/// For tuns alone: on a tap the kernel would announce and probe them, in its own time.
pub(crate) const IPV6: &[&str] =
    &["fd77::1/64", "fd77::2/64", "fd77::1/128", "fd77::1 peer fd77::9/128", "fe80::77/64"];

/// An address for an interface.
pub(crate) fn address(random: &mut Random, is_tun: bool) -> String {
    let pool = if is_tun && random.one_of(1, 5) { IPV6 } else { IPV4 };
    (*random.pick(pool)).to_owned()
}
