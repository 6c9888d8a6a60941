//! The requests: a number, together with the proof that its argument is plain bytes.
#![allow(unsafe_code, reason = "the requests are declared here, each with the proof of its argument")]

use crate::bsd::{IN, LENGTH_MASK, OUT};
use crate::ioctl::Opcode;

/// A request whose argument is as many plain bytes as its number says.
///
/// The kernels of these systems copy an argument in and out themselves, before and after they ask a driver, and go by
/// the length and the direction in the number. So whatever file the request is made to, no other byte is touched; what a
/// declaration has to promise is only that no driver takes a part of the argument for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request(Opcode);

impl Request {
    /// Declares a request.
    ///
    /// # Safety
    ///
    /// No driver that answers `opcode`, on the system whose number it is, follows an address in its argument; and the
    /// number has a length and a direction, since without these the argument itself is an address or an integer.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self(opcode)
    }

    /// The number.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        self.0
    }

    /// The bytes of the argument.
    #[doc(alias = "IOCPARM_LEN")]
    #[must_use]
    pub const fn length(self) -> usize {
        (self.0 >> 16 & LENGTH_MASK) as usize
    }

    /// Which way the argument travels.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match (self.0 & IN != 0, self.0 & OUT != 0) {
            (true, true) => Direction::Both,
            (true, false) => Direction::In,
            (false, true) => Direction::Out,
            (false, false) => Direction::None,
        }
    }

    /// An argument of zeroes, for what the kernel only fills in.
    #[must_use]
    pub fn zeroed(self) -> Vec<u8> {
        vec![0; self.length()]
    }
}

/// Which way an argument travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// There is none.
    None,
    /// The kernel reads it.
    In,
    /// The kernel writes it.
    Out,
    /// The kernel reads it, then writes it.
    Both,
}

/// The request that renames an interface: not a [`Request`], because its argument holds the address of the new name.
#[doc(alias = "SIOCSIFNAME")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rename(Opcode);

impl Rename {
    /// Declares the request.
    ///
    /// # Safety
    ///
    /// Every driver that answers `opcode`, on the system whose number it is, takes an `ifreq` whose `ifr_data` is the
    /// address of a string; it reads that string no further than its NUL, and writes nothing there.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self(opcode)
    }

    /// The number.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        self.0
    }
}

/// The request that connects two Ethernets of macOS's: not a [`Request`], because its argument holds the address of another.
#[doc(alias = "SIOCSDRVSPEC")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(Opcode);

impl Pair {
    /// Declares the request.
    ///
    /// # Safety
    ///
    /// Every driver that answers `opcode`, on the system whose number it is, takes an `ifdrv`; it follows no address but `ifd_data`, and
    /// for setting, reads no more bytes there than `ifd_len` says.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        Self(opcode)
    }

    /// The number.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        self.0
    }
}

/// The requests of one system; `None` where it has no such thing.
///
/// Behind the arrow stands the argument: what builds it, and what reads the answer. An `int` is in the host's byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests<R = Request> {
    /// `SIOCGIFFLAGS` → [`ifreq`](super::Abi::ifreq), [`flags`](super::Abi::flags): the interface's flags.
    pub get_flags: R,
    /// `SIOCSIFFLAGS` → [`ifreq_flags`](super::Abi::ifreq_flags): up, down and what else may be changed.
    pub set_flags: R,
    /// `SIOCGIFMTU` → [`ifreq`](super::Abi::ifreq), [`mtu`](super::Abi::mtu).
    pub get_mtu: R,
    /// `SIOCSIFMTU` → [`ifreq_mtu`](super::Abi::ifreq_mtu).
    pub set_mtu: R,
    /// `SIOCIFCREATE` → [`ifreq`](super::Abi::ifreq), [`name`](super::Abi::interface_name): makes the interface of that
    /// name. Where the argument travels both ways, a name without a number leaves it to the kernel, which fills it in.
    pub create: R,
    /// `SIOCIFDESTROY` → [`ifreq`](super::Abi::ifreq).
    pub destroy: R,
    /// `SIOCAIFADDR` → [`alias_v4`](super::Abi::alias_v4).
    pub add_address: R,
    /// `SIOCDIFADDR` → [`delete_v4`](super::Abi::delete_v4).
    pub delete_address: R,
    /// `SIOCAIFADDR_IN6` → [`alias_v6`](super::Abi::alias_v6).
    pub add_address_v6: R,
    /// `SIOCDIFADDR_IN6` → [`delete_v6`](super::Abi::delete_v6).
    pub delete_address_v6: R,
    /// `SIOCGIFAFLAG_IN6` → [`query_v6`](super::Abi::query_v6), [`address_flags`](super::Abi::address_flags): whether
    /// an address is in service.
    pub get_address_flags_v6: R,
    /// `SIOCIFAFATTACH` of OpenBSD → [`attach_v6`](super::openbsd::attach_v6): gives an interface IPv6.
    pub attach_family: Option<R>,
    /// `SIOCSIFLLADDR` → [`ifreq_mac`](super::Abi::ifreq_mac).
    pub set_mac: Option<R>,
    /// `SIOCALIFADDR` of NetBSD, through a socket of the link level → [`link_address`](super::netbsd::link_address): makes it the
    /// MAC in use.
    pub set_link_address: Option<R>,
    /// `TUNSIFHEAD` → `int`: whether packets have the address family in front.
    pub tun_set_head: Option<R>,
    /// `TUNGIFHEAD` → `int`; NetBSD says any number but 0 for yes.
    pub tun_get_head: Option<R>,
    /// `TUNSIFMODE` → `int`: `IFF_POINTOPOINT` or `IFF_BROADCAST`, with or without `IFF_MULTICAST`; while down only.
    pub tun_set_mode: Option<R>,
    /// `TUNSLMODE` → `int`: whether packets have a link-level address in front.
    pub tun_set_link_mode: Option<R>,
    /// `TUNSIFINFO` → [`tun_info`](super::Abi::tun_info).
    pub tun_set_info: Option<R>,
    /// `TUNGIFINFO` → [`parse_tun_info`](super::Abi::parse_tun_info).
    pub tun_get_info: Option<R>,
    /// `TUNGIFNAME` → [`interface_name`](super::Abi::interface_name): what the interface is called by now.
    pub tun_name: Option<R>,
    /// `TUNSTRANSIENT`, `TAPSTRANSIENT` → `int`: whether the interface goes when it is closed.
    pub set_transient: Option<R>,
    /// `TAPGIFNAME` → [`interface_name`](super::Abi::interface_name).
    pub tap_name: Option<R>,
    /// `TAPSIFINFO` → [`tun_info`](super::Abi::tun_info).
    pub tap_set_info: Option<R>,
    /// `TAPSVNETHDR` → `int`: the size of the virtio-net header, or 0.
    pub tap_set_vnet_header: Option<R>,
    /// `TAPGVNETHDR` → `int`.
    pub tap_get_vnet_header: Option<R>,
    /// `CTLIOCGINFO` of macOS → [`control_info`](super::macos::control_info), [`control_id`](super::macos::control_id).
    pub control_info: Option<R>,
    /// `FIONBIO` → `int`: whether calls that would have to wait fail instead.
    pub set_nonblocking: R,
    /// `FIONREAD` → `int`: the bytes that can be read.
    pub waiting: R,
}

impl Requests<Opcode> {
    /// Declares all requests of a system.
    ///
    /// # Safety
    ///
    /// Each number is that of the request which its field names, on one and the same of the five systems.
    #[must_use]
    pub const unsafe fn declare(self) -> Requests {
        // SAFETY, of each block below: the caller vouches for the number; the request is then that of `ifreq` and its
        // kin, `int` or `tuninfo`, in which the member that it uses holds no address. Which that is, is said there.
        Requests {
            // SAFETY: `ifru_flags` is filled in.
            get_flags: unsafe { Request::new(self.get_flags) },
            // SAFETY: `ifru_flags` is read.
            set_flags: unsafe { Request::new(self.set_flags) },
            // SAFETY: `ifru_mtu`, or `ifru_metric` in its place, is filled in.
            get_mtu: unsafe { Request::new(self.get_mtu) },
            // SAFETY: `ifru_mtu`, or `ifru_metric` in its place, is read.
            set_mtu: unsafe { Request::new(self.set_mtu) },
            // SAFETY: the name alone is read and filled in; it is `SIOCIFCREATE2` that follows `ifru_data`.
            create: unsafe { Request::new(self.create) },
            // SAFETY: the name alone is read.
            destroy: unsafe { Request::new(self.destroy) },
            // SAFETY: three `sockaddr`s are read, which stand in the argument whole.
            add_address: unsafe { Request::new(self.add_address) },
            // SAFETY: `ifru_addr` is read, which stands in the argument whole.
            delete_address: unsafe { Request::new(self.delete_address) },
            // SAFETY: three `sockaddr_in6`, flags and lifetimes are read, which stand in the argument whole.
            add_address_v6: unsafe { Request::new(self.add_address_v6) },
            // SAFETY: `ifru_addr` is read, which stands in the argument whole.
            delete_address_v6: unsafe { Request::new(self.delete_address_v6) },
            // SAFETY: `ifru_addr` is read, `ifru_flags6` is filled in.
            get_address_flags_v6: unsafe { Request::new(self.get_address_flags_v6) },
            // SAFETY: the argument is a name and a number.
            attach_family: unsafe { declared(self.attach_family) },
            // SAFETY: `ifru_addr` is read, which stands in the argument whole.
            set_mac: unsafe { declared(self.set_mac) },
            // SAFETY: two `sockaddr_storage` are read and filled in, which stand in the argument whole.
            set_link_address: unsafe { declared(self.set_link_address) },
            // SAFETY: the argument is an `int`.
            tun_set_head: unsafe { declared(self.tun_set_head) },
            // SAFETY: the argument is an `int`.
            tun_get_head: unsafe { declared(self.tun_get_head) },
            // SAFETY: the argument is an `int`.
            tun_set_mode: unsafe { declared(self.tun_set_mode) },
            // SAFETY: the argument is an `int`.
            tun_set_link_mode: unsafe { declared(self.tun_set_link_mode) },
            // SAFETY: `tuninfo` has integers only.
            tun_set_info: unsafe { declared(self.tun_set_info) },
            // SAFETY: `tuninfo` has integers only.
            tun_get_info: unsafe { declared(self.tun_get_info) },
            // SAFETY: a name is filled in.
            tun_name: unsafe { declared(self.tun_name) },
            // SAFETY: the argument is an `int`.
            set_transient: unsafe { declared(self.set_transient) },
            // SAFETY: a name is filled in.
            tap_name: unsafe { declared(self.tap_name) },
            // SAFETY: `tapinfo` has integers only.
            tap_set_info: unsafe { declared(self.tap_set_info) },
            // SAFETY: the argument is an `int`.
            tap_set_vnet_header: unsafe { declared(self.tap_set_vnet_header) },
            // SAFETY: the argument is an `int`.
            tap_get_vnet_header: unsafe { declared(self.tap_get_vnet_header) },
            // SAFETY: the name is read, the identifier filled in; both stand in the argument whole.
            control_info: unsafe { declared(self.control_info) },
            // SAFETY: the argument is an `int`.
            set_nonblocking: unsafe { Request::new(self.set_nonblocking) },
            // SAFETY: the argument is an `int`.
            waiting: unsafe { Request::new(self.waiting) },
        }
    }
}

/// # Safety
///
/// As [`Request::new`], if there is one.
const unsafe fn declared(opcode: Option<Opcode>) -> Option<Request> {
    match opcode {
        // SAFETY: the caller's promise is the same.
        Some(opcode) => Some(unsafe { Request::new(opcode) }),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::bsd::{macos, netbsd};

    use super::Direction;

    #[test]
    fn a_number_tells_length_and_direction() {
        let requests = netbsd::ABI.requests;
        assert_eq!((requests.get_flags.length(), requests.get_flags.direction()), (144, Direction::Both));
        assert_eq!((requests.set_flags.length(), requests.set_flags.direction()), (144, Direction::In));
        assert_eq!((requests.waiting.length(), requests.waiting.direction()), (4, Direction::Out));
        assert_eq!(macos::ABI.requests.control_info.map(|request| request.zeroed().len()), Some(100));
    }
}
