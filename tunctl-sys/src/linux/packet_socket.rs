//! Packet sockets (`AF_PACKET`): copies of the packets that pass an interface, in both directions.
//!
//! Manual page: `packet(7)`. A packet socket is read like any other socket, so no function for that is here.
#![allow(
    unsafe_code,
    reason = "the addresses, options and counters of a packet socket have no safe wrappers"
)]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// The `sll_pkttype` of a packet that leaves through the interface.
#[doc(alias = "PACKET_OUTGOING")]
pub const OUTGOING: u8 = 4;

const _: () = assert!(OUTGOING == libc::PACKET_OUTGOING);

/// The counters of a packet socket, since they were last read.
#[doc(alias = "tpacket_stats")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets seen, including the dropped ones.
    pub packets: u32,
    /// Packets dropped because the socket's buffer was full.
    pub drops: u32,
}

const _: () = assert!(size_of::<Statistics>() == size_of::<libc::tpacket_stats>());

/// Opens a packet socket on the interface with this index in the caller's network namespace. It is
/// close-on-exec and non-blocking, and receives all protocols; a packet begins with the link-layer header (on
/// a TUN: with the IP header).
///
/// # Errors
///
/// `EPERM`: `CAP_NET_RAW` is missing. `ENODEV`: no interface has that index.
pub fn open(index: u32) -> io::Result<OwnedFd> {
    let socket = socket()?;
    bind(&socket, index)?;
    Ok(socket)
}

/// Opens a packet socket only for [`send_to`]: it receives nothing, and a sent packet goes to the driver at
/// once, past the queueing discipline.
///
/// Other packet sockets do not see these packets.
///
/// # Errors
///
/// `EPERM`: `CAP_NET_RAW` is missing. `ENOPROTOOPT`: Linux is older than 3.14.
#[doc(alias = "PACKET_QDISC_BYPASS")]
pub fn open_to_send() -> io::Result<OwnedFd> {
    // A socket of protocol 0 receives nothing.
    let socket = socket()?;
    let on: c_int = 1;
    // SAFETY: the kernel reads at most as many bytes as the length says, which are those of an initialised
    // `int` that lives until the call returns; it writes nothing.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_QDISC_BYPASS,
            ptr::from_ref(&on).cast(),
            length_of::<c_int>(),
        )
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

/// Sends a packet, including its link-layer header if there is one, out of the interface with this index. The
/// kernel detects the protocol.
///
/// # Errors
///
/// On a socket of [`open_to_send`], `ENOBUFS`: the driver dropped the packet, or has no carrier. On any:
/// `ENETDOWN`; `ENXIO`: no interface has that index; `EMSGSIZE`: the packet is longer than the MTU; `EINVAL`:
/// the packet is shorter than the link-layer header.
pub fn send_to(fd: BorrowedFd<'_>, index: u32, packet: &[u8]) -> io::Result<usize> {
    let address = address(index, 0);
    // SAFETY: the kernel reads `packet.len()` bytes of the packet, which are initialised, and of the address
    // at most as many bytes as the length says, which are those of an initialised `sockaddr_ll` without
    // padding. Both live until the call returns, and the kernel writes nothing.
    let sent = unsafe {
        libc::sendto(
            fd.as_raw_fd(),
            packet.as_ptr().cast(),
            packet.len(),
            0,
            ptr::from_ref(&address).cast(),
            length_of::<libc::sockaddr_ll>(),
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn socket() -> io::Result<OwnedFd> {
    // With protocol 0 the socket receives nothing until the bind. Otherwise packets of other interfaces would
    // come first.
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket() takes integers only.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just opened, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bind(socket: &OwnedFd, index: u32) -> io::Result<()> {
    const ALL: u16 = 0x0003; // ETH_P_ALL, which libc types as an int
    const _: () = assert!(ALL as c_int == libc::ETH_P_ALL);
    let address = address(index, ALL);
    // SAFETY: the kernel reads at most as many bytes as the length says, which are those of an initialised
    // `sockaddr_ll` without padding that lives until the call returns; it writes nothing.
    let answer = unsafe {
        libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length_of::<libc::sockaddr_ll>())
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn address(index: u32, protocol: u16) -> libc::sockaddr_ll {
    const FAMILY: u16 = 17; // AF_PACKET, which libc types as an int
    const _: () = assert!(FAMILY as c_int == libc::AF_PACKET);
    libc::sockaddr_ll {
        sll_family: FAMILY,
        sll_protocol: protocol.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

/// Reads the socket's counters and sets them to zero.
///
/// # Errors
///
/// `ENOPROTOOPT`: `fd` is a socket of another family. `ENOTSOCK`: `fd` is not a socket.
#[doc(alias = "PACKET_STATISTICS")]
pub fn statistics(fd: BorrowedFd<'_>) -> io::Result<Statistics> {
    let mut statistics = Statistics::default();
    let mut length = length_of::<Statistics>();
    // SAFETY: the kernel writes at most `length` bytes, the size of `statistics`, for which any bytes are
    // valid, and then the number of written bytes to `length`. Both are exclusively borrowed until the call
    // returns.
    let answer = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            ptr::from_mut(&mut statistics).cast(),
            &raw mut length,
        )
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(statistics) }
}

const fn length_of<T>() -> libc::socklen_t {
    assert!(size_of::<T>() <= 128);
    #[allow(clippy::cast_possible_truncation, reason = "asserted on the line above")]
    let length = size_of::<T>() as libc::socklen_t;
    length
}
