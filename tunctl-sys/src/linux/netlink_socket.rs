//! Netlink sockets: how one is opened, and the option that has no safe wrapper. Manual page: `netlink(7)`.
#![allow(unsafe_code, reason = "setsockopt(2) has no safe wrapper for this option")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::elsewhere::Step;

/// The step that opens a netlink socket of the routing side.
#[doc(alias = "NETLINK_ROUTE")]
#[must_use]
pub const fn opening() -> Step {
    Step::Socket { family: libc::AF_NETLINK, kind: libc::SOCK_DGRAM, protocol: libc::NETLINK_ROUTE }
}

/// Has the kernel restrict a listing to what was asked for, instead of listing everything.
///
/// # Errors
///
/// `ENOPROTOOPT`: Linux is older than 4.20, or this is no netlink socket.
#[doc(alias = "NETLINK_GET_STRICT_CHK")]
pub fn set_strict_check(socket: BorrowedFd<'_>) -> io::Result<()> {
    #[allow(clippy::cast_possible_truncation, reason = "the size of an int fits into 32 bits")]
    const LENGTH: libc::socklen_t = size_of::<c_int>() as libc::socklen_t;
    let on: c_int = 1;
    // SAFETY: the kernel reads at most as many bytes as the length says, which are those of an initialised
    // `int` that lives until the call returns; it writes nothing.
    let answer = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_NETLINK,
            libc::NETLINK_GET_STRICT_CHK,
            (&raw const on).cast(),
            LENGTH,
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
