//! DragonFly: `<net/tun/if_tun.h>`, `<net/tap/if_tap.h>`, `<sys/sockio.h>`. Manual pages: `tun(4)`, `tap(4)`,
//! `netintro(4)`.
//!
//! Its headers were read, but not compiled: the literals of the table are computed by hand.
#![allow(unsafe_code, reason = "the requests are declared here, with the proof of their numbers")]

use core::mem::offset_of;

use super::abi::{TunInfoLayout, usual};
use super::bpf::{Bpf, HeaderLayout};
use super::layout::{self, AliasRequest, AliasRequestV6, RequestV6, TunInfoNarrow};
use super::route::{AddressLayout, AnnouncementLayout, InterfaceLayout, RouteLayout};
use super::text::{SetText, TextLayout};
use super::{Abi, FIONBIO, FIONREAD, INT, Requests, System, errno, ior, iow, iowr, table};
use crate::ioctl::Opcode;

/// IPv6.
pub const AF_INET6: u8 = 28;
/// Adds an IPv6 address without duplicate detection.
pub const IN6_IFF_NODAD: u32 = 0x20;

/// The argument of requests that name an interface.
#[doc(alias = "ifreq")]
pub type InterfaceRequest = layout::InterfaceRequest<16>;
/// A link-level address.
pub type SocketAddressLink = layout::SocketAddressLink<46>;

/// `ifreq`, both ways: the flags of an interface.
pub const SIOCGIFFLAGS: Opcode = iowr(b'i', 17, size_of::<InterfaceRequest>());
/// `ifreq`: sets the flags of an interface.
pub const SIOCSIFFLAGS: Opcode = iow(b'i', 16, size_of::<InterfaceRequest>());
/// `ifreq`, both ways: the MTU.
pub const SIOCGIFMTU: Opcode = iowr(b'i', 51, size_of::<InterfaceRequest>());
/// `ifreq`: sets the MTU.
pub const SIOCSIFMTU: Opcode = iow(b'i', 52, size_of::<InterfaceRequest>());
/// `ifreq`, both ways: makes an interface.
pub const SIOCIFCREATE: Opcode = iowr(b'i', 122, size_of::<InterfaceRequest>());
/// `ifreq`: removes an interface.
pub const SIOCIFDESTROY: Opcode = iow(b'i', 121, size_of::<InterfaceRequest>());
/// `ifreq` with the address of a string: renames an interface.
pub const SIOCSIFNAME: Opcode = iow(b'i', 40, size_of::<InterfaceRequest>());
/// `ifreq` with a link-level address: sets the MAC address.
pub const SIOCSIFLLADDR: Opcode = iow(b'i', 60, size_of::<InterfaceRequest>());
/// [`AliasRequest`]: adds an IPv4 address.
pub const SIOCAIFADDR: Opcode = iow(b'i', 26, size_of::<AliasRequest>());
/// `ifreq` with the address: removes an IPv4 address.
pub const SIOCDIFADDR: Opcode = iow(b'i', 25, size_of::<InterfaceRequest>());
/// [`AliasRequestV6`]: adds an IPv6 address.
pub const SIOCAIFADDR_IN6: Opcode = iow(b'i', 26, size_of::<AliasRequestV6>());
/// [`RequestV6`] with the address: removes an IPv6 address.
pub const SIOCDIFADDR_IN6: Opcode = iow(b'i', 25, size_of::<RequestV6>());
/// [`RequestV6`], both ways: the flags of an IPv6 address.
pub const SIOCGIFAFLAG_IN6: Opcode = iowr(b'i', 73, size_of::<RequestV6>());
/// `int`: whether packets have the address family in front.
pub const TUNSIFHEAD: Opcode = iow(b't', 96, INT);
/// `int`, filled in.
pub const TUNGIFHEAD: Opcode = ior(b't', 97, INT);
/// `int`: point-to-point or broadcast.
pub const TUNSIFMODE: Opcode = iow(b't', 94, INT);
/// `int`: whether packets have a link-level address in front.
pub const TUNSLMODE: Opcode = iow(b't', 93, INT);
/// [`TunInfoNarrow`]: MTU and kind.
pub const TUNSIFINFO: Opcode = iow(b't', 91, size_of::<TunInfoNarrow>());
/// [`TunInfoNarrow`], filled in.
pub const TUNGIFINFO: Opcode = ior(b't', 92, size_of::<TunInfoNarrow>());
/// [`TunInfoNarrow`]: MTU and kind, of a tap.
pub const TAPSIFINFO: Opcode = iow(b't', 91, size_of::<TunInfoNarrow>());

/// `ifreq`, filled in with the present name, of a tun or a tap (`TAPGIFNAME`); since DragonFly 6.0.
pub const TUNGIFNAME: Opcode = ior(b't', 93, size_of::<InterfaceRequest>());

/// `ifreq`: binds a descriptor of the packet filter to an interface.
pub const BIOCSETIF: Opcode = iow(b'B', 108, size_of::<InterfaceRequest>());
/// `u_int`: whether a read also returns the packets that the interface has sent.
pub const BIOCSSEESENT: Opcode = iow(b'B', 119, INT);

/// The header that the packet filter puts in front of each packet.
const PACKET_HEADER: HeaderLayout = HeaderLayout::behind(16, 8);

const ANNOUNCEMENT: AnnouncementLayout = AnnouncementLayout { kind: 0x11, index: 4, name: 6, what: 22 };
/// Of versions 5 and 6.
const INTERFACE: InterfaceLayout =
    InterfaceLayout { kind: 0xe, index: 12, flags: 8, mtu: 24, mtu_bytes: layout::WORD };
/// Of versions 6 and 7.
const ADDRESS: AddressLayout = AddressLayout { added: 0xc, removed: 0xd, index: 4, present: 12, length: 24 };

const fn route(version: u8, interface: InterfaceLayout, address: AddressLayout) -> RouteLayout {
    let announcement = Some(ANNOUNCEMENT);
    RouteLayout { version, interface, address, announcement, overflow: None, alignment: layout::WORD }
}

/// What the routing socket reports. Version 5 was read in the system's source. Versions 6 and 7 are
/// second-hand: the addresses from Go's package `route`, the interfaces from the crate libc.
const ROUTE: &[RouteLayout] = &[
    route(7, InterfaceLayout { index: 4, ..INTERFACE }, ADDRESS),
    route(6, INTERFACE, ADDRESS),
    route(5, INTERFACE, AddressLayout { index: 12, present: 4, length: 20, ..ADDRESS }),
];

/// Numbers and layouts of DragonFly.
pub const ABI: Abi = Abi {
    system: System::DragonFly,
    af_inet6: AF_INET6,
    wide_flags: true,
    ifreq: size_of::<InterfaceRequest>(),
    ifreq_v6: size_of::<RequestV6>(),
    alias: usual::ALIAS,
    alias_v6: usual::ALIAS_V6,
    tun_info: Some(TunInfoLayout::Narrow),
    no_duplicate_detection: Some(IN6_IFF_NODAD),
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
            set_mac: Some(SIOCSIFLLADDR),
            set_link_address: None,
            tun_set_head: Some(TUNSIFHEAD),
            tun_get_head: Some(TUNGIFHEAD),
            tun_set_mode: Some(TUNSIFMODE),
            tun_set_link_mode: Some(TUNSLMODE),
            tun_set_info: Some(TUNSIFINFO),
            tun_get_info: Some(TUNGIFINFO),
            tun_name: Some(TUNGIFNAME),
            set_transient: None,
            tap_name: Some(TUNGIFNAME),
            tap_set_info: Some(TAPSIFINFO),
            tap_set_vnet_header: None,
            tap_get_vnet_header: None,
            control_info: None,
            set_nonblocking: FIONBIO,
            waiting: FIONREAD,
        };
        // SAFETY: each number is DragonFly's; the assertions of the table below hold it.
        unsafe { NUMBERS.declare(System::DragonFly) }
    },
    bpf: {
        // SAFETY: the number is the system's `BIOCSETIF`; the assertions of the table below hold it.
        unsafe { Bpf::declare(System::DragonFly, BIOCSETIF, BIOCSSEESENT, 0, PACKET_HEADER) }
    },
    route: ROUTE,
    rename: Some(
        // SAFETY: DragonFly follows only `ifr_data`, the address of the new name: it copies a string of at
        // most `IFNAMSIZ` bytes in, up to its NUL.
        unsafe { SetText::new(System::DragonFly, SIOCSIFNAME, TextLayout::Address) },
    ),
    description: None,
    pair: None,
};

table::table! {
    /// DragonFly's own numbers and layouts, computed by hand.
    TABLE:
    "EOPNOTSUPP" => errno::EOPNOTSUPP => 45;
    "AF_INET6" => AF_INET6 => 28;
    "IN6_IFF_NODAD" => IN6_IFF_NODAD => 0x20;
    "sizeof(struct ifreq)" => size_of::<InterfaceRequest>() => 32;
    "offsetof(struct ifreq, ifr_flagshigh)" => layout::IFR_FLAGS_HIGH => 18;
    "sizeof(struct sockaddr_dl)" => size_of::<SocketAddressLink>() => 54;
    "offsetof(struct sockaddr_dl, sdl_data)" => offset_of!(SocketAddressLink, data) => 8;
    "sizeof(struct ifaliasreq)" => size_of::<AliasRequest>() => 64;
    "offsetof(struct ifaliasreq, ifra_name)" => offset_of!(AliasRequest, name) => 0;
    "offsetof(struct ifaliasreq, ifra_addr)" => offset_of!(AliasRequest, address) => 16;
    "offsetof(struct ifaliasreq, ifra_broadaddr)" => offset_of!(AliasRequest, destination) => 32;
    "offsetof(struct ifaliasreq, ifra_mask)" => offset_of!(AliasRequest, mask) => 48;
    "sizeof(struct in6_aliasreq)" => size_of::<AliasRequestV6>() => 128;
    "offsetof(struct in6_aliasreq, ifra_name)" => offset_of!(AliasRequestV6, name) => 0;
    "offsetof(struct in6_aliasreq, ifra_addr)" => offset_of!(AliasRequestV6, address) => 16;
    "offsetof(struct in6_aliasreq, ifra_dstaddr)" => offset_of!(AliasRequestV6, destination) => 44;
    "offsetof(struct in6_aliasreq, ifra_prefixmask)" => offset_of!(AliasRequestV6, mask) => 72;
    "offsetof(struct in6_aliasreq, ifra_flags)" => offset_of!(AliasRequestV6, flags) => 100;
    "offsetof(struct in6_aliasreq, ifra_lifetime)" => offset_of!(AliasRequestV6, lifetimes) => 104;
    "sizeof(struct tuninfo)" => size_of::<TunInfoNarrow>() => 8;
    "offsetof(struct tuninfo, baudrate)" => offset_of!(TunInfoNarrow, baudrate) => 0;
    "offsetof(struct tuninfo, mtu)" => offset_of!(TunInfoNarrow, mtu) => 4;
    "offsetof(struct tuninfo, type)" => offset_of!(TunInfoNarrow, kind) => 6;
    "sizeof(struct tapinfo)" => size_of::<TunInfoNarrow>() => 8;
    "SIOCGIFFLAGS" => SIOCGIFFLAGS => 0xc020_6911;
    "SIOCSIFFLAGS" => SIOCSIFFLAGS => 0x8020_6910;
    "SIOCGIFMTU" => SIOCGIFMTU => 0xc020_6933;
    "SIOCSIFMTU" => SIOCSIFMTU => 0x8020_6934;
    "SIOCIFCREATE" => SIOCIFCREATE => 0xc020_697a;
    "SIOCIFDESTROY" => SIOCIFDESTROY => 0x8020_6979;
    "SIOCSIFNAME" => SIOCSIFNAME => 0x8020_6928;
    "SIOCSIFLLADDR" => SIOCSIFLLADDR => 0x8020_693c;
    "SIOCAIFADDR" => SIOCAIFADDR => 0x8040_691a;
    "SIOCDIFADDR" => SIOCDIFADDR => 0x8020_6919;
    "SIOCAIFADDR_IN6" => SIOCAIFADDR_IN6 => 0x8080_691a;
    "SIOCDIFADDR_IN6" => SIOCDIFADDR_IN6 => 0x8120_6919;
    "SIOCGIFAFLAG_IN6" => SIOCGIFAFLAG_IN6 => 0xc120_6949;
    "TUNSIFHEAD" => TUNSIFHEAD => 0x8004_7460;
    "TUNGIFHEAD" => TUNGIFHEAD => 0x4004_7461;
    "TUNSIFMODE" => TUNSIFMODE => 0x8004_745e;
    "TUNSLMODE" => TUNSLMODE => 0x8004_745d;
    "TUNSIFINFO" => TUNSIFINFO => 0x8008_745b;
    "TUNGIFINFO" => TUNGIFINFO => 0x4008_745c;
    "TAPSIFINFO" => TAPSIFINFO => 0x8008_745b;
    "TUNGIFNAME" => TUNGIFNAME => 0x4020_745d;
    "TAPGIFNAME" => TUNGIFNAME => 0x4020_745d;
    "BIOCSETIF" => BIOCSETIF => 0x8020_426c;
    "BIOCSSEESENT" => BIOCSSEESENT => 0x8004_4277;
    "offsetof(struct bpf_hdr, bh_caplen)" => PACKET_HEADER.captured => 16;
    "offsetof(struct bpf_hdr, bh_datalen)" => PACKET_HEADER.original => 20;
    "offsetof(struct bpf_hdr, bh_hdrlen)" => PACKET_HEADER.length => 24;
    "BPF_ALIGNMENT" => PACKET_HEADER.alignment => 8;
    "RTM_VERSION" => ROUTE[0].version => 7;
    "RTM_IFINFO" => ROUTE[0].interface.kind => 0xe;
    "RTM_NEWADDR" => ROUTE[0].address.added => 0xc;
    "RTM_DELADDR" => ROUTE[0].address.removed => 0xd;
    "RTM_IFANNOUNCE" => ANNOUNCEMENT.kind => 0x11;
}
