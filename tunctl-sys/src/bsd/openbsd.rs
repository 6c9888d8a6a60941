//! OpenBSD: `<net/if_tun.h>`, `<sys/sockio.h>`. Manual pages: `tun(4)`, `tap(4)`, `netintro(4)`.
//!
//! The packets of its tuns always have the address family in front; no request changes that.
#![allow(unsafe_code, reason = "the requests are declared here, with the proof of their numbers")]

use core::mem::offset_of;

use super::abi::{TunInfoLayout, usual};
use super::bpf::{Bpf, HeaderLayout};
use super::layout::{self, AliasRequest, AliasRequestV6, NAME_SIZE, RequestV6};
use super::route::{self, AddressLayout, AnnouncementLayout, InterfaceLayout, RouteLayout};
use super::text::{Description, GetText, SetText, TextLayout};
use super::{Abi, FIONBIO, FIONREAD, INT, Name, Requests, System, errno, ior, iow, iowr, table};
use crate::ioctl::Opcode;

/// IPv6.
pub const AF_INET6: u8 = 24;

/// The argument of requests that name an interface.
#[doc(alias = "ifreq")]
pub type InterfaceRequest = layout::InterfaceRequest<16>;
/// A link-level address.
pub type SocketAddressLink = layout::SocketAddressLink<24>;

/// The argument of requests that name an interface and a family of addresses.
#[doc(alias = "if_afreq")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FamilyRequest {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// The family.
    pub family: u8,
}

/// The configuration of a tun.
#[doc(alias = "tuninfo")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TunInfo {
    /// The MTU.
    pub mtu: u32,
    /// The kind of interface (`IFT_…`).
    pub kind: u16,
    /// Flags of the interface: point-to-point or broadcast, and multicast.
    pub flags: u16,
    /// Bits a second.
    pub baudrate: u32,
}

/// `ifreq`, both ways: the flags of an interface.
pub const SIOCGIFFLAGS: Opcode = iowr(b'i', 17, size_of::<InterfaceRequest>());
/// `ifreq`: sets the flags of an interface.
pub const SIOCSIFFLAGS: Opcode = iow(b'i', 16, size_of::<InterfaceRequest>());
/// `ifreq`, both ways: the MTU.
pub const SIOCGIFMTU: Opcode = iowr(b'i', 126, size_of::<InterfaceRequest>());
/// `ifreq`: sets the MTU.
pub const SIOCSIFMTU: Opcode = iow(b'i', 127, size_of::<InterfaceRequest>());
/// `ifreq` with the address of a string: sets the description.
pub const SIOCSIFDESCR: Opcode = iow(b'i', 128, size_of::<InterfaceRequest>());
/// `ifreq` with the address of a buffer of [`IFDESCRSIZE`] bytes: gets the description.
pub const SIOCGIFDESCR: Opcode = iowr(b'i', 129, size_of::<InterfaceRequest>());
/// The most bytes of a description, including its NUL.
pub const IFDESCRSIZE: usize = 64;
/// `ifreq`: makes an interface.
pub const SIOCIFCREATE: Opcode = iow(b'i', 122, size_of::<InterfaceRequest>());
/// `ifreq`: removes an interface.
pub const SIOCIFDESTROY: Opcode = iow(b'i', 121, size_of::<InterfaceRequest>());
/// `ifreq` with a link-level address: sets the MAC address.
pub const SIOCSIFLLADDR: Opcode = iow(b'i', 31, size_of::<InterfaceRequest>());
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
/// [`FamilyRequest`]: enables an address family on an interface.
pub const SIOCIFAFATTACH: Opcode = iow(b'i', 171, size_of::<FamilyRequest>());
/// `int`: point-to-point or broadcast.
pub const TUNSIFMODE: Opcode = iow(b't', 93, INT);
/// [`TunInfo`]: MTU, kind and flags.
pub const TUNSIFINFO: Opcode = iow(b't', 91, size_of::<TunInfo>());
/// [`TunInfo`], filled in.
pub const TUNGIFINFO: Opcode = ior(b't', 92, size_of::<TunInfo>());

/// `ifreq`: binds a descriptor of the packet filter to an interface.
pub const BIOCSETIF: Opcode = iow(b'B', 108, size_of::<InterfaceRequest>());
/// `u_int`: a mask of the directions to leave out.
pub const BIOCSDIRFILT: Opcode = iow(b'B', 125, INT);

/// The packets that the interface has sent.
pub const BPF_DIRECTION_OUT: u32 = 2;

/// The offset of `ifi_oqdrops` in `if_data`.
const OUTPUT_DROPS: usize = 104;

/// The header that the packet filter puts in front of each packet.
const PACKET_HEADER: HeaderLayout = HeaderLayout::behind(8, 4);

const ANNOUNCEMENT: AnnouncementLayout = AnnouncementLayout { kind: 0xf, index: 6, name: 10, what: 8 };

/// What the routing socket reports. Addresses are padded to a `long` (`ROUNDUP` in `rtsock.c`).
const ROUTE: &[RouteLayout] = &[RouteLayout {
    version: 5,
    interface: InterfaceLayout { kind: 0xe, index: 6, flags: 16, mtu: 28, mtu_bytes: 4 },
    address: AddressLayout { added: 0xc, removed: 0xd, index: 6, present: 12, length: 24 },
    announcement: Some(ANNOUNCEMENT),
    overflow: Some(0x10),
    alignment: layout::WORD,
}];

/// Numbers and layouts of OpenBSD.
pub const ABI: Abi = Abi {
    system: System::OpenBsd,
    af_inet6: AF_INET6,
    wide_flags: false,
    ifreq: size_of::<InterfaceRequest>(),
    ifreq_v6: size_of::<RequestV6>(),
    alias: usual::ALIAS,
    alias_v6: usual::ALIAS_V6,
    tun_info: Some(TunInfoLayout::Wide),
    no_duplicate_detection: None,
    output_drops: Some(OUTPUT_DROPS),
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
            attach_family: Some(SIOCIFAFATTACH),
            set_mac: Some(SIOCSIFLLADDR),
            set_link_address: None,
            tun_set_head: None,
            tun_get_head: None,
            tun_set_mode: Some(TUNSIFMODE),
            tun_set_link_mode: None,
            tun_set_info: Some(TUNSIFINFO),
            tun_get_info: Some(TUNGIFINFO),
            tun_name: None,
            set_transient: None,
            tap_name: None,
            tap_set_info: None,
            tap_set_vnet_header: None,
            tap_get_vnet_header: None,
            control_info: None,
            set_nonblocking: FIONBIO,
            waiting: FIONREAD,
        };
        // SAFETY: each number is OpenBSD's; the assertions of the table below hold it.
        unsafe { NUMBERS.declare(System::OpenBsd) }
    },
    bpf: {
        // SAFETY: the number is the system's `BIOCSETIF`; the assertions of the table below hold it.
        unsafe { Bpf::declare(System::OpenBsd, BIOCSETIF, BIOCSDIRFILT, BPF_DIRECTION_OUT, PACKET_HEADER) }
    },
    route: ROUTE,
    rename: None,
    description: Some(Description {
        set: {
            // SAFETY: OpenBSD (`ifioctl`) follows only `ifr_data`: it copies a string of at most
            // `IFDESCRSIZE` bytes in, up to its NUL.
            unsafe { SetText::new(System::OpenBsd, SIOCSIFDESCR, TextLayout::Address) }
        },
        get: {
            // SAFETY: OpenBSD (`ifioctl_get`) follows only `ifr_data`: it copies a string of at most
            // `IFDESCRSIZE` bytes out.
            unsafe { GetText::new(System::OpenBsd, SIOCGIFDESCR, TextLayout::Address, IFDESCRSIZE) }
        },
        errno_of_none: None,
    }),
    pair: None,
};

/// The argument of [`SIOCIFAFATTACH`] that enables IPv6 on `name`.
#[must_use]
pub fn attach_v6(name: &Name) -> [u8; size_of::<FamilyRequest>()] {
    let mut argument = [0; size_of::<FamilyRequest>()];
    argument[..NAME_SIZE].copy_from_slice(name.padded());
    argument[offset_of!(FamilyRequest, family)] = AF_INET6;
    argument
}

/// The minor number in a device's number, whose upper half is unused.
#[allow(clippy::cast_possible_truncation, reason = "the lower half")]
#[must_use]
pub const fn minor(device: u64) -> u32 {
    let device = device as u32;
    (device & 0xffff_0000) >> 8 | device & 0xff
}

table::table! {
    /// OpenBSD's own numbers and layouts, which its headers confirm.
    TABLE:
    "EOPNOTSUPP" => errno::EOPNOTSUPP => 45;
    "AF_INET6" => AF_INET6 => 24;
    "minor(0x12340056)" => minor(0x1234_0056) => 0x12_3456;
    "sizeof(struct ifreq)" => size_of::<InterfaceRequest>() => 32;
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
    "sizeof(struct if_afreq)" => size_of::<FamilyRequest>() => 17;
    "offsetof(struct if_afreq, ifar_name)" => offset_of!(FamilyRequest, name) => 0;
    "offsetof(struct if_afreq, ifar_af)" => offset_of!(FamilyRequest, family) => 16;
    "sizeof(struct tuninfo)" => size_of::<TunInfo>() => 12;
    "offsetof(struct tuninfo, mtu)" => offset_of!(TunInfo, mtu) => 0;
    "offsetof(struct tuninfo, type)" => offset_of!(TunInfo, kind) => 4;
    "offsetof(struct tuninfo, flags)" => offset_of!(TunInfo, flags) => 6;
    "offsetof(struct tuninfo, baudrate)" => offset_of!(TunInfo, baudrate) => 8;
    "SIOCGIFFLAGS" => SIOCGIFFLAGS => 0xc020_6911;
    "SIOCSIFFLAGS" => SIOCSIFFLAGS => 0x8020_6910;
    "SIOCGIFMTU" => SIOCGIFMTU => 0xc020_697e;
    "SIOCSIFDESCR" => SIOCSIFDESCR => 0x8020_6980;
    "SIOCGIFDESCR" => SIOCGIFDESCR => 0xc020_6981;
    "IFDESCRSIZE" => IFDESCRSIZE => 64;
    "SIOCSIFMTU" => SIOCSIFMTU => 0x8020_697f;
    "SIOCIFCREATE" => SIOCIFCREATE => 0x8020_697a;
    "SIOCIFDESTROY" => SIOCIFDESTROY => 0x8020_6979;
    "SIOCSIFLLADDR" => SIOCSIFLLADDR => 0x8020_691f;
    "SIOCAIFADDR" => SIOCAIFADDR => 0x8040_691a;
    "SIOCDIFADDR" => SIOCDIFADDR => 0x8020_6919;
    "SIOCAIFADDR_IN6" => SIOCAIFADDR_IN6 => 0x8080_691a;
    "SIOCDIFADDR_IN6" => SIOCDIFADDR_IN6 => 0x8120_6919;
    "SIOCGIFAFLAG_IN6" => SIOCGIFAFLAG_IN6 => 0xc120_6949;
    "SIOCIFAFATTACH" => SIOCIFAFATTACH => 0x8011_69ab;
    "TUNSIFMODE" => TUNSIFMODE => 0x8004_745d;
    "TUNSIFINFO" => TUNSIFINFO => 0x800c_745b;
    "TUNGIFINFO" => TUNGIFINFO => 0x400c_745c;
    "offsetof(struct if_data, ifi_oqdrops)" => OUTPUT_DROPS => 104;
    "sizeof(((struct if_data *)0)->ifi_oqdrops)" => size_of::<u64>() => 8;
    "BIOCSETIF" => BIOCSETIF => 0x8020_426c;
    "BIOCSDIRFILT" => BIOCSDIRFILT => 0x8004_427d;
    "offsetof(struct bpf_hdr, bh_caplen)" => PACKET_HEADER.captured => 8;
    "offsetof(struct bpf_hdr, bh_datalen)" => PACKET_HEADER.original => 12;
    "offsetof(struct bpf_hdr, bh_hdrlen)" => PACKET_HEADER.length => 16;
    "BPF_ALIGNMENT" => PACKET_HEADER.alignment => 4;
    "BPF_DIRECTION_OUT" => BPF_DIRECTION_OUT => 2;
    "RTM_VERSION" => ROUTE[0].version => 5;
    "RTM_IFINFO" => ROUTE[0].interface.kind => 0xe;
    "RTM_NEWADDR" => ROUTE[0].address.added => 0xc;
    "RTM_DELADDR" => ROUTE[0].address.removed => 0xd;
    "offsetof(struct if_msghdr, ifm_index)" => ROUTE[0].interface.index => 6;
    "offsetof(struct if_msghdr, ifm_flags)" => ROUTE[0].interface.flags => 16;
    "offsetof(struct if_msghdr, ifm_data.ifi_mtu)" => ROUTE[0].interface.mtu => 28;
    "sizeof(((struct if_data *)0)->ifi_mtu)" => ROUTE[0].interface.mtu_bytes => 4;
    "offsetof(struct ifa_msghdr, ifam_index)" => ROUTE[0].address.index => 6;
    "offsetof(struct ifa_msghdr, ifam_addrs)" => ROUTE[0].address.present => 12;
    "sizeof(struct ifa_msghdr)" => ROUTE[0].address.length => 24;
    "RTM_IFANNOUNCE" => ANNOUNCEMENT.kind => 0xf;
    "offsetof(struct if_announcemsghdr, ifan_index)" => ANNOUNCEMENT.index => 6;
    "offsetof(struct if_announcemsghdr, ifan_name)" => ANNOUNCEMENT.name => 10;
    "offsetof(struct if_announcemsghdr, ifan_what)" => ANNOUNCEMENT.what => 8;
    "IFAN_ARRIVAL" => route::ARRIVAL => 0;
    "IFAN_DEPARTURE" => route::DEPARTURE => 1;
    "RTM_DESYNC" => match ROUTE[0].overflow { Some(kind) => kind, None => 0 } => 0x10;
}
