//! `tunctl set`.

use clap::Args;
use tunctl::{
    CreateOptions, Gid, Interface, InterfaceAddress, InterfaceConfig, InterfaceName, Native, TunBackend, Uid,
};

use super::advice::patiently;
use super::arguments::{existing, group, on_or_off, user, with};
use super::master::Master;
use super::properties::Properties;
use super::{Failure, Outcome};

/// Change properties of an interface: all that are specified, or none
///
/// Changing owner, group or persistence opens the device. So no other program may hold the interface's only
/// queue, and the settings of former programs, such as offloads and filters, are reset.
#[derive(Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Set {
    /// The interface
    #[arg(value_parser = existing())]
    name: InterfaceName,
    #[command(flatten)]
    changes: Changes,
}

#[derive(Args)]
struct Changes {
    /// Rename it
    #[arg(long = "name", value_name = "NEW")]
    renamed: Option<InterfaceName>,
    #[command(flatten)]
    properties: Properties,
    #[command(flatten)]
    master: Master,
    /// Permit an MTU of less than 1280 bytes to remove the IPv6 addresses (IPv6 needs 1280)
    #[arg(long, requires = "mtu")]
    drop_ipv6: bool,
    /// Add an address, such as 10.1.1.1/24 or fd77::1/64
    #[arg(long = "add", value_name = "CIDR")]
    add: Vec<InterfaceAddress>,
    /// Add IPv6 addresses without asking first whether another station has them, so that they are usable at
    /// once
    #[arg(long)]
    no_dad: bool,
    /// Remove an address; write one with a peer as show prints it: "10.0.0.1 peer 10.0.0.2/32"
    #[arg(long = "remove", value_name = "CIDR")]
    remove: Vec<InterfaceAddress>,
    /// Make this the only address; may be repeated for several (IPv6 link-local addresses stay)
    #[arg(long = "replace", value_name = "CIDR", conflicts_with_all = ["add", "remove"])]
    replace: Vec<InterfaceAddress>,
    /// The user who may open it without privilege, by name or number
    #[arg(long, value_name = "USER", value_parser = user)]
    owner: Option<Uid>,
    /// The group whose members may open it without privilege, by name or number
    #[arg(long, value_name = "GROUP", value_parser = group)]
    group: Option<Gid>,
    /// Whether it stays when no program has it open; "off" deletes it at once if no program has it open
    #[arg(long, value_name = "on|off", value_parser = on_or_off)]
    persist: Option<bool>,
}

const NOTHING: &str =
    "nothing to change: specify a property, such as --mtu 1400 (tunctl set --help lists them)";

const OPENS: &str =
    "owner, group and persistence change by another way than the bridge: do it in two commands";

impl Set {
    pub(super) fn run(self, backend: &Native) -> Outcome {
        let config = self.changes.config();
        let Changes { owner, group, persist, master, .. } = self.changes;
        let only_config = owner.is_none() && group.is_none() && persist.is_none();
        if only_config && config == InterfaceConfig::new() && !master.is_named() {
            return Err(Failure::Usage(NOTHING.into()));
        }
        if master.is_named() && !only_config {
            return Err(Failure::Usage(OPENS.into()));
        }
        let interface = backend.interface(&self.name)?;
        if only_config {
            return Ok(master.apply(&interface, &config)?);
        }
        let mut options = interface.info()?.options()?.config(config);
        options = with(options, owner, CreateOptions::owner);
        options = with(options, group, CreateOptions::group);
        options = with(options, persist, CreateOptions::persistent);
        patiently(|| backend.open(&options))?;
        Ok(())
    }
}

impl Changes {
    fn config(&self) -> InterfaceConfig {
        let none =
            InterfaceConfig::new().drop_ipv6(self.drop_ipv6).replace_addresses(!self.replace.is_empty());
        let none = if self.no_dad { none.without_dad(true) } else { none };
        let present = self.add.iter().chain(&self.replace).copied();
        let mut config = present.fold(none, InterfaceConfig::address);
        config = self.remove.iter().copied().fold(config, InterfaceConfig::remove_address);
        config = with(config, self.renamed, InterfaceConfig::name);
        self.properties.add_to(config)
    }
}
