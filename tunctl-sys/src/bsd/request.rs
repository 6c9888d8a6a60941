//! The requests: a number, together with the proof that its argument is plain bytes.
//!
//! The kernels of these systems copy an argument in before they call the driver, and out afterwards, by the
//! length and the direction in the number (`sys_ioctl`). So a request to any file touches only the argument's
//! own bytes. What remains to be proved is that no driver takes a part of the argument for an address and
//! follows it. An argument that is shorter than an address, or that the kernel does not copy in, contains
//! none: [`Request::without_address`] checks that, so its declaration is safe. These are the others:
//!
//! | group | argument | answered by | why it follows no address |
//! |---|---|---|---|
//! | 'i' | `ifreq` and the like | `ifioctl`, on a socket of any family | it uses a member without addresses |
//! | 't' | `tuninfo`, `tapinfo` | the driver of tuns and taps, on its node | it has integers only |
//! | 'B' | `ifreq` of `BIOCSETIF` | the packet filter, on its node | it reads the name alone |
//! | 'N' | `ctl_info` | `ctl_ioctl`, on a socket of macOS's kernel controls | it has a number and a name |
//!
//! - Ttys use group 't', too. None of their requests has the number and the length of one with a `tuninfo`.
//! - The proofs do not cover a driver from outside the system's tree that uses one of these numbers for an
//!   argument with an address. None is known.
//! - The same number can mean something else on another system. A request knows its system, and
//!   `calls::ioctl` refuses the requests of another one.
#![allow(unsafe_code, reason = "the requests are declared here, each with the proof of its argument")]

use crate::bsd::layout::WORD;
use crate::bsd::macos::DriverRequest;
use crate::bsd::{IN, LENGTH_MASK, OUT, System, VOID};
use crate::ioctl::Opcode;

/// A request of one system. Its argument consists of plain bytes, as many as the number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    system: System,
    opcode: Opcode,
}

impl Request {
    /// Declares a request whose argument is long enough to contain an address.
    ///
    /// # Safety
    ///
    /// On `system`, what answers `opcode` follows no address in the argument.
    ///
    /// # Panics
    ///
    /// The number has no length or no direction: its argument is an address or an integer, rather than bytes.
    #[must_use]
    pub const unsafe fn new(system: System, opcode: Opcode) -> Self {
        let request = Self { system, opcode };
        assert!(opcode & VOID == 0 && opcode & (IN | OUT) != 0 && request.length() != 0);
        request
    }

    /// Declares a request whose argument contains no address: it is too short for one, or the kernel only
    /// fills it in.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new), or the argument could contain an address.
    #[must_use]
    pub const fn without_address(system: System, opcode: Opcode) -> Self {
        // SAFETY: as asserted below, the argument has no room for an address, or the kernel copies nothing
        // in, so that the driver finds only zeroes.
        let request = unsafe { Self::new(system, opcode) };
        assert!(request.length() < WORD || opcode & IN == 0);
        request
    }

    /// The system whose number it is.
    #[must_use]
    pub const fn system(self) -> System {
        self.system
    }

    /// The number.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        self.opcode
    }

    /// The bytes of the argument.
    #[doc(alias = "IOCPARM_LEN")]
    #[must_use]
    pub const fn length(self) -> usize {
        length(self.opcode)
    }

    /// Which way the argument travels.
    #[must_use]
    pub const fn direction(self) -> Direction {
        match (self.opcode & IN != 0, self.opcode & OUT != 0) {
            (true, true) => Direction::Both,
            (true, false) => Direction::In,
            (false, _) => Direction::Out,
        }
    }

    /// An argument of zeroes, for a request that the kernel only fills in.
    #[must_use]
    pub fn zeroed(self) -> Vec<u8> {
        vec![0; self.length()]
    }
}

pub(super) const fn length(opcode: Opcode) -> usize {
    (opcode >> 16 & LENGTH_MASK) as usize
}

/// Which way an argument travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The kernel reads it.
    In,
    /// The kernel writes it.
    Out,
    /// The kernel reads it, then writes it.
    Both,
}

/// The request that connects two `feth` interfaces of macOS. It is not a [`Request`], because its argument
/// contains the address of another one.
#[doc(alias = "SIOCSDRVSPEC")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(Opcode);

impl Pair {
    /// Declares the request.
    ///
    /// # Safety
    ///
    /// On macOS, what answers `opcode` takes an `ifdrv` and follows only the address `ifd_data`; it reads no
    /// more bytes there than `ifd_len` says, and writes none.
    ///
    /// # Panics
    ///
    /// The number's argument does not have the length of an `ifdrv`.
    #[must_use]
    pub const unsafe fn new(opcode: Opcode) -> Self {
        assert!(length(opcode) == size_of::<DriverRequest>());
        Self(opcode)
    }

    /// The number.
    #[must_use]
    pub const fn opcode(self) -> Opcode {
        self.0
    }
}

/// The requests of one system; `None` where the system has no such request.
///
/// The arrow points to the function that builds the argument, and to the one that reads the answer; or to the
/// argument's type. An `int` is in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests<R = Request> {
    /// `SIOCGIFFLAGS` → [`ifreq`](super::Abi::ifreq), [`flags`](super::Abi::flags): the interface's flags.
    pub get_flags: R,
    /// `SIOCSIFFLAGS` → [`ifreq_flags`](super::Abi::ifreq_flags): sets the interface up or down, and its
    /// other flags.
    pub set_flags: R,
    /// `SIOCGIFMTU` → [`ifreq`](super::Abi::ifreq), [`mtu`](super::Abi::mtu).
    pub get_mtu: R,
    /// `SIOCSIFMTU` → [`ifreq_mtu`](super::Abi::ifreq_mtu).
    pub set_mtu: R,
    /// `SIOCIFCREATE` → [`ifreq`](super::Abi::ifreq), [`name`](super::Abi::interface_name): makes the
    /// interface of that name. Where the argument travels both ways, a name without a number lets the kernel
    /// choose one and fill it in.
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
    /// `SIOCGIFAFLAG_IN6` → [`query_v6`](super::Abi::query_v6),
    /// [`address_flags`](super::Abi::address_flags): reports whether an address is in service.
    pub get_address_flags_v6: R,
    /// `SIOCIFAFATTACH` of OpenBSD → [`attach_v6`](super::openbsd::attach_v6): enables IPv6 on an
    /// interface.
    pub attach_family: Option<R>,
    /// `SIOCSIFLLADDR` → [`ifreq_mac`](super::Abi::ifreq_mac).
    pub set_mac: Option<R>,
    /// `SIOCALIFADDR` of NetBSD, on a link-level socket → [`link_address`](super::netbsd::link_address):
    /// sets the active MAC address.
    pub set_link_address: Option<R>,
    /// `TUNSIFHEAD` → `int`: whether packets have the address family in front.
    pub tun_set_head: Option<R>,
    /// `TUNGIFHEAD` → `int`; NetBSD reports any number except 0 for yes.
    pub tun_get_head: Option<R>,
    /// `TUNSIFMODE` → `int`: `IFF_POINTOPOINT` or `IFF_BROADCAST`, with or without `IFF_MULTICAST`; only
    /// while the interface is down.
    pub tun_set_mode: Option<R>,
    /// `TUNSLMODE` → `int`: whether packets have a link-level address in front.
    pub tun_set_link_mode: Option<R>,
    /// `TUNSIFINFO` → [`tun_info`](super::Abi::tun_info).
    pub tun_set_info: Option<R>,
    /// `TUNGIFINFO` → [`parse_tun_info`](super::Abi::parse_tun_info).
    pub tun_get_info: Option<R>,
    /// `TUNGIFNAME` → [`interface_name`](super::Abi::interface_name): the interface's present name.
    pub tun_name: Option<R>,
    /// `TUNSTRANSIENT`, `TAPSTRANSIENT` → `int`: whether the interface is removed when it is closed.
    pub set_transient: Option<R>,
    /// `TAPGIFNAME` → [`interface_name`](super::Abi::interface_name).
    pub tap_name: Option<R>,
    /// `TAPSIFINFO` → [`tun_info`](super::Abi::tun_info).
    pub tap_set_info: Option<R>,
    /// `TAPSVNETHDR` → `int`: the size of the virtio-net header, or 0.
    pub tap_set_vnet_header: Option<R>,
    /// `TAPGVNETHDR` → `int`.
    pub tap_get_vnet_header: Option<R>,
    /// `CTLIOCGINFO` of macOS → [`control_info`](super::macos::control_info),
    /// [`control_id`](super::macos::control_id).
    pub control_info: Option<R>,
    /// `FIONBIO` → `int`: whether a call that would have to wait fails instead.
    pub set_nonblocking: R,
    /// `FIONREAD` → `int`: the number of bytes that can be read.
    pub waiting: R,
}

impl Requests<Opcode> {
    /// Declares all requests of a system.
    ///
    /// # Safety
    ///
    /// Each number is the one that `system` has for the request in the field's description.
    ///
    /// # Panics
    ///
    /// A number has no length or no direction.
    #[must_use]
    pub const unsafe fn declare(self, system: System) -> Requests {
        // SAFETY of each block below: the caller vouches for the number. Its argument is then an `ifreq` or
        // the like; each block says which members are used, and none of these contains an address.
        Requests {
            // SAFETY: `ifru_flags` is filled in.
            get_flags: unsafe { Request::new(system, self.get_flags) },
            // SAFETY: `ifru_flags` is read.
            set_flags: unsafe { Request::new(system, self.set_flags) },
            // SAFETY: `ifru_mtu`, or `ifru_metric` in its place, is filled in.
            get_mtu: unsafe { Request::new(system, self.get_mtu) },
            // SAFETY: `ifru_mtu`, or `ifru_metric` in its place, is read.
            set_mtu: unsafe { Request::new(system, self.set_mtu) },
            // SAFETY: only the name is read and filled in; `SIOCIFCREATE2` is the one that follows
            // `ifru_data`.
            create: unsafe { Request::new(system, self.create) },
            // SAFETY: only the name is read.
            destroy: unsafe { Request::new(system, self.destroy) },
            // SAFETY: three `sockaddr`s are read, which the argument contains whole.
            add_address: unsafe { Request::new(system, self.add_address) },
            // SAFETY: `ifru_addr` is read, which the argument contains whole.
            delete_address: unsafe { Request::new(system, self.delete_address) },
            // SAFETY: three `sockaddr_in6`, flags and lifetimes are read, which the argument contains whole.
            add_address_v6: unsafe { Request::new(system, self.add_address_v6) },
            // SAFETY: `ifru_addr` is read, which the argument contains whole.
            delete_address_v6: unsafe { Request::new(system, self.delete_address_v6) },
            // SAFETY: `ifru_addr` is read, and `ifru_flags6` is filled in.
            get_address_flags_v6: unsafe { Request::new(system, self.get_address_flags_v6) },
            // SAFETY: the argument consists of a name and a number.
            attach_family: unsafe { declared(system, self.attach_family) },
            // SAFETY: `ifru_addr` is read, which the argument contains whole.
            set_mac: unsafe { declared(system, self.set_mac) },
            // SAFETY: two `sockaddr_storage` are read, which the argument contains whole.
            set_link_address: unsafe { declared(system, self.set_link_address) },
            tun_set_head: without_address(system, self.tun_set_head),
            tun_get_head: without_address(system, self.tun_get_head),
            tun_set_mode: without_address(system, self.tun_set_mode),
            tun_set_link_mode: without_address(system, self.tun_set_link_mode),
            // SAFETY: `tuninfo` consists of integers.
            tun_set_info: unsafe { declared(system, self.tun_set_info) },
            tun_get_info: without_address(system, self.tun_get_info),
            tun_name: without_address(system, self.tun_name),
            set_transient: without_address(system, self.set_transient),
            tap_name: without_address(system, self.tap_name),
            // SAFETY: `tapinfo` consists of integers.
            tap_set_info: unsafe { declared(system, self.tap_set_info) },
            tap_set_vnet_header: without_address(system, self.tap_set_vnet_header),
            tap_get_vnet_header: without_address(system, self.tap_get_vnet_header),
            // SAFETY: the name is read, and the identifier is filled in; the argument contains both whole.
            control_info: unsafe { declared(system, self.control_info) },
            set_nonblocking: Request::without_address(system, self.set_nonblocking),
            waiting: Request::without_address(system, self.waiting),
        }
    }
}

/// # Safety
///
/// As [`Request::new`], if there is an opcode.
const unsafe fn declared(system: System, opcode: Option<Opcode>) -> Option<Request> {
    match opcode {
        // SAFETY: the caller makes the same promise.
        Some(opcode) => Some(unsafe { Request::new(system, opcode) }),
        None => None,
    }
}

const fn without_address(system: System, opcode: Option<Opcode>) -> Option<Request> {
    match opcode {
        Some(opcode) => Some(Request::without_address(system, opcode)),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::bsd::{System, io, ior, iow, iowr, macos, netbsd};

    use super::{Direction, Request};

    #[test]
    fn a_number_contains_length_and_direction() {
        let requests = netbsd::ABI.requests;
        assert_eq!((requests.get_flags.length(), requests.get_flags.direction()), (144, Direction::Both));
        assert_eq!((requests.set_flags.length(), requests.set_flags.direction()), (144, Direction::In));
        assert_eq!((requests.waiting.length(), requests.waiting.direction()), (4, Direction::Out));
        assert_eq!(macos::ABI.requests.control_info.map(|request| request.zeroed().len()), Some(100));
    }

    #[test]
    fn an_argument_without_room_for_an_address_needs_no_promise() {
        assert_eq!(Request::without_address(System::NetBsd, iow(b't', 1, 7)).length(), 7);
        assert_eq!(Request::without_address(System::NetBsd, ior(b't', 1, 144)).length(), 144);
    }

    #[test]
    #[should_panic(expected = "WORD")]
    fn an_argument_with_room_for_an_address_needs_a_promise() {
        let _ = Request::without_address(System::NetBsd, iow(b't', 1, 8));
    }

    #[test]
    #[should_panic(expected = "WORD")]
    fn an_argument_that_travels_both_ways_needs_a_promise() {
        let _ = Request::without_address(System::NetBsd, iowr(b't', 1, 100));
    }

    #[test]
    #[should_panic(expected = "VOID")]
    fn a_number_without_an_argument_is_no_request_of_bytes() {
        let _ = Request::without_address(System::NetBsd, io(b't', 1));
    }
}
