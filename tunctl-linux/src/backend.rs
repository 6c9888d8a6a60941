//! The backend: `/dev/net/tun`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tunctl_core::{
    AttachMode, Capabilities, CreateOptions, InterfaceName, Operation, Reason, Result, TunBackend,
};

use crate::attach::Attach;
use crate::diagnose::{self, reason};
use crate::netlink::{Link, Netlink};
use crate::{LinuxDevice, LinuxInterface, features, remedy};

/// Linux's own TUN/TAP driver.
///
/// It holds nothing open. Devices are made, and interfaces found, in the network namespace where the calling
/// thread is at that moment, and they stay bound to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxBackend {
    node: PathBuf,
}

/// The driver's node. Android's `ueventd` puts all nodes of miscellaneous devices into `/dev`.
const NODE: &str = if cfg!(target_os = "android") { "/dev/tun" } else { "/dev/net/tun" };

impl LinuxBackend {
    /// The driver behind `/dev/net/tun`; on Android, `/dev/tun`.
    #[must_use]
    pub fn new() -> Self {
        Self::with_node(NODE)
    }

    /// The driver behind another device node.
    #[must_use]
    pub fn with_node(node: impl Into<PathBuf>) -> Self {
        Self { node: node.into() }
    }

    pub(crate) fn node(&self) -> &Path {
        &self.node
    }
}

impl Default for LinuxBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl TunBackend for LinuxBackend {
    type Device = LinuxDevice;
    type Interface = LinuxInterface;

    /// On Linux, this asks the driver which creation flags it knows: what they are for, an older kernel lacks.
    /// That takes three system calls each time. If the node cannot be opened, nothing is known to be missing.
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::ALL.without(&[
            Operation::SetOffloads,
            Operation::Interrupt,
            Operation::Move,
            Operation::Connect,
            Operation::Parse,
        ]);
        all.without(features::lacking(features::flags(&self.node)))
    }

    fn attach(&self, mode: AttachMode, options: &CreateOptions) -> Result<LinuxDevice> {
        Attach::begin(mode, &self.node, options)?.run()
    }

    fn interface(&self, name: &InterfaceName) -> Result<LinuxInterface> {
        let netlink = connect(Operation::Lookup)?;
        let failed = |reason: Reason| reason.of(Operation::Lookup).with_name(*name);
        match netlink.link_by_name(name) {
            Ok(Some(Link::Tun(info))) => Ok(LinuxInterface::new(netlink, &info)),
            Ok(Some(Link::Other(_))) => Err(failed(remedy::not_a_tun())),
            Ok(None) => Err(failed(remedy::not_found())),
            Err(error) => Err(reason(&error).of(Operation::Lookup).with_name(*name)),
        }
    }

    fn interfaces(&self) -> Result<Vec<LinuxInterface>> {
        let netlink = connect(Operation::List)?;
        let found = netlink.tun_links().map_err(|error| reason(&error).of(Operation::List))?;
        Ok(found.iter().map(|info| LinuxInterface::new(netlink.clone(), info)).collect())
    }
}

pub(crate) fn connect(operation: Operation) -> Result<Arc<Netlink>> {
    Netlink::open().map(Arc::new).map_err(|error| diagnose::netlink(&error).of(operation))
}
