//! From one network namespace to another, and in which one an interface is.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;

use tunctl_core::{Cause, InterfaceInfo, Operation, Reason, Result};
use tunctl_sys::linux::namespace;

use super::{ATTEMPTS, LinuxInterface};
use crate::attach::attached_name;
use crate::netlink::{Link, Netlink};
use crate::opener::{Opener, current_namespace};
use crate::{Namespace, errno, remedy};

impl LinuxInterface {
    /// Moves the interface to another network namespace: a handle of it there. This one, and that of a
    /// device, then answer `Gone`. An open device stays attached, and works as before.
    ///
    /// The interface goes down and loses its addresses. It keeps its name, and its index if that is free. A
    /// move to the namespace where it is changes nothing.
    ///
    /// ```no_run
    /// use tunctl_core::{CreateOptions, Interface, TunBackend, TunDevice};
    /// use tunctl_linux::{LinuxBackend, Namespace};
    ///
    /// let (ns, other) = (Namespace::new()?, Namespace::new()?);
    /// let tun = LinuxBackend::new().in_namespace(&ns)?.create(&CreateOptions::tun().name("tun0"))?;
    /// let moved = tun.interface().move_to(&other)?;
    /// moved.up("10.1.1.1/24".parse()?)?;
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
    pub fn move_to(&self, namespace: &Namespace) -> Result<Self> {
        let info = self.ours(Operation::Move)?;
        if *namespace.link() == *self.netlink.namespace() {
            return Ok(self.clone());
        }
        // If it cannot be opened, nothing has changed yet.
        let there = Netlink::open(&Opener::There(namespace.clone()))
            .map_err(|reason| self.named(reason.of(Operation::Move)))?;
        self.netlink
            .move_link(self.index, namespace.as_fd().as_raw_fd())
            .map_err(|error| self.fail(Operation::Move, &error))?;
        self.found_in(there, &info)
    }

    /// The handle of the interface where it has just arrived.
    fn found_in(&self, there: Netlink, moved: &InterfaceInfo) -> Result<Self> {
        let (there, descriptor) = (Arc::new(there), self.descriptor.upgrade());
        for _ in 0..ATTEMPTS {
            // Another program may have renamed it, which a device reports.
            let name = descriptor.as_ref().and_then(|descriptor| attached_name(descriptor).ok());
            let found = there.link_by_name(&name.unwrap_or(moved.name));
            match found.map_err(|error| self.fail(Operation::Move, &error))? {
                Some(Link::Tun(info)) if info.layer == self.layer => {
                    return Ok(Self { descriptor: self.descriptor.clone(), ..Self::new(there, &info) });
                }
                _ if descriptor.is_none() => break,
                _ => {}
            }
        }
        let reason = Reason::new(Cause::Gone)
            .with_detail("the interface was moved, and another program deleted, moved or renamed it there");
        Err(self.named(reason.of(Operation::Move)))
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
        match self.netlink.opener() {
            Opener::There(namespace) => Ok(namespace.clone()),
            Opener::Here if current_namespace() == self.netlink.namespace() => Namespace::current(),
            Opener::Here => {
                let failed = |reason: Reason| self.named(reason.of(Operation::Namespace));
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
