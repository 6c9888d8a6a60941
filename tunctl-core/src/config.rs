//! What an interface is to be like, what it is like, and the steps from one to the other.

use std::ffi::{CStr, CString};

use crate::{
    Cause, Error, Interface, InterfaceAddress, InterfaceInfo, InterfaceName, MacAddress, Mtu, Operation,
    Reason, Result, State,
};

/// What an interface is to be like, as far as it is named here: the rest stays as it is.
///
/// It is declarative. [`Interface::apply`](crate::Interface::apply) changes what differs and nothing else,
/// and undoes what it did if a step fails. [`CreateOptions`](crate::CreateOptions) carries one for a new
/// interface.
///
/// Setters take text and parse it, or take parsed values. The first one that is wrong is kept, and `apply`
/// returns it before it changes anything.
///
/// ```
/// use tunctl_core::{Interface, InterfaceConfig, Result};
///
/// fn shrink<I: Interface>(interface: &I) -> Result<()> {
///     interface.apply(&InterfaceConfig::new().mtu(1400).address("10.1.1.1/24").remove_address("10.0.0.1/24").up())
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct InterfaceConfig {
    pub(crate) name: Option<InterfaceName>,
    pub(crate) mtu: Option<Mtu>,
    pub(crate) mac: Option<MacAddress>,
    pub(crate) queue_length: Option<u32>,
    pub(crate) carrier: Option<bool>,
    pub(crate) description: Option<CString>,
    pub(crate) state: Option<State>,
    pub(crate) present: Vec<InterfaceAddress>,
    pub(crate) absent: Vec<InterfaceAddress>,
    /// Every address that is not in `present` goes.
    pub(crate) replaces: bool,
    pub(crate) drop_ipv6: bool,
    pub(crate) without_dad: bool,
    /// The first value that was wrong.
    pub(crate) invalid: Option<Error>,
}

impl InterfaceConfig {
    /// Nothing is named yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new name for an interface that exists; see [`Interface::rename`](crate::Interface::rename).
    pub fn name<N>(self, name: N) -> Self
    where
        N: TryInto<InterfaceName>,
        Error: From<N::Error>,
    {
        self.with(name, |config, name| config.name = Some(name))
    }

    /// The most bytes that a packet may have.
    ///
    /// IPv6 needs 1280. Below that, an interface that has IPv6 addresses of somebody's choice is refused,
    /// unless [`drop_ipv6`](Self::drop_ipv6) agrees that they go: Linux would remove them without a word.
    pub fn mtu<M>(self, mtu: M) -> Self
    where
        M: TryInto<Mtu>,
        Error: From<M::Error>,
    {
        self.with(mtu, |config, mtu| config.mtu = Some(mtu))
    }

    /// The MAC address of a tap.
    pub fn mac<M>(self, mac: M) -> Self
    where
        M: TryInto<MacAddress>,
        Error: From<M::Error>,
    {
        self.with(mac, |config, mac| config.mac = Some(mac))
    }

    /// How many packets wait for the program at most, in each queue.
    ///
    /// # Platform
    ///
    /// Linux; elsewhere it is `Unsupported`.
    #[doc(alias = "txqueuelen")]
    #[doc(alias = "IFLA_TXQLEN")]
    pub const fn queue_length(mut self, packets: u32) -> Self {
        self.queue_length = Some(packets);
        self
    }

    /// Whether it has a carrier; see [`Interface::set_carrier`](crate::Interface::set_carrier). It changes
    /// before the interface goes up.
    ///
    /// # Platform
    ///
    /// Linux; elsewhere it is `Unsupported`. A persistent interface loses its carrier with its last device,
    /// and gets it back with the next.
    #[doc(alias = "TUNSETCARRIER")]
    #[doc(alias = "IFLA_CARRIER")]
    pub const fn carrier(mut self, on: bool) -> Self {
        self.carrier = Some(on);
        self
    }

    /// A text for people that describes it; an empty one removes the description. A text with a NUL is wrong.
    ///
    /// # Platform
    ///
    /// Linux, FreeBSD and OpenBSD; elsewhere it is `Unsupported`.
    #[doc(alias = "ifalias")]
    pub fn description(mut self, text: impl Into<Vec<u8>>) -> Self {
        match CString::new(text) {
            Ok(text) => self.description = Some(text),
            Err(_) => self.invalidate(
                Reason::new(Cause::InvalidValue)
                    .with_detail("a description has no NUL")
                    .of(Operation::Configure),
            ),
        }
        self
    }

    /// An address that it is to have, beside those that it has: `10.1.1.1/24`, `fd77::1/64`, `10.0.0.1 peer
    /// 10.0.0.2/32`. May be repeated.
    ///
    /// An address without a prefix length takes that of its class, as [`InterfaceAddress`] says: write it.
    pub fn address<A>(self, address: A) -> Self
    where
        A: TryInto<InterfaceAddress>,
        Error: From<A::Error>,
    {
        self.with(address, |config, address| config.present.push(address))
    }

    /// Whether its new IPv6 addresses are added
    /// [without duplicate address detection](crate::Interface::add_address_without_dad), and so are usable
    /// at once.
    #[doc(alias = "IFA_F_NODAD")]
    pub const fn without_dad(mut self, on: bool) -> Self {
        self.without_dad = on;
        self
    }

    /// An address that it has and is to lose. May be repeated.
    pub fn remove_address<A>(self, address: A) -> Self
    where
        A: TryInto<InterfaceAddress>,
        Error: From<A::Error>,
    {
        self.with(address, |config, address| config.absent.push(address))
    }

    /// Whether the addresses named by [`address`](Self::address) are all that it is to have. IPv6 link-local
    /// addresses, which kernels make by themselves, stay.
    pub const fn replace_addresses(mut self, on: bool) -> Self {
        self.replaces = on;
        self
    }

    /// Whether its IPv6 addresses may go, if the [MTU](Self::mtu) becomes too small for IPv6.
    pub const fn drop_ipv6(mut self, on: bool) -> Self {
        self.drop_ipv6 = on;
        self
    }

    /// Up: it takes packets.
    pub const fn up(self) -> Self {
        self.state(State::Up)
    }

    /// Up or down.
    pub const fn state(mut self, state: State) -> Self {
        self.state = Some(state);
        self
    }

    /// The MTU; `None` if it is not named, as for all getters.
    #[must_use]
    pub const fn get_mtu(&self) -> Option<Mtu> {
        self.mtu
    }

    /// The MAC address.
    #[must_use]
    pub const fn get_mac(&self) -> Option<MacAddress> {
        self.mac
    }

    /// How many packets wait for the program at most.
    #[must_use]
    pub const fn get_queue_length(&self) -> Option<u32> {
        self.queue_length
    }

    /// Up or down.
    #[must_use]
    pub const fn get_state(&self) -> Option<State> {
        self.state
    }

    /// The description.
    #[must_use]
    pub fn get_description(&self) -> Option<&CStr> {
        self.description.as_deref()
    }

    /// The addresses that it is to have, in order.
    #[must_use]
    pub fn get_addresses(&self) -> &[InterfaceAddress] {
        &self.present
    }

    /// Whether its new IPv6 addresses are added without duplicate address detection.
    #[must_use]
    pub const fn get_without_dad(&self) -> bool {
        self.without_dad
    }

    /// Parses a value and stores it, or keeps why it is wrong.
    pub(crate) fn with<V, T>(mut self, value: V, store: impl FnOnce(&mut Self, T)) -> Self
    where
        V: TryInto<T>,
        Error: From<V::Error>,
    {
        match value.try_into() {
            Ok(value) => store(&mut self, value),
            Err(error) => self.invalidate(error),
        }
        self
    }

    pub(crate) fn invalidate(&mut self, error: impl Into<Error>) {
        self.invalid.get_or_insert_with(|| error.into());
    }

    /// Whether it could change addresses: also a kernel that changes MTU or state does.
    pub(crate) fn concerns_addresses(&self) -> bool {
        let named = !self.present.is_empty() || !self.absent.is_empty() || self.replaces;
        named || self.mtu.is_some() || self.state.is_some()
    }

    /// Whether nothing is named.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What an interface was like at one moment, as far as a configuration can change it.
pub(crate) struct Snapshot {
    pub(crate) info: InterfaceInfo,
    pub(crate) addresses: Vec<InterfaceAddress>,
    /// Known if the configuration names one.
    description: Option<CString>,
    /// Known if the configuration names one: else the last device that closes would be a change to undo.
    carrier: Option<bool>,
}

impl Snapshot {
    pub(crate) fn of<I: Interface>(interface: &I, config: &InterfaceConfig) -> Result<Self> {
        Self::with_info(interface.info()?, interface, config)
    }

    /// The same of an interface of which this was reported just now.
    pub(crate) fn with_info<I: Interface>(
        info: InterfaceInfo,
        interface: &I,
        config: &InterfaceConfig,
    ) -> Result<Self> {
        let interface = &interface.unchecked();
        let addresses = if config.concerns_addresses() { interface.addresses()? } else { Vec::new() };
        let description = config.description.as_ref().map(|_| interface.description()).transpose()?;
        let carrier = config.carrier.and(info.carrier);
        Ok(Self { info, addresses, description, carrier })
    }

    /// What a new interface is like. It has no addresses yet; of those that others have given it since,
    /// nothing would be left if a step failed.
    pub(crate) fn of_new<I: Interface>(
        info: InterfaceInfo,
        interface: &I,
        config: &InterfaceConfig,
    ) -> Result<Self> {
        if config.replaces || !config.absent.is_empty() {
            return Self::with_info(info, interface, config);
        }
        let description = config.description.as_ref().map(|_| CString::default());
        let carrier = config.carrier.and(info.carrier);
        Ok(Self { info, addresses: Vec::new(), description, carrier })
    }

    /// The steps to the properties that `config` names, other than name, state and addresses, whose order
    /// matters.
    pub(crate) fn changes(&self, config: &InterfaceConfig) -> Vec<Step> {
        let Self { info, .. } = self;
        let InterfaceConfig { mtu, mac, queue_length, carrier, ref description, .. } = *config;
        let description = description.clone().filter(|_| *description != self.description);
        let steps = [
            mtu.filter(|mtu| *mtu != info.mtu).map(Step::SetMtu),
            mac.filter(|_| mac != info.mac).map(Step::SetMac),
            queue_length.filter(|_| queue_length != info.queue_length).map(Step::SetQueueLength),
            carrier.filter(|_| carrier != info.carrier).map(Step::SetCarrier),
            description.map(Step::Describe),
        ];
        steps.into_iter().flatten().collect()
    }

    /// The configuration that names these properties as they are.
    pub(crate) fn as_config(&self) -> InterfaceConfig {
        let InterfaceInfo { mtu, mac, queue_length, .. } = self.info;
        let (carrier, description) = (self.carrier, self.description.clone());
        InterfaceConfig { mtu: Some(mtu), mac, queue_length, carrier, description, ..InterfaceConfig::new() }
    }
}

/// One change of one property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Rename(InterfaceName),
    RemoveAddress(InterfaceAddress),
    SetMtu(Mtu),
    SetMac(MacAddress),
    SetQueueLength(u32),
    SetCarrier(bool),
    Describe(CString),
    SetState(State),
}

impl Step {
    pub(crate) fn run<I: Interface>(&self, interface: &I) -> Result<()> {
        match self {
            Self::Rename(name) => interface.rename(name),
            Self::RemoveAddress(address) => interface.remove_address(*address),
            Self::SetMtu(mtu) => interface.set_mtu(*mtu),
            Self::SetMac(mac) => interface.set_mac(*mac),
            Self::SetQueueLength(packets) => interface.set_queue_length(*packets),
            Self::SetCarrier(on) => interface.set_carrier(*on),
            Self::Describe(text) => interface.set_description(text),
            Self::SetState(state) => interface.set_state(*state),
        }
    }

    /// Says what is left of a change, when this step could not undo it.
    pub(crate) fn not_undone(&self, now: &InterfaceInfo) -> String {
        match self {
            Self::Rename(name) => format!("its name is {}, and was {name}", now.name),
            Self::RemoveAddress(address) => format!("it has kept {address}"),
            Self::SetMtu(mtu) => format!("its MTU is {}, and was {mtu}", now.mtu),
            Self::SetMac(mac) => format!("its MAC address was {mac}, and is another"),
            Self::SetQueueLength(packets) => format!("its queue length was {packets}, and is another"),
            Self::SetCarrier(was) => {
                format!("its carrier was {}, and is not", if *was { "on" } else { "off" })
            }
            Self::Describe(text) => format!("its description was {text:?}, and is another"),
            Self::SetState(state) => format!("it is {}, and was {state}", now.state),
        }
    }
}
