//! The requests about the virtio-net header, and about what a packet behind it may leave to its reader.
#![allow(unsafe_code, reason = "the ioctl requests are declared here, each with the proof of its argument")]

use std::ffi::c_int;
use std::io;

use super::{ByValue, Getter, Setter, TunDriver};
use crate::ioctl::DriverFd;
use crate::linux::{
    TUNGETVNETBE, TUNGETVNETHDRSZ, TUNGETVNETLE, TUNSETOFFLOAD, TUNSETVNETBE, TUNSETVNETHDRSZ, TUNSETVNETLE,
};

// SAFETY: `set_offload` takes the argument as a mask of TUN_F_ bits and never dereferences it.
const SET_OFFLOAD: ByValue = unsafe { ByValue::new(TUNSETOFFLOAD) };
// SAFETY: `__tun_chr_ioctl` copies one `int` in and writes nothing.
const SET_VNET_HEADER_SIZE: Setter<c_int> = unsafe { Setter::new(TUNSETVNETHDRSZ) };
// SAFETY: `__tun_chr_ioctl` copies one `int` out and reads nothing; any bytes are a valid `int`.
const GET_VNET_HEADER_SIZE: Getter<c_int> = unsafe { Getter::new(TUNGETVNETHDRSZ) };
// SAFETY: `__tun_chr_ioctl` copies one `int` in and writes nothing.
const SET_VNET_LITTLE_ENDIAN: Setter<c_int> = unsafe { Setter::new(TUNSETVNETLE) };
// SAFETY: `tun_set_vnet_be` copies one `int` in, or ignores the argument, and writes nothing.
const SET_VNET_BIG_ENDIAN: Setter<c_int> = unsafe { Setter::new(TUNSETVNETBE) };
// SAFETY: `__tun_chr_ioctl` copies one `int` out and reads nothing; any bytes are a valid `int`.
const GET_VNET_LITTLE_ENDIAN: Getter<c_int> = unsafe { Getter::new(TUNGETVNETLE) };
// SAFETY: `tun_get_vnet_be` copies one `int` out, or ignores the argument, and reads nothing; any bytes are a
// valid `int`.
const GET_VNET_BIG_ENDIAN: Getter<c_int> = unsafe { Getter::new(TUNGETVNETBE) };

/// Sets the offloads (`TUN_F_…` bits) that the reader of this interface accepts; 0 for none.
///
/// # Errors
///
/// `EINVAL`: an unknown bit, or bits that do not go together. `EBADFD`: as
/// [`set_persist`](super::set_persist).
#[doc(alias = "TUNSETOFFLOAD")]
pub fn set_offload(fd: impl DriverFd<TunDriver>, offloads: u32) -> io::Result<()> {
    SET_OFFLOAD.call(fd, offloads as c_int).map(drop)
}

/// Sets the size of the virtio-net header in front of each packet, in bytes.
///
/// # Errors
///
/// `EINVAL`: below 10. `EBADFD`: as
/// [`set_persist`](super::set_persist).
#[doc(alias = "TUNSETVNETHDRSZ")]
pub fn set_vnet_header_size(fd: impl DriverFd<TunDriver>, bytes: c_int) -> io::Result<()> {
    SET_VNET_HEADER_SIZE.call(fd, &bytes).map(drop)
}

/// Returns the size of the virtio-net header in front of each packet, in bytes.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`](super::set_persist).
#[doc(alias = "TUNGETVNETHDRSZ")]
pub fn vnet_header_size(fd: impl DriverFd<TunDriver>) -> io::Result<c_int> {
    GET_VNET_HEADER_SIZE.call(fd)
}

/// Sets the byte order of the virtio-net header to the host's, which is also its initial state.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`](super::set_persist).
#[doc(alias = "TUNSETVNETLE")]
#[doc(alias = "TUNSETVNETBE")]
pub fn set_vnet_header_native(fd: impl DriverFd<TunDriver>) -> io::Result<()> {
    set_vnet_little_endian(fd, false)?;
    match set_vnet_big_endian(fd, false) {
        // `tun_set_vnet_be` answers so in a kernel without support for foreign byte orders, which has nothing
        // to undo.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        outcome => outcome,
    }
}

/// The byte order of the virtio-net header in front of each packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VnetOrder {
    /// The host's.
    Native,
    /// The least significant byte first, whatever the host's is.
    Little,
    /// The most significant byte first, whatever the host's is.
    Big,
}

/// Returns the byte order of the virtio-net header.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`](super::set_persist).
#[doc(alias = "TUNGETVNETLE")]
#[doc(alias = "TUNGETVNETBE")]
pub fn vnet_order(fd: impl DriverFd<TunDriver>) -> io::Result<VnetOrder> {
    // `tun_is_little_endian` asks for little endian first.
    if GET_VNET_LITTLE_ENDIAN.call(fd)? != 0 {
        return Ok(VnetOrder::Little);
    }
    match GET_VNET_BIG_ENDIAN.call(fd) {
        // `tun_get_vnet_be` answers so in a kernel without support for foreign byte orders.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(VnetOrder::Native),
        outcome => Ok(if outcome? == 0 { VnetOrder::Native } else { VnetOrder::Big }),
    }
}

/// Sets whether the virtio-net header is little endian, whatever the host is.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`](super::set_persist).
#[doc(alias = "TUNSETVNETLE")]
pub fn set_vnet_little_endian(fd: impl DriverFd<TunDriver>, on: bool) -> io::Result<()> {
    SET_VNET_LITTLE_ENDIAN.call(fd, &c_int::from(on)).map(drop)
}

/// Sets whether the virtio-net header is big endian, whatever the host is; little endian takes precedence.
///
/// # Errors
///
/// `EINVAL`: the kernel has no support for foreign byte orders. `EBADFD`: as
/// [`set_persist`](super::set_persist).
#[doc(alias = "TUNSETVNETBE")]
pub fn set_vnet_big_endian(fd: impl DriverFd<TunDriver>, on: bool) -> io::Result<()> {
    SET_VNET_BIG_ENDIAN.call(fd, &c_int::from(on)).map(drop)
}
