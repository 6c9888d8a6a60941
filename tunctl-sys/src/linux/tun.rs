//! The requests of the TUN/TAP driver, one function each.
//!
//! Every function takes a descriptor of `/dev/net/tun`. For any other file it fails with `ENOTTY` and makes
//! no request: [`TunDriver`] recognises its node by the device number, at the price of one `fstat(2)`, which
//! a [`TunFile`] pays once.
//!
//! That check is what makes the functions safe, because these numbers mean something to other files, too:
//!
//! | file | driver | which of these requests it answers | why the proofs hold |
//! |---|---|---|---|
//! | `/dev/net/tun` | `drivers/net/tun.c` | all | each declaration says what this driver does |
//! | `/dev/tapN` of a macvtap, an ipvtap | `drivers/net/tap.c` | nine | never asked: not 10:200 |
//! | a file of a FUSE file system | `fs/fuse` | all, as their numbers say | never asked: not 10:200 |
//! | a tty, a sound timer | several | none | never asked: not 10:200 |
//! | any other | CUSE, a driver outside the kernel's tree | unknown | never asked: not 10:200 |
//!
//! - `tap_ioctl` answers `TUNSETIFF`, `TUNGETIFF`, `TUNSETQUEUE`, `TUNSETOFFLOAD`, `TUNSETSNDBUF`,
//!   `TUNGETVNETHDRSZ`, `TUNSETVNETHDRSZ`, `TUNSETVNETLE` and `TUNSETVNETBE`, with
//!   the same arguments.
//! - `fuse_do_ioctl` passes every number on. It copies as many bytes as the number says, in the direction
//!   that the number says. An integer in place of a pointer becomes an address there, and
//!   `TUNSETSTEERINGEBPF`, for which the TUN driver reads an `int`, writes one.
//! - Ttys and sound timers use type 'T', too, with other numbers: these carry no direction and no size
//!   (`TCGETS` is 0x5401), or have an ordinal below 0xc0, where the TUN driver's begin.
//! - The requests that the kernel itself answers for every file (`do_vfs_ioctl`) have other numbers as well.
#![allow(unsafe_code, reason = "the ioctl requests are declared here, each with the proof of its argument")]

mod filter;
mod header;

use std::ffi::{c_int, c_uint};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{
    InterfaceRequest, NODE_MAJOR, NODE_MINOR, SIOCGSKNS, SIOCSIFHWADDR, TUNGETDEVNETNS, TUNGETFEATURES,
    TUNGETIFF, TUNGETSNDBUF, TUNSETCARRIER, TUNSETGROUP, TUNSETIFF, TUNSETIFINDEX, TUNSETLINK, TUNSETOWNER,
    TUNSETPERSIST, TUNSETQUEUE, TUNSETSNDBUF, iff as flags,
};
use crate::ioctl::{self, Driver, DriverFd, DriverFile};

pub use filter::{
    attach_filter, detach_filter, set_filter_program, set_filter_program_off, set_mac_filter,
    set_mac_filter_off, set_programs_off, set_steering_program, set_steering_program_off,
    set_tap_filters_off,
};
pub use header::{
    VnetOrder, set_offload, set_vnet_big_endian, set_vnet_header_native, set_vnet_header_size,
    set_vnet_little_endian, vnet_header_size, vnet_order,
};

/// An open file of `/dev/net/tun`.
pub type TunFile = DriverFile<TunDriver>;

/// The TUN/TAP driver, `drivers/net/tun.c`.
#[derive(Debug)]
pub enum TunDriver {}

// SAFETY: the kernel takes a character device's driver from its device number, when the node is opened
// (`chrdev_open`, `misc_open`). 10:200 is assigned to the TUN driver and is not among the numbers that
// `misc_register` hands out at run time. The kind and the number that fstat(2) reports are the open inode's
// own.
unsafe impl Driver for TunDriver {
    fn answers(fd: BorrowedFd<'_>) -> io::Result<bool> {
        const NODE: libc::dev_t = libc::makedev(NODE_MAJOR, NODE_MINOR);
        // In glibc on 32-bit machines, fstat() fails for a file whose size or inode number has more bits.
        let mut status = MaybeUninit::<libc::stat64>::uninit();
        // SAFETY: `fd` is open for the length of the borrow. The call writes one `stat64`, for which there is
        // room.
        if unsafe { libc::fstat64(fd.as_raw_fd(), status.as_mut_ptr()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so it has filled in the whole `stat64`.
        let status = unsafe { status.assume_init() };
        #[allow(
            clippy::unnecessary_cast,
            clippy::cast_possible_truncation,
            reason = "it has 64 bits and `dev_t` 32 on 32-bit Android, and a device number 32"
        )]
        let device = status.st_rdev as libc::dev_t;
        Ok(status.st_mode & libc::S_IFMT == libc::S_IFCHR && device == NODE)
    }
}

type ByValue = ioctl::ByValue<TunDriver>;
type Setter<T> = ioctl::Setter<TunDriver, T>;
type Getter<T> = ioctl::Getter<TunDriver, T>;
type Exchange<T> = ioctl::Exchange<TunDriver, T>;

// SAFETY: `__tun_chr_ioctl` copies a `struct ifreq` in, and a `struct ifreq` out on success, each as long as
// the caller's word size makes it. `InterfaceRequest` has that size and no padding, and any bytes are a valid
// one.
const SET_IFF: Exchange<InterfaceRequest> = unsafe { Exchange::new(TUNSETIFF) };
// SAFETY: the opcode says `unsigned int`, but `__tun_chr_ioctl` copies a whole `struct ifreq` out.
// `InterfaceRequest` has its size and no padding, and any bytes are a valid one. The driver reads nothing.
const GET_IFF: Getter<InterfaceRequest> = unsafe { Getter::new(TUNGETIFF) };
// SAFETY: the opcode says `int`, but `__tun_chr_ioctl` copies a whole `struct ifreq` in. `InterfaceRequest`
// has its size and no padding. The driver writes nothing.
const SET_QUEUE: Setter<InterfaceRequest> = unsafe { Setter::new(TUNSETQUEUE) };
// SAFETY: `__tun_chr_ioctl` tests the argument against 0 and never dereferences it.
const SET_PERSIST: ByValue = unsafe { ByValue::new(TUNSETPERSIST) };
// SAFETY: `__tun_chr_ioctl` makes a kuid of the argument and never dereferences it.
const SET_OWNER: ByValue = unsafe { ByValue::new(TUNSETOWNER) };
// SAFETY: `__tun_chr_ioctl` makes a kgid of the argument and never dereferences it.
const SET_GROUP: ByValue = unsafe { ByValue::new(TUNSETGROUP) };
// SAFETY: `__tun_chr_ioctl` copies one `unsigned int` in and writes nothing.
const SET_INDEX: Setter<c_uint> = unsafe { Setter::new(TUNSETIFINDEX) };
// SAFETY: `__tun_chr_ioctl` copies a whole `struct ifreq` in, as for each request of the sockets' group but
// one, and writes nothing. `InterfaceRequest` has its size and no padding.
const SET_MAC: Setter<InterfaceRequest> = unsafe { Setter::new(SIOCSIFHWADDR) };
// SAFETY: `__tun_chr_ioctl` copies one `int` in and writes nothing.
const SET_SEND_BUFFER: Setter<c_int> = unsafe { Setter::new(TUNSETSNDBUF) };
// SAFETY: `__tun_chr_ioctl` copies one `int` out and reads nothing; any bytes are a valid `int`.
const GET_SEND_BUFFER: Getter<c_int> = unsafe { Getter::new(TUNGETSNDBUF) };
// SAFETY: `__tun_chr_ioctl` takes the argument as the number of a link type and never dereferences it.
const SET_LINK_TYPE: ByValue = unsafe { ByValue::new(TUNSETLINK) };
// SAFETY: `__tun_chr_ioctl` copies one `int` in and writes nothing.
const SET_CARRIER: Setter<c_int> = unsafe { Setter::new(TUNSETCARRIER) };
// SAFETY: `__tun_chr_ioctl` ignores the argument.
const GET_DEVICE_NAMESPACE: ByValue = unsafe { ByValue::new(TUNGETDEVNETNS) };
// SAFETY: `__tun_chr_ioctl` ignores the argument of this one request of the sockets' group, which has no
// `struct ifreq`.
const GET_OPENERS_NAMESPACE: ByValue = unsafe { ByValue::new(SIOCGSKNS) };
// SAFETY: `__tun_chr_ioctl` writes one `unsigned int` and reads nothing; any bytes are a valid one.
const GET_FEATURES: Getter<c_uint> = unsafe { Getter::new(TUNGETFEATURES) };

/// Creates an interface, or attaches to one; `request` then holds the name that the kernel chose.
///
/// # Errors
///
/// `EPERM`, `EBUSY`, `EINVAL`, `E2BIG`, `ENFILE`, `ENOMEM`. `EEXIST`: this descriptor is already attached.
#[doc(alias = "TUNSETIFF")]
pub fn set_iff(fd: impl DriverFd<TunDriver>, request: &mut InterfaceRequest) -> io::Result<()> {
    SET_IFF.call(fd, request).map(drop)
}

/// Returns the attached interface's name and flags. The name follows renames.
///
/// `IFF_NO_PI` in the flags is unreliable: `tun_get_iff` reports the same bit as `IFF_NOFILTER` if no socket
/// filter is attached.
///
/// # Errors
///
/// `EBADFD`: nothing is attached, or the interface was deleted.
#[doc(alias = "TUNGETIFF")]
pub fn iff(fd: impl DriverFd<TunDriver>) -> io::Result<InterfaceRequest> {
    GET_IFF.call(fd)
}

/// Sets whether the interface outlives its last descriptor.
///
/// # Errors
///
/// `EBADFD`: nothing is attached, or the interface was deleted.
#[doc(alias = "TUNSETPERSIST")]
pub fn set_persist(fd: impl DriverFd<TunDriver>, persistent: bool) -> io::Result<()> {
    SET_PERSIST.call(fd, c_int::from(persistent)).map(drop)
}

/// Puts the descriptor's queue into service, or takes it out of service, which drops the packets in it.
///
/// # Errors
///
/// `EINVAL`: the queue is already in that state, or the interface is not made for several queues. `EBADFD`:
/// as [`set_persist`].
#[doc(alias = "TUNSETQUEUE")]
pub fn set_queue(fd: impl DriverFd<TunDriver>, attached: bool) -> io::Result<()> {
    let flag = if attached { flags::ATTACH_QUEUE } else { flags::DETACH_QUEUE };
    let Some(request) = InterfaceRequest::new(b"", flag) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    SET_QUEUE.call(fd, &request).map(drop)
}

/// Sets the user that may attach to the interface.
///
/// # Errors
///
/// `EINVAL`: the uid has no mapping in the caller's user namespace, or is -1. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETOWNER")]
pub fn set_owner(fd: impl DriverFd<TunDriver>, uid: u32) -> io::Result<()> {
    SET_OWNER.call(fd, uid as c_int).map(drop)
}

/// Sets the group whose members may attach to the interface.
///
/// # Errors
///
/// `EINVAL`: the gid has no mapping in the caller's user namespace, or is -1. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETGROUP")]
pub fn set_group(fd: impl DriverFd<TunDriver>, gid: u32) -> io::Result<()> {
    SET_GROUP.call(fd, gid as c_int).map(drop)
}

/// Chooses the index of the interface that [`set_iff`] then creates, which fails with `EBUSY` if another has
/// it.
///
/// # Errors
///
/// `EPERM`: the descriptor is attached. `EINVAL`: no index can have the number.
#[doc(alias = "TUNSETIFINDEX")]
pub fn set_index(fd: impl DriverFd<TunDriver>, index: u32) -> io::Result<()> {
    SET_INDEX.call(fd, &index).map(drop)
}

/// Sets the MAC address of a tap. It takes no capability, which the same request to a socket would.
///
/// # Errors
///
/// `EOPNOTSUPP` or `EINVAL`: the interface is a tun. `EADDRNOTAVAIL`: no interface can have the address.
/// `EBADFD`: as [`set_persist`].
#[doc(alias = "SIOCSIFHWADDR")]
pub fn set_mac(fd: impl DriverFd<TunDriver>, mac: [u8; 6]) -> io::Result<()> {
    SET_MAC.call(fd, &InterfaceRequest::with_mac(mac)).map(drop)
}

/// Sets how many bytes written packets may occupy in the kernel before a writer must wait.
///
/// # Errors
///
/// `EINVAL`: 0 or less. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETSNDBUF")]
pub fn set_send_buffer(fd: impl DriverFd<TunDriver>, bytes: c_int) -> io::Result<()> {
    SET_SEND_BUFFER.call(fd, &bytes).map(drop)
}

/// Returns how many bytes written packets may occupy in the kernel before a writer must wait.
///
/// # Errors
///
/// `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNGETSNDBUF")]
pub fn send_buffer(fd: impl DriverFd<TunDriver>) -> io::Result<c_int> {
    GET_SEND_BUFFER.call(fd)
}

/// Sets the interface's link type, by its number (`ARPHRD_*`).
///
/// # Errors
///
/// `EBUSY`: the interface is up. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETLINK")]
pub fn set_link_type(fd: impl DriverFd<TunDriver>, number: u16) -> io::Result<()> {
    SET_LINK_TYPE.call(fd, c_int::from(number)).map(drop)
}

/// Switches the interface's carrier on or off. It takes no capability, which the same by netlink would.
///
/// # Errors
///
/// `EPERM`: it is to go on, and no queue is in service. `EINVAL`: the kernel is older than the request (Linux
/// 4.20). `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNSETCARRIER")]
pub fn set_carrier(fd: impl DriverFd<TunDriver>, on: bool) -> io::Result<()> {
    SET_CARRIER.call(fd, &c_int::from(on)).map(drop)
}

/// Returns the network namespace of the attached interface, which is another one than
/// [`openers_namespace`]'s after the interface has moved.
///
/// # Errors
///
/// `EPERM`: the caller has no `CAP_NET_ADMIN` in the user namespace that owns it. `EINVAL`: the kernel is
/// older than the request. `EMFILE`, `ENFILE`. `EBADFD`: as [`set_persist`].
#[doc(alias = "TUNGETDEVNETNS")]
pub fn device_namespace(fd: impl DriverFd<TunDriver>) -> io::Result<OwnedFd> {
    let namespace = GET_DEVICE_NAMESPACE.call(fd, 0)?;
    // SAFETY: the request returns a new descriptor (`open_related_ns`), which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(namespace) })
}

/// Returns the network namespace in which the node was opened, which is where [`set_iff`] finds or creates
/// the interface. It also answers for a descriptor that is attached to nothing.
///
/// # Errors
///
/// `EPERM`: the caller has no `CAP_NET_ADMIN` in the user namespace that owns it. `EMFILE`, `ENFILE`.
#[doc(alias = "SIOCGSKNS")]
pub fn openers_namespace(fd: impl DriverFd<TunDriver>) -> io::Result<OwnedFd> {
    let namespace = GET_OPENERS_NAMESPACE.call(fd, 0)?;
    // SAFETY: the request returns a new descriptor (`open_related_ns`), which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(namespace) })
}

/// Returns the flags of [`set_iff`] that the kernel knows, whether the descriptor is attached or not.
///
/// # Errors
///
/// None of the driver's.
#[doc(alias = "TUNGETFEATURES")]
pub fn features(fd: impl DriverFd<TunDriver>) -> io::Result<c_uint> {
    GET_FEATURES.call(fd)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn only_the_drivers_own_node_is_asked() {
        let (socket, _peer) = UnixStream::pair().unwrap();
        let device = File::open("/dev/null").unwrap();
        let file = File::open("/proc/self/exe").unwrap();
        // Its size does not fit the `stat` of a 32-bit machine.
        let path = std::env::temp_dir().join(format!("tunctl-sys-{}", std::process::id()));
        let large = File::create_new(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        large.set_len(3 << 30).unwrap();
        for fd in [socket.as_fd(), device.as_fd(), file.as_fd(), large.as_fd()] {
            assert!(!TunDriver::answers(fd).unwrap());
            assert_eq!(set_persist(fd, false).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
        }
        // The kernel tests report it if the node cannot be opened.
        if let Ok(node) = File::open("/dev/net/tun") {
            assert!(TunDriver::answers(node.as_fd()).unwrap());
            assert_eq!(set_persist(node.as_fd(), false).unwrap_err().raw_os_error(), Some(libc::EBADFD));
        }
    }

    #[test]
    fn an_unattached_node_reports_where_it_was_opened() {
        let Ok(node) = File::open("/dev/net/tun") else { return };
        assert_eq!(device_namespace(node.as_fd()).unwrap_err().raw_os_error(), Some(libc::EBADFD));
        match openers_namespace(node.as_fd()) {
            Ok(namespace) => {
                let here = std::fs::metadata("/proc/thread-self/ns/net").unwrap();
                let there = File::from(namespace).metadata().unwrap();
                assert_eq!((there.dev(), there.ino()), (here.dev(), here.ino()));
            }
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EPERM)),
        }
    }
}
