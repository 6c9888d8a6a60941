//! Keeps the holder of a device from giving the system routes.
//!
//! To the system, whoever holds the device is a network with whatever stations it likes, and one of them may
//! be a router: the kernel takes addresses, routes and a default route from the router advertisements of any
//! interface (`ndisc_router_discovery`, Linux 6.18). No policy could then limit which networks the user
//! takes over. So a new interface ignores such advertisements.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::write;

use crate::protocol::{Refusal, Step};
use crate::rights::with_right;

/// Where the settings of each interface are. The kernel lets a process change them that has the right over
/// the network, whoever it is.
const FOLDER: &str = "/proc/sys/net/ipv6/conf";

/// How a setting is opened.
pub(crate) const FLAGS: OFlag = OFlag::O_WRONLY.union(OFlag::O_CLOEXEC).union(OFlag::O_NOFOLLOW);

/// The settings of the interfaces, in the network namespace of this process. `None`: there is no IPv6.
#[derive(Debug)]
pub(crate) struct Settings(Option<OwnedFd>);

impl Settings {
    pub(crate) fn open() -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        match open(FOLDER, flags, Mode::empty()) {
            Ok(folder) => Ok(Self(Some(folder))),
            Err(Errno::ENOENT) => Ok(Self(None)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The number of the folder's descriptor.
    pub(crate) fn folder(&self) -> Option<RawFd> {
        self.0.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// The setting of the interface that has a name now. The kernel has given the name, in which there is no
    /// slash.
    pub(crate) fn of(&self, name: &[u8]) -> Result<Setting, Refusal> {
        let Some(folder) = &self.0 else { return Ok(Setting(None)) };
        let path = [name, b"/accept_ra"].concat();
        with_right(Step::Configure, || match openat(folder, &*path, FLAGS, Mode::empty()) {
            Ok(setting) => Ok(Setting(Some(setting))),
            // The interface has no IPv6.
            Err(Errno::ENOENT) => Ok(Setting(None)),
            Err(errno) => Err(errno.into()),
        })
    }
}

/// The setting of one interface. It stays that interface's, whatever becomes of the name.
#[derive(Debug)]
pub(crate) struct Setting(Option<OwnedFd>);

impl Setting {
    /// Has the interface ignore router advertisements.
    pub(crate) fn ignore_routers(self) -> Result<(), Refusal> {
        let Some(setting) = &self.0 else { return Ok(()) };
        with_right(Step::Configure, || Ok(write(setting, b"0").map(drop)?))
    }
}
