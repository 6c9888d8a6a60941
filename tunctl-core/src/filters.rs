//! Filters in the system, in front of a tap.

use tunctl_packet::bpf::Program;

use crate::{MacFilter, Result, TunDevice};

/// A tap whose system can drop frames before they wait for the program.
///
/// A frame that is dropped so is counted among the [dropped](crate::Interface::dropped) ones. Opening an
/// interface that no other device has open removes its filters.
///
/// ```
/// use tunctl_core::{Filters, Result, TunDevice};
/// use tunctl_packet::{Filter, Layer};
///
/// /// Lets nothing pass but IP, and what finds its stations.
/// fn without_noise(tap: &impl Filters) -> Result<()> {
///     let ip = Filter::parse(Layer::Tap, "ip or ip6 or arp").expect("it is written here");
///     tap.attach_filter(ip.program())
/// }
/// ```
///
/// # Platform
///
/// Linux, and models of it.
pub trait Filters: TunDevice {
    /// Has a program drop frames, or cut them to the length that it returns, in place of the one that did so
    /// before.
    ///
    /// It applies to all queues of the interface that are in service. A queue keeps its program while it is
    /// out of service. One that is opened later has none, so with several queues, attach the program when all
    /// are open.
    ///
    /// The program sees a frame as the system has it: on Linux, the outer VLAN tag that a VLAN interface or a
    /// bridge adds is not in it yet, so that `vlan` in an expression does not find it. A frame may be cut to
    /// fewer bytes than an Ethernet header has.
    ///
    /// # Errors
    ///
    /// `LayerMismatch`: the interface is a tun. `NoQueue`: all queues are out of service. `InvalidValue`: the
    /// program is longer than the system permits. `Gone`.
    ///
    /// # Platform
    ///
    /// Linux permits 4,096 instructions, but no more than the sysctl `net.core.optmem_max` has room for.
    /// Whether a program is attached cannot be asked: Linux returns only the address that the program had.
    #[doc(alias = "TUNATTACHFILTER")]
    #[doc(alias = "TUNGETFILTER")]
    fn attach_filter(&self, program: &Program) -> Result<()>;

    /// Removes the program from all queues that are in service. Without one, it does nothing.
    ///
    /// # Errors
    ///
    /// `LayerMismatch`: the interface is a tun. `Gone`.
    #[doc(alias = "TUNDETACHFILTER")]
    fn detach_filter(&self) -> Result<()>;

    /// Lets frames pass only to these MAC addresses, on all queues; `None` lets all pass. It comes before the
    /// [program](Self::attach_filter).
    ///
    /// # Errors
    ///
    /// `LayerMismatch`: the interface is a tun. `Gone`.
    #[doc(alias = "TUNSETTXFILTER")]
    fn set_mac_filter(&self, filter: Option<&MacFilter>) -> Result<()>;
}
