//! NetBSD: `<net/if_tun.h>`, `<net/if_tap.h>`, `<sys/sockio.h>`. Manual pages: `tun(4)`, `tap(4)`,
//! `netintro(4)`.
//!
//! Its `ifreq` has room for an address of any family, so its numbers differ from those of all other systems.
#![allow(unsafe_code, reason = "the requests are declared here, with the proof of their numbers")]

use core::mem::offset_of;

use super::abi::usual;
use super::bpf::{Bpf, HeaderLayout};
use super::layout::{self, AliasRequest, AliasRequestV6, NAME_SIZE, RequestV6};
use super::route::{self, AddressLayout, AnnouncementLayout, InterfaceLayout, RouteLayout};
use super::{AF_LINK, Abi, FIONBIO, FIONREAD, INT, Name, Requests, System, errno, ior, iow, iowr, table};
use crate::ioctl::Opcode;

/// IPv6.
pub const AF_INET6: u8 = 24;
/// Of an address that was added without duplicate detection: the kernel reports it, and takes it from nobody.
pub const IN6_IFF_NODAD: u32 = 0x20;

/// The argument of requests that name an interface.
#[doc(alias = "ifreq")]
pub type InterfaceRequest = layout::InterfaceRequest<128>;
/// A link-level address.
pub type SocketAddressLink = layout::SocketAddressLink<24>;

/// The argument of the request that adds a link-level address.
#[doc(alias = "if_laddrreq")]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct LinkAddressRequest {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// Flags, such as [`IFLR_ACTIVE`].
    pub flags: u32,
    /// Unused here.
    pub prefix_length: u32,
    /// The address, with room for one of any family.
    pub address: [u8; 128],
    /// The peer's address.
    pub destination: [u8; 128],
}

/// The address becomes the active one.
pub const IFLR_ACTIVE: u32 = 0x4000;

/// The argument of [`SIOCALIFADDR`] that makes `mac` the active address of an interface.
#[must_use]
pub fn link_address(name: &Name, mac: [u8; 6]) -> [u8; size_of::<LinkAddressRequest>()] {
    const ADDRESS: usize = offset_of!(LinkAddressRequest, address);
    const DATA: usize = offset_of!(SocketAddressLink, data);
    let mut argument = [0; size_of::<LinkAddressRequest>()];
    let mut put = |at: usize, bytes: &[u8]| argument[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.padded());
    put(offset_of!(LinkAddressRequest, flags), &IFLR_ACTIVE.to_ne_bytes());
    #[allow(clippy::cast_possible_truncation, reason = "it is 14")]
    let length = (DATA + mac.len()) as u8;
    put(ADDRESS + offset_of!(SocketAddressLink, length), &[length]);
    put(ADDRESS + offset_of!(SocketAddressLink, family), &[AF_LINK]);
    put(ADDRESS + offset_of!(SocketAddressLink, address_length), &[6]);
    put(ADDRESS + DATA, &mac);
    argument
}

/// `ifreq`, both ways: the flags of an interface.
pub const SIOCGIFFLAGS: Opcode = iowr(b'i', 17, size_of::<InterfaceRequest>());
/// `ifreq`: sets the flags of an interface.
pub const SIOCSIFFLAGS: Opcode = iow(b'i', 16, size_of::<InterfaceRequest>());
/// `ifreq`, both ways: the MTU.
pub const SIOCGIFMTU: Opcode = iowr(b'i', 126, size_of::<InterfaceRequest>());
/// `ifreq`: sets the MTU.
pub const SIOCSIFMTU: Opcode = iow(b'i', 127, size_of::<InterfaceRequest>());
/// `ifreq`: makes an interface.
pub const SIOCIFCREATE: Opcode = iow(b'i', 122, size_of::<InterfaceRequest>());
/// `ifreq`: removes an interface.
pub const SIOCIFDESTROY: Opcode = iow(b'i', 121, size_of::<InterfaceRequest>());
/// [`AliasRequest`]: adds an IPv4 address.
pub const SIOCAIFADDR: Opcode = iow(b'i', 26, size_of::<AliasRequest>());
/// `ifreq` with the address: removes an IPv4 address.
pub const SIOCDIFADDR: Opcode = iow(b'i', 25, size_of::<InterfaceRequest>());
/// [`AliasRequestV6`]: adds an IPv6 address.
pub const SIOCAIFADDR_IN6: Opcode = iow(b'i', 107, size_of::<AliasRequestV6>());
/// [`RequestV6`] with the address: removes an IPv6 address.
pub const SIOCDIFADDR_IN6: Opcode = iow(b'i', 25, size_of::<RequestV6>());
/// [`RequestV6`], both ways: the flags of an IPv6 address.
pub const SIOCGIFAFLAG_IN6: Opcode = iowr(b'i', 73, size_of::<RequestV6>());
/// [`LinkAddressRequest`]: adds a link-level address.
pub const SIOCALIFADDR: Opcode = iow(b'i', 28, size_of::<LinkAddressRequest>());
/// `int`: whether packets have the address family in front.
pub const TUNSIFHEAD: Opcode = iow(b't', 66, INT);
/// `int`, filled in: any number except 0 for yes.
pub const TUNGIFHEAD: Opcode = ior(b't', 65, INT);
/// `int`: point-to-point or broadcast.
pub const TUNSIFMODE: Opcode = iow(b't', 88, INT);
/// `int`: whether packets have a link-level address in front.
pub const TUNSLMODE: Opcode = iow(b't', 87, INT);
/// `ifreq`, filled in: the name of the interface, of a tap.
pub const TAPGIFNAME: Opcode = ior(b'e', 0, size_of::<InterfaceRequest>());

/// `ifreq`: binds a descriptor of the packet filter to an interface.
pub const BIOCSETIF: Opcode = iow(b'B', 108, size_of::<InterfaceRequest>());
/// `u_int`: which packets a read returns: 0 for those that the interface has received, 2 for those that it
/// has sent, 1 for both.
pub const BIOCSDIRECTION: Opcode = iow(b'B', 121, INT);

/// The header that the packet filter puts in front of each packet.
const PACKET_HEADER: HeaderLayout = HeaderLayout::behind(16, 8);

const ANNOUNCEMENT: AnnouncementLayout = AnnouncementLayout { kind: 0x10, index: 4, name: 6, what: 22 };

/// What the routing socket reports, since NetBSD 8. Addresses are padded to 64 bits (`RT_ROUNDUP`).
const ROUTE: &[RouteLayout] = &[RouteLayout {
    version: 4,
    interface: InterfaceLayout { kind: 0x14, index: 12, flags: 8, mtu: 24, mtu_bytes: 8 },
    address: AddressLayout { added: 0x16, removed: 0x17, index: 4, present: 12, length: 32 },
    announcement: Some(ANNOUNCEMENT),
    overflow: None,
    alignment: 8,
}];

/// Numbers and layouts of NetBSD.
pub const ABI: Abi = Abi {
    system: System::NetBsd,
    af_inet6: AF_INET6,
    wide_flags: false,
    ifreq: size_of::<InterfaceRequest>(),
    ifreq_v6: size_of::<RequestV6>(),
    alias: usual::ALIAS,
    alias_v6: usual::ALIAS_V6,
    tun_info: None,
    no_duplicate_detection: None,
    output_drops: None,
    created: None,
    requests: {
        const NUMBERS: Requests<Opcode> = Requests {
            get_flags: SIOCGIFFLAGS,
            set_flags: SIOCSIFFLAGS,
            get_mtu: SIOCGIFMTU,
            set_mtu: SIOCSIFMTU,
            create: SIOCIFCREATE,
            destroy: SIOCIFDESTROY,
            add_address: SIOCAIFADDR,
            delete_address: SIOCDIFADDR,
            add_address_v6: SIOCAIFADDR_IN6,
            delete_address_v6: SIOCDIFADDR_IN6,
            get_address_flags_v6: SIOCGIFAFLAG_IN6,
            attach_family: None,
            set_mac: None,
            set_link_address: Some(SIOCALIFADDR),
            tun_set_head: Some(TUNSIFHEAD),
            tun_get_head: Some(TUNGIFHEAD),
            tun_set_mode: Some(TUNSIFMODE),
            tun_set_link_mode: Some(TUNSLMODE),
            tun_set_info: None,
            tun_get_info: None,
            tun_name: None,
            set_transient: None,
            tap_name: Some(TAPGIFNAME),
            tap_set_info: None,
            tap_set_vnet_header: None,
            tap_get_vnet_header: None,
            control_info: None,
            set_nonblocking: FIONBIO,
            waiting: FIONREAD,
        };
        // SAFETY: each number is NetBSD's; the assertions of the table below hold it.
        unsafe { NUMBERS.declare(System::NetBsd) }
    },
    bpf: {
        // SAFETY: the number is the system's `BIOCSETIF`; the assertions of the table below hold it.
        unsafe { Bpf::declare(System::NetBsd, BIOCSETIF, BIOCSDIRECTION, 0, PACKET_HEADER) }
    },
    route: ROUTE,
    rename: None,
    description: None,
    pair: None,
};

/// The minor number in a device's number, whose upper half is unused.
#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
#[must_use]
pub const fn minor(device: u64) -> u32 {
    let device = device as u32;
    (device & 0xfff0_0000) >> 12 | device & 0xff
}

table::table! {
    /// NetBSD's own numbers and layouts, which its headers confirm.
    TABLE:
    "EOPNOTSUPP" => errno::EOPNOTSUPP => 45;
    "AF_INET6" => AF_INET6 => 24;
    "minor(0x12300045)" => minor(0x1230_0045) => 0x1_2345;
    "IN6_IFF_NODAD" => IN6_IFF_NODAD => 0x20;
    "sizeof(struct ifreq)" => size_of::<InterfaceRequest>() => 144;
    "sizeof(struct sockaddr_dl)" => size_of::<SocketAddressLink>() => 32;
    "offsetof(struct sockaddr_dl, sdl_data)" => offset_of!(SocketAddressLink, data) => 8;
    "sizeof(struct ifaliasreq)" => size_of::<AliasRequest>() => 64;
    "offsetof(struct ifaliasreq, ifra_name)" => offset_of!(AliasRequest, name) => 0;
    "offsetof(struct ifaliasreq, ifra_addr)" => offset_of!(AliasRequest, address) => 16;
    "offsetof(struct ifaliasreq, ifra_broadaddr)" => offset_of!(AliasRequest, destination) => 32;
    "offsetof(struct ifaliasreq, ifra_dstaddr)" => offset_of!(AliasRequest, destination) => 32;
    "offsetof(struct ifaliasreq, ifra_mask)" => offset_of!(AliasRequest, mask) => 48;
    "sizeof(struct in6_aliasreq)" => size_of::<AliasRequestV6>() => 128;
    "offsetof(struct in6_aliasreq, ifra_name)" => offset_of!(AliasRequestV6, name) => 0;
    "offsetof(struct in6_aliasreq, ifra_addr)" => offset_of!(AliasRequestV6, address) => 16;
    "offsetof(struct in6_aliasreq, ifra_dstaddr)" => offset_of!(AliasRequestV6, destination) => 44;
    "offsetof(struct in6_aliasreq, ifra_prefixmask)" => offset_of!(AliasRequestV6, mask) => 72;
    "offsetof(struct in6_aliasreq, ifra_flags)" => offset_of!(AliasRequestV6, flags) => 100;
    "offsetof(struct in6_aliasreq, ifra_lifetime)" => offset_of!(AliasRequestV6, lifetimes) => 104;
    "SIOCGIFFLAGS" => SIOCGIFFLAGS => 0xc090_6911;
    "SIOCSIFFLAGS" => SIOCSIFFLAGS => 0x8090_6910;
    "SIOCGIFMTU" => SIOCGIFMTU => 0xc090_697e;
    "SIOCSIFMTU" => SIOCSIFMTU => 0x8090_697f;
    "SIOCIFCREATE" => SIOCIFCREATE => 0x8090_697a;
    "SIOCIFDESTROY" => SIOCIFDESTROY => 0x8090_6979;
    "SIOCAIFADDR" => SIOCAIFADDR => 0x8040_691a;
    "SIOCDIFADDR" => SIOCDIFADDR => 0x8090_6919;
    "SIOCAIFADDR_IN6" => SIOCAIFADDR_IN6 => 0x8080_696b;
    "SIOCDIFADDR_IN6" => SIOCDIFADDR_IN6 => 0x8120_6919;
    "SIOCGIFAFLAG_IN6" => SIOCGIFAFLAG_IN6 => 0xc120_6949;
    "SIOCALIFADDR" => SIOCALIFADDR => 0x8118_691c;
    "IFLR_ACTIVE" => IFLR_ACTIVE => 0x4000;
    "sizeof(struct if_laddrreq)" => size_of::<LinkAddressRequest>() => 280;
    "offsetof(struct if_laddrreq, flags)" => offset_of!(LinkAddressRequest, flags) => 16;
    "offsetof(struct if_laddrreq, addr)" => offset_of!(LinkAddressRequest, address) => 24;
    "offsetof(struct sockaddr_dl, sdl_nlen)" => offset_of!(SocketAddressLink, name_length) => 5;
    "offsetof(struct sockaddr_dl, sdl_alen)" => offset_of!(SocketAddressLink, address_length) => 6;
    "TUNSIFHEAD" => TUNSIFHEAD => 0x8004_7442;
    "TUNGIFHEAD" => TUNGIFHEAD => 0x4004_7441;
    "TUNSIFMODE" => TUNSIFMODE => 0x8004_7458;
    "TUNSLMODE" => TUNSLMODE => 0x8004_7457;
    "TAPGIFNAME" => TAPGIFNAME => 0x4090_6500;
    "BIOCSETIF" => BIOCSETIF => 0x8090_426c;
    "BIOCSDIRECTION" => BIOCSDIRECTION => 0x8004_4279;
    "offsetof(struct bpf_hdr, bh_caplen)" => PACKET_HEADER.captured => 16;
    "offsetof(struct bpf_hdr, bh_datalen)" => PACKET_HEADER.original => 20;
    "offsetof(struct bpf_hdr, bh_hdrlen)" => PACKET_HEADER.length => 24;
    "BPF_ALIGNMENT" => PACKET_HEADER.alignment => 8;
    "RTM_VERSION" => ROUTE[0].version => 4;
    "RTM_IFINFO" => ROUTE[0].interface.kind => 0x14;
    "RTM_NEWADDR" => ROUTE[0].address.added => 0x16;
    "RTM_DELADDR" => ROUTE[0].address.removed => 0x17;
    "offsetof(struct if_msghdr, ifm_index)" => ROUTE[0].interface.index => 12;
    "offsetof(struct if_msghdr, ifm_flags)" => ROUTE[0].interface.flags => 8;
    "offsetof(struct if_msghdr, ifm_data.ifi_mtu)" => ROUTE[0].interface.mtu => 24;
    "sizeof(((struct if_data *)0)->ifi_mtu)" => ROUTE[0].interface.mtu_bytes => 8;
    "offsetof(struct ifa_msghdr, ifam_index)" => ROUTE[0].address.index => 4;
    "offsetof(struct ifa_msghdr, ifam_addrs)" => ROUTE[0].address.present => 12;
    "sizeof(struct ifa_msghdr)" => ROUTE[0].address.length => 32;
    "RTM_IFANNOUNCE" => ANNOUNCEMENT.kind => 0x10;
    "offsetof(struct if_announcemsghdr, ifan_index)" => ANNOUNCEMENT.index => 4;
    "offsetof(struct if_announcemsghdr, ifan_name)" => ANNOUNCEMENT.name => 6;
    "offsetof(struct if_announcemsghdr, ifan_what)" => ANNOUNCEMENT.what => 22;
    "IFAN_ARRIVAL" => route::ARRIVAL => 0;
    "IFAN_DEPARTURE" => route::DEPARTURE => 1;
    "RT_ROUNDUP(1)" => ROUTE[0].alignment => 8;
}
