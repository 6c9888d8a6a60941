//! What is asked of an interface: drawn, called, and written as Rust, all in this file, so that one more is
//! added here alone.

use std::ffi::CString;

use tunctl_core::{
    Interface, InterfaceConfig, InterfaceInfo, InterfaceName, MacAddress, Mtu, Operation, State,
};

use crate::differential::pools::{
    IPV6, LEAST_IPV6_MTU, MACS, MTUS, NAMES, ODD_MACS, ODD_NEW_NAMES, QUEUE_LENGTHS, address,
};
use crate::differential::random::Random;
use crate::differential::seen::Answer;
use crate::differential::world::Known;

/// A call of one of an interface's methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InterfaceCall {
    SetState(State),
    SetMtu(u32),
    SetMac(String),
    SetQueueLength(u32),
    SetCarrier(bool),
    Describe(String),
    /// Whether it is described so.
    IsDescribed(String),
    AddAddress(String),
    /// Without duplicate address detection.
    AddAddressAtOnce(String),
    RemoveAddress(String),
    Addresses,
    Info,
    Statistics,
    Rename(String),
    Delete,
    Apply(Config),
}

/// A configuration, in text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    mtu: Option<u32>,
    mac: Option<String>,
    queue_length: Option<u32>,
    carrier: Option<bool>,
    description: Option<String>,
    state: Option<State>,
    present: Vec<String>,
    absent: Vec<String>,
    replaces: bool,
    drop_ipv6: bool,
}

/// What stands for the MAC address that a kernel chose for a new tap: one of them chooses at random.
const CHOSEN: MacAddress = MacAddress::from_kernel([0x02, 0x74, 0, 0, 0, 0]);

/// The bytes of a MAC address in text, whatever it is.
fn octets(mac: &str) -> [u8; 6] {
    let mut octets = [0; 6];
    for (octet, text) in octets.iter_mut().zip(mac.split(':')) {
        *octet = u8::from_str_radix(text, 16).unwrap_or(0);
    }
    octets
}

/// What is reported of an interface, as far as two kernels can agree.
pub(crate) fn comparable(mut info: InterfaceInfo) -> InterfaceInfo {
    if let Some(mac) = info.mac.filter(|mac| !MACS.contains(&&*mac.to_string())) {
        assert!(mac.is_local() && MacAddress::new(mac.octets()).is_ok(), "a new tap got {mac}");
        info.mac = Some(CHOSEN);
    }
    info
}

impl InterfaceCall {
    /// The operation that it is; `None` if it is several.
    pub(crate) const fn operation(&self) -> Option<Operation> {
        Some(match self {
            Self::SetState(State::Up) => Operation::Up,
            Self::SetState(State::Down) => Operation::Down,
            Self::SetMtu(_) => Operation::SetMtu,
            Self::SetMac(_) => Operation::SetMac,
            Self::SetQueueLength(_) => Operation::SetQueueLength,
            Self::SetCarrier(_) => Operation::SetCarrier,
            Self::Describe(_) | Self::IsDescribed(_) => Operation::Describe,
            Self::AddAddress(_) | Self::AddAddressAtOnce(_) => Operation::AddAddress,
            Self::RemoveAddress(_) => Operation::RemoveAddress,
            Self::Addresses => Operation::ListAddresses,
            Self::Info => Operation::Inspect,
            Self::Statistics => Operation::ReadStatistics,
            Self::Rename(_) => Operation::Rename,
            Self::Delete => Operation::Delete,
            Self::Apply(_) => return None,
        })
    }

    /// Calls it, however the interface was found.
    pub(crate) fn perform<I: Interface>(&self, interface: &I) -> Answer {
        let done = |()| Answer::Done;
        match self {
            Self::SetState(state) => Answer::of(interface.set_state(*state), done),
            Self::SetMtu(mtu) => with(Mtu::new(*mtu), |mtu| Answer::of(interface.set_mtu(mtu), done)),
            // As only a kernel would name one, to hear what the other says.
            Self::SetMac(mac) => Answer::of(interface.set_mac(MacAddress::from_kernel(octets(mac))), done),
            Self::SetQueueLength(packets) => Answer::of(interface.set_queue_length(*packets), done),
            Self::SetCarrier(on) => Answer::of(interface.set_carrier(*on), done),
            Self::Describe(text) => {
                with(CString::new(text.as_str()), |text| Answer::of(interface.set_description(&text), done))
            }
            Self::IsDescribed(text) => {
                Answer::of(interface.description(), |found| Answer::Bool(found.to_bytes() == text.as_bytes()))
            }
            Self::AddAddress(address) => {
                with(address.parse(), |address| Answer::of(interface.add_address(address), Answer::Bool))
            }
            Self::AddAddressAtOnce(address) => with(address.parse(), |address| {
                Answer::of(interface.add_address_without_dad(address), Answer::Bool)
            }),
            Self::RemoveAddress(address) => {
                with(address.parse(), |address| Answer::of(interface.remove_address(address), done))
            }
            Self::Addresses => Answer::of(interface.addresses(), Answer::Addresses),
            Self::Info => Answer::of(interface.info(), |info| Answer::Info(Box::new(comparable(info)))),
            Self::Statistics => Answer::of(interface.statistics(), Answer::Statistics),
            // As only a kernel would name one, to hear what the other says.
            Self::Rename(to) => {
                with(InterfaceName::from_kernel(to.as_bytes()), |to| Answer::of(interface.rename(&to), done))
            }
            Self::Delete => Answer::of(interface.delete(), done),
            Self::Apply(config) => Answer::of(interface.apply(&config.build()), done),
        }
    }

    /// The method, with its arguments, in a test.
    pub(crate) fn method(&self) -> String {
        match self {
            Self::SetState(state) => format!("set_state(State::{state:?})"),
            Self::SetMtu(mtu) => format!("set_mtu(Mtu::new({mtu}).unwrap())"),
            Self::SetMac(mac) => format!("set_mac(MacAddress::from_kernel({:?}))", octets(mac)),
            Self::SetQueueLength(packets) => format!("set_queue_length({packets})"),
            Self::SetCarrier(on) => format!("set_carrier({on})"),
            Self::Describe(text) => format!("set_description(c{text:?})"),
            Self::IsDescribed(text) => format!("description().map(|found| found.as_c_str() == c{text:?})"),
            Self::AddAddress(address) => format!("add_address({address:?}.parse().unwrap())"),
            Self::AddAddressAtOnce(address) => {
                format!("add_address_without_dad({address:?}.parse().unwrap())")
            }
            Self::RemoveAddress(address) => format!("remove_address({address:?}.parse().unwrap())"),
            Self::Addresses => "addresses()".into(),
            Self::Info => "info().map(plain)".into(),
            Self::Statistics => "statistics()".into(),
            Self::Rename(to) => format!("rename(&name({to:?}))"),
            Self::Delete => "delete()".into(),
            Self::Apply(config) => format!("apply(&{})", config.expression()),
        }
    }

    /// One at random, with an eye on what the interface is.
    pub(crate) fn draw(random: &mut Random, known: Option<&Known>) -> Self {
        let is_tun = known.is_some_and(|known| known.is_tun);
        let present = known.map_or(&[][..], |known| &known.addresses);
        if !present.is_empty() && random.one_of(1, 8) {
            return Self::RemoveAddress(random.pick(present).clone());
        }
        if known.is_some_and(|known| known.is_tun && known.mtu < LEAST_IPV6_MTU) && random.one_of(1, 12) {
            return Self::AddAddress((*random.pick(IPV6)).to_owned());
        }
        match random.below(34) {
            0..=4 => Self::SetState(state(random, 2, 3)),
            5..=7 => Self::SetMtu(*random.pick(MTUS)),
            8..=9 => Self::AddAddress(address(random, is_tun)),
            10 => Self::AddAddressAtOnce(address(random, is_tun)),
            11..=13 if !present.is_empty() && random.one_of(2, 3) => {
                Self::RemoveAddress(random.pick(present).clone())
            }
            11..=13 => Self::RemoveAddress(address(random, is_tun)),
            14..=15 => Self::Addresses,
            16..=18 => Self::Info,
            19..=20 => {
                let names = if random.one_of(1, 4) { ODD_NEW_NAMES } else { NAMES };
                Self::Rename((*random.pick(names)).to_owned())
            }
            21..=22 => {
                let pool = if random.one_of(1, 4) { ODD_MACS } else { MACS };
                Self::SetMac((*random.pick(pool)).to_owned())
            }
            23..=24 => Self::SetQueueLength(*random.pick(QUEUE_LENGTHS)),
            25..=26 => Self::Apply(Config::draw(random, is_tun, present)),
            27..=28 => Self::Describe(description(random)),
            29 => Self::IsDescribed(description(random)),
            30 => Self::Statistics,
            31..=32 => Self::SetCarrier(random.one_of(1, 2)),
            _ => Self::Delete,
        }
    }

    /// What is gone is met seldom, so each call is as likely as the others.
    pub(crate) fn draw_for_a_gone_one(random: &mut Random) -> Self {
        match random.below(15) {
            0 => Self::SetState(state(random, 1, 2)),
            1 => Self::SetMtu(*random.pick(MTUS)),
            2 => Self::SetMac((*random.pick(MACS)).to_owned()),
            3 => Self::AddAddress(address(random, true)),
            4 => Self::RemoveAddress(address(random, true)),
            5 => Self::Addresses,
            6 => Self::Info,
            7 => Self::Rename((*random.pick(NAMES)).to_owned()),
            8 => Self::SetQueueLength(*random.pick(QUEUE_LENGTHS)),
            9 => Self::Apply(Config::draw(random, true, &[])),
            10 => Self::Describe(description(random)),
            11 => Self::IsDescribed(description(random)),
            12 => Self::Statistics,
            13 => Self::SetCarrier(random.one_of(1, 2)),
            _ => Self::Delete,
        }
    }
}

/// A call with a value, if it is one.
fn with<T, E>(value: Result<T, E>, call: impl FnOnce(T) -> Answer) -> Answer {
    value.map_or(Answer::Absent, call)
}

/// None, one, another, the longest, and one that is too long.
fn description(random: &mut Random) -> String {
    random.pick(&["", "uplink", "\u{fc}", &"x".repeat(255), &"x".repeat(256)]).to_string()
}

fn state(random: &mut Random, times: usize, of: usize) -> State {
    if random.one_of(times, of) { State::Up } else { State::Down }
}

impl Config {
    fn draw(random: &mut Random, is_tun: bool, held: &[String]) -> Self {
        Self {
            mtu: random.one_of(1, 3).then(|| *random.pick(MTUS)),
            mac: random.one_of(1, 6).then(|| (*random.pick(MACS)).to_owned()),
            queue_length: random.one_of(1, 6).then(|| *random.pick(QUEUE_LENGTHS)),
            carrier: random.one_of(1, 8).then(|| random.one_of(1, 2)),
            description: random.one_of(1, 6).then(|| description(random)),
            state: random.one_of(1, 3).then(|| state(random, 1, 2)),
            present: (0..random.below(4)).map(|_| address(random, is_tun)).collect(),
            absent: held.iter().filter(|_| random.one_of(1, 4)).cloned().collect(),
            replaces: random.one_of(1, 4),
            drop_ipv6: random.one_of(1, 2),
        }
    }

    fn build(&self) -> InterfaceConfig {
        let flags = InterfaceConfig::new().replace_addresses(self.replaces).drop_ipv6(self.drop_ipv6);
        let mut config = self.present.iter().fold(flags, InterfaceConfig::address);
        config = self.absent.iter().fold(config, InterfaceConfig::remove_address);
        if let Some(mtu) = self.mtu {
            config = config.mtu(mtu);
        }
        if let Some(mac) = &self.mac {
            config = config.mac(mac);
        }
        if let Some(packets) = self.queue_length {
            config = config.queue_length(packets);
        }
        if let Some(on) = self.carrier {
            config = config.carrier(on);
        }
        if let Some(text) = &self.description {
            config = config.description(text.as_str());
        }
        match self.state {
            Some(state) => config.state(state),
            None => config,
        }
    }

    fn expression(&self) -> String {
        let mut text = "InterfaceConfig::new()".to_owned();
        let mut call = |method: String| text.push_str(&format!(".{method}"));
        if self.replaces {
            call("replace_addresses(true)".into());
        }
        if self.drop_ipv6 {
            call("drop_ipv6(true)".into());
        }
        self.present.iter().for_each(|address| call(format!("address({address:?})")));
        self.absent.iter().for_each(|address| call(format!("remove_address({address:?})")));
        self.mtu.iter().for_each(|mtu| call(format!("mtu({mtu})")));
        self.mac.iter().for_each(|mac| call(format!("mac({mac:?})")));
        self.queue_length.iter().for_each(|packets| call(format!("queue_length({packets})")));
        self.carrier.iter().for_each(|on| call(format!("carrier({on})")));
        self.description.iter().for_each(|text| call(format!("description({text:?})")));
        self.state.iter().for_each(|state| call(format!("state(State::{state:?})")));
        text
    }
}
