//! The interface: a network interface of the kernel, with or without a device attached.

use std::ffi::{CStr, CString};
use std::fmt;

use crate::apply::apply;
use crate::{
    Cause, Changes, Error, InterfaceAddress, InterfaceConfig, InterfaceIndex, InterfaceInfo, InterfaceName,
    MacAddress, Mtu, Operation, Result, State, Statistics,
};

/// A network interface of the TUN/TAP driver: a handle by index, in the namespace where it was found.
///
/// A handle holds nothing alive. When the interface is deleted, or moved to another namespace, every
/// operation answers [`Cause::Gone`](crate::Cause::Gone).
///
/// # What a backend implements
///
/// What every system has is required. What some systems lack has a default that answers
/// [`Cause::Unsupported`](crate::Cause::Unsupported); the rest is built on these.
pub trait Interface: fmt::Debug + Clone + Send + Sync + 'static {
    /// Its index. Manual page: `if_nametoindex(3)`.
    fn index(&self) -> InterfaceIndex;

    /// The same handle, for a series of changes that begins now, right after the interface was created, or
    /// [`info`](Self::info) has shown that it is there. [`apply`](Self::apply) uses it.
    ///
    /// A backend whose operations ask each time whether the interface is still the same one, and in what
    /// state, leaves that out for this handle. Keep it for the series only.
    fn unchecked(&self) -> Self {
        self.clone()
    }

    /// Makes several changes in one request, and returns whether all are made. If not, some may be:
    /// [`apply`](Self::apply), which uses this, then makes them one by one, and learns which one is refused
    /// and why.
    ///
    /// A backend whose kernel has no such request changes nothing and returns `false`.
    fn change_together(&self, changes: &Changes) -> bool {
        let _ = changes;
        false
    }

    /// What the kernel says of it now, in one question.
    ///
    /// # Errors
    ///
    /// `Gone`.
    fn info(&self) -> Result<InterfaceInfo>;

    /// Its addresses, in the kernel's order; IPv6 link-local addresses that the kernel made are among them.
    ///
    /// # Errors
    ///
    /// `Gone`.
    #[doc(alias = "getifaddrs")]
    #[doc(alias = "RTM_GETADDR")]
    fn addresses(&self) -> Result<Vec<InterfaceAddress>>;

    /// Adds an address to those that it has; whether it is new. Repeating one succeeds and changes nothing,
    /// not even its broadcast address.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `AddressExists` if it is there with another prefix or peer, and a kernel holds
    /// the two for one; `InvalidAddress` if the kernel refuses it; `NoIpv6`; `Gone`.
    #[doc(alias = "SIOCSIFADDR")]
    #[doc(alias = "RTM_NEWADDR")]
    fn add_address(&self, address: InterfaceAddress) -> Result<bool>;

    /// Adds an address as [`add_address`](Self::add_address) does, without duplicate address detection: a
    /// socket can be bound to it when this returns, if the interface is up.
    ///
    /// A system first asks on the link of a tap whether another station has an IPv6 address already, and for
    /// a second or two nobody can use it. Where nobody else can have it, as behind a device that a program
    /// made for itself, that is lost time. On a tun, and for IPv4, both methods are the same.
    ///
    /// # Errors
    ///
    /// Those of [`add_address`](Self::add_address); `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux. The other systems cannot leave it out for one address.
    #[doc(alias = "IFA_F_NODAD")]
    fn add_address_without_dad(&self, address: InterfaceAddress) -> Result<bool> {
        let _ = address;
        Err(Error::new(Operation::AddAddress, Cause::Unsupported))
    }

    /// Removes an address; prefix length and peer must be those of the one that is there.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `AddressNotFound`; `Gone`.
    ///
    /// # Platform
    ///
    /// On Linux, when the first IPv4 address of a network goes, the others of that network go with it, unless
    /// the sysctl `promote_secondaries` is set.
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

    /// Gives a tap this MAC address, whether it is up or down. The kernel does not look for another interface
    /// that has it.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `LayerMismatch`: a tun has none; `InvalidMac` if the kernel refuses it;
    /// `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux gives a new tap a random one, which is local, and keeps one that was set as long as the
    /// interface is there. IPv6 link-local addresses that it has made of the old one stay.
    #[doc(alias = "SIOCSIFHWADDR")]
    #[doc(alias = "SIOCSIFLLADDR")]
    #[doc(alias = "IFLA_ADDRESS")]
    fn set_mac(&self, mac: MacAddress) -> Result<()>;

    /// Deletes the interface, persistent or not, whoever has it open: their devices answer `Gone` from then
    /// on.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `Gone` if another was faster.
    #[doc(alias = "RTM_DELLINK")]
    fn delete(&self) -> Result<()>;

    /// How many packets the kernel dropped since the interface was made, because no device took them in time,
    /// or none was attached.
    ///
    /// # Errors
    ///
    /// `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// On Linux, `tx_dropped` of the interface's statistics. FreeBSD and OpenBSD count them; the other
    /// systems do not.
    #[doc(alias = "tx_dropped")]
    fn dropped(&self) -> Result<u64> {
        Ok(self.statistics()?.to_program.dropped)
    }

    /// What the kernel has counted of its packets, in each direction, since the interface was made.
    ///
    /// # Errors
    ///
    /// `Gone`; `Unsupported`.
    ///
    /// # Platform
    ///
    /// Linux. On the other systems, FreeBSD and OpenBSD have [`dropped`](Self::dropped) alone.
    #[doc(alias = "IFLA_STATS64")]
    #[doc(alias = "/proc/net/dev")]
    fn statistics(&self) -> Result<Statistics> {
        Err(Error::new(Operation::ReadStatistics, Cause::Unsupported))
    }

    /// Renames the interface. Renaming to the current name does nothing.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `Exists` if another interface has the name; `InvalidName` if the kernel refuses
    /// it; `Busy` if the interface is up and a kernel renames none that is; `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux, from about 6.3 on also while it is up; FreeBSD and DragonFly. The other systems cannot.
    #[doc(alias = "SIOCSIFNAME")]
    #[doc(alias = "IFLA_IFNAME")]
    fn rename(&self, name: &InterfaceName) -> Result<()> {
        let _ = name;
        Err(Error::new(Operation::Rename, Cause::Unsupported))
    }

    /// Sets how many packets wait for the program at most, in each queue. Packets that wait and no longer fit
    /// are lost.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux, `tx_queue_len`: 500 on a new tun, 1000 on a new tap. The other systems cannot.
    #[doc(alias = "SIOCSIFTXQLEN")]
    #[doc(alias = "IFLA_TXQLEN")]
    #[doc(alias = "txqueuelen")]
    fn set_queue_length(&self, packets: u32) -> Result<()> {
        let _ = packets;
        Err(Error::new(Operation::SetQueueLength, Cause::Unsupported))
    }

    /// Switches its carrier on or off. Without a [carrier](InterfaceInfo::carrier), the system sends no
    /// packet out of an interface, though it is up.
    ///
    /// A program that serves as a link uses it to say that the far end cannot be reached: routing programs
    /// choose another way, and a bridge stops forwarding.
    ///
    /// Packets that wait stay, and what the program sends still arrives.
    ///
    /// # Errors
    ///
    /// `NoQueue`: it is to go on, and no queue is in service; `MissingCapability`; `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux, where the interface of an open device takes no capability. Linux 6.18 sends nothing more when
    /// this returns; older kernels may take up to a second. The other systems cannot.
    #[doc(alias = "TUNSETCARRIER")]
    #[doc(alias = "IFLA_CARRIER")]
    fn set_carrier(&self, on: bool) -> Result<()> {
        let _ = on;
        Err(Error::new(Operation::SetCarrier, Cause::Unsupported))
    }

    /// Its description, a text for people; empty if it has none.
    ///
    /// # Errors
    ///
    /// `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux calls it the alias. FreeBSD and OpenBSD have it, too; here the other systems do not.
    #[doc(alias = "SIOCGIFDESCR")]
    #[doc(alias = "IFLA_IFALIAS")]
    #[doc(alias = "ifalias")]
    fn description(&self) -> Result<CString> {
        Err(Error::new(Operation::Describe, Cause::Unsupported))
    }

    /// Sets its description, or removes it if the text is empty. It stays with the interface, whatever that
    /// is called.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `InvalidValue` if the text is too long for the system; `Unsupported`; `Gone`.
    ///
    /// # Platform
    ///
    /// Linux takes 255 bytes; FreeBSD 1023, or what the sysctl `net.ifdescr_maxlen` says; OpenBSD 63.
    #[doc(alias = "SIOCSIFDESCR")]
    #[doc(alias = "IFLA_IFALIAS")]
    #[doc(alias = "ifalias")]
    fn set_description(&self, description: &CStr) -> Result<()> {
        let _ = description;
        Err(Error::new(Operation::Describe, Cause::Unsupported))
    }

    /// Makes it what `config` names: changes what differs, and nothing else. What is so already takes no
    /// right. If a step fails, what was done before it is undone.
    ///
    /// ```
    /// # use tunctl_core::{Interface, InterfaceConfig, Result};
    /// # fn example<I: Interface>(interface: &I) -> Result<()> {
    /// interface.apply(&InterfaceConfig::new().mtu(1400).address("10.1.1.1/24").up())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// That of the first value of `config` that is wrong, before anything else; that of the step that failed,
    /// under the step's own [operation](crate::Error::operation), and with what [could not be
    /// undone](crate::Error::leftovers). `InvalidMtu` if it would lose IPv6 addresses for the
    /// [MTU](InterfaceConfig::mtu); `AddressNotFound` if it does not have an address that is to go.
    fn apply(&self, config: &InterfaceConfig) -> Result<()> {
        apply(self, config)
    }

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

    /// Brings it up and gives it an address, as [`apply`](Self::apply) does: if the address is refused, it is
    /// as it was.
    ///
    /// # Errors
    ///
    /// Those of [`set_state`](Self::set_state) and of [`add_address`](Self::add_address).
    fn up(&self, address: InterfaceAddress) -> Result<()> {
        let config = InterfaceConfig::new().address(address).up();
        self.apply(&config).map_err(|error| match error.operation() {
            Operation::Inspect | Operation::ListAddresses => error.with_operation(Operation::Up),
            _ => error,
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

    /// Makes these its addresses, as [`apply`](Self::apply) does: adds those that are missing, then removes
    /// the others. IPv6 link-local addresses, which kernels make by themselves, stay. An old form of a wanted
    /// address, with another prefix or peer, goes first.
    ///
    /// # Errors
    ///
    /// Those of [`apply`](Self::apply).
    fn replace_addresses(&self, addresses: &[InterfaceAddress]) -> Result<()> {
        let none = InterfaceConfig::new().replace_addresses(true);
        self.apply(&addresses.iter().copied().fold(none, InterfaceConfig::address))
    }
}
