//! The configuration of the interface, among the options.

use super::CreateOptions;
use crate::{Error, InterfaceAddress, InterfaceConfig, MacAddress, Mtu, State};

impl CreateOptions {
    /// The whole configuration of the interface. It replaces what earlier setters specified.
    pub fn config(mut self, config: InterfaceConfig) -> Self {
        let invalid = self.config.invalid.take();
        self.config = config;
        self.config.invalid = invalid.or(self.config.invalid.take());
        self
    }

    /// The most bytes that a packet may have; see [`InterfaceConfig::mtu`].
    pub fn mtu<M>(self, mtu: M) -> Self
    where
        M: TryInto<Mtu>,
        Error: From<M::Error>,
    {
        self.configured(|config| config.mtu(mtu))
    }

    /// The MAC address of a tap; see [`InterfaceConfig::mac`].
    pub fn mac<M>(self, mac: M) -> Self
    where
        M: TryInto<MacAddress>,
        Error: From<M::Error>,
    {
        self.configured(|config| config.mac(mac))
    }

    /// The most packets that wait for the program in each queue; see [`InterfaceConfig::queue_length`].
    #[doc(alias = "txqueuelen")]
    pub fn queue_length(self, packets: u32) -> Self {
        self.configured(|config| config.queue_length(packets))
    }

    /// Whether it has a carrier; see [`InterfaceConfig::carrier`].
    #[doc(alias = "TUNSETCARRIER")]
    pub fn carrier(self, on: bool) -> Self {
        self.configured(|config| config.carrier(on))
    }

    /// Adds an address. May be repeated; see [`InterfaceConfig::address`].
    pub fn address<A>(self, address: A) -> Self
    where
        A: TryInto<InterfaceAddress>,
        Error: From<A::Error>,
    {
        self.configured(|config| config.address(address))
    }

    /// Adds its IPv6 addresses without duplicate address detection; see [`InterfaceConfig::without_dad`].
    #[doc(alias = "IFA_F_NODAD")]
    pub fn without_dad(self, on: bool) -> Self {
        self.configured(|config| config.without_dad(on))
    }

    /// Brings the interface up, so that it takes packets. It needs no address for that.
    pub fn up(self) -> Self {
        self.configured(|config| config.state(State::Up))
    }

    fn configured(mut self, change: impl FnOnce(InterfaceConfig) -> InterfaceConfig) -> Self {
        self.config = change(self.config);
        self
    }
}
