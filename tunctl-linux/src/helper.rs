//! The backend of a program without any right over networks: `tunctl-helper` creates its interfaces.

mod call;
mod create;
mod device;
mod interface;
mod request;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tunctl_core::{
    Adopt, AdoptError, AttachMode, Capabilities, Cause, CreateFlags, CreateOptions, Error, Events,
    InterfaceInfo, InterfaceName, Operation, Reason, Result, TunBackend,
};

use crate::{LinuxBackend, LinuxWatcher};

pub use device::HelperDevice;
pub use interface::HelperInterface;

/// Where the helper is installed: by hand, or by a package.
const PROGRAMS: [&str; 2] = ["/usr/local/libexec/tunctl-helper", "/usr/libexec/tunctl-helper"];

/// How often an opening begins again because other programs create and delete the interface meanwhile.
const ATTEMPTS: usize = 8;

/// What takes a right over networks, and is no part of what the helper does: these operations are absent from
/// the backend's capabilities, and its devices and interfaces refuse them.
const ABSENT: &[Operation] = &[
    Operation::Up,
    Operation::Down,
    Operation::SetMtu,
    Operation::SetQueueLength,
    Operation::Describe,
    Operation::AddAddress,
    Operation::RemoveAddress,
    Operation::Delete,
    Operation::Rename,
    Operation::Move,
    Operation::SetMaster,
    Operation::Observe,
    // The helper makes no interface of several queues: for a moment, anybody could attach to it.
    Operation::AttachQueue,
    Operation::DetachQueue,
    // About the system, and no device: LinuxBackend and Namespace have it.
    Operation::Probe,
    Operation::EnterNamespace,
    Operation::Namespace,
];

/// Interfaces for a program without privilege: `tunctl-helper`, a small privileged program, creates them, as
/// far as root's policy allows.
///
/// It is used as any backend. The helper gives a new interface the addresses, the MTU and the queue length of
/// the options, brings it up, makes the calling user its owner, and hands over the device's descriptor:
///
/// ```no_run
/// use tunctl_core::{CreateOptions, TunBackend, TunDevice};
/// use tunctl_linux::HelperBackend;
///
/// let options = CreateOptions::tun().name("vpn%d").mtu(1420).address("10.8.0.2/24").up();
/// let tun = HelperBackend::new().create(&options)?;
/// tun.send(&[0x45; 20])?;
/// # Ok::<(), tunctl_core::Error>(())
/// ```
///
/// Afterwards, a program may do with the interface what its open device permits without any right: send and
/// receive, persistence, owner, group, carrier, MAC address, offloads, filters. The rest, such as
/// MTU, addresses and state, is decided by the options: these operations answer `Unsupported`, and
/// [`capabilities`](TunBackend::capabilities) lacks them. Opening, listing and looking up need no helper.
/// What Linux has beyond the traits is in [`HelperDevice::as_linux`] and [`HelperInterface::as_linux`].
///
/// `tunctl policy check` shows what the policy allows the user. The helper creates interfaces in the network
/// namespace of the calling thread.
///
/// # Platform
///
/// Linux, where root has installed the helper: `sudo tunctl helper install`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HelperBackend {
    linux: LinuxBackend,
    program: Option<PathBuf>,
}

impl HelperBackend {
    /// The helper that is installed, at `/usr/local/libexec/tunctl-helper` or else
    /// `/usr/libexec/tunctl-helper`. It is looked for each time when an interface is created.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A helper that is installed elsewhere.
    #[must_use]
    pub fn with_program(program: impl Into<PathBuf>) -> Self {
        Self { linux: LinuxBackend::new(), program: Some(program.into()) }
    }

    /// The helper that [`create`](TunBackend::create) would start; `None`: it is not installed.
    #[must_use]
    pub fn program(&self) -> Option<&Path> {
        let installed = || PROGRAMS.iter().map(Path::new).find(|program| program.exists());
        self.program.as_deref().map_or_else(installed, |program| program.exists().then_some(program))
    }

    /// Attaches to an interface that exists, which takes no helper: its owner may.
    fn open(&self, options: &CreateOptions) -> Result<(HelperDevice, Option<InterfaceInfo>)> {
        let (device, info) = self.linux.attach_with_info(AttachMode::Existing, options)?;
        Ok((HelperDevice::new(device), info))
    }

    fn open_or_create(
        &self,
        mode: AttachMode,
        options: &CreateOptions,
    ) -> Result<(HelperDevice, Option<InterfaceInfo>)> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let attached = match self.open(options) {
                Err(error) if error.cause() == Cause::NotFound => self.create_new(mode, options),
                outcome => outcome.map_err(|error| error.with_operation(mode.operation())),
            };
            match attached {
                // Others made it in between.
                Err(error) if error.cause() == Cause::Exists => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| Error::new(mode.operation(), Cause::Exists)))
    }
}

/// The error of an operation that takes a right.
fn absent(operation: Operation, name: InterfaceName) -> Error {
    let advice = match operation {
        Operation::Delete => {
            "Destroy its only device, which takes it along. Or use LinuxBackend with CAP_NET_ADMIN."
        }
        Operation::Rename => {
            "Choose the name in the options of `create`. Or use LinuxBackend with CAP_NET_ADMIN."
        }
        Operation::Describe => "The helper describes its interfaces itself, to count them.",
        _ => "State it in the options of `create`. Or use LinuxBackend with CAP_NET_ADMIN.",
    };
    Reason::new(Cause::Unsupported)
        .with_detail("a program without privilege cannot do this to an interface that exists")
        .with_remedy(advice)
        .of(operation)
        .with_name(name)
}

impl TunBackend for HelperBackend {
    type Device = HelperDevice;
    type Interface = HelperInterface;

    /// What takes a right is absent, also for a program that has it.
    fn capabilities(&self) -> Capabilities {
        self.linux.capabilities().without(ABSENT)
    }

    fn attach(&self, mode: AttachMode, options: &CreateOptions) -> Result<HelperDevice> {
        Ok(self.attach_with_info(mode, options)?.0)
    }

    fn attach_with_info(
        &self,
        mode: AttachMode,
        options: &CreateOptions,
    ) -> Result<(HelperDevice, Option<InterfaceInfo>)> {
        let is_new =
            options.get_exact_name().is_none() || options.get_flags().contains(CreateFlags::TUN_EXCL);
        match mode {
            AttachMode::Existing => self.open(options),
            AttachMode::Any if !is_new => self.open_or_create(mode, options),
            _ => self.create_new(mode, options),
        }
    }

    fn attaches_configured(&self) -> bool {
        true
    }

    fn interface(&self, name: &InterfaceName) -> Result<HelperInterface> {
        self.linux.interface(name).map(HelperInterface::new)
    }

    fn interfaces(&self) -> Result<Vec<HelperInterface>> {
        Ok(self.linux.interfaces()?.into_iter().map(HelperInterface::new).collect())
    }
}

impl Adopt for HelperBackend {
    fn adopt(&self, fd: OwnedFd) -> Result<HelperDevice, AdoptError> {
        self.linux.adopt(fd).map(HelperDevice::new)
    }
}

impl Events for HelperBackend {
    type Watcher = LinuxWatcher;

    fn events(&self) -> Result<LinuxWatcher> {
        self.linux.events()
    }
}
