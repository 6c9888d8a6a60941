//! In place of `master.rs`, where interfaces are no ports of bridges that this command makes.

use clap::Args;
use tunctl::{Interface, InterfaceConfig, NativeInterface, Result};

#[derive(Args)]
pub(super) struct Master {}

impl Master {
    pub(super) const fn is_named(&self) -> bool {
        false
    }

    pub(super) fn apply(&self, interface: &NativeInterface, config: &InterfaceConfig) -> Result<()> {
        interface.apply(config)
    }
}
