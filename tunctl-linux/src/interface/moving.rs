//! From one network namespace to another, and in which one an interface is.

use std::os::fd::{AsFd, AsRawFd};

use tunctl_core::{Cause, Operation, Reason, Result};
use tunctl_sys::linux::namespace;

use super::LinuxInterface;
use crate::opener::{Opener, current_namespace};
use crate::{Namespace, errno, remedy};

impl LinuxInterface {
    /// Moves the interface to another network namespace. Handles of it, also that of its device, then answer
    /// `Gone`; look it up in a backend of [that namespace](crate::LinuxBackend::in_namespace). An open device
    /// stays attached, and works as before.
    ///
    /// The interface goes down and loses its addresses. It keeps its name, and its index if that is free. A
    /// move to the namespace where it is changes nothing, and takes no right.
    ///
    /// ```no_run
    /// use tunctl_core::{CreateOptions, Interface, TunBackend, TunDevice};
    /// use tunctl_linux::{LinuxBackend, Namespace};
    ///
    /// let ns = Namespace::new()?;
    /// let there = LinuxBackend::new().in_namespace(&ns)?;
    /// let tun = LinuxBackend::new().create(&CreateOptions::tun().name("vpn%d"))?;
    /// tun.interface().move_to(&ns)?;
    /// there.interface(&tun.name()?)?.up("10.1.1.1/24".parse()?)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `Gone`; `Exists` if the other namespace has an interface of that name; `MissingCapability` without
    /// `CAP_NET_ADMIN` over both namespaces. The interface then stays where it is.
    ///
    /// # Platform
    ///
    /// Linux only: `IFLA_NET_NS_FD` of `rtnetlink(7)`.
    #[doc(alias = "IFLA_NET_NS_FD")]
    #[doc(alias = "ip link set netns")]
    pub fn move_to(&self, namespace: &Namespace) -> Result<()> {
        self.change(
            Operation::Move,
            |_| *namespace.link() == *self.netlink.namespace(),
            |netlink| netlink.move_link(self.index, namespace.as_fd().as_raw_fd()),
        )
    }

    /// The network namespace that this handle refers to. The interface is there unless the handle answers
    /// `Gone`.
    ///
    /// # Errors
    ///
    /// `MissingCapability` without `CAP_NET_ADMIN` there, if the calling thread is elsewhere;
    /// `TooManyOpenFiles`.
    #[doc(alias = "SIOCGSKNS")]
    pub fn namespace(&self) -> Result<Namespace> {
        let failed = |reason: Reason| self.named(reason.of(Operation::Namespace));
        match self.netlink.opener() {
            Opener::There(namespace) => Ok(namespace.clone()),
            Opener::Here if current_namespace() == self.netlink.namespace() => Namespace::current(),
            Opener::Here => {
                let file = self.netlink.with_socket(namespace::of_socket).map_err(|error| {
                    let errno = errno::of(&error);
                    let reason = remedy::configure(errno, Operation::Namespace, &self.netlink.caller());
                    failed(reason.with_errno(errno as i32))
                })?;
                let found = Namespace::from_file(file).map_err(failed)?;
                found.ok_or_else(|| failed(Cause::NotANamespace.into()))
            }
        }
    }
}
