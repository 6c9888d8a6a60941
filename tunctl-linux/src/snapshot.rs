//! Everything that the kernel reports about an interface, at one moment.

use std::ffi::CString;
use std::fmt;

use tunctl_core::{InterfaceAddress, InterfaceInfo, InterfaceName, Statistics};

use crate::netlink::Answer;

/// Everything that the kernel reports about an interface, at one moment: what `ip -d -s link` and
/// `ip address` show of a tun.
///
/// Taken by [`LinuxInterface::snapshot`](crate::LinuxInterface::snapshot), or of all interfaces by
/// [`LinuxBackend::survey`](crate::LinuxBackend::survey).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LinuxSnapshot {
    /// Its properties.
    pub info: InterfaceInfo,
    /// Its description, or an empty text. Linux calls it the alias.
    pub description: CString,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<InterfaceAddress>,
    /// What was counted of its packets.
    pub statistics: Statistics,
    /// What the kernel derives from its state and its carrier.
    pub operational_state: OperationalState,
    /// The bridge, bond or VRF whose port it is.
    pub master: Option<InterfaceName>,
    /// What its packets start with, to programs that observe them.
    pub link_type: LinkType,
    /// How many observers and bridges ask for the frames of all destinations. A tap that is promiscuous gets
    /// no other frames than before: the program sends them all.
    pub promiscuity: u32,
}

impl LinuxSnapshot {
    pub(crate) fn new(
        info: InterfaceInfo,
        answer: &Answer,
        addresses: Vec<InterfaceAddress>,
        master: Option<InterfaceName>,
    ) -> Self {
        Self {
            info,
            description: answer.description(),
            addresses,
            statistics: answer.statistics(),
            operational_state: answer.operational_state(),
            master,
            link_type: answer.link_type(),
            promiscuity: answer.promiscuity(),
        }
    }
}

/// The operational state of an interface (RFC 2863).
///
/// The kernel derives it in the background, up to a second after what it follows from. `Display` prints the
/// words of `ip link`: `UP`, `LOWERLAYERDOWN`.
#[doc(alias = "IFLA_OPERSTATE")]
#[doc(alias = "operstate")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OperationalState {
    /// Nothing is derived: a tun or tap that is up and whose carrier never changed is in this state, and
    /// works.
    #[doc(alias = "IF_OPER_UNKNOWN")]
    Unknown,
    /// A part is missing.
    #[doc(alias = "IF_OPER_NOTPRESENT")]
    NotPresent,
    /// It is down, or without carrier.
    #[doc(alias = "IF_OPER_DOWN")]
    Down,
    /// An interface beneath it is down.
    #[doc(alias = "IF_OPER_LOWERLAYERDOWN")]
    LowerLayerDown,
    /// It is being tested.
    #[doc(alias = "IF_OPER_TESTING")]
    Testing,
    /// It waits for an event of another program.
    #[doc(alias = "IF_OPER_DORMANT")]
    Dormant,
    /// It works.
    #[doc(alias = "IF_OPER_UP")]
    Up,
}

impl OperationalState {
    /// A number that the kernel may add in the future is not known.
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::NotPresent,
            2 => Self::Down,
            3 => Self::LowerLayerDown,
            4 => Self::Testing,
            5 => Self::Dormant,
            6 => Self::Up,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for OperationalState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "UNKNOWN",
            Self::NotPresent => "NOTPRESENT",
            Self::Down => "DOWN",
            Self::LowerLayerDown => "LOWERLAYERDOWN",
            Self::Testing => "TESTING",
            Self::Dormant => "DORMANT",
            Self::Up => "UP",
        })
    }
}

/// The link type of an interface, which `packet(7)` and libpcap take for the header that its packets start
/// with. The number is one of `ARPHRD_*` in `<linux/if_arp.h>`.
#[doc(alias = "ARPHRD")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkType(u16);

impl LinkType {
    /// Ethernet: a new tap's.
    #[doc(alias = "ARPHRD_ETHER")]
    pub const ETHERNET: Self = Self(1);
    /// None: a new tun's. Packets start with the IP header.
    #[doc(alias = "ARPHRD_NONE")]
    pub const NONE: Self = Self(0xfffe);
    /// IEEE 802.11 with radiotap headers.
    #[doc(alias = "ARPHRD_IEEE80211_RADIOTAP")]
    pub const RADIOTAP: Self = Self(803);

    /// The link type of that number.
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operational_states_have_the_words_of_ip() {
        let words: Vec<_> = (0..8).map(|number| OperationalState::from_number(number).to_string()).collect();
        let expected =
            ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP", "UNKNOWN"];
        assert_eq!(words, expected);
    }
}
