//! What differs between the systems, as data: code that takes an [`Abi`] is code for all of them.

use crate::bsd::bpf::Bpf;
use crate::bsd::{Pair, Rename, Requests};

/// One of the systems.
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
    /// Whether an interface has 32 flags, in two halves, rather than 16.
    pub wide_flags: bool,
    /// The bytes of an `ifreq`.
    pub ifreq: usize,
    /// The bytes of an `in6_ifreq`.
    pub ifreq_v6: usize,
    /// How an IPv4 address is added.
    pub alias: AliasLayout,
    /// How an IPv6 address is added.
    pub alias_v6: AliasLayoutV6,
    /// What a tun can be told of itself, if that is a thing here.
    pub tun_info: Option<TunInfoLayout>,
    /// `IN6_IFF_NODAD`: adds an IPv6 address without looking for duplicates, where one can ask for that.
    pub no_duplicate_detection: Option<u32>,
    /// Where an interface's statistics (`if_data`) have the number of packets that its queue had no room for, 64 bits.
    #[doc(alias = "ifi_oqdrops")]
    pub output_drops: Option<usize>,
    /// The requests whose arguments are bytes.
    pub requests: Requests,
    /// The packet filter.
    pub bpf: Bpf,
    /// `SIOCSIFNAME`, where interfaces can be renamed.
    pub rename: Option<Rename>,
    /// `SIOCSDRVSPEC` with `IF_FAKE_S_CMD_SET_PEER`, where there are Ethernets that come in pairs.
    pub pair: Option<Pair>,
}

/// The argument that adds an IPv4 address: its size, and where each address begins.
#[doc(alias = "ifaliasreq")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasLayout {
    /// The bytes of the whole.
    pub size: usize,
    /// The interface's address.
    pub address: usize,
    /// The peer's address, or the broadcast address.
    pub destination: usize,
    /// The netmask.
    pub mask: usize,
}

/// The argument that adds an IPv6 address: its size, and where each part begins.
#[doc(alias = "in6_aliasreq")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasLayoutV6 {
    /// The bytes of the whole.
    pub size: usize,
    /// The interface's address.
    pub address: usize,
    /// The peer's address.
    pub destination: usize,
    /// The netmask.
    pub mask: usize,
    /// The flags, an `int`.
    pub flags: usize,
    /// For how many seconds the address is valid, 32 bits.
    pub valid: usize,
    /// For how many seconds the address is preferred, 32 bits.
    pub preferred: usize,
}

/// Which `tuninfo` a system has.
#[doc(alias = "tuninfo")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunInfoLayout {
    /// Of FreeBSD and DragonFly: an MTU of 16 bits, a kind of 8, no flags.
    Narrow,
    /// Of OpenBSD: an MTU of 32 bits, a kind of 16, flags.
    Wide,
}

/// The layouts that all systems but FreeBSD have.
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
