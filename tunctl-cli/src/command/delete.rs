//! `tunctl delete`.

use std::process::ExitCode;

use clap::Args;
use tunctl::{Cause, Interface, InterfaceName, Native, NativeInterface, Result, TunBackend, TunDevice};

use super::advice::{self, patiently};
use super::arguments::existing;
use super::complain;

/// Delete TUN/TAP interfaces, persistent or not, even while programs have them open
///
/// An owner can delete an interface without CAP_NET_ADMIN, while no program has it open. If one cannot be
/// deleted, the others are all the same.
#[derive(Args)]
pub(super) struct Delete {
    /// The interfaces
    #[arg(required = true, value_name = "NAME", value_parser = existing())]
    names: Vec<InterfaceName>,
}

impl Delete {
    pub(super) fn run(self, backend: &Native) -> ExitCode {
        let mut code = ExitCode::SUCCESS;
        for name in &self.names {
            if let Err(error) = delete(backend, name) {
                complain(&advice::message(&error));
                code = ExitCode::FAILURE;
            }
        }
        code
    }
}

fn delete(backend: &Native, name: &InterfaceName) -> Result<()> {
    let interface = backend.interface(name)?;
    match interface.delete() {
        Err(error) if error.cause() == Cause::MissingCapability => {
            delete_as_owner(backend, &interface).map_err(|of_owner| match of_owner.cause() {
                // A node that cannot be opened says nothing about the interface; the missing right does.
                Cause::ClosedNode | Cause::MissingNode | Cause::MissingDriver | Cause::ContainerRules => {
                    error
                }
                _ => of_owner,
            })
        }
        outcome => outcome,
    }
}

fn delete_as_owner(backend: &Native, interface: &NativeInterface) -> Result<()> {
    let options = interface.info()?.options()?;
    Ok(patiently(|| backend.open(&options))?.destroy()?)
}
