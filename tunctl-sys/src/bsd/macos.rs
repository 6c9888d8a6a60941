//! macOS: `<net/if_utun.h>`, `<sys/kern_control.h>`, `<sys/sys_domain.h>`, `<sys/sockio.h>`.
//!
//! It has no device node: a tun is a socket that is connected to a kernel control, and its packets always
//! have the address family in front. Instead of taps it has paired Ethernet interfaces (`feth`): a frame that
//! leaves one arrives at the other, where the packet filter reads and writes frames.
#![allow(unsafe_code, reason = "the requests are declared here, with the proof of their numbers")]

use core::mem::offset_of;

use super::abi::usual;
use super::bpf::{Bpf, HeaderLayout};
use super::layout::{self, AliasRequest, AliasRequestV6, NAME_SIZE, RequestV6};
use super::route::{AddressLayout, InterfaceLayout, RouteLayout};
use super::{Abi, FIONBIO, FIONREAD, INT, Pair, Requests, System, errno, iow, iowr, table};
use crate::ioctl::Opcode;

/// IPv6.
pub const AF_INET6: u8 = 30;
/// Adds an IPv6 address without duplicate detection.
pub const IN6_IFF_NODAD: u32 = 0x20;
/// The domain of the kernel's own sockets.
#[doc(alias = "PF_SYSTEM")]
pub const AF_SYSTEM: u8 = 32;
/// The kind of addresses of kernel controls, in that domain.
pub const AF_SYS_CONTROL: u16 = 2;
/// The protocol of kernel controls, and the level of their socket options.
pub const SYSPROTO_CONTROL: i32 = 2;
/// The socket option that reports the interface's name.
pub const UTUN_OPT_IFNAME: i32 = 2;
/// The socket option with the number of packets that wait at the socket itself: `u_int32_t`.
pub const UTUN_OPT_MAX_PENDING_PACKETS: i32 = 16;

macro_rules! utun_control {
    () => {
        "com.apple.net.utun_control"
    };
}

/// The name of the kernel control that makes tuns.
pub const UTUN_CONTROL_NAME: &str = utun_control!();

/// The argument of requests that name an interface.
#[doc(alias = "ifreq")]
pub type InterfaceRequest = layout::InterfaceRequest<16>;
/// A link-level address.
pub type SocketAddressLink = layout::SocketAddressLink<12>;

/// The name and the number of a kernel control.
#[doc(alias = "ctl_info")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ControlInfo {
    /// The number, which the kernel fills in.
    pub id: u32,
    /// The name, with its NUL.
    pub name: [u8; 96],
}

/// The address of a kernel control.
#[doc(alias = "sockaddr_ctl")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SocketAddressControl {
    /// The bytes in use: all of them.
    pub length: u8,
    /// [`AF_SYSTEM`].
    pub family: u8,
    /// [`AF_SYS_CONTROL`].
    pub subfamily: u16,
    /// The number of the control.
    pub id: u32,
    /// The unit of the control. For tuns: the interface's number plus one, or 0 for any.
    pub unit: u32,
    /// Unused.
    pub reserved: [u32; 5],
}

/// A command for an interface's driver.
// The alignment is that of a 64-bit system, so that the size is, too, where an address has 32 bits.
#[doc(alias = "ifdrv")]
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug)]
pub struct DriverRequest {
    /// The name of the interface.
    pub name: [u8; NAME_SIZE],
    /// The command.
    pub command: u64,
    /// The length of the command's argument.
    pub length: u64,
    /// The address of the command's argument.
    pub data: *const FakeRequest,
}

/// The argument of a command for a `feth` interface.
#[doc(alias = "if_fake_request")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct FakeRequest {
    /// Reserved: zeroes.
    pub reserved: [u64; 4],
    /// The name of the other interface.
    pub peer: [u8; NAME_SIZE],
    /// The rest of the union's widest member.
    pub rest: [u8; 112],
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
pub const SIOCIFCREATE: Opcode = iowr(b'i', 120, size_of::<InterfaceRequest>());
/// `ifreq`: removes an interface.
pub const SIOCIFDESTROY: Opcode = iow(b'i', 121, size_of::<InterfaceRequest>());
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
/// [`ControlInfo`], both ways: the number of a kernel control, by its name.
pub const CTLIOCGINFO: Opcode = iowr(b'N', 3, size_of::<ControlInfo>());

/// `ifreq`: binds a descriptor of the packet filter to an interface.
pub const BIOCSETIF: Opcode = iow(b'B', 108, size_of::<InterfaceRequest>());
/// `u_int`: whether a read also returns the packets that the interface has sent.
pub const BIOCSSEESENT: Opcode = iow(b'B', 119, INT);

/// [`DriverRequest`]: passes a command to an interface's driver.
pub const SIOCSDRVSPEC: Opcode = iow(b'i', 123, size_of::<DriverRequest>());
/// The command that connects a `feth` interface with the one in the [`FakeRequest`].
pub const IF_FAKE_S_CMD_SET_PEER: u64 = 1;

/// The header that the packet filter puts in front of each packet.
const PACKET_HEADER: HeaderLayout = HeaderLayout::behind(8, 4);

/// The request that connects two `feth` interfaces.
pub const PAIR: Pair = {
    // SAFETY: the drivers that answer it copy in at most `ifd_len` bytes at `ifd_data`, and follow no other
    // address. They copy out for `SIOCGDRVSPEC` only.
    unsafe { Pair::new(SIOCSDRVSPEC) }
};

/// What the routing socket reports (`rtsock.c`); interfaces are not announced. Addresses are padded to 32
/// bits (`ROUNDUP32`).
const ROUTE: &[RouteLayout] = &[RouteLayout {
    version: 5,
    interface: InterfaceLayout { kind: 0xe, index: 12, flags: 8, mtu: 24, mtu_bytes: 4 },
    address: AddressLayout { added: 0xc, removed: 0xd, index: 12, present: 4, length: 20 },
    announcement: None,
    overflow: None,
    alignment: 4,
}];

/// Numbers and layouts of macOS.
pub const ABI: Abi = Abi {
    system: System::MacOs,
    af_inet6: AF_INET6,
    wide_flags: false,
    ifreq: size_of::<InterfaceRequest>(),
    ifreq_v6: size_of::<RequestV6>(),
    alias: usual::ALIAS,
    alias_v6: usual::ALIAS_V6,
    tun_info: None,
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
            tun_set_head: None,
            tun_get_head: None,
            tun_set_mode: None,
            tun_set_link_mode: None,
            tun_set_info: None,
            tun_get_info: None,
            tun_name: None,
            set_transient: None,
            tap_name: None,
            tap_set_info: None,
            tap_set_vnet_header: None,
            tap_get_vnet_header: None,
            control_info: Some(CTLIOCGINFO),
            set_nonblocking: FIONBIO,
            waiting: FIONREAD,
        };
        // SAFETY: each number is macOS's; the assertions of the table below hold it.
        unsafe { NUMBERS.declare(System::MacOs) }
    },
    bpf: {
        // SAFETY: the number is the system's `BIOCSETIF`; the assertions of the table below hold it.
        unsafe { Bpf::declare(System::MacOs, BIOCSETIF, BIOCSSEESENT, 0, PACKET_HEADER) }
    },
    route: ROUTE,
    rename: None,
    description: None,
    pair: Some(PAIR),
};

/// The argument of [`CTLIOCGINFO`] for the control that makes tuns.
#[must_use]
pub fn control_info() -> [u8; size_of::<ControlInfo>()] {
    let mut argument = [0; size_of::<ControlInfo>()];
    let name = offset_of!(ControlInfo, name);
    argument[name..name + UTUN_CONTROL_NAME.len()].copy_from_slice(UTUN_CONTROL_NAME.as_bytes());
    argument
}

/// The number of the control, after [`CTLIOCGINFO`] has filled it in.
#[must_use]
pub fn control_id(argument: &[u8; size_of::<ControlInfo>()]) -> u32 {
    let [a, b, c, d, ..] = *argument;
    u32::from_ne_bytes([a, b, c, d])
}

/// The address of a unit of a control. The interface `utunN` is unit N + 1; 0 leaves the choice to the
/// kernel.
#[must_use]
pub fn sockaddr_ctl(id: u32, unit: u32) -> [u8; size_of::<SocketAddressControl>()] {
    const SIZE: usize = size_of::<SocketAddressControl>();
    let mut address = [0; SIZE];
    #[allow(clippy::cast_possible_truncation, reason = "the table holds it to 32")]
    let length = SIZE as u8;
    address[offset_of!(SocketAddressControl, length)] = length;
    address[offset_of!(SocketAddressControl, family)] = AF_SYSTEM;
    let mut put = |at: usize, bytes: &[u8]| address[at..at + bytes.len()].copy_from_slice(bytes);
    put(offset_of!(SocketAddressControl, subfamily), &AF_SYS_CONTROL.to_ne_bytes());
    put(offset_of!(SocketAddressControl, id), &id.to_ne_bytes());
    put(offset_of!(SocketAddressControl, unit), &unit.to_ne_bytes());
    address
}

const _: () = assert!(UTUN_CONTROL_NAME.len() < 96 && NAME_SIZE == 16);

table::table! {
    /// macOS's own numbers and layouts, which its headers confirm, as far as these are available.
    TABLE:
    "AF_SYSTEM" => AF_SYSTEM => 32;
    "PF_SYSTEM" => AF_SYSTEM => 32;
    "AF_SYS_CONTROL" => AF_SYS_CONTROL => 2;
    "SYSPROTO_CONTROL" => SYSPROTO_CONTROL => 2;
    "UTUN_OPT_IFNAME" => UTUN_OPT_IFNAME => 2;
    "UTUN_OPT_MAX_PENDING_PACKETS" => UTUN_OPT_MAX_PENDING_PACKETS => 16;
    concat!("__builtin_strcmp(UTUN_CONTROL_NAME, \"", utun_control!(), "\")") => 0 => 0;
    "ENOTSUP" => errno::EOPNOTSUPP => 45;
    "EOPNOTSUPP" => errno::EOPNOTSUPP_OF_MACOS => 102;
    "AF_INET6" => AF_INET6 => 30;
    "IN6_IFF_NODAD" => IN6_IFF_NODAD => 0x20;
    "sizeof(struct ifreq)" => size_of::<InterfaceRequest>() => 32;
    "sizeof(struct sockaddr_dl)" => size_of::<SocketAddressLink>() => 20;
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
    "sizeof(struct ctl_info)" => size_of::<ControlInfo>() => 100;
    "offsetof(struct ctl_info, ctl_id)" => offset_of!(ControlInfo, id) => 0;
    "offsetof(struct ctl_info, ctl_name)" => offset_of!(ControlInfo, name) => 4;
    "sizeof(struct sockaddr_ctl)" => size_of::<SocketAddressControl>() => 32;
    "offsetof(struct sockaddr_ctl, sc_len)" => offset_of!(SocketAddressControl, length) => 0;
    "offsetof(struct sockaddr_ctl, sc_family)" => offset_of!(SocketAddressControl, family) => 1;
    "offsetof(struct sockaddr_ctl, ss_sysaddr)" => offset_of!(SocketAddressControl, subfamily) => 2;
    "offsetof(struct sockaddr_ctl, sc_id)" => offset_of!(SocketAddressControl, id) => 4;
    "offsetof(struct sockaddr_ctl, sc_unit)" => offset_of!(SocketAddressControl, unit) => 8;
    "offsetof(struct sockaddr_ctl, sc_reserved)" => offset_of!(SocketAddressControl, reserved) => 12;
    "SIOCGIFFLAGS" => SIOCGIFFLAGS => 0xc020_6911;
    "SIOCSIFFLAGS" => SIOCSIFFLAGS => 0x8020_6910;
    "SIOCGIFMTU" => SIOCGIFMTU => 0xc020_6933;
    "SIOCSIFMTU" => SIOCSIFMTU => 0x8020_6934;
    "SIOCIFCREATE" => SIOCIFCREATE => 0xc020_6978;
    "SIOCIFDESTROY" => SIOCIFDESTROY => 0x8020_6979;
    "SIOCSIFLLADDR" => SIOCSIFLLADDR => 0x8020_693c;
    "SIOCAIFADDR" => SIOCAIFADDR => 0x8040_691a;
    "SIOCDIFADDR" => SIOCDIFADDR => 0x8020_6919;
    "SIOCAIFADDR_IN6" => SIOCAIFADDR_IN6 => 0x8080_691a;
    "SIOCDIFADDR_IN6" => SIOCDIFADDR_IN6 => 0x8120_6919;
    "SIOCGIFAFLAG_IN6" => SIOCGIFAFLAG_IN6 => 0xc120_6949;
    "CTLIOCGINFO" => CTLIOCGINFO => 0xc064_4e03;
    "sizeof(struct ifdrv)" => size_of::<DriverRequest>() => 40;
    "offsetof(struct ifdrv, ifd_name)" => offset_of!(DriverRequest, name) => 0;
    "offsetof(struct ifdrv, ifd_cmd)" => offset_of!(DriverRequest, command) => 16;
    "offsetof(struct ifdrv, ifd_len)" => offset_of!(DriverRequest, length) => 24;
    "offsetof(struct ifdrv, ifd_data)" => offset_of!(DriverRequest, data) => 32;
    "SIOCSDRVSPEC" => SIOCSDRVSPEC => 0x8028_697b;
    "IF_FAKE_S_CMD_SET_PEER" => IF_FAKE_S_CMD_SET_PEER => 1;
    "sizeof(struct if_fake_request)" => size_of::<FakeRequest>() => 160;
    "offsetof(struct if_fake_request, iffr_reserved)" => offset_of!(FakeRequest, reserved) => 0;
    "offsetof(struct if_fake_request, iffr_u)" => offset_of!(FakeRequest, peer) => 32;
    "BIOCSETIF" => BIOCSETIF => 0x8020_426c;
    "BIOCSSEESENT" => BIOCSSEESENT => 0x8004_4277;
    "offsetof(struct bpf_hdr, bh_caplen)" => PACKET_HEADER.captured => 8;
    "offsetof(struct bpf_hdr, bh_datalen)" => PACKET_HEADER.original => 12;
    "offsetof(struct bpf_hdr, bh_hdrlen)" => PACKET_HEADER.length => 16;
    "BPF_ALIGNMENT" => PACKET_HEADER.alignment => 4;
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
}
