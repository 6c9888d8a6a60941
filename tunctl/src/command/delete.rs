//! `tunctl delete`.

use clap::Args;
use tunctl::linux::LinuxInterface;
use tunctl::{Cause, CreateFlags, CreateOptions, Interface, InterfaceName, Result, TunBackend, TunDevice};

use super::Outcome;

/// Delete a TUN/TAP interface, persistent or not, whoever has it open
///
/// An owner without CAP_NET_ADMIN can delete it too, while no program has it open.
#[derive(Args)]
pub(super) struct Delete {
    /// The interface
    name: InterfaceName,
}

impl Delete {
    pub(super) fn run(self) -> Outcome {
        let interface = tunctl::native().interface(&self.name)?;
        match interface.delete() {
            Err(error) if error.cause() == Cause::MissingCapability => delete_as_owner(&interface)?,
            outcome => outcome?,
        }
        Ok(())
    }
}

fn delete_as_owner(interface: &LinuxInterface) -> Result<()> {
    Ok(tunctl::native().open(&as_it_is(interface)?)?.destroy()?)
}

/// Options by which an interface can be opened without a change to it.
pub(super) fn as_it_is(interface: &LinuxInterface) -> Result<CreateOptions> {
    let info = interface.info()?;
    Ok(CreateOptions::from_flags(info.flags & CreateFlags::all())?.pattern(info.name))
}
