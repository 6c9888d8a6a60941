//! Linux: `<linux/if_tun.h>` and the calls that use it.
//!
//! Numbers and layouts compile on every host, so that a test on one system can check those of another. Only
//! the calls, in [`tun`], [`tun_probe`], [`netlink_socket`], [`packet_socket`], [`process`], [`seccomp`],
//! [`namespace`], [`inherited`], [`rights`], [`ethtool`], [`file_capability`] and [`elsewhere`], need Linux.
//! Manual page: `netdevice(7)`; the kernel's own description: `Documentation/networking/tuntap.rst`.

#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod elsewhere;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod ethtool;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod file_capability;
pub mod filter;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod inherited;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod io_uring;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod namespace;
pub mod netlink;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod netlink_socket;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod packet_socket;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod process;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod program;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod rights;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod seccomp;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod tun;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub mod tun_probe;

use crate::ioctl::Opcode;

/// The bytes of an interface name, including its terminating NUL.
#[doc(alias = "IFNAMSIZ")]
pub const NAME_SIZE: usize = 16;

/// The major number of the TUN driver's node, `/dev/net/tun`: that of miscellaneous devices.
#[doc(alias = "MISC_MAJOR")]
pub const NODE_MAJOR: u32 = 10;
/// The minor number of the TUN driver's node. The kernel keeps it for this driver (`<linux/miscdevice.h>`).
#[doc(alias = "TUN_MINOR")]
pub const NODE_MINOR: u32 = 200;

/// Flags of `TUNSETIFF`, from `<linux/if_tun.h>`. They are not those of `<linux/if.h>`: `IFF_TUN` and
/// `IFF_UP` are both 1.
pub mod iff {
    /// The device carries IP packets.
    pub const TUN: u16 = 0x0001;
    /// The device carries Ethernet frames.
    pub const TAP: u16 = 0x0002;
    /// Packets that a program sends go through the kernel's polling, several at a time.
    pub const NAPI: u16 = 0x0010;
    /// The pieces of a vectored send become a packet's fragments, for tests of the network stack.
    pub const NAPI_FRAGS: u16 = 0x0020;
    /// The interface begins without a carrier.
    pub const NO_CARRIER: u16 = 0x0040;
    /// A full queue stops its senders, and drops nothing.
    pub const BACKPRESSURE: u16 = 0x0080;
    /// The interface may have several queues.
    pub const MULTI_QUEUE: u16 = 0x0100;
    /// Puts a detached queue back into service; only for [`TUNSETQUEUE`](super::TUNSETQUEUE).
    pub const ATTACH_QUEUE: u16 = 0x0200;
    /// Takes a queue out of service; only for [`TUNSETQUEUE`](super::TUNSETQUEUE).
    pub const DETACH_QUEUE: u16 = 0x0400;
    /// The interface outlives its last descriptor. Reported only; set by
    /// [`TUNSETPERSIST`](super::TUNSETPERSIST).
    pub const PERSIST: u16 = 0x0800;
    /// Packets have no packet information header in front.
    pub const NO_PI: u16 = 0x1000;
    /// Accepted, without effect since Linux 3.8.
    pub const ONE_QUEUE: u16 = 0x2000;
    /// Packets have a virtio-net header in front.
    pub const VNET_HDR: u16 = 0x4000;
    /// Refuses to attach to an interface that exists.
    pub const TUN_EXCL: u16 = 0x8000;
}

/// Bits of `TUNSETOFFLOAD`, from `<linux/if_tun.h>`: which offloaded packets the program takes.
pub mod offload {
    /// Packets whose checksum is not complete.
    pub const CSUM: u32 = 0x01;
    /// Segments of TCP over IPv4, joined.
    pub const TSO4: u32 = 0x02;
    /// Segments of TCP over IPv6, joined.
    pub const TSO6: u32 = 0x04;
    /// Joined segments of TCP with ECN.
    pub const TSO_ECN: u32 = 0x08;
    /// Fragments of UDP, joined. Accepted, without effect since Linux 4.14.
    pub const UFO: u32 = 0x10;
    /// Datagrams of UDP over IPv4, joined.
    pub const USO4: u32 = 0x20;
    /// Datagrams of UDP over IPv6, joined.
    pub const USO6: u32 = 0x40;
    /// Joined segments within a UDP tunnel.
    pub const UDP_TUNNEL_GSO: u32 = 0x080;
    /// The same, where the tunnel has a checksum of its own.
    pub const UDP_TUNNEL_GSO_CSUM: u32 = 0x100;
}

/// The type of link of an Ethernet, in a `sockaddr` with a MAC address.
pub const ARPHRD_ETHER: u16 = 1;
/// Sets the MAC address of the interface; on an attached descriptor, that one.
pub const SIOCSIFHWADDR: Opcode = 0x8924;
/// The argument is ignored; the answer is a new descriptor: the network namespace of a socket, and of the TUN
/// driver's file the one in which it was opened.
pub const SIOCGSKNS: Opcode = 0x894c;

/// The argument of the requests that name an interface: a name, then flags, then room for the union's widest
/// member.
#[doc(alias = "ifreq")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InterfaceRequest {
    name: [u8; NAME_SIZE],
    flags: u16,
    // The union's widest member is `struct ifmap`: two longs, then 8 bytes.
    rest: [u16; (2 * size_of::<usize>() + 8 - 2) / 2],
}

impl InterfaceRequest {
    /// A request for `name` with `flags`; an empty name asks the kernel to choose one. `None` if the name
    /// leaves no room for its NUL or contains one.
    #[must_use]
    pub fn new(name: &[u8], flags: u16) -> Option<Self> {
        if name.len() >= NAME_SIZE || name.contains(&0) {
            return None;
        }
        let mut request = Self { flags, ..Self::default() };
        request.name[..name.len()].copy_from_slice(name);
        Some(request)
    }

    /// A request with a MAC address in its `ifr_hwaddr`: the type of link, in the place of the flags, and the
    /// address.
    #[must_use]
    pub fn with_mac(mac: [u8; 6]) -> Self {
        let mut request = Self { flags: ARPHRD_ETHER, ..Self::default() };
        let [a, b, c, d, e, f] = mac;
        request.rest[..3].copy_from_slice(&[[a, b], [c, d], [e, f]].map(u16::from_ne_bytes));
        request
    }

    /// The name, up to its NUL.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|&byte| byte == 0).unwrap_or(NAME_SIZE);
        &self.name[..end]
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> u16 {
        self.flags
    }
}

const _: () = {
    assert!(size_of::<InterfaceRequest>() == 16 + 2 * size_of::<usize>() + 8);
    assert!(core::mem::offset_of!(InterfaceRequest, flags) == 16);
};

// `_IOC`: most architectures give the direction two bits above 14 bits of size; three older ones three above
// 13.
const NARROW_SIZE: bool = cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc",
    target_arch = "sparc64"
));
const DIRECTION_SHIFT: u32 = if NARROW_SIZE { 29 } else { 30 };
const WRITE: u32 = if NARROW_SIZE { 4 } else { 1 };
const READ: u32 = 2;
const NONE: u32 = if NARROW_SIZE { 1 } else { 0 };

const fn encode(direction: u32, number: u32, size: usize) -> Opcode {
    assert!(size < 1 << 13);
    #[allow(clippy::cast_possible_truncation, reason = "asserted on the line above")]
    let size = size as u32;
    direction << DIRECTION_SHIFT | size << 16 | (b'T' as u32) << 8 | number
}

const fn iow(number: u32) -> Opcode {
    encode(WRITE, number, size_of::<core::ffi::c_int>())
}

const fn ior(number: u32) -> Opcode {
    encode(READ, number, size_of::<core::ffi::c_uint>())
}

const fn io(number: u32) -> Opcode {
    encode(NONE, number, 0)
}

/// Integer: 1 makes the interface outlive its last descriptor, 0 undoes that.
pub const TUNSETPERSIST: Opcode = iow(203);
/// [`InterfaceRequest`], both ways: creates an interface, or attaches to one.
pub const TUNSETIFF: Opcode = iow(202);
/// `unsigned int`, filled in: the flags of [`TUNSETIFF`] that the kernel knows.
pub const TUNGETFEATURES: Opcode = ior(207);
/// Integer: the uid that may attach.
pub const TUNSETOWNER: Opcode = iow(204);
/// Integer: the gid that may attach.
pub const TUNSETGROUP: Opcode = iow(206);
/// Integer: the offloads that the reader accepts.
pub const TUNSETOFFLOAD: Opcode = iow(208);
/// [`InterfaceRequest`], filled in: the name and flags of the attached interface. (In C it is declared as an
/// `unsigned int`.)
pub const TUNGETIFF: Opcode = ior(210);
/// [`InterfaceRequest`], its flags alone: attaches or detaches the descriptor's queue. (In C it is declared
/// as an `int`.)
pub const TUNSETQUEUE: Opcode = iow(217);
/// `unsigned int`: the index of the interface that [`TUNSETIFF`] then creates.
pub const TUNSETIFINDEX: Opcode = iow(218);
/// `int`: the bytes that writers may have in flight.
pub const TUNSETSNDBUF: Opcode = iow(212);
/// `int`, filled in: the bytes that writers may have in flight.
pub const TUNGETSNDBUF: Opcode = ior(211);
/// Integer: the link type, one of `ARPHRD_*`.
pub const TUNSETLINK: Opcode = iow(205);
/// `int`, boolean: whether the interface has a carrier.
pub const TUNSETCARRIER: Opcode = iow(226);
/// [`MacFilterRequest`](filter::MacFilterRequest): the MAC addresses whose frames pass. (In C it is declared
/// as an `unsigned int`.)
pub const TUNSETTXFILTER: Opcode = iow(209);
/// [`FilterProgram`](filter::FilterProgram): the program that decides which frames pass, and how much of
/// each.
pub const TUNATTACHFILTER: Opcode = encode(WRITE, 213, 2 * size_of::<usize>());
/// The argument is ignored, though declared as a `struct sock_fprog`, which is two words.
pub const TUNDETACHFILTER: Opcode = encode(WRITE, 214, 2 * size_of::<usize>());
/// `int`, filled in: the size of the virtio-net header.
pub const TUNGETVNETHDRSZ: Opcode = ior(215);
/// `int`: whether the virtio-net header is little endian whatever the host is.
pub const TUNSETVNETLE: Opcode = iow(220);
/// `int`, filled in: whether the virtio-net header is little endian whatever the host is.
pub const TUNGETVNETLE: Opcode = ior(221);
/// `int`: whether the virtio-net header is big endian whatever the host is.
pub const TUNSETVNETBE: Opcode = iow(222);
/// `int`, filled in: whether the virtio-net header is big endian whatever the host is.
pub const TUNGETVNETBE: Opcode = ior(223);
/// `int`: a descriptor of the program that chooses a packet's queue, or -1.
pub const TUNSETSTEERINGEBPF: Opcode = ior(224);
/// `int`: a descriptor of the program that cuts or drops packets, or -1.
pub const TUNSETFILTEREBPF: Opcode = ior(225);
/// `int`: the size of the virtio-net header.
pub const TUNSETVNETHDRSZ: Opcode = iow(216);
/// No argument; the answer is a descriptor of the interface's network namespace.
pub const TUNGETDEVNETNS: Opcode = io(227);

#[cfg(any(target_os = "linux", target_os = "android"))]
const _: () = {
    // `Ioctl` is an int in musl, where a number whose highest bit is set is negative, and a long in glibc.
    const fn same(ours: Opcode, theirs: libc::Ioctl) -> bool {
        ours as libc::Ioctl == theirs
    }
    assert!(same(TUNSETPERSIST, libc::TUNSETPERSIST));
    assert!(same(TUNSETIFF, libc::TUNSETIFF));
    assert!(same(TUNSETOWNER, libc::TUNSETOWNER));
    assert!(same(TUNSETGROUP, libc::TUNSETGROUP));
    assert!(same(TUNSETOFFLOAD, libc::TUNSETOFFLOAD));
    assert!(same(TUNGETIFF, libc::TUNGETIFF));
    assert!(same(TUNSETQUEUE, libc::TUNSETQUEUE));
    assert!(same(TUNSETSNDBUF, libc::TUNSETSNDBUF));
    assert!(same(TUNGETSNDBUF, libc::TUNGETSNDBUF));
    assert!(same(TUNSETLINK, libc::TUNSETLINK));
    assert!(same(TUNSETCARRIER, libc::TUNSETCARRIER));
    assert!(same(TUNSETVNETHDRSZ, libc::TUNSETVNETHDRSZ));
    assert!(same(TUNGETFEATURES, libc::TUNGETFEATURES));
    assert!(same(TUNSETCARRIER, libc::TUNSETCARRIER));
    assert!(same(TUNGETDEVNETNS, libc::TUNGETDEVNETNS));
    assert!(same(TUNGETVNETHDRSZ, libc::TUNGETVNETHDRSZ));
    assert!(same(TUNSETTXFILTER, libc::TUNSETTXFILTER));
    assert!(same(TUNATTACHFILTER, libc::TUNATTACHFILTER));
    assert!(same(TUNDETACHFILTER, libc::TUNDETACHFILTER));
    assert!(size_of::<filter::FilterInstruction>() == size_of::<libc::sock_filter>());
    assert!(size_of::<filter::FilterProgram<'_>>() == size_of::<libc::sock_fprog>());
    assert!(same(TUNSETVNETLE, libc::TUNSETVNETLE));
    assert!(same(TUNSETVNETBE, libc::TUNSETVNETBE));
    assert!(same(TUNGETVNETLE, libc::TUNGETVNETLE));
    assert!(same(TUNGETVNETBE, libc::TUNGETVNETBE));
    assert!(same(TUNGETDEVNETNS, libc::TUNGETDEVNETNS));
    assert!(same(TUNSETSTEERINGEBPF, libc::TUNSETSTEERINGEBPF));
    assert!(same(TUNSETFILTEREBPF, libc::TUNSETFILTEREBPF));
    assert!(size_of::<InterfaceRequest>() == size_of::<libc::ifreq>());
    assert!(NAME_SIZE == libc::IFNAMSIZ);
    assert!(iff::TUN as i32 == libc::IFF_TUN && iff::TAP as i32 == libc::IFF_TAP);
    assert!(iff::MULTI_QUEUE as i32 == libc::IFF_MULTI_QUEUE);
    assert!(iff::ATTACH_QUEUE as i32 == libc::IFF_ATTACH_QUEUE);
    assert!(iff::DETACH_QUEUE as i32 == libc::IFF_DETACH_QUEUE);
    assert!(iff::PERSIST as i32 == libc::IFF_PERSIST);
    assert!(iff::NO_PI as i32 == libc::IFF_NO_PI);
    assert!(iff::VNET_HDR as i32 == libc::IFF_VNET_HDR);
    assert!(iff::TUN_EXCL as i32 == libc::IFF_TUN_EXCL);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_are_those_of_the_kernel_headers() {
        // Computed by C compilers from <linux/if_tun.h>. `struct sock_fprog` has 16 bytes, or 8.
        let words = [0x0008_0000, 0x0010_0000][usize::from(size_of::<usize>() == 8)];
        let (write, read) = if NARROW_SIZE { (0x8004_0000, 0x4004_0000) } else { (0x4004_0000, 0x8004_0000) };
        let neither = if NARROW_SIZE { 0x2000_0000 } else { 0 };
        assert_eq!(TUNSETIFF, write | 0x54ca);
        assert_eq!(TUNSETPERSIST, write | 0x54cb);
        assert_eq!(TUNGETIFF, read | 0x54d2);
        assert_eq!(TUNSETVNETHDRSZ, write | 0x54d8);
        assert_eq!(TUNGETVNETBE, read | 0x54df);
        assert_eq!(TUNGETDEVNETNS, neither | 0x54e3);
        assert_eq!(TUNDETACHFILTER, write & 0xf000_0000 | words | 0x54d6);
    }

    #[test]
    fn a_request_holds_fifteen_bytes_of_name_and_no_more() {
        let request = InterfaceRequest::new(b"abcdefghijklmno", iff::TUN).unwrap();
        assert_eq!(request.name(), b"abcdefghijklmno");
        assert_eq!(request.flags(), 1);
        assert_eq!(InterfaceRequest::new(b"abcdefghijklmnop", iff::TUN), None);
        assert_eq!(InterfaceRequest::new(b"a\0b", iff::TUN), None);
        assert_eq!(InterfaceRequest::new(b"", iff::TAP).unwrap().name(), b"");
    }
}
