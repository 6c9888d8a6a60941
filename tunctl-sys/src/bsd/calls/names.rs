//! Names that FreeBSD tells without a look into `/dev`, where a look for a name that is missing makes an
//! interface (`devfs_lookupx`, `tunclone`).

use std::ffi::{CStr, c_char, c_int};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::bsd::Name;
use crate::bsd::freebsd::{CTL_NET, IFDATA_DRIVERNAME, IFMIB_IFDATA, NETLINK_GENERIC, PF_LINK};

/// Room for the name of a driver and a number: what has a longer one is no tun and no tap.
const ROOM: usize = 64;

unsafe extern "C" {
    /// `<stdlib.h>`. The crate libc has no declaration of it.
    fn fdevname_r(fd: c_int, buffer: *mut c_char, length: c_int) -> *mut c_char;
}

/// The name with which an interface was created: its driver's, and its unit. A rename does not change it.
///
/// # Errors
///
/// `ENOENT`: no interface has the index. `ENOMEM`: its driver's name is very long.
#[doc(alias = "IFDATA_DRIVERNAME")]
#[doc(alias = "sysctl")]
pub fn original_name(index: u32) -> io::Result<Name> {
    let index = c_int::try_from(index).map_err(io::Error::other)?;
    let name: [c_int; 6] = [CTL_NET, PF_LINK, NETLINK_GENERIC, IFMIB_IFDATA, index, IFDATA_DRIVERNAME];
    let mut text = [0_u8; ROOM];
    let mut length = ROOM;
    // SAFETY: the call reads 6 numbers at `name`, which has them. It writes no more bytes to `text` than
    // `length` says, which is its size, and how many these are to `length`. Both are initialised and belong
    // to this function. As the fifth argument is null, nothing is set.
    let answer =
        unsafe { libc::sysctl(name.as_ptr(), 6, text.as_mut_ptr().cast(), &raw mut length, ptr::null(), 0) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { named(&text) }
}

/// The name of an open device node in `/dev`: of the one that was opened, or that the cloning node has made.
///
/// # Errors
///
/// `EINVAL`, `ENOTTY`: it is no device node.
#[doc(alias = "fdevname")]
pub fn node_name(fd: BorrowedFd<'_>) -> io::Result<Name> {
    let mut text = [0_u8; ROOM];
    let room = c_int::try_from(text.len()).map_err(io::Error::other)?;
    // SAFETY: `fd` is open for the length of the borrow. The call writes no more bytes to `text` than the
    // last argument says, which is its size; it is initialised and belongs to this function.
    let answer = unsafe { fdevname_r(fd.as_raw_fd(), text.as_mut_ptr().cast(), room) };
    if answer.is_null() { Err(io::Error::last_os_error()) } else { named(&text) }
}

/// The name in a text that ends with a NUL.
fn named(text: &[u8; ROOM]) -> io::Result<Name> {
    let text = CStr::from_bytes_until_nul(text).ok();
    text.and_then(|text| Name::new(text.to_bytes())).ok_or_else(|| io::ErrorKind::InvalidData.into())
}
