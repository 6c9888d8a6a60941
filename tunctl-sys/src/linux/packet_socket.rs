//! Packet sockets (`AF_PACKET`): what passes an interface, both ways, without taking it from anyone.
//!
//! Manual page: `packet(7)`. Receiving needs nothing from here: a packet socket is read like any other.
#![allow(unsafe_code, reason = "binding a packet socket and reading its counters have no safe wrapper")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// What a packet socket counted since its counters were last read.
#[doc(alias = "tpacket_stats")]
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Packets seen, the dropped ones included.
    pub packets: u32,
    /// Packets dropped because the socket's buffer was full.
    pub drops: u32,
}

const _: () = assert!(size_of::<Statistics>() == size_of::<libc::tpacket_stats>());

/// Opens a packet socket on the interface with this index in the caller's network namespace: close-on-exec,
/// non-blocking, all protocols, and what it returns begins with the link-layer header (on a TUN: with the IP header).
///
/// # Errors
///
/// `EPERM`: `CAP_NET_RAW` is missing. `ENODEV`: no interface has that index.
pub fn open(index: u32) -> io::Result<OwnedFd> {
    // With protocol 0 nothing is received until the bind: else packets of other interfaces would come first.
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: socket() takes integers only.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `fd` was just opened, and nothing else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    bind(&socket, index)?;
    Ok(socket)
}

fn bind(socket: &OwnedFd, index: u32) -> io::Result<()> {
    const ALL: u16 = 0x0003; // ETH_P_ALL, which libc types as an int
    const FAMILY: u16 = 17; // AF_PACKET, which libc types as an int
    const _: () = assert!(ALL as c_int == libc::ETH_P_ALL && FAMILY as c_int == libc::AF_PACKET);
    let address = libc::sockaddr_ll {
        sll_family: FAMILY,
        sll_protocol: ALL.to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the kernel reads at most the length given, which is that of the initialised, padding-free
    // `sockaddr_ll` that the pointer names and that lives until the call returns.
    let answer = unsafe {
        libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length_of::<libc::sockaddr_ll>())
    };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Reads the socket's counters, which sets them to zero.
///
/// # Errors
///
/// `ENOPROTOOPT`: `fd` is a socket of another family. `ENOTSOCK`: it is no socket.
#[doc(alias = "PACKET_STATISTICS")]
pub fn statistics(fd: BorrowedFd<'_>) -> io::Result<Statistics> {
    let mut statistics = Statistics::default();
    let mut length = length_of::<Statistics>();
    // SAFETY: the kernel writes at most `length` bytes, the size of `statistics`, for which any bytes are valid, and
    // then the written length over `length`; both are exclusively borrowed until the call returns.
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
