//! `tunctl delete`.

use clap::Args;
use tunctl::{Cause, Interface, InterfaceName, Result, TunBackend, TunDevice};

use super::Outcome;
use super::arguments::existing;
use tunctl::NativeInterface;

/// Delete a TUN/TAP interface, persistent or not, even while programs have it open
///
/// Its owner can delete it without CAP_NET_ADMIN, while no program has it open.
#[derive(Args)]
pub(super) struct Delete {
    /// The interface
    #[arg(value_parser = existing())]
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

fn delete_as_owner(interface: &NativeInterface) -> Result<()> {
    Ok(tunctl::native().open(&interface.info()?.options()?)?.destroy()?)
}
