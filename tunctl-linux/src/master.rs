//! The master of an interface: the bridge whose port it is.

use netlink_packet_route::link::LinkAttribute;
use nix::errno::Errno;
use tunctl_core::{Cause, Error, Interface, InterfaceIndex, InterfaceName, Operation, Reason, Result};

use crate::LinuxInterface;
use crate::errno;

const OPERATION: Operation = Operation::SetMaster;

impl LinuxInterface {
    /// Makes it a port of a bridge, or of another interface that has ports: a bond, a VRF. It leaves the
    /// master that it has.
    ///
    /// ```no_run
    /// # use tunctl_core::{CreateOptions, Result, TunBackend, TunDevice};
    /// # use tunctl_linux::LinuxBackend;
    /// # fn main() -> Result<()> {
    /// let tap = LinuxBackend::new().create(&CreateOptions::tap().name("tap%d").up())?;
    /// tap.interface().set_master("br0")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidName`; `NotFound`: no interface here has that name; `InvalidValue`: that interface has no
    /// ports; `LayerMismatch`: a bridge has no tun; `Busy`; `MissingCapability`; `Gone`. If it is refused, it
    /// keeps the master that it had, or the error says that it lost that.
    #[doc(alias = "IFLA_MASTER")]
    #[doc(alias = "SIOCBRADDIF")]
    pub fn set_master<N>(&self, master: N) -> Result<()>
    where
        N: TryInto<InterfaceName>,
        Error: From<N::Error>,
    {
        let name = master.try_into().map_err(|error| Error::from(error).with_operation(OPERATION))?;
        let found = self.netlink().link_by_name(&name).map_err(|error| self.fail(OPERATION, &error))?;
        let Some(master) = found.map(|link| link.index()) else {
            let reason = Reason::new(Cause::NotFound)
                .with_detail(format!("there is no interface {name} in this network namespace"))
                .with_remedy(format!("Create it: sudo ip link add {name} type bridge."));
            return Err(self.named(reason.of(OPERATION)));
        };
        let (info, answer) = self.report(OPERATION)?;
        let before = answer.master();
        if before == Some(master) {
            return Ok(());
        }
        let Err(error) = self.enslave(Some(master)) else { return Ok(()) };
        // The kernel takes it from its old master first (do_set_master, Linux 6.18).
        let lost = before.filter(|_| self.enslave(before).is_err());
        let mut reason = match errno::of(&error) {
            Errno::EOPNOTSUPP => "it is no bridge, bond or VRF, and has no ports".to_owned(),
            Errno::EINVAL if info.mac.is_none() => {
                "its ports are Ethernet interfaces, and this is a tun".to_owned()
            }
            Errno::ELOOP => "it is itself a port, or has this interface as its master".to_owned(),
            _ => String::new(),
        };
        if let Some(lost) = lost {
            let separator = if reason.is_empty() { "" } else { "; " };
            reason.push_str(&format!("{separator}not undone: it has lost its master, the interface {lost}"));
        }
        let refused = self.fail(OPERATION, &error);
        if reason.is_empty() {
            return Err(refused);
        }
        let cause = match errno::of(&error) {
            Errno::EOPNOTSUPP | Errno::ELOOP => Cause::InvalidValue,
            Errno::EINVAL if info.mac.is_none() => Cause::LayerMismatch,
            _ => refused.cause(),
        };
        let remedy = if cause == Cause::LayerMismatch { "Create a tap." } else { "Name a bridge." };
        let reason = Reason::new(cause).with_detail(format!("{name}: {reason}")).with_remedy(remedy);
        Err(self.named(reason.with_errno(errno::of(&error) as i32).of(OPERATION)))
    }

    /// Takes it from its master, if it has one.
    ///
    /// # Errors
    ///
    /// `MissingCapability`; `Gone`.
    #[doc(alias = "SIOCBRDELIF")]
    pub fn clear_master(&self) -> Result<()> {
        if self.report(OPERATION)?.1.master().is_none() {
            return Ok(());
        }
        self.enslave(None).map_err(|error| self.fail(OPERATION, &error))
    }

    /// The name of its master; `None` if it has none.
    ///
    /// # Errors
    ///
    /// `Gone`.
    pub fn master(&self) -> Result<Option<InterfaceName>> {
        let Some(index) = self.report(Operation::Inspect)?.1.master() else { return Ok(None) };
        self.netlink().name_of(index).map_err(|error| self.fail(Operation::Inspect, &error))
    }

    fn enslave(&self, master: Option<InterfaceIndex>) -> std::io::Result<()> {
        let number = master.map_or(0, InterfaceIndex::get);
        self.netlink().change_link(self.index(), LinkAttribute::Controller(number))
    }
}
