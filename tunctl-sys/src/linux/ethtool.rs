//! `SIOCETHTOOL`: which offloads of an interface are in force. Manual page: `ethtool(8)`.
//!
//! The driver has a request that sets offloads and none that reads them. The kernel reports them as features
//! of the interface, by a number that depends on the kernel, and lists the names of all features.
#![allow(unsafe_code, reason = "the request takes the address of another buffer, whose layout it determines")]

use std::ffi::{c_int, c_void};
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use super::NAME_SIZE;
use crate::ioctl::{Driver, Exchange, Opcode};

/// A request about an interface, which `dev_ioctl` hands to `dev_ethtool`.
pub const SIOCETHTOOL: Opcode = 0x8946;
/// Asks how many texts a set has.
pub const ETHTOOL_GSSET_INFO: u32 = 0x37;
/// Asks for the texts of a set.
pub const ETHTOOL_GSTRINGS: u32 = 0x1b;
/// Asks for the features, as masks.
pub const ETHTOOL_GFEATURES: u32 = 0x3a;
/// The set of the features' names.
pub const ETH_SS_FEATURES: u32 = 4;
/// The bytes of a text, its NUL included.
pub const ETH_GSTRING_LEN: usize = 32;

/// More features than a kernel has: `netdev_features_t` has 64 bits in Linux 7.3.
const MOST: usize = 32 * BLOCKS as usize;
/// The room for features, in blocks of 32.
const BLOCKS: u8 = 32;

/// `struct ethtool_sset_info` with room for one set.
#[repr(C)]
struct SetSize {
    command: u32,
    reserved: u32,
    mask: u64,
    count: u32,
    padding: u32,
}

/// `struct ethtool_gstrings`.
#[repr(C)]
struct Texts {
    command: u32,
    set: u32,
    count: u32,
    texts: [[u8; ETH_GSTRING_LEN]; MOST],
}

/// `struct ethtool_gfeatures`.
#[repr(C)]
struct Masks {
    command: u32,
    count: u32,
    blocks: [Block; BLOCKS as usize],
}

/// `struct ethtool_get_features_block`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Block {
    available: u32,
    requested: u32,
    active: u32,
    never_changed: u32,
}

/// `struct ifreq` with the address of an argument of type `T`, which lives for `'a` and which `dev_ethtool`
/// may read and write.
#[repr(C)]
struct Request<'a, T> {
    name: [u8; NAME_SIZE],
    argument: *mut c_void,
    // The union's widest member is `struct ifmap`: two longs, then 8 bytes.
    rest: [usize; 1 + 8 / size_of::<usize>()],
    borrow: PhantomData<&'a mut T>,
}

const _: () = {
    assert!(size_of::<Request<'_, u8>>() == size_of::<super::InterfaceRequest>());
    assert!(size_of::<SetSize>() == 24 && core::mem::offset_of!(SetSize, count) == 16);
    assert!(core::mem::offset_of!(Texts, texts) == 12 && core::mem::offset_of!(Masks, blocks) == 8);
};

/// Sockets of netlink, which has no requests of its own (`netlink_ioctl`, Linux 6.18).
enum NetlinkSockets {}

// SAFETY: the domain that the kernel reports of an open socket is that of its family, whose `ioctl` answers
// first. Netlink's answers `ENOIOCTLCMD` to each request, which `sock_do_ioctl` then hands to `dev_ioctl`.
unsafe impl Driver for NetlinkSockets {
    fn answers(fd: BorrowedFd<'_>) -> io::Result<bool> {
        let mut domain: c_int = 0;
        #[allow(clippy::cast_possible_truncation, reason = "the size of an int fits into 32 bits")]
        let mut length = size_of::<c_int>() as libc::socklen_t;
        // SAFETY: the call writes at most `length` bytes, which are those of `domain`, and its length.
        let answer = unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_DOMAIN,
                (&raw mut domain).cast(),
                &raw mut length,
            )
        };
        match (answer, io::Error::last_os_error().raw_os_error()) {
            (0, _) => Ok(domain == libc::AF_NETLINK),
            (_, Some(libc::ENOTSOCK)) => Ok(false),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// The features of an interface that are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveFeatures(Vec<[u8; ETH_GSTRING_LEN]>);

impl ActiveFeatures {
    /// Asks for those of the interface of this name, in the namespace of a netlink socket. It takes no right.
    ///
    /// # Errors
    ///
    /// `ENODEV`: there is no such interface. `ENOTTY`: the descriptor is no netlink socket.
    #[doc(alias = "ETHTOOL_GFEATURES")]
    pub fn of(socket: BorrowedFd<'_>, name: &[u8]) -> io::Result<Self> {
        let mut size = SetSize {
            command: ETHTOOL_GSSET_INFO,
            reserved: 0,
            mask: 1 << ETH_SS_FEATURES,
            count: 0,
            padding: 0,
        };
        // SAFETY: `ethtool_get_sset_info` reads the first 16 bytes and writes as many, and an `u32` behind
        // them for each bit of the mask, of which there is one.
        unsafe { ask(socket, name, &mut size) }?;
        let count = usize::try_from(size.count).unwrap_or(usize::MAX);
        if count > MOST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the kernel has more features than expected",
            ));
        }
        let mut texts = Box::new(Texts {
            command: ETHTOOL_GSTRINGS,
            set: ETH_SS_FEATURES,
            count: size.count,
            texts: [[0; ETH_GSTRING_LEN]; MOST],
        });
        // SAFETY: `ethtool_get_strings` writes the 12 bytes that it reads, and behind them as many texts as
        // the set has, each of 32 bytes. That is `NETDEV_FEATURE_COUNT`, a constant of the kernel, which was
        // just reported, and there is room for it.
        unsafe { ask(socket, name, &mut *texts) }?;
        let block = Block { available: 0, requested: 0, active: 0, never_changed: 0 };
        let mut masks =
            Masks { command: ETHTOOL_GFEATURES, count: BLOCKS.into(), blocks: [block; BLOCKS as usize] };
        // SAFETY: `ethtool_get_features` reads how many blocks there is room for, and writes that number at
        // most, behind the 8 bytes that it reads and writes.
        unsafe { ask(socket, name, &mut masks) }?;
        let is_active = |number: usize| masks.blocks[number / 32].active & (1 << (number % 32)) != 0;
        let names = texts.texts.iter().take(count).enumerate();
        Ok(Self(names.filter(|(number, _)| is_active(*number)).map(|(_, name)| *name).collect()))
    }

    /// Whether the feature of this name is in force. One that the kernel does not have is not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|text| text.split(|&byte| byte == 0).next() == Some(name.as_bytes()))
    }
}

/// # Safety
///
/// `dev_ethtool` must answer the command in `argument` within the bytes of a `T`, read none of its padding,
/// and leave a valid `T`.
unsafe fn ask<T>(socket: BorrowedFd<'_>, name: &[u8], argument: &mut T) -> io::Result<()> {
    let mut request = Request {
        name: [0; NAME_SIZE],
        argument: ptr::from_mut(argument).cast(),
        rest: [0; 1 + 8 / size_of::<usize>()],
        borrow: PhantomData,
    };
    match request.name.get_mut(..name.len()).filter(|_| name.len() < NAME_SIZE) {
        Some(place) => place.copy_from_slice(name),
        None => return Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
    // SAFETY: `dev_ioctl` copies a `struct ifreq` in, and one out at most, and follows the address in it,
    // which is that of a `T` borrowed exclusively until the call returns; the caller vouches for what it does
    // there. Nobody else gets the constant, so nobody calls it with another address.
    let request_of = unsafe { Exchange::<NetlinkSockets, Request<'_, T>>::new(SIOCETHTOOL) };
    request_of.call(socket, &mut request).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::linux::netlink_socket;

    #[test]
    fn the_loopback_interface_has_features() {
        let socket = netlink_socket::opening().open().unwrap();
        let features = ActiveFeatures::of(socket.as_fd(), b"lo").unwrap();
        assert!(features.has("tx-checksum-ip-generic") && !features.has("tx-checksum") && !features.has(""));
    }

    #[test]
    fn what_cannot_be_asked_is_an_error() {
        let errno = |answer: io::Result<ActiveFeatures>| answer.unwrap_err().raw_os_error();
        let socket = netlink_socket::opening().open().unwrap();
        for name in [&b"not-there"[..], b"a-name-much-longer-than-any"] {
            assert_eq!(errno(ActiveFeatures::of(socket.as_fd(), name)), Some(libc::ENODEV));
        }
        let (other, _) = UnixStream::pair().unwrap();
        assert_eq!(errno(ActiveFeatures::of(other.as_fd(), b"lo")), Some(libc::ENOTTY));
        let file = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(errno(ActiveFeatures::of(file.as_fd(), b"lo")), Some(libc::ENOTTY));
    }
}
