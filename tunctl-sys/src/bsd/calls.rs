//! The system calls: requests as an `Abi` declares them, and the sockets of macOS's tuns.
#![allow(unsafe_code, reason = "this module makes the system calls of these systems")]

use std::ffi::{CStr, c_int};
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

#[cfg(target_os = "dragonfly")]
pub use super::dragonfly as native;
#[cfg(target_os = "freebsd")]
pub use super::freebsd as native;
#[cfg(target_os = "macos")]
pub use super::macos as native;
#[cfg(target_os = "netbsd")]
pub use super::netbsd as native;
#[cfg(target_os = "openbsd")]
pub use super::openbsd as native;

use super::layout::{IFR_ARGUMENT, InterfaceRequest, NAME_SIZE, SocketAddressV4, SocketAddressV6};
use super::text::{GetText, SetText, TextLayout};
use super::{AF_INET, AF_LINK, FIONBIO, FIONREAD, Name, Request, iff};

/// Makes a request and returns the driver's answer, which for most requests is 0. The kernel fills in
/// `argument`.
///
/// # Errors
///
/// The driver's errno; `EINVAL` also if the argument's length is not the request's, or if the request is that
/// of another system.
pub fn ioctl(fd: BorrowedFd<'_>, request: Request, argument: &mut [u8]) -> io::Result<c_int> {
    if request.system() != native::ABI.system || argument.len() != request.length() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: `fd` is open for the length of the borrow. The kernel reads and writes as many bytes at the
    // address as the number says, which are those of `argument`, as checked above: initialised memory that is
    // borrowed exclusively. Any bytes are valid there, and the kernel asks for no alignment. The number is
    // this system's, as checked above, and its declaration guarantees that no address among the bytes is
    // followed.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request.opcode().into(), argument.as_mut_ptr()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// An `ifreq` with the address of a text.
#[repr(C)]
struct TextArgument {
    name: [u8; NAME_SIZE],
    /// The address, or the length before it.
    first: *mut u8,
    second: *mut u8,
}

const _: () = assert!(
    size_of::<TextArgument>() == size_of::<InterfaceRequest<16>>()
        && offset_of!(TextArgument, first) == IFR_ARGUMENT
);

impl TextArgument {
    const fn new(name: &Name, layout: TextLayout, text: *mut u8, length: usize) -> Self {
        let name = *name.padded();
        match layout {
            TextLayout::Address => Self { name, first: text, second: ptr::null_mut() },
            TextLayout::LengthAndAddress => {
                Self { name, first: ptr::without_provenance_mut(length), second: text }
            }
        }
    }
}

/// Sets a text of an interface. An empty one removes a description.
///
/// # Errors
///
/// Those of the request. `EINVAL`: the request is that of another system.
#[doc(alias = "SIOCSIFNAME")]
#[doc(alias = "SIOCSIFDESCR")]
pub fn set_text(fd: BorrowedFd<'_>, request: SetText, interface: &Name, text: &CStr) -> io::Result<()> {
    let request = request.request();
    if request.system != native::ABI.system {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let length = if text.is_empty() { 0 } else { text.count_bytes() + 1 };
    let mut argument = TextArgument::new(interface, request.layout, text.as_ptr().cast_mut().cast(), length);
    // SAFETY: `fd` is open for the length of the borrow. The number is this system's, as checked above; its
    // declaration guarantees that the kernel reads an `ifreq`, which `argument` is, and of the text no more
    // than up to its NUL, or `length` bytes, which `text` has. It writes nothing there. `text` outlives the
    // call.
    let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request.opcode.into(), &raw mut argument) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How often a text is asked for again because it has grown in between.
const TEXT_ATTEMPTS: usize = 8;

/// Gets a text of an interface, without its NUL.
///
/// # Errors
///
/// Those of the request. `EINVAL`: the request is that of another system.
#[doc(alias = "SIOCGIFDESCR")]
pub fn get_text(fd: BorrowedFd<'_>, request: GetText, interface: &Name) -> io::Result<Vec<u8>> {
    let (request, room) = (request.request(), request.room());
    if request.system != native::ABI.system {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let mut text = vec![0; room];
    for _ in 0..TEXT_ATTEMPTS {
        let mut argument = TextArgument::new(interface, request.layout, text.as_mut_ptr(), text.len());
        // SAFETY: `fd` is open for the length of the borrow. The number is this system's, as checked above;
        // its declaration guarantees that the kernel reads and writes an `ifreq`, which `argument` is, and
        // writes no more bytes at the address than `text` has: its length is what the declaration says, or
        // stands before the address.
        let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request.opcode.into(), &raw mut argument) };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        let length = match request.layout {
            TextLayout::Address => 0,
            TextLayout::LengthAndAddress => argument.first.addr(),
        };
        if length <= text.len() {
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
            text.truncate(end);
            return Ok(text);
        }
        text.resize(length, 0);
    }
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

/// How many packets an interface's queue had no room for. `None`: the system does not count them, or has no
/// such interface.
///
/// # Errors
///
/// Those of `getifaddrs(3)`.
#[doc(alias = "ifi_oqdrops")]
pub fn output_drops(name: &Name) -> io::Result<Option<u64>> {
    let Some(at) = native::ABI.output_drops else { return Ok(None) };
    let all = link_numbers(at)?;
    Ok(all.into_iter().find(|one| one.0 == *name).map(|one| one.1))
}

/// When each interface was created, in seconds since the system has started; empty where the system does not
/// list that. Resetting an interface's statistics changes it, too.
///
/// # Errors
///
/// Those of `getifaddrs(3)`.
#[doc(alias = "ifi_epoch")]
pub fn creation_times() -> io::Result<Vec<(Name, u64)>> {
    native::ABI.created.map_or(Ok(Vec::new()), link_numbers)
}

/// A number of 64 bits from the statistics of each interface (`if_data`), at an offset that the system's
/// table gives.
fn link_numbers(at: usize) -> io::Result<Vec<(Name, u64)>> {
    let mut list = List(ptr::null_mut());
    // SAFETY: the call writes the address of a list to the initialised pointer of `List`, which frees it.
    if unsafe { libc::getifaddrs(&raw mut list.0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut all = Vec::new();
    let mut next = list.0;
    // SAFETY: an entry is valid until `List` is dropped, and the address of the next one is null or valid.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: each entry has a name that ends with a NUL and is valid as long as the entry.
        let entry_name = unsafe { CStr::from_ptr(entry.ifa_name) };
        // SAFETY: the address is null, or valid as long as the entry.
        let address = unsafe { entry.ifa_addr.as_ref() };
        let is_link = address.is_some_and(|address| address.sa_family == AF_LINK);
        if let (Some(name), true, false) =
            (Name::new(entry_name.to_bytes()), is_link, entry.ifa_data.is_null())
        {
            // SAFETY: the data of a link-level entry is the system's `if_data`, and this offset is inside, as
            // the system's table says.
            let number = unsafe { entry.ifa_data.byte_add(at) }.cast::<u64>();
            // SAFETY: the number has 64 bits, as the system's table says, and any bits are a valid number.
            all.push((name, unsafe { number.read_unaligned() }));
        }
    }
    Ok(all)
}

/// The system's list of interfaces, which the drop frees.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: getifaddrs() allocated the list, and no reference into it outlives `self`.
            unsafe { libc::freeifaddrs(self.0) };
        }
    }
}

// The numbers that `libc` has for all five. For DragonFly, no other compiler has confirmed any.
const _: () = {
    const fn same(ours: u32, theirs: c_int) -> bool {
        ours as c_int == theirs
    }
    assert!(same(AF_INET as u32, libc::AF_INET) && same(AF_LINK as u32, libc::AF_LINK));
    assert!(same(native::AF_INET6 as u32, libc::AF_INET6));
    assert!(same(iff::UP, libc::IFF_UP) && same(iff::RUNNING, libc::IFF_RUNNING));
    assert!(same(iff::BROADCAST, libc::IFF_BROADCAST) && same(iff::POINTOPOINT, libc::IFF_POINTOPOINT));
    assert!(same(iff::MULTICAST, libc::IFF_MULTICAST) && same(iff::NOARP, libc::IFF_NOARP));
    assert!(FIONBIO as libc::c_ulong == libc::FIONBIO && FIONREAD as libc::c_ulong == libc::FIONREAD);
    assert!(NAME_SIZE == libc::IFNAMSIZ);
    assert!(size_of::<SocketAddressV4>() == size_of::<libc::sockaddr_in>());
    assert!(size_of::<SocketAddressV6>() == size_of::<libc::sockaddr_in6>());
    assert!(size_of::<native::SocketAddressLink>() == size_of::<libc::sockaddr_dl>());
};

#[cfg(target_os = "freebsd")]
mod names;

#[cfg(target_os = "macos")]
pub use control::{connect_control, getsockopt_name, set_pending_packets, utun_socket};
#[cfg(target_os = "freebsd")]
pub use names::{node_name, original_name};
#[cfg(target_os = "macos")]
pub use pair::pair;

/// macOS's paired Ethernet interfaces (`feth`).
#[cfg(target_os = "macos")]
mod pair {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd};

    use crate::bsd::macos::{DriverRequest, FakeRequest, IF_FAKE_S_CMD_SET_PEER};
    use crate::bsd::{Name, Pair};

    /// Connects two `feth` interfaces: a frame that leaves one arrives at the other, in both directions.
    ///
    /// # Errors
    ///
    /// `EBUSY`: one of them is already connected. `EINVAL`: one of them is not a `feth`. `ENXIO`: no
    /// interface has one of the names. `EPERM`.
    #[doc(alias = "SIOCSDRVSPEC")]
    pub fn pair(fd: BorrowedFd<'_>, request: Pair, one: &Name, other: &Name) -> io::Result<()> {
        let peer = FakeRequest { reserved: [0; 4], peer: *other.padded(), rest: [0; 112] };
        let argument = DriverRequest {
            name: *one.padded(),
            command: IF_FAKE_S_CMD_SET_PEER,
            length: size_of::<FakeRequest>() as u64,
            data: &raw const peer,
        };
        // SAFETY: `fd` is open for the length of the borrow. The declaration guarantees that the kernel reads
        // an `ifdrv`, which `argument` is, and at its address no more bytes than its length says, which are
        // those of `peer`. Both outlive the call, and all their bytes are initialised.
        let answer = unsafe { libc::ioctl(fd.as_raw_fd(), request.opcode().into(), &raw const argument) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The sockets of macOS's kernel controls.
#[cfg(target_os = "macos")]
mod control {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

    use crate::bsd::Name;
    use crate::bsd::layout::NAME_SIZE;
    use crate::bsd::macos::{
        AF_SYS_CONTROL, AF_SYSTEM, CTLIOCGINFO, ControlInfo, SYSPROTO_CONTROL, SocketAddressControl,
        UTUN_OPT_IFNAME, UTUN_OPT_MAX_PENDING_PACKETS,
    };

    const _: () = {
        assert!(AF_SYSTEM as i32 == libc::AF_SYSTEM && AF_SYS_CONTROL as i32 == libc::AF_SYS_CONTROL);
        assert!(SYSPROTO_CONTROL == libc::SYSPROTO_CONTROL && UTUN_OPT_IFNAME == libc::UTUN_OPT_IFNAME);
        assert!(CTLIOCGINFO as libc::c_ulong == libc::CTLIOCGINFO);
        assert!(size_of::<ControlInfo>() == size_of::<libc::ctl_info>());
        assert!(size_of::<SocketAddressControl>() == size_of::<libc::sockaddr_ctl>());
    };

    /// Opens a socket of the kernel controls, from which [`connect_control`] makes a tun. It is
    /// close-on-exec, but not from the first moment: a program that another thread starts meanwhile inherits
    /// it, and keeps the tun.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`, `ENOBUFS`.
    #[doc(alias = "PF_SYSTEM")]
    pub fn utun_socket() -> io::Result<OwnedFd> {
        // SAFETY: socket() takes integers only.
        let fd = unsafe { libc::socket(AF_SYSTEM.into(), libc::SOCK_DGRAM, SYSPROTO_CONTROL) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened, and nothing else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // macOS has no `SOCK_CLOEXEC`.
        // SAFETY: the descriptor is open, and `F_SETFD` takes an integer.
        let answer = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
    }

    /// Connects a socket to a unit of a control, which [`sockaddr_ctl`](crate::bsd::macos::sockaddr_ctl)
    /// addresses. With the control of tuns, this creates the interface.
    ///
    /// # Errors
    ///
    /// `EBUSY`: the unit is taken. `EPERM`: the caller is not root. `EISCONN`.
    #[doc(alias = "connect")]
    pub fn connect_control(
        fd: BorrowedFd<'_>,
        address: &[u8; size_of::<SocketAddressControl>()],
    ) -> io::Result<()> {
        #[allow(clippy::cast_possible_truncation, reason = "32")]
        const LENGTH: libc::socklen_t = size_of::<SocketAddressControl>() as libc::socklen_t;
        // SAFETY: `fd` is open for the length of the borrow; the kernel reads as many bytes as the length
        // says, which are those of the array, and requires no alignment.
        let answer = unsafe { libc::connect(fd.as_raw_fd(), address.as_ptr().cast(), LENGTH) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sets how many packets wait at the socket of a tun. Without it, that is one (XNU's `utun_ctl_bind`);
    /// the others wait in the interface's queue until it is read, one by one.
    ///
    /// # Errors
    ///
    /// `EINVAL`: the number is 0. `ENOPROTOOPT`: the kernel has no such option.
    #[doc(alias = "UTUN_OPT_MAX_PENDING_PACKETS")]
    pub fn set_pending_packets(fd: BorrowedFd<'_>, packets: u32) -> io::Result<()> {
        #[allow(clippy::cast_possible_truncation, reason = "4")]
        const LENGTH: libc::socklen_t = size_of::<u32>() as libc::socklen_t;
        // SAFETY: `fd` is open for the length of the borrow; the kernel reads as many bytes at the address as
        // the length says, which are those of `packets`.
        let answer = unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                SYSPROTO_CONTROL,
                UTUN_OPT_MAX_PENDING_PACKETS,
                (&raw const packets).cast(),
                LENGTH,
            )
        };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The name of the interface that a connected socket created.
    ///
    /// # Errors
    ///
    /// `EINVAL` or `ENOTCONN`: the socket is not connected. `InvalidData`: the kernel returned no name.
    #[doc(alias = "UTUN_OPT_IFNAME")]
    pub fn getsockopt_name(fd: BorrowedFd<'_>) -> io::Result<Name> {
        let mut name = [0_u8; NAME_SIZE];
        #[allow(clippy::cast_possible_truncation, reason = "16")]
        let mut length = NAME_SIZE as libc::socklen_t;
        // SAFETY: `fd` is open for the length of the borrow; the kernel writes no more bytes to `name` than
        // `length` says, which is its size, and the new length to `length`; both are initialised and belong
        // to this function.
        let answer = unsafe {
            libc::getsockopt(
                fd.as_raw_fd(),
                SYSPROTO_CONTROL,
                UTUN_OPT_IFNAME,
                name.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if answer < 0 {
            return Err(io::Error::last_os_error());
        }
        Name::parse(&name).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
