//! The systems' numbers, written down again: what the crate sends is read by these, not by what built it.

use super::System;

/// The most pieces of a vectored call.
pub(crate) const UIO_MAXIOV: usize = 1024;

pub(crate) const EPERM: i32 = 1;
pub(crate) const ENOENT: i32 = 2;
pub(crate) const EIO: i32 = 5;
pub(crate) const ENXIO: i32 = 6;
pub(crate) const EBADF: i32 = 9;
pub(crate) const EACCES: i32 = 13;
pub(crate) const EBUSY: i32 = 16;
pub(crate) const EEXIST: i32 = 17;
pub(crate) const ENODEV: i32 = 19;
pub(crate) const EINVAL: i32 = 22;
pub(crate) const ENOTTY: i32 = 25;
pub(crate) const EAGAIN: i32 = 35;
pub(crate) const ENOTSOCK: i32 = 38;
pub(crate) const EDESTADDRREQ: i32 = 39;
pub(crate) const EMSGSIZE: i32 = 40;
pub(crate) const EPROTOTYPE: i32 = 41;
pub(crate) const EOPNOTSUPP: i32 = 45;
pub(crate) const EAFNOSUPPORT: i32 = 47;
pub(crate) const EADDRNOTAVAIL: i32 = 49;
pub(crate) const ENETDOWN: i32 = 50;
pub(crate) const ENOBUFS: i32 = 55;
pub(crate) const ENAMETOOLONG: i32 = 63;
pub(crate) const EHOSTDOWN: i32 = 64;
/// FreeBSD's.
pub(crate) const ENOMSG: i32 = 83;

pub(crate) const UP: u32 = 0x1;
pub(crate) const BROADCAST: u32 = 0x2;
pub(crate) const LOOPBACK: u32 = 0x8;
pub(crate) const POINTOPOINT: u32 = 0x10;
pub(crate) const RUNNING: u32 = 0x40;
pub(crate) const LINK0: u32 = 0x1000;
pub(crate) const MULTICAST: u32 = 0x8000;
/// What SIOCSIFFLAGS leaves as it is: broadcast, point-to-point, running, out active (0x400), simplex
/// (0x800), multicast, and all multicast (0x200).
pub(crate) const UNCHANGEABLE: u32 =
    BROADCAST | POINTOPOINT | RUNNING | MULTICAST | 0x400 | 0x800 | 0x200 | LOOPBACK;

pub(crate) const AF_INET: u32 = 2;
pub(crate) const AF_LINK: u8 = 18;
pub(crate) const NODAD: u32 = 0x20;
pub(crate) const TENTATIVE: u32 = 0x2;
pub(crate) const DUPLICATED: u32 = 0x4;

/// `IFT_ETHER`, `IFT_PPP` and `IFT_TUNNEL`.
pub(crate) const KIND_TAP: u16 = 0x6;
pub(crate) const KIND_TUN: u16 = 0x17;
/// OpenBSD's.
pub(crate) const KIND_TUNNEL: u16 = 0x83;

pub(crate) const fn af_inet6(system: System) -> u32 {
    match system {
        System::NetBsd | System::OpenBsd => 24,
        System::MacOs => 30,
        _ => 28,
    }
}

/// Whether flags have 32 bits, in two halves.
pub(crate) const fn has_wide_flags(system: System) -> bool {
    matches!(system, System::FreeBsd | System::DragonFly)
}

/// A request, whatever its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    SetNonblocking,
    Waiting,
    TunSetAfHeader,
    TunGetAfHeader,
    TunSetMode,
    TunSetLinkMode,
    SetInfo,
    GetInfo,
    DeviceName,
    SetTransient,
    SetVnetHeader,
    GetVnetHeader,
    ControlInfo,
    Create,
    Destroy,
    GetFlags,
    SetFlags,
    GetMtu,
    SetMtu,
    SetMac,
    AddLink,
    AddV4,
    DeleteV4,
    AddV6,
    DeleteV6,
    GetAddressFlags,
    AttachFamily,
    Rename,
    SetDescription,
    GetDescription,
    FilterSetLength,
    FilterLength,
    FilterLinkType,
    FilterBind,
    FilterSetImmediate,
    FilterSetComplete,
    FilterSetSeesSent,
}

/// What kind of file a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// Any open device.
    Device,
    /// A tun's device.
    Tun,
    /// A tap's device.
    Tap,
    /// A packet filter.
    Filter,
    /// A socket.
    Socket,
    /// A socket; the argument has the address of a text.
    Text,
}

/// A request's number, what C calls it, and what it is for.
pub(crate) type Row = (u32, &'static str, For, Ask);

const FREEBSD: &[Row] = &[
    (0x8020_6929, "SIOCSIFDESCR", For::Text, Ask::SetDescription),
    (0xc020_692a, "SIOCGIFDESCR", For::Text, Ask::GetDescription),
    (0x8020_6928, "SIOCSIFNAME", For::Text, Ask::Rename),
    (0x8004_7460, "TUNSIFHEAD", For::Tun, Ask::TunSetAfHeader),
    (0x4004_7461, "TUNGIFHEAD", For::Tun, Ask::TunGetAfHeader),
    (0x8004_745e, "TUNSIFMODE", For::Tun, Ask::TunSetMode),
    (0x8004_745d, "TUNSLMODE", For::Tun, Ask::TunSetLinkMode),
    (0x8008_745b, "TUNSIFINFO", For::Tun, Ask::SetInfo),
    (0x4008_745c, "TUNGIFINFO", For::Tun, Ask::GetInfo),
    (0x4020_745d, "TUNGIFNAME", For::Tun, Ask::DeviceName),
    (0x8004_7462, "TUNSTRANSIENT", For::Tun, Ask::SetTransient),
    (0x4020_745d, "TAPGIFNAME", For::Tap, Ask::DeviceName),
    (0x8008_745b, "TAPSIFINFO", For::Tap, Ask::SetInfo),
    (0x8004_745b, "TAPSVNETHDR", For::Tap, Ask::SetVnetHeader),
    (0x4004_745e, "TAPGVNETHDR", For::Tap, Ask::GetVnetHeader),
    (0x8004_7462, "TAPSTRANSIENT", For::Tap, Ask::SetTransient),
    (0xc020_697a, "SIOCIFCREATE", For::Socket, Ask::Create),
    (0x8020_6979, "SIOCIFDESTROY", For::Socket, Ask::Destroy),
    (0x8044_692b, "SIOCAIFADDR", For::Socket, Ask::AddV4),
    (0x8088_691b, "SIOCAIFADDR_IN6", For::Socket, Ask::AddV6),
    (0x8020_6919, "SIOCDIFADDR", For::Socket, Ask::DeleteV4),
    (0xc020_6933, "SIOCGIFMTU", For::Socket, Ask::GetMtu),
    (0x8020_6934, "SIOCSIFMTU", For::Socket, Ask::SetMtu),
    (0x8020_693c, "SIOCSIFLLADDR", For::Socket, Ask::SetMac),
    (0xc020_6911, "SIOCGIFFLAGS", For::Socket, Ask::GetFlags),
    (0x8020_6910, "SIOCSIFFLAGS", For::Socket, Ask::SetFlags),
];

const NETBSD: &[Row] = &[
    (0x8004_7442, "TUNSIFHEAD", For::Tun, Ask::TunSetAfHeader),
    (0x4004_7441, "TUNGIFHEAD", For::Tun, Ask::TunGetAfHeader),
    (0x8004_7458, "TUNSIFMODE", For::Tun, Ask::TunSetMode),
    (0x8004_7457, "TUNSLMODE", For::Tun, Ask::TunSetLinkMode),
    (0x4090_6500, "TAPGIFNAME", For::Tap, Ask::DeviceName),
    (0x8090_697a, "SIOCIFCREATE", For::Socket, Ask::Create),
    (0x8090_6979, "SIOCIFDESTROY", For::Socket, Ask::Destroy),
    (0x8040_691a, "SIOCAIFADDR", For::Socket, Ask::AddV4),
    (0x8080_696b, "SIOCAIFADDR_IN6", For::Socket, Ask::AddV6),
    (0x8090_6919, "SIOCDIFADDR", For::Socket, Ask::DeleteV4),
    (0xc090_697e, "SIOCGIFMTU", For::Socket, Ask::GetMtu),
    (0x8090_697f, "SIOCSIFMTU", For::Socket, Ask::SetMtu),
    (0x8118_691c, "SIOCALIFADDR", For::Socket, Ask::AddLink),
    (0xc090_6911, "SIOCGIFFLAGS", For::Socket, Ask::GetFlags),
    (0x8090_6910, "SIOCSIFFLAGS", For::Socket, Ask::SetFlags),
];

const OPENBSD: &[Row] = &[
    (0x8020_6980, "SIOCSIFDESCR", For::Text, Ask::SetDescription),
    (0xc020_6981, "SIOCGIFDESCR", For::Text, Ask::GetDescription),
    (0x8004_745d, "TUNSIFMODE", For::Device, Ask::TunSetMode),
    (0x800c_745b, "TUNSIFINFO", For::Device, Ask::SetInfo),
    (0x400c_745c, "TUNGIFINFO", For::Device, Ask::GetInfo),
    (0x8020_697a, "SIOCIFCREATE", For::Socket, Ask::Create),
    (0x8020_6979, "SIOCIFDESTROY", For::Socket, Ask::Destroy),
    (0x8040_691a, "SIOCAIFADDR", For::Socket, Ask::AddV4),
    (0x8080_691a, "SIOCAIFADDR_IN6", For::Socket, Ask::AddV6),
    (0x8020_6919, "SIOCDIFADDR", For::Socket, Ask::DeleteV4),
    (0xc020_697e, "SIOCGIFMTU", For::Socket, Ask::GetMtu),
    (0x8020_697f, "SIOCSIFMTU", For::Socket, Ask::SetMtu),
    (0x8020_691f, "SIOCSIFLLADDR", For::Socket, Ask::SetMac),
    (0x8011_69ab, "SIOCIFAFATTACH", For::Socket, Ask::AttachFamily),
    (0xc020_6911, "SIOCGIFFLAGS", For::Socket, Ask::GetFlags),
    (0x8020_6910, "SIOCSIFFLAGS", For::Socket, Ask::SetFlags),
];

const DRAGONFLY: &[Row] = &[
    (0x8020_6928, "SIOCSIFNAME", For::Text, Ask::Rename),
    (0x8004_7460, "TUNSIFHEAD", For::Tun, Ask::TunSetAfHeader),
    (0x4004_7461, "TUNGIFHEAD", For::Tun, Ask::TunGetAfHeader),
    (0x8004_745e, "TUNSIFMODE", For::Tun, Ask::TunSetMode),
    (0x8004_745d, "TUNSLMODE", For::Tun, Ask::TunSetLinkMode),
    (0x8008_745b, "TUNSIFINFO", For::Tun, Ask::SetInfo),
    (0x4008_745c, "TUNGIFINFO", For::Tun, Ask::GetInfo),
    (0x8008_745b, "TAPSIFINFO", For::Tap, Ask::SetInfo),
    (0x4020_745d, "TUNGIFNAME", For::Tun, Ask::DeviceName),
    (0x4020_745d, "TAPGIFNAME", For::Tap, Ask::DeviceName),
    (0xc020_697a, "SIOCIFCREATE", For::Socket, Ask::Create),
    (0x8020_6979, "SIOCIFDESTROY", For::Socket, Ask::Destroy),
    (0x8040_691a, "SIOCAIFADDR", For::Socket, Ask::AddV4),
    (0x8080_691a, "SIOCAIFADDR_IN6", For::Socket, Ask::AddV6),
    (0x8020_6919, "SIOCDIFADDR", For::Socket, Ask::DeleteV4),
    (0xc020_6933, "SIOCGIFMTU", For::Socket, Ask::GetMtu),
    (0x8020_6934, "SIOCSIFMTU", For::Socket, Ask::SetMtu),
    (0x8020_693c, "SIOCSIFLLADDR", For::Socket, Ask::SetMac),
    (0xc020_6911, "SIOCGIFFLAGS", For::Socket, Ask::GetFlags),
    (0x8020_6910, "SIOCSIFFLAGS", For::Socket, Ask::SetFlags),
];

const MACOS: &[Row] = &[
    (0xc064_4e03, "CTLIOCGINFO", For::Device, Ask::ControlInfo),
    (0xc004_4266, "BIOCSBLEN", For::Filter, Ask::FilterSetLength),
    (0x4004_4266, "BIOCGBLEN", For::Filter, Ask::FilterLength),
    (0x4004_426a, "BIOCGDLT", For::Filter, Ask::FilterLinkType),
    (0x8020_426c, "BIOCSETIF", For::Filter, Ask::FilterBind),
    (0x8004_4270, "BIOCIMMEDIATE", For::Filter, Ask::FilterSetImmediate),
    (0x8004_4275, "BIOCSHDRCMPLT", For::Filter, Ask::FilterSetComplete),
    (0x8004_4277, "BIOCSSEESENT", For::Filter, Ask::FilterSetSeesSent),
    (0xc020_6978, "SIOCIFCREATE", For::Socket, Ask::Create),
    (0x8020_6979, "SIOCIFDESTROY", For::Socket, Ask::Destroy),
    (0x8040_691a, "SIOCAIFADDR", For::Socket, Ask::AddV4),
    (0x8080_691a, "SIOCAIFADDR_IN6", For::Socket, Ask::AddV6),
    (0x8020_6919, "SIOCDIFADDR", For::Socket, Ask::DeleteV4),
    (0xc020_6933, "SIOCGIFMTU", For::Socket, Ask::GetMtu),
    (0x8020_6934, "SIOCSIFMTU", For::Socket, Ask::SetMtu),
    (0x8020_693c, "SIOCSIFLLADDR", For::Socket, Ask::SetMac),
    (0xc020_6911, "SIOCGIFFLAGS", For::Socket, Ask::GetFlags),
    (0x8020_6910, "SIOCSIFFLAGS", For::Socket, Ask::SetFlags),
];

/// What all five have.
const COMMON: &[Row] = &[
    (0x8004_667e, "FIONBIO", For::Device, Ask::SetNonblocking),
    (0x4004_667f, "FIONREAD", For::Device, Ask::Waiting),
    (0x8120_6919, "SIOCDIFADDR_IN6", For::Socket, Ask::DeleteV6),
    (0xc120_6949, "SIOCGIFAFLAG_IN6", For::Socket, Ask::GetAddressFlags),
];

/// The requests of a system that have this number: of a tun and of a tap it can be two.
pub(crate) fn requests(system: System, opcode: u32) -> impl Iterator<Item = &'static Row> {
    own(system).iter().chain(COMMON).filter(move |row| row.0 == opcode)
}

const fn own(system: System) -> &'static [Row] {
    match system {
        System::NetBsd => NETBSD,
        System::OpenBsd => OPENBSD,
        System::DragonFly => DRAGONFLY,
        System::MacOs => MACOS,
        _ => FREEBSD,
    }
}

/// The bytes of the argument, as the kernel takes them from the number.
pub(crate) const fn argument_length(opcode: u32) -> usize {
    (opcode >> 16 & 0x1fff) as usize
}

/// Whether a system has a request of this name.
pub(crate) fn has(system: System, called: &str) -> bool {
    own(system).iter().chain(COMMON).any(|row| row.1 == called)
}
