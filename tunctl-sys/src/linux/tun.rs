//! The requests of the TUN/TAP driver, one function each.
//!
//! Every function takes a descriptor of `/dev/net/tun`. Given another file's, the kernel answers `ENOTTY`.
#![allow(unsafe_code, reason = "the ioctl requests are declared here, each with the proof of its argument")]

use std::ffi::c_int;
use std::io;
use std::os::fd::BorrowedFd;

use super::{
    InterfaceRequest, NoMacFilter, TUNDETACHFILTER, TUNGETIFF, TUNGETVNETHDRSZ, TUNSETFILTEREBPF,
    TUNSETGROUP, TUNSETIFF, TUNSETOFFLOAD, TUNSETOWNER, TUNSETPERSIST, TUNSETQUEUE, TUNSETSNDBUF,
    TUNSETSTEERINGEBPF, TUNSETTXFILTER, TUNSETVNETBE, TUNSETVNETHDRSZ, TUNSETVNETLE, iff as flags,
};
use crate::ioctl::{ByValue, Exchange, Getter, Setter};

// SAFETY: `__tun_chr_ioctl` copies a `struct ifreq` in, and a `struct ifreq` out on success; `InterfaceRequest` has
// its size and no padding, and any bytes are a valid one.
const SET_IFF: Exchange<InterfaceRequest> = unsafe { Exchange::new(TUNSETIFF) };
// SAFETY: as `TUNSETIFF`: the opcode says `unsigned int`, the driver copies a whole `struct ifreq` in and out.
const GET_IFF: Getter<InterfaceRequest> = unsafe { Getter::new(TUNGETIFF) };
// SAFETY: as `TUNSETIFF`: the opcode says `int`, the driver copies a whole `struct ifreq` in, and writes nothing.
const SET_QUEUE: Setter<InterfaceRequest> = unsafe { Setter::new(TUNSETQUEUE) };
// SAFETY: the driver tests the argument against 0 and never dereferences it.
const SET_PERSIST: ByValue = unsafe { ByValue::new(TUNSETPERSIST) };
// SAFETY: the driver makes a kuid of the argument and never dereferences it.
const SET_OWNER: ByValue = unsafe { ByValue::new(TUNSETOWNER) };
// SAFETY: the driver makes a kgid of the argument and never dereferences it.
const SET_GROUP: ByValue = unsafe { ByValue::new(TUNSETGROUP) };
// SAFETY: the driver takes the argument as a mask of TUN_F_ bits and never dereferences it.
const SET_OFFLOAD: ByValue = unsafe { ByValue::new(TUNSETOFFLOAD) };
// SAFETY: the driver copies one `int` in, and writes nothing.
const SET_VNET_HEADER_SIZE: Setter<c_int> = unsafe { Setter::new(TUNSETVNETHDRSZ) };
// SAFETY: the driver copies one `int` in, and writes nothing.
const SET_SEND_BUFFER: Setter<c_int> = unsafe { Setter::new(TUNSETSNDBUF) };

// SAFETY: the driver copies one `int` out, and reads nothing.
const GET_VNET_HEADER_SIZE: Getter<c_int> = unsafe { Getter::new(TUNGETVNETHDRSZ) };
// SAFETY: `update_filter` copies in the four bytes of `struct tun_filter` that precede its addresses, then as many
// addresses of six bytes as they count, which is none in the only `NoMacFilter` that exists. It writes nothing.
const SET_TX_FILTER: Setter<NoMacFilter> = unsafe { Setter::new(TUNSETTXFILTER) };
// SAFETY: the driver does not look at the argument.
const DETACH_FILTER: ByValue = unsafe { ByValue::new(TUNDETACHFILTER) };
// SAFETY: the driver copies one `int` in, and writes nothing, though the opcode says that it does.
const SET_STEERING: Setter<c_int> = unsafe { Setter::new(TUNSETSTEERINGEBPF) };
// SAFETY: as for the steering program.
const SET_FILTER: Setter<c_int> = unsafe { Setter::new(TUNSETFILTEREBPF) };
// SAFETY: the driver copies one `int` in, and writes nothing.
const SET_VNET_LITTLE_ENDIAN: Setter<c_int> = unsafe { Setter::new(TUNSETVNETLE) };
// SAFETY: the driver copies one `int` in, and writes nothing.
const SET_VNET_BIG_ENDIAN: Setter<c_int> = unsafe { Setter::new(TUNSETVNETBE) };

/// Creates an interface, or attaches to one; `request` then holds the name that the kernel settled on.
///
/// # Errors
///
/// `EPERM`, `EBUSY`, `EINVAL`, `E2BIG`, `EEXIST` (this descriptor is attached already), `ENFILE`, `ENOMEM`.
#[doc(alias = "TUNSETIFF")]
pub fn set_iff(fd: BorrowedFd<'_>, request: &mut InterfaceRequest) -> io::Result<()> {
    SET_IFF.call(fd, request).map(drop)
}

/// The attached interface's name and flags. The name follows renames.
///
/// The flags tell `IFF_NO_PI` falsely: the kernel reports the same bit when no socket filter is attached.
///
/// # Errors
///
/// `EBADFD`: nothing is attached, or the interface was deleted.
#[doc(alias = "TUNGETIFF")]
pub fn iff(fd: BorrowedFd<'_>) -> io::Result<InterfaceRequest> {
    GET_IFF.call(fd)
}

/// Whether the interface outlives its last descriptor.
///
/// # Errors
///
/// `EBADFD`: nothing is attached, or the interface was deleted.
#[doc(alias = "TUNSETPERSIST")]
pub fn set_persist(fd: BorrowedFd<'_>, persistent: bool) -> io::Result<()> {
    SET_PERSIST.call(fd, c_int::from(persistent)).map(drop)
}

/// Puts the descriptor's queue into service, or takes it out, which loses the packets in it.
///
/// # Errors
///
/// `EINVAL`: it is so already, or the interface has a single queue. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETQUEUE")]
pub fn set_queue(fd: BorrowedFd<'_>, attached: bool) -> io::Result<()> {
    let flag = if attached { flags::ATTACH_QUEUE } else { flags::DETACH_QUEUE };
    let Some(request) = InterfaceRequest::new(b"", flag) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    SET_QUEUE.call(fd, &request).map(drop)
}

/// The user that may attach to the interface.
///
/// # Errors
///
/// `EINVAL`: the uid has no mapping in the caller's user namespace, or is -1. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETOWNER")]
pub fn set_owner(fd: BorrowedFd<'_>, uid: u32) -> io::Result<()> {
    SET_OWNER.call(fd, uid.cast_signed()).map(drop)
}

/// The group whose members may attach to the interface.
///
/// # Errors
///
/// `EINVAL`: the gid has no mapping in the caller's user namespace, or is -1. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETGROUP")]
pub fn set_group(fd: BorrowedFd<'_>, gid: u32) -> io::Result<()> {
    SET_GROUP.call(fd, gid.cast_signed()).map(drop)
}

/// The offloads (`TUN_F_…` bits) that the reader of this interface accepts; 0 for none.
///
/// # Errors
///
/// `EINVAL`: an unknown bit, or bits that do not go together. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETOFFLOAD")]
pub fn set_offload(fd: BorrowedFd<'_>, offloads: u32) -> io::Result<()> {
    SET_OFFLOAD.call(fd, offloads.cast_signed()).map(drop)
}

/// The size of the virtio-net header in front of each packet, in bytes.
///
/// # Errors
///
/// `EINVAL`: below 10. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETVNETHDRSZ")]
pub fn set_vnet_header_size(fd: BorrowedFd<'_>, bytes: c_int) -> io::Result<()> {
    SET_VNET_HEADER_SIZE.call(fd, &bytes).map(drop)
}

/// The bytes that written packets may occupy in the kernel before a writer must wait.
///
/// # Errors
///
/// `EINVAL`: 0 or less. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETSNDBUF")]
pub fn set_send_buffer(fd: BorrowedFd<'_>, bytes: c_int) -> io::Result<()> {
    SET_SEND_BUFFER.call(fd, &bytes).map(drop)
}

/// The size of the virtio-net header in front of each packet, in bytes.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNGETVNETHDRSZ")]
pub fn vnet_header_size(fd: BorrowedFd<'_>) -> io::Result<c_int> {
    GET_VNET_HEADER_SIZE.call(fd)
}

/// Has the numbers in the virtio-net header in the host's order, as they are at first.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETVNETLE")]
#[doc(alias = "TUNSETVNETBE")]
pub fn set_vnet_header_native(fd: BorrowedFd<'_>) -> io::Result<()> {
    SET_VNET_LITTLE_ENDIAN.call(fd, &0)?;
    match SET_VNET_BIG_ENDIAN.call(fd, &0) {
        // A kernel without support for foreign byte orders has nothing to undo.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// Takes the filters off a tap by which it drops frames: that of MAC addresses, and the classic BPF program.
///
/// # Errors
///
/// `EINVAL`: a tun has none. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETTXFILTER")]
#[doc(alias = "TUNDETACHFILTER")]
pub fn set_tap_filters_off(fd: BorrowedFd<'_>) -> io::Result<()> {
    SET_TX_FILTER.call(fd, &NoMacFilter::ARGUMENT)?;
    DETACH_FILTER.call(fd, 0).map(drop)
}

/// Takes off the eBPF programs that choose a packet's queue, and that cut or drop packets.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`]. `EINVAL`: the kernel is older than these programs.
#[doc(alias = "TUNSETSTEERINGEBPF")]
#[doc(alias = "TUNSETFILTEREBPF")]
pub fn set_programs_off(fd: BorrowedFd<'_>) -> io::Result<()> {
    SET_STEERING.call(fd, &-1)?;
    SET_FILTER.call(fd, &-1).map(drop)
}
