//! All interfaces at once, with all that there is to say of each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use tunctl_core::{Holders, Operation, Result};

use crate::diagnose::reason;
use crate::{LinuxBackend, LinuxSnapshot, holders};

/// An interface as [`LinuxBackend::survey`] finds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SurveyedInterface {
    /// What the kernel reports of it, as [`LinuxInterface::snapshot`](crate::LinuxInterface::snapshot) does.
    pub snapshot: LinuxSnapshot,
    /// The processes that have it open, as [`LinuxInterface::holders`](crate::LinuxInterface::holders) finds
    /// them.
    pub holders: Holders,
}

impl LinuxBackend {
    /// Lists all TUN/TAP interfaces of the backend's network namespace: a snapshot of each, and its holders.
    ///
    /// It takes one listing of the interfaces, one of the addresses, and one walk through all processes: for
    /// many interfaces that is much less than to ask each one.
    ///
    /// # Errors
    ///
    /// Those of the system calls.
    pub fn survey(&self) -> Result<Vec<SurveyedInterface>> {
        let netlink = self.connect(Operation::List)?;
        let failed = |error| reason(&error).of(Operation::List);
        let reports = netlink.tun_reports().map_err(failed)?;
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let mut addresses: HashMap<_, Vec<_>> = HashMap::new();
        for (index, address) in netlink.all_addresses().map_err(failed)? {
            addresses.entry(index).or_default().push(address);
        }
        let mut masters = HashMap::new();
        for index in reports.iter().filter_map(|(_, answer)| answer.master()) {
            if let Entry::Vacant(unknown) = masters.entry(index) {
                unknown.insert(netlink.name_of(index).map_err(failed)?);
            }
        }
        let mut holders = holders::of_all(netlink.namespace());
        let surveyed = reports.into_iter().map(|(info, answer)| SurveyedInterface {
            holders: holders.remove(&info.name).unwrap_or_default().of(info.queues),
            snapshot: LinuxSnapshot::new(
                info.clone(),
                &answer,
                addresses.remove(&info.index).unwrap_or_default(),
                answer.master().and_then(|index| masters.get(&index).copied().flatten()),
            ),
        });
        Ok(surveyed.collect())
    }
}
