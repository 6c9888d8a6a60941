//! All interfaces at once, with all that there is to say of each.

use std::collections::HashMap;
use std::ffi::CString;

use tunctl_core::{Holders, InterfaceAddress, InterfaceInfo, Operation, Result};

use crate::LinuxBackend;
use crate::backend::connect;
use crate::diagnose::reason;
use crate::holders;

/// An interface as [`LinuxBackend::survey`] finds it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SurveyedInterface {
    /// Its properties.
    pub info: InterfaceInfo,
    /// Its description, or an empty text.
    pub description: CString,
    /// Its addresses, in the kernel's order.
    pub addresses: Vec<InterfaceAddress>,
    /// The processes that have it open, as [`LinuxInterface::holders`](crate::LinuxInterface::holders) finds
    /// them.
    pub holders: Holders,
}

impl LinuxBackend {
    /// Lists all TUN/TAP interfaces of the calling thread's network namespace, each with its addresses and
    /// holders.
    ///
    /// It takes one listing of the interfaces, one of the addresses, and one walk through all processes: for
    /// many interfaces that is much less than to ask each one.
    ///
    /// # Errors
    ///
    /// Those of the system calls.
    pub fn survey(&self) -> Result<Vec<SurveyedInterface>> {
        let netlink = connect(Operation::List)?;
        let failed = |error| reason(&error).of(Operation::List);
        let links = netlink.described_tun_links().map_err(failed)?;
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let mut addresses: HashMap<_, Vec<_>> = HashMap::new();
        for (index, address) in netlink.all_addresses().map_err(failed)? {
            addresses.entry(index).or_default().push(address);
        }
        let mut holders = holders::of_all(netlink.namespace());
        let surveyed = |(info, description): (InterfaceInfo, CString)| SurveyedInterface {
            addresses: addresses.remove(&info.index).unwrap_or_default(),
            holders: holders.remove(&info.name).unwrap_or_default().of(info.queues),
            info,
            description,
        };
        Ok(links.into_iter().map(surveyed).collect())
    }
}
