//! What differs between the systems, as data: code that takes an [`Abi`] works for all of them.

use crate::bsd::bpf::Bpf;
use crate::bsd::route::RouteLayout;
use crate::bsd::text::Description;
use crate::bsd::{Pair, Requests, SetText};

/// One of the five systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// FreeBSD.
    FreeBsd,
    /// NetBSD.
    NetBsd,
    /// OpenBSD.
    OpenBsd,
    /// DragonFly.
    DragonFly,
    /// macOS.
    MacOs,
}

/// Numbers and layouts of one system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abi {
    /// The system.
    pub system: System,
    /// `AF_INET6`: in addresses, and in the header of a tun's packets.
    pub af_inet6: u8,
    /// Whether an interface has 32 flags, in two halves, or 16.
    pub wide_flags: bool,
    /// The bytes of an `ifreq`.
    pub ifreq: usize,
    /// The bytes of an `in6_ifreq`.
    pub ifreq_v6: usize,
    /// The argument that adds an IPv4 address.
    pub alias: AliasLayout,
    /// The argument that adds an IPv6 address.
    pub alias_v6: AliasLayoutV6,
    /// The layout of the request that configures a tun, where there is one.
    pub tun_info: Option<TunInfoLayout>,
    /// `IN6_IFF_NODAD`: adds an IPv6 address without duplicate detection, where the system has the flag.
    pub no_duplicate_detection: Option<u32>,
    /// The offset, in an interface's statistics (`if_data`), of the number of packets for which its queue had
    /// no room; 64 bits.
    #[doc(alias = "ifi_oqdrops")]
    pub output_drops: Option<usize>,
    /// The offset, in an interface's statistics (`if_data`), of the time when it was created; 64 bits.
    #[doc(alias = "ifi_epoch")]
    pub created: Option<usize>,
    /// The requests whose arguments are plain bytes.
    pub requests: Requests,
    /// The packet filter.
    pub bpf: Bpf,
    /// What the routing socket reports: one layout for each version that is known.
    pub route: &'static [RouteLayout],
    /// `SIOCSIFNAME`, where the system can rename interfaces.
    pub rename: Option<SetText>,
    /// `SIOCSIFDESCR` and `SIOCGIFDESCR`, where interfaces have a description.
    pub description: Option<Description>,
    /// `SIOCSDRVSPEC` with `IF_FAKE_S_CMD_SET_PEER`, where the system has paired Ethernet interfaces
    /// (`feth`).
    pub pair: Option<Pair>,
}

/// The argument that adds an IPv4 address: its size, and the offset of each address.
#[doc(alias = "ifaliasreq")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasLayout {
    /// The size of the argument, in bytes.
    pub size: usize,
    /// The interface's address.
    pub address: usize,
    /// The peer's address, or the broadcast address.
    pub destination: usize,
    /// The netmask.
    pub mask: usize,
}

/// The argument that adds an IPv6 address: its size, and the offset of each part.
#[doc(alias = "in6_aliasreq")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasLayoutV6 {
    /// The size of the argument, in bytes.
    pub size: usize,
    /// The interface's address.
    pub address: usize,
    /// The peer's address.
    pub destination: usize,
    /// The netmask.
    pub mask: usize,
    /// The flags, an `int`.
    pub flags: usize,
    /// How many seconds the address is valid, 32 bits.
    pub valid: usize,
    /// How many seconds the address is preferred, 32 bits.
    pub preferred: usize,
}

/// The layout of a `tuninfo`.
#[doc(alias = "tuninfo")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunInfoLayout {
    /// FreeBSD's and DragonFly's: an MTU of 16 bits, a kind of 8 bits, no flags.
    Narrow,
    /// OpenBSD's: an MTU of 32 bits, a kind of 16 bits, flags.
    Wide,
}

/// The layouts of all systems except FreeBSD.
pub(super) mod usual {
    use core::mem::offset_of;

    use super::{AliasLayout, AliasLayoutV6};
    use crate::bsd::layout::{AliasRequest, AliasRequestV6, LifetimesV6};

    pub(in crate::bsd) const ALIAS: AliasLayout = AliasLayout {
        size: size_of::<AliasRequest>(),
        address: offset_of!(AliasRequest, address),
        destination: offset_of!(AliasRequest, destination),
        mask: offset_of!(AliasRequest, mask),
    };
    pub(in crate::bsd) const ALIAS_V6: AliasLayoutV6 = AliasLayoutV6 {
        size: size_of::<AliasRequestV6>(),
        address: offset_of!(AliasRequestV6, address),
        destination: offset_of!(AliasRequestV6, destination),
        mask: offset_of!(AliasRequestV6, mask),
        flags: offset_of!(AliasRequestV6, flags),
        valid: offset_of!(AliasRequestV6, lifetimes) + offset_of!(LifetimesV6, valid),
        preferred: offset_of!(AliasRequestV6, lifetimes) + offset_of!(LifetimesV6, preferred),
    };
}
