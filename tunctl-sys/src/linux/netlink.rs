//! Numbers of netlink's route family, from `<linux/rtnetlink.h>` and `<linux/if_link.h>`. Manual page:
//! `rtnetlink(7)`.
//!
//! A message about an interface consists of a `struct ifinfomsg`, which has [`LINK_HEADER_SIZE`] bytes, and
//! attributes.

/// Kinds of messages.
pub mod rtm {
    /// An interface: made, changed or reported.
    #[doc(alias = "RTM_NEWLINK")]
    pub const NEWLINK: u16 = 16;
    /// An interface: gone.
    #[doc(alias = "RTM_DELLINK")]
    pub const DELLINK: u16 = 17;
    /// An address of an interface: added or reported.
    #[doc(alias = "RTM_NEWADDR")]
    pub const NEWADDR: u16 = 20;
    /// An address of an interface: gone.
    #[doc(alias = "RTM_DELADDR")]
    pub const DELADDR: u16 = 21;
    /// A route: added or reported.
    #[doc(alias = "RTM_NEWROUTE")]
    pub const NEWROUTE: u16 = 24;
}

/// Groups of a netlink socket, as bits of its address: what the kernel reports to it unasked.
pub mod rtmgrp {
    /// Interfaces that come, change and go.
    #[doc(alias = "RTMGRP_LINK")]
    #[doc(alias = "RTNLGRP_LINK")]
    pub const LINK: u32 = 1;
    /// IPv4 addresses that come and go.
    #[doc(alias = "RTMGRP_IPV4_IFADDR")]
    pub const IPV4_IFADDR: u32 = 0x10;
    /// IPv6 addresses that come and go.
    #[doc(alias = "RTMGRP_IPV6_IFADDR")]
    pub const IPV6_IFADDR: u32 = 0x100;
}

/// The bytes of a `struct ifinfomsg`.
#[doc(alias = "ifinfomsg")]
pub const LINK_HEADER_SIZE: usize = 16;

/// A flag in a `struct ifinfomsg`, from `<linux/if.h>`: the interface is up.
#[doc(alias = "IFF_UP")]
pub const LINK_UP: u32 = 1;

/// Attributes of an interface.
pub mod ifla {
    /// The link-level address.
    #[doc(alias = "IFLA_ADDRESS")]
    pub const ADDRESS: u16 = 1;
    /// The name, with its NUL.
    #[doc(alias = "IFLA_IFNAME")]
    pub const IFNAME: u16 = 3;
    /// `u32`: the MTU.
    #[doc(alias = "IFLA_MTU")]
    pub const MTU: u16 = 4;
    /// `u32`: the index of the interface whose port it is, such as a bridge; 0 removes it from there.
    #[doc(alias = "IFLA_MASTER")]
    pub const MASTER: u16 = 10;
    /// `u32`: how many packets wait for the program at most, in each queue.
    #[doc(alias = "IFLA_TXQLEN")]
    pub const TXQLEN: u16 = 13;
    /// `u8`: the operational state of RFC 2863.
    #[doc(alias = "IFLA_OPERSTATE")]
    pub const OPERSTATE: u16 = 16;
    /// Nested: [`ifla_info`](super::ifla_info).
    #[doc(alias = "IFLA_LINKINFO")]
    pub const LINKINFO: u16 = 18;
    /// The alias: a text that describes the interface.
    #[doc(alias = "IFLA_IFALIAS")]
    pub const IFALIAS: u16 = 20;
    /// Counters, of 8 bytes each.
    #[doc(alias = "IFLA_STATS64")]
    pub const STATS64: u16 = 23;
    /// `u32`: how many ask for the packets of all destinations.
    #[doc(alias = "IFLA_PROMISCUITY")]
    pub const PROMISCUITY: u16 = 30;
    /// `u8`, boolean: the interface has a carrier.
    #[doc(alias = "IFLA_CARRIER")]
    pub const CARRIER: u16 = 33;
    /// `i32`: the namespace to which the interface was moved, as the one before numbers it. Linux 4.15.
    #[doc(alias = "IFLA_NEW_NETNSID")]
    pub const NEW_NETNSID: u16 = 45;
}

/// The positions of counters in [`ifla::STATS64`]. "Received" and "transmitted" are what the system does.
#[doc(alias = "rtnl_link_stats64")]
pub mod stats64 {
    /// Packets received.
    pub const RX_PACKETS: usize = 0;
    /// Packets transmitted.
    pub const TX_PACKETS: usize = 1;
    /// Bytes received.
    pub const RX_BYTES: usize = 2;
    /// Bytes transmitted.
    pub const TX_BYTES: usize = 3;
    /// Bad packets received.
    pub const RX_ERRORS: usize = 4;
    /// Packets that failed to be transmitted.
    pub const TX_ERRORS: usize = 5;
    /// Packets dropped while they were received.
    pub const RX_DROPPED: usize = 6;
    /// Packets dropped on the way to transmission.
    pub const TX_DROPPED: usize = 7;
    /// Of the bad packets received: those with a wrong frame.
    pub const RX_FRAME_ERRORS: usize = 13;
}

/// The bytes of an alias, including its NUL.
#[doc(alias = "IFALIASZ")]
pub const ALIAS_SIZE: usize = 256;

/// Attributes inside [`ifla::LINKINFO`].
pub mod ifla_info {
    /// The kind of interface, such as `tun`.
    #[doc(alias = "IFLA_INFO_KIND")]
    pub const KIND: u16 = 1;
    /// Nested: what the kind's driver reports. For a tun, [`ifla_tun`](super::ifla_tun).
    #[doc(alias = "IFLA_INFO_DATA")]
    pub const DATA: u16 = 2;
}

/// Attributes inside [`ifla_info::DATA`] of an interface whose kind is `tun`, from `<linux/if_link.h>`.
pub mod ifla_tun {
    /// `u32`: the owner's uid; absent when the interface has none.
    pub const OWNER: u16 = 1;
    /// `u32`: the group's gid; absent when the interface has none.
    pub const GROUP: u16 = 2;
    /// `u8`: [`iff::TUN`](crate::linux::iff::TUN) or [`iff::TAP`](crate::linux::iff::TAP).
    pub const TYPE: u16 = 3;
    /// `u8`, boolean: packets carry the packet information header.
    pub const PI: u16 = 4;
    /// `u8`, boolean: packets carry the virtio-net header.
    pub const VNET_HDR: u16 = 5;
    /// `u8`, boolean: the interface outlives its last descriptor.
    pub const PERSIST: u16 = 6;
    /// `u8`, boolean: the interface may have several queues.
    pub const MULTI_QUEUE: u16 = 7;
    /// `u32`: queues that are attached and enabled. Reported only for multi-queue interfaces.
    pub const NUM_QUEUES: u16 = 8;
    /// `u32`: queues that are attached and disabled. Reported only for multi-queue interfaces.
    pub const NUM_DISABLED_QUEUES: u16 = 9;
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const _: () = {
    assert!(rtm::NEWLINK == libc::RTM_NEWLINK && rtm::NEWADDR == libc::RTM_NEWADDR);
    assert!(rtm::NEWROUTE == libc::RTM_NEWROUTE);
    assert!(rtm::DELLINK == libc::RTM_DELLINK && rtm::DELADDR == libc::RTM_DELADDR);
    assert!(LINK_UP as i32 == libc::IFF_UP);
    assert!(ifla::ADDRESS == libc::IFLA_ADDRESS && ifla::IFNAME == libc::IFLA_IFNAME);
    assert!(ifla::MTU == libc::IFLA_MTU && ifla::LINKINFO == libc::IFLA_LINKINFO);
    assert!(ifla::MASTER == libc::IFLA_MASTER && ifla::OPERSTATE == libc::IFLA_OPERSTATE);
    assert!(ifla::PROMISCUITY == libc::IFLA_PROMISCUITY);
    assert!(ifla::STATS64 == libc::IFLA_STATS64 && ifla::CARRIER == libc::IFLA_CARRIER);
    assert!(ifla_info::KIND == libc::IFLA_INFO_KIND && ifla_info::DATA == libc::IFLA_INFO_DATA);
};

// What libc does not have on Android.
#[cfg(target_os = "linux")]
const _: () = {
    assert!(rtmgrp::LINK as i32 == libc::RTMGRP_LINK);
    assert!(rtmgrp::IPV4_IFADDR as i32 == libc::RTMGRP_IPV4_IFADDR);
    assert!(rtmgrp::IPV6_IFADDR as i32 == libc::RTMGRP_IPV6_IFADDR);
};
