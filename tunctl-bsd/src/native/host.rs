//! The system calls of the running system.

use std::ffi::CStr;
#[cfg(not(target_os = "freebsd"))]
use std::fs::File;
use std::fs::OpenOptions;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
#[cfg(not(target_os = "freebsd"))]
use std::os::unix::fs::MetadataExt;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockType, SockaddrLike, SockaddrStorage, getsockopt, setsockopt,
    socket, sockopt,
};
use nix::sys::uio::{readv, writev};
use tunctl_packet::header::System;
use tunctl_sys::bsd::{GetText, Name, Pair, Request, SetText, calls};

use crate::syscalls::{Family, ListedAddress, ListedInterface, Syscalls};
use crate::{BsdBackend, BsdDevice, BsdInterface, errno};

/// The system calls of the running system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Host;

/// The backend for the target system.
pub type Native = BsdBackend<Host>;
/// A device of [`Native`].
pub type NativeDevice = BsdDevice<Host>;
/// An interface of [`Native`].
pub type NativeInterface = BsdInterface<Host>;

/// Returns the backend for the target system: the drivers behind `/dev/tunN` and `/dev/tapN`, or macOS's utun
/// sockets and `feth` pairs.
#[must_use]
pub fn native() -> Native {
    Native::new()
}

#[cfg(target_os = "freebsd")]
const SYSTEM: System = System::FreeBsd;
#[cfg(target_os = "netbsd")]
const SYSTEM: System = System::NetBsd;
#[cfg(target_os = "openbsd")]
const SYSTEM: System = System::OpenBsd;
#[cfg(target_os = "dragonfly")]
const SYSTEM: System = System::DragonFly;
#[cfg(target_os = "macos")]
const SYSTEM: System = System::MacOs;

impl BsdBackend<Host> {
    /// The backend for the running system.
    #[must_use]
    pub fn new() -> Self {
        Self::with_syscalls(SYSTEM, Host)
    }
}

impl Default for BsdBackend<Host> {
    fn default() -> Self {
        Self::new()
    }
}

/// macOS has no `SOCK_CLOEXEC`; there the socket is only open for the duration of one request.
#[cfg(not(target_os = "macos"))]
const CLOSE_ON_EXEC: SockFlag = SockFlag::SOCK_CLOEXEC;
#[cfg(target_os = "macos")]
const CLOSE_ON_EXEC: SockFlag = SockFlag::empty();

/// How many bytes of reports a routing socket is asked to keep: some hundred.
const REPORTS: usize = 256 * 1024;

fn datagram_socket(family: Family) -> io::Result<OwnedFd> {
    let family = match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
        Family::Link => AddressFamily::Link,
    };
    Ok(socket(family, SockType::Datagram, CLOSE_ON_EXEC, None)?)
}

impl Syscalls for Host {
    type Handle = OwnedFd;

    fn open(&self, path: &str) -> io::Result<OwnedFd> {
        OpenOptions::new().read(true).write(true).open(path).map(OwnedFd::from)
    }

    fn duplicate(&self, handle: &OwnedFd) -> io::Result<OwnedFd> {
        handle.try_clone()
    }

    fn adopt(&self, fd: OwnedFd) -> Result<OwnedFd, OwnedFd> {
        Ok(fd)
    }

    #[cfg(target_os = "freebsd")]
    fn unit(&self, handle: &OwnedFd) -> io::Result<u32> {
        let name = calls::node_name(handle.as_fd())?;
        let kind = crate::system::rules(SYSTEM).kind_of(name.as_bytes());
        kind.and_then(|kind| kind.unit(name.as_bytes())).ok_or_else(|| errno::error(errno::ENOTTY))
    }

    #[cfg(not(target_os = "freebsd"))]
    fn unit(&self, handle: &OwnedFd) -> io::Result<u32> {
        let device = File::from(handle.try_clone()?).metadata()?.rdev();
        crate::system::rules(SYSTEM).abi.minor(device).ok_or_else(|| errno::error(errno::ENOTTY))
    }

    fn set_nonblocking(&self, handle: &OwnedFd) -> io::Result<()> {
        let request = crate::system::rules(SYSTEM).abi.requests.set_nonblocking;
        self.ioctl(handle, request, &mut 1_i32.to_ne_bytes())
    }

    fn ioctl(&self, handle: &OwnedFd, request: Request, argument: &mut [u8]) -> io::Result<()> {
        calls::ioctl(handle.as_fd(), request, argument).map(drop)
    }

    fn configure(&self, family: Family, request: Request, argument: &mut [u8]) -> io::Result<()> {
        calls::ioctl(datagram_socket(family)?.as_fd(), request, argument).map(drop)
    }

    fn set_text(&self, request: SetText, interface: &Name, text: &CStr) -> io::Result<()> {
        calls::set_text(datagram_socket(Family::V4)?.as_fd(), request, interface, text)
    }

    fn text(&self, request: GetText, interface: &Name) -> io::Result<Vec<u8>> {
        calls::get_text(datagram_socket(Family::V4)?.as_fd(), request, interface)
    }

    #[cfg(target_os = "macos")]
    fn pair(&self, request: Pair, one: &Name, other: &Name) -> io::Result<()> {
        calls::pair(datagram_socket(Family::V4)?.as_fd(), request, one, other)
    }

    #[cfg(not(target_os = "macos"))]
    fn pair(&self, _: Pair, _: &Name, _: &Name) -> io::Result<()> {
        Err(errno::error(errno::EOPNOTSUPP))
    }

    #[cfg(target_os = "macos")]
    fn connect(&self, control: &str, unit: u32) -> io::Result<OwnedFd> {
        use tunctl_sys::bsd::macos;

        let unknown = || errno::error(errno::EOPNOTSUPP);
        if control != macos::UTUN_CONTROL_NAME {
            return Err(unknown());
        }
        let socket = calls::utun_socket()?;
        let request = macos::ABI.requests.control_info.ok_or_else(unknown)?;
        let mut argument = macos::control_info();
        calls::ioctl(socket.as_fd(), request, &mut argument)?;
        let address = macos::sockaddr_ctl(macos::control_id(&argument), unit);
        calls::connect_control(socket.as_fd(), &address)?;
        Ok(socket)
    }

    #[cfg(not(target_os = "macos"))]
    fn connect(&self, _: &str, _: u32) -> io::Result<OwnedFd> {
        Err(errno::error(errno::EOPNOTSUPP))
    }

    #[cfg(target_os = "macos")]
    fn socket_name(&self, handle: &OwnedFd) -> io::Result<Name> {
        calls::getsockopt_name(handle.as_fd())
    }

    #[cfg(not(target_os = "macos"))]
    fn socket_name(&self, _: &OwnedFd) -> io::Result<Name> {
        Err(errno::error(errno::EOPNOTSUPP))
    }

    #[cfg(target_os = "macos")]
    fn set_pending_packets(&self, handle: &OwnedFd, packets: u32) -> io::Result<()> {
        calls::set_pending_packets(handle.as_fd(), packets)
    }

    #[cfg(not(target_os = "macos"))]
    fn set_pending_packets(&self, _: &OwnedFd, _: u32) -> io::Result<()> {
        Err(errno::error(errno::EOPNOTSUPP))
    }

    fn read(&self, handle: &OwnedFd, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(readv(handle, buffers)?)
    }

    fn write(&self, handle: &OwnedFd, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(writev(handle, pieces)?)
    }

    fn watch(&self) -> io::Result<(OwnedFd, usize)> {
        let socket = socket(AddressFamily::Route, SockType::Raw, CLOSE_ON_EXEC, None)?;
        // A duplicate is close-on-exec on every system.
        let socket = socket.try_clone()?;
        self.set_nonblocking(&socket)?;
        // The system may not permit as much. What it keeps is asked for below.
        let _ = setsockopt(&socket, sockopt::RcvBuf, &REPORTS);
        let room = getsockopt(&socket, sockopt::RcvBuf)?;
        Ok((socket, room))
    }

    fn interfaces(&self) -> io::Result<Vec<ListedInterface>> {
        let created = calls::creation_times()?;
        let mut all: Vec<ListedInterface> = Vec::new();
        for listed in getifaddrs()? {
            let Some(name) = Name::new(listed.interface_name.as_bytes()) else { continue };
            let at = match all.iter().position(|interface| interface.name == name) {
                Some(at) => at,
                None => {
                    // The interface may be gone since it was listed.
                    let Ok(index) = if_nametoindex(listed.interface_name.as_str()) else { continue };
                    all.push(ListedInterface {
                        name,
                        original_name: original_name(name, index),
                        index,
                        created: created.iter().find(|one| one.0 == name).map(|one| one.1),
                        mac: None,
                        addresses: Vec::new(),
                    });
                    all.len() - 1
                }
            };
            let link = listed.address.as_ref().and_then(SockaddrStorage::as_link_addr);
            all[at].mac = all[at].mac.or(link.and_then(LinkAddr::addr));
            all[at].addresses.extend(address(&listed));
        }
        Ok(all)
    }

    fn dropped(&self, name: &Name) -> io::Result<Option<u64>> {
        calls::output_drops(name)
    }
}

/// Returns the name at creation, by which alone a renamed interface shows what it is.
#[cfg(target_os = "freebsd")]
fn original_name(name: Name, index: u32) -> Name {
    // If it has just gone, its name is as good as any.
    calls::original_name(index).unwrap_or(name)
}

/// Returns the present name: the system keeps no other.
#[cfg(not(target_os = "freebsd"))]
const fn original_name(name: Name, _: u32) -> Name {
    name
}

/// Returns the address of one list entry, if it is an IP address.
fn address(listed: &InterfaceAddress) -> Option<ListedAddress> {
    let address = ip(listed.address.as_ref()?)?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let ones = |mask: IpAddr| match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    };
    let prefix_length = listed.netmask.as_ref().and_then(ip).map_or(longest, ones);
    Some(ListedAddress {
        address,
        prefix_length: u8::try_from(prefix_length).ok()?,
        destination: listed.destination.as_ref().and_then(ip),
        broadcast: listed.broadcast.as_ref().and_then(ip),
    })
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        AddressFamily::Inet => address.as_sockaddr_in().map(|address| address.ip().into()),
        AddressFamily::Inet6 => address.as_sockaddr_in6().map(|address| address.ip().into()),
        _ => None,
    }
}
