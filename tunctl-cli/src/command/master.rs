//! The bridge whose port an interface is, on Linux.

use clap::Args;
use tunctl::{Interface, InterfaceConfig, InterfaceName, NativeInterface, Result};

#[derive(Args)]
pub(super) struct Master {
    /// Make a tap the port of a bridge, or another interface the port of a bond or VRF
    #[arg(long, value_name = "BRIDGE")]
    master: Option<InterfaceName>,
    /// Take it from the bridge whose port it is
    #[arg(long, conflicts_with = "master")]
    no_master: bool,
}

impl Master {
    pub(super) const fn is_named(&self) -> bool {
        self.master.is_some() || self.no_master
    }

    /// Changes the master, and then the rest; if that fails, it has its old master again.
    pub(super) fn apply(&self, interface: &NativeInterface, config: &InterfaceConfig) -> Result<()> {
        if !self.is_named() {
            return interface.apply(config);
        }
        let before = interface.master()?;
        change(interface, self.master)?;
        interface.apply(config).inspect_err(|_| {
            if let Err(error) = change(interface, before) {
                super::note(&format_args!("Not undone: {error}"));
            }
        })
    }
}

fn change(interface: &NativeInterface, master: Option<InterfaceName>) -> Result<()> {
    match master {
        Some(master) => interface.set_master(master),
        None => interface.clear_master(),
    }
}
