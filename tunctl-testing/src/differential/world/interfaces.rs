//! Operations on interfaces, and everything that can be seen of them.

use tunctl_conformance::{Harness, InterfaceOf};
use tunctl_core::{
    Interface, InterfaceAddress, InterfaceInfo, InterfaceName, Layer, MacAddress, Mtu, State, TunBackend,
};

use super::{Known, World};
use crate::differential::op::{MACS, Op};
use crate::differential::seen::{Answer, Surveyed};

/// What stands for the MAC address that a kernel chose for a new tap: one of them chooses at random.
const CHOSEN: MacAddress = MacAddress::from_kernel([0x02, 0x74, 0, 0, 0, 0]);

/// What is reported of an interface, as far as two kernels can agree.
pub(super) fn comparable(mut info: InterfaceInfo) -> InterfaceInfo {
    if let Some(mac) = info.mac.filter(|mac| !MACS.contains(&&*mac.to_string())) {
        assert!(mac.is_local() && MacAddress::new(mac.octets()).is_ok(), "a new tap got {mac}");
        info.mac = Some(CHOSEN);
    }
    info
}

/// An operation on an interface, however it was found.
pub(super) fn perform<H: Harness>(interface: &InterfaceOf<H>, op: &Op) -> Answer {
    let done = |()| Answer::Done;
    match op {
        Op::SetState { up, .. } => {
            Answer::of(interface.set_state(if *up { State::Up } else { State::Down }), done)
        }
        Op::SetMtu { mtu, .. } => match Mtu::new(*mtu) {
            Ok(mtu) => Answer::of(interface.set_mtu(mtu), done),
            Err(_) => Answer::Absent,
        },
        Op::SetMac { mac, .. } => match mac.parse() {
            Ok(mac) => Answer::of(interface.set_mac(mac), done),
            Err(_) => Answer::Absent,
        },
        Op::AddAddress { address, .. } => match address.parse() {
            Ok(address) => Answer::of(interface.add_address(address), Answer::Bool),
            Err(_) => Answer::Absent,
        },
        Op::RemoveAddress { address, .. } => match address.parse() {
            Ok(address) => Answer::of(interface.remove_address(address), done),
            Err(_) => Answer::Absent,
        },
        Op::Addresses { .. } => Answer::of(interface.addresses(), Answer::Addresses),
        Op::Info { .. } => Answer::of(interface.info(), |info| Answer::Info(Box::new(comparable(info)))),
        // As only a kernel would name one, to hear what the other says.
        Op::Rename { to, .. } => match InterfaceName::from_kernel(to.as_bytes()) {
            Ok(to) => Answer::of(interface.rename(&to), done),
            Err(_) => Answer::Absent,
        },
        Op::Delete { .. } => Answer::of(interface.delete(), done),
        _ => Answer::Absent,
    }
}

impl<H: Harness> World<H> {
    pub(super) fn infos(&self) -> tunctl_core::Result<Vec<InterfaceInfo>> {
        self.harness.backend().interfaces()?.iter().map(|found| found.info().map(comparable)).collect()
    }

    pub(super) fn known(&self, info: &InterfaceInfo) -> Known {
        let addresses = self.addresses(&info.name).iter().map(ToString::to_string).collect();
        Known {
            name: info.name.to_string(),
            is_tun: info.layer == Layer::Tun,
            mtu: info.mtu.get(),
            addresses,
        }
    }

    /// All interfaces, as the system itself reports them and as the library does.
    pub(super) fn survey(&self) -> Answer {
        Answer::of(self.infos(), |infos| {
            let here = infos.into_iter().map(|info| self.surveyed(info));
            let elsewhere = self.moved.iter().filter_map(|name| self.elsewhere(name));
            Answer::Survey(here.chain(elsewhere).collect())
        })
    }

    fn surveyed(&self, info: InterfaceInfo) -> Surveyed {
        let name = info.name;
        Surveyed {
            info,
            addresses: self.addresses(&name),
            dropped: self.harness.dropped(&name),
            elsewhere: false,
        }
    }

    /// In an order that does not depend on who lists them.
    fn addresses(&self, name: &InterfaceName) -> Vec<InterfaceAddress> {
        let mut addresses = self.harness.reported_addresses(name);
        addresses.sort_by_key(ToString::to_string);
        addresses
    }

    fn elsewhere(&self, name: &str) -> Option<Surveyed> {
        let mut info = comparable(self.harness.report_elsewhere(&super::outside::name(name))?);
        // sysfs does not count them.
        info.queues = None;
        Some(Surveyed { info, addresses: Vec::new(), dropped: 0, elsewhere: true })
    }
}
