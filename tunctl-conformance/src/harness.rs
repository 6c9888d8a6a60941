//! What the suite asks of whoever runs it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use tunctl_core::{
    AdoptError, Error, EventWatcher, InterfaceAddress, InterfaceIndex, InterfaceInfo, InterfaceName,
    MacFilter, Operation, Result, Statistics, TunBackend,
};
use tunctl_packet::bpf::Program;
use tunctl_packet::header::{VnetHeader, VnetRules};

/// The device of a harness's backend.
pub type DeviceOf<H> = <<H as Harness>::Backend as TunBackend>::Device;
/// The interface of a harness's backend.
pub type InterfaceOf<H> = <<H as Harness>::Backend as TunBackend>::Interface;

/// A backend under test, and the system around it: a network namespace in which nothing but the case does
/// anything.
///
/// The system's side never goes through the backend: what it reports is evidence, and what it does is what
/// another program would do. A method that fails panics, since the case then proves nothing.
pub trait Harness {
    /// The backend under test.
    type Backend: TunBackend;

    /// The backend. It starts in a namespace without TUN/TAP interfaces.
    fn backend(&self) -> &Self::Backend;

    /// In what this system differs from others.
    fn profile(&self) -> Profile;

    /// What the system itself reports of an interface of this namespace; `None` if there is none of that
    /// name. Queues may be unknown.
    fn report(&self, name: &InterfaceName) -> Option<InterfaceInfo>;

    /// The addresses that the system itself reports, with prefix and peer, in no particular order.
    fn reported_addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress>;

    /// How many packets the system dropped on the way to a device of this interface.
    fn dropped(&self, name: &InterfaceName) -> u64;

    /// What the system itself has counted of an interface's packets; `None` if the system does not count
    /// them all.
    fn statistics(&self, _name: &InterfaceName) -> Option<Statistics> {
        None
    }

    /// Makes the system send one packet out of an interface, as it is: on a tun an IP packet, on a tap a
    /// frame. Whether it reached a queue; it has when this returns.
    fn inject(&self, name: &InterfaceName, packet: &[u8]) -> bool;

    /// As [`inject`](Self::inject), a packet that the system may have to finish first: the header says how,
    /// and is one that the system takes. It may be sent when this returns, or be dropped. False: the system
    /// has no such packets.
    fn inject_large(&self, _name: &InterfaceName, _header: &VnetHeader, _packet: &[u8]) -> bool {
        false
    }

    /// Watches what the system receives from the devices of an interface, from now on.
    fn observe(&self, name: &InterfaceName) -> Box<dyn Observation>;

    /// Another program, which may, deletes an interface of this namespace.
    fn delete(&self, name: &InterfaceName);

    /// Another program, which may, makes a persistent tap of this name with this index, which is free;
    /// whether the system lets it choose the index.
    fn make_with_index(&self, name: &InterfaceName, index: InterfaceIndex) -> bool;

    /// Another program, which may, renames an interface of this namespace; whether the system permitted it.
    fn rename(&self, from: &InterfaceName, to: &InterfaceName) -> bool;

    /// Another program, which may, moves an interface to another namespace, where it keeps its name.
    fn move_to_namespace(&self, name: &InterfaceName);

    /// What the system reports of an interface in the namespace to which interfaces are moved.
    fn report_elsewhere(&self, name: &InterfaceName) -> Option<InterfaceInfo>;

    /// The backend, in the namespace to which interfaces are moved, if it implements
    /// [`Namespaces`](tunctl_core::Namespaces).
    fn backend_elsewhere(&self) -> Option<Result<Self::Backend>> {
        None
    }

    /// Moves an interface to that namespace by the backend, if it implements
    /// [`Namespaces`](tunctl_core::Namespaces).
    fn move_by_handle(&self, _interface: &InterfaceOf<Self>) -> Option<Result<()>>
    where
        Self: Sized,
    {
        None
    }

    /// Another program, which may, switches an interface of this namespace on or off.
    fn set_up(&self, name: &InterfaceName, up: bool);

    /// Another program, which may, adds an address to an interface of this namespace. It is asked of a
    /// harness whose backend cannot.
    fn add_address(&self, name: &InterfaceName, address: InterfaceAddress) {
        panic!("the backend gives {name} the address {address} itself");
    }

    /// Another program, which may, switches the carrier of an interface of this namespace; whether the system
    /// permitted it. `None` if interfaces have no carrier to switch.
    fn set_carrier(&self, _name: &InterfaceName, _on: bool) -> Option<bool> {
        None
    }

    /// Does something as another user: effective uid and gid, no other groups, and with or without the
    /// privilege to configure networks (`CAP_NET_ADMIN`). Afterwards the caller is who it was.
    fn as_caller(&self, uid: u32, gid: u32, capable: bool, work: &mut dyn FnMut());

    /// Brings an interface up with the system's own IPv6 switched on, so that the system looks for routers
    /// and has an address of its own. False if it cannot be made to.
    fn look_for_routers(&self, _name: &InterfaceName) -> bool {
        false
    }

    /// Lets time pass, in which the system may forget something.
    fn pass_time(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    /// What a poll of the device reports at this moment.
    fn poll_state(&self, device: &DeviceOf<Self>) -> PollState;

    /// An interface of this namespace that is no TUN/TAP interface.
    fn other_interface(&self) -> InterfaceName;

    /// Attaches (`true`) or detaches the device's queue, if the device implements
    /// [`Queues`](tunctl_core::Queues).
    fn set_queue(&self, device: &DeviceOf<Self>, attached: bool) -> Option<Result<()>>;

    /// Attaches a program to the device's interface, or detaches the one that is there, if the device
    /// implements [`Filters`](tunctl_core::Filters).
    fn set_filter(&self, _device: &DeviceOf<Self>, _program: Option<&Program>) -> Option<Result<()>> {
        None
    }

    /// Sets the MAC filter of the device's interface, if the device implements
    /// [`Filters`](tunctl_core::Filters).
    fn set_mac_filter(&self, _device: &DeviceOf<Self>, _filter: Option<&MacFilter>) -> Option<Result<()>> {
        None
    }

    /// Begins to watch an interface, or all, if the backend and its interfaces implement
    /// [`Events`](tunctl_core::Events).
    fn events(&self, of: Option<&InterfaceOf<Self>>) -> Option<Result<Box<dyn EventWatcher>>> {
        let _ = of;
        None
    }

    /// Makes a descriptor of a device; `None` if the backend does not implement
    /// [`Adopt`](tunctl_core::Adopt).
    fn hand_over(&self, _device: DeviceOf<Self>) -> Option<OwnedFd> {
        None
    }

    /// Makes a device of a descriptor; `None` if the backend does not implement
    /// [`Adopt`](tunctl_core::Adopt).
    fn adopt(&self, _fd: OwnedFd) -> Option<Result<DeviceOf<Self>, AdoptError>> {
        None
    }

    /// Tries an operation that no trait has; `None` if the backend has no such thing.
    fn attempt(&self, operation: Operation) -> Option<Result<(), Error>>;
}

/// What the system has received from the devices of an interface since the observation began.
pub trait Observation {
    /// The oldest packet that was not taken yet, as it passed the interface: without packet information or
    /// virtio-net header.
    fn take(&mut self) -> Option<Vec<u8>>;
}

/// What a poll of a device's descriptor reports at one moment.
#[doc(alias = "poll")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PollState {
    /// A packet waits.
    #[doc(alias = "POLLIN")]
    pub readable: bool,
    /// The interface is up, and takes packets.
    #[doc(alias = "POLLOUT")]
    pub writable: bool,
    /// The interface is gone.
    #[doc(alias = "POLLERR")]
    pub error: bool,
}

/// In what systems differ where the suite has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Profile {
    /// Without privilege, a caller may attach to a persistent interface that belongs to nobody.
    pub ownerless_attach: bool,
    /// An interface may be renamed while it is up.
    pub rename_while_up: bool,
    /// What the system demands of a virtio-net header in front of a packet that is sent.
    pub vnet_rules: VnetRules,
    /// The errno of a pattern whose next number would make the name too long.
    pub exhausted_errno: i32,
    /// The packets that a queue holds unless told otherwise, on a tun.
    pub tun_queue_length: usize,
    /// The packets that a queue holds unless told otherwise, on a tap.
    pub tap_queue_length: usize,
    /// How many packets must be read from a full queue before there is room for as many: a matter of cache
    /// lines.
    pub queue_batch: usize,
    /// The longest queue that a program may ask for, in packets: a matter of netlink, and more than the
    /// system has memory for where it is not bounded.
    pub longest_queue: u32,
    /// Whether a packet has room for few pages alone behind the headers whose length it states.
    pub few_pages: bool,
    /// The most queues that an interface may have.
    pub most_queues: usize,
    /// Errnos are Linux's numbers; elsewhere the suite goes by causes alone.
    pub linux_errnos: bool,
    /// What interfaces may be called.
    pub names: Names,
}

/// What interfaces may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Names {
    /// Anything.
    Free,
    /// By their kind and a number. The suite then means such a name by any of its own.
    Units {
        /// A tun, before its number.
        tun: &'static str,
        /// A tap.
        tap: &'static str,
    },
}

impl Profile {
    /// Linux 6.18's.
    pub const LINUX_6_18: Self = Self {
        ownerless_attach: true,
        rename_while_up: true,
        vnet_rules: VnetRules::LINUX_6_18,
        exhausted_errno: 17,
        tun_queue_length: 500,
        tap_queue_length: 1000,
        queue_batch: 16,
        longest_queue: u32::MAX,
        few_pages: false,
        most_queues: 256,
        linux_errnos: true,
        names: Names::Free,
    };

    /// With another answer to an unprivileged caller that attaches to a persistent interface of nobody's.
    #[must_use]
    pub const fn with_ownerless_attach(mut self, permitted: bool) -> Self {
        self.ownerless_attach = permitted;
        self
    }

    /// With other rules for virtio-net headers.
    #[must_use]
    pub const fn with_vnet_rules(mut self, rules: VnetRules) -> Self {
        self.vnet_rules = rules;
        self
    }

    /// With another errno for a pattern whose next number would make the name too long.
    #[must_use]
    pub const fn with_exhausted_errno(mut self, errno: i32) -> Self {
        self.exhausted_errno = errno;
        self
    }

    /// With another longest queue.
    #[must_use]
    pub const fn with_longest_queue(mut self, packets: u32) -> Self {
        self.longest_queue = packets;
        self
    }

    /// With other room for a packet.
    #[must_use]
    pub const fn with_few_pages(mut self, few: bool) -> Self {
        self.few_pages = few;
        self
    }

    /// With errnos of its own.
    #[must_use]
    pub const fn with_own_errnos(mut self) -> Self {
        self.linux_errnos = false;
        self
    }

    /// With names by kind and number alone.
    #[must_use]
    pub const fn with_names(mut self, names: Names) -> Self {
        self.names = names;
        self
    }

    /// With another answer to renaming an interface that is up.
    #[must_use]
    pub const fn with_rename_while_up(mut self, permitted: bool) -> Self {
        self.rename_while_up = permitted;
        self
    }
}
