//! The interface: a network interface of the kernel, with or without a device attached.

use std::fmt;

use crate::{
    Cause, CreateFlags, CreateOptions, Gid, InterfaceAddress, InterfaceIndex, InterfaceName, Layer,
    MacAddress, Mtu, Operation, Result, Uid,
};

/// Whether an interface is administratively up, and takes packets.
///
/// Carrier is another matter, and follows asynchronously.
#[doc(alias = "IFF_UP")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It takes packets.
    Up,
    /// It does not.
    Down,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Up => "up",
            Self::Down => "down",
        })
    }
}

/// What the kernel reported of an interface at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterfaceInfo {
    /// Its name.
    pub name: InterfaceName,
    /// Its index, which renaming does not change.
    pub index: InterfaceIndex,
    /// What a packet starts with.
    pub layer: Layer,
    /// The creation flags that the kernel still knows: layer, packet information, virtio-net header, queues.
    pub flags: CreateFlags,
    /// The most bytes a packet may have.
    pub mtu: Mtu,
    /// Its MAC address, if it is a tap.
    pub mac: Option<MacAddress>,
    /// Whether it is up.
    pub state: State,
    /// Whether it outlives its last device.
    pub persistent: bool,
    /// The user that may attach without privilege.
    pub owner: Option<Uid>,
    /// The group whose members may attach without privilege.
    pub group: Option<Gid>,
    /// How many queues are attached, disabled ones included. `None` where the kernel does not say.
    ///
    /// Linux counts the queues of a multi-queue interface; of a single queue its carrier tells, so one whose carrier
    /// was switched off counts as absent.
    pub queues: Option<u32>,
}

impl InterfaceInfo {
    /// What is known of every interface, for a backend to complete: down, not persistent,
    /// nobody's, MAC address and queues unknown.
    #[must_use]
    pub fn new(name: InterfaceName, index: InterfaceIndex, layer: Layer, mtu: Mtu) -> Self {
        Self {
            name,
            index,
            layer,
            flags: CreateFlags::from(layer),
            mtu,
            mac: None,
            state: State::Down,
            persistent: false,
            owner: None,
            group: None,
            queues: None,
        }
    }

    /// Options by which a backend opens this interface as it is: its name, its layer, its packet headers.
    ///
    /// # Errors
    ///
    /// `InvalidOptions`: the flags make no sense together, which no kernel reports.
    pub fn options(&self) -> Result<CreateOptions> {
        Ok(CreateOptions::from_flags(self.flags)?.pattern(self.name))
    }
}

/// A network interface of the TUN/TAP driver: a handle by index, in the namespace where it was found.
///
/// A handle holds nothing alive. When the interface is deleted, or moved to another namespace, every operation answers
/// [`Cause::Gone`](crate::Cause::Gone).
pub trait Interface: fmt::Debug + Clone + Send + Sync {
    /// Its index. Manual page: `if_nametoindex(3)`.
    fn index(&self) -> InterfaceIndex;

    /// What the kernel says of it now, in one question.
    ///
    /// # Errors
    ///
    /// `Gone`.
    fn info(&self) -> Result<InterfaceInfo>;

    /// How many packets the kernel dropped since the interface was made, because no device took them in time, or none was
    /// attached.
    ///
    /// # Errors
    ///
    /// `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// On Linux, `tx_dropped` of the interface's statistics.
    #[doc(alias = "tx_dropped")]
    fn dropped(&self) -> Result<u64>;

    /// Its addresses, in the kernel's order; IPv6 link-local addresses that the kernel made are among them.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "getifaddrs")]
    #[doc(alias = "RTM_GETADDR")]
    fn addresses(&self) -> Result<Vec<InterfaceAddress>>;

    /// Adds an address to those that it has; whether it is new. Repeating one succeeds and changes nothing, not even its
    /// broadcast address.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `AddressExists` if it is there with another prefix or peer, and a kernel holds the two for
    /// one; `InvalidAddress` if the kernel refuses it; `NoIpv6`; `Gone`.
    #[doc(alias = "SIOCSIFADDR")]
    #[doc(alias = "RTM_NEWADDR")]
    fn add_address(&self, address: InterfaceAddress) -> Result<bool>;

    /// Removes an address; prefix length and peer must be those of the one that is there.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `AddressNotFound`; `Gone`.
    ///
    /// # Platform
    ///
    /// On Linux, when the first IPv4 address of a network goes, the others of that network go with it, unless the
    /// sysctl `promote_secondaries` is set.
    #[doc(alias = "RTM_DELADDR")]
    fn remove_address(&self, address: InterfaceAddress) -> Result<()>;

    /// Brings it up, or takes it down: one flag, nothing else.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `Gone`.
    ///
    /// # Platform
    ///
    /// When an interface goes down, Linux removes its IPv6 addresses and keeps its IPv4 ones.
    #[doc(alias = "SIOCSIFFLAGS")]
    fn set_state(&self, state: State) -> Result<()>;

    /// Sets the most bytes that a packet may have.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `InvalidMtu` if this interface cannot have it; `Gone`.
    #[doc(alias = "SIOCSIFMTU")]
    fn set_mtu(&self, mtu: Mtu) -> Result<()>;

    /// Gives a tap this MAC address, whether it is up or down. The kernel does not look for another interface that has it.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `LayerMismatch`: a tun has none; `InvalidMac` if the kernel refuses it; `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux gives a new tap a random one, which is local, and keeps one that was set as long as the interface is there. IPv6
    /// link-local addresses that it has made of the old one stay.
    #[doc(alias = "SIOCSIFHWADDR")]
    #[doc(alias = "SIOCSIFLLADDR")]
    #[doc(alias = "IFLA_ADDRESS")]
    fn set_mac(&self, mac: MacAddress) -> Result<()>;

    /// Gives it another name. To the one that it has, it succeeds.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `Exists` if another interface has the name; `InvalidName` if the kernel refuses it; `Busy` if the
    /// interface is up and a kernel renames none that is; `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux, from about 6.3 on also while it is up; FreeBSD and DragonFly. The other systems cannot.
    #[doc(alias = "SIOCSIFNAME")]
    #[doc(alias = "IFLA_IFNAME")]
    fn rename(&self, name: &InterfaceName) -> Result<()>;

    /// Deletes the interface, persistent or not, whoever has it open: their devices answer `Gone` from then on.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `Gone` if another was faster.
    #[doc(alias = "RTM_DELLINK")]
    fn delete(&self) -> Result<()>;

    /// Its name, which may have changed since you last asked.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "devname")]
    fn name(&self) -> Result<InterfaceName> {
        Ok(self.info()?.name)
    }

    /// The most bytes that a packet may have.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "SIOCGIFMTU")]
    fn mtu(&self) -> Result<Mtu> {
        Ok(self.info()?.mtu)
    }

    /// Its MAC address; `None`: it is a tun.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "SIOCGIFHWADDR")]
    fn mac(&self) -> Result<Option<MacAddress>> {
        Ok(self.info()?.mac)
    }

    /// Whether it is up.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "SIOCGIFFLAGS")]
    fn state(&self) -> Result<State> {
        Ok(self.info()?.state)
    }

    /// Brings it up and gives it an address. If the address is refused, an interface that was down is taken down again.
    ///
    /// # Errors
    ///
    /// Those of [`set_state`](Self::set_state) and of [`add_address`](Self::add_address).
    fn up(&self, address: InterfaceAddress) -> Result<()> {
        let before = self.state().map_err(|error| error.with_operation(Operation::Up))?;
        // In this order, since Linux never adds the route to an IPv6 peer if the interface was down at that time.
        let done = self.set_state(State::Up).and_then(|()| self.add_address(address));
        done.map(drop).inspect_err(|_| {
            if before == State::Down {
                // The first failure is the one to tell; a failed clean-up most likely has the same cause.
                let _ = self.set_state(State::Down);
            }
        })
    }

    /// Takes it down: clears the up flag only.
    ///
    /// # Errors
    ///
    /// Those of [`set_state`](Self::set_state).
    ///
    /// # Platform
    ///
    /// Linux keeps the IPv4 addresses of an interface that goes down, and removes the IPv6 ones.
    fn down(&self) -> Result<()> {
        self.set_state(State::Down)
    }

    /// Makes these its addresses: adds those that are missing, then removes the others. IPv6 link-local addresses,
    /// which kernels make by themselves, stay. An old form of a wanted address, with another prefix or peer, goes first.
    /// If an addition fails, what was done before it is undone.
    ///
    /// # Errors
    ///
    /// Those of [`add_address`](Self::add_address) and of [`remove_address`](Self::remove_address). After a failed
    /// removal, old addresses may be left beside the new ones.
    fn replace_addresses(&self, addresses: &[InterfaceAddress]) -> Result<()> {
        let before = self.addresses()?;
        let is_wanted = |old: &InterfaceAddress| addresses.iter().any(|wanted| wanted.same_as(old));
        let stale: Vec<_> = before.into_iter().filter(|old| !is_link_local(old) && !is_wanted(old)).collect();
        let mut undo = Undo::default();
        for &address in addresses {
            if let Err(error) = put(self, address, &stale, &mut undo) {
                undo.run(self);
                return Err(error);
            }
        }
        for &old in &stale {
            remove_if_there(self, old)?;
        }
        // Linux removes the later addresses of a network together with its first.
        addresses.iter().try_for_each(|&address| self.add_address(address).map(drop))
    }
}

/// What a replacement has done so far.
#[derive(Default)]
struct Undo {
    added: Vec<InterfaceAddress>,
    removed: Vec<InterfaceAddress>,
}

impl Undo {
    /// The failure that led here is the one to tell; a failure to undo most likely has the same cause.
    fn run<I: Interface>(self, interface: &I) {
        for &address in self.added.iter().rev() {
            let _ = interface.remove_address(address);
        }
        for &address in self.removed.iter().rev() {
            let _ = interface.add_address(address);
        }
    }
}

/// Adds an address, in place of its old forms if they are in its way.
fn put<I: Interface>(
    interface: &I,
    address: InterfaceAddress,
    stale: &[InterfaceAddress],
    undo: &mut Undo,
) -> Result<()> {
    let added = match interface.add_address(address) {
        Err(error) if error.cause() == Cause::AddressExists => {
            for &old in stale.iter().filter(|old| old.address() == address.address()) {
                remove_if_there(interface, old)?;
                undo.removed.push(old);
            }
            interface.add_address(address)?
        }
        outcome => outcome?,
    };
    if added {
        undo.added.push(address);
    }
    Ok(())
}

fn remove_if_there<I: Interface>(interface: &I, address: InterfaceAddress) -> Result<()> {
    match interface.remove_address(address) {
        Err(error) if error.cause() == Cause::AddressNotFound => Ok(()),
        outcome => outcome,
    }
}

fn is_link_local(address: &InterfaceAddress) -> bool {
    match address.address() {
        std::net::IpAddr::V6(v6) => v6.is_unicast_link_local(),
        std::net::IpAddr::V4(_) => false,
    }
}
