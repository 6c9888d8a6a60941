//! FreeBSD: `<net/if_tun.h>`, `<net/if_tap.h>`, `<sys/sockio.h>`. Manual pages: `tun(4)`, `tap(4)`,
//! `netintro(4)`.
//!
//! The arguments that add addresses end with a virtual host of CARP, so their sizes and numbers are FreeBSD's
//! alone.
#![allow(unsafe_code, reason = "the requests are declared here, with the proof of their numbers")]

use core::mem::offset_of;

use super::abi::{AliasLayout, AliasLayoutV6, TunInfoLayout};
use super::bpf::{Bpf, HeaderLayout};
use super::layout::{
    self, LifetimesV6, NAME_SIZE, RequestV6, SocketAddressV4, SocketAddressV6, TunInfoNarrow,
};
use super::route::{self, AddressLayout, AnnouncementLayout, InterfaceLayout, RouteLayout};
use super::text::{Description, GetText, SetText, TextLayout};
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

/// The argument of the request that adds an IPv4 address.
#[doc(alias = "ifaliasreq")]
#[doc(alias = "in_aliasreq")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AliasRequest {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// The address.
    pub address: SocketAddressV4,
    /// The peer's address, or the broadcast address.
    pub destination: SocketAddressV4,
    /// The netmask.
    pub mask: SocketAddressV4,
    /// The virtual host of CARP that the address belongs to; 0 for none.
    pub vhid: i32,
}

/// The argument of the request that adds an IPv6 address.
#[doc(alias = "in6_aliasreq")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct AliasRequestV6 {
    /// The name, with its NUL.
    pub name: [u8; NAME_SIZE],
    /// The address.
    pub address: SocketAddressV6,
    /// The peer's address.
    pub destination: SocketAddressV6,
    /// The netmask.
    pub mask: SocketAddressV6,
    /// `IN6_IFF_…`.
    pub flags: i32,
    /// The lifetimes.
    pub lifetimes: LifetimesV6,
    /// The virtual host of CARP that the address belongs to; 0 for none.
    pub vhid: i32,
}

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
/// `ifreq` with length and address of a string: sets the description.
pub const SIOCSIFDESCR: Opcode = iow(b'i', 41, size_of::<InterfaceRequest>());
/// `ifreq` with length and address of a buffer: gets the description.
pub const SIOCGIFDESCR: Opcode = iowr(b'i', 42, size_of::<InterfaceRequest>());
/// The most bytes of a description, including its NUL, unless the sysctl `net.ifdescr_maxlen` is changed.
const IFDESCR_MAXLEN: usize = 1024;
/// `ifreq` with a link-level address: sets the MAC address.
pub const SIOCSIFLLADDR: Opcode = iow(b'i', 60, size_of::<InterfaceRequest>());
/// [`AliasRequest`]: adds an IPv4 address.
pub const SIOCAIFADDR: Opcode = iow(b'i', 43, size_of::<AliasRequest>());
/// `ifreq` with the address: removes an IPv4 address.
pub const SIOCDIFADDR: Opcode = iow(b'i', 25, size_of::<InterfaceRequest>());
/// [`AliasRequestV6`]: adds an IPv6 address.
pub const SIOCAIFADDR_IN6: Opcode = iow(b'i', 27, size_of::<AliasRequestV6>());
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
/// `ifreq`, filled in: the name of the interface.
pub const TUNGIFNAME: Opcode = ior(b't', 93, size_of::<InterfaceRequest>());
/// `int`: whether the interface is removed when it is closed.
pub const TUNSTRANSIENT: Opcode = iow(b't', 98, INT);
/// `ifreq`, filled in: the name of the interface, of a tap.
pub const TAPGIFNAME: Opcode = ior(b't', 93, size_of::<InterfaceRequest>());
/// `int`: the size of the virtio-net header. This number differs from [`TUNSIFINFO`] only in its size.
pub const TAPSVNETHDR: Opcode = iow(b't', 91, INT);
/// `int`, filled in.
pub const TAPGVNETHDR: Opcode = ior(b't', 94, INT);

/// A name of `sysctl(3)`: the network.
pub const CTL_NET: i32 = 4;
/// Below it: interfaces.
pub const PF_LINK: i32 = 18;
/// Below it: what all kinds of interfaces have.
pub const NETLINK_GENERIC: i32 = 0;
/// Below it: a table, by the index of an interface.
pub const IFMIB_IFDATA: i32 = 2;
/// Of an interface in that table: its driver's name and its unit, which are its name at first.
pub const IFDATA_DRIVERNAME: i32 = 3;

/// `ifreq`: binds a descriptor of the packet filter to an interface.
pub const BIOCSETIF: Opcode = iow(b'B', 108, size_of::<InterfaceRequest>());
/// `u_int`: which packets a read returns: 0 for those that the interface has received, 2 for those that it
/// has sent, 1 for both.
pub const BIOCSDIRECTION: Opcode = iow(b'B', 119, INT);

/// The offset of `ifi_oqdrops` in `if_data`.
const OUTPUT_DROPS: usize = 104;
/// The offset of `ifi_epoch` in `if_data`.
const CREATED: usize = 128;

/// The header that the packet filter puts in front of each packet.
const PACKET_HEADER: HeaderLayout = HeaderLayout::behind(16, 8);

const ANNOUNCEMENT: AnnouncementLayout = AnnouncementLayout { kind: 0x11, index: 4, name: 6, what: 22 };

/// What the routing socket reports (`rtsock.c`). Addresses are padded to a `long` (`SA_SIZE`).
const ROUTE: &[RouteLayout] = &[RouteLayout {
    version: 5,
    interface: InterfaceLayout { kind: 0xe, index: 12, flags: 8, mtu: 24, mtu_bytes: 4 },
    address: AddressLayout { added: 0xc, removed: 0xd, index: 12, present: 4, length: 20 },
    announcement: Some(ANNOUNCEMENT),
    overflow: None,
    alignment: layout::WORD,
}];

/// Numbers and layouts of FreeBSD.
pub const ABI: Abi = Abi {
    system: System::FreeBsd,
    af_inet6: AF_INET6,
    wide_flags: true,
    ifreq: size_of::<InterfaceRequest>(),
    ifreq_v6: size_of::<RequestV6>(),
    alias: AliasLayout {
        size: size_of::<AliasRequest>(),
        address: offset_of!(AliasRequest, address),
        destination: offset_of!(AliasRequest, destination),
        mask: offset_of!(AliasRequest, mask),
    },
    alias_v6: AliasLayoutV6 {
        size: size_of::<AliasRequestV6>(),
        address: offset_of!(AliasRequestV6, address),
        destination: offset_of!(AliasRequestV6, destination),
        mask: offset_of!(AliasRequestV6, mask),
        flags: offset_of!(AliasRequestV6, flags),
        valid: offset_of!(AliasRequestV6, lifetimes) + offset_of!(LifetimesV6, valid),
        preferred: offset_of!(AliasRequestV6, lifetimes) + offset_of!(LifetimesV6, preferred),
    },
    tun_info: Some(TunInfoLayout::Narrow),
    no_duplicate_detection: Some(IN6_IFF_NODAD),
    output_drops: Some(OUTPUT_DROPS),
    created: Some(CREATED),
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
            set_transient: Some(TUNSTRANSIENT),
            tap_name: Some(TAPGIFNAME),
            tap_set_info: Some(TAPSIFINFO),
            tap_set_vnet_header: Some(TAPSVNETHDR),
            tap_get_vnet_header: Some(TAPGVNETHDR),
            control_info: None,
            set_nonblocking: FIONBIO,
            waiting: FIONREAD,
        };
        // SAFETY: each number is FreeBSD's; the assertions of the table below hold it.
        unsafe { NUMBERS.declare(System::FreeBsd) }
    },
    bpf: {
        // SAFETY: the number is the system's `BIOCSETIF`; the assertions of the table below hold it.
        unsafe { Bpf::declare(System::FreeBsd, BIOCSETIF, BIOCSDIRECTION, 0, PACKET_HEADER) }
    },
    route: ROUTE,
    rename: Some(
        // SAFETY: FreeBSD follows only `ifr_data`, the address of the new name: it copies a string of at most
        // `IFNAMSIZ` bytes in, up to its NUL.
        unsafe { SetText::new(System::FreeBsd, SIOCSIFNAME, TextLayout::Address) },
    ),
    description: Some(Description {
        set: {
            // SAFETY: FreeBSD (`ifhwioctl`) follows only `ifr_buffer.buffer`: it copies one byte less in than
            // `ifr_buffer.length` says.
            unsafe { SetText::new(System::FreeBsd, SIOCSIFDESCR, TextLayout::LengthAndAddress) }
        },
        get: {
            // SAFETY: FreeBSD (`ifhwioctl`) follows only `ifr_buffer.buffer`: it copies the text out if
            // `ifr_buffer.length` says that there is room for all of it, and writes its length there.
            unsafe {
                GetText::new(System::FreeBsd, SIOCGIFDESCR, TextLayout::LengthAndAddress, IFDESCR_MAXLEN)
            }
        },
        errno_of_none: Some(errno::ENOMSG),
    }),
    pair: None,
};

table::table! {
    /// FreeBSD's own numbers and layouts, which its headers confirm.
    TABLE:
    "EOPNOTSUPP" => errno::EOPNOTSUPP => 45;
    "AF_INET6" => AF_INET6 => 28;
    "IN6_IFF_NODAD" => IN6_IFF_NODAD => 0x20;
    "sizeof(struct ifreq)" => size_of::<InterfaceRequest>() => 32;
    "offsetof(struct ifreq, ifr_flagshigh)" => layout::IFR_FLAGS_HIGH => 18;
    "sizeof(struct sockaddr_dl)" => size_of::<SocketAddressLink>() => 54;
    "offsetof(struct sockaddr_dl, sdl_data)" => offset_of!(SocketAddressLink, data) => 8;
    "sizeof(struct ifaliasreq)" => size_of::<AliasRequest>() => 68;
    "offsetof(struct ifaliasreq, ifra_name)" => offset_of!(AliasRequest, name) => 0;
    "offsetof(struct ifaliasreq, ifra_addr)" => offset_of!(AliasRequest, address) => 16;
    "offsetof(struct ifaliasreq, ifra_broadaddr)" => offset_of!(AliasRequest, destination) => 32;
    "offsetof(struct ifaliasreq, ifra_mask)" => offset_of!(AliasRequest, mask) => 48;
    "offsetof(struct ifaliasreq, ifra_vhid)" => offset_of!(AliasRequest, vhid) => 64;
    "sizeof(struct in6_aliasreq)" => size_of::<AliasRequestV6>() => 136;
    "offsetof(struct in6_aliasreq, ifra_name)" => offset_of!(AliasRequestV6, name) => 0;
    "offsetof(struct in6_aliasreq, ifra_addr)" => offset_of!(AliasRequestV6, address) => 16;
    "offsetof(struct in6_aliasreq, ifra_dstaddr)" => offset_of!(AliasRequestV6, destination) => 44;
    "offsetof(struct in6_aliasreq, ifra_prefixmask)" => offset_of!(AliasRequestV6, mask) => 72;
    "offsetof(struct in6_aliasreq, ifra_flags)" => offset_of!(AliasRequestV6, flags) => 100;
    "offsetof(struct in6_aliasreq, ifra_lifetime)" => offset_of!(AliasRequestV6, lifetimes) => 104;
    "offsetof(struct in6_aliasreq, ifra_vhid)" => offset_of!(AliasRequestV6, vhid) => 128;
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
    "SIOCSIFDESCR" => SIOCSIFDESCR => 0x8020_6929;
    "SIOCGIFDESCR" => SIOCGIFDESCR => 0xc020_692a;
    "offsetof(struct ifreq, ifr_ifru.ifru_buffer.length)" => layout::IFR_ARGUMENT => 16;
    "offsetof(struct ifreq, ifr_ifru.ifru_buffer.buffer)" => layout::IFR_ARGUMENT + layout::WORD => 24;
    "ENOMSG" => errno::ENOMSG => 83;
    "SIOCSIFLLADDR" => SIOCSIFLLADDR => 0x8020_693c;
    "SIOCAIFADDR" => SIOCAIFADDR => 0x8044_692b;
    "SIOCDIFADDR" => SIOCDIFADDR => 0x8020_6919;
    "SIOCAIFADDR_IN6" => SIOCAIFADDR_IN6 => 0x8088_691b;
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
    "TUNSTRANSIENT" => TUNSTRANSIENT => 0x8004_7462;
    "TAPGIFNAME" => TAPGIFNAME => 0x4020_745d;
    "TAPSVNETHDR" => TAPSVNETHDR => 0x8004_745b;
    "TAPGVNETHDR" => TAPGVNETHDR => 0x4004_745e;
    "TAPSTRANSIENT" => TUNSTRANSIENT => 0x8004_7462;
    "offsetof(struct if_data, ifi_oqdrops)" => OUTPUT_DROPS => 104;
    "sizeof(((struct if_data *)0)->ifi_oqdrops)" => size_of::<u64>() => 8;
    "offsetof(struct if_data, __ifi_epoch)" => CREATED => 128;
    "sizeof(((struct if_data *)0)->__ifi_epoch)" => size_of::<u64>() => 8;
    "CTL_NET" => CTL_NET => 4;
    "PF_LINK" => PF_LINK => 18;
    "NETLINK_GENERIC" => NETLINK_GENERIC => 0;
    "IFMIB_IFDATA" => IFMIB_IFDATA => 2;
    "IFDATA_DRIVERNAME" => IFDATA_DRIVERNAME => 3;
    "BIOCSETIF" => BIOCSETIF => 0x8020_426c;
    "BIOCSDIRECTION" => BIOCSDIRECTION => 0x8004_4277;
    "offsetof(struct bpf_hdr, bh_caplen)" => PACKET_HEADER.captured => 16;
    "offsetof(struct bpf_hdr, bh_datalen)" => PACKET_HEADER.original => 20;
    "offsetof(struct bpf_hdr, bh_hdrlen)" => PACKET_HEADER.length => 24;
    "BPF_ALIGNMENT" => PACKET_HEADER.alignment => 8;
    "RTM_VERSION" => ROUTE[0].version => 5;
    "RTM_IFINFO" => ROUTE[0].interface.kind => 0xe;
    "RTM_NEWADDR" => ROUTE[0].address.added => 0xc;
    "RTM_DELADDR" => ROUTE[0].address.removed => 0xd;
    "offsetof(struct if_msghdr, ifm_index)" => ROUTE[0].interface.index => 12;
    "offsetof(struct if_msghdr, ifm_flags)" => ROUTE[0].interface.flags => 8;
    "offsetof(struct if_msghdr, ifm_data.ifi_mtu)" => ROUTE[0].interface.mtu => 24;
    "sizeof(((struct if_data *)0)->ifi_mtu)" => ROUTE[0].interface.mtu_bytes => 4;
    "offsetof(struct ifa_msghdr, ifam_index)" => ROUTE[0].address.index => 12;
    "offsetof(struct ifa_msghdr, ifam_addrs)" => ROUTE[0].address.present => 4;
    "sizeof(struct ifa_msghdr)" => ROUTE[0].address.length => 20;
    "RTM_IFANNOUNCE" => ANNOUNCEMENT.kind => 0x11;
    "offsetof(struct if_announcemsghdr, ifan_index)" => ANNOUNCEMENT.index => 4;
    "offsetof(struct if_announcemsghdr, ifan_name)" => ANNOUNCEMENT.name => 6;
    "offsetof(struct if_announcemsghdr, ifan_what)" => ANNOUNCEMENT.what => 22;
    "IFAN_ARRIVAL" => route::ARRIVAL => 0;
    "IFAN_DEPARTURE" => route::DEPARTURE => 1;
}
