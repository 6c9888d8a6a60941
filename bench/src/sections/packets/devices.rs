//! The TUN devices: each opened by its own library as its documentation shows, all configured by one hand.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd};

use tunctl_core::{
    CreateFlags, CreateOptions, Interface, InterfaceAddress, InterfaceName, Mtu, TunBackend, TunDevice,
};
use tunctl_linux::{LinuxBackend, LinuxDevice};

use super::methods::{Names, Raw, Tappers, Timed, TunRs, Tunctl, TunctlVectored};
use super::task::Task;
use super::traffic::KernelSide;

const MTU: u32 = 1500;

/// One TUN for each library.
///
/// Only tun-rs can adopt a descriptor. So each has its own interface, and raw calls are measured on each of
/// their descriptors: in the library's own mode (ours is non-blocking, the others block), with the same
/// objects in the kernel.
pub(crate) struct Devices {
    tunctl: (LinuxDevice, KernelSide),
    /// Of the same queue.
    task: Task,
    tun_rs: (tun_rs::SyncDevice, KernelSide),
    tappers: (tappers::Tun, KernelSide),
}

impl Devices {
    pub(crate) fn open() -> Result<Self, String> {
        let options = CreateOptions::tun().name("tunctl");
        let tunctl = LinuxBackend::new().create(&options).map_err(|error| error.to_string())?;
        let task = Task::new(tunctl.try_clone().map_err(|error| error.to_string())?)?;
        let tun_rs = tun_rs::DeviceBuilder::new()
            .name("tun-rs")
            .build_sync()
            .map_err(|error| refused("tun-rs", &error))?;
        let tappers = tappers::Interface::new("tappers")
            .and_then(tappers::Tun::new_named)
            .map_err(|error| refused("tappers", &error))?;
        Ok(Self {
            task,
            tunctl: (tunctl, configure("tunctl", 1)?),
            tun_rs: (tun_rs, configure("tun-rs", 2)?),
            tappers: (tappers, configure("tappers", 3)?),
        })
    }

    /// What is measured: the libraries' calls, each after the raw ones on the same descriptor.
    pub(crate) fn subjects(&self) -> Vec<Subject<'_>> {
        let (tunctl, tun_rs, tappers) = (&self.tunctl, &self.tun_rs, &self.tappers);
        vec![
            Subject::new(tunctl, Raw(tunctl.0.as_fd()), Role::Raw),
            Subject::new(tunctl, Tunctl(&tunctl.0), Role::Plain),
            Subject::new(tunctl, &self.task, Role::Task),
            Subject::new(tunctl, TunctlVectored(&tunctl.0), Role::Compared),
            Subject::new(tun_rs, Raw(tun_rs.0.as_fd()), Role::Raw),
            Subject::new(tun_rs, TunRs(&tun_rs.0), Role::Compared),
            Subject::new(tappers, Raw(tappers.0.as_fd()), Role::Raw),
            Subject::new(tappers, Tappers(&tappers.0), Role::Compared),
        ]
    }
}

fn refused(library: &str, error: &io::Error) -> String {
    format!("{library} cannot create a device, and tunctl can: {error}. strace shows which call differs")
}

/// Configures an interface, and proves that it is as the others are.
fn configure(name: &'static str, network: u8) -> Result<KernelSide, String> {
    let address = Ipv4Addr::new(10, 78, network, 1);
    let configured = || -> tunctl_core::Result<_> {
        let interface = LinuxBackend::new().interface(&InterfaceName::new(name)?)?;
        interface.set_mtu(Mtu::new(MTU)?)?;
        interface.up(InterfaceAddress::new(address, 24)?)?;
        interface.info()
    };
    let info = configured().map_err(|error| error.to_string())?;
    let plain = CreateFlags::TUN | CreateFlags::NO_PI;
    if info.flags != plain {
        let flags = info.flags;
        return Err(format!("{name} has the flags {flags}, and the comparison is of {plain}"));
    }
    KernelSide::new(name, address)
}

/// What a subject is measured for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The reference of the subjects on the same interface.
    Raw,
    /// Ours, which has a goal.
    Plain,
    /// Ours in a task of tokio's, which has one of its own.
    Task,
    /// For comparison.
    Compared,
}

/// A method on a device.
pub(crate) struct Subject<'a> {
    pub(crate) library: &'static str,
    pub(crate) receive: &'static str,
    pub(crate) send: &'static str,
    pub(crate) role: Role,
    pub(crate) kernel: &'a KernelSide,
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) method: Box<dyn Timed + 'a>,
}

impl<'a> Subject<'a> {
    fn new<D: AsFd, M: Timed + 'a>(on: &'a (D, KernelSide), method: M, role: Role) -> Self {
        let Names { library, receive, send } = method.names();
        Self { library, receive, send, role, kernel: &on.1, fd: on.0.as_fd(), method: Box::new(method) }
    }
}
