//! The backend: `/dev/net/tun`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tunctl_core::{
    AttachMode, Capabilities, CreateOptions, InterfaceInfo, InterfaceName, Namespaces, Operation, Reason,
    Result, TunBackend,
};

use crate::attach::Attach;
use crate::diagnose::reason;
use crate::netlink::{Link, Netlink};
use crate::opener::Opener;
use crate::{LinuxDevice, LinuxInterface, Namespace, features, remedy};

/// Linux's own TUN/TAP driver.
///
/// It holds nothing open. Devices are made, and interfaces found, in the network namespace where the calling
/// thread is at that moment, and they stay bound to it; or in [another one](Self::in_namespace), which the
/// backend then keeps alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinuxBackend {
    node: PathBuf,
    opener: Opener,
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
        Self { node: node.into(), opener: Opener::Here }
    }

    /// The same driver in another network namespace: what this backend makes, opens, finds, lists and surveys
    /// is there. It can be used from any thread, and so can its devices and interfaces.
    ///
    /// ```no_run
    /// use tunctl_core::{CreateOptions, TunBackend};
    /// use tunctl_linux::{LinuxBackend, Namespace};
    ///
    /// let ns = Namespace::new()?;
    /// let options = CreateOptions::tap().name("tap0").address("10.0.0.1/24").up();
    /// let tap = LinuxBackend::new().in_namespace(&ns)?.create(&options)?;
    /// ns.command("ping").args(["-c1", "10.0.0.2"]).status()?; // `tap` receives it
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The node is opened there as well, but by the same path: a namespace of networks has no files.
    ///
    /// # Errors
    ///
    /// `MissingCapability`: the caller may not open anything there; `TooManyOpenFiles`.
    pub fn in_namespace(&self, namespace: &Namespace) -> Result<Self> {
        namespace.check_access().map_err(|reason| reason.of(Operation::Namespace))?;
        Ok(Self { node: self.node.clone(), opener: Opener::There(namespace.clone()) })
    }

    pub(crate) fn connect(&self, operation: Operation) -> Result<Arc<Netlink>> {
        Netlink::open(&self.opener).map_err(|reason| reason.of(operation))
    }

    /// The device node that this backend opens.
    #[must_use]
    pub fn node(&self) -> &Path {
        &self.node
    }

    pub(crate) fn opener(&self) -> &Opener {
        &self.opener
    }
}

impl Default for LinuxBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl Namespaces for LinuxBackend {
    type Namespace = Namespace;

    fn make_namespace(&self) -> Result<Namespace> {
        Namespace::new()
    }

    fn in_namespace(&self, namespace: &Namespace) -> Result<Self> {
        self.in_namespace(namespace)
    }

    fn move_to(&self, interface: &LinuxInterface, namespace: &Namespace) -> Result<()> {
        interface.move_to(namespace)
    }
}

impl TunBackend for LinuxBackend {
    type Device = LinuxDevice;
    type Interface = LinuxInterface;

    /// On Linux, this asks the driver which creation flags it knows: what they are for, an older kernel
    /// lacks. That takes three system calls each time. If the node cannot be opened, nothing is known to be
    /// missing.
    fn capabilities(&self) -> Capabilities {
        let all = Capabilities::ALL.without(&[Operation::Interrupt, Operation::Connect, Operation::Parse]);
        all.without(features::lacking(features::flags(&self.node)))
    }

    fn attach(&self, mode: AttachMode, options: &CreateOptions) -> Result<LinuxDevice> {
        Ok(self.attach_with_info(mode, options)?.0)
    }

    fn attach_with_info(
        &self,
        mode: AttachMode,
        options: &CreateOptions,
    ) -> Result<(LinuxDevice, Option<InterfaceInfo>)> {
        let (device, info) = Attach::begin(mode, &self.opener, &self.node, options)?.run()?;
        Ok((device, Some(info)))
    }

    fn interface(&self, name: &InterfaceName) -> Result<LinuxInterface> {
        let netlink = self.connect(Operation::Lookup)?;
        let failed = |reason: Reason| reason.of(Operation::Lookup).with_name(*name);
        match netlink.link_by_name(name) {
            Ok(Some(Link::Tun(info))) => Ok(LinuxInterface::new(netlink, &info)),
            Ok(Some(Link::Other(_))) => Err(failed(remedy::not_a_tun())),
            Ok(None) => Err(failed(remedy::not_found())),
            Err(error) => Err(reason(&error).of(Operation::Lookup).with_name(*name)),
        }
    }

    fn interfaces(&self) -> Result<Vec<LinuxInterface>> {
        let netlink = self.connect(Operation::List)?;
        let found = netlink.tun_links().map_err(|error| reason(&error).of(Operation::List))?;
        Ok(found.iter().map(|info| LinuxInterface::new(netlink.clone(), info)).collect())
    }
}
