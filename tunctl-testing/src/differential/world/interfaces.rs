//! Everything that can be seen of interfaces.

use tunctl_conformance::Harness;
use tunctl_core::{Interface, InterfaceAddress, InterfaceInfo, InterfaceName, Layer, Statistics, TunBackend};

use super::{Known, World};
use crate::differential::interface_call::comparable;
use crate::differential::seen::{Answer, Surveyed};

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
    pub(super) fn survey(&mut self) -> Answer {
        // Asking about an interface has the kernel report its carrier first (`rtnl_getlink`, 6.18).
        let infos = self.infos();
        self.hear();
        Answer::of(infos, |infos| {
            let here = infos.into_iter().map(|info| self.surveyed(info));
            let elsewhere = self.moved.iter().filter_map(|name| self.elsewhere(name));
            Answer::Survey(here.chain(elsewhere).collect())
        })
    }

    fn surveyed(&self, info: InterfaceInfo) -> Surveyed {
        let name = info.name;
        Surveyed {
            addresses: self.addresses(&name),
            carrier: self.watchers.as_ref().and_then(|watchers| watchers.carrier(info.index)),
            statistics: self.harness.statistics(&name).expect("both sides count"),
            elsewhere: false,
            info,
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
        (info.queues, info.detached_queues) = (None, None);
        let statistics = Statistics::default();
        Some(Surveyed { info, addresses: Vec::new(), statistics, carrier: None, elsewhere: true })
    }
}
