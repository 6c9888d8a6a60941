//! Network namespaces, each with interfaces of its own.

use std::fmt;

use crate::{Result, TunBackend};

/// A backend that reaches several network namespaces.
///
/// A program keeps its threads where they are, and has a backend for each namespace:
///
/// ```
/// use tunctl_core::{CreateOptions, Namespaces, Result};
///
/// /// A tun in a namespace of its own, whose packets the program carries to and fro.
/// fn isolated<B: Namespaces>(backend: &B) -> Result<(B::Namespace, B::Device)> {
///     let namespace = backend.make_namespace()?;
///     let there = backend.in_namespace(&namespace)?;
///     let tun = there.create(&CreateOptions::tun().name("vpn0").address("10.1.1.1/24").up())?;
///     Ok((namespace, tun))
/// }
/// ```
///
/// # Platform
///
/// Linux, and models of it.
pub trait Namespaces: TunBackend + Sized {
    /// A network namespace.
    type Namespace: Clone + fmt::Debug + Send + Sync + 'static;

    /// Makes a new network namespace.
    ///
    /// # Errors
    ///
    /// `NamespacesRefused`; `TooManyOpenFiles`.
    #[doc(alias = "unshare")]
    fn make_namespace(&self) -> Result<Self::Namespace>;

    /// This backend in another network namespace: what it makes, opens and finds is there.
    ///
    /// # Errors
    ///
    /// `MissingCapability`: the caller may not open anything there.
    #[doc(alias = "setns")]
    fn in_namespace(&self, namespace: &Self::Namespace) -> Result<Self>;

    /// Moves an interface to another namespace. Handles of it then answer `Gone`; an open device stays
    /// attached.
    ///
    /// It goes down and loses its addresses. It keeps its name, and its index if that is free. A move to the
    /// namespace where it is changes nothing, and takes no right.
    ///
    /// # Errors
    ///
    /// `Gone`; `Exists` if the other namespace has an interface of that name; `MissingCapability`.
    #[doc(alias = "IFLA_NET_NS_FD")]
    fn move_to(&self, interface: &Self::Interface, namespace: &Self::Namespace) -> Result<()>;
}
